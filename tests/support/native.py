"""pam_trex.so, built for the tests: with the module's copy in the sandbox, or another helper."""

from __future__ import annotations

import platform
import subprocess
from typing import TYPE_CHECKING

from tests.support import sandbox

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = sandbox.PROJECT / "native/pam_trex.c"
STRICT = ["-std=gnu17", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
FLAGS = [f"@{sandbox.PROJECT}/native/flags"]
if platform.machine() == "x86_64":
    FLAGS.append("-fcf-protection")
# A helper that a test writes begins like this.
START = """\
import os, signal, socket, sys, time
door = socket.socket(fileno=3)
fields = door.recv(65536).split(b"\\0")
"""
# How long the module waits for a helper that hangs, and for any other one.
SHORT = "-DSILENCE_MS=1500L", "-DEND_MS=500L"
PATIENT = "-DSILENCE_MS=120000L", "-DEND_MS=60000L"


def build(made: Path, helper: Path, *options: str) -> Path:
    """Compile the module into `made`; `options` are the compiler's."""
    subprocess.run(
        ["gcc", *FLAGS, f'-DHELPER="{helper}"', *options, "-o", made, SOURCE, "-lpam"],
        check=True,
    )  # fmt: skip
    return made


def service(name: str, module: Path, *arguments: str) -> str:
    """Write a PAM service with this module alone; return its name."""
    return sandbox.pam_service(
        name, " ".join(["auth required", str(module), *arguments]), "account required pam_permit.so"
    )
