"""The last verdict on each account, from the system's log: the journal, or /var/log/auth.log.

Any local user can write lines to the log. The journal knows who wrote a line, so only root's count;
a file does not know.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from trex import errors
from trex.cli.delegate import PATH
from trex.errors import ACCEPTED, Outcome, cut
from trex.login.audit import AUTHPRIV, MONTHS
from trex.system.child import milliseconds_until

if TYPE_CHECKING:
    from collections.abc import Generator

    # Times, the processes that asked PAM, and messages.
    Lines = Generator[tuple[float, str, str], None, None]
    # By service, the methods of its lines: one of each group has to let a user in.
    Groups = dict[str, list[list[str]]]

JOURNALCTL = "/usr/bin/journalctl"
LAST = 253402300799  # the end of the year 9999, and of what a datetime can be
FILES = ("/var/log/auth.log", "/var/log/auth.log.1")
SECONDS = 10.0  # for the journal
MOST = 32 << 20  # bytes that are read of it, and of each file from its end
OUTCOMES = [one.text for one in vars(errors).values() if isinstance(one, Outcome)]
# docs/troubleshooting.md: a field's value is quoted if it is empty or has a blank or = in it.
LINE = re.compile(
    r"pam_trex\([^()]*:auth\): (?P<verdict>"
    + "|".join(sorted(map(re.escape, set(OUTCOMES))))
    + r")"
    r': user=(?P<user>"[^"]*"|[^" =]+) service=(?P<service>"[^"]*"|[^" =]+)'
    r' rhost=(?P<rhost>"[^"]*"|[^" =]+) method=(?P<method>\w+)'
)
# The time as rsyslog writes it now, and as it did; then the host, and the program with its process.
FILED = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\S+|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) \S+ "
    r"[\w./-]+\[(?P<pid>\d+)\]: "
)


@dataclass(frozen=True)
class Verdict:
    """The verdict on one login. `time` is in seconds since 1970."""

    verdict: str
    time: float
    service: str
    rhost: str


@dataclass
class Verdicts:
    """The last verdict on each account, and where it is from, "" if there is no log."""

    source: str
    last: dict[str, Verdict]


def last_verdicts(names: set[str], groups: Groups) -> Verdicts:
    """Return the last verdict on each of these accounts, as far back as the log can be read.

    A login has a line in the log for each line of Trex's that was asked; `groups` say what these
    come to.
    """
    for source, lines in (("journal", _journal()), ("/var/log/auth.log", _filed())):
        with closing(lines):
            last = _newest(lines, names, groups)
        if last:
            return Verdicts(source, last)
    return Verdicts("", {})


@dataclass
class _Login:
    """The newest login of an account, and its verdicts by method, the newest first."""

    process: str
    newest: Verdict
    told: dict[str, Verdict]

    def verdict(self, groups: Groups) -> Verdict:
        """Return that of the first group that did not let the user in; else the newest."""
        for methods in groups.get(self.newest.service, []):
            told = [one for method, one in self.told.items() if method in methods]
            if told and not any(one.verdict == ACCEPTED.text for one in told):
                return told[0]
        return self.newest


def _newest(lines: Lines, names: set[str], groups: Groups) -> dict[str, Verdict]:
    """Return each account's verdict in lines of which the newest comes first."""
    logins: dict[str, _Login] = {}
    waiting = set(names)  # whose newest login may have more lines
    for when, process, line in lines:
        found = LINE.match(line)
        name = found["user"].strip('"') if found else ""
        if not found or name not in waiting or not 0 <= when <= LAST:
            continue
        service, rhost = (cut(found[part].strip('"')) for part in ("service", "rhost"))
        verdict, method = Verdict(found["verdict"], when, service, rhost), found["method"]
        one = logins.setdefault(name, _Login(process, verdict, {}))
        if one.process != process or one.newest.service != service:
            continue  # another login: two can run at once
        if method in one.told:  # the same process has asked before, and now once more
            waiting.discard(name)
        one.told.setdefault(method, verdict)
        if len(one.told) >= sum(map(len, groups.get(service, []))):
            waiting.discard(name)
        if not waiting:
            break
    return {name: one.verdict(groups) for name, one in logins.items()}


def _journal() -> Lines:
    """Yield the times and lines that root's processes have written, the newest first."""
    command = [JOURNALCTL, "--quiet", "--no-pager", "--reverse", "--output=json",
               "--output-fields=MESSAGE,SYSLOG_PID", "--grep=^pam_trex", "--case-sensitive=yes",
               f"SYSLOG_FACILITY={AUTHPRIV >> 3}", "_UID=0"]  # fmt: skip
    try:
        child = subprocess.Popen(  # noqa: S603 (an absolute path and a list)
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except OSError:
        return
    with child:
        try:
            for line in _lines(child, time.monotonic() + SECONDS):
                if entry := _entry(line):
                    yield entry
        finally:
            child.kill()


def _lines(child: subprocess.Popen[bytes], deadline: float) -> Generator[bytes, None, None]:
    """Yield what a program writes until the deadline, or MOST bytes."""
    if child.stdout is None:
        return
    source = child.stdout.fileno()
    poll = select.poll()
    poll.register(source, select.POLLIN)
    rest, read = b"", 0
    while read < MOST and poll.poll(milliseconds_until(deadline)):
        more = os.read(source, 1 << 16)
        if not more:
            return
        read += len(more)
        *lines, rest = (rest + more).split(b"\n")
        yield from lines


def _entry(line: bytes) -> tuple[float, str, str] | None:
    """Return an entry's time, process and message (journal-json); bytes that are no text, a list.

    The process is the one that asked PAM, as Trex names it: the one that wrote may be a helper.
    """
    try:
        told = json.loads(line)
        process = str(told.get("SYSLOG_PID", ""))
        return int(told["__REALTIME_TIMESTAMP"]) / 1e6, process, str(told["MESSAGE"])
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def _filed() -> Lines:
    for path in FILES:
        for line in reversed(_tail(path).split("\n")):
            if "pam_trex(" in line and (head := FILED.match(line)):
                when = _seconds(head["time"])
                if when is not None:
                    yield when, head["pid"], line[head.end() :]


def _tail(path: str) -> str:
    """Return the end of a log file of root's; nothing where there is none."""
    try:
        with open(path, "rb", opener=_opened) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - MOST))
            return file.read(MOST).decode("utf-8", "replace")
    except OSError:
        return ""


def _opened(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _seconds(written: str) -> float | None:
    """Return a time as seconds since 1970; without a year it is the last one that was."""
    try:
        if written[0].isdigit():
            return datetime.fromisoformat(written).timestamp()
        month, day, clock = written.split()
        hour, minute, second = map(int, clock.split(":"))
        now = datetime.now().astimezone()
        for year in (now.year, now.year - 1):
            with suppress(ValueError):  # of these years perhaps one alone has a 29 February
                when = datetime(year, MONTHS.index(month) + 1, int(day), hour, minute, second)  # noqa: DTZ001 (local time)
                if when.timestamp() <= now.timestamp() + 24 * 3600:
                    return when.timestamp()
    except (ValueError, OverflowError):
        return None
    return None


def written(seconds: float) -> str:
    """Return a time in UTC, as `2026-11-22T07:17:36Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
