"""What counts as a message, and what gpg is told."""

from __future__ import annotations

import itertools

import pytest

from trex.openpgp.errors import KeyNotFound, KeyNotTrusted
from trex.openpgp.gpg import (
    BEGIN,
    END,
    Gpg,
    Message,
    _is_complete,
    _words,
)
from trex.openpgp.keylist import parse_status
from trex.openpgp.keyring import check_home
from trex.openpgp.recipients import Chosen
from trex.openpgp.record import AuthRecord
from trex.system.filter import Finished

MESSAGE = BEGIN + b"\nabc\n" + END
SIGNED = b"[GNUPG:] SIG_CREATED S\n[GNUPG:] END_ENCRYPTION\n"


def record(sign_as: str = "", *, trust: bool = True) -> AuthRecord:
    made = AuthRecord(1, ["alice@example.org", "A" * 40], trust=trust)
    made.sign_as = sign_as
    return made


def complete(code: int | None, output: bytes, status: bytes, sign_as: str = "") -> bool:
    finished = Finished(code, output, status)
    return _is_complete(finished, parse_status(status), signed=bool(sign_as))


@pytest.mark.parametrize("code", [0, None])
def test_complete(code: int | None) -> None:
    assert complete(code, MESSAGE, SIGNED, "s@example.org")
    assert complete(code, MESSAGE, b"[GNUPG:] END_ENCRYPTION\n")


@pytest.mark.parametrize(
    ("code", "output", "status", "sign_as"),
    [
        (1, MESSAGE, SIGNED, ""),
        (2, MESSAGE, SIGNED, ""),
        (-9, MESSAGE, SIGNED, ""),
        (0, MESSAGE[1:], SIGNED, ""),
        (0, MESSAGE[:-1], SIGNED, ""),
        (0, b"", SIGNED, ""),
        (0, BEGIN + b"\x1b[2J\n" + END, SIGNED, ""),
        (0, BEGIN + b"\xc3\xa9\n" + END, SIGNED, ""),
        (0, BEGIN + b"\r\n" + END, SIGNED, ""),
        (0, MESSAGE, b"", ""),
        (0, MESSAGE, b"END_ENCRYPTION\n", ""),
        (0, MESSAGE, b"[GNUPG:] SIG_CREATED S\n", ""),
        (0, MESSAGE, b"[GNUPG:] END_ENCRYPTION\n", "s@example.org"),
        (0, MESSAGE, b"[GNUPG:] SIG_CREATED S\n", "s@example.org"),
        (0, MESSAGE, SIGNED + b"[GNUPG:] FAILURE encrypt 1\n", ""),
    ],
)
def test_incomplete(code: int, output: bytes, status: bytes, sign_as: str) -> None:
    assert not complete(code, output, status, sign_as)


class Told(Gpg):
    """A gpg that has chosen the record's keys."""

    def __init__(
        self, record: AuthRecord, chosen: list[Chosen], signer: Chosen | None = None
    ) -> None:
        self._record, self.chosen, self.signer = record, chosen, signer

    def lines(self, context: str) -> list[str]:
        return self._instructions(self.chosen, context).decode().splitlines()


def test_instructions() -> None:
    context = "trex user=%41"
    chosen = [Chosen("alice@example.org", "B" * 40, []), Chosen(f"{'A' * 40}!", "C" * 40, [])]
    plain = ["utf8-strings", f"set-filename {context}", f"recipient {'B' * 40}",
             f"recipient {'A' * 40}!"]  # fmt: skip
    assert Told(record(trust=False), chosen).lines(context) == plain
    signer = Chosen("s@example.org", "D" * 40, [])
    signed = [*plain, "trust-model always", f"local-user {'D' * 40}",
              "sig-notation login@trex-pam.invalid=trex user=%%41"]  # fmt: skip
    assert Told(record("s@example.org"), chosen, signer).lines(context) == signed


def test_keys_that_are_given_are_not_searched_for() -> None:
    one = Chosen("A" * 40, "A" * 40, [])
    one.block = b"x"
    lines = Told(record(), [one, one]).lines("trex")
    assert "no-default-keyring" in lines
    assert [line for line in lines if line.startswith("recipient")] == [
        "recipient-file /proc/self/fd/6", "recipient-file /proc/self/fd/7",
    ]  # fmt: skip


def test_gpg_finds_its_files() -> None:
    """Otherwise it would create them."""
    keyrings, database = ("pubring.kbx", "pubring.gpg", "common.conf"), "trustdb.gpg"
    for keyring, trust in itertools.product(keyrings, (True, False)):
        check_home([keyring, database], record(trust=trust), "/home/alice/.gnupg")
    check_home(["pubring.kbx"], record(), "/home/alice/.gnupg")
    with pytest.raises(KeyNotTrusted, match=r"key alice@example\.org .*no trustdb"):
        check_home(["pubring.kbx"], record(trust=False), "/home/alice/.gnupg")
    for present in ([], [database, "gpg.conf"]):
        with pytest.raises(KeyNotFound, match=r"key alice@example\.org .*no keyring"):
            check_home(present, record(), "/home/alice/.gnupg")


def test_status_lines() -> None:
    text = b"[GNUPG:] A 1 2\nB 3\n[GNUPG:] A\n[GNUPG:]\n [GNUPG:] C\n[GNUPG:] D \xff\n"
    assert parse_status(text) == {"A": [["1", "2"], []], "D": [["\ufffd"]]}


def test_words_of_status_lines_that_have_them() -> None:
    status = parse_status(
        b"[GNUPG:] KEY_CONSIDERED A 0\n[GNUPG:] KEY_CONSIDERED B\n[GNUPG:] KEY_CONSIDERED\n"
    )
    assert _words(status, "KEY_CONSIDERED", 0) == {"A", "B"}
    assert _words(status, "KEY_CONSIDERED", 1) == {"0"}
    assert _words(status, "SIG_CREATED", 5) == set()


def test_a_message_is_its_text_and_who_took_part() -> None:
    message = Message("text", ["A"])
    assert (message.armored, message.keys) == ("text", ["A"])
