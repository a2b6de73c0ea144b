"""Root's own files that remember successes, for `trex.login.grace` and `trex grace`.

PLACE has a directory for each uid, and there a file for each service, method and origin. The boot
empties it. A login that is not root's has no such file.
"""

import os
import time
from contextlib import suppress

from trex.errors import FileUnsafe, NoRecord
from trex.system.privilege import Account
from trex.system.rewriting import write_durably
from trex.system.safefile import check_directories
from trex.system.secretfile import read_secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "/run/trex-pam.grace"
MOST = 64  # files of one uid: a new one takes the place of the oldest
WRITING_NS = 60_000_000_000  # a file takes milliseconds, unless its login is stopped or has ended
FIRST_LINE = "trex-grace 1"
TEXTS, NUMBERS = ("user", "service", "method", "origin", "boot"), ("uid", "since", "seconds")
PROOF = "proof"
NAMES = (*TEXTS, *NUMBERS, PROOF)
PROOF_DIGITS, MAX_DIGITS = 64, 20
ROOT = Account("root", 0, 0, "/", [0])


def parse(content: bytes, path: str) -> dict[str, str]:
    """Return the fields of a file, by NAMES. Raises FileUnsafe for whatever `content_of` makes not.

    `since` are nanoseconds of CLOCK_BOOTTIME, `seconds` what the period was then.
    """
    expected = "what Trex remembers of a success"
    try:
        first, *lines, end = content.decode("utf-8").split("\n")
        pairs = [line.split(" ", 1) for line in lines]
        fields = dict(pairs)
        whole = [name for name, _ in pairs] == list(NAMES) and first == FIRST_LINE and not end
    except ValueError:
        whole, fields = False, {}
    if not whole or not _is_plain(fields):
        raise FileUnsafe(path, "something else, or a part of it", expected)
    return fields


def _is_plain(fields: dict[str, str]) -> bool:
    numbers = [fields[name] for name in NUMBERS]
    digits = set(fields[PROOF]) <= set("0123456789abcdef") and len(fields[PROOF]) == PROOF_DIGITS
    return digits and all(
        text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS for text in numbers
    )


def content_of(fields: dict[str, str]) -> bytes:
    """Return a file with these fields; no value has a newline."""
    lines = [FIRST_LINE, *(f"{name} {fields[name]}" for name in NAMES)]
    return "".join(f"{line}\n" for line in lines).encode("utf-8")


def read_state(uid: int, name: str) -> dict[str, str]:
    """Return what a file has. Raises NoRecord if there is none, FileUnsafe if it is not root's."""
    path = f"{PLACE}/{uid}/{name}"
    return parse(read_secret(path, ROOT), path)


def write_state(uid: int, name: str, fields: dict[str, str]) -> None:
    """Remember a success, in the place of an earlier one. Raises OSError or FileUnsafe."""
    directory = f"{PLACE}/{uid}"
    for path in (PLACE, directory):
        with suppress(FileExistsError):
            os.mkdir(path, 0o700)
    check_directories(directory, ROOT)
    _make_room(directory)
    made = f"{directory}/.{os.urandom(16).hex()}"
    write_durably(f"{directory}/{name}", made, content_of(fields), 0o600)


def _make_room(directory: str) -> None:
    """Remove the oldest files, and what a login left that was ended while it wrote.

    Whoever was stopped for so long, or has the clock set meanwhile, cannot rename it any more: that
    success is not remembered.
    """
    found: list[tuple[int, str]] = []
    left: list[tuple[int, str]] = []
    begun = time.time_ns() - WRITING_NS
    with os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another login has just renamed it
                written = entry.stat(follow_symlinks=False).st_mtime_ns
                is_left = entry.name.startswith(".") and written < begun
                (left if is_left else found).append((written, entry.path))
    for _, path in [*left, *sorted(found)[: max(0, len(found) - MOST + 1)]]:
        with suppress(FileNotFoundError):  # another login was faster
            os.unlink(path)


def states() -> "Iterator[dict[str, str] | FileUnsafe]":
    """Yield what each file has, or why it has nothing."""
    for uid in _uids():
        written = [name for name in _names(f"{PLACE}/{uid}") if not name.startswith(".")]
        for name in sorted(written):
            with suppress(NoRecord):
                try:
                    yield read_state(uid, name)
                except FileUnsafe as error:
                    yield error


def forget_successes(uid: int | None = None) -> int:
    """Remove the files of one uid, or of all; return how many there were.

    A mark says when that was, for what other files have noted. It comes last: a full file system
    has room for it then. Raises OSError.
    """
    count = 0
    for directory in [f"{PLACE}/{one}" for one in _uids() if uid in (None, one)]:
        for name in _names(directory):
            with suppress(FileNotFoundError):
                os.unlink(f"{directory}/{name}")
                count += not name.startswith(".")
        with suppress(OSError):  # a login has just written
            os.rmdir(directory)
    with suppress(FileExistsError):
        os.mkdir(PLACE, 0o700)
    write_durably(_mark(uid), f"{PLACE}/.{os.urandom(16).hex()}", b"", 0o600)
    return count


def cleared_at(uid: int) -> float:
    """Return when the files of a uid were removed last (Unix time), 0 for never.

    Raises FileUnsafe where others than root could have changed that.
    """
    times = [0.0]
    for path in (_mark(uid), _mark(None)):
        try:
            times.append(os.lstat(path).st_mtime)
            check_directories(PLACE, ROOT)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise FileUnsafe(path, f'"{error.strerror}"', "a file that can be read") from None
    return max(times)


def clearings(uid: int) -> str:
    """Return what no two times have between which the files of a uid were removed."""
    found = []
    for path in (_mark(uid), _mark(None)):
        with suppress(OSError):  # none yet; whoever reads or writes a file says what else is wrong
            status = os.lstat(path)
            found.append((path, status.st_ino, status.st_ctime_ns))
    return repr(found)


def _mark(uid: int | None) -> str:
    return f"{PLACE}/cleared{'' if uid is None else f'.{uid}'}"


def _uids() -> list[int]:
    return sorted(int(name) for name in _names(PLACE) if name.isascii() and name.isdigit())


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
