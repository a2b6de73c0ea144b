"""From PAM's handle to one code: the boundary, with a replacement for the handle."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

import trex.login.audit
import trex.login.pam
from trex.errors import (
    ACCEPTED,
    LATE,
    LIMITED,
    NO_RECORD,
    NOT_ASKED,
    UNAVAILABLE,
    WRONG,
    ConversationFailed,
    FileUnsafe,
    GpgFailed,
    NotGivenBack,
    Outcome,
    UserUnknown,
)
from trex.login.pam import EXPLANATIONS, FAIL_DELAY_US, PAM_CODES, authenticate

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.login.challenge import Conversation
    from trex.login.method import Login


class Handle:
    """What pam_python gives, as far as it is used; tests/system has the real one."""

    PAM_SILENT = 0x8000
    PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON, PAM_ERROR_MSG = 1, 2, 3
    exception = type("PamException", (Exception,), {})
    service = "sshd"
    rhost: str | None = None
    ruser: str | None = None
    user: str | Exception | None = "alice"
    reply: object = "an answer"

    def __init__(self) -> None:
        self.asked: list[tuple[int, str]] = []
        self.delays: list[int] = []

    def __getattr__(self, name: str) -> str:
        if name.startswith("PAM_"):
            return name
        raise AttributeError(name)

    def get_user(self, prompt: str | None = None) -> str | None:
        if isinstance(self.user, Exception):
            raise self.user
        return self.user

    def Message(self, style: int, text: str) -> tuple[int, str]:  # noqa: N802 (pam_python's)
        return style, text

    def conversation(self, message: tuple[int, str]) -> object:
        self.asked.append(message)
        if isinstance(self.reply, Exception):
            raise self.reply
        return type("Response", (), {"resp": self.reply})

    def fail_delay(self, microseconds: int) -> None:
        self.delays.append(microseconds)


class Broken:
    """An item that is not UTF-8."""

    def __get__(self, instance: object, owner: type) -> str:
        return b"\xff".decode()


TOLD = (Handle.PAM_ERROR_MSG, EXPLANATIONS[WRONG])


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Login, Outcome, str, float]]:
    lines: list[tuple[Login, Outcome, str, float]] = []
    monkeypatch.setattr(trex.login.audit, "write_verdict", lambda *told: lines.append(told))
    return lines


def attempt(
    monkeypatch: pytest.MonkeyPatch, story: object, handle: Handle | None = None, flags: int = 0
) -> tuple[object, Handle]:
    def log_in(login: Login, conversation: Conversation) -> Outcome:
        if isinstance(story, BaseException):
            raise story
        if callable(story):
            told: Outcome = story(partial(conversation.ask, echo=True))
            return told
        return story  # type: ignore[return-value]

    handle = handle or Handle()
    monkeypatch.setattr(trex.login.pam, "log_in", log_in)
    return authenticate(handle, flags, []), handle  # type: ignore[arg-type]


@pytest.mark.parametrize("outcome", PAM_CODES, ids=str)
def test_each_outcome(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    noted: list[Login] = []
    monkeypatch.setattr(trex.login.pam, "bear_witness", noted.append)
    code, handle = attempt(monkeypatch, outcome)
    assert code == PAM_CODES[outcome]
    [(login, told, detail, seconds)] = logged
    assert noted == ([login] if outcome is ACCEPTED else []), "for trex confirm"
    assert (login.user, login.service, login.remote_host, told) == ("alice", "sshd", "", outcome)
    assert detail == ""
    assert 0 <= seconds < 60
    refused = outcome not in (ACCEPTED, NOT_ASKED)
    assert handle.delays == ([FAIL_DELAY_US] if refused else [])
    said = [(3, EXPLANATIONS[outcome])] if refused and outcome in EXPLANATIONS else []
    assert handle.asked == said


@pytest.mark.parametrize("outcome", PAM_CODES, ids=str)
def test_with_one_try_every_refusal_is_final_and_success_stays_success(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    """One code for all refusals: a stranger learns no more from it than from several."""

    def story(login: Login, _conversation: Conversation) -> Outcome:
        login.one_try = True
        return outcome

    monkeypatch.setattr(trex.login.pam, "log_in", story)
    handle = Handle()
    code: object = authenticate(handle, 0, [])  # type: ignore[arg-type]
    refused = outcome not in (ACCEPTED, NOT_ASKED)
    assert code == ("PAM_MAXTRIES" if refused else PAM_CODES[outcome])
    assert logged[0][1] == outcome, "the log still says what it was"
    assert handle.delays == ([FAIL_DELAY_US] if refused else [])


def test_silence(
    monkeypatch: pytest.MonkeyPatch, logged: list[tuple[Login, Outcome, str, float]]
) -> None:
    for outcome in (LATE, LIMITED, UNAVAILABLE, WRONG):
        assert attempt(monkeypatch, outcome, flags=0x8001)[1].asked == []
        assert len(attempt(monkeypatch, outcome, flags=1)[1].asked) == 1


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (FileUnsafe("/x", "a", "b"), "PAM_AUTHINFO_UNAVAIL", "/x: expected b, found a"),
        (UserUnknown("nobody"), "PAM_USER_UNKNOWN", "nobody"),
        (ConversationFailed("no"), "PAM_CONV_ERR", "no"),
        (MemoryError(), "PAM_SYSTEM_ERR", "MemoryError at "),
        (KeyboardInterrupt(), "PAM_SYSTEM_ERR", "KeyboardInterrupt at "),
        (SystemExit(0), "PAM_SYSTEM_ERR", "SystemExit at "),
        (OSError(5, "a secret"), "PAM_SYSTEM_ERR", "OSError at "),
    ],
)
def test_each_error(
    error: BaseException, code: str, told: str, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    """Advisory CVE-2025-23013."""
    assert attempt(monkeypatch, error)[0] == code
    assert logged[0][2].startswith(told)
    assert "secret" not in logged[0][2]


def test_what_the_application_brings(
    monkeypatch: pytest.MonkeyPatch, logged: list[tuple[Login, Outcome, str, float]]
) -> None:
    brought = []

    def story(ask: object) -> Outcome:
        assert callable(ask)
        brought.append(ask("the prompt"))
        return WRONG

    undecodable = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid")
    for reply in ("x", None, undecodable, Handle.exception("no")):
        handle = Handle()
        handle.reply = reply
        code, _ = attempt(monkeypatch, story, handle)
        assert code == ("PAM_CONV_ERR" if isinstance(reply, Handle.exception) else "PAM_AUTH_ERR")
        told = [] if isinstance(reply, Handle.exception) else [TOLD]
        assert handle.asked == [(Handle.PAM_PROMPT_ECHO_ON, "the prompt"), *told]
    assert brought == ["x", None, "\ufffd"]


@pytest.mark.parametrize(
    ("user", "code", "name"),
    [
        ("alice", "PAM_SUCCESS", "alice"),
        (None, "PAM_SUCCESS", ""),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "PAM_USER_UNKNOWN", ""),
        (Handle.exception("no"), "PAM_CONV_ERR", ""),
    ],
)
def test_who_asks(
    user: str | Exception | None, code: str, name: str, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    """Where there is no name, the story refuses: it looks the account up."""
    handle = Handle()
    handle.user = user
    assert attempt(monkeypatch, ACCEPTED, handle)[0] == code
    assert logged[0][0].user == name


def test_items_that_are_no_text(
    monkeypatch: pytest.MonkeyPatch, logged: list[tuple[Login, Outcome, str, float]]
) -> None:
    kind = type("Odd", (Handle,), {"service": Broken(), "rhost": Broken()})
    assert attempt(monkeypatch, WRONG, kind())[0] == "PAM_AUTH_ERR"
    assert (logged[0][0].service, logged[0][0].remote_host) == ("?", "?")


@pytest.mark.parametrize(("prefix", "code"), [
    ("/usr", "PAM_SUCCESS"), ("/", "PAM_SUCCESS"), ("/tmp/evil", "PAM_AUTHINFO_UNAVAIL"),
    ("/usr/local", "PAM_AUTHINFO_UNAVAIL"), ("", "PAM_AUTHINFO_UNAVAIL"),
])  # fmt: skip
def test_another_s_library(
    prefix: str, code: str, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    """Advisory CVE-2019-16729."""
    monkeypatch.setattr(sys, "base_prefix", prefix)
    assert attempt(monkeypatch, ACCEPTED)[0] == code


def test_libpython_is_kept(
    monkeypatch: pytest.MonkeyPatch, logged: list[tuple[Login, Outcome, str, float]]
) -> None:
    """tests/system/login/test_load.py has the reason, measured."""
    kept: list[int] = []
    monkeypatch.setattr(trex.login.pam, "_keep_libpython", lambda: kept.append(1))
    attempt(monkeypatch, ACCEPTED)
    assert kept == [1]


def let_in(
    monkeypatch: pytest.MonkeyPatch, story: Callable[[Login, Conversation], Outcome], flags: int = 0
) -> tuple[object, Handle]:
    handle = Handle()
    monkeypatch.setattr(trex.login.pam, "log_in", story)
    return authenticate(handle, flags, []), handle  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "flags", "code", "said"),
    [
        (ACCEPTED, 0, "PAM_SUCCESS", [("PAM_TEXT_INFO", "soon")]),
        (ACCEPTED, 1, "PAM_SUCCESS", [("PAM_TEXT_INFO", "soon")]),
        (ACCEPTED, Handle.PAM_SILENT, "PAM_SUCCESS", []),
        (NOT_ASKED, 0, "PAM_IGNORE", [("PAM_TEXT_INFO", "soon")]),
        (WRONG, 0, "PAM_AUTH_ERR", [(3, EXPLANATIONS[WRONG])]),
        (NO_RECORD, 0, "PAM_AUTHINFO_UNAVAIL", []),
    ],
)
def test_whoever_is_let_in_is_reminded_and_nobody_else(
    outcome: Outcome, flags: int, code: str, said: object, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    looked = []

    def look_ahead() -> str:
        looked.append(1)
        return "soon"

    def story(login: Login, _conversation: Conversation) -> Outcome:
        login.reminder = look_ahead
        return outcome

    told, handle = let_in(monkeypatch, story, flags)
    assert (told, handle.asked) == (code, said)
    assert len(looked) == (outcome in (ACCEPTED, NOT_ASKED)), "a refusal costs no gpg"


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (GpgFailed("x"), "PAM_SUCCESS", ""),
        (MemoryError(), "PAM_SUCCESS", ""),
        (KeyboardInterrupt(), "PAM_SUCCESS", ""),
        (NotGivenBack("cannot act as uid 0 again"), "PAM_AUTHINFO_UNAVAIL", "cannot act as uid 0"),
    ],
)
def test_what_a_reminder_may_cost(
    error: BaseException, code: str, detail: str, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    """The verdict stands without it, but not in a process that is somebody else."""

    def look_ahead() -> str:
        raise error

    def story(login: Login, _conversation: Conversation) -> Outcome:
        login.reminder = look_ahead
        return ACCEPTED

    told, handle = let_in(monkeypatch, story)
    assert told == code
    [(_, outcome, said, _)] = logged
    assert (outcome is ACCEPTED) == (code == "PAM_SUCCESS")
    assert said.startswith(detail)
    assert bool(said) == bool(detail)
    explained = [(3, EXPLANATIONS[UNAVAILABLE])] if detail else []
    assert handle.asked == explained
    assert len(handle.delays) == len(explained)


@pytest.mark.parametrize(("echo", "style"), [(True, 2), (False, 1)])
def test_a_prompt_shows_what_is_typed_or_not(
    echo: bool, style: int, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    def story(_login: Login, conversation: Conversation) -> Outcome:
        assert conversation.ask("the prompt", echo=echo) == "an answer"
        return WRONG

    assert let_in(monkeypatch, story)[1].asked == [(style, "the prompt"), TOLD]


@pytest.mark.parametrize(
    ("held", "brought"),
    [("a password", "a password"), (None, None), (Broken(), None)],
)
def test_an_earlier_password(
    held: object, brought: str | None, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    found = []

    def story(_login: Login, conversation: Conversation) -> Outcome:
        found.append(conversation.earlier_password())
        return WRONG

    monkeypatch.setattr(Handle, "authtok", held, raising=False)
    assert let_in(monkeypatch, story)[0] == "PAM_AUTH_ERR"
    assert found == [brought]


class Unsettable:
    """An item that cannot be set."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __get__(self, instance: object, owner: type) -> None:
        return None

    def __set__(self, instance: object, value: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (None, "PAM_SUCCESS"),
        (Unsettable(ValueError("embedded null byte")), "PAM_CONV_ERR"),
        (Unsettable(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "x")), "PAM_CONV_ERR"),
        (Unsettable(Handle.exception("no")), "PAM_CONV_ERR"),
        (Unsettable(OSError()), "PAM_SYSTEM_ERR"),
    ],
)
def test_a_password_that_is_passed_on_or_else_the_login_is_refused(
    item: object, code: str, monkeypatch: pytest.MonkeyPatch,
    logged: list[tuple[Login, Outcome, str, float]],
) -> None:  # fmt: skip
    def story(_login: Login, conversation: Conversation) -> Outcome:
        conversation.pass_on("a password")
        return ACCEPTED

    monkeypatch.setattr(Handle, "authtok", item, raising=False)
    told, handle = let_in(monkeypatch, story)
    assert told == code
    assert item is not None or handle.authtok == "a password"
