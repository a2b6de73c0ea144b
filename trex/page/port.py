"""What a page needs of the host: one of its few slots for pages, and a listening socket."""

import _socket  # built in; socket.py costs 3 ms
import errno
import fcntl
import os
import struct

from trex.errors import PageUnavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.options import Options

# Each slot is one byte range of this file, taken by a lock. The file is empty and stays (tmpfs).
SLOTS = "/run/trex-pam.pages"
BACKLOG = 128
IN_USE = (errno.EADDRINUSE, errno.EACCES)


def take_slot(most: int) -> int:
    """Return a descriptor that holds one of `most` slots until it is closed.

    The lock belongs to the open file (F_OFD_SETLK, fcntl(2)), so the kernel releases the slot
    however the process ends. Only root can open the file, so no other user can take slots.
    Raises PageUnavailable if all are taken, OSError if the file cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(SLOTS, flags, 0o600)
    try:
        if any(_lock(descriptor, slot) for slot in range(most)):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    raise PageUnavailable(f"{most} pages are open already (web_max=)")


def _lock(descriptor: int, slot: int) -> bool:
    """Lock one slot; tell whether it was free."""
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, slot, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES (fcntl(2))
        return False
    return True


def listen(options: "Options") -> tuple[_socket.socket, int]:
    """Return a listening socket and its port.

    Raises PageUnavailable if no port of `web_ports=` is free, OSError for an address that is not
    this host's.
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


def _bound(address: str, port: int) -> _socket.socket | None:
    """Return a listening socket, or None if the port is in use."""
    listener = _socket_for(address)
    try:
        if port:  # otherwise a port stays in use for a minute after its last connection
            listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        listener.bind((address or _any(listener), port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if port and error.errno in IN_USE:
            return None
        raise
    return listener


def _socket_for(address: str) -> _socket.socket:
    """Return an unbound socket: without an address, for IPv4 and IPv6 if the host has both."""
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


def _any(listener: _socket.socket) -> str:
    return "::" if listener.family == _socket.AF_INET6 else "0.0.0.0"  # noqa: S104 (web_bind= narrows it)
