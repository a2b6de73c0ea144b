"""A key that has expired is extended and enrolled again: the login works, and the record is as it was."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import options_of, trex
from tests.support.owner import Owner, enrolled, wait_until_ended

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

IN, REFUSED = "PAM_SUCCESS", "PAM_AUTHINFO_UNAVAIL"


@pytest.fixture
def ending(owner: Owner) -> Owner:
    """The owner's first key has expired, and its subkey."""
    owner._run("--quick-set-expire", owner.stolen, "seconds=1", "*")  # while the key has not ended
    owner._run("--quick-set-expire", owner.stolen, "seconds=1")
    wait_until_ended(owner.key)
    return owner


def extend(owner: Owner) -> bytes:
    owner._run("--quick-set-expire", owner.stolen, "2y")
    owner._run("--quick-set-expire", owner.stolen, "2y", owner.subkey())
    return owner.public(owner.stolen)


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize("named", ["the key", "its subkey", "its file", "the key and a spare"])
@pytest.mark.parametrize("mode", ["in the home", "central"])
def test_an_extended_key_is_enrolled_by_one_command_and_logs_in(
    robbed: Account, ending: Owner, central: list[str], answer: Callable[..., str], tmp_path: Path,
    named: str, mode: str,
) -> None:  # fmt: skip
    home = mode == "in the home"
    file = (
        robbed.home / "alice.pgp" if home else Path(central[0].split("=")[1]).parent / "alice.pgp"
    )
    name = {"the key": ending.stolen, "its subkey": f"{ending.subkey()}!", "its file": str(file),
            "the key and a spare": f"{ending.stolen},{ending.spare}"}[named]  # fmt: skip
    record = f"{name} trust nosign\n"
    if home:
        robbed.import_keys(ending.public())
        robbed.write(record)
        robbed.write(ending.public(ending.stolen), file.name)
    else:
        enrolled(central, ending, "alice", record)
        file.write_bytes(ending.public(ending.stolen))
    arguments = () if home else central
    assert answer(*arguments) == REFUSED
    command = ["enroll", *([] if home else options_of(central)), "--user", "alice", "--key", "-"]
    done = trex(*command, "--yes", stdin=extend(ending))
    assert done.returncode == 0, done.stderr
    written = (
        robbed.record if home else Path(central[0].replace("auth_file=", "").replace("%u", "alice"))
    )
    assert written.read_text().splitlines()[-1] == record.strip()
    assert answer(*arguments) == IN
    again = trex(*command, "--yes", stdin=extend(ending))
    assert again.returncode == 0
    assert "nothing to change" in again.stderr


def test_a_revoked_key_is_not_enrolled_and_the_command_that_is_printed_revokes_it(
    robbed: Account, owner: Owner, answer: Callable[..., str]
) -> None:
    """As many did: `trex enroll --key revoked.asc`, and the stolen copy went on logging in."""
    robbed.write(f"{owner.stolen} trust nosign\n")
    robbed.write(owner.revoked(), "revoked.asc")
    done = trex("enroll", "--key", "revoked.asc", "--yes", account=robbed)
    assert done.returncode == 1
    assert f"the key {owner.stolen} was revoked. It was not enrolled, and a record" in done.stderr
    assert answer() == IN
    told = re.search("trex: hint: trex (.*?); then another key", done.stderr)
    assert told
    done = trex(*told[1].split(), "--yes", account=robbed)
    assert done.returncode == 0, done.stderr
    assert answer() == REFUSED


def test_a_user_of_central_mode_gets_a_file_and_the_line_that_enrols_it(
    robbed: Account, owner: Owner, central: list[str], answer: Callable[..., str]
) -> None:
    users = Path(central[0].removeprefix("auth_file=")).parent
    robbed.write(owner.public(owner.stolen), "key.asc")
    before = robbed.record.read_bytes()
    options = options_of(central)
    done = trex("enroll", "--central", *options, "--key", "key.asc", account=robbed)
    assert done.returncode == 0, done.stderr
    assert f"Fingerprint  {owner.stolen}" in done.stderr
    assert "Written: /home/alice/trex-alice.pgp. Records of central mode are root's" in done.stderr
    assert robbed.record.read_bytes() == before
    command = done.stdout.strip().removeprefix("sudo trex ")
    assert command.endswith(" --key /home/alice/trex-alice.pgp")
    robbed.home.chmod(0o700)  # as Debian 13 makes homes: neither _trex nor an administrator's shell
    enrol = trex(*command.split(), "--yes")
    assert enrol.returncode == 0, enrol.stderr
    assert f"{owner.stolen} trust nosign" in (users / "alice").read_text()
    assert answer(*central) == IN
    again = trex("enroll", "--central", *options, "--from-keyring", "--fingerprint", owner.stolen,
                 account=robbed)  # fmt: skip
    assert again.returncode == 0, again.stderr


def test_a_user_who_enrols_at_home_is_told_that_root_s_records_stay(
    bob: Account, owner: Owner
) -> None:
    bob.write(owner.public(owner.stolen), "key.asc")
    subprocess.run(["install", "-d", "-m", "0750", "/etc/trex/users"], check=True)
    try:
        done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    finally:
        subprocess.run(["rm", "-r", "/etc/trex/users"], check=True)
    assert done.returncode == 0, done.stderr
    assert "trex enroll --central writes the file that is handed in for that" in done.stderr
