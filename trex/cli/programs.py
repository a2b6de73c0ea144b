"""Programs on PATH; `shutil`, which has `which`, takes 8 ms to import."""

from __future__ import annotations

import os


def find_program(name: str, path: str | None = None) -> str:
    """Return the first program of that name in the directories of `path`, "" if there is none.

    `path` is that of the environment unless it is given. The result is absolute.
    """
    path = os.environ.get("PATH", os.defpath) if path is None else path
    for directory in path.split(os.pathsep):
        program = os.path.abspath(os.path.join(directory or os.curdir, name))
        if os.path.isfile(program) and os.access(program, os.X_OK):
            return program
    return ""
