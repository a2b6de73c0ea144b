"""`trex list`: each account that may log in has a line, which says what a login would."""

from __future__ import annotations

import calendar
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE
from tests.support.command import trex
from tests.support.examination import SSHD, secret, write_service, write_sshd, write_stack
from tests.support.listing import account as line
from tests.support.listing import listed, states
from tests.support.remedies import type_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

DAYS = 86400


def enrol(user: Account, holder: Holder, *fingerprints: str, notes: str = "") -> None:
    user.import_keys(holder.public(*fingerprints))
    user.write(f"{notes}{','.join(fingerprints)} trust nosign\n")


def test_who_is_enrolled_and_who_is_not_has_a_line(host: Account, bob: Account, keys: Keys) -> None:
    report = listed()
    assert [one["user"] for one in report["accounts"]] == ["alice", "bob"]
    assert states(report, "alice", "bob") == ["ok", "not enrolled"]
    [enrolment] = line(report, "alice")["enrolments"]
    assert enrolment == {
        "method": "openpgp", "place": "/home/alice/.auth_gpg", "services": ["sshd"], "state": "ok",
        "until": "never", "fault": "", "inherited": False,
        "keys": [{"fingerprint": keys["cv25519"], "owner": "Test Key <cv25519@example.org>",
                  "until": "never", "fault": ""}],
    }  # fmt: skip
    assert line(report, "bob")["not_enrolled_for"] == ["sshd"]
    assert report["status"] == 1
    bob.remove()
    assert listed()["status"] == 0
    subprocess.run(["useradd", "--create-home", "bob"], check=True)


def test_accounts_that_nobody_logs_in_with_have_no_line(host: Account, bob: Account) -> None:
    subprocess.run(["usermod", "--shell", "/usr/sbin/nologin", "bob"], check=True)
    assert [one["user"] for one in listed()["accounts"]] == ["alice"]
    subprocess.run(["usermod", "--shell", "/bin/bash", "bob"], check=True)
    assert states(listed(), "bob") == ["not enrolled"]
    subprocess.run(["usermod", "--lock", "bob"], check=True)  # no password: a key needs none
    assert states(listed(), "bob") == ["not enrolled"]
    subprocess.run(["chage", "--expiredate", "2020-01-01", "bob"], check=True)
    assert [one["user"] for one in listed()["accounts"]] == ["alice"]
    subprocess.run(["usermod", "--shell", "/usr/sbin/nologin", "alice"], check=True)
    assert states(listed(), "alice") == ["ok"], "whoever is enrolled is shown"


def _mode(user: Account, *_: object) -> None:
    user.record.chmod(0o666)


def _link(user: Account, *_: object) -> None:
    user.record.unlink()
    user.record.symlink_to("/etc/shadow")


def _fifo(user: Account, *_: object) -> None:
    user.record.unlink()
    os.mkfifo(user.record)


def _spelling(user: Account, *_: object) -> None:
    user.write("alice@example.org truste nosign\n")


def _unknown_key(user: Account, *_: object) -> None:
    user.write("nobody@example.org trust nosign\n")


def _unknown_fingerprint(user: Account, *_: object) -> None:
    user.write(f"{'A' * 40} trust nosign\n")


def _expired(user: Account, holder: Holder, _: Keys) -> None:
    enrol(user, holder, holder.make("list-old@example.org", expire="1d", at="20200101T000000"))


def _one_of_two_expired(user: Account, holder: Holder, keys: Keys) -> None:
    old = holder.make("list-spare@example.org", expire="1d", at="20200101T000000")
    enrol(user, holder, keys["cv25519"], old)


def _revoked(user: Account, holder: Holder, _: Keys) -> None:
    made = holder.make("list-revoked@example.org")
    holder.revoke(made)
    enrol(user, holder, made)


def _disabled(user: Account, _: Holder, keys: Keys) -> None:
    user.run("gpg", "--batch", "--command-fd", "0", "--edit-key", keys["cv25519"],
             stdin=b"disable\nsave\n")  # fmt: skip
    user.run("gpgconf", "--kill", "all")


def _signing_only(user: Account, holder: Holder, keys: Keys) -> None:
    enrol(user, holder, keys["signing"])


def _not_trusted(user: Account, _: Holder, keys: Keys) -> None:
    user.write(f"{keys['cv25519']} notrust nosign\n")


def _no_signer(user: Account, _: Holder, keys: Keys) -> None:
    user.write(f"{keys['cv25519']} trust {'B' * 40}\n")


def _no_key_file(user: Account, *_: object) -> None:
    user.write("/home/alice/gone.pgp trust nosign\n")


def _unsafe_key_file(user: Account, holder: Holder, keys: Keys) -> None:
    path = user.write(holder.public(keys["cv25519"]), "key.pgp")
    user.write(f"# trex: leave-out-unusable\n{keys['cv25519']},{path} trust nosign\n")
    path.chmod(0o666)


def _no_keyring(user: Account, *_: object) -> None:
    shutil.rmtree(user.gnupg)


def _empty_keyring(user: Account, *_: object) -> None:
    for path in user.gnupg.glob("pubring*"):
        path.unlink()


def _keyring_of_all(user: Account, *_: object) -> None:
    (user.gnupg / "pubring.kbx").chmod(0o666)


def _no_trust_database(user: Account, _: Holder, keys: Keys) -> None:
    (user.gnupg / "trustdb.gpg").unlink()
    user.write(f"{keys['cv25519']} notrust nosign\n")


def _other_uid(user: Account, _: Holder, keys: Keys) -> None:
    user.write(f"# trex: uid={user.uid + 1}\n{keys['cv25519']} trust nosign\n")


FAULTS = [
    _mode, _link, _fifo, _spelling, _unknown_key, _unknown_fingerprint, _expired,
    _one_of_two_expired, _revoked, _disabled, _signing_only, _not_trusted, _no_signer, _no_key_file,
    _unsafe_key_file, _no_keyring, _empty_keyring, _keyring_of_all, _no_trust_database, _other_uid,
]  # fmt: skip


@pytest.mark.parametrize("spoil", FAULTS)
def test_whoever_is_refused_is_shown_with_the_reason_that_the_log_has(
    host: Account,
    holder: Holder,
    keys: Keys,
    log: Log,
    ask: Callable[..., Asked],
    spoil: Callable[..., None],
) -> None:
    """CVE-2019-12209: a link in a home shows nothing of what it leads to."""
    spoil(host, holder, keys)
    report = listed()
    assert report["status"] == 2
    assert states(report, "alice") == ["unusable"]
    [enrolment] = line(report, "alice")["enrolments"]
    assert enrolment["until"] is None
    assert ask("alice").verdict == "PAM_AUTHINFO_UNAVAIL"
    reason = log.verdict().partition(" ms=")[2].partition(": ")[2]
    assert reason
    assert enrolment["fault"] in reason
    assert enrolment["inherited"] == (spoil is _other_uid)
    assert "root:" not in str(report), "of /etc/shadow"


def test_keys_that_end_are_told_in_time(host: Account, holder: Holder) -> None:
    enrol(host, holder, holder.make("list-soon@example.org", expire="20d"))
    report = listed()
    assert (report["status"], states(report, "alice")) == (1, ["expiring"])
    until = line(report, "alice")["enrolments"][0]["until"]
    left = calendar.timegm(time.strptime(until, "%Y-%m-%dT%H:%M:%SZ")) - time.time()
    assert 18 * DAYS < left < 22 * DAYS
    assert states(listed("--expiring", "30d"), "alice") == ["expiring"]
    assert states(listed("--expiring", "3w"), "alice") == ["expiring"]
    report = listed("--expiring", "14d")
    assert (report["status"], report["accounts"]) == (0, [])
    assert trex("list", "--expiring", "soon").returncode == 2
    assert "expected days such as 30d" in trex("list", "--expiring", "soon").stderr


def test_a_key_that_is_left_out_leaves_no_spare(host: Account, holder: Holder, keys: Keys) -> None:
    old = holder.make("list-left@example.org", expire="1d", at="20200101T000000")
    enrol(host, holder, keys["cv25519"], old, notes="# trex: leave-out-unusable\n")
    report = listed("--expiring", "1d")
    assert (report["status"], states(report, "alice")) == (1, ["no spare"])
    enrol(host, holder, old, notes="# trex: leave-out-unusable\n")
    assert states(listed(), "alice") == ["unusable"]


def test_who_is_not_enrolled_can_be_asked_alone(host: Account, bob: Account) -> None:
    report = listed("--not-enrolled")
    assert [one["user"] for one in report["accounts"]] == ["bob"]
    assert report["status"] == 1
    bob.write("bob@example.org trust nosign\n")
    assert listed("--not-enrolled")["status"] == 0


def test_each_service_s_own_places_are_looked_at(
    host: Account, bob: Account, keys: Keys, central: list[str], stack: Callable[..., Path]
) -> None:
    """Whoever is no user of sudo's is not asked to enrol for it."""
    stack("sudo", *central)
    report = listed()
    assert states(report, "alice", "bob") == ["ok", "not enrolled"]
    report = listed("--service", "sudo")
    assert states(report, "alice", "bob") == ["not enrolled", "not enrolled"]
    assert line(report, "alice")["not_enrolled_for"] == ["sudo"]
    report = listed("--central")
    assert line(report, "alice")["enrolments"] == []


def test_codes_and_recovery_codes_are_other_ways_in(host: Account, bob: Account) -> None:
    write_stack("sufficient {trex}", "required {trex} method=totp")
    bob.write(secret(), FILE)
    report = listed()
    assert states(report, "alice", "bob") == ["ok", "ok"]
    assert line(report, "bob")["enrolments"][0]["method"] == "totp"
    bob.write("hunter2!\n", FILE)
    assert states(listed(), "bob") == ["unusable"]
    host.write("hunter2!\n", FILE)
    assert states(listed(), "alice") == ["no spare"], "the key still lets her in"
    write_stack("required {trex}", "required {trex} method=totp")
    assert states(listed(), "alice") == ["unusable"], "both are asked"
    assert "hunter" not in trex("list", "--long").stdout
    write_stack("sufficient {trex}", "required {trex} method=recovery")
    host.write("uid 1\n", ".trex_recovery")
    report = listed()
    assert states(report, "alice", "bob") == ["no spare", "not enrolled"]
    assert "expected a line made" in line(report, "alice")["enrolments"][1]["fault"]


def test_numbers_are_enrolments_and_those_of_nobody_are_orphans(
    host: Account, bob: Account, tmp_path: Path
) -> None:
    phones = Path("/etc/trex-phones")
    phones.write_text("bob +33612345678\ngone +33612345679\n")
    phones.chmod(0o600)
    write_stack(f"requisite {{trex}} method=sms phones={phones}")
    report = listed()
    assert states(report, "alice", "bob") == ["not enrolled", "ok"]
    [gone] = report["orphans"]
    assert (gone["kind"], gone["place"], gone["name"]) == ("number", str(phones), "gone")
    assert "336" not in trex("list", "--long").stdout + str(report)
    phones.write_text(
        "gone +33612345679\nleft +33612345670\nbob +33612345678\ngone-by +33612345671\n"
    )
    for one in listed()["orphans"]:  # as they were printed, one after the other
        type_in(one["fix"])
    left = [text for text in phones.read_text().splitlines() if not text.startswith("#")]
    assert left == ["bob +33612345678"]
    assert listed()["orphans"] == []
    phones.write_text("bob uid=4242 +33612345678\n")
    [enrolment] = line(listed(), "bob")["enrolments"]
    assert (enrolment["state"], enrolment["inherited"]) == ("unusable", True)
    assert "it was made for another account" in enrolment["fault"]
    phones.write_text("bob +33612345678\nbob +33612345679\n")
    [enrolment] = line(listed(), "bob")["enrolments"]
    assert enrolment["fault"] == f"{phones}:2: bob is listed more than once"
    phones.write_text("bob 33\n")
    report = listed()
    assert report["status"] == 3
    assert "expected a user and one or more numbers" in report["problems"][0]
    phones.unlink()


def test_whoever_is_exempt_is_not_missed(host: Account, bob: Account, carol: Account) -> None:
    notes = Path("/etc/trex/doctor.toml")
    notes.parent.mkdir(exist_ok=True)
    notes.write_text('[[exempt]]\nuser = "bob"\nreason = "backups come with a key"\n')
    block = SSHD.with_name("02-machines.conf")
    block.write_text("Match User carol\n    AuthenticationMethods publickey\n")
    report = listed()
    assert (report["status"], states(report, "bob", "carol")) == (0, ["exempt", "exempt"])
    assert line(report, "bob")["exempt"] == f"backups come with a key ({notes})"
    assert line(report, "carol")["exempt"] == f"Match User carol ({block}:1)"
    assert listed("--not-enrolled")["accounts"] == []
    block.write_text("Match Address 192.0.2.0/24\n    AuthenticationMethods publickey\n")
    assert states(listed(), "carol") == ["not enrolled"], "from everywhere else she is asked"
    block.write_text(f"Match User carol\n    Banner /etc/issue\n{block.read_text()}")
    assert states(listed(), "carol") == ["not enrolled"]
    block.write_text(
        "Match Group carol Address 192.0.2.0/24\n    AuthenticationMethods publickey\n"
    )
    assert states(listed(), "carol") == ["exempt"], "by intention, from where she comes"
    block.write_text("Match Usr carol\n")
    report = listed()
    assert report["status"] == 3
    assert any("sshd -T" in problem for problem in report["problems"])
    block.unlink()
    notes.write_text("exempt = 1\n")
    assert listed()["status"] == 3
    notes.unlink()


def test_where_no_service_names_trex_the_usual_record_is_looked_for(
    host: Account, bob: Account
) -> None:
    sandbox.pam_service("sshd", "auth required pam_unix.so")
    report = listed()
    assert states(report, "alice", "bob") == ["ok", "not enrolled"]
    assert report["services"] == []
    report = listed("--service", "sshd")
    assert report["problems"] == ["/etc/pam.d/sshd: no auth line asks Trex"]
    assert report["status"] == 3
    write_service("timout=5")
    report = listed()
    assert report["status"] == 3
    assert 'argument "timout=5" is unknown' in report["problems"][0]


def test_only_root_lists_everybody(host: Account) -> None:
    done = trex("list", account=host)
    assert done.returncode == 3
    assert "only root can list everybody's records" in done.stderr
    assert "sudo trex list" in done.stderr


def test_the_first_line_is_for_a_monitor(host: Account, bob: Account) -> None:
    lines = [trex("list").stdout.splitlines()[0]]
    bob.write("x")
    lines.append(trex("list").stdout.splitlines()[0])
    bob.record.unlink()
    lines.append(trex("list", "--expiring", "9d").stdout.splitlines()[0])
    lines.append(trex("list", "--service", "none").stdout.splitlines()[0])
    assert lines == [
        "WARNING: 2 accounts, 1 not enrolled, 1 ok",
        "CRITICAL: 2 accounts, 1 unusable, 1 ok",
        "OK: 0 accounts",
        "UNKNOWN: 2 accounts, 2 unknown, 1 not told",
    ]
    assert trex("list", "--names").stdout == "alice\nbob\n"


def test_it_fits_into_80_columns_and_shows_nothing_raw(
    host: Account, bob: Account, carol: Account, holder: Holder
) -> None:
    """What users have written reaches root's terminal escaped and cut."""
    hostile = holder.make("evil@example.org", name="Evil \x1b[2J\x9b1m \u202e Name")
    enrol(host, holder, hostile, notes="")
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", "a-name-of-24-characters-"],
                   check=True)  # fmt: skip
    bob.write("\x1b[31m@example.org trust nosign\n")
    write_sshd()
    table = trex("list").stdout
    shown = [row for row in table.splitlines() if not row.startswith(" ")]
    assert max(map(len, shown)) <= 79
    assert re.search(r"^alice +ok +openpgp +never +[0-9A-F]{16}$", table, re.MULTILINE)
    assert re.search(r"^a-name-of-\.\.\. +not enrolled$", table, re.MULTILINE)
    for text in (table, trex("list", "--long").stdout, trex("list", "--json").stdout):
        assert text.isascii() or "\u202e" not in text
        assert all(c.isprintable() or c == "\n" for c in text)
    assert hostile in trex("list", "--long").stdout
    subprocess.run(["userdel", "--remove", "--force", "a-name-of-24-characters-"], check=True,
                   capture_output=True)  # fmt: skip
