"""Each call that trex-confine's filter denies, made by its number and with arguments that do nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.proof.checkout import ROOT
from trex.system import seccomp

if TYPE_CHECKING:
    from collections.abc import Iterator

if os.geteuid() != 0:
    pytest.skip(
        "a call that only root may make is denied to others anyway", allow_module_level=True
    )
if not seccomp.is_available():
    pytest.skip("this kernel has no filters for system calls", allow_module_level=True)

# Written down once more: the filter's own table must not decide what is tried.
NEVER = [
    "acct",
    "add_key",
    "adjtimex",
    "bpf",
    "chroot",
    "clock_adjtime",
    "clock_settime",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kcmp",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "migrate_pages",
    "mount",
    "mount_setattr",
    "move_mount",
    "move_pages",
    "name_to_handle_at",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "personality",
    "pidfd_getfd",
    "pivot_root",
    "process_madvise",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "quotactl",
    "quotactl_fd",
    "reboot",
    "request_key",
    "setdomainname",
    "sethostname",
    "setns",
    "settimeofday",
    "swapoff",
    "swapon",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "vhangup",
]
ALONE = [
    "execve",
    "execveat",
    "clone",
    "kill",
    "tkill",
    "tgkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "pidfd_send_signal",
    "setitimer",
    "setsid",
    "setpgid",
    "close_range",
    "dup3",
]
if os.uname().machine == "x86_64":
    NEVER += ["ioperm", "iopl", "modify_ldt"]
    ALONE += ["fork", "vfork", "alarm"]
LIFELINE = 4  # as in trex.system.child
NAMESPACES = ["NEWNS", "NEWCGROUP", "NEWUTS", "NEWIPC", "NEWUSER", "NEWPID", "NEWNET"]
# personality(-1) only asks, kill(-1, -1) has no signal: whatever is not denied changes nothing.
SOURCE = """\
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct { const char *name; long number, first, other; } calls[] = { CALLS };

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        for (unsigned n = 0; n < sizeof calls / sizeof *calls; n++)
            if (!strcmp(argv[i], calls[n].name)) {
                long other = calls[n].other;
                long result = syscall(calls[n].number, calls[n].first, other, other, other, other, other);
                dprintf(1, "%s %s\\n", calls[n].name, result < 0 ? strerrorname_np(errno) : "works");
            }
    return 0;
}
"""
OPEN = """
import os
def is_open(number):
    try:
        return os.fstat(number) is not None
    except OSError:
        return False
print([number for number in range(6) if is_open(number)])
open("/etc/passwd").close()
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trex-calls-") as made:
        path = Path(made)
        calls = [*NEVER, *(name for name in ALONE if name not in ("clone", "dup3"))]
        rows = [f'{{"{name}", SYS_{name}, -1, -1}},' for name in calls]
        # A child that comes to be all the same prints what it is, too.
        rows += ['{"clone", SYS_clone, SIGCHLD, 0},', f'{{"dup3", SYS_dup3, 0, {LIFELINE}}},']
        rows += [f'{{"{name}", SYS_clone, SIGCHLD | CLONE_{name}, 0}},' for name in NAMESPACES]
        (path / "calls.c").write_text(SOURCE.replace("CALLS", "\n".join(rows)))
        subprocess.run(["gcc", "-o", path / "calls", path / "calls.c"], check=True)
        subprocess.run([ROOT / "script/confine", path / "trex-confine"], check=True)
        yield path


def made(place: Path, kind: str, names: list[str]) -> dict[str, str]:
    """Return what became of each call, as who leads neither a session nor a group."""
    command: list[str | Path] = [
        place / "trex-confine",
        kind,
        "/nonexistent",
        place / "calls",
        *names,
    ]
    done = subprocess.run(
        ["sh", "-c", '"$@"; exit $?', "sh", *command], start_new_session=True, check=True,
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == len(names), done.stdout
    return dict(lines)


@pytest.mark.parametrize("kind", ["alone", "daemons"])
def test_what_no_program_needs_is_denied_whatever_gpg_is_started_for(
    place: Path, kind: str
) -> None:
    assert made(place, kind, NEVER) == dict.fromkeys(NEVER, "EPERM")


def test_what_only_daemons_need_is_denied_where_there_are_none(place: Path) -> None:
    assert made(place, "alone", ALONE) == dict.fromkeys(ALONE, "EPERM")


def test_a_daemon_is_in_no_new_namespace(place: Path) -> None:
    """With one of their own, users reach what the kernel has for root."""
    assert made(place, "daemons", NAMESPACES) == dict.fromkeys(NAMESPACES, "EPERM")


@pytest.mark.parametrize("kind", ["alone", "daemons"])
def test_nothing_of_it_is_open_in_gpg_and_few_descriptors_are_enough(
    place: Path, kind: str
) -> None:
    """Whoever calls su may leave it few."""
    command: list[str | Path] = [
        place / "trex-confine",
        kind,
        "/nonexistent",
        "/usr/bin/python3",
        "-I",
        "-S",
        "-c",
        OPEN,
    ]
    done = subprocess.run(
        ["prlimit", "--nofile=5", *command],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    assert done.stdout == b"[0, 1, 2]\n"


def through(place: Path, code: str) -> subprocess.CompletedProcess[bytes]:
    command: list[str | Path] = [
        place / "trex-confine",
        "alone",
        "/nonexistent",
        "/usr/bin/python3",
        "-I",
        "-S",
        "-c",
        code,
    ]
    return subprocess.run(command, check=False, capture_output=True, env={"A": "b"})


def test_gpg_has_its_environment(place: Path) -> None:
    assert through(place, "import os; print(os.environ['A'])").stdout == b"b\n"


def test_a_bug_in_gpg_ends_it_as_abort_does(place: Path) -> None:
    """abort(3) sends a signal to its own thread: a log then says SIGABRT, and not SIGSEGV."""
    assert through(place, "import os; os.abort()").returncode == -signal.SIGABRT
