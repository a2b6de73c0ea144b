"""What a hostile server can get out of `trex ssh`: nothing. Its sshd is real, its PAM is not Trex."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import CHALLENGE, MAIL, Hostile, context, encrypt, gpg, gpg_bytes

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.system.conftest import Keys

RESPONSE = CHALLENGE.decode().strip()


def assert_nothing_said(answers: list[str], shown: str, count: int = 1) -> None:
    assert answers == [""] * count
    assert RESPONSE not in shown
    assert "4711" not in shown


def test_a_challenge_for_this_user_and_host_is_answered(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    """Otherwise the tests below would pass with a Trex that answers nothing at all."""
    answers, shown = hostile.ask(laptop, f"\nWho?\n{encrypt(holder, to)}Response: ")
    assert answers == [RESPONSE]
    assert RESPONSE not in shown


def others() -> dict[str, tuple[str | None, bytes]]:
    """Return messages that are no challenge of this login's, by what they are, made now."""
    return {
        "a mail": ("", MAIL),
        "a mail that calls itself a challenge": (None, MAIL),
        "ten characters in a mail": ("", CHALLENGE),
        "ten characters in a mail with a file name": ("password.txt", CHALLENGE),
        "nine characters": (None, b"hzA8vx2i2\n"),
        "eleven characters": (None, b"hzA8vx2i2YY\n"),
        "no newline": (None, b"hzA8vx2i2Y"),
        "two newlines": (None, b"hzA8vx2i2Y\n\n"),
        "a carriage return": (None, b"hzA8vx2i2Y\r\n"),
        "another alphabet": (None, b"hzA8vx2i2-\n"),
        "nothing": (None, b""),
        "a megabyte": (None, b"hzA8vx2i2Y\n" * 100_000),
        "another user's": (context(user="bob"), CHALLENGE),
        "another host's": (context(host="bank"), CHALLENGE),
        "one for a host whose name begins the same": (context(host="bank.example.org"), CHALLENGE),
        "an old one": (context(seconds=-5), CHALLENGE),
        "one that is good for ever": (context(seconds=10**8), CHALLENGE),
        "one until never": (context(until="2026-13-32T99:99:99Z"), CHALLENGE),
        "a longer context": (context() + " user=alice", CHALLENGE),
        "a name that was cut": (context(user="al*"), CHALLENGE),
    }


def test_what_is_not_this_login_s_challenge_is_not_answered(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    made = others()
    prompts = [
        f"\n{encrypt(holder, to, text, name=name)}Response: " for name, text in made.values()
    ]
    answers, shown = hostile.ask_each(laptop, *prompts)
    assert dict(zip(made, answers, strict=True)) == dict.fromkeys(made, "")
    assert RESPONSE not in shown
    assert "4711" not in shown
    assert shown.count("trex: error: ") == len(made)


def test_a_host_says_in_its_prompt_that_it_is_another(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    prompt = f") (alice@bank) \n{encrypt(holder, to, name=context(host='bank'))}Response: "
    assert_nothing_said(*hostile.ask(laptop, prompt))


def test_a_challenge_gets_one_answer(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    message = encrypt(holder, to)
    again = message.replace("\n", "\r\n")
    answers, shown = hostile.ask_each(laptop, message, message, again)
    assert answers == [RESPONSE, "", ""]
    assert shown.count("answered before") == len([message, again])


def test_an_unsigned_challenge_where_a_key_is_pinned(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str
) -> None:
    pin(laptop, signer)
    prompts = encrypt(holder, to), encrypt(holder, to, signer=signer)
    answers, shown = hostile.ask_each(laptop, *prompts)
    assert answers == ["", RESPONSE]
    assert "NOT SIGNED" in shown


def test_a_challenge_that_another_key_signed(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str, keys: Keys
) -> None:
    pin(laptop, signer)
    answers, shown = hostile.ask(laptop, encrypt(holder, to, signer=keys["signing-other"]))
    assert_nothing_said(answers, shown)
    assert "SIGNED BY ANOTHER KEY" in shown


def test_a_challenge_that_an_unknown_key_signed(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str, keys: Keys
) -> None:
    unknown = encrypt(holder, to, signer=keys["signing-unknown"])
    answers, shown = hostile.ask(laptop, unknown)
    assert answers == [RESPONSE], "no key is pinned, so it is worth what an unsigned one is"
    assert "not checked" in shown
    pin(laptop, signer)
    again = encrypt(holder, to, signer=keys["signing-unknown"])
    assert_nothing_said(*hostile.ask(laptop, again))


@pytest.mark.parametrize("pinned", [True, False])
def test_a_signature_that_says_something_else(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str, pinned: bool
) -> None:
    """The key signed another login's challenge, or a mail; anybody can write the file name."""
    if pinned:
        pin(laptop, signer)
    notations = [context(host="bank"), "", "trex"]
    prompts = [encrypt(holder, to, signer=signer, notation=notation) for notation in notations]
    answers, shown = hostile.ask_each(laptop, *prompts)
    assert_nothing_said(answers, shown, len(notations))
    assert shown.count("differ about what") == len(notations)


def test_a_key_that_is_pinned_for_another_host(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str
) -> None:
    """The other host's challenge is passed on, and both have the same name without their domain."""
    assert laptop.run("trex", "pin", "--yes", "bank.example.org", signer).returncode == 0
    answers, shown = hostile.ask(laptop, encrypt(holder, to, signer=signer))
    assert_nothing_said(answers, shown)
    assert "pinned for bank.example.org" in shown


def test_a_message_for_a_passphrase_makes_no_pinentry_appear(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    alone = gpg(holder, CHALLENGE, "--symmetric", "--passphrase", "x", "--set-filename", context())
    both = encrypt(holder, to, CHALLENGE, "--symmetric", "--passphrase", "x")
    answers, shown = hostile.ask_each(laptop, alone, both)
    assert_nothing_said(answers, shown, 2)
    assert shown.count("Trex does not send such a message") == 2


def test_messages_that_are_not_encrypted(
    hostile: Hostile, laptop: Client, holder: Holder, signer: str
) -> None:
    signed = gpg(holder, CHALLENGE, "--sign", "--local-user", signer, "--set-filename", context())
    stored = gpg(holder, CHALLENGE, "--store", "--set-filename", context())
    assert_nothing_said(*hostile.ask_each(laptop, signed, stored), count=2)


def test_two_texts_in_one_message(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    """A mail followed by a challenge, in one encrypted part."""
    right = gpg_bytes(holder, CHALLENGE, "--store", "-z0", "--set-filename", context())
    mail = gpg_bytes(holder, MAIL, "--store", "-z0")
    prompts = [
        gpg(holder, content, "--encrypt", "--recipient", to, "-z0", "--no-literal")
        for content in (mail + right, right + mail, right + right)
    ]
    assert_nothing_said(*hostile.ask_each(laptop, *prompts), count=3)


def test_two_messages_in_one_prompt(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    answers, shown = hostile.ask(laptop, encrypt(holder, to) + encrypt(holder, to))
    assert_nothing_said(answers, shown)
    assert "this login takes two people" in shown


def test_of_two_challenges_in_a_row_one_is_answered(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    answers, shown = hostile.ask(laptop, encrypt(holder, to), encrypt(holder, to), "Response: ")
    assert answers == [RESPONSE]
    assert "this login has shown a challenge before" in shown


def test_damaged_messages(hostile: Hostile, laptop: Client, holder: Holder, to: str) -> None:
    message = encrypt(holder, to)
    cut_off = message[: len(message) // 2]
    lines = message.split("\n")
    without_a_line = "\n".join(lines[:3] + lines[4:])
    # Without its checksum, so that gpg is the one that notices.
    changed = re.sub(r"\n=....\n", "\n", message)
    place = changed.index("\n-----END") - 9
    changed = changed[:place] + ("A" if changed[place] != "A" else "B") + changed[place + 1 :]
    answers, shown = hostile.ask_each(laptop, cut_off, without_a_line, changed)
    assert_nothing_said(answers, shown, 3)


def test_text_without_a_message_and_without_end(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    long = "x" * 100_000
    answers, shown = hostile.ask(
        laptop, "Response: ", long, "x" * 200_000, f"{long}\n{encrypt(holder, to)}{long[:9999]}",
        "-----BEGIN PGP MESSAGE-----" * 3000,
    )  # fmt: skip
    assert answers == ["", "", "", RESPONSE]
    assert len(shown) < 10_000


def test_a_megabyte_of_text(hostile: Hostile, laptop: Client, holder: Holder, to: str) -> None:
    """sshd itself cannot send that much at once; the login ends, and nothing was answered."""
    answers, shown = hostile.ask(laptop, "x" * 2**20, encrypt(holder, to, name=""))
    assert not any(answers)
    assert len(shown) < 10_000


def test_nothing_of_the_server_s_commands_the_terminal(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    name = context(host="%1B[2J%C2%9B31m%E2%80%AE")
    answers, shown = hostile.ask(laptop, encrypt(holder, to, name=name))
    assert_nothing_said(answers, shown)
    assert r"\x1b[2J\x9b31m\u202e" in shown
    assert shown.replace("\r\n", "\n").replace("\n", "").isprintable()


def pin(laptop: Client, fingerprint: str, host: str = "") -> None:
    from os import uname

    done = laptop.run("trex", "pin", "--yes", host or uname().nodename, fingerprint)
    assert done.returncode == 0, done.stderr
