"""A real rsyslogd with Debian's own configuration: its file has the line, and its readers find it."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.listing import account, listed
from tests.support.servers import START_SECONDS, end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account, Asked

DEBIANS, AUTH_LOG = Path("/etc/rsyslog.conf"), Path("/var/log/auth.log")
SOCKET, ASIDE = Path("/dev/log"), Path("/dev/log-of-the-tests")
FILTER = sandbox.PROJECT / "contrib/fail2ban/filter.d/pam_trex.conf"
ADDRESS = "203.0.113.7"


def wait_for(is_so: Callable[[], bool], server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        assert server.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def rsyslog(client: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve /dev/log in place of the tests; the kernel's log is left to the machine."""
    ours = sandbox.PLACE / "rsyslog.conf"
    lines = DEBIANS.read_text().splitlines(keepends=True)
    ours.write_text("".join(line for line in lines if "imklog" not in line))
    SOCKET.rename(ASIDE)
    server = subprocess.Popen(["/usr/sbin/rsyslogd", "-n", "-f", ours, "-i", "NONE"])
    try:
        wait_for(SOCKET.exists, server)
        yield server
    finally:
        end(server)
        SOCKET.unlink(missing_ok=True)
        ASIDE.rename(SOCKET)
        ours.unlink()
        for path in Path("/var/log").glob("*.log"):
            path.unlink()


@pytest.fixture
def jailed(place: Path) -> Iterator[Path]:
    """The filter, copied to where docs/configuration.md puts it."""
    copy = Path("/etc/fail2ban/filter.d") / FILTER.name
    shutil.copy(FILTER, copy)
    yield copy
    copy.unlink()


def test_its_file_is_read_by_people_by_trex_list_and_by_fail2ban(
    host: Account, rsyslog: subprocess.Popen[bytes], jailed: Path, log_in: Callable[..., Asked],
    ask: Callable[..., Asked],
) -> None:  # fmt: skip
    assert ask("alice", "--answer", "wrong", "--rhost", ADDRESS).verdict == "PAM_AUTH_ERR"
    assert log_in("alice").verdict == "PAM_SUCCESS"
    wait_for(lambda: AUTH_LOG.exists() and ": accepted: " in AUTH_LOG.read_text(), rsyslog)
    lines = [line for line in AUTH_LOG.read_text().splitlines() if "pam_trex" in line]
    written = re.compile(
        r"\S+ \S+ pam_client\[\d+\]: pam_trex\(trex-test-\d+:auth\): (.*?): user=alice "
    )
    assert written.findall("\n".join(lines)) == ["wrong response", "accepted"]
    report = listed()
    assert report["log"] == str(AUTH_LOG)
    assert account(report, "alice")["last"]["verdict"] == "accepted"
    banned = subprocess.run(["fail2ban-regex", "--out", "ip", AUTH_LOG, jailed],
                            capture_output=True, text=True, check=False)  # fmt: skip
    assert banned.stdout.split() == [ADDRESS], banned
