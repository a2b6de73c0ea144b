"""The host as it would be, for a moment and for one process: a mount namespace with the new files.

So sshd and the doctor themselves judge what is not there yet, and none of it is written anew here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from trex.cli.activation.reload import ENVIRONMENT, complaint_of_sshd, failure_of
from trex.cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.cli.activation.plan import Edit

UNSHARE = ("/usr/bin/unshare", "--mount", "--propagation", "private")
MOUNT = """
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
exec "$@"
"""
SECONDS = 300  # for the doctor, who asks gpg for every user
DOCTOR = "import sys; sys.path.insert(0, sys.argv.pop(1)); from trex.cli.main import main; main()"


def can_be_tried() -> bool:
    """Tell whether this process may make a mount namespace: in some containers it may not."""
    return not failure_of(*UNSHARE, "/bin/true")


@contextmanager
def tried(edits: list[Edit]) -> Iterator[list[str]]:
    """Yield what to put before a command so that it sees the files as they would be."""
    with tempfile.TemporaryDirectory(prefix="trex-activate-") as place:
        binds: list[str] = []
        new = {os.path.dirname(edit.path) for edit in edits if edit.before is None}
        for number, directory in enumerate(sorted(new)):
            copy = os.path.join(place, f"directory-{number}")
            if os.path.isdir(directory):
                shutil.copytree(directory, copy, symlinks=True)
            else:
                raise CommandError(
                    f"{directory}: no such directory", "is openssh-server installed?"
                )
            binds += [copy, directory]
            for edit in edits:
                if os.path.dirname(edit.path) == directory:
                    _write(os.path.join(copy, os.path.basename(edit.path)), edit)
        for number, edit in enumerate(edits):
            if os.path.dirname(edit.path) not in new:
                copy = os.path.join(place, f"file-{number}")
                _write(copy, edit)
                binds += [copy, edit.path]
        yield [*UNSHARE, "/bin/sh", "-euc", MOUNT, "sh", *binds, "--"]


def sshd_would_say(before: list[str]) -> str:
    """Return what sshd says against the configuration, "" for nothing."""
    return complaint_of_sshd(*before)


def doctor_would_say(service: str, before: list[str]) -> list[dict[str, Any]]:
    """Return the doctor's findings. Raises CommandError if there is no report."""
    root = os.path.realpath(__file__).removesuffix("/trex/cli/activation/trial.py")
    doctor = [
        sys.executable,
        "-I",
        "-B",
        "-c",
        DOCTOR,
        root,
        "doctor",
        "--json",
        "--service",
        service,
    ]
    try:
        done = subprocess.run(  # noqa: S603 (absolute paths and a list)
            [*before, *doctor], capture_output=True, text=True, check=False, timeout=SECONDS,
            stdin=subprocess.DEVNULL, env=ENVIRONMENT | {"LC_ALL": "C.UTF-8"}, cwd="/",
        )  # fmt: skip
        findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired):
        hint = f"trex doctor --service {service}"
        raise CommandError("trex doctor gives no report; nothing was changed", hint) from None
    return findings


def _write(path: str, edit: Edit) -> None:
    with open(path, "wb") as file:
        file.write(edit.after.encode("utf-8", "surrogateescape"))
        os.fchown(file.fileno(), edit.uid, edit.gid)
        os.fchmod(file.fileno(), edit.mode)
