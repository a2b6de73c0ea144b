"""contrib/fail2ban: its filter reads the lines that real logins write, and is not led astray."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

FILTER = sandbox.PROJECT / "contrib/fail2ban/filter.d/pam_trex.conf"
ADDRESS, OTHER = "203.0.113.7", "198.51.100.9"


def banned(tmp_path: Path, lines: list[str]) -> list[str]:
    """Return the addresses that fail2ban takes from these lines of syslog."""
    told = tmp_path / "auth.log"
    told.write_text("".join(re.sub(r"^<\d+>", "", line) + "\n" for line in lines))
    for path in (FILTER, Path("/etc/fail2ban/filter.d/common.conf")):
        shutil.copy(path, tmp_path)
    done = subprocess.run(["fail2ban-regex", "--out", "ip", told, tmp_path / FILTER.name], capture_output=True,
                          text=True, check=False)  # fmt: skip
    return done.stdout.split()


def refused(client: Path, service: Callable[..., str], log: Log, user: str, *words: str) -> str:
    log.clear()
    asked = sandbox.ask_pam(client, service(), user, "--rhost", ADDRESS, *words)
    assert asked.verdict != "PAM_SUCCESS"
    return log.verdict()


@pytest.fixture
def lines(
    alice: Account, client: Path, service: Callable[..., str], log: Log, keys: Keys
) -> list[str]:
    alice.write(f"{keys['cv25519']} trust nosign\n")
    wrong = refused(client, service, log, "alice", "--answer", "0123456789")
    nothing = refused(client, service, log, "alice", "--answer", "")
    unknown = refused(client, service, log, "nobody-of-that-name", "--answer", "x")
    return [wrong, nothing, unknown]


def test_each_failed_login_counts(lines: list[str], tmp_path: Path) -> None:
    assert [line.split("auth): ")[1].split(":")[0] for line in lines] == [
        "wrong response", "no response", "unknown user",
    ]  # fmt: skip
    assert banned(tmp_path, lines) == [ADDRESS] * len(lines)


def test_what_its_owner_cannot_help_does_not_count(
    alice: Account, client: Path, service: Callable[..., str], log: Log, tmp_path: Path
) -> None:
    alice.write("nonsense\n")
    line = refused(client, service, log, "alice", "--answer", "x")
    assert ": could not check: " in line
    assert banned(tmp_path, [line]) == []


@pytest.mark.parametrize(
    "user",
    [
        f"x service=sshd rhost={OTHER} method=",
        f'x" service=sshd rhost={OTHER} method="',
        f"wrong response: user=x service=sshd rhost={OTHER} method=openpgp",
        f"x\npam_trex(sshd:auth): wrong response: user=x service=sshd rhost={OTHER} method=",
    ],
)
def test_no_name_has_another_banned(
    client: Path, service: Callable[..., str], log: Log, tmp_path: Path, user: str
) -> None:
    line = refused(client, service, log, user, "--answer", "x")
    assert OTHER in line
    assert banned(tmp_path, [line]) == [ADDRESS]
