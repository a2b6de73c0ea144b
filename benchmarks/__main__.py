"""Measure what a login costs; print the tables, and with --write put them into docs/performance.md.

    sudo script/bootstrap benchmarks
    sudo /usr/bin/python3 -m benchmarks [NAME]... [--rounds 150] [--write]

The names are prompt, earlier, ssh, work, memory, load, central and list. Without any everything is
measured, which takes about an hour. What is compared is measured in turns, in one run. The exit
status is 1 if something is above its limit.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks import central, earlier, listing, load, memory, prompt, ssh, work
from benchmarks.host import Host
from benchmarks.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable

PARTS: dict[str, Callable[[Host, int, Report], bool]] = {
    "prompt": prompt.measure,
    "earlier": earlier.measure,
    "ssh": ssh.measure,
    "work": work.measure,
    "memory": memory.measure,
    "load": load.measure,
    "central": central.measure,
    "list": listing.measure,
}


def main() -> int:
    """Measure what was asked for, and report it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", nargs="*", choices=[[], *PARTS], help="all, unless some are named")
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    asked = parser.parse_args()
    good = True
    with Host() as host:
        for name in asked.part or PARTS:
            report = Report()
            good &= PARTS[name](host, asked.rounds, report)
            if asked.write:
                report.write(name)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
