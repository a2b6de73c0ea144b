"""The client's own files, below `$XDG_CONFIG_HOME/trex` and `$XDG_STATE_HOME/trex`.

They decide what is answered, so they are read only if nobody else can write them, and are replaced
as a whole. Directories: XDG Base Directory Specification 0.8.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat

from trex.cli.errors import StoreError
from trex.errors import FileUnsafe, NoRecord, RecordError, UserUnknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def own_directory(variable: str, default: str) -> str:
    """Return Trex's directory below an XDG base directory; a relative one is ignored."""
    base = os.environ.get(variable, "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), default)
    return os.path.join(base, "trex")


class Table:
    """A file of lines, each a fixed number of words; `#` starts a comment."""

    def __init__(self, name: str, form: str) -> None:
        self.path = os.path.join(own_directory("XDG_CONFIG_HOME", ".config"), name)
        self.form = form  # of a line, in words
        self.width = len(form.split())

    def read(self) -> list[tuple[int, list[str]]]:
        """Return each line's number and words. Raises RecordError for one of another form."""
        return list(self._parse(self._content()))

    def error(self, number: int, found: str, expected: str) -> RecordError:
        """Return the error to raise for a line."""
        return RecordError(self.path, number, found, expected)

    def add(self, *words: str, alone: bool = False) -> None:
        """Add a line at the end; `alone` if no other line may begin with the same word.

        Raises StoreError if another process added such a line, or the file cannot be written.
        """

        def with_it(content: str) -> list[str]:
            if alone and any(other[0] == words[0] for _, other in self._parse(content)):
                raise StoreError(
                    f"{self.path}: {words[0]} was added meanwhile", "look at it, and try again"
                )
            return [*content.splitlines(), " ".join(words)]

        self._change(with_it)

    def remove(self, chosen: Callable[[list[str]], bool]) -> None:
        """Remove the lines whose words are `chosen`; comments and other lines stay."""

        def without(content: str) -> list[str]:
            gone = {number for number, words in self._parse(content) if chosen(words)}
            lines = enumerate(content.splitlines(), start=1)
            return [line for number, line in lines if number not in gone]

        self._change(without)

    def _parse(self, content: str) -> Iterator[tuple[int, list[str]]]:
        for number, line in enumerate(content.splitlines(), start=1):
            words = line.split("#", maxsplit=1)[0].split()
            if words and len(words) != self.width:
                raise self.error(number, f"{len(words)} words", self.form)
            if words:
                yield number, words

    def _content(self) -> str:
        content = read_own(self.path) or b""
        try:
            text = content.decode("ascii")
        except UnicodeDecodeError as error:
            number = content.count(b"\n", 0, error.start) + 1
            raise self.error(number, "a byte that is not ASCII", self.form) from None
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.replace("\t", " ").isprintable():
                raise self.error(number, "a control character", self.form)
        return text

    def _change(self, change: Callable[[str], list[str]]) -> None:
        """Replace the file by the lines that `change` returns, whole, one process at a time."""
        directory = os.path.dirname(self.path)
        try:
            make_directory(directory)
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                lines = change(self._content())
                _replace(self.path, "".join(f"{line}\n" for line in lines))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from None


def read_own(path: str) -> bytes | None:
    """Return a file's content, None if there is none.

    Raises StoreError if anybody else can have written or removed it.
    """
    # Not for `trex ssh`, which reads nothing.
    from trex.system.privilege import find_account
    from trex.system.safefile import read_safely

    try:
        return read_safely(path, find_account(pwd.getpwuid(os.geteuid()).pw_name))
    except NoRecord:
        return None
    except FileUnsafe as error:
        raise StoreError(str(error), "fix it, or move it away") from None
    except (KeyError, UserUnknown):
        raise StoreError(f"uid {os.geteuid()} has no account") from None


def make_directory(directory: str) -> None:
    """Create a directory with mode 0700. Raises OSError; StoreError if another user's is there."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    status = os.stat(directory)
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & stat.S_IWOTH:
        raise StoreError(f"{directory}: another user can write it", "fix it, or move it away")


def _replace(path: str, content: str) -> None:
    """Write a file of mode 0600 beside `path`, and rename it over `path` when it is complete."""
    from tempfile import mkstemp  # 8 ms, and most logins store nothing

    descriptor, new = mkstemp(prefix=".new-", dir=os.path.dirname(path))
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    except BaseException:
        if os.path.exists(new):
            os.unlink(new)
        raise
