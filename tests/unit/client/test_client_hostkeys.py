"""Whether a challenge is that of the server that ssh is connected to, by its host key."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from trex.cli.client.connection import MAX_SIZE, MISREAD, recorded_keys, recording
from trex.cli.client.context import parse_context
from trex.cli.client.judge import check_host_key, doubts, is_bound
from trex.cli.client.keyed import Keyed
from trex.cli.client.message import OpenedChallenge
from trex.cli.client.names import Names
from trex.cli.client.openssh import version_and_settings
from trex.cli.client.pins import Pins
from trex.cli.client.processes import process_name
from trex.cli.client.services import Services
from trex.cli.client.target import Target
from trex.cli.errors import Refused, StoreError
from trex.errors import RecordError
from trex.openpgp.prompt import context

if TYPE_CHECKING:
    from pathlib import Path

KEY, OTHER = "hzA8vx2i2Y+_4711", "A" * 16
# What an older server writes.
OLDER = "trex user=alice host=web service=sshd from=- until=2026-11-22T07:17:36Z"
# What an older client takes: the expression that it had, and no more.
FIELD = r"((?:[A-Za-z0-9._~@:\[\]-]|%[0-9A-F]{2})+(?:(?:%[0-9A-F]?)?\*)?)"
OLD_FORM = rf"trex user={FIELD} host={FIELD} service={FIELD} from={FIELD} until=([0-9TZ:-]{{20}})"


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def challenge(*keys: str, user: str = "alice", host: str = "web") -> OpenedChallenge:
    named = f" hostkeys={','.join(keys)}" if keys else ""
    asks = parse_context(OLDER.replace("alice", user).replace("=web", f"={host}") + named)
    assert asks
    assert asks.host_keys == keys
    return OpenedChallenge(asks, "x" * 10)


def target(*keys: str, port: str = "22") -> Target:
    return Target("alice", ["192.0.2.7", "gate"], port, host_keys=keys)


@pytest.mark.parametrize(("named", "seen", "bound"), [
    ([KEY], [KEY], True), ([OTHER, KEY], [KEY], True), ([KEY, OTHER], [OTHER, KEY], True),
    ([OTHER], [KEY], False), ([KEY], [KEY, OTHER], False), ([KEY], [MISREAD], False),
    ([KEY], [KEY.lower()], False),
])  # fmt: skip
def test_every_key_that_ssh_has_got_is_one_of_those_that_are_named(
    named: list[str], seen: list[str], bound: bool
) -> None:
    one, there = challenge(*named), target(*seen)
    assert is_bound(one, there) is bound
    if bound:
        check_host_key(one, there, Keyed())
    else:
        with pytest.raises(Refused, match="PASSED ON FROM ANOTHER SERVER"):
            check_host_key(one, there, Keyed())


@pytest.mark.parametrize(("named", "seen"), [([], []), ([], [KEY]), ([KEY], [])])
def test_where_one_of_both_is_not_known_names_and_pins_count(
    named: list[str], seen: list[str]
) -> None:
    one, there = challenge(*named), target(*seen)
    check_host_key(one, there, Keyed())
    assert not is_bound(one, there)
    reasons = [doubt.reason for doubt in doubts(one, there, Names(), Services(), Pins())]
    assert len(reasons) == 1
    assert "the host web, but ssh goes to" in reasons[0]


def test_a_key_proves_the_host_and_not_the_user() -> None:
    there, known = target(KEY), (Names(), Services(), Pins())
    assert not list(doubts(challenge(KEY), there, *known))
    [doubt] = doubts(challenge(KEY, user="bob"), there, *known)
    assert "for the user bob, but ssh logs in alice" in doubt.reason


@pytest.mark.parametrize(("port", "line", "refused"), [
    ("22", "192.0.2.7", True), ("22", "gate", True), ("22", "[192.0.2.7]:2222", False),
    ("2222", "[192.0.2.7]:2222", True), ("2222", "192.0.2.7", False), ("", "[gate]:2222", True),
    ("", "192.0.2.7", True), ("22", "web", False),
])  # fmt: skip
def test_a_host_that_has_named_its_keys_names_them_always(
    port: str, line: str, refused: bool
) -> None:
    keyed = Keyed()
    keyed.hosts.add(line)
    check_host_key(challenge(KEY), target(KEY, port=port), keyed)
    for seen in ((), (KEY,)):
        if refused:
            with pytest.raises(Refused, match=re.escape(f"NO HOST KEYS: the challenges of {line}")):
                check_host_key(challenge(), target(*seen, port=port), keyed)
        else:
            check_host_key(challenge(), target(*seen, port=port), keyed)


def test_a_host_is_remembered_once_and_read_again(tmp_path: Path) -> None:
    for _ in range(2):
        Keyed().add(target(KEY, port="2222"))
    assert (tmp_path / "trex/hostkeys").read_text() == "[192.0.2.7]:2222\n"
    assert Keyed().entry(target(port="2222")) == "[192.0.2.7]:2222"
    (tmp_path / "trex/hostkeys").write_text("two words\n")
    with pytest.raises(RecordError, match="expected HOST, found 2 words"):
        Keyed()


def test_what_older_and_newer_servers_write_is_read() -> None:
    assert not challenge().context.host_keys
    newer = parse_context(f"{OLDER} hostkeys={KEY} later=x/y,z= more=1")
    assert newer
    assert newer.host_keys == (KEY,)
    assert parse_context(f"{OLDER} later=1")


def test_an_older_client_reads_what_host_keys_none_writes_and_nothing_else() -> None:
    """It takes no further field: an administrator who has such clients leaves the keys out."""
    assert re.fullmatch(OLD_FORM, context("alice", "sshd", "203.0.113.7", 600))
    assert not re.fullmatch(OLD_FORM, context("alice", "sshd", "203.0.113.7", 600, [KEY]))


@pytest.mark.parametrize("end", [
    " hostkeys=", f" hostkeys={KEY},", f" hostkeys={KEY[:-1]}", f" hostkeys={KEY}A",
    f" hostkeys={KEY[:-1]}/", f" hostkeys={KEY} hostkeys={KEY}", f" later=1 hostkeys={KEY}",
    " user=alice", " until=x", " later=1 later=2", " later=", " Later=1", " later", "  later=1",
    f" hostkeys={KEY} ", f" hostkeys={KEY}\n", " later=\u00e9", f" later={'x' * 255}",
])  # fmt: skip
def test_what_is_no_list_of_host_keys_is_no_context(end: str) -> None:
    assert parse_context(OLDER + end) is None


def record(content: bytes) -> None:
    directory = os.path.join(os.environ["XDG_STATE_HOME"], "trex/connections")
    os.makedirs(directory)
    with open(os.path.join(directory, process_name(os.getpid())), "wb") as file:
        file.write(content)


@pytest.mark.parametrize(("content", "keys"), [
    (b"SHA256:" + b"ab/d" * 11 + b"\n", ("ab_d" * 4,)),
    (b"SHA256:aaaaaaaaaaaaaaaaaa\n" * 3, ("a" * 16,)),
    (b"SHA256:aaaaaaaaaaaaaaaaaa\nSHA256:bbbbbbbbbbbbbbbbbb\n", ("a" * 16, "b" * 16)),
    (b"MD5:00:11\n", (MISREAD,)), (b"\n", (MISREAD,)), (b"\xff\n", (MISREAD,)),
    (b"SHA256:aaaaaaaaaaaaaaaaaa\n" * (MAX_SIZE // 20), (MISREAD,)),
])  # fmt: skip
@pytest.mark.parametrize("is_ours", [True, False])
def test_what_ssh_has_recorded_is_read_or_matches_nothing(
    content: bytes, keys: tuple[str, ...], is_ours: bool
) -> None:
    record(content)
    assert recorded_keys(os.getpid(), is_ours=is_ours) == keys
    other = recorded_keys(os.getppid(), is_ours=False)
    assert other == (), "another process has a record of its own"


def test_a_key_that_ssh_has_not_told_is_another_thing_than_one_that_could_not_be_written() -> None:
    """`trex ssh` makes the record before ssh runs, the script of `trex setup` when it has a key."""
    assert recorded_keys(os.getpid(), is_ours=False) == ()
    with pytest.raises(StoreError, match="could not be recorded"):
        recorded_keys(os.getpid(), is_ours=True)
    record(b"")
    assert recorded_keys(os.getpid(), is_ours=True) == ()
    with pytest.raises(StoreError, match="could not be recorded"):
        recorded_keys(os.getpid(), is_ours=False)


def test_a_record_is_new_for_each_run() -> None:
    record(b"SHA256:" + b"a" * 43)
    assert len(recording(*version_and_settings("/usr/bin/ssh", ["-p", "22", "web"]))) == 2
    assert recorded_keys(os.getpid(), is_ours=True) == ()


def test_an_older_ssh_has_a_record_without_a_key() -> None:
    """`trex copy-id` goes on with it; `trex ssh` answers nothing there anyway."""
    assert recording((8, 4), {}) == []
    assert recorded_keys(os.getpid(), is_ours=True) == ()


def test_without_a_place_for_the_record_ssh_is_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "trex").write_text("")
    assert recording(*version_and_settings("/usr/bin/ssh", ["web"])) == []
