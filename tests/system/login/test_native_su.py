"""pam_trex.so in su and sudo, without any guard: nothing that the caller chooses reaches the login."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import native, sandbox
from tests.support.mounts import remove_group
from tests.system.login.test_path import Attacker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked

MESSAGE = r"-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----"
PROGRAMS = {
    "su": ["/usr/bin/su", "alice", "-c", "id -un"],
    "sudo": ["/usr/bin/sudo", "-u", "alice", "id", "-un"],
}
SUDOERS = "Defaults targetpw, !lecture\nmallory ALL=(ALL) ALL\n"
# What no program of a shell's sets for another one. The numbers are prctl(2)'s and those of system calls.
CALL = """\
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
one_node = ctypes.byref(ctypes.c_ulong(1))
other = os.uname().machine == "aarch64"
made = {code}
if made < 0:
    raise SystemExit(os.strerror(ctypes.get_errno()))
os.execv(sys.argv[1], sys.argv[1:])
"""
SLACK = "libc.prctl(29, ctypes.c_ulong(10**8))"  # PR_SET_TIMERSLACK, nanoseconds
MEMORY = (
    "libc.syscall([238, 237][other], 2, one_node, ctypes.c_ulong(8))"  # set_mempolicy(2), MPOL_BIND
)
KEYRING = "libc.syscall([250, 219][other], 1, b'trex-mallory')"  # keyctl_join_session_keyring(3)
FIXED = "libc.prctl(65, *map(ctypes.c_ulong, [1, 0, 0, 0])) * 0"  # PR_SET_MDWE, which Debian 12's kernel lacks
SLACK_NS = 50_000  # the kernel's own
CALLERS = {
    "PATH": [],
    "PYTHON": ["env", "PYTHONHOME={home}", "PYTHONPATH={home}/lib", "PYTHONSTARTUP={home}/lib/os.py",
               "PYTHONINSPECT=1", "PYTHONPYCACHEPREFIX={home}", "PYTHONPLATLIBDIR={home}/lib"],
    "LD": ["env", "LD_PRELOAD={home}/a.so", "LD_LIBRARY_PATH={home}", "LD_AUDIT={home}/a.so",
           "TZ={home}/zone", "TMPDIR={home}"],
    "locale": ["env", "GCONV_PATH={home}", "LOCPATH={home}", "NLSPATH={home}/%N", "LC_ALL=xx_XX.UTF-7",
               "LANGUAGE=xx", "OUTPUT_CHARSET=UTF-7"],
    "gpg": ["env", "GNUPGHOME={home}", "GPG_AGENT_INFO={home}/S", "GPG_TTY=/dev/tty"],
    "limits": ["prlimit", "--fsize=0:", "--cpu=2:", "--core=unlimited:", "--nofile=24:", "--nproc=300:",
               "--as=1000000000:", "--data=500000000:", "--rttime=9000000:", "--stack=262144:", "--rss=1:", "--memlock=0:", "--sigpending=0:", "--locks=0:"],
    "processes": ["prlimit", "--nproc=1:"],
    "nice": ["nice", "-n", "19", "ionice", "-c", "3", "taskset", "1", "chrt", "--idle", "0"],
    "machine": ["setarch", "linux32", "--short-inode"],
    "slack": [sys.executable, "-I", "-c", CALL.format(code=SLACK)],
    "memory": [sys.executable, "-I", "-c", CALL.format(code=MEMORY)],
    "keyring": [sys.executable, "-I", "-c", CALL.format(code=KEYRING)],
    "fixed": [sys.executable, "-I", "-c", CALL.format(code=FIXED)],
    "oom": ["choom", "--adjust", "1000", "--"],
    "dumps": ["sh", "-c", 'echo 0x7f >/proc/self/coredump_filter; exec "$@"', "sh"],
    "group": ["sh", "-c", 'echo 19 >/proc/self/autogroup; exec "$@"', "sh"],
    "descriptors": ["sh", "-c", 'exec 5</dev/null 6</dev/null 9>/dev/null "$@"', "sh"],
    "signals": ["env", "--ignore-signal", "--block-signal"],
    "umask": ["sh", "-c", 'umask 0777; exec "$@"', "sh"],
}  # fmt: skip
HELPERS = ["processes"]  # with which nothing can follow the login
# As high as the kernel lets them be: without CAP_SYS_RESOURCE a hard limit stays.
HIGHEST = ("cpu time", "file size", "data size", "resident set", "processes", "locked memory",
           "address space", "file locks", "pending signals", "realtime timeout", "stack size",
           "open files", "core file size")  # fmt: skip
CGROUPS = Path("/sys/fs/cgroup")


@pytest.fixture
def mallory(account: Callable[[str], Account]) -> Attacker:
    return Attacker(account("mallory"))


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest, native_door: Path) -> Iterator[str]:
    """Have a set-user-ID program ask Trex through this door, alone."""
    name: str = request.param
    path, rule = sandbox.PAM_SERVICES / name, Path("/etc/sudoers.d/mallory")
    before = path.read_bytes()
    native.service(name, native_door)
    path.write_text(path.read_text() + "session required pam_permit.so\n")
    rule.write_text(SUDOERS)
    rule.chmod(0o440)
    yield name
    path.write_bytes(before)
    rule.unlink()


def open_prompt(
    mallory: Attacker, program: str, how: str, **options: bool
) -> tuple[pexpect.spawn[str], str]:
    before = [word.replace("{home}", str(mallory.account.home)) for word in CALLERS[how]]
    terminal = mallory.run(*before, *PROGRAMS[program], **options)
    return terminal, message_at(terminal)


def message_at(terminal: pexpect.spawn[str]) -> str:
    terminal.expect(MESSAGE)
    message = str(terminal.after).replace("\r\n", "\n")
    terminal.expect("Response: ")
    return message


@pytest.mark.parametrize(
    ("how", "path"), [("PATH", False), *((how, True) for how in CALLERS if how not in HELPERS)]
)
def test_whatever_the_caller_chooses_the_right_response_succeeds_and_nothing_of_theirs_runs(
    alice: Account, mallory: Attacker, holder: Holder, program: str, how: str, path: bool
) -> None:
    terminal, message = open_prompt(mallory, program, how, path=path)
    terminal.sendline(str(holder.decrypt(message)).strip())
    terminal.expect("alice\r\n")
    terminal.expect(pexpect.EOF)
    assert not mallory.fired.exists()


@pytest.mark.parametrize(
    "how",
    [
        "limits",
        "machine",
        "nice",
        "slack",
        "signals",
        "umask",
        "memory",
        "oom",
        "dumps",
        "group",
        *HELPERS,
    ],
)
def test_the_helper_is_root_s_own_while_the_prompt_is_open(
    alice: Account, mallory: Attacker, program: str, how: str
) -> None:
    """With real and saved ids of root's, no signal and no debugger of the caller's reaches it."""
    terminal, _ = open_prompt(mallory, program, how)
    keeper, helper = below(terminal.pid)
    for pid in (keeper, helper):
        status = Path(f"/proc/{pid}/status").read_text()
        assert "Uid:\t0\t0\t0\t0\n" in status
        assert "Gid:\t0\t0\t0\t0\n" in status
        assert re.search(r"^Groups:\t *$", status, re.MULTILINE)
        assert "Umask:\t0077\n" in status
        assert os.getsid(pid) == pid
        assert os.getpriority(os.PRIO_PROCESS, pid) == 0
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
        assert os.sched_getaffinity(pid) == os.sched_getaffinity(0)
        assert b"idle" not in subprocess.check_output(["ionice", "--pid", str(pid)])
        assert int(Path(f"/proc/{pid}/timerslack_ns").read_text()) == SLACK_NS
        assert int(Path(f"/proc/{pid}/personality").read_text(), 16) == 0
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "0\n"
        assert " nice 0\n" in Path(f"/proc/{pid}/autogroup").read_text()
        assert int(Path(f"/proc/{pid}/coredump_filter").read_text(), 16) == 0
        assert " bind:" not in Path(f"/proc/{pid}/numa_maps").read_text()
        limits = Path(f"/proc/{pid}/limits").read_text()
        for name in HIGHEST:
            found = re.search(rf"^Max {name} +(\w+) +(\w+) ", limits, re.MULTILINE)
            assert found, name
            assert found[1] == found[2], name
        assert mallory.account.run("sh", "-c", f"kill -STOP {pid} || echo refused") == b"refused\n"
    terminal.sendline("wrong")
    terminal.close(force=True)
    wait_until(lambda: not is_alive(helper))


@pytest.fixture
def gpg_that_lists_keys(native_door: Path, place: Path, program: str) -> Path:
    """Have a script as gpg; return the file in which it leaves what keys(5) has for it."""
    told, script = place / "keys-of-the-login", place / "gpg-that-lists-keys"
    told.touch()
    told.chmod(0o666)
    script.write_text(f'#!/bin/sh\ncat /proc/keys >>{told}\nexec /usr/bin/gpg "$@"\n')
    script.chmod(0o755)
    native.service(program, native_door, f"gpg={script}")
    return told


@pytest.mark.skipif(not Path("/proc/keys").exists(), reason="this kernel has no keyrings")
@pytest.mark.parametrize("program", ["su"], indirect=True)
def test_gpg_does_not_possess_the_caller_s_keys(
    alice: Account, mallory: Attacker, program: str, gpg_that_lists_keys: Path
) -> None:
    """A session keyring stays over fork(2) and execve(2), and what is in it may be used."""
    caller = [*CALLERS["keyring"], "/bin/grep", "-c", "trex-mallory", "/proc/keys"]
    assert mallory.account.run(*caller) == b"1\n"
    terminal, _ = open_prompt(mallory, program, "keyring")
    terminal.close(force=True)
    assert ": " in gpg_that_lists_keys.read_text()
    assert "trex-mallory" not in gpg_that_lists_keys.read_text()


@pytest.mark.parametrize("program", ["su"], indirect=True)
@pytest.mark.parametrize(("closed", "status"), [("1>&-", 0), ("0<&-", 1), ("2>&-", 1)])
def test_a_closed_descriptor_ends_no_login_that_can_still_ask(
    alice: Account, mallory: Attacker, holder: Holder, program: str, closed: str, status: int
) -> None:
    """For a set-user-ID program glibc opens what is closed of the first three, for nothing."""
    words = ["/usr/bin/su", "alice", "-c", "true"]
    terminal = mallory.run("sh", "-c", f'exec "$@" {closed}', "sh", *words)
    if status == 0:
        terminal.sendline(str(holder.decrypt(message_at(terminal))).strip())
    while terminal.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=2) != 0:
        terminal.sendline("wrong")  # where the prompt is not seen, what is typed before it is lost
    terminal.close()
    assert terminal.exitstatus == status


@pytest.fixture(params=["", "unified"])
def group(request: pytest.FixtureRequest, mallory: Attacker) -> Iterator[Path]:
    """Make a cgroup that can be frozen, where systemd has them, alone or beside the old ones."""
    root = CGROUPS / request.param
    mounted = [CGROUPS]
    if root != CGROUPS:
        subprocess.run(["mount", "-t", "tmpfs", "trex-cgroup", CGROUPS], check=True)
        root.mkdir()
        mounted = [root, CGROUPS]
    subprocess.run(["mount", "-t", "cgroup2", "none", root], check=True)
    # The hierarchy is the kernel's, and others may try the same at the same time.
    made = Path(tempfile.mkdtemp(prefix="trex-mallory-", dir=root))
    yield made
    remove_group(made)
    subprocess.run(["umount", *mounted], check=True)


def test_a_frozen_cgroup_holds_neither_helper_nor_keeper(
    alice: Account, mallory: Attacker, program: str, group: Path, log_in: Callable[..., Asked]
) -> None:
    """Nothing of a frozen login keeps others waiting, and nothing of it stays."""
    terminal = mallory.run("sh", "-c", 'read -r go && exec "$@"', "sh", *PROGRAMS[program])
    (group / "cgroup.procs").write_text(str(terminal.pid))
    terminal.sendline("go")
    terminal.expect("Response: ")
    own = below(terminal.pid)
    (group / "cgroup.freeze").write_text("1")
    wait_until(lambda: "frozen 1" in (group / "cgroup.events").read_text())
    for pid in own:
        assert group.name not in Path(f"/proc/{pid}/cgroup").read_text()
    assert log_in("alice").verdict == "PAM_SUCCESS"
    (group / "cgroup.kill").write_text("1")
    wait_until(lambda: not any(is_alive(pid) for pid in own))
    terminal.close(force=True)


def test_a_killed_cgroup_ends_the_login_and_nothing_of_it_stays(
    alice: Account, mallory: Attacker, program: str, group: Path, log_in: Callable[..., Asked]
) -> None:
    """cgroup.kill reaches su, or sudo, and not what has left the cgroup: that ends with its socket."""
    terminal = mallory.run("sh", "-c", 'read -r go && exec "$@"', "sh", *PROGRAMS[program])
    (group / "cgroup.procs").write_text(str(terminal.pid))
    terminal.sendline("go")
    terminal.expect("Response: ")
    own = below(terminal.pid)
    (group / "cgroup.kill").write_text("1")
    wait_until(lambda: not any(is_alive(pid) for pid in [terminal.pid, *own]))
    assert log_in("alice").verdict == "PAM_SUCCESS"
    terminal.close(force=True)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process, and not only its status for a parent to take."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


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
