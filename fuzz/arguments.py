"""The module's arguments, as in a PAM service file, but one per line."""

from __future__ import annotations

from trex.errors import OptionError
from trex.login.options import (
    MAX_GPG_TIMEOUT,
    MAX_PAGES,
    MAX_PORT,
    MAX_PROMPT,
    MAX_TIMEOUT,
    Options,
    expand,
    parse_options,
)


def check(data: bytes) -> None:
    """Options within their limits, or an OptionError."""
    # As pam_python decodes them: strictly, so what is not UTF-8 never gets here.
    arguments = data.decode("utf-8", "ignore").split("\n")
    try:
        options = parse_options(arguments)
    except OptionError:
        return
    check_options(options)


def check_options(options: Options) -> None:
    """Check every limit in docs/configuration.md."""
    assert 1 <= options.timeout <= MAX_TIMEOUT
    assert 1 <= options.gpg_timeout <= MAX_GPG_TIMEOUT
    assert 1 <= options.web_max <= MAX_PAGES
    assert options.gpg.startswith("/")
    assert len(options.prompt) <= MAX_PROMPT
    first, last = options.web_ports
    assert (first, last) == (0, 0) or 1 <= first <= last <= MAX_PORT
    for name in (options.run_as, options.web_user):
        assert "/" not in name
        assert not name.startswith((".", "-"))
    texts = (options.gpg, options.prompt, options.auth_file, options.gnupg_home, options.web_bind,
             options.web_host, options.run_as, options.web_user)  # fmt: skip
    assert all(text.isprintable() for text in texts)
    for template in (options.auth_file, options.gnupg_home):
        path = expand(template, user="alice", home="/home/alice")
        assert path.startswith("/")
        assert expand(template, user="%h", home="/%u").count("%") == path.count("%") + (
            template.replace("%%", "").count("%")
        ), "what is put in is not expanded again"
    assert isinstance(options.nullok, bool)
    assert isinstance(options.debug, bool)
