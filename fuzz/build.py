"""Compile a target in C with libFuzzer: `python -m fuzz.build TARGET PROGRAM`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What is undefined, or out of bounds, ends the program: so it is found.
OPTIONS = ["-std=gnu17", "-O1", "-g", "-Wall", "-Wextra", "-Werror",
           "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]  # fmt: skip


def build(target: str, program: Path) -> None:
    """Compile `fuzz/TARGET.c` into a program. Raises OSError and CalledProcessError."""
    subprocess.run(["/usr/bin/clang", *OPTIONS, "-o", program, HERE / f"{target}.c"], check=True)


if __name__ == "__main__":
    build(sys.argv[1], Path(sys.argv[2]))
