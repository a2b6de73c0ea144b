"""A place for a page: one of the few that this host serves at once, and a listening socket."""

import _socket  # built in; socket.py costs 3 ms
import errno
import fcntl
import os
import struct

from trex.errors import PageUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.options import Options

# One byte of this file is one place, taken by a lock. It holds nothing and stays (tmpfs).
PLACES = "/run/trex-pam.pages"
BACKLOG = 128
IN_USE = (errno.EADDRINUSE, errno.EACCES)


def take_place(most: int) -> int:
    """Return a descriptor that holds one of `most` places until it is closed.

    The lock belongs to the open file (F_OFD_SETLK, fcntl(2)), so the kernel gives the place back
    however the process ends. Only root can open the file, so nobody else can take places away.
    Raises PageUnavailable where all are taken, OSError where the file cannot be had.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(PLACES, flags, 0o600)
    try:
        if any(_take(descriptor, place) for place in range(most)):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise PageUnavailable(f"{most} pages are open already (web_max=)")


def _take(descriptor: int, place: int) -> bool:
    """Lock one place; tell whether it was free."""
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES (fcntl(2))
        return False
    return True


def listen(options: "Options") -> "tuple[_socket.socket, int]":
    """Return a listening socket and its port.

    Raises PageUnavailable where no port of `web_ports=` is free, OSError for an address that
    this host does not have.
    """
    first, last = options.web_ports
    count = last - first + 1
    start = int.from_bytes(os.urandom(4), "big") % count
    for step in range(count):
        port = first + (start + step) % count
        listener = _bound(options.web_bind, port)
        if listener is not None:
            return listener, listener.getsockname()[1]
    raise PageUnavailable(f"no free port from {first} to {last} (web_ports=)")


def _bound(address: str, port: int) -> "_socket.socket | None":
    """Return a listening socket, or None where the port is taken."""
    listener = _socket_for(address)
    try:
        if port:  # or a port would not be free again for a minute after its last connection
            listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind((address or _any(listener), port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if port and error.errno in IN_USE:
            return None
        raise
    return listener


def _socket_for(address: str) -> "_socket.socket":
    """Return an unbound socket: without an address one for IPv4 and IPv6, if the host has both."""
    kind = _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC
    if address and ":" not in address:
        return _socket.socket(_socket.AF_INET, kind)
    try:
        listener = _socket.socket(_socket.AF_INET6, kind)
    except OSError:
        if address:
            raise
        return _socket.socket(_socket.AF_INET, kind)
    listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1 if address else 0)
    return listener


def _any(listener: "_socket.socket") -> str:
    return "::" if listener.family == _socket.AF_INET6 else "0.0.0.0"  # noqa: S104 (web_bind= narrows it)
