"""A name is given to another account: what was made for the earlier one is not inherited."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import options_of, trex
from tests.support.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys


@pytest.fixture
def enrolled(bob: Account, key_file: Path, central: list[str]) -> Path:
    """bob's record of central mode."""
    done = trex("enroll", "--central", *options_of(central), "--user", "bob", "--key", "-", "--yes",
                stdin=key_file.read_bytes())  # fmt: skip
    assert done.returncode == 0, done.stderr
    return sandbox.PLACE / "central/users/bob"


@pytest.mark.usefixtures("door")
def test_a_later_account_of_that_name_is_refused(
    bob: Account, enrolled: Path, central: list[str], log_in: Callable[..., Asked], log: Log
) -> None:
    """The key of whoever has left would let them in as whoever has come."""
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"
    assert f"# trex: uid={bob.uid}\n" in enrolled.read_text()
    later = bob.give_name_to(bob.uid + 7)
    log.clear()
    asked = log_in("bob", arguments=(*central, "nullok"))
    refused(asked, log, f"{enrolled}: expected uid={later}, which is bob's, found uid={bob.uid}: ")
    assert "Trex: this login could not be checked" in str(asked.facts["say"])
    assert str(bob.uid) not in str(asked.facts)


@pytest.mark.usefixtures("door")
def test_a_note_counts_in_a_home_too(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    record = alice.record.read_text()
    alice.write(f"# trex: uid={alice.uid}\n{record}")
    assert log_in("alice").verdict == "PAM_SUCCESS"
    alice.write(f"# trex: uid={alice.uid + 1}\n{record}")
    log.clear()
    refused(log_in("alice"), log, f"found uid={alice.uid + 1}: it was made for another account")


def enroll_central(
    central: list[str], key: bytes, *options: str
) -> subprocess.CompletedProcess[str]:
    return trex("enroll", "--central", *options_of(central), "--user", "bob", "--key", "-", "--yes",
                *options, stdin=key)  # fmt: skip


def test_enrolling_the_later_account_keeps_nothing_of_the_earlier_one_s(
    bob: Account, enrolled: Path, central: list[str], holder: Holder, keys: Keys,
    log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    """A setting of the earlier one's may weaken what the later one's record says."""
    first = enroll_central(central, holder.public(keys["cv25519"]), "--page", "webQrNoAuthNoTls")
    assert first.returncode == 0, first.stderr
    before = enrolled.read_text()
    later = bob.give_name_to(bob.uid + 7)
    new = holder.public(keys["nistp256"])
    added = enroll_central(central, new, "--add")
    assert added.returncode == 1
    assert f"was made for uid {bob.uid}, and bob has uid {later}" in added.stderr
    assert "if bob is the same person, --same-person" in added.stderr
    assert enrolled.read_text() == before
    field = trex("enroll", "--central", *options_of(central), "--user", "bob", "--page", "none",
                 "--yes")  # fmt: skip
    assert (field.returncode, enrolled.read_text()) == (1, before), "its keys are not kept"
    done = enroll_central(central, new)
    assert done.returncode == 0, done.stderr
    assert "nothing of it is kept" in done.stderr
    assert enrolled.read_text().splitlines()[1:] == [
        f"# trex: uid={later}", f"{keys['nistp256']} trust nosign"
    ]  # fmt: skip
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_whoever_stays_the_same_person_keeps_the_record_under_another_uid(
    bob: Account, enrolled: Path, central: list[str], key_file: Path, log_in: Callable[..., Asked]
) -> None:
    """usermod --uid, or a host with other uids."""
    key = key_file.read_bytes()
    enroll_central(central, key, "--page", "webQrAuthTls")
    before = enrolled.read_text()
    later = bob.give_name_to(bob.uid + 7)
    done = enroll_central(central, key, "--same-person", "--unusable=leave-out")
    assert done.returncode == 0, done.stderr
    expected = f"# trex: uid={later}\n# trex: leave-out-unusable\n"
    assert enrolled.read_text() == before.replace(f"# trex: uid={bob.uid}\n", expected)
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"
    again = enroll_central(central, key)
    assert "up to date" in again.stderr
    stopped = enroll_central(central, key, "--unusable=refuse")
    assert stopped.returncode == 0, stopped.stderr
    assert "leave-out" not in enrolled.read_text()


def test_a_record_in_a_home_says_for_whom_only_if_it_said_so(bob: Account, key_file: Path) -> None:
    """There its owner says it, and one file may serve hosts with different uids."""
    assert trex("enroll", "--key", str(key_file), "--yes", account=bob).returncode == 0
    assert "trex:" not in bob.record.read_text()
    bob.write(f"# trex: uid={bob.uid}\n{bob.record.read_text()}")
    words = ["enroll", "--key", str(key_file), "--yes", "--page", "webQrAuthTls"]
    done = trex(*words, account=bob)
    assert done.returncode == 0, done.stderr
    assert f"# trex: uid={bob.uid}\n" in bob.record.read_text()
    assert "webQrAuthTls" in bob.record.read_text()
