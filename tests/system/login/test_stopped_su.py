"""What somebody's own su leaves of others' logins: stopped for good, or with limits of their own."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log

MANY = 6  # su of mallory's that are stopped
GPGS = 2  # that each starts at once: one lists keys, the other will encrypt
WAITING = "sleep 600"
DYING = ("Z", "X")  # states of proc(5)


@pytest.fixture
def su(place: Path) -> Iterator[Callable[..., None]]:
    """Have su ask the module with these arguments."""
    before = (sandbox.PAM_SERVICES / "su").read_text()

    def write(*arguments: str) -> None:
        line = " ".join(["auth required pam_python.so", str(sandbox.ENTRY), *arguments])
        sandbox.pam_service("su", line, *ACCOUNT_LINES)

    yield write
    (sandbox.PAM_SERVICES / "su").write_text(before)


@pytest.fixture
def central(
    su: Callable[..., None], account: Callable[[str], Account], holder: Holder,
    keys: dict[str, str], place: Path, seconds: int,
) -> Account:  # fmt: skip
    """Central mode for alice, whose gpg has so many seconds; return the account that runs it."""
    reader = account("reader")
    reader.import_keys(holder.public(keys["cv25519"]))
    users = place / "stopped-su-users"
    users.mkdir(exist_ok=True)
    (users / "alice").write_text(f"{keys['cv25519']} trust nosign\n")
    waiting = place / "stopped-su-gpg"
    waiting.write_text(
        f'#!/bin/sh\n[ -e {place}/wait ] && exec {WAITING}\nexec /usr/bin/gpg "$@"\n'
    )
    waiting.chmod(0o755)
    su(f"auth_file={users}/%u", f"gnupg_home={reader.gnupg}", "run_as=reader",
       f"gpg={waiting}", f"gpg_timeout={seconds}")  # fmt: skip
    return reader


def begun(caller: Account, *limits: str) -> subprocess.Popen[str]:
    """Start `su alice` as somebody else, who would also have no timer end anything."""
    limited = ["env", "--ignore-signal=ALRM", *(["prlimit", *limits] if limits else [])]
    return subprocess.Popen(
        ["setpriv", f"--reuid={caller.name}", f"--regid={caller.name}", "--clear-groups",
         *limited, "/usr/bin/su", "-c", "true", "alice"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip


def states(uid: int) -> list[str]:
    """Return the states (proc(5)) of an account's processes."""
    found = []
    for pid in sandbox.processes_here():
        try:
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        rows = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        if rows["Uid"].split()[0] == str(uid):
            found.append(rows["State"][0])
    return found


def are_waiting() -> int:
    """Return how many gpgs wait, as `central` has them."""
    return sum(name.startswith(WAITING) for name in sandbox.processes_here().values())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@contextmanager
def stopped(caller: Account, number: int) -> Iterator[None]:
    """Start so many su, each stopped by its caller after it started its gpgs, which wait."""
    running: list[subprocess.Popen[str]] = []
    wait = sandbox.PLACE / "wait"
    wait.touch()
    try:
        for so_many in range(1, number + 1):
            running.append(begun(caller))
            wait_until(lambda so_many=so_many: are_waiting() >= GPGS * so_many)  # type: ignore[misc]
            caller.run("kill", "-STOP", str(running[-1].pid))
        wait.unlink()
        yield
    finally:
        wait.unlink(missing_ok=True)
        for one in running:
            one.kill()
            one.communicate()


@pytest.mark.parametrize("seconds", [120])
@pytest.mark.usefixtures("alice")
def test_su_that_somebody_has_stopped_take_no_processes_from_others(
    account: Callable[[str], Account], central: Account, log: Log
) -> None:
    """The kernel counts all processes of the account that runs gpg against the caller's limit.

    It is the soft limit, because a container's root may lack CAP_SYS_RESOURCE, and raise no other.
    """
    mallory, carol = account("mallory"), account("carol")
    with stopped(mallory, MANY):
        assert len(states(central.uid)) >= GPGS * MANY
        said, _ = begun(carol, f"--nproc={MANY}:").communicate("x\n", timeout=60)
    assert "-----END PGP MESSAGE-----" in said, log.verdict()
    assert "wrong response: user=alice" in log.verdict()


@pytest.mark.parametrize("seconds", [5])
@pytest.mark.usefixtures("alice")
def test_gpg_ends_in_time_although_its_login_is_stopped(
    account: Callable[[str], Account], central: Account
) -> None:
    """It is a zombie until su continues and asks for its status."""
    with stopped(account("mallory"), 1):
        wait_until(lambda: set(states(central.uid)) <= set(DYING))


def test_a_limit_on_files_leaves_nothing_beside_another_s_codes(
    alice: Account, account: Callable[[str], Account], su: Callable[..., None], log: Log
) -> None:
    su("method=totp")
    path = alice.write(text('" RATE_LIMIT 3 3600', '" TOTP_AUTH', "12345678"), FILE)
    before = path.read_text()
    mallory = account("mallory")
    for _ in range(2):
        log.clear()
        mine = begun(mallory, "--fsize=0")
        mine.communicate("12345678\n", timeout=60)
        assert mine.returncode == 1
        assert "File too large" in log.verdict()
    assert [entry.name for entry in alice.home.glob(".*google*")] == [FILE]
    assert path.read_text() == before
