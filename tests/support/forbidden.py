"""Forbidden calls, tried from inside a confined process: a library for a program put in its place.

`prepare` is called before the process is confined, because it opens files.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import signal
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LIFELINE_FD = 4
WORKS = "it works"
NOBODY_S = 4_194_303  # the last pid there can be: without a filter there is no such process
FIOASYNC = 0x5452
PR_SET_DUMPABLE, PR_SET_PDEATHSIG = 4, 1
# Numbers of calls on x86_64 and on aarch64, written down here once more: the filter's own table
# must not decide what is tried.
NUMBERS = {
    "bind": (49, 200), "bpf": (321, 280), "clone3": (435, 435), "close_range": (436, 436),
    "connect": (42, 203), "execve": (59, 221), "execveat": (322, 281), "fork": (57, 220),
    "io_uring_setup": (425, 425), "keyctl": (250, 219), "listen": (50, 201), "mount": (165, 40),
    "open_by_handle_at": (304, 265), "perf_event_open": (298, 241), "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "sendmsg": (46, 211), "sendto": (44, 206),
    "setns": (308, 268), "setpgid": (109, 154), "setsid": (112, 157), "socket": (41, 198),
    "socketpair": (53, 199), "tgkill": (234, 131), "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "prlimit64": (302, 261), "mprotect": (10, 226),
}  # fmt: skip
COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine(), 0)
# A call of 32-bit programs, by the interrupt that they use: mov eax, 20; int 0x80; ret (getpid).
INTERRUPT = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"
FAMILIES = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16, "packet": 17, "alg": 38, "vsock": 40}


LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
MEMORY: dict[str, mmap.mmap] = {}


def call(name: str, *arguments: int | bytes | None) -> Callable[[], object]:
    """Return a function that makes this call and raises its OSError."""

    def make() -> object:
        return _call(NUMBERS[name][COLUMN], arguments)

    return make


def _call(number: int, arguments: tuple[int | bytes | None, ...]) -> object:
    result = LIBC.syscall(ctypes.c_long(number), *map(_converted, arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _converted(argument: int | bytes | None) -> object:
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def prepare() -> None:
    """Load what the attempts need."""
    for name, rights in (("code", 7), ("data", 3)):
        MEMORY[name] = mmap.mmap(-1, mmap.PAGESIZE, prot=rights)
    MEMORY["code"].write(INTERRUPT)


def attempts() -> dict[str, Callable[[], object]]:
    """Return what is tried, by name."""
    import fcntl
    import socket

    found: dict[str, Callable[[], object]] = {
        f"socket-{name}": call("socket", number, 3 if name == "packet" else 1, 0)
        for name, number in FAMILIES.items()
    }
    found |= {
        "socketpair": call("socketpair", 1, 1, 0, bytes(8)),
        "connect": call("connect", 5, b"\2\0\0\x16\x7f\0\0\1" + bytes(8), 16),
        "bind": call("bind", 5, b"\2\0\0\0\x7f\0\0\1" + bytes(8), 16),
        "listen": call("listen", 5, 5),
        "sendto-address": call("sendto", 5, b"x", 1, 0x4000, b"\2\0\0\x16\x7f\0\0\1" + bytes(8), 16),
        "sendmsg": call("sendmsg", 5, bytes(56), 0),
        "execve": call("execve", b"/bin/true", None, None),
        "execve-nearby": _run_nearby,
        "execveat": call("execveat", -100, b"/bin/true", None, None, 0),
        "fork": _fork,
        "fork-by-number": call("fork", signal.SIGCHLD, 0, 0, 0, 0),
        "clone3": call("clone3", bytes(64), 64),
        "open-module": lambda: os.open(os.__file__, os.O_RDONLY),
        "open-passwd": lambda: os.open("/etc/passwd", os.O_RDONLY),
        "open-shadow": lambda: os.open("/etc/shadow", os.O_RDONLY),
        "open-home": lambda: os.open("/root", os.O_RDONLY),
        "open-proc": lambda: os.open("/proc/self/environ", os.O_RDONLY),
        "list-root": lambda: os.listdir("/"),
        "create": _made(os.mknod, os.unlink),
        "mkdir": _made(os.mkdir, os.rmdir),
        "mkfifo": _made(os.mkfifo, os.unlink),
        "link": _made(partial(os.symlink, "/etc/passwd"), os.unlink),
        "unlink": lambda: os.unlink("/tmp/trex-nothing-there"),
        "chdir": lambda: os.chdir("/tmp"),
        "ptrace": call("ptrace", 16, NOBODY_S, 0, 0),
        "process_vm_readv": call("process_vm_readv", NOBODY_S, bytes(16), 1, bytes(16), 1, 0),
        "process_vm_writev": call("process_vm_writev", NOBODY_S, bytes(16), 1, bytes(16), 1, 0),
        "pidfd_open": call("pidfd_open", NOBODY_S, 0),
        "pidfd_getfd": call("pidfd_getfd", 5, 0, 0),
        "pidfd_send_signal": call("pidfd_send_signal", 5, 0, None, 0),
        "kill": lambda: os.kill(os.getpid(), 0),
        "kill-parent": lambda: os.kill(os.getppid(), 0),
        "tgkill": call("tgkill", NOBODY_S, NOBODY_S, 0),
        "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "unshare": call("unshare", 0x10000000),
        "setns": call("setns", 5, 0),
        "bpf": call("bpf", 0, bytes(64), 64),
        "keyctl": call("keyctl", 0, -3, 0),
        "io_uring_setup": call("io_uring_setup", 4, bytes(120)),
        "perf_event_open": call("perf_event_open", bytes(128), 0, -1, -1, 0),
        "userfaultfd": call("userfaultfd", 1),
        "open_by_handle_at": call("open_by_handle_at", -100, bytes(16), 0),
        "setuid": lambda: os.setuid(os.getuid()),
        "prctl-dumpable": lambda: _prctl(PR_SET_DUMPABLE, 1),
        "prctl-deathsig": lambda: _prctl(PR_SET_PDEATHSIG, 0),
        "limits": call("prlimit64", 0, 4, None, bytes(16)),
        "code": lambda: mmap.mmap(-1, mmap.PAGESIZE, prot=7),
        "code-made-of-data": _make_code,
        "timer": lambda: signal.setitimer(signal.ITIMER_REAL, 0),
        "alarm-ignored": lambda: signal.signal(signal.SIGALRM, signal.SIG_IGN),
        "session": call("setsid"),
        "group": call("setpgid", 0, 0),
        "lifeline-close": lambda: os.close(LIFELINE_FD),
        "lifeline-range": call("close_range", LIFELINE_FD, LIFELINE_FD, 0),
        "lifeline-flags": lambda: fcntl.fcntl(LIFELINE_FD, fcntl.F_SETFL, 0),
        "lifeline-owner": lambda: fcntl.fcntl(LIFELINE_FD, fcntl.F_SETOWN, 0),
        "lifeline-ioctl": lambda: fcntl.ioctl(LIFELINE_FD, FIOASYNC, bytes(4)),
        "lifeline-dup": lambda: os.dup2(5, LIFELINE_FD),
        "options": lambda: socket.socket(fileno=5).setsockopt(1, 9, 1),
    }  # fmt: skip
    if platform.machine() == "x86_64":
        found["32-bit"] = _interrupt
        found["x32"] = lambda: _call(0x40000000 | 39, ())
    return found


def _made(make: Callable[[str], None], remove: Callable[[str], None]) -> Callable[[], None]:
    path = f"/tmp/trex-confined-{os.getpid()}"

    def make_and_remove() -> None:
        make(path)
        remove(path)

    return make_and_remove


def _run_nearby() -> None:
    """Run what is on the stack, as the path was of which one call is allowed."""
    environment = ctypes.POINTER(ctypes.c_void_p).in_dll(LIBC, "environ")
    _call(NUMBERS["execve"][COLUMN], (environment[0], None, None))


def _fork() -> None:
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def _make_code() -> None:
    address = ctypes.addressof(ctypes.c_char.from_buffer(MEMORY["data"]))
    _call(NUMBERS["mprotect"][COLUMN], (address, mmap.PAGESIZE, 7))


def _prctl(option: int, value: int) -> None:
    if LIBC.prctl(option, value, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _interrupt() -> None:
    address = ctypes.addressof(ctypes.c_char.from_buffer(MEMORY["code"]))
    ctypes.CFUNCTYPE(ctypes.c_int)(address)()


def outcome(work: Callable[[], object]) -> str:
    """Return what became of one attempt: the name of its error, or that it works."""
    import errno

    try:
        work()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return WORKS
