"""prctl(2) and other calls that Python has no function for.

For the login's own processes: the application's is never changed.
"""

import sys

SET_PDEATHSIG = 1
SET_DUMPABLE = 4
SET_CHILD_SUBREAPER = 36
SET_NO_NEW_PRIVS = 38


def prctl(option: int, value: int) -> None:
    """Set a property of this process. Raises OSError."""
    if call("prctl", option, value, 0, 0, 0) != 0:
        raise OSError(f"prctl({option}, {value}) failed")


def call(name: str, *arguments: int | bytes | None) -> int:
    """Call a function of libc, and return its result; bytes are passed as their address.

    It uses the extension module of `ctypes`, because `ctypes` itself takes 2 ms to import, and the
    login waits for these processes.
    """
    from _ctypes import call_function, dlopen, dlsym

    return int(call_function(dlsym(dlopen("", 0), name), arguments))


def address(text: bytes) -> int:
    """Return where these bytes are in memory; they end with a zero byte, as a string in C does."""
    from _ctypes import _SimpleCData

    class Text(_SimpleCData):  # type: ignore[type-arg]  # it has no arguments when it runs
        _type_ = "z"

    return int.from_bytes(bytes(Text(text)), sys.byteorder)
