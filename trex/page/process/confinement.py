"""What the page's process may still do: little once it has its settings, less once it serves.

It has accounts and limits for that already (`trex.system.servant`). This is for the case that a
stranger's request, or a user's TLS file, makes it run code of theirs. What the kernel does not have
(`trex.system.seccomp`, `trex.system.landlock`) is left out.
"""

import os
import sys

from trex.system import landlock, seccomp
from trex.system.program import LIFELINE_FD
from trex.system.seccomp import ALLOW, EPERM, HAS_ANY, IS, KILL_PROCESS, POINTS_TO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.system.seccomp import Rule

# The libraries', and what Python, libc and OpenSSL look up for themselves. Some are links.
LIBRARIES = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/lib", "/lib32", "/lib64")
LOOKED_UP = (
    "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl/openssl.cnf", "/dev/null", "/dev/urandom",
)  # fmt: skip
# Nothing that serves calls them, so that the kernel ends the process and says so in its log.
INTRUDER_S = ("execve", "execveat", "socket", "connect", "bind", "listen")
SIGALRM = 14  # the deadline's
PROT_EXEC = 4
FIONBIO = 0x5421
SOL_TCP, TCP_NODELAY = 6, 1
# On connections and memory that it has: everything that Tornado and OpenSSL call while they serve,
# and what libc calls instead on another machine or for another clock.
SERVING = (
    "accept", "accept4", "brk", "clock_gettime", "clock_nanosleep", "close", "epoll_ctl",
    "epoll_pwait", "epoll_wait", "exit", "exit_group", "futex", "getpeername", "getpid",
    "getrandom", "getsockname", "getsockopt", "gettid", "gettimeofday", "madvise", "mmap",
    "mprotect", "mremap", "munmap", "nanosleep", "poll", "ppoll", "read", "recvfrom",
    "restart_syscall", "rt_sigaction", "rt_sigreturn", "sched_yield", "shutdown", "time", "write",
)  # fmt: skip


def confine_start() -> None:
    """Leave it its modules to read, and no other program, socket or process. Raises OSError.

    It can still start processes of its own, for the drawing.
    """
    package = sys.modules["trex"].__path__[0]
    places = [package, *filter(os.path.isabs, sys.path), *LIBRARIES, *LOOKED_UP]
    landlock.restrict((place, landlock.READ) for place in dict.fromkeys(places))
    rules = [*seccomp.never(EPERM), *seccomp.to_nobody_else()]
    rules += [(name, (), EPERM) for name in INTRUDER_S]
    seccomp.install(rules, ALLOW)


def confine_serving() -> None:
    """Leave it what it takes to serve. Raises OSError."""
    seccomp.install(serving(), EPERM)


def serving() -> "list[Rule]":
    """Return the rules for a page that serves; any other call fails."""
    return [
        *seccomp.never(KILL_PROCESS),
        *[(name, (), KILL_PROCESS) for name in INTRUDER_S],
        ("close", ((0, IS, LIFELINE_FD),), EPERM),
        ("rt_sigaction", ((0, IS, SIGALRM),), EPERM),
        *[(name, ((2, HAS_ANY, PROT_EXEC),), EPERM) for name in ("mmap", "mprotect")],
        *[(name, (), ALLOW) for name in SERVING],
        ("ioctl", ((1, IS, FIONBIO),), ALLOW),
        ("sendto", ((4, POINTS_TO, 0),), ALLOW),  # to no other address
        ("setsockopt", ((1, IS, SOL_TCP), (2, IS, TCP_NODELAY)), ALLOW),
        ("tgkill", ((0, IS, os.getpid()),), ALLOW),  # abort(3)
    ]
