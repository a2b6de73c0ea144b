"""`trex grace`, and what else ends a grace period: real logins before and after."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.support import sandbox
from tests.support.examination import SERVICE
from tests.support.grace import DAY, HOME, OFFICE, PLACE, only_file
from tests.support.page_text import blocks
from trex.cli.accounts.grace import _spoken, _terminal
from trex.cli.main import trex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys


@pytest.fixture(autouse=True)
def no_grace_left() -> Iterator[None]:
    yield
    shutil.rmtree(PLACE, ignore_errors=True)


@pytest.fixture
def day(service: Callable[..., str]) -> str:
    return service(DAY)


@pytest.fixture
def asked(client: Path, holder: Holder, day: str) -> Callable[..., bool]:
    """Log in, and tell whether the question was asked."""

    def log_in(user: str = "alice", host: str = HOME) -> bool:
        asked = sandbox.ask_pam(
            client, day, user, "--answer-with", holder.command(), "--rhost", host
        )
        assert asked.verdict == "PAM_SUCCESS"
        return "BEGIN PGP" in asked.prompt

    return log_in


def run(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(trex, words, prog_name="trex", standalone_mode=False)
    assert (1 if done.exception else 0) == status, done.output
    return done.output


def test_what_is_remembered_is_shown(alice: Account, asked: Callable[..., bool], day: str) -> None:
    assert run("grace", "list") == "Nobody has a grace period now.\n"
    asked()
    assert run("grace", "list") == f"alice: {day}, method=openpgp, from {HOME}: 23 h 59 min left\n"
    assert run("grace", "list", "--user", "bob") == "Nobody has a grace period now.\n"
    [row] = json.loads(run("grace", "list", "--json"))
    assert row.pop("seconds_left") in range(86000, 86401)
    assert row == {"user": "alice", "service": day, "method": "openpgp", "origin": HOME}
    only_file(alice).write_text("x")
    assert "warning" in run("grace", "list")


def test_the_page_s_line_and_its_commands_are_typed_as_they_stand(
    host: Account, client: Path, holder: Holder
) -> None:
    """With an SSH key first, as the page has it; the doctor has nothing against the period."""
    _, line, commands = blocks("docs/grace.md", "## Set it up")
    module = line.strip().replace("pam_trex.so", sandbox.DOOR)
    SERVICE.write_text(f"{module}\naccount required pam_permit.so\n")
    options = ("--answer-with", holder.command(), "--rhost", HOME)
    assert sandbox.ask_pam(client, "sshd", "alice", *options).verdict == "PAM_SUCCESS"
    shown, doctor = [one.removeprefix("sudo trex ").split() for one in commands.split("\n") if one]
    assert run(*shown) == f"alice: sshd, method=openpgp, from {HOME}: 11 h 59 min left\n"
    assert "grace" not in CliRunner().invoke(trex, doctor, prog_name="trex").output


def test_only_root_sees_and_ends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for words in (["list"], ["clear", "--all"]):
        done = CliRunner().invoke(trex, ["grace", *words], standalone_mode=False)
        assert str(done.exception) == "only root can see and end grace periods"


def test_a_user_s_periods_are_ended_or_everybody_s(
    alice: Account, bob: Account, holder: Holder, keys: Keys, asked: Callable[..., bool]
) -> None:
    bob.import_keys(holder.public(keys["cv25519"]))
    bob.write(alice.record.read_bytes())
    assert all([asked("alice"), asked("alice", OFFICE), asked("bob")])
    assert run("grace", "clear", "--user", "alice") == "Ended: 2 grace periods of alice\n"
    assert [asked("alice"), asked("bob")] == [True, False]
    assert run("grace", "clear", "--all") == "Ended: 2 grace periods of everybody\n"
    assert [asked("alice"), asked("bob")] == [True, True]


@pytest.mark.parametrize(("user", "count"), [("alice", 2), ("gone", 1)])
def test_what_is_remembered_under_a_name_ends_whatever_uid_has_it_now(
    alice: Account, asked: Callable[..., bool], user: str, count: int
) -> None:
    """The account may be gone, or have another uid: trex grace list shows it by that name."""
    asked()
    content = only_file(alice).read_text()
    (PLACE / "4711").mkdir(mode=0o700)
    other = PLACE / "4711" / only_file(alice).name
    other.write_text(
        content.replace("user alice\n", f"user {user}\n").replace(f"uid {alice.uid}", "uid 4711")
    )
    other.chmod(0o600)
    assert run("grace", "list", "--user", user).count(f"{user}: ") == count
    assert run("grace", "clear", "--user", user).startswith(f"Ended: {count} grace period")
    assert run("grace", "list", "--user", user) == "Nobody has a grace period now.\n"
    assert asked() == (user == "alice"), "nobody else's"


@pytest.mark.parametrize("words", [(), ("--all", "--user", "alice"), ("--user", "no-such")])
def test_whose_periods_end_has_to_be_said(alice: Account, words: tuple[str, ...]) -> None:
    run("grace", "clear", *words, status=1)


def test_what_google_authenticator_has_noted_ends_too(bob: Account, client: Path) -> None:
    import time

    from tests.support.codes import ACCOUNT_LINES, FILE, text

    line = f"auth required {sandbox.DOOR} method=totp {DAY}"
    service = sandbox.pam_service("otp-grace-clear", line, *ACCOUNT_LINES)
    bob.write(text('" TOTP_AUTH', f'" LAST0 {HOME} {int(time.time())}'), FILE)

    def verdict() -> str:
        return sandbox.ask_pam(client, service, "bob", "--no-response", "--rhost", HOME).verdict

    assert verdict() == "PAM_SUCCESS"
    run("grace", "clear", "--user", "bob")
    assert verdict() == "PAM_AUTH_ERR"


def test_a_key_that_is_revoked_ends_them(
    alice: Account, holder: Holder, keys: Keys, asked: Callable[..., bool]
) -> None:
    """The record names another key, too, which still logs in: but it is asked."""
    key = keys["cv25519-lost"]
    alice.import_keys(holder.public(key))
    alice.write(f"{keys['cv25519']},{key} trust nosign\n")
    assert asked()
    assert not asked()
    run("revoke", "--user", "alice", "--yes", key)
    assert not (PLACE / str(alice.uid)).exists()
    assert asked()


def test_a_record_that_is_removed_ends_them(alice: Account, asked: Callable[..., bool]) -> None:
    assert asked()
    run("remove", "--user", "alice", "--yes")
    assert not (PLACE / str(alice.uid)).exists()
    Path(f"{alice.record}~").rename(alice.record)
    assert asked()


@pytest.mark.parametrize(
    ("device", "told"),
    [
        (os.makedev(136, 3), "pts/3"),
        (os.makedev(4, 1), "tty1"),
        (os.makedev(5, 1), "terminal 1281"),
    ],
)
def test_terminals(device: int, told: str) -> None:
    origin = f"terminal {device}, session 4711 of 99, uid 1000, audit 3"
    assert _terminal(origin) == f"{told}, session 4711"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3661, "1 h 1 min"),
        (604800, "7 d"),
        (90000, "1 d 1 h"),
    ],
)
def test_durations(seconds: int, told: str) -> None:
    assert _spoken(seconds) == told
