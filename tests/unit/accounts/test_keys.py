"""Keys of many records, listed together: each as if it had been alone."""

from __future__ import annotations

import pytest

from benchmarks.keyring import public_key
from tests.support.accounts import own_account
from trex.cli.accounts.keys import as_chosen, list_blocks
from trex.openpgp.keyblock import Block, blocks
from trex.openpgp.keyring import NO_HOME, Keyring

KEYS = [blocks(public_key(f"user{number}@example.org"))[0] for number in range(5)]


def broken() -> Block:
    """Return a public key that ends behind its algorithm's number."""
    body = b"\x04" + bytes(4) + b"\x16"
    return blocks(bytes([0xC6, len(body)]) + body)[0]


def names_of(listed: list[Block]) -> list[str]:
    with Keyring("/usr/bin/gpg", own_account(), NO_HOME, 30) as keyring:
        found = list_blocks(keyring, [as_chosen(block) for block in listed])
    return [key.fingerprint if key else "" for key in found]


def test_each_key_comes_back_in_its_place() -> None:
    order = [KEYS[3], KEYS[0], KEYS[3], KEYS[1]]  # several users may have the same key
    assert names_of(order) == [block.fingerprint for block in order]
    assert names_of([]) == []


@pytest.mark.parametrize("where", range(6))
def test_a_key_that_gpg_does_not_read_takes_nobody_s_place(where: int) -> None:
    order = [*KEYS[:where], broken(), *KEYS[where:]]
    expected = [block.fingerprint for block in KEYS]
    assert names_of(order) == [*expected[:where], "", *expected[where:]]


def test_more_keys_than_a_pipe_holds_are_listed_too() -> None:
    order = KEYS * 60
    assert sum(len(block.raw()) for block in order) > 65536
    assert names_of(order) == [block.fingerprint for block in order]
