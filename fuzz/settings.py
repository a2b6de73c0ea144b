"""What the login sends to the page's process, with names from PAM and the network in it."""

from __future__ import annotations

from trex.errors import one_line
from trex.page.process.document import Document
from trex.page.process.settings import MEMBERS, Settings


def check(data: bytes) -> None:
    """Lines that are not settings: KeyError or ValueError. Names in settings stay one line each.

    The second part matters: no name of a user or host adds a setting, or an element to the
    document.
    """
    text = data.decode("utf-8", "replace")
    try:
        Settings(text.split("\n"))
    except (KeyError, ValueError):
        pass
    lines = ["deadline 9e9", "host h", "tls made", "credentials user pass"]
    lines += [f"{name} {one_line(text)}" for name in MEMBERS]
    told = "".join(f"{line}\n" for line in [*lines, ""]).encode("utf-8", "backslashreplace")
    received = told.decode("utf-8", "replace").split("\n")
    settings = Settings(received[: received.index("")])
    assert (settings.user_name, settings.password) == ("user", "pass")
    assert settings.tls == "made"
    assert list(settings.told) == list(MEMBERS)
    page = Document(settings, "-----BEGIN PGP MESSAGE-----", b"").page().body.decode("utf-8")
    details = page.partition("<dl>")[2].partition("</dl>")[0]
    assert details.count("<") == len([value for value in settings.told.values() if value]) * 6
