"""The file that remembers a success: read strictly, and never in place of a question."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import trex.login.grace
from trex.errors import ACCEPTED, LATE, WRONG, FileUnsafe, NoRecord, NotGivenBack
from trex.login import gracefile
from trex.login.challenge import Challenge, now
from trex.login.grace import EarlierSuccess, Grace
from trex.login.gracefile import (
    MOST,
    cleared_at,
    content_of,
    forget_successes,
    parse,
    read_state,
    states,
    write_state,
)
from trex.login.method import Login
from trex.login.options import parse_options
from trex.system.privilege import Account
from trex.system.rewriting import write_durably

if TYPE_CHECKING:
    from trex.errors import Outcome
    from trex.login.challenge import Conversation
    from trex.login.method import Method

NOBODY_ASKED = cast("Conversation", None)
ALICE = Account("alice", 1000, 1000, "/home/alice", [])
FIELDS = {
    "user": "alice", "service": "sshd", "method": "openpgp", "origin": "192.0.2.1",
    "boot": "2f1c", "uid": "1000", "since": "17", "seconds": "60", "proof": "a" * 64,
}  # fmt: skip
WHOLE = content_of(FIELDS)


def test_what_is_written_is_read_again() -> None:
    assert parse(WHOLE, "/run/x") == FIELDS
    other = {**FIELDS, "origin": "terminal 34816, session 1 of 2", "since": "1" * 20,
             "proof": "0123456789abcdef" * 4}  # fmt: skip
    assert parse(content_of(other), "/run/x") == other


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", WHOLE[:-1], WHOLE + b"\n", WHOLE.replace(b"grace 1", b"grace 2"),
     WHOLE.replace(b"since 17", b"since -17"), WHOLE.replace(b"since 17", b"since 1e9"),
     WHOLE.replace(b"since 17", b"since"), WHOLE.replace(b"since 17", b"since " + b"1" * 21),
     WHOLE.replace(b"aaaa\n", b"AAAA\n"), WHOLE.replace(b"aaaa\n", b"\n"),
     WHOLE.replace(b"uid 1000\n", b""), WHOLE.replace(b"uid 1000\n", b"uid 1000\nuid 1000\n"),
     WHOLE.replace(b"alice", b"\xff"), WHOLE + b"x",
     WHOLE.replace(b"since 17", "since \u0661\u0667".encode()),
     WHOLE.replace(b"since 17", "since \u00b2".encode())],
)  # fmt: skip
def test_what_is_not_whole_is_nothing(content: bytes) -> None:
    with pytest.raises(FileUnsafe, match="something else, or a part of it"):
        parse(content, "/run/x")


class Method_:  # noqa: N801 (stands for a module)
    """A method whose success rests on one text."""

    text = b"as it is"

    def basis(self, *_: object) -> bytes:
        return self.text


class Host:
    """One host's files and clock."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, str]] = {}
        self.passed = 0.0

    def read(self, _: int, name: str) -> dict[str, str]:
        if name not in self.files:
            raise NoRecord(name)
        return self.files[name]

    def write(self, _: int, name: str, fields: dict[str, str]) -> None:
        self.files[name] = fields


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(trex.login.grace, "read_state", host.read)
    monkeypatch.setattr(trex.login.grace, "write_state", host.write)
    monkeypatch.setattr(trex.login.grace, "now", lambda: now() + host.passed)
    return host


def period(seconds: int = 60, address: str = "192.0.2.1", *more: str) -> Grace:
    arguments = [f"grace_period={seconds}", *more]
    login = Login("alice", "sshd", address, arguments)
    return Grace(login, parse_options(arguments), ALICE, ALICE)


def steps(grace: Grace) -> list[str]:
    return grace._login.steps


def succeed(grace: Grace) -> None:
    challenge = Challenge(60)
    challenge.basis = lambda: Method_.text
    grace.remember(challenge)


def judged(grace: Grace, method: Method_ | None = None) -> list[Any]:
    found = grace.earlier_successes(cast("Method", method or Method_()))
    return [one.judge(one.obtain(NOBODY_ASKED)) for one in found]


def test_a_success_counts_until_its_period_is_over(host: Host) -> None:
    succeed(period())
    assert judged(period()) == [ACCEPTED]
    host.passed = 59
    assert judged(period()) == [ACCEPTED]
    host.passed = 60
    assert judged(period()) == []


def test_a_period_that_ends_between_reading_and_judging_is_over(host: Host) -> None:
    succeed(period(1))
    (one,) = period(1).earlier_successes(cast("Method", Method_()))
    one.deadline = now()
    assert one.judge(one.obtain(NOBODY_ASKED)) is LATE
    assert not one.is_right


@pytest.mark.parametrize(("ago", "counts"), [(-0.001, 0), (0, 1), (59.999, 1), (60, 0)])
def test_a_period_begins_with_the_success_and_ends_to_the_moment(
    host: Host, monkeypatch: pytest.MonkeyPatch, ago: float, counts: int
) -> None:
    monkeypatch.setattr(time, "clock_gettime_ns", lambda _: 5_000_000_000)
    monkeypatch.setattr(trex.login.grace, "now", lambda: 5 + ago)
    succeed(period())
    assert len(list(period().earlier_successes(cast("Method", Method_())))) == counts


@pytest.mark.parametrize(("ago", "left"), [(10, 50), (59.7, 0), (62, 0)])
def test_the_log_says_how_long_the_period_still_lasts(
    host: Host, monkeypatch: pytest.MonkeyPatch, ago: float, left: int
) -> None:
    """It is 0 where a login is stopped just after its judgement."""
    succeed(period())
    later = period()
    (one,) = later.earlier_successes(cast("Method", Method_()))
    assert isinstance(one, EarlierSuccess)
    monkeypatch.setattr(trex.login.grace, "now", lambda: one.deadline - 60 + ago)
    assert one.judge(one.obtain(NOBODY_ASKED)) is ACCEPTED
    assert later._login.remark == f"not asked: {left} seconds of the grace period are left"


def test_where_nothing_is_remembered_no_gpg_is_started(host: Host) -> None:
    class Asked(Method_):
        def basis(self, *_: object) -> bytes:
            raise AssertionError

    assert judged(period(), Asked()) == []


@pytest.mark.parametrize("ends", ["the period", "the administrator"])
def test_what_ends_while_gpg_is_kept_waiting_counts_for_nothing(host: Host, ends: str) -> None:
    """Whoever calls su can stop it there for hours, and have it go on with what it read before."""

    class Stopped(Method_):
        def basis(self, *_: object) -> bytes:
            if ends == "the period":
                host.passed = 60
            else:
                host.files.clear()
            return self.text

    succeed(period())
    host.passed = 59
    assert judged(period(), Stopped()) == []


def test_a_period_ends_when_it_does_wherever_a_login_is_stopped(host: Host) -> None:
    succeed(period())
    (since,) = (int(fields["since"]) for fields in host.files.values())
    host.passed = 30
    (one,) = period().earlier_successes(cast("Method", Method_()))
    assert one.deadline == since / 1e9 + 60


class Noting(Method_):
    """A method that has noted a login of so many seconds ago itself, and is stopped meanwhile."""

    def __init__(self, host: Host, ago: int, stopped: int = 0) -> None:
        self._host = host
        self._ago = ago
        self._stopped = stopped

    def noted_logins(self, *_: object) -> list[tuple[str, int]]:
        noted = int(time.time()) - self._ago
        self._host.passed += self._stopped
        return [("192.0.2.1", noted)]


@pytest.mark.parametrize(("ago", "expected"), [(55, [ACCEPTED]), (61, [])])
@pytest.mark.usefixtures("place")
def test_a_login_that_another_module_has_noted_counts_for_the_period_alone(
    host: Host, ago: int, expected: list[Outcome]
) -> None:
    assert judged(period(), Noting(host, ago)) == expected


@pytest.mark.parametrize(
    ("noted", "counts"),
    [(939, 0), (940, 0), (941, 1), (1000, 1), (1001, 0)],
)
def test_what_another_module_has_noted_counts_by_the_second(
    host: Host, monkeypatch: pytest.MonkeyPatch, place: Path, noted: int, counts: int
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    monkeypatch.setattr(trex.login.grace, "now", lambda: 500.0)
    noting = Noting(host, 1000 - noted)

    def found() -> int:
        return len(list(period().earlier_successes(cast("Method", noting))))

    assert found() == counts
    forget_successes(1000)
    os.utime(place / "cleared.1000", (noted, noted))
    assert found() == 0, "cleared in the same second"
    monkeypatch.setattr(trex.login.grace, "now", lambda: 1000.0 - noted)
    os.utime(place / "cleared.1000", (1, 1))
    assert found() == 0, "noted before the boot, or as it came"


@pytest.mark.usefixtures("place")
def test_what_another_module_has_noted_ends_while_a_login_is_stopped(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = time.time
    monkeypatch.setattr(time, "time", lambda: wall() + host.passed)
    assert judged(period(), Noting(host, 50, stopped=20)) == []
    noting = Noting(host, 50)
    (one,) = period().earlier_successes(cast("Method", noting))
    assert now() + host.passed < one.deadline < now() + host.passed + 11


@pytest.mark.parametrize(("uid", "expected"), [(1000, []), (None, []), (1001, [ACCEPTED])])
@pytest.mark.usefixtures("place")
def test_what_is_cleared_while_a_login_is_stopped_counts_for_nothing(
    host: Host, uid: int | None, expected: list[Outcome]
) -> None:
    """One user's, or everybody's: there is nothing of Trex's to remove."""

    class Cleared(Noting):
        def noted_logins(self, *_: object) -> list[tuple[str, int]]:
            noted = super().noted_logins()
            forget_successes(uid)
            return noted

    assert judged(period(), Cleared(host, 1)) == expected


@pytest.mark.parametrize(
    ("uid", "expected"), [(1000, [WRONG]), (None, [WRONG]), (1001, [ACCEPTED])]
)
@pytest.mark.usefixtures("place")
def test_a_success_that_is_written_after_it_was_cleared_counts_for_nothing(
    uid: int | None, expected: list[Outcome]
) -> None:
    """Whoever calls su can stop it between its judgement and its file, and have it go on then."""
    stopped = period()
    forget_successes(uid)
    succeed(stopped)
    assert judged(period()) == expected


@pytest.mark.usefixtures("place")
def test_nor_does_it_for_a_login_whose_gpg_is_kept_waiting_meanwhile() -> None:
    stopped = period()

    class Cleared(Method_):
        def basis(self, *_: object) -> bytes:
            forget_successes(1000)
            succeed(stopped)
            return self.text

    succeed(period())
    assert judged(period(), Cleared()) == [WRONG]


def test_where_others_could_remove_the_mark_nothing_that_was_noted_counts(
    host: Host, place: Path
) -> None:
    forget_successes(1001)
    assert judged(period(), Noting(host, 1)) == [ACCEPTED]
    forget_successes(1000)
    os.utime(place / "cleared.1000", (1, 1))
    assert judged(period(), Noting(host, 1)) == [ACCEPTED]
    place.chmod(0o777)
    assert judged(period(), Noting(host, 1)) == []


def test_a_success_of_a_time_to_come_counts_for_nothing(host: Host) -> None:
    """CLOCK_BOOTTIME goes back where a container is moved."""
    succeed(period())
    host.passed = -10
    assert judged(period()) == []


def test_another_basis_or_line_is_wrong(host: Host) -> None:
    succeed(period())
    other = Method_()
    other.text = b"as it was not"
    another = period()
    assert judged(another, other) == [WRONG]
    assert another._login.remark == ""
    assert judged(period(60, "192.0.2.1", "timeout=599")) == [WRONG]
    assert judged(period(61)) == [WRONG]


@pytest.mark.parametrize(
    "change",
    [{"user": "bob"}, {"uid": 1001}, {"service": "su"}, {"method": "totp"},
     {"address": "192.0.2.2"}],
)  # fmt: skip
def test_what_was_written_for_another_user_service_method_or_place_is_wrong(
    host: Host, change: dict[str, Any]
) -> None:
    told: dict[str, Any] = {
        "user": "alice", "uid": 1000, "service": "sshd", "method": "openpgp", "address": "192.0.2.1",
    }  # fmt: skip

    def grace(user: str, uid: int, service: str, method: str, address: str) -> Grace:
        arguments = [f"method={method}", "grace_period=60"]
        options = parse_options(arguments)
        account = Account(user, uid, uid, f"/home/{user}", [])
        return Grace(Login(user, service, address, ["the same"]), options, account, account)

    succeed(grace(**told))
    ((_, written),) = host.files.items()
    other = grace(**{**told, **change})
    assert (other._name() in host.files) == ("uid" in change), "a uid has a directory of its own"
    host.files[other._name()] = written
    assert judged(other) == [WRONG]
    assert judged(grace(**told)) == [ACCEPTED]


def test_what_a_success_rests_on_has_to_be_known(host: Host) -> None:
    """As where a key was revoked just as its response came."""
    begun = period()
    begun.remember(Challenge(60))
    assert host.files == {}
    assert steps(begun) == ["no grace period: changed meanwhile, or for two people"]


def test_names_cannot_add_fields_and_fit(host: Host) -> None:
    arguments = ["grace_period=60"]
    long = Account("a\nproof " + "b" * 300, 1000, 1000, "/home/alice", [])
    login = Login(long.name, "s\nproof " + "d" * 300, "192.0.2.1", arguments)
    succeed(Grace(login, parse_options(arguments), long, long))
    ((name, fields),) = host.files.items()
    assert name.isalnum()
    assert {len(fields[one].encode()) for one in ("user", "service")} == {255}
    assert parse(content_of(fields), name) == fields


@pytest.mark.parametrize("fault", ["record", "file"])
def test_what_cannot_be_read_is_told_and_has_the_question_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The login itself says what is wrong with a record; nothing else does of root's file."""

    class Unsafe(Method_):
        def basis(self, *_: object) -> bytes:
            raise FileUnsafe("/x", "a", "b")

    def unsafe(*_: object) -> None:
        raise FileUnsafe("/x", "a", "b")

    succeed(period())
    if fault == "file":
        monkeypatch.setattr(trex.login.grace, "read_state", unsafe)
    begun = period()
    assert judged(begun, Unsafe()) == []
    told = [f"no grace period: {FileUnsafe('/x', 'a', 'b')}"]
    seen = [f"an earlier success cannot be read: {FileUnsafe('/x', 'a', 'b')}"]
    assert (steps(begun), begun._login.warnings) == (
        (told, []) if fault == "record" else ([], seen)
    )


def test_a_boot_is_known_by_the_kernel_s_name_for_it() -> None:
    assert trex.login.grace.boot_id() == Path(trex.login.grace.BOOT).read_text().strip()


@pytest.mark.parametrize("missing", ["boot", "origin"])
def test_without_boot_or_origin_there_is_no_grace_period(
    host: Host, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    if missing == "boot":
        monkeypatch.setattr(trex.login.grace, "BOOT", "/nonexistent")
    begun = period(60, "192.0.2.1" if missing == "boot" else "office.example.org")
    succeed(begun)
    assert host.files == {}
    (told,) = steps(begun)
    assert told.startswith("no grace period: ")


def test_ids_that_are_not_given_back_end_the_login_and_not_the_grace_period_alone(
    host: Host,
) -> None:
    """What follows would run as somebody else."""

    class Elsewhere(Method_):
        def basis(self, *_: object) -> bytes:
            raise NotGivenBack("cannot act as uid 0 again")

    succeed(period())
    with pytest.raises(NotGivenBack):
        judged(period(), Elsewhere())
    challenge = Challenge(60)
    challenge.basis = Elsewhere().basis
    with pytest.raises(NotGivenBack):
        period().remember(challenge)


FAULTS = [OSError(errno.EIO, "Input/output error"), ImportError("no module named hashlib")]


@pytest.mark.parametrize("fault", FAULTS, ids=["call", "module"])
def test_what_cannot_be_found_out_has_the_question_asked_and_refuses_nobody(
    host: Host, fault: Exception
) -> None:
    class Failing(Method_):
        def basis(self, *_: object) -> bytes:
            raise fault

    succeed(period())
    assert judged(period(), Failing()) == []
    challenge = Challenge(60)
    challenge.basis = Failing().basis
    grace = period()
    grace.remember(challenge)
    assert grace._login.warnings == [f"this success is not remembered: {fault}"]


def test_a_file_that_cannot_be_closed_has_the_question_asked(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> dict[str, str]:
        raise FAULTS[0]

    succeed(period())
    monkeypatch.setattr(trex.login.grace, "read_state", fail)
    grace = period()
    assert judged(grace) == []
    assert grace._login.warnings == [f"an earlier success cannot be read: {FAULTS[0]}"]


def test_without_root_nothing_is_read_or_written(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(period())
    host.files.clear()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    begun = period()
    assert steps(begun) == ["no grace period: the program does not run as root"]
    monkeypatch.setattr(trex.login.grace, "read_state", None)
    assert judged(begun) == []
    succeed(begun)
    assert host.files == {}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have the files lie where this test alone looks."""
    monkeypatch.setattr(gracefile, "PLACE", f"{tmp_path}/grace")
    return tmp_path / "grace"


STEPS = ["mkdir", "scandir", "open", "fsync", "fchmod", "rename"]


@pytest.mark.parametrize("step", STEPS)
def test_a_write_that_fails_is_told_and_refuses_nobody(
    place: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(trex.login.grace, "origin_of", lambda _: "192.0.2.1")
    grace = period()
    monkeypatch.setattr(os, step, fail)
    succeed(grace)
    monkeypatch.undo()
    assert grace._login.warnings == [
        "this success is not remembered: [Errno 28] No space left on device"
    ]
    assert not list(place.glob("*/[!.]*"))


@pytest.mark.parametrize("step", STEPS)
def test_a_login_that_is_ended_while_it_writes_leaves_all_or_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = {**FIELDS, "since": "1"}
    if step != "mkdir":
        write_state(1000, "name", before)
    pid = os.fork()
    if pid == 0:
        try:
            monkeypatch.setattr(os, step, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
            write_state(1000, "name", FIELDS)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    if step != "mkdir":
        assert read_state(1000, "name") == before
    assert list(states()) == ([] if step == "mkdir" else [before]), "no half of one is shown"
    write_state(1000, "name", FIELDS)
    assert read_state(1000, "name") == FIELDS
    assert forget_successes(1000) == 1
    assert not (place / "1000").exists()


def modes(place: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o7777 for path in (place, *place.rglob("*"))}


def test_all_of_it_is_root_s_alone(place: Path) -> None:
    forget_successes()
    assert modes(place) == {"grace": 0o700, "cleared": 0o600}
    (place / "cleared").unlink()
    place.rmdir()
    write_state(1000, "name", FIELDS)
    assert modes(place) == {"grace": 0o700, "1000": 0o700, "name": 0o600}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_that_is_not_root_s_is_told_in_its_place(place: Path) -> None:
    write_state(1000, "hers", FIELDS)
    write_state(1000, "mine", FIELDS)
    os.chown(place / "1000" / "hers", 1, 0)
    with pytest.raises(FileUnsafe, match="owner uid 1"):
        read_state(1000, "hers")
    unsafe, mine = states()
    assert isinstance(unsafe, FileUnsafe)
    assert mine == FIELDS


def test_a_new_file_takes_the_place_of_the_oldest(place: Path) -> None:
    """A link to nothing, too: who has written one is not asked what it is."""
    directory = place / "1000"
    directory.mkdir(parents=True, mode=0o700)
    for number in range(1, MOST + 2):
        (directory / f"{number}").symlink_to("/nonexistent")
        os.utime(directory / f"{number}", (number, number), follow_symlinks=False)
    write_state(1000, "name", FIELDS)
    write_state(1000, "other", FIELDS)
    kept = sorted(path.name for path in directory.iterdir())
    assert kept == sorted([*(f"{number}" for number in range(4, MOST + 2)), "name", "other"])
    assert len(kept) == MOST == 64


def test_what_a_login_left_that_was_ended_goes_and_what_may_be_in_work_stays(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A minute is long for a file, and a login may be stopped or its clock be set."""
    clock = 1_800_000_000_000_000_000
    write_state(1000, "name", FIELDS)
    directory = place / "1000"
    minute = 60_000_000_000
    ages = {".ended": minute + 1, ".stopped": minute, ".to-come": -minute, "old": minute + 1}
    for name, age in ages.items():
        (directory / name).touch(0o600)
        os.utime(directory / name, ns=(0, clock - age))
    monkeypatch.setattr(time, "time_ns", lambda: clock)
    write_state(1000, "other", FIELDS)
    kept = {path.name for path in directory.iterdir()}
    assert kept == {".stopped", ".to-come", "name", "old", "other"}


def test_as_many_as_there_may_be_that_were_ended_take_no_place(place: Path) -> None:
    """Whoever can answer may kill as many of their own su in that moment."""
    write_state(1000, "name", FIELDS)
    directory = place / "1000"
    os.utime(directory / "name", (1, 1))
    for number in range(MOST):
        (directory / f".{number}").touch(0o600)
        os.utime(directory / f".{number}", (2, 2))
    write_state(1000, "other", FIELDS)
    assert sorted(path.name for path in directory.iterdir()) == ["name", "other"]


def test_where_it_is_unknown_what_was_cleared_nothing_is_taken_for_later(place: Path) -> None:
    assert cleared_at(1000) == 0
    place.touch(0o600)
    with pytest.raises(FileUnsafe, match="expected a file that can be read"):
        cleared_at(1000)


@pytest.mark.parametrize("whose", ["", "1000"])
def test_nothing_is_written_where_others_could_replace_it(place: Path, whose: str) -> None:
    write_state(1000, "name", FIELDS)
    (place / whose).chmod(0o777)
    with pytest.raises(FileUnsafe, match="mode 0777"):
        write_state(1000, "other", FIELDS)
    assert not list(place.glob("*/other"))


def test_a_file_that_another_login_has_just_renamed_is_no_error(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_state(1000, "name", FIELDS)
    (place / "1000" / ".another").touch()
    listed = os.scandir

    def renamed(path: str) -> Any:
        entries = list(listed(path))
        os.rename(f"{path}/.another", f"{path}/other")
        return nullcontext(entries)

    monkeypatch.setattr(os, "scandir", renamed)
    write_state(1000, "name", {**FIELDS, "since": "18"})
    assert read_state(1000, "name")["since"] == "18"


def test_a_full_file_system_keeps_no_grace_period_from_ending(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others may write below /run, they can use up its inodes."""
    write_state(1000, "name", FIELDS)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(gracefile, "write_durably", full)
    with pytest.raises(OSError, match="No space left"):
        forget_successes(1000)
    assert list(states()) == []


def test_a_limit_of_the_caller_s_on_a_file_s_size_ends_nothing(tmp_path: Path) -> None:
    """Whoever calls su can set it: SIGXFSZ would end su, and an administrator's trex as well."""
    path = tmp_path / "file"
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))
        try:
            write_durably(str(path), f"{path}.new", b"more than that", 0o600)
        except OSError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert list(tmp_path.iterdir()) == []
