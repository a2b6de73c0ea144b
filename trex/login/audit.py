"""The log: syslog's authpriv, one line a login, nothing in it that is secret.

The lines go to /dev/log by hand: syslog(3) belongs to the program that called PAM. Python's
`syslog` would call openlog(3) there, change its name and facility, and leave it a pointer into a
Python that pam_python unloads.
"""

import time

from trex.errors import ACCEPTED, NO_RECORD, NOT_ASKED, UNAVAILABLE, UNFORESEEN, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Told(Protocol):
        """What there is to say about a login."""

        caller: int
        user: str
        service: str
        remote_host: str
        method: str
        debug: bool
        steps: list[str]
        warnings: list[str]
        fingerprints: list[str]


SOCKET = "/dev/log"
AUTHPRIV = 10 << 3  # RFC 5424, section 6.2.1
ERROR, WARNING, NOTICE, INFO, DEBUG = 3, 4, 5, 6, 7
# Not strftime's: login and su have set the locale of whoever started them.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SEND_SECONDS = 1.0
# Bytes, in UTF-8 and escaped. Each field has room of its own, so that none can push out another;
# the reason, which comes last, has what is left: 400 and more.
MAX_LINE = 1900  # what every syslog daemon takes whole
MAX_SERVICE, MAX_NAME, MAX_KEYS = 64, 255, 660  # keys: sixteen fingerprints of 40 digits


CUT = "..."
PRIORITIES = {
    ACCEPTED: INFO,
    NOT_ASKED: INFO,
    NO_RECORD: INFO,
    UNAVAILABLE: ERROR,
    UNFORESEEN: ERROR,
}  # and NOTICE for every other refusal


def write_notes(login: "Told") -> None:
    """Write what was noted so far: warnings, and with `debug` the steps."""
    for text in login.warnings:
        _send(login, WARNING, "", text)
    if login.debug:
        for text in login.steps:
            _send(login, DEBUG, "", text)
    login.warnings, login.steps = [], []


def write_verdict(login: "Told", outcome: Outcome, detail: str, seconds: float) -> None:
    """Write the login's one line, after what else was noted."""
    write_notes(login)
    pairs = {
        "user": one_line(login.user, MAX_NAME),
        "service": one_line(login.service, MAX_SERVICE),
        "rhost": one_line(login.remote_host, MAX_NAME),
        "method": login.method,
        "keys": one_line(",".join(login.fingerprints), MAX_KEYS),
        "ms": str(round(seconds * 1000)),
    }
    described = " ".join(f"{name}={_field(value)}" for name, value in pairs.items())
    told = f"{outcome.text}: {described}"
    _send(login, PRIORITIES.get(outcome, NOTICE), f"{told}: " if detail else told, detail)


def _send(login: "Told", priority: int, told: str, rest: str) -> None:
    """Send one line, of what is bounded and fit for it, and as much as has room of the rest.

    A log that cannot be reached neither fails a login nor holds it up.
    """
    line = f"pam_trex({one_line(login.service, MAX_SERVICE)}:auth): {told}"
    line += one_line(rest, MAX_LINE - len(line.encode("utf-8")))
    now = time.localtime()
    stamp = f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {time.strftime('%H:%M:%S', now)}"
    message = f"<{AUTHPRIV | priority}>{stamp} {_program(login.caller)}[{login.caller}]: {line}"
    import _socket  # built in; socket.py costs 3 ms

    try:
        sink = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            sink.settimeout(SEND_SECONDS)
            sink.connect(SOCKET)
            sink.send(message.encode("utf-8", "backslashreplace"))
        finally:
            sink.close()
    except OSError:  # no daemon listens, or it is too busy: as with syslog(3)
        return


def one_line(text: str, most: int = 0) -> str:
    r"""Write what is not printable as `\xNN` or `\uNNNN`, so that no name can forge a line.

    Of more than `most` bytes in UTF-8 that come of it, the rest is cut, and `...` says so. This is
    the one function through which everything goes that is shown or logged and is another's.
    """
    if most:
        text = text[: most + 1]  # each character makes a byte at least
    line = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
    if not most or len(line.encode("utf-8")) <= most:
        return line
    return line.encode("utf-8")[: most - len(CUT)].decode("utf-8", "ignore") + CUT


def _field(value: str) -> str:
    """Quote a value that could be mistaken for more than one."""
    if value and not any(character in value for character in ' "='):
        return value
    return '"' + value.replace('"', "'") + '"'


def _program(pid: int) -> str:
    """Return a program's name: made plain, because a link may have given it any."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            name = file.read().decode("ascii", "replace").strip()
    except OSError:
        return "pam_trex"
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
