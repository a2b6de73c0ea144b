"""Filters for system calls (seccomp(2)): a process can never lose its filter, nor can its children.

A filter is a program for the kernel's BPF machine (Documentation/userspace-api/seccomp_filter.rst).
It knows the calls of x86_64 and aarch64; on other machines there is no filter. The 32-bit calls
that these kernels have too (i386, x32, arm) end the process.
"""

import os
import sys
from _struct import pack

from trex.system.prctl import SET_NO_NEW_PRIVS, address, call, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    # A call, what its arguments must be, and what becomes of it; the first rule that fits counts.
    Check = tuple[int, int, int]
    Rule = tuple[str, tuple[Check, ...], int]

# <linux/seccomp.h>
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
SET_MODE_FILTER, GET_ACTION_AVAIL = 1, 2
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38
# <linux/filter.h>, <linux/bpf_common.h>
LOAD, JUMP_EQUAL, JUMP_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
X32 = 0x40000000  # __X32_SYSCALL_BIT
STEP = 8  # bytes of a struct sock_filter
# How an argument is compared. Of one that is an int, the kernel ignores the upper half, and so do
# IS and HAS_ANY; POINTS_TO compares an address.
IS, HAS_ANY, POINTS_TO = JUMP_EQUAL, JUMP_ANY_BIT, 0
# AUDIT_ARCH_* of <linux/audit.h>, the number of seccomp(2), and the column in CALLS.
MACHINES = {"x86_64": (0xC000003E, 317, 0), "aarch64": (0xC00000B7, 277, 1)}
NEW_NAMESPACES = 0x7E020000  # CLONE_NEW* of <sched.h>

# The number of a call on x86_64 and on aarch64, -1 where there is none.
CALLS = {
    "accept": (43, 202), "accept4": (288, 242), "acct": (163, 89), "add_key": (248, 217),
    "adjtimex": (159, 171), "bind": (49, 200), "bpf": (321, 280), "brk": (12, 214),
    "chroot": (161, 51), "clock_adjtime": (305, 266), "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115), "clock_settime": (227, 112), "clone": (56, 220),
    "clone3": (435, 435), "close": (3, 57), "connect": (42, 203), "delete_module": (176, 106),
    "epoll_ctl": (233, 21), "epoll_pwait": (281, 22), "epoll_wait": (232, -1),
    "execve": (59, 221), "execveat": (322, 281), "exit": (60, 93), "exit_group": (231, 94),
    "fanotify_init": (300, 262), "finit_module": (313, 273), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fsopen": (430, 430), "fspick": (433, 433), "futex": (202, 98),
    "getpeername": (52, 205), "getpid": (39, 172), "getrandom": (318, 278),
    "getsockname": (51, 204), "getsockopt": (55, 209), "gettid": (186, 178),
    "gettimeofday": (96, 169), "init_module": (175, 105), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "io_uring_setup": (425, 425), "ioctl": (16, 29),
    "ioperm": (173, -1), "iopl": (172, -1), "kcmp": (312, 272), "kexec_file_load": (320, 294),
    "kexec_load": (246, 104), "keyctl": (250, 219), "kill": (62, 129), "listen": (50, 201),
    "madvise": (28, 233), "memfd_secret": (447, 447), "migrate_pages": (256, 238),
    "mmap": (9, 222), "modify_ldt": (154, -1), "mount": (165, 40), "mount_setattr": (442, 442),
    "move_mount": (429, 429), "move_pages": (279, 239), "mprotect": (10, 226),
    "mremap": (25, 216), "munmap": (11, 215), "name_to_handle_at": (303, 264),
    "nanosleep": (35, 101), "open_by_handle_at": (304, 265), "open_tree": (428, 428),
    "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "poll": (7, -1), "ppoll": (271, 73),
    "process_madvise": (440, 440), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "ptrace": (101, 117), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "read": (0, 63), "reboot": (169, 142), "recvfrom": (45, 207),
    "request_key": (249, 218), "restart_syscall": (219, 128), "rt_sigaction": (13, 134),
    "rt_sigqueueinfo": (129, 138), "rt_sigreturn": (15, 139), "rt_tgsigqueueinfo": (297, 240),
    "sched_yield": (24, 124), "sendto": (44, 206), "setdomainname": (171, 162),
    "sethostname": (170, 161), "setns": (308, 268), "setsockopt": (54, 208),
    "settimeofday": (164, 170), "shutdown": (48, 210), "socket": (41, 198), "swapoff": (168, 225),
    "swapon": (167, 224), "syslog": (103, 116), "tgkill": (234, 131), "time": (201, -1),
    "tkill": (200, 130), "umount2": (166, 39), "unshare": (272, 97), "userfaultfd": (323, 282),
    "vhangup": (153, 58), "write": (1, 64),
}  # fmt: skip
# What no confined program needs: other processes' memory, mounts, namespaces, the host's state, and
# what is in the kernel for a few programs and was the way into it more than once.
NEVER = (
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_adjtime", "clock_settime",
    "delete_module", "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick",
    "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl",
    "kcmp", "kexec_file_load", "kexec_load", "keyctl", "memfd_secret", "migrate_pages",
    "modify_ldt", "mount", "mount_setattr", "move_mount", "move_pages", "name_to_handle_at",
    "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pidfd_getfd",
    "pivot_root", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace",
    "quotactl", "quotactl_fd", "reboot", "request_key", "setdomainname", "sethostname", "setns",
    "settimeofday", "swapoff", "swapon", "syslog", "umount2", "unshare", "userfaultfd", "vhangup",
)  # fmt: skip
SIGNALLING = (
    "kill", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tgkill", "tkill",
)  # fmt: skip


def never(action: int) -> "list[Rule]":
    """Return the rules that hold for every confined program."""
    return [
        *[(name, (), action) for name in NEVER],
        ("clone", ((0, HAS_ANY, NEW_NAMESPACES),), action),
        # A filter cannot look at what it points to. libc then uses clone(2).
        ("clone3", (), ENOSYS),
    ]


def to_nobody_else() -> "list[Rule]":
    """Return the rules for a process that may send signals to itself alone, as abort(3) does."""
    itself: list[Rule] = [("tgkill", ((0, IS, os.getpid()),), ALLOW)]
    return [*itself, *[(name, (), EPERM) for name in SIGNALLING]]


def is_available() -> bool:
    """Tell whether the kernel takes a filter for this machine's calls."""
    machine = _machine()
    return machine is not None and (
        call("syscall", machine[1], GET_ACTION_AVAIL, 0, pack("I", KILL_PROCESS)) == 0
    )


def install(rules: "Iterable[Rule]", otherwise: int) -> None:
    """Give this process a filter, if the kernel has them. Raises OSError if that fails.

    A kernel without filters is the host's property, and `trex doctor` says so.
    """
    call("personality", 0)  # the caller of su may have uname(2) name another machine (setarch(8))
    if not is_available() or not (machine := _machine()):
        return
    prctl(SET_NO_NEW_PRIVS, 1)
    program = assemble_filter(rules, otherwise, machine[0], machine[2])
    told = pack("HxxxxxxQ", len(program) // STEP, address(program))  # struct sock_fprog
    if call("syscall", machine[1], SET_MODE_FILTER, 0, told) != 0:
        raise OSError("the kernel does not accept the filter for system calls")


def assemble_filter(
    rules: "Iterable[Rule]", otherwise: int, architecture: int, column: int
) -> bytes:
    """Return the program: what `otherwise` says becomes of a call that no rule fits."""
    text = [
        _step(LOAD, ARCHITECTURE),
        _step(JUMP_EQUAL, architecture, 1, 0),
        _step(RETURN, KILL_PROCESS),
        _step(LOAD, NUMBER),
        _step(JUMP_LEAST, X32, 0, 1),
        _step(RETURN, KILL_PROCESS),
    ]
    for name, checks, action in rules:
        if (number := CALLS[name][column]) >= 0:
            text += _rule(number, checks, action)
    return b"".join([*text, _step(RETURN, otherwise)])


def _rule(number: int, checks: "tuple[Check, ...]", action: int) -> list[bytes]:
    if not checks:
        return [_step(JUMP_EQUAL, number, 0, 1), _step(RETURN, action)]
    compared = [half for check in checks for half in _halves(check)]
    # Each is a load and a jump. A comparison that fails jumps to the end, where the number of the
    # call is loaded again for the next rule.
    text = [_step(JUMP_EQUAL, number, 0, 2 * len(compared) + 2)]
    for index, (offset, how, value) in enumerate(compared):
        text += [_step(LOAD, offset), _step(how, value, 0, 2 * (len(compared) - index) - 1)]
    return [*text, _step(RETURN, action), _step(LOAD, NUMBER)]


def _halves(check: "Check") -> "list[Check]":
    """Return what is compared in the program: (offset, how, 32-bit value); little endian."""
    index, how, value = check
    offset = ARGUMENTS + 8 * index
    if how == POINTS_TO:
        return [(offset, IS, value & 0xFFFFFFFF), (offset + 4, IS, value >> 32)]
    return [(offset, how, value)]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return pack("HBBI", code, if_true, if_false, value)  # struct sock_filter


def _machine() -> tuple[int, int, int] | None:
    """Return this machine's facts, None if there are none, or this is a 32-bit program on it."""
    is_64_bit = sys.maxsize > 1 << 32
    return MACHINES.get(os.uname().machine) if is_64_bit else None
