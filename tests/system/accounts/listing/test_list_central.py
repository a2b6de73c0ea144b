"""`trex list` where records are root's: what belongs to nobody, and one gpg for all."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import finish, on_terminal, trex
from tests.support.examination import SERVICE
from tests.support.listing import account as line
from tests.support.listing import listed, states
from tests.support.remedies import type_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

KEY_FILES = Path("/etc/trex/keys")


@pytest.fixture
def users(host: Account, central: list[str]) -> Path:
    """The directory of records that sshd's service names."""
    sandbox.trex_service("sshd", *central)
    host.record.unlink()
    KEY_FILES.parent.mkdir(exist_ok=True)
    return Path(central[0].removeprefix("auth_file=")).parent


def enrol(user: str, key: bytes, place: Path, *options: str) -> None:
    """Do what README.md says for central mode."""
    done = trex(
        "enroll", "--auth-file", f"{place}/%u", "--gnupg-home", f"{place.parent}/gnupg",
        "--run-as", "_trex", "--user", user, "--yes", "--key", "-", *options, stdin=key,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_records_of_root_s_are_found_by_the_service(
    users: Path, bob: Account, holder: Holder, keys: Keys
) -> None:
    enrol("alice", holder.public(keys["cv25519"]), users)
    report = listed()
    assert states(report, "alice", "bob") == ["ok", "not enrolled"]
    [enrolment] = line(report, "alice")["enrolments"]
    assert enrolment["place"] == f"{users}/alice"
    assert enrolment["keys"][0]["fingerprint"] == keys["cv25519"]
    assert report["orphans"] == []
    assert listed("--central")["accounts"] == report["accounts"]


def test_what_an_account_leaves_behind_is_shown(
    users: Path, bob: Account, holder: Holder, keys: Keys
) -> None:
    """The next account of that name would log in with the key of the one before."""
    for user in ("alice", "bob"):
        enrol(user, holder.public(keys[f"cv25519-{user}"]), users)
    bob.remove()
    report = listed()
    ring, owner = str(users.parent / "gnupg"), "Test Key <cv25519-bob@example.org>"
    where = f" --auth-file {users}/%u --gnupg-home {ring}"
    key = {"kind": "key", "place": ring, "name": keys["cv25519-bob"], "owner": owner,
           "fix": f"runuser -u _trex -- gpg --homedir {ring} --batch --yes "
                  f"--delete-keys {keys['cv25519-bob']}"}  # fmt: skip
    record = {"kind": "record", "place": f"{users}/bob", "name": "bob", "owner": "",
              "fix": f"trex remove --central{where} --user bob --yes"}  # fmt: skip
    assert report["orphans"] == [record, key]
    assert report["status"] == 1
    table = trex("list").stdout
    assert f"record {users}/bob: there is no account bob" in table
    assert f"key {keys['cv25519-bob']} in {ring}, {owner}: no record names it" in table
    for orphan in (record, key):
        assert f"to remove it: {orphan['fix']}\n" in table
    terminal = on_terminal("list", columns=80)
    finish(terminal)
    seen = terminal.before.replace("\r\n", "\n")
    assert all(len(shown) <= 80 for shown in seen.splitlines())
    assert re.sub(r"\s+", " ", seen.replace(" \\\n", " ")) == re.sub(r"\s+", " ", table)
    sandbox.Account("bob")
    assert listed()["orphans"] == [], "the uid is the same, and nobody can tell"
    (users / "bob").rename(users / "bob~")  # a copy is nobody's
    assert listed()["orphans"] == [key]
    for name in ("alice", "alice~"):
        (users / name).unlink(missing_ok=True)
    assert len(listed()["orphans"]) == 2, "also where no record is left"


def test_what_is_printed_removes_them(
    users: Path, bob: Account, holder: Holder, keys: Keys
) -> None:
    enrol("alice", holder.public(keys["cv25519-alice"]), users)
    enrol("bob", holder.public(keys["cv25519"]), users, "--key-file")
    (users / "gone").write_text((users / "bob").read_text())
    (users / "alice").unlink()
    (users / "bob").unlink()
    found = listed()["orphans"]
    assert [one["kind"] for one in found] == ["record", "key", "key file"]
    for orphan in found:
        type_in(orphan["fix"])
    assert listed()["orphans"] == []
    subprocess.run(["rm", "-r", KEY_FILES], check=True)


def test_before_any_service_asks_records_of_root_s_are_pointed_at(
    host: Account, central: list[str]
) -> None:
    """A new administrator enrols first, and then looks who is."""
    SERVICE.write_text("auth required pam_unix.so\n")
    directory = Path("/etc/trex/users")
    directory.mkdir(parents=True)
    assert listed()["notes"] == []
    (directory / "alice").write_text("A trust nosign\n")
    told = trex("list").stdout
    shutil.rmtree(directory)
    assert "1 account has a record of root's: trex list --central" in told


def test_a_revoked_key_that_no_record_names_any_more_is_no_orphan(
    users: Path, bob: Account, holder: Holder, keys: Keys
) -> None:
    """It stays so that no copy of it can come back, and a monitor would be red for ever."""
    stolen = holder.make("list-stolen@example.org")
    enrol("bob", holder.public(stolen), users)
    holder.revoke(stolen)
    where = ("--auth-file", f"{users}/%u", "--gnupg-home", f"{users.parent}/gnupg")
    done = trex(
        "revoke", *where, "--run-as", "_trex", "--user", "bob", "--yes", "-",
        stdin=holder.public(stolen),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert states(listed(), "bob") == ["unusable"]
    enrol("bob", holder.public(keys["cv25519-bob"]), users)
    report = listed()
    assert (states(report, "bob"), report["orphans"]) == (["ok"], [])
    for record in users.iterdir():
        record.unlink()
    assert [one["name"] for one in listed()["orphans"]] == [keys["cv25519-bob"]]


def test_keys_in_files_are_listed_and_those_of_nobody_shown(
    users: Path, bob: Account, holder: Holder, keys: Keys
) -> None:
    for user in ("alice", "bob"):
        enrol(user, holder.public(keys["cv25519"]), users, "--key-file")
    report = listed()
    assert states(report, "alice", "bob") == ["ok", "ok"]
    assert line(report, "bob")["enrolments"][0]["keys"][0]["fingerprint"] == keys["cv25519"]
    (users / "bob").unlink()
    path = f"{KEY_FILES}/bob.pgp"
    assert listed()["orphans"] == [
        {"kind": "key file", "place": path, "name": "bob", "owner": "", "fix": f"rm {path}"}
    ]
    old = holder.make("list-file@example.org", expire="1d", at="20200101T000000")
    (KEY_FILES / "bob.pgp").write_bytes(holder.public(old))
    (KEY_FILES / "alice.pgp").write_bytes(holder.public(keys["cv25519"])[:200])
    (users / "bob").write_text(f"{KEY_FILES}/bob.pgp trust nosign\n")
    report = listed()
    assert states(report, "alice", "bob") == ["unusable", "unusable"]
    assert "has expired, on 2020-01-02" in line(report, "bob")["enrolments"][0]["fault"]
    subprocess.run(["rm", "-r", KEY_FILES], check=True)


@pytest.fixture
def without_confiner() -> Iterator[None]:
    """Let gpg start what counts its runs."""
    confiner = sandbox.MODULE / "trex-confine"
    kept = confiner.rename(confiner.with_suffix(".kept"))
    yield
    kept.rename(confiner)


def test_gpg_runs_once_for_all_and_one_bad_key_spoils_no_other(
    users: Path,
    bob: Account,
    carol: Account,
    holder: Holder,
    keys: Keys,
    place: Path,
    without_confiner: None,
) -> None:
    counted = place / "list-gpg"
    runs = Path("/var/log/list-gpg-runs")
    runs.touch()
    runs.chmod(0o666)
    counted.write_text(f'#!/bin/sh\necho >>{runs}\nexec /usr/bin/gpg "$@"\n')
    counted.chmod(0o755)
    sandbox.trex_service(
        "sshd", f"auth_file={users}/%u", f"gnupg_home={users.parent}/gnupg", "run_as=_trex",
        f"gpg={counted}",
    )  # fmt: skip
    for user in ("alice", "bob", "carol"):
        enrol(user, holder.public(keys["cv25519"]), users)
    assert states(listed(), "alice", "bob", "carol") == ["ok"] * 3
    assert len(runs.read_text()) == 1, "one for the keyring"
    files = []
    for user in ("alice", "bob", "carol"):
        files.append(users / f".{user}.pgp")
        files[-1].write_bytes(holder.public(keys["cv25519"]))
        (users / user).write_text(f"{files[-1]} trust nosign\n")
    runs.write_text("")
    assert states(listed(), "alice", "bob", "carol") == ["ok"] * 3
    assert len(runs.read_text()) == 2, "one for the files, one for the keyring"
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[: whole.index(b"Test Key") - 2])  # a key without a user id
    assert states(listed(), "alice", "bob", "carol") == ["ok", "unusable", "ok"]
    for path in (*files, counted, runs):
        path.unlink()


def test_it_is_read_with_the_rights_of_run_as(users: Path, holder: Holder, keys: Keys) -> None:
    """Root opens nothing in a directory that another account may change."""
    enrol("alice", holder.public(keys["cv25519"]), users)
    (users / "alice").chmod(0o600)  # root's alone: a login cannot read it either
    report = listed()
    assert states(report, "alice") == ["unusable"]
    assert "Permission denied" in line(report, "alice")["enrolments"][0]["fault"]


def test_a_missing_account_or_directory_is_told(users: Path, host: Account) -> None:
    sandbox.trex_service("sshd", "auth_file=/etc/trex/none/%u", "run_as=_trex")
    report = listed()
    assert (report["status"], states(report, "alice")) == (1, ["not enrolled"])
    sandbox.trex_service("sshd", f"auth_file={users}/%u", "run_as=_nobody-here")
    report = listed()
    assert report["status"] == 3
    assert "run_as=_nobody-here" in report["problems"][0]
