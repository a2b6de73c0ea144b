"""A key or subkey that expires: the printed commands extend it, before and after."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import trex
from tests.support.examination import checks, found
from tests.support.keys import Holder
from trex.openpgp.keylist import DAY, parse_listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

IN_TEN_DAYS, OVER = "seconds=864000", "2020-06-01"
# What the primary key and its encryption subkey have as their end.
KINDS = {
    "the key": (IN_TEN_DAYS, "0"),
    "its subkey": ("0", IN_TEN_DAYS),
    "both": (IN_TEN_DAYS, IN_TEN_DAYS),
    "the subkey first": ("20d", IN_TEN_DAYS),
}


@pytest.fixture
def owner(place: Path) -> Iterator[Holder]:
    holder = Holder(place / "owner-of-ends")
    yield holder
    holder.close()
    subprocess.run(["rm", "-r", holder.home], check=True)


def make(owner: Holder, primary: str, subkey: str, at: str = "") -> str:
    """Make a key whose parts have these ends."""
    fake = ("--faked-system-time", f"{at}!") if at else ()  # ! stops the clock
    owner._run(*fake, "--quick-generate-key", "ending@example.org", "ed25519", "default", primary)
    (key,) = parse_listing(owner._run("--with-colons", "--list-keys").decode())
    owner._run(*fake, "--quick-add-key", key.fingerprint, "cv25519", "encr", subkey)
    return key.fingerprint


def run_as_printed(owner: Holder, commands: str) -> bytes:
    """Run what was printed, as the owner would; return the key as exported then."""
    home = {"GNUPGHOME": str(owner.home), "PATH": "/usr/bin:/bin"}
    subprocess.run(commands, shell=True, check=True, env=home, cwd=owner.home, capture_output=True)  # noqa: S602
    return owner.public()


def days_left(owner: Holder) -> float:
    (key,) = parse_listing(owner._run("--with-colons", "--list-keys").decode())
    return (key.lasts_until - time.time()) / DAY


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_user_is_told_before_the_day(
    alice: Account, owner: Holder, ask: Callable[..., Asked], kind: str
) -> None:
    primary, subkey = KINDS[kind]
    made = make(owner, primary, subkey)
    alice.import_keys(owner.public())
    alice.write(f"{made} trust nosign\n")
    asked = ask("alice", "--answer-with", owner.command())
    [text] = [fact for fact in asked.facts["say"] if fact.startswith("4 ")]
    what = "key" if kind in ("the key", "both") else "encryption subkey of the key"
    told = re.search(
        rf"the {what} {made} expires on \S+\. From .*On your own machine: (.*?)\\nThen", text
    )
    assert told, text
    assert "Then here: trex enroll --key key.asc" in text
    run_as_printed(owner, told[1])
    assert days_left(owner) > 700
    alice.import_keys((owner.home / "key.asc").read_bytes())
    assert "say" not in ask("alice", "--answer-with", owner.command()).facts


@pytest.mark.parametrize("kind", ["the key", "its subkey", "both"])
def test_what_is_said_after_the_day(
    host: Account, owner: Holder, ask: Callable[..., Asked], log: Log, kind: str
) -> None:
    """In the log, and in trex show, doctor and enroll."""
    primary, subkey = (OVER if end == IN_TEN_DAYS else end for end in KINDS[kind])
    made = make(owner, primary, subkey, at="20200101T000000")
    host.import_keys(owner.public())
    host.write(f"{made} trust nosign\n")
    assert ask("alice", "--answer", "x").verdict == "PAM_AUTHINFO_UNAVAIL"
    reason = (
        "cannot be used: its encryption subkey has expired"
        if kind == "its subkey"
        else "has expired"
    )
    said = f"the key {made} {reason}, on 2020-0"
    assert said in log.verdict()
    assert said in trex("show", "--user", "alice").stdout
    host.write(owner.public(), "key.asc")
    refused = trex("enroll", "--key", "key.asc", "--yes", account=host)
    assert f"trex: error: {said}" in refused.stderr
    hint = re.search("trex: hint: (.*), where the secret key is", refused.stderr)
    name = "record-SubkeyExpired" if kind == "its subkey" else "record-KeyExpired"
    expired = found(name, "--user", "alice")
    assert said in expired["what"]
    assert hint
    assert f"# where the secret key is: {hint[1]}; then, for FILE: gpg" in expired["fix"]
    run_as_printed(owner, hint[1])
    assert days_left(owner) > 700
    host.import_keys(owner.public())
    assert ask("alice", "--answer-with", owner.command()).verdict == "PAM_SUCCESS"
    assert checks("--user", "alice") == []


@pytest.mark.parametrize("first", ["", "spare.pgp"])
def test_in_central_mode_the_step_is_the_administrator_s(
    alice: Account, owner: Holder, central: list[str], ask: Callable[..., Asked], holder: Holder,
    keys: Keys, first: str,
) -> None:  # fmt: skip
    """Another key of the record, in a file that stands before this one's, stays what it is."""
    made = make(owner, *KINDS["both"])
    users = Path(central[0].removeprefix("auth_file=").removesuffix("/%u"))
    spare, spares = users / "spare.pgp", holder.public(keys["cv25519"])
    spare.write_bytes(spares)
    names = ",".join(str(users / name) for name in (first, "alice.pgp") if name)
    (users / "alice").write_text(f"{names} trust nosign\n")
    (users / "alice.pgp").write_bytes(owner.public())
    asked = ask("alice", "--answer-with", owner.command(), arguments=tuple(central))
    [text] = [fact for fact in asked.facts["say"] if fact.startswith("4 ")]
    told = re.search(
        r"give key.asc to whoever administers this machine: trex (.*?) < key.asc", text
    )
    assert told, text
    commands = re.search(r"On your own machine: (.*?)\\nThen", text)
    assert commands
    run_as_printed(owner, commands[1])
    done = trex(*told[1].split(), "--yes", stdin=(owner.home / "key.asc").read_bytes())
    assert done.returncode == 0, done.stderr
    assert (
        "say" not in ask("alice", "--answer-with", owner.command(), arguments=tuple(central)).facts
    )
    assert made in done.stderr
    assert spare.read_bytes() == spares
    assert (users / "alice").read_text().endswith(f"{names} trust nosign\n")
