"""pam_trex.so in su, without any guard: nothing that the caller chooses reaches the login."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import native, sandbox
from tests.system.login.test_path import Attacker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

MESSAGE = r"-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----"
CALLERS = {
    "PATH": [],
    "PYTHON": ["env", "PYTHONHOME={home}", "PYTHONPATH={home}/lib", "PYTHONSTARTUP={home}/lib/os.py",
               "PYTHONINSPECT=1", "PYTHONPYCACHEPREFIX={home}", "PYTHONPLATLIBDIR={home}/lib"],
    "LD": ["env", "LD_PRELOAD={home}/a.so", "LD_LIBRARY_PATH={home}", "LD_AUDIT={home}/a.so",
           "GCONV_PATH={home}", "LOCPATH={home}", "TZ={home}/zone", "TMPDIR={home}"],
    "gpg": ["env", "GNUPGHOME={home}", "GPG_AGENT_INFO={home}/S", "GPG_TTY=/dev/tty"],
    "limits": ["prlimit", "--fsize=0:", "--cpu=2:", "--core=unlimited:", "--nofile=12:", "--nproc=300:",
               "--stack=262144:", "--rss=1:", "--memlock=0:", "--sigpending=0:", "--locks=0:"],
    "nice": ["nice", "-n", "19", "chrt", "--idle", "0"],
    "descriptors": ["sh", "-c", 'exec 5</dev/null 6</dev/null 9>/dev/null "$@"', "sh"],
    "signals": ["env", "--ignore-signal", "--block-signal"],
    "umask": ["sh", "-c", 'umask 0777; exec "$@"', "sh"],
}  # fmt: skip


@pytest.fixture
def mallory(account: Callable[[str], Account]) -> Attacker:
    return Attacker(account("mallory"))


@pytest.fixture
def su(native_door: Path) -> Iterator[None]:
    """Have su ask Trex through this door, alone."""
    path = sandbox.PAM_SERVICES / "su"
    before = path.read_bytes()
    native.service("su", native_door)
    path.write_text(path.read_text() + "session required pam_permit.so\n")
    yield
    path.write_bytes(before)


def open_prompt(mallory: Attacker, how: str, **options: bool) -> tuple[pexpect.spawn[str], str]:
    before = [word.format(home=mallory.account.home) for word in CALLERS[how]]
    terminal = mallory.run(*before, "/usr/bin/su", "alice", "-c", "id -un", **options)
    terminal.expect(MESSAGE)
    message = str(terminal.after).replace("\r\n", "\n")
    terminal.expect("Response: ")
    return terminal, message


@pytest.mark.usefixtures("su")
@pytest.mark.parametrize("path", [True, False])
@pytest.mark.parametrize("how", CALLERS)
def test_whatever_the_caller_chooses_the_right_response_succeeds_and_nothing_of_theirs_runs(
    alice: Account, mallory: Attacker, holder: Holder, how: str, path: bool
) -> None:
    terminal, message = open_prompt(mallory, how, path=path)
    terminal.sendline(str(holder.decrypt(message)).strip())
    terminal.expect("alice\r\n")
    terminal.expect(pexpect.EOF)
    assert not mallory.fired.exists()


@pytest.mark.usefixtures("su")
@pytest.mark.parametrize("how", ["limits", "nice", "signals", "umask"])
def test_the_helper_is_root_s_own_while_the_prompt_is_open(
    alice: Account, mallory: Attacker, how: str
) -> None:
    """With real and saved ids of root's, no signal and no debugger of the caller's reaches it."""
    terminal, _ = open_prompt(mallory, how)
    keeper, helper = below(terminal.pid)
    for pid in (keeper, helper):
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t0\t0\t0\t0\n" in status
        assert "Gid:\t0\t0\t0\t0\n" in status
        assert "Umask:\t0077\n" in status
        assert os.getsid(pid) == pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == 0
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
        limits = Path(f"/proc/{pid}/limits").read_text()
        for name in ("cpu time", "file size", "processes", "address space"):
            found = re.search(rf"^Max {name} +(\w+) +(\w+) ", limits, re.MULTILINE)
            assert found
            # As high as the kernel lets it: without CAP_SYS_RESOURCE the hard limit stays.
            assert found[1] == found[2]
        assert mallory.account.run("sh", "-c", f"kill -STOP {pid} || echo refused") == b"refused\n"
    terminal.sendline("wrong")
    terminal.expect(pexpect.EOF)
    assert not Path(f"/proc/{helper}").exists()


def below(pid: int) -> list[int]:
    """Return a process's only child, the child's only child, and so on."""
    found: list[int] = []
    while True:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if not children:
            return found
        assert len(children) == 1
        pid = int(children[0])
        found.append(pid)
