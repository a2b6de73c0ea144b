"""prctl(2), for the login's own processes: the application's is never changed."""

SET_PDEATHSIG = 1
SET_DUMPABLE = 4
SET_CHILD_SUBREAPER = 36
SET_NO_NEW_PRIVS = 38


def prctl(option: int, value: int) -> None:
    """Set a property of this process. Raises OSError.

    It uses the extension module of `ctypes`, because `ctypes` itself takes 2 ms to import, and the
    login waits for these processes.
    """
    from _ctypes import call_function, dlopen, dlsym

    if call_function(dlsym(dlopen("", 0), "prctl"), (option, value, 0, 0, 0)) != 0:
        raise OSError(f"prctl({option}, {value}) failed")
