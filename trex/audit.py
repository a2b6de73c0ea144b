"""The log: syslog's authpriv, one line a login, nothing in it that is secret.

The lines go to /dev/log by hand: syslog(3) belongs to the program that called PAM. Python's
`syslog` would call openlog(3) there, change its name and facility, and leave it a pointer into a
Python that pam_python unloads.
"""

import os
import time

from trex.errors import ACCEPTED, NO_RECORD, NOT_ASKED, UNAVAILABLE, UNFORESEEN, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Told(Protocol):
        """What there is to say about a login."""

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
MAX_LINE = 1900  # what every syslog daemon takes whole
MAX_NAME = 255  # a longer one leaves no room for the rest


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
        _write(login, WARNING, text)
    if login.debug:
        for text in login.steps:
            _write(login, DEBUG, text)
    login.warnings, login.steps = [], []


def write_verdict(login: "Told", outcome: Outcome, detail: str, seconds: float) -> None:
    """Write the login's one line, after what else was noted."""
    write_notes(login)
    pairs = {
        "user": login.user[:MAX_NAME],
        "service": login.service[:MAX_NAME],
        "rhost": login.remote_host[:MAX_NAME],
        "method": login.method,
        "keys": ",".join(login.fingerprints),
        "ms": str(round(seconds * 1000)),
    }
    described = " ".join(f"{name}={_field(value)}" for name, value in pairs.items())
    reason = f": {detail}" if detail else ""
    _write(login, PRIORITIES.get(outcome, NOTICE), f"{outcome.text}: {described}{reason}")


def _write(login: "Told", priority: int, text: str) -> None:
    """Send one line. A log that cannot be reached neither fails a login nor holds it up."""
    line = one_line(f"pam_trex({login.service[:MAX_NAME]}:auth): {text}")[:MAX_LINE]
    now = time.localtime()
    stamp = f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {time.strftime('%H:%M:%S', now)}"
    message = f"<{AUTHPRIV | priority}>{stamp} {_program()}[{os.getpid()}]: {line}"
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


def one_line(text: str) -> str:
    r"""Write what is not printable as `\xNN` or `\uNNNN`, so that no name can forge a line."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )


def _field(value: str) -> str:
    """Quote a value that could be mistaken for more than one."""
    if value and not any(character in value for character in ' "='):
        return value
    return '"' + value.replace('"', "'") + '"'


def _program() -> str:
    """Return the calling program's name: made plain, because a link may have given it any."""
    try:
        with open("/proc/self/comm", "rb") as file:
            name = file.read().decode("ascii", "replace").strip()
    except OSError:
        return "pam_trex"
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
