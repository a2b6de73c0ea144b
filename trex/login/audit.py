"""The log: syslog's facility authpriv, one line for each login, and no secret in it.

Lines are written to /dev/log directly, because syslog(3) belongs to the program that called PAM.
Python's `syslog` would call openlog(3) in it, change its name and facility, and leave it a pointer
into a Python that pam_python unloads.
"""

import time

from trex.errors import ACCEPTED, NO_RECORD, NOT_ASKED, UNAVAILABLE, UNFORESEEN, Outcome, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Told(Protocol):
        """What the log says about a login."""

        caller: int
        user: str
        account: str
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
# Bytes, in UTF-8 and escaped. Each field has its own limit, so that none can displace another;
# the reason comes last and gets the rest: at least 400.
MAX_LINE = 1900  # what every syslog daemon takes whole
MAX_SERVICE, MAX_NAME, MAX_KEYS = 64, 255, 660  # keys: sixteen fingerprints of 40 digits


PRIORITIES = {
    ACCEPTED: INFO,
    NOT_ASKED: INFO,
    NO_RECORD: INFO,
    UNAVAILABLE: ERROR,
    UNFORESEEN: ERROR,
}  # and NOTICE for every other refusal


def write_notes(login: "Told") -> None:
    """Write the notes so far: warnings, and with `debug` the steps."""
    for text in login.warnings:
        _send(login, WARNING, "", text)
    if login.debug:
        for text in login.steps:
            _send(login, DEBUG, "", text)
    login.warnings, login.steps = [], []


def write_verdict(login: "Told", outcome: Outcome, detail: str, seconds: float) -> None:
    """Write the login's one line, after its notes."""
    write_notes(login)
    pairs = {
        "user": one_line(login.account or login.user, MAX_NAME),
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
    """Send one line: `told`, which is bounded and escaped, and as much of `rest` as fits.

    A log that cannot be reached neither fails nor delays a login.
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


def _field(value: str) -> str:
    """Quote a value that could be mistaken for more than one."""
    if value and not any(character in value for character in ' "='):
        return value
    return '"' + value.replace('"', "'") + '"'


def _program(pid: int) -> str:
    """Return a program's name without special characters: a link can give it any name."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            name = file.read().decode("ascii", "replace").strip()
    except OSError:
        return "pam_trex"
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
