"""A record that asks for two people: real gpg, two keyrings on two machines, and PAM's answer."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.grace import DAY, HOME, PLACE
from tests.support.keys import Holder
from tests.support.page import OpenPrompt
from tests.support.refusal import refused
from trex.openpgp.keyblock import session_key_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

LEAVE_OUT = "# trex: leave-out-unusable\n"
BLOCK = re.compile(r"-----BEGIN PGP MESSAGE-----.*?-----END PGP MESSAGE-----\n", re.DOTALL)


@pytest.fixture(scope="module")
def colleague(place: Path) -> Iterator[Holder]:
    """The second person, who has a keyring and an agent of their own."""
    holder = Holder(place / "colleague")
    yield holder
    holder.close()


@pytest.fixture(scope="module")
def theirs(colleague: Holder) -> str:
    return colleague.make("colleague@example.org")


@pytest.fixture
def pair(alice: Account, keys: Keys, colleague: Holder, theirs: str) -> Account:
    """An account that takes alice's key and the colleague's."""
    alice.import_keys(colleague.public(theirs))
    alice.write(f"2of:{keys['cv25519']},{theirs} trust nosign\n")
    return alice


def texts(prompt: str, *holders: Holder) -> list[str]:
    """Return what each of them can read of a prompt; each reads exactly one message."""
    found = []
    for holder in holders:
        opened = [holder.decrypt(block) for block in BLOCK.findall(prompt)]
        own = [str(one).strip() for one in opened if one.ok]
        assert len(own) == 1, own
        found += own
    return found


def subkey_of(key: str, holder: Holder) -> str:
    listing = holder._run("--with-colons", "--list-keys", key).decode()
    return [line.split(":")[9] for line in listing.splitlines() if line.startswith("fpr")][1]


@pytest.mark.usefixtures("door")
def test_two_texts_in_any_order_let_both_in_and_the_log_names_both(
    pair: Account, prompt: Callable[..., OpenPrompt], holder: Holder, colleague: Holder,
    keys: Keys, theirs: str, log: Log,
) -> None:  # fmt: skip
    begun = prompt("alice")
    one, other = texts(begun.text, holder, colleague)
    assert one != other
    assert begun.answer(f"{other} {one}").verdict == "PAM_SUCCESS"
    assert f"keys={keys['cv25519']},{theirs} " in log.verdict()


def test_one_text_twice_alone_or_with_a_wrong_one_lets_nobody_in(
    pair: Account, prompt: Callable[..., OpenPrompt], holder: Holder, log: Log
) -> None:
    """Neither person can do it alone, and nothing tells which half was wrong."""
    said = set()
    for guess in ("{0}", "{0} {0}", "{0} AAAAAAAAAA", "AAAAAAAAAA {0}", "{0}{0}"):
        begun = prompt("alice")
        (own,) = texts(begun.text, holder)
        log.clear()
        asked = begun.answer(guess.format(own))
        assert asked.verdict == "PAM_AUTH_ERR", guess
        said.add(re.sub(r"^.*wrong response|trex-test-\d+|ms=\d+", "", log.verdict()))
    assert len(said) == 1, said


def test_any_two_of_three_let_in_and_the_log_names_these_two(
    pair: Account, prompt: Callable[..., OpenPrompt], holder: Holder, colleague: Holder,
    keys: Keys, theirs: str, log: Log,
) -> None:  # fmt: skip
    pair.import_keys(holder.public(keys["cv25519-third"]))
    pair.write(f"2of:{keys['cv25519']},{keys['cv25519-third']},{theirs} trust nosign\n")
    begun = prompt("alice")
    assert len(BLOCK.findall(begun.text)) == 3
    (other,) = texts(begun.text, colleague)
    mine = str(holder.decrypt(BLOCK.findall(begun.text)[1])).strip()
    assert begun.answer(f"{mine} {other}").verdict == "PAM_SUCCESS"
    assert f"keys={keys['cv25519-third']},{theirs} " in log.verdict()


def test_each_message_is_for_one_key_alone_in_a_file_by_address_or_signed(
    pair: Account, prompt: Callable[..., OpenPrompt], holder: Holder, colleague: Holder,
    keys: Keys, theirs: str,
) -> None:  # fmt: skip
    """Keys that gpg is given, and a signature, go another way through gpg."""
    path = pair.write(colleague.public(theirs), "colleague.pgp")
    pair.import_keys(holder.secret(keys["signing"]))
    pair.write(f"2of:cv25519@example.org,{path} trust {keys['signing']}\n")
    begun = prompt("alice")
    for block in BLOCK.findall(begun.text):
        assert len(session_key_ids(block)) == 1
    one, other = texts(begun.text, holder, colleague)
    assert begun.answer(f"{one} {other}").verdict == "PAM_SUCCESS"


@pytest.mark.parametrize("second", ["the address", "its subkey", "its file"])
def test_one_key_under_two_names_is_not_two_people(
    pair: Account, holder: Holder, keys: Keys, ask: Callable[..., Asked], log: Log, second: str
) -> None:
    key = keys["cv25519"]
    names: dict[str, Callable[[], str]] = {
        "the address": lambda: "cv25519@example.org",
        "its subkey": lambda: f"{subkey_of(key, holder)}!",
        "its file": lambda: str(pair.write(holder.public(key), "same.pgp")),
    }
    name = names[second]()
    pair.write(f"2of:{key},{name} trust nosign\n")
    reason = f"the key {name} names one person: it is that of {key}, too; expected keys of two"
    refused(ask("alice"), log, reason)


def test_a_key_that_cannot_be_used_never_leaves_one_alone_to_answer(
    pair: Account, ask: Callable[..., Asked], prompt: Callable[..., OpenPrompt], holder: Holder,
    colleague: Holder, keys: Keys, theirs: str, log: Log,
) -> None:  # fmt: skip
    """With the note, two of three are enough; of two, both are needed."""
    gone = "A" * 40
    pair.write(f"{LEAVE_OUT}2of:{keys['cv25519']},{gone} trust nosign\n")
    refused(ask("alice"), log, f"the key {gone} is not in the keyring")
    ended = holder.make("ended-two@example.org", expire="10d", at="20200101T000000")
    file = pair.write(holder.public(ended), "ended.pgp")
    log.clear()
    pair.write(f"{LEAVE_OUT}2of:{keys['cv25519']},{file} trust nosign\n")
    refused(ask("alice"), log, f"the key {file} has expired, on 2020-01-11")
    pair.write(f"{LEAVE_OUT}2of:{gone},{keys['cv25519']},{theirs} trust nosign\n")
    begun = prompt("alice")
    assert f"left out, as the record says: the key {gone}" in log.everything()
    one, other = texts(begun.text, holder, colleague)
    assert begun.answer(f"{one} {other}").verdict == "PAM_SUCCESS"


def test_a_record_that_asks_for_two_meanwhile_is_not_answered_by_one(
    pair: Account, prompt: Callable[..., OpenPrompt], holder: Holder, keys: Keys, log: Log
) -> None:
    """Whoever has a prompt open when the record is made stricter does not get in by it."""
    two = pair.record.read_bytes()
    pair.write(f"{keys['cv25519']} trust nosign\n")
    begun = prompt("alice")
    (own,) = texts(begun.text, holder)
    pair.write(two)
    log.clear()
    assert begun.answer(own).verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "asks for two people since its prompt, which asked one" in log.verdict()


def test_a_record_that_says_the_same_meanwhile_refuses_nobody(
    pair: Account, prompt: Callable[..., OpenPrompt], holder: Holder, colleague: Holder
) -> None:
    """It is read again, and asks two people as its prompt did."""
    begun = prompt("alice")
    pair.write(pair.record.read_bytes() + b"# a comment\n")
    assert begun.answer(" ".join(texts(begun.text, holder, colleague))).verdict == "PAM_SUCCESS"


def test_a_key_of_the_two_that_ends_meanwhile_refuses_both(
    pair: Account, prompt: Callable[..., OpenPrompt], holder: Holder, colleague: Holder,
    keys: Keys, theirs: str, log: Log,
) -> None:  # fmt: skip
    begun = prompt("alice")
    one, other = texts(begun.text, holder, colleague)
    pair.write(f"{keys['cv25519']} trust nosign\n")
    log.clear()
    assert begun.answer(f"{one} {other}").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f"the key {theirs} was revoked, expired or left the record" in log.verdict()


def test_no_grace_period_leaves_one_of_the_two_unasked(
    pair: Account, client: Path, service: Callable[..., str], holder: Holder, colleague: Holder
) -> None:
    shutil.rmtree(PLACE, ignore_errors=True)  # of earlier tests
    day = service(DAY)
    for _ in range(2):
        begun = OpenPrompt(client, day, "alice", "--rhost", HOME)
        answer = " ".join(texts(begun.text, holder, colleague))
        assert begun.answer(answer).verdict == "PAM_SUCCESS"
    assert not PLACE.exists()
