"""The record's file as `trex enroll` reads and replaces it: rights, links, what stays."""

from __future__ import annotations

import os
import secrets
import signal
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.accounts import SOMEBODY
from tests.support.forked import in_a_child
from trex.cli.errors import CommandError
from trex.cli.setup.recordfile import (
    Fields,
    _parts,
    check_parents,
    fields_of,
    has_right_access,
    read_as,
    read_existing,
    remove,
    replace_record,
    with_record,
)  # fmt: skip
from trex.errors import FileUnsafe
from trex.openpgp.record import parse_record
from trex.system.privilege import find_account
from trex.system.rewriting import sync_directory
from trex.system.safefile import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if os.geteuid() != 0:
    pytest.skip("only root works for others", allow_module_level=True)

FPR, OTHER = "A" * 40, "B" * 40
RECORD = f"{FPR} trust nosign\n".encode()


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody can reach and SOMEBODY owns."""
    with tempfile.TemporaryDirectory(prefix="trex-records-") as name:
        os.chmod(name, 0o755)  # noqa: S103 (as a home is)
        home = Path(name) / "home"
        home.mkdir()
        os.chown(home, SOMEBODY.uid, SOMEBODY.gid)
        yield home


def left(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def test_a_record_is_read_with_the_rights_of_its_owner_and_not_with_root_s(place: Path) -> None:
    """Neither files that only root can read nor files behind a user's link."""
    record = place / ".auth_gpg"
    assert read_as(SOMEBODY, str(record)) is None
    record.write_bytes(b"\xff\n" + RECORD)
    os.chown(record, SOMEBODY.uid, -1)
    record.chmod(0o400)
    assert read_as(SOMEBODY, str(record)) == b"\xff\n" + RECORD
    os.chown(record, 0, 0)
    with pytest.raises(CommandError, match=r"\.auth_gpg: .*Permission denied"):
        read_as(SOMEBODY, str(record))
    above = place.parent
    above.chmod(0o700)
    with pytest.raises(CommandError, match=r"\.auth_gpg: .*Permission denied"):
        read_as(SOMEBODY, str(record))


def test_root_reads_and_writes_only_where_no_user_decides_what_is_there(place: Path) -> None:
    """Neither in a user's directory nor behind a user's link, though the directory is root's."""
    root = find_account("root")
    own = place.parent / "own"
    own.mkdir()
    link = place / "link"
    link.symlink_to(own)
    os.lchown(link, SOMEBODY.uid, -1)
    check_parents(f"{own}/record", root)
    for directory, found in ((place, place), (link, place)):
        for act in (check_parents, lambda path, account: read_as(account, path)):
            with pytest.raises(CommandError) as caught:
                act(f"{directory}/record", root)
            assert str(caught.value) == (
                f"{found}: expected owner root, found owner uid {SOMEBODY.uid}: "
                "root writes only where no user can change the path"
            )
    os.chown(place, 1, -1)
    with pytest.raises(CommandError, match="owner uid 1: root writes only"):
        check_parents(f"{place}/record", root)
    os.chown(place, 0, -1)
    with pytest.raises(
        CommandError, match=f"^{link}: expected owner root, found owner uid {SOMEBODY.uid}: root"
    ):
        check_parents(f"{link}/record", root)
    own.chmod(0o757)
    with pytest.raises(FileUnsafe, match="mode 0757"):
        check_parents(f"{own}/record", root)


def test_a_user_writes_where_nobody_but_that_user_and_root_decides(place: Path) -> None:
    check_parents(f"{place}/record", SOMEBODY)
    assert read_as(SOMEBODY, f"{place}/record") is None
    place.chmod(0o777)
    with pytest.raises(FileUnsafe, match="mode 0777"):
        check_parents(f"{place}/record", SOMEBODY)


def test_the_directories_above_are_those_that_are_there(place: Path) -> None:
    above = [str(path) for path in reversed(place.parents)]
    assert _parts(f"{place}/none/at/all") == [*above, str(place)]
    assert _parts("/") == ["/"]
    assert _parts("") == _parts("none") == []


def test_what_is_no_directory_is_not_waited_for(place: Path) -> None:
    os.mkfifo(place / "fifo")

    def sync() -> str:
        signal.alarm(20)
        try:
            sync_directory(f"{place}/fifo")
        except NotADirectoryError:
            return "none"
        return "done"

    assert in_a_child(sync) == "none"


@pytest.mark.parametrize(
    "kind", ["a link", "a link to nothing", "a FIFO", "a directory", "a device"]
)
def test_what_is_no_regular_file_is_not_read_and_not_waited_for(place: Path, kind: str) -> None:
    path = place / "record"
    make: dict[str, Callable[[], object]] = {
        "a link": lambda: path.symlink_to("/etc/passwd"), "a link to nothing": lambda: path.symlink_to("x"),
        "a FIFO": lambda: os.mkfifo(path), "a directory": path.mkdir,
        "a device": lambda: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5)),
    }  # fmt: skip
    make[kind]()
    before = os.listdir("/proc/self/fd")

    def read() -> list[str]:
        signal.alarm(20)
        try:
            read_existing(str(path))
        except CommandError as error:
            return [str(error), error.hint]
        return []

    message, hint = in_a_child(read)
    if "link" in kind:
        assert (message, hint) == (
            f"{path}: expected a regular file, found a symbolic link",
            f"rm {path}",
        )
    else:
        assert (message, hint) == (f"{path}: expected a regular file", f"ls -ld {path}")
    with pytest.raises(CommandError):
        read_existing(str(path))
    assert os.listdir("/proc/self/fd") == before


def test_a_record_has_a_size(place: Path) -> None:
    path = place / "record"
    path.write_bytes(b"x" * MAX_SIZE)
    assert read_existing(str(path)) == b"x" * MAX_SIZE
    path.write_bytes(b"x" * (MAX_SIZE + 1))
    with pytest.raises(CommandError) as caught:
        read_existing(str(path))
    assert (str(caught.value), caught.value.hint) == (
        f"{path}: expected at most 64 KiB, found a larger file", "move it away",
    )  # fmt: skip


def test_a_path_that_leads_nowhere_is_told_as_the_system_does(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(CommandError) as caught:
        read_existing(f"{place}/file/record")
    assert (
        str(caught.value)
        == f'{place}/file/record: expected a regular file, found "Not a directory"'
    )
    assert caught.value.hint == f"ls -ld {place}/file/record"


def test_what_a_record_says() -> None:
    def said(text: str) -> Fields:
        return fields_of(text.encode(), "/r", "/home/x")

    assert said(f"{FPR},{OTHER} notrust {FPR}\n") == Fields([FPR, OTHER], "notrust", FPR, [])
    assert said(f"\ufeff# c\n{FPR}  trust\tnosign webQrAuthTls k c\n") == Fields(
        [FPR], "trust", "nosign", ["webQrAuthTls", "k", "c"]
    )
    assert said("none") == said("") == Fields()
    assert Fields() == Fields([], "trust", "nosign", [])
    assert (
        Fields([FPR, OTHER], "notrust", OTHER, ["m", "k"]).line()
        == f"{FPR},{OTHER} notrust {OTHER} m k"
    )


def test_a_record_is_replaced_in_its_place_and_all_else_stays() -> None:
    fields = Fields([OTHER])
    new = fields.line()
    assert with_record(None, fields, "by trex", "/r") == f"# by trex\n{new}\n".encode()
    assert with_record(b"none", fields, "by trex", "/r") == f"# by trex\n{new}\n".encode()
    before = b"# a\n\n" + RECORD + b"# z"
    assert with_record(before, fields, "x", "/r") == f"# a\n\n{new}\n# z\n".encode()
    assert with_record(before + b"\n\n\n", fields, "x", "/r") == f"# a\n\n{new}\n# z\n".encode()


def test_notes_stay_or_are_replaced_before_the_record() -> None:
    noted = Fields([OTHER], uid=1001, leaves_out=True)
    assert noted.notes() == ["# trex: uid=1001", "# trex: leave-out-unusable"]
    both = "# trex: uid=1001\n# trex: leave-out-unusable\n"
    assert with_record(None, noted, "c", "/r") == f"# c\n{both}{noted.line()}\n".encode()
    before = b"# a\n#trex: leave-out-unusable uid=1001\n# b\n" + RECORD + b"# z\n"
    kept = f"# a\n#trex: leave-out-unusable uid=1001\n# b\n{noted.line()}\n# z\n"
    assert with_record(before, noted, "c", "/r") == kept.encode()
    noted.uid = 7
    new = both.replace("1001", "7")
    assert with_record(before, noted, "c", "/r") == f"# a\n# b\n{new}{noted.line()}\n# z\n".encode()
    plain = Fields([OTHER])
    assert with_record(before, plain, "c", "/r") == f"# a\n# b\n{plain.line()}\n# z\n".encode()
    marked = "\ufeff# trex: uid=3\r\n".encode() + RECORD
    assert with_record(marked, plain, "c", "/r") == f"{plain.line()}\n".encode()
    assert fields_of(before, "/r", "/") == Fields([FPR], uid=1001, leaves_out=True)


@pytest.mark.parametrize("user_id", ["trex: uid=0", "  trex: leave-out-unusable", "trex:", "#"])
def test_a_user_id_in_a_comment_never_becomes_a_note(user_id: str) -> None:
    """The owner of a key chooses its user ids, and root writes the first one into the record."""
    record = parse_record(with_record(None, Fields([FPR]), user_id, "/r"), "/r", "/")
    assert record.uid is None
    assert not record.leaves_out


@pytest.mark.parametrize(("mode", "uid", "gid", "right"), [
    (0o600, 7, 8, True), (0o600, 7, 9, True), (0o640, 7, 8, False), (0o600, 8, 8, False), (0o4600, 7, 8, False),
])  # fmt: skip
def test_who_may_read_a_private_record(
    place: Path, mode: int, uid: int, gid: int, right: bool
) -> None:
    path = place / "record"
    path.touch()
    os.chown(path, uid, gid)
    path.chmod(mode)
    assert has_right_access(str(path), 7, 0o600, 8) is right


def test_who_may_read_a_record_of_central_mode(place: Path) -> None:
    """There the reader is the group."""
    path = place / "record"
    path.touch()
    path.chmod(0o640)
    for gid, right in ((8, True), (9, False)):
        os.chown(path, 0, gid)
        assert has_right_access(str(path), 0, 0o640, 8) is right
    link = place / "link"
    link.symlink_to(path)
    os.chown(path, 0, 8)
    assert not has_right_access(str(link), 0, 0o640, 8), "a link is none"


def test_a_record_is_written_whole_with_owner_and_mode_and_a_copy(place: Path) -> None:
    path = place / "record"
    before = os.umask(0)
    try:
        replace_record(str(path), RECORD, None, 0o640, 9)
    finally:
        os.umask(before)
    assert left(place) == ["record"]
    status = path.stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, 0, 9)
    replace_record(str(path), b"new\n", RECORD, 0o600, 9)
    assert (path.read_bytes(), (place / "record~").read_bytes()) == (b"new\n", RECORD)
    assert {stat.S_IMODE((place / name).stat().st_mode) for name in left(place)} == {0o600}
    remove(str(path), b"new\n", 0o600, 9)
    assert left(place) == ["record~"]
    assert (place / "record~").read_bytes() == b"new\n"


def test_what_was_changed_meanwhile_is_left_alone(place: Path) -> None:
    path = place / "record"
    path.write_bytes(b"another's\n")
    acts: list[Callable[[], None]] = [
        lambda: replace_record(str(path), b"new\n", RECORD, 0o600, 0), lambda: remove(str(path), RECORD, 0o600, 0),
        lambda: replace_record(str(path), b"new\n", None, 0o600, 0),
    ]  # fmt: skip
    for act in acts:
        with pytest.raises(CommandError) as caught:
            act()
        assert str(caught.value) == f"{path}: another program has changed it"
        assert path.read_bytes() == b"another's\n"
    path.unlink()
    with pytest.raises(CommandError, match="another program has changed it"):
        replace_record(str(path), b"new\n", RECORD, 0o600, 0)
    assert left(place) == ["record~"]


def known_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a neighbour who guesses 32 bits, or creates all possible names."""
    monkeypatch.setattr(secrets, "token_hex", lambda count: "ab" * count)


@pytest.mark.parametrize("kind", ["a file", "a hard link", "a link", "a link to nothing"])
def test_what_is_planted_where_the_new_record_is_written_is_not_written_to(
    place: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    known_name(monkeypatch)
    victim = place / "victim"
    victim.write_bytes(b"kept")
    plant: dict[str, Callable[[Path], object]] = {
        "a file": Path.touch, "a hard link": lambda path: path.hardlink_to(victim),
        "a link": lambda path: path.symlink_to(victim), "a link to nothing": lambda path: path.symlink_to("made"),
    }  # fmt: skip
    for name in ("record.abababab.new", ".record.abababab.new"):
        plant[kind](place / name)
    with pytest.raises(FileExistsError):
        replace_record(f"{place}/record", RECORD, None, 0o600, 0)
    assert victim.read_bytes() == b"kept"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o644
    assert not (place / "made").exists()
    assert not (place / "record").exists()


def test_a_new_file_is_opened_so_that_nothing_else_can_be_opened(place: Path) -> None:
    """O_EXCL alone follows no link; O_NOFOLLOW protects where a file server lacks it (open(2))."""
    flags, mode = opened(place)
    wanted = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    assert flags & wanted == wanted
    assert not flags & os.O_TRUNC
    assert mode == 0o600, "before its owner and its mode are set, nobody else can read it"


def opened(place: Path) -> tuple[int, int]:
    """Return the flags and the first mode of the file that becomes the record."""

    def write() -> list[int]:
        seen: list[int] = []

        def note(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" and str(arguments[0]).endswith(".new"):
                seen.append(int(str(arguments[2])))
            if event == "os.chmod" and not seen[1:]:
                seen.append(stat.S_IMODE(os.fstat(int(str(arguments[0]))).st_mode))

        os.umask(0)
        sys.addaudithook(note)
        replace_record(f"{place}/record", RECORD, None, 0o644, 0)
        return seen

    flags, mode = in_a_child(write)
    return flags, mode


def test_what_fails_leaves_nothing_new(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = place / "record"
    path.write_bytes(RECORD)
    before = os.listdir("/proc/self/fd")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "rename", "fchown", "fchmod"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="No space left"):
                replace_record(str(path), b"new\n", None if name == "x" else RECORD, 0o600, 0)
        assert path.read_bytes() == RECORD
        assert not [one for one in left(place) if one.endswith(".new")]
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_record_is_whole(place: Path, number: signal.Signals) -> None:
    path = place / "record"

    def write() -> list[object]:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        signal.signal(number, interrupt)
        seen: list[object] = []

        def kill_at_rename(event: str, _: object) -> None:
            if event == "os.rename":
                os.kill(os.getpid(), number)
                seen.append(number in signal.sigpending())

        sys.addaudithook(kill_at_rename)
        try:
            replace_record(str(path), RECORD, None, 0o600, 0)
        except KeyboardInterrupt:
            seen.append("interrupted")
        return [*seen, signal.pthread_sigmask(signal.SIG_BLOCK, ())]

    assert in_a_child(write) == [True, "interrupted", set()]
    assert path.read_bytes() == RECORD
    assert left(place) == ["record"]


def test_the_record_is_on_the_disk_before_it_takes_the_place_and_then_its_name(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a crash there is the old or the new record, not an empty file."""
    steps: list[str] = []
    fsync, rename, unlink = os.fsync, os.rename, os.unlink

    def note_fsync(descriptor: int) -> None:
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        size = "" if kind == "directory" else f" of {os.fstat(descriptor).st_size}"
        steps.append(kind + size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note_fsync)

    def note_rename(*names: str) -> None:
        steps.append("rename")
        rename(*names)

    def note_unlink(name: str) -> None:
        steps.append("unlink")
        unlink(name)

    monkeypatch.setattr(os, "rename", note_rename)
    monkeypatch.setattr(os, "unlink", note_unlink)
    before = os.listdir("/proc/self/fd")
    replace_record(f"{place}/record", RECORD, None, 0o600, 0)
    written = [f"file of {len(RECORD)}", "rename", "directory"]
    assert steps == written
    steps.clear()
    remove(f"{place}/record", RECORD, 0o600, 0)
    assert steps == [*written, "unlink", "directory"]
    assert os.listdir("/proc/self/fd") == before
