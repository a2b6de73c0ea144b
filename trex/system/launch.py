"""The start of every program that `trex.system.servant` runs: `launch.py trex.MODULE`.

The interpreter is isolated and has no site-packages. A program can import this package, which is
made by hand and not found along sys.path (see pam_trex.py), the standard library, and Debian's
packages.
"""

import os
import sys


def launch(name: str) -> None:
    """Import the module `name` and call its `main`."""
    package = sys.modules["trex"] = type(sys)("trex")
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]
    from trex.system.packages import DEBIAN_PACKAGES
    from trex.system.prctl import SET_DUMPABLE, prctl

    prctl(SET_DUMPABLE, 0)  # other processes of this account cannot look into this one
    sys.path.append(DEBIAN_PACKAGES)
    __import__(name, fromlist=["main"]).main()


if __name__ == "__main__":
    launch(sys.argv[1])
