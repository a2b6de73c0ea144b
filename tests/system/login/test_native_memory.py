"""pam_trex.so touches no memory that is not its own, and leaves none behind."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import native, sandbox

if TYPE_CHECKING:
    from pathlib import Path

WATCHED = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full",
           "--errors-for-leak-kinds=definite,indirect,possible", "--child-silent-after-fork=yes",
           "--num-callers=20"]  # fmt: skip
# What Debian 12's valgrind does not know: no close_range(2), and a pidfd that comes at the end of
# its process, when it would be readable.
UNKNOWN = """\
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#undef syscall
#undef close_range

int known_close_range(unsigned first, unsigned last, int flags);
long known_syscall(long number, ...);
long syscall(long number, ...);

int known_close_range(unsigned first, unsigned last, int flags)
{
    (void)first, (void)last, (void)flags;
    return 0;
}

long known_syscall(long number, ...)
{
    siginfo_t ended;
    long values[5];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 5; i++)
        values[i] = va_arg(list, long);
    va_end(list);
    if (number != SYS_pidfd_open)
        return syscall(number, values[0], values[1], values[2], values[3], values[4]);
    waitid(P_PID, (id_t)values[0], &ended, WEXITED | WNOWAIT | __WALL);
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}
"""
HELPERS = {
    "a success": ("door.send(b'pResponse: '); door.recv(70000); door.send(b'vsuccess')", "0"),
    "a refusal": (
        """\
for frame in b"iText", b"eCode: ", b"g", b"ssecret":
    door.send(frame)
    door.recv(70000)
door.send(b"d1")
door.send(b"vauth_err")""",
        "7",
    ),
    "the longest frame": ("door.send(b'r' + b'x' * 65535); door.recv(9); door.send(b'vauth_err')", "7"),
    "a longer frame": ("door.setsockopt(1, 32, 1 << 20); door.send(b'r' + b'x' * 65536)", "4"),
    "success twice": ("door.send(b'vsuccess'); door.send(b'vsuccess')", "4"),
    "a sudden end": ("os.kill(os.getpid(), signal.SIGKILL)", "4"),
}  # fmt: skip


@pytest.fixture(scope="module")
def calling(place: Path) -> list[str | Path]:
    """Build a module, a caller, and what the service is; return the caller's words."""
    caller, helper = place / "memory-callers", place / "memory-helper.py"
    source = sandbox.PROJECT / "tests/support/callers.c"
    subprocess.run(["gcc", *native.STRICT, "-o", caller, source, "-lpam"], check=True)
    stub = place / "unknown.c"
    stub.write_text(UNKNOWN)
    module = native.build(place / "pam_memory.so", helper, *native.PATIENT,
                          "-Dclose_range=known_close_range", "-Dsyscall=known_syscall", str(stub))  # fmt: skip
    return [caller, "twice", native.service("native-memory", module), "root"]


@pytest.mark.parametrize("kind", HELPERS)
def test_valgrind_finds_nothing(place: Path, calling: list[str | Path], kind: str) -> None:
    """The second of two logins leaves no more than the first: libpam loads libraries once."""
    code, verdict = HELPERS[kind]
    (place / "memory-helper.py").write_text(f"{native.START}{code}\nos._exit(0)\n")
    done = subprocess.run(
        [*WATCHED, *calling], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"verdict {verdict}"] * 2 + ["children 0"]
    assert not re.search(r"pam_trex\.c", done.stderr), done.stderr
