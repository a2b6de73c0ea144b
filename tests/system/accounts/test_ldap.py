"""Accounts of a real LDAP directory, which takes a name in any case, and may have a backslash in it."""

from __future__ import annotations

import json
import pwd
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import ldap, sandbox
from tests.support.command import trex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Asked, Log
    from tests.system.conftest import Keys

UID = 70001
USERS, STATE = Path("/etc/trex/users"), sandbox.PLACE / "ldap-gnupg"


@pytest.fixture(params=["anna", r"CORP\bert"])
def person(request: pytest.FixtureRequest, place: Path) -> Iterator[ldap.Person]:
    """An account of the directory's, without a record."""
    one = ldap.Person(request.param, UID)
    with ldap.directory(one):
        yield one


@pytest.fixture
def central(account: Callable[..., sandbox.Account]) -> Iterator[dict[str, str]]:
    """Central mode, as the module's arguments."""
    reader = account("_keeper")
    USERS.mkdir(parents=True)
    STATE.mkdir()
    reader.own(STATE, 0o700)
    yield {"auth_file": f"{USERS}/%u", "gnupg_home": str(STATE), "run_as": reader.name}
    shutil.rmtree(USERS.parent)
    shutil.rmtree(STATE)


def test_a_name_in_another_case_is_that_account_s(
    person: ldap.Person, central: dict[str, str], keys: Keys, holder: Holder, log: Log,
    ask: Callable[..., Asked], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    """Else `%u` would lead to no record, and `nullok` would let anybody in."""
    words = ["--" + name.replace("_", "-") + "=" + value for name, value in central.items()]
    key = holder.public(keys["cv25519"])
    done = trex("enroll", *words, "--user", person.name.upper(), "--key", "-", "--yes", stdin=key)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in USERS.iterdir()] == [person.name]
    arguments = (*map("=".join, central.items()), "nullok")
    log.clear()
    accepted = log_in(person.name.upper(), arguments=arguments)
    assert accepted.verdict == "PAM_SUCCESS"
    assert f"to log in as {person.name}," in accepted.prompt
    assert f"accepted: user={person.name} " in log.verdict()
    log.clear()
    wrong = ask(person.name.lower(), "--answer", "wrong", arguments=arguments)
    assert wrong.verdict == "PAM_AUTH_ERR"
    assert f"wrong response: user={person.name} " in log.verdict()


def test_a_record_in_such_a_home_answers_and_what_is_told_can_be_typed(
    person: ldap.Person, keys: Keys, holder: Holder, log_in: Callable[..., Asked]
) -> None:
    person.import_keys(holder.public(keys["cv25519"]))
    person.write(f"{keys['cv25519']} trust nosign\n")
    assert log_in(person.name.upper()).verdict == "PAM_SUCCESS"
    person.write(f"{'0' * 40} trust nosign\n")
    shown = trex("show", "--user", person.name)
    [hint] = [line for line in shown.stderr.splitlines() if "trex doctor" in line]
    assert shlex.split(hint.split("trex doctor ")[1]) == ["--user", person.name]


def test_the_doctor_sees_whom_the_directory_knows_and_does_not_list(
    person: ldap.Person, central: dict[str, str]
) -> None:
    """As sssd's usual: else nobody were enrolled, and a record that refuses its owner were not seen."""
    service = sandbox.trex_service("trex-unlisted", *map("=".join, central.items()))
    assert person.name not in [entry.pw_name for entry in pwd.getpwall()]
    (USERS / person.name).write_text("nonsense\n")
    found = json.loads(trex("doctor", "--json", "--service", service).stdout)["findings"]
    assert [one["check"] for one in found if one["subject"] == person.name] == [
        "record-RecordError"
    ]
    assert "record-nobody" not in [one["check"] for one in found]
