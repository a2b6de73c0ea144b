"""The prompt that the user reads, and the context for whoever decrypts the message."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.cli.client.context import parse_context
from trex.login.challenge import spoken_duration
from trex.openpgp.hostkeys import MAX_KEYS
from trex.openpgp.prompt import MAX_CONTEXT, context, prompt_text

MESSAGE = "-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n"


def test_the_prompt_s_shape() -> None:
    lines = prompt_text("alice", MESSAGE, "", 600, "Response: ").split("\n")
    assert lines[0] == "", "it starts with a newline, after the client's (user@host)"
    assert "Trex" in lines[1]
    assert "alice" in lines[1]
    assert lines[2] == "-----BEGIN PGP MESSAGE-----"
    assert lines[-3] == "-----END PGP MESSAGE-----"
    assert lines[-2] == "You have 10 minutes."
    assert lines[-1] == "Response: "


def test_what_is_said_of_the_page_stands_behind_the_message() -> None:
    text = prompt_text("alice", MESSAGE, "first\nsecond\n", 600, "Response: ")
    assert text.endswith("MESSAGE-----\nfirst\nsecond\nYou have 10 minutes.\nResponse: ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (61, "1 minute 1 second"),
     (90, "1 minute 30 seconds"), (600, "10 minutes"), (3600, "60 minutes")],
)  # fmt: skip
def test_durations_are_spoken(seconds: int, words: str) -> None:
    assert spoken_duration(seconds) == words


def test_the_context_names_all_that_helps_to_recognise_a_login() -> None:
    told = context("alice", "sshd", "203.0.113.7", 600)
    fields = (
        r"trex user=alice host=\S+ service=sshd from=203\.0\.113\.7 until=\d{4}-\d\d-\d\dT[\d:]{8}Z"
    )
    assert re.fullmatch(fields, told)


def test_without_a_remote_host_there_is_a_dash() -> None:
    assert " from=- " in context("alice", "login", "", 600)


def test_names_cannot_add_fields_or_lines() -> None:
    told = context("alice service=su", "a\nb", "%u=é", 600)
    assert "user=alice%20service%3Dsu " in told
    assert "service=a%0Ab " in told
    assert "from=%25u%3D%C3%A9 " in told


def test_what_was_cut_says_so() -> None:
    told = context("alice", "sshd", "host." * 100, 600)
    assert re.search(r" from=(host\.)+\w*\.?\* until=", told)


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400))
def test_the_context_always_fits_and_is_plain(user: str, service: str, remote_host: str) -> None:
    told = context(user, service, remote_host, 600)
    assert len(told) <= MAX_CONTEXT
    assert told.isascii()
    assert told.isprintable()
    assert len(told.split(" ")) == 6


KEY = "hzA8vx2i2Y+_4711"
KEYS = st.lists(st.text("ABCxyz019+_", min_size=16, max_size=16), max_size=MAX_KEYS)


def test_host_keys_come_last_and_without_any_there_is_no_field() -> None:
    told = context("alice", "sshd", "203.0.113.7", 600, [KEY, KEY[::-1]])
    assert told.endswith(f"Z hostkeys={KEY},{KEY[::-1]}")
    assert "hostkeys" not in context("alice", "sshd", "203.0.113.7", 600, [])


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=400), KEYS)
def test_names_are_cut_and_host_keys_never(
    user: str, service: str, remote_host: str, keys: list[str]
) -> None:
    told = context(user, service, remote_host, 600, keys)
    assert len(told) <= MAX_CONTEXT
    read = parse_context(told) if user and service else None
    assert not read or read.host_keys == tuple(keys)
    assert told.partition(" hostkeys=")[2] == ",".join(keys)


IPV6 = "2001:db8:1111:2222:3333:4444:5555:6666"
LONG_HOST = f"{'h' * 41}.subdomain.example.org"  # 63 characters, as many as a label of DNS may have


def named_host(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setattr("os.uname", lambda: SimpleNamespace(nodename=host))


def test_beside_three_keys_usual_names_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's sshd has three; hosts have up to 64 characters, and users 32."""
    assert len(LONG_HOST) == 63
    named_host(monkeypatch, LONG_HOST)
    assert "*" not in context("a" * 31, "sshd", IPV6, 600, [KEY] * 3)
    named_host(monkeypatch, "h" * 64)
    longest = parse_context(context("a" * 32, "internal-sshd", IPV6, 600, [KEY] * 3))
    assert longest
    assert (longest.user, longest.host) == ("a" * 32, "h" * 64)
    assert longest.service == "internal-sshd"
    assert longest.origin == "2001:db8:1111:2222:3333:444*"


def test_where_a_login_comes_from_is_cut_before_what_is_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With UseDNS a stranger chooses it; it shortens neither the user nor the host."""
    named_host(monkeypatch, "web7.example.org")
    told = context("alice", "sshd", "a.example." * 40, 600, [KEY] * 8)
    assert " user=alice host=web7.example.org service=sshd from=a.example.a.ex" in told
    assert len(told) == MAX_CONTEXT


def test_beside_eight_keys_the_user_is_whole_whom_no_key_proves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named_host(monkeypatch, LONG_HOST)
    asks = parse_context(context("alice.liddell", "sshd", IPV6, 600, [KEY] * 8))
    assert asks
    assert (asks.user, asks.service) == ("alice.liddell", "sshd")
    assert (asks.host, asks.origin) == ("h" * 19 + "*", "2001:db8:1111:*")
