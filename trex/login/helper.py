"""What `native/pam_trex.c` runs; small, because Python compiles it at each start."""

import gc
import os
import sys

# As in pam_trex.py.
PACKAGES = (
    "trex", "trex.login", "trex.openpgp", "trex.page", "trex.recovery", "trex.sms", "trex.system",
    "trex.totp",
)  # fmt: skip


def main() -> None:
    """Log in once. The exit status is 0 after a verdict, and 1 without one."""
    gc.disable()  # a login is too short to leave garbage
    try:
        here = os.path.realpath(__file__).removesuffix("/trex/login/helper.py")
        for name in PACKAGES:  # made here: no search along sys.path
            package = sys.modules[name] = type(sys)(name)
            package.__path__ = [os.path.join(here, *name.split("."))]
        try:
            __import__("trex.bundle")
        except (ImportError, EOFError, ValueError, TypeError):  # see trex.system.bundle
            pass
        from trex.login.door import log_in_over_socket

        log_in_over_socket()
    except BaseException:  # the module logs that there was no verdict
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main()
