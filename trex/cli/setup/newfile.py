"""A new file for its owner alone, which is removed if what follows fails."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from trex.system.rewriting import DIRECTORY, NEW

if TYPE_CHECKING:
    from typing import Self


class NewFile:
    """A file of mode 0600, as a context manager: if the block fails, the file is removed.

    No file is overwritten. It is created and removed in the directory as it was opened, which may
    be another's: swapping that, or the file, has nothing removed.
    """

    def __init__(self, path: str, content: bytes) -> None:
        self._content = content
        self._directory, self._name = os.path.split(path)

    def __enter__(self) -> Self:
        """Create the file. Raises OSError, with nothing created."""
        with ExitStack() as opened:
            self._parent = os.open(self._directory or ".", DIRECTORY)
            opened.callback(os.close, self._parent)
            descriptor = os.open(self._name, NEW, 0o600, dir_fd=self._parent)
            opened.callback(os.close, descriptor)  # open until the end: its inode is not reused
            self._made = os.fstat(descriptor)
            removal = opened.enter_context(ExitStack())
            removal.callback(self._remove)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(self._content)
            self._removal, self._opened = removal, opened.pop_all()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        """Keep the file if the block succeeded."""
        if kind is None:
            self._removal.pop_all()
        self._opened.close()

    def _remove(self) -> None:
        with suppress(FileNotFoundError):
            there = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
            if os.path.samestat(there, self._made):
                os.unlink(self._name, dir_fd=self._parent)
