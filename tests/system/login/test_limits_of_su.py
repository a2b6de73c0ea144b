"""Each limit alone, and a cgroup's on processes, as low as a caller of su can set it: no login hangs, and nothing of it stays."""

from __future__ import annotations

import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import native, sandbox
from tests.support.mounts import remove_group
from tests.system.login.test_native_su import MESSAGE
from tests.system.login.test_path import Attacker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log

# With these su itself does all that it has to do, and nothing of them reaches the helper.
HARMLESS = ["core=0", "fsize=0", "fsize=1", "locks=0", "memlock=0", "msgqueue=0", "nice=0", "rss=0",
            "rtprio=0", "sigpending=0", "rttime=1", "nofile=24:", "cpu=5",
            "stack=1000000"]  # fmt: skip
# With these su may fail before it asks, or after; or gpg, where root may not raise a hard limit, as in
# some containers.
HARD = ["as=0", "as=4000000", "as=20000000", "data=0", "data=100000", "stack=0", "stack=20000", "nproc=0", "nproc=1",
        "cpu=0", "rttime=0", *(f"nofile={number}" for number in range(18))]  # fmt: skip


@pytest.fixture
def mallory(account: Callable[[str], Account], native_door: Path) -> Iterator[Attacker]:
    su = sandbox.PAM_SERVICES / "su"
    before = su.read_bytes()
    native.service("su", native_door)
    su.write_text(su.read_text() + "session required pam_permit.so\n")
    yield Attacker(account("mallory"))
    su.write_bytes(before)


MOST = 6  # su, the keeper, the helper, gpg and what looks after it, with one to spare
SU = ["/usr/bin/su", "alice", "-c", "id -un"]


def helpers() -> list[int]:
    """Return the helpers that there are: they, and keepers, have a session of their own."""
    found = []
    for pid in sandbox.processes_here():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"/trex/login/helper.py" in words:
            found.append(int(pid))
    return found


@contextmanager
def nothing_stays() -> Iterator[None]:
    before = sandbox.processes_here().keys()
    yield
    deadline = time.monotonic() + 30
    while left := [name for pid, name in sandbox.processes_here().items() if pid not in before]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)
    assert helpers() == []


def answered(terminal: pexpect.spawn[str], holder: Holder) -> bool:
    """Answer rightly if there is a prompt; tell whether it let them in. It ends in any case."""
    try:
        if terminal.expect([MESSAGE, pexpect.EOF]) == 0:
            message = str(terminal.after).replace("\r\n", "\n")
            if terminal.expect(["Response: ", pexpect.EOF]) == 0:
                terminal.sendline(str(holder.decrypt(message)).strip())
                terminal.expect(pexpect.EOF)
        return "\r\nalice\r\n" in str(terminal.before)
    finally:
        terminal.close(force=True)


@pytest.mark.parametrize("limit", HARMLESS)
def test_a_limit_of_the_caller_s_keeps_nobody_from_the_right_response(
    alice: Account, mallory: Attacker, holder: Holder, limit: str
) -> None:
    with nothing_stays():
        assert answered(mallory.run("prlimit", f"--{limit}", *SU), holder)


@pytest.mark.parametrize("limit", HARD)
def test_a_limit_with_which_su_fails_is_a_refusal_and_nothing_stays(
    alice: Account, mallory: Attacker, holder: Holder, log_in: Callable[..., Asked], limit: str
) -> None:
    with nothing_stays():
        answered(mallory.run("prlimit", f"--{limit}", *SU), holder)
    assert log_in("alice").verdict == "PAM_SUCCESS"


@pytest.fixture
def group(mallory: Attacker) -> Iterator[Path]:
    """Make a cgroup that can limit processes, of the old kind or of the new."""
    with tempfile.TemporaryDirectory(prefix="trex-pids-") as place:
        old = ["mount", "-t", "cgroup", "-o", "pids", "none", place]
        if subprocess.run(old, check=False, capture_output=True).returncode != 0:
            subprocess.run(["mount", "-t", "cgroup2", "none", place], check=True)
            Path(place, "cgroup.subtree_control").write_text("+pids")
        made = Path(tempfile.mkdtemp(prefix="trex-mallory-", dir=place))
        yield made
        remove_group(made)
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("processes", range(1, MOST + 1))
def test_a_cgroup_without_room_for_processes_holds_up_nobody_else(
    alice: Account, mallory: Attacker, holder: Holder, group: Path, log_in: Callable[..., Asked],
    log: Log, processes: int,
) -> None:  # fmt: skip
    """As systemd limits what each user has (TasksMax=), and they may themselves."""
    with nothing_stays():
        terminal = mallory.run("sh", "-c", 'read -r go && exec "$@"', "sh", *SU)
        (group / "cgroup.procs").write_text(str(terminal.pid))
        (group / "pids.max").write_text(str(processes))
        terminal.sendline("go")
        let_in = answered(terminal, holder)
        told = log.trex()
        assert log_in("alice").verdict == "PAM_SUCCESS"
    assert len(told) == 1
    reasons = ("Resource temporarily unavailable", "no valid verdict", "accepted: user=alice")
    assert any(reason in told[0] for reason in reasons)
    assert let_in == ("accepted" in told[0])
    assert let_in or processes < MOST
