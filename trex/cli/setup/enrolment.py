"""How the options of `trex enroll` change a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from trex.cli.setup import recordfile
from trex.errors import one_line
from trex.openpgp.record import WEB_QR_MODES, parse_record
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.cli.setup.recordfile import Fields
    from trex.openpgp.keylist import Key


@dataclass(frozen=True, kw_only=True)
class EnrollOptions:
    """The options of `trex enroll`; None where one is not given."""

    user: str | None
    central: bool
    auth_file: str | None
    gnupg_home: str | None
    run_as: str | None
    file: str | None
    from_keyring: bool
    key_file: str | None
    locate: str | None
    wanted: tuple[str, ...]
    add: bool
    trust: bool | None
    sign_as: str | None
    page: str | None
    tls_key: str | None
    tls_certificate: str | None
    no_proof: bool
    piped: bool
    yes: bool
    dry_run: bool

    @property
    def silently(self) -> bool:
        """Whether no question may be asked."""
        return self.yes or self.dry_run or self.piped


def compose_record(
    location: Location, before: bytes | None, chosen: list[Key], names: list[str],
    options: EnrollOptions,
) -> bytes:  # fmt: skip
    """Return the new file. Raises RecordError for a record that the module would refuse."""
    home = readable(location.user.home)
    fields = recordfile.fields_of(before or b"", location.record, home)
    old_line = fields.line()
    new = names
    if options.add:
        new = [*fields.recipients, *(key for key in new if key not in fields.recipients)]
    if set(new) != set(fields.recipients):
        fields.recipients = new
    _apply(fields, options)
    line = fields.line()
    parse_record(line.encode(), location.record, home)
    if before is not None and line == old_line:
        return before
    name = one_line(chosen[0].user_ids[0]) if chosen[0].user_ids else chosen[0].fingerprint
    return recordfile.with_record(before, line, name, location.record)


def _apply(fields: Fields, options: EnrollOptions) -> None:
    """Change the fields as the options say."""
    if options.trust is not None:
        fields.trust = "trust" if options.trust else "notrust"
    if options.sign_as is not None:
        fields.sign_as = options.sign_as
    tls = [path for path in (options.tls_key, options.tls_certificate) if path]
    mode = options.page
    if mode is None and tls and fields.page:
        mode = fields.page[0]
    if mode is None and tls:
        raise click.UsageError("--tls-key and --tls-certificate need --page")
    if mode not in (None, "none", *WEB_QR_MODES):
        raise click.UsageError(f"--page: expected {', '.join(WEB_QR_MODES)} or none")
    if len(tls) == 1:
        raise click.UsageError("expected --tls-key and --tls-certificate together")
    if any(" " in path or "\t" in path for path in tls):
        raise click.UsageError("a path in a record must not contain spaces")
    if mode == "none":
        fields.page = []
    elif mode is not None:
        same = fields.page[:1] == [mode] or (_has_tls(mode) and _has_tls(*fields.page[:1]))
        kept = fields.page[1:] if same else []
        fields.page = [mode, *(tls or kept)]


def _has_tls(mode: str = "") -> bool:
    return mode in WEB_QR_MODES and WEB_QR_MODES[mode].tls
