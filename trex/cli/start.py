"""The command `trex`: `trex ssh` at once, everything else through click.

`trex ssh` starts at each `git pull`, and click with its imports takes 60 ms.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["ssh"] and sys.argv[2:3] != ["--help"]:
        del sys.argv[1]
        __import__("trex.cli.client.launch", fromlist=["main"]).main()
    else:
        if sys.flags.no_site:  # click is not of the standard library
            __import__("site").main()
        __import__("trex.cli.main", fromlist=["main"]).main()
