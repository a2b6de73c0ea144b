"""Whoever logs in with the key is told of recovery codes that were used."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE as OTP_FILE
from tests.support.codes import text as otp_text
from tests.support.recovery import CODES, FILE, write_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked

DAY = 24 * 3600


def told(asked: Asked) -> list[str]:
    """Return what was said about recovery codes beside the prompt; its line ends are blanks."""
    assert asked.verdict == "PAM_SUCCESS"
    return [fact for fact in asked.facts.get("say", []) if "recovery code" in fact]


def test_it_is_told_at_each_login_until_there_are_new_codes(
    alice: Account, log_in: Callable[..., Asked]
) -> None:
    """Once would not do: whoever has found the codes could log in first, or a program."""
    write_codes(alice)
    assert told(log_in("alice")) == []
    now = int(time.time())
    write_codes(alice, spent={CODES[0]: now - DAY})
    moment = time.strftime("%Y-%m-%d at %H:%M", time.localtime(now - DAY))
    for _ in range(2):
        [text] = told(log_in("alice"))
        assert f"Trex: a recovery code was used on {moment}; 2 are left." in text
        assert text.endswith("New ones: trex recovery make")
    write_codes(
        alice, spent={CODES[0]: now - 40 * DAY, CODES[1]: now - DAY, CODES[2]: now - 2 * DAY}
    )
    assert (
        f"2 recovery codes were used, the last on {moment}; none is left."
        in told(log_in("alice"))[0]
    )


def test_a_use_of_long_ago_is_not_told_and_one_of_a_clock_that_was_ahead_is(
    alice: Account, log_in: Callable[..., Asked]
) -> None:
    now = int(time.time())
    write_codes(alice, spent={CODES[0]: now - 31 * DAY})
    assert told(log_in("alice")) == []
    write_codes(alice, spent={CODES[0]: now + 3 * DAY})
    assert "a recovery code was used on" in told(log_in("alice"))[0]


def test_a_login_by_a_code_from_a_phone_tells_it_too(
    bob: Account, trex_otp: Callable[..., Asked], place: Path
) -> None:
    bob.write(otp_text('" TOTP_AUTH', "12345678", "23456789"), OTP_FILE)
    assert told(trex_otp("bob", "12345678")) == []
    write_codes(bob, spent={CODES[0]: int(time.time())})
    [text] = told(trex_otp("bob", "23456789"))
    assert "a recovery code was used on" in text
    bob.write(otp_text('" TOTP_AUTH', "12345678"), OTP_FILE)
    bob.write("nonsense", FILE)
    assert told(trex_otp("bob", "12345678")) == []


def test_silent_logins_and_refusals_tell_nobody(
    alice: Account, log_in: Callable[..., Asked], ask: Callable[..., Asked]
) -> None:
    write_codes(alice, spent={CODES[0]: int(time.time())})
    assert told(log_in("alice", "--silent")) == []
    refused = ask("alice", "--answer", "ABCDEFGHIJ")
    assert refused.verdict == "PAM_AUTH_ERR"
    assert "recovery" not in refused.output


@pytest.mark.parametrize("content", ["nonsense", "", "uid 0\nmade 1\nsalt 00\n"])
def test_a_file_that_cannot_be_used_does_not_disturb_the_key(
    alice: Account, log_in: Callable[..., Asked], content: str
) -> None:
    alice.write(content, FILE)
    assert told(log_in("alice")) == []
    (alice.home / FILE).unlink()
    (alice.home / FILE).mkdir()
    assert told(log_in("alice")) == []


def test_in_central_mode_the_key_s_line_names_the_file(
    alice: Account, central: list[str], log_in: Callable[..., Asked], place: Path
) -> None:
    """And the user is told who makes new codes, by the command that does it there."""
    directory = place / "central-told"
    subprocess.run(
        ["install", "-d", "-o", "_trex", "-g", "_trex", "-m", "700", directory], check=True
    )
    spent = write_codes(alice, spent={CODES[0]: int(time.time())})
    subprocess.run(["install", "-o", "_trex", "-g", "_trex", "-m", "600", spent, directory / "alice"],
                   check=True)  # fmt: skip
    spent.unlink()
    users, home = place / "central/users", place / "central/gnupg"
    subprocess.run(["install", "-o", "root", "-g", "_trex", "-m", "640", alice.record, users / "alice"],
                   check=True)  # fmt: skip
    exported = alice.run("gpg", "--export")
    alice.run("gpgconf", "--kill", "all")
    subprocess.run(["setpriv", "--reuid", "_trex", "--regid", "_trex", "--clear-groups", "gpg",
                    "--homedir", home, "--batch", "--quiet", "--import"],
                   input=exported, check=True)  # fmt: skip
    subprocess.run(["setpriv", "--reuid", "_trex", "--regid", "_trex", "--clear-groups", "gpgconf",
                    "--homedir", home, "--kill", "all"], check=True)  # fmt: skip
    try:
        assert told(log_in("alice", arguments=tuple(central))) == []
        arguments = (*central, f"recovery_file={directory}/%u")
        [text] = told(log_in("alice", arguments=arguments))
        assert "a recovery code was used on" in text
        assert text.endswith(
            "New ones, from whoever administers this machine: trex recovery make --central "
            f"--recovery-file {directory}/%u --user alice"
        )
    finally:
        subprocess.run(["rm", "-r", directory], check=True)


def test_a_login_loads_what_it_takes_only_if_there_are_codes(
    alice: Account, log_in: Callable[..., Asked]
) -> None:
    """Whatever is in the way of that module: the key lets in."""
    write_codes(alice, spent={CODES[0]: int(time.time())})
    room = sandbox.MODULE / "trex/recovery"
    gone = [room / "notice.py", *room.glob("__pycache__/notice.*")]
    aside = {path: sandbox.PLACE / f"aside-{path.name}" for path in gone}
    for path, place in aside.items():
        path.rename(place)
    try:
        assert told(log_in("alice")) == []
    finally:
        for path, place in aside.items():
            place.rename(path)
