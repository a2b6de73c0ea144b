"""A network of a test's own, with addresses that are nobody else's; and connections."""

from __future__ import annotations

import ctypes
import os
import socket
import ssl
import subprocess

CLONE_NEWNET = 0x40000000


def enter_network(*addresses: str) -> None:
    """Move this process into a network namespace that has these addresses. Needs root."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in addresses:
        quick = ["nodad"] if ":" in address else []  # else it could be bound to only later
        subprocess.run(["ip", "address", "add", address, "dev", "lo", *quick], check=True)


def trusting() -> ssl.SSLContext:
    """Return a client's TLS context that does not look at certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def read_all(visitor: socket.socket) -> bytes:
    """Return what a server sends until it closes the connection, however it does that."""
    content = b""
    try:
        while more := visitor.recv(65536):
            content += more
    except ConnectionResetError:
        pass
    return content
