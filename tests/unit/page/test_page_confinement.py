"""What the page's process can do no more: each forbidden call, tried from inside it.

The process is the real one. In a copy of the package, its loop is replaced by one that tries.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import forbidden
from tests.support.forked import in_a_child
from tests.support.readable import readable_package
from trex.page.process.settings import LISTENER_FD
from trex.system import landlock, seccomp, servant
from trex.system.child import Child, write_whole
from trex.system.prctl import call
from trex.system.privilege import find_account
from trex.system.program import LIFELINE_FD, STATUS_FD, STDIN_FD
from trex.system.safefile import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

if os.geteuid() != 0:
    pytest.skip("only root gives it an account of its own", allow_module_level=True)

MESSAGE = b"-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----\n"
FORBIDDEN = Path(__file__).parents[2] / "support/forbidden.py"
PER_LINUX32 = 8  # <sys/personality.h>
SERVES, STARTS = "serves", "starts"
# In place of the loop that serves, and before a message is waited for.
LOOP = "    while (left := settings.seconds_left) > 0:\n"
STARTED = "    message = message_from_pipe()\n"
TRY = """\
    results = {}
    for name in told["try"]:
        results[name] = forbidden.outcome(forbidden.attempts()[name])
    os.write(REPORT, json.dumps(results).encode() + b"\\n")
    os._exit(0)
"""
PREPARED = """\
import os
import json
from trex.page.process import forbidden
forbidden.prepare()
forbidden.attempts()
REPORT = os.dup(3)
"""
# What the kernel ends the process for, when it serves: nothing that serves calls it.
KILLED = [
    "socket-unix", "socket-inet", "socket-inet6", "socket-netlink", "socket-packet", "socket-alg",
    "socket-vsock", "connect", "bind", "listen", "execve", "execveat", "ptrace",
    "process_vm_readv", "process_vm_writev", "pidfd_getfd", "mount", "unshare", "setns", "bpf",
    "keyctl", "io_uring_setup", "perf_event_open", "userfaultfd", "open_by_handle_at",
]  # fmt: skip
OTHER_MACHINE = ["32-bit", "x32"] if os.uname().machine == "x86_64" else []
DENIED = [
    "socketpair", "sendmsg", "sendto-address", "fork", "fork-by-number", "open-module", "open-passwd", "open-shadow",
    "open-home", "open-proc", "list-root", "create", "mkdir", "mkfifo", "link", "unlink", "chdir",
    "pidfd_open", "pidfd_send_signal", "kill", "tgkill", "setuid", "prctl-dumpable",
    "prctl-deathsig", "limits", "code", "code-made-of-data", "timer", "alarm-ignored", "session", "group",
    "lifeline-close", "lifeline-range", "lifeline-flags", "lifeline-owner", "lifeline-ioctl",
    "lifeline-dup", "options",
]  # fmt: skip
# Before it serves, it still forks, has pipes and socket pairs, and reads its modules.
DENIED_EARLY = [*KILLED, "pidfd_send_signal", "kill", "tgkill"]
# What an account without rights is denied without a filter too.
ANYWAY = {"mount", "socket-packet", "bpf", "perf_event_open", "open_by_handle_at", "unshare"}
LANDLOCKED = [
    "open-passwd", "open-shadow", "open-home", "open-proc", "list-root", "create", "mkdir",
    "mkfifo", "link",
]  # fmt: skip
needs_filters = pytest.mark.skipif(
    not seccomp.is_available(), reason="this kernel has no filters for system calls"
)
needs_landlock = pytest.mark.skipif(
    landlock.version() == 0, reason="this kernel has no Landlock: only the filter was tested"
)


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    with readable_package() as copy:
        room = copy / "page/process"
        (room / "forbidden.py").write_text(FORBIDDEN.read_text())
        (room / "forbidden.py").chmod(0o644)
        graft(room / "server.py", "import asyncio\n", LOOP, SERVES)
        graft(room / "main.py", "import os\n", STARTED, STARTS)
        yield copy


def graft(path: Path, first: str, place: str, kind: str) -> None:
    """Put the attempts of one kind into a module, before the line `place`."""
    text = path.read_text()
    assert text.count(place) == 1
    told = f'    told = json.loads(settings.host)\n    if told["when"] == "{kind}":\n'
    work = "".join(f"    {line}\n" for line in TRY.splitlines())
    path.write_text(text.replace(first, PREPARED + first, 1).replace(place, told + work + place))


def tried(package: Path, when: str, names: list[str]) -> tuple[dict[str, str], int]:
    """Return what became of each attempt, in one process, and the signal that ended it."""
    child = Child()
    listener = socket.create_server(("127.0.0.1", 0))
    try:
        reading, told = child.pipe()
        places = {LISTENER_FD: listener.fileno(), STDIN_FD: reading}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(servant, "PACKAGE", str(package))
            servant.start(child, "trex.page.process.main", find_account("nobody"), places, MAX_SIZE)
        deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + 60
        host = json.dumps({"when": when, "try": names})
        assert write_whole(told, f"deadline {deadline}\nhost {host}\n\n".encode())
        assert write_whole(told, MESSAGE)
        child.close(told)
        ended = select.poll()
        ended.register(child.pidfd, select.POLLIN)
        assert ended.poll(60_000)
        os.set_blocking(child.status, False)
        text = b""
        with suppress(BlockingIOError):  # it reported nothing
            text = os.read(child.status, 65536)
    finally:
        listener.close()
        code = child.end()
    results: dict[str, Any] = json.loads(text) if text else {}
    assert code is not None
    return results, -code


def test_without_confinement_hardly_any_of_it_is_denied() -> None:
    """So these tests can fail."""

    def attempt(name: str) -> str:
        listener, lifeline = socket.create_server(("127.0.0.1", 0)), os.pipe()[0]
        os.dup2(listener.fileno(), LISTENER_FD)
        if lifeline != LIFELINE_FD:
            os.dup2(lifeline, LIFELINE_FD)
        account = find_account("nobody")
        os.setgroups([])
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
        forbidden.prepare()
        return forbidden.outcome(forbidden.attempts()[name])

    names = {*DENIED, *DENIED_EARLY} - {"execve", "execveat"}  # which leave nobody to report
    kept = [os.open(os.devnull, os.O_RDONLY) for _ in range(LISTENER_FD)]  # so these are in use
    found = {name: in_a_child(partial(attempt, name)) for name in names}
    for descriptor in kept:
        os.close(descriptor)
    assert {name for name, result in found.items() if result == "EPERM"} <= ANYWAY


@needs_filters
def test_while_it_serves_everything_else_is_denied(package: Path) -> None:
    """Also what would let it outlive its login: closing the lifeline, ignoring its timer."""
    results, signalled = tried(package, SERVES, DENIED)
    assert signalled == 0
    assert results == dict.fromkeys(DENIED, "EPERM")


@needs_filters
@pytest.mark.parametrize("name", [*KILLED, *OTHER_MACHINE])
def test_while_it_serves_what_only_an_intruder_calls_ends_it(package: Path, name: str) -> None:
    assert tried(package, SERVES, [name]) == ({}, signal.SIGSYS)


@needs_filters
def test_before_it_serves_it_has_no_sockets_and_starts_no_program(package: Path) -> None:
    """A user's TLS files are read then."""
    results, signalled = tried(package, STARTS, DENIED_EARLY)
    assert signalled == 0
    assert results == dict.fromkeys(DENIED_EARLY, "EPERM")


@needs_filters
@pytest.mark.parametrize("name", OTHER_MACHINE)
def test_before_it_serves_a_call_of_another_machine_ends_it(package: Path, name: str) -> None:
    assert tried(package, STARTS, [name]) == ({}, signal.SIGSYS)


@needs_filters
def test_a_caller_who_has_it_see_another_machine_takes_no_filter_away(package: Path) -> None:
    """A user starts sudo by `linux32`: then uname(2) says i686, for which no filter is known."""
    before = call("personality", PER_LINUX32)
    try:
        assert tried(package, SERVES, ["connect"]) == ({}, signal.SIGSYS)
    finally:
        call("personality", before)


@needs_landlock
def test_before_it_serves_it_reads_its_modules_and_writes_nothing(package: Path) -> None:
    results, _ = tried(package, STARTS, [*LANDLOCKED, "open-module"])
    assert results == {**dict.fromkeys(LANDLOCKED, "EACCES"), "open-module": "it works"}


def test_this_host_has_filters_and_says_whether_it_has_landlock() -> None:
    """Where there are none, the tests above say so: here it must not go unseen."""
    if seccomp._machine() is None:
        pytest.skip(f"no filter is known for {os.uname().machine}")
    assert seccomp.is_available(), "every kernel of Debian has them"
    assert STATUS_FD == 3
