"""The story of one login: who is asked, by whose rights, and when nobody is."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from tests.support.accounts import own_account
from tests.support.recovery import CODES, text
from trex.errors import ACCEPTED, NOT_ASKED, WRONG, FileUnsafe, NoRecord
from trex.login import gracefile
from trex.login.method import Login
from trex.login.story import log_in
from trex.system.privilege import find_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trex.errors import Outcome

ME = own_account()


class Stranger:
    """Whoever logs in, and what they type."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.look: Callable[[], object] = lambda: None

    def ask(self, question: str, *, echo: bool) -> str:
        self.asked.append(question)
        self.look()
        return self.answer

    def inform(self, text: str) -> None:
        raise AssertionError(text)

    def earlier_password(self) -> None:
        return None

    def pass_on(self, password: str) -> None:
        raise AssertionError


@pytest.fixture
def codes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file of recovery codes; nothing is logged or remembered outside its directory."""
    with TemporaryDirectory() as name:  # others can reach it, unlike pytest's
        Path(name).chmod(0o755)
        monkeypatch.setattr("trex.login.audit.SOCKET", f"{name}/log")
        monkeypatch.setattr(gracefile, "PLACE", f"{name}/grace")
        path = Path(name, "codes")
        path.write_text(text(ME.uid))
        path.chmod(0o600)
        yield path


@pytest.fixture
def log(codes: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as daemon:
        daemon.bind(str(codes.parent / "log"))
        daemon.settimeout(10)
        yield daemon


def login(codes: Path, *more: str) -> Login:
    arguments = ["method=recovery", f"recovery_file={codes}", *more]
    return Login(ME.name, "sshd", "192.0.2.1", arguments)


def told(codes: Path, answer: str, *more: str) -> tuple[Outcome, int]:
    """Return the verdict on an answer, and how often there was a question."""
    stranger = Stranger(answer)
    return log_in(login(codes, *more), stranger), len(stranger.asked)


@pytest.mark.parametrize(("answer", "outcome"), [(CODES[0], ACCEPTED), ("x", WRONG)])
def test_one_question_is_asked_and_its_answer_judged(
    codes: Path, answer: str, outcome: Outcome
) -> None:
    begun = login(codes)
    stranger = Stranger(answer)
    assert log_in(begun, stranger) is outcome
    assert stranger.asked == ["Recovery code: "]
    assert (begun.account, begun.method, begun.debug, begun.one_try) == (
        ME.name, "recovery", False, False,
    )  # fmt: skip
    assert not (codes.parent / "grace").exists()


def test_what_is_noted_is_in_the_log_before_the_question(codes: Path, log: socket.socket) -> None:
    """An upgrade may remove the log's module while the prompt is open."""
    stranger = Stranger("x")
    begun = login(codes, "debug", "one_try")
    seen: list[str] = []
    stranger.look = lambda: seen.append(log.recv(4096).decode().partition("(sshd:auth): ")[2])
    log_in(begun, stranger)
    assert seen == [f"acting as {ME.name}"]
    assert begun.debug
    assert begun.one_try


def test_who_is_not_set_up_is_not_asked_with_nullok_and_refused_without(codes: Path) -> None:
    codes.unlink()
    assert told(codes, CODES[0], "nullok") == (NOT_ASKED, 0)
    with pytest.raises(NoRecord):
        told(codes, CODES[0])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_run_as_says_by_whose_rights(codes: Path, log: socket.socket) -> None:
    nobody = find_account("nobody")
    assert told(codes, CODES[0], "nullok")[0] is ACCEPTED
    with pytest.raises(FileUnsafe, match="Permission denied"):
        told(codes, CODES[0], f"run_as={nobody.name}")
    (codes.parent / "hers").mkdir()
    hers = codes.rename(codes.parent / "hers" / "codes")
    for path in (hers.parent, hers):
        os.chown(path, nobody.uid, nobody.gid)
    assert told(hers, CODES[1], f"run_as={nobody.name}", "debug") == (ACCEPTED, 1)
    assert log.recv(4096).endswith(f"acting as {nobody.name}".encode())


DAY = "grace_period=86400"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that remember")
def test_whoever_has_succeeded_is_not_asked_again_until_it_rests_on_something_else(
    codes: Path,
) -> None:
    assert told(codes, "x", DAY) == (WRONG, 1)
    assert told(codes, CODES[0], DAY) == (ACCEPTED, 1), "whoever has failed is not remembered"
    assert told(codes, "x", DAY) == (ACCEPTED, 0)
    assert told(codes, "x") == (WRONG, 1), "a line without a grace period"
    codes.write_text(text(ME.uid, CODES[:2]))
    assert told(codes, "x", DAY) == (WRONG, 1)
    assert told(codes, CODES[1], DAY) == (ACCEPTED, 1)
    assert told(codes, "x", DAY) == (ACCEPTED, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that remember")
def test_a_file_that_says_something_else_has_the_question_asked(codes: Path) -> None:
    assert told(codes, CODES[0], DAY) == (ACCEPTED, 1)
    (kept,) = (codes.parent / "grace").glob("*/*")
    content = kept.read_text()
    kept.write_text(content.rpartition("proof ")[0] + f"proof {'0' * 64}\n")
    assert told(codes, "x", DAY) == (WRONG, 1)
    kept.write_text(content)
    assert told(codes, "x", DAY) == (ACCEPTED, 0)
