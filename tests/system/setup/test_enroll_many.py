"""`trex enroll --from`: a directory with a key file for each user, or a table."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import PYTHON, environment, finish, on_terminal, options_of, trex
from tests.support.graft import ENCRYPT, carrying

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

CENTRAL = sandbox.PLACE / "central"
NOTHING = "nothing was changed; to do: "


@pytest.fixture
def roster(place: Path) -> Iterator[Path]:
    """A directory of root's for key files."""
    directory = place / "roster"
    directory.mkdir(mode=0o700)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(params=["keyring", "files"])
def many(request: pytest.FixtureRequest, central: list[str]) -> list[str]:
    """The command, with the keys in one keyring or in a file for each."""
    files = ["--key-file", f"{CENTRAL}/keys/%u.pgp"] if request.param == "files" else []
    return ["enroll", "--central", *options_of(central), *files]


@pytest.fixture
def in_keyring(central: list[str]) -> list[str]:
    return ["enroll", "--central", *options_of(central)]


def lines(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return each user's line, without the name, and under "" the last one."""
    *users, last = [line for line in done.stdout.splitlines() if not line.startswith(" " * 11)]
    found = [re.split(r"  +", line, maxsplit=2) for line in users]
    return {name: f"{word} {rest}" for word, name, rest in found} | {"": last}


def state() -> dict[str, tuple[int, bytes]]:
    """Return each file of central mode with inode and content."""
    return {
        str(path): (path.stat().st_ino, path.read_bytes())
        for path in CENTRAL.rglob("*")
        if path.is_file() and path.name not in ("trustdb.gpg", ".#lk")
    }


def test_all_of_a_directory_are_enrolled_and_a_second_run_changes_nothing(
    bob: Account, carol: Account, roster: Path, holder: Holder, keys: Keys, many: list[str],
    central: list[str], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    (roster / "bob.asc").write_bytes(holder.public(keys["cv25519"]))
    (roster / "carol.gpg").write_bytes(holder.public(keys["nistp256"]))
    run = [*many, "--from", str(roster)]
    before = state()
    dry = trex(*run, "--dry-run")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert lines(dry) == {
        "bob": f"enrol {keys['cv25519']}", "carol": f"enrol {keys['nistp256']}",
        "": f"2 users: {NOTHING}2 enrol, 0 change, 0 renew, 0 unchanged, 0 failed",
    }  # fmt: skip
    assert state() == before
    first = trex(*run, "--yes")
    assert (first.returncode, first.stderr) == (0, "")
    assert lines(first) == {
        "bob": f"enrolled {keys['cv25519']}", "carol": f"enrolled {keys['nistp256']}",
        "": "2 users: 2 enrolled, 0 changed, 0 renewed, 0 unchanged, 0 failed",
    }  # fmt: skip
    for name in ("bob", "carol"):
        assert log_in(name, arguments=tuple(central)).verdict == "PAM_SUCCESS"
    before = state()
    for option, told in (("--yes", ""), ("--dry-run", NOTHING)):
        again = trex(*run, option)
        assert again.returncode == 0, again.stderr
        assert lines(again)["bob"] == f"unchanged {keys['cv25519']}"
        assert "2 unchanged, 0 failed" in lines(again)[""]
        assert told in lines(again)[""]
        assert state() == before


def test_nobody_who_cannot_be_enrolled_stops_the_others_or_leaves_anything(
    account: Callable[[str], Account], roster: Path, holder: Holder, keys: Keys, many: list[str],
    central: list[str], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    for name in ("bob", "carol", "dave", "erin", "frank", "grace", "zoe"):
        account(name)
    old = holder.make("ended@example.org", expire="seconds=1", at="20200101T000000")
    content = {
        "bob": holder.public(keys["cv25519"]),
        "carol": b"no key\n",
        "dave": holder.public(old),
        "erin": holder.secret(keys["nistp256"]),
        "frank": holder.public(keys["cv25519"], keys["nistp256"]),
        "grace": b"",
        "nobody-there": holder.public(keys["nistp256"]),
        "zoe": holder.public(keys["rsa2048"]),
    }
    for name, key in content.items():
        (roster / f"{name}.asc").write_bytes(key)
    done = trex(*many, "--from", str(roster), "--yes")
    assert done.returncode == 1
    told = lines(done)
    assert told.pop("") == "8 users: 2 enrolled, 0 changed, 0 renewed, 0 unchanged, 6 failed"
    assert {name for name, line in told.items() if line.startswith("enrolled")} == {"bob", "zoe"}
    for name, reason in (
        ("carol", "carol.asc: expected a public key, found no OpenPGP public key"),
        ("dave", "has expired, on 2020-01-01"),
        ("erin", "expected public keys, found a secret key"),
        ("frank", "there are several keys: which one?"),
        ("grace", "expected a key, found nothing"),
        ("nobody-there", "there is no such account"),
    ):
        assert reason in told[name]
    assert done.stdout.count("\n           hint: ") == 6
    assert {path.name for path in (CENTRAL / "users").iterdir()} == {"bob", "zoe"}
    if (CENTRAL / "keys").exists():
        assert {path.name for path in (CENTRAL / "keys").iterdir()} == {"bob.pgp", "zoe.pgp"}
    assert set(in_the_keyring()) <= {keys["cv25519"], keys["rsa2048"]}
    assert log_in("zoe", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def in_the_keyring() -> list[str]:
    """Return the fingerprints of primary keys in the keyring that all share."""
    shown = subprocess.run(
        ["setpriv", "--reuid=_trex", "--regid=_trex", "--clear-groups", "gpg", "--homedir",
         CENTRAL / "gnupg", "--no-autostart", "--batch", "--with-colons", "--list-keys"],
        capture_output=True, check=True, text=True, env={"PATH": "/usr/bin:/bin"},
    ).stdout  # fmt: skip
    return re.findall(r"^pub:.*\nfpr:+(\w+):", shown, re.MULTILINE)


def test_a_key_that_carries_another_s_subkey_is_refused_as_for_one(
    bob: Account, carol: Account, roster: Path, holder: Holder, keys: Keys, in_keyring: list[str],
) -> None:  # fmt: skip
    honest = holder.public(keys["cv25519"])
    hers = holder.make("carrier@example.org")
    (roster / "bob.asc").write_bytes(honest)
    (roster / "carol.asc").write_bytes(carrying(holder, hers, honest, ENCRYPT))
    done = trex(*in_keyring, "--from", str(roster), "--yes")
    assert done.returncode == 1
    assert lines(done)["bob"].startswith("enrolled")
    assert "the owner of one of the two has copied it" in lines(done)["carol"]
    assert in_the_keyring() == [keys["cv25519"]]


def test_a_key_that_was_extended_is_renewed_and_another_one_is_a_change(
    bob: Account, roster: Path, holder: Holder, keys: Keys, many: list[str]
) -> None:
    key = holder.make("extends@example.org", expire="10d")
    (roster / "bob.asc").write_bytes(holder.public(key))
    run = [*many, "--from", str(roster), "--yes"]
    assert trex(*run).returncode == 0
    for subkeys in ([], ["*"]):
        holder._run("--quick-set-expire", key, "2y", *subkeys)
    (roster / "bob.asc").write_bytes(holder.public(key))
    assert lines(trex(*run, "--dry-run"))["bob"] == f"renew {key}"
    assert lines(trex(*run))["bob"] == f"renewed {key}"
    assert lines(trex(*run))["bob"] == f"unchanged {key}"
    (roster / "bob.asc").write_bytes(holder.public(keys["cv25519"]))
    changed = trex(*run)
    assert lines(changed)["bob"] == f"changed {keys['cv25519']}"
    assert f"\n{'':11}in place of {key}\n" in changed.stdout
    assert lines(trex(*run))["bob"] == f"unchanged {keys['cv25519']}"


def test_only_files_that_nobody_else_can_have_written_are_read(
    account: Callable[[str], Account], roster: Path, holder: Holder, keys: Keys,
    in_keyring: list[str], tmp_path: Path,
) -> None:  # fmt: skip
    users = {name: account(name) for name in ("linked", "fifo", "folder", "foreign", "open")}
    key = holder.public(keys["cv25519"])
    (tmp_path / "key").write_bytes(key)
    (roster / "linked.asc").symlink_to(tmp_path / "key")
    subprocess.run(["mkfifo", roster / "fifo.asc"], check=True)
    (roster / "folder.asc").mkdir()
    (roster / "foreign.asc").write_bytes(key)
    users["foreign"].own(roster / "foreign.asc", 0o644)
    (roster / "open.asc").write_bytes(key)
    (roster / "open.asc").chmod(0o666)
    (roster / "README.md").write_text("The keys of all of us.\n")
    done = trex(*in_keyring, "--from", str(roster), "--yes")
    assert done.returncode == 1
    assert done.stderr == "trex: warning: README.md: left out, expected NAME.asc\n"
    told = lines(done)
    assert told.pop("").endswith("0 unchanged, 5 failed")
    for name, reason in (
        ("linked", "found a symbolic link"), ("fifo", "found a FIFO"),
        ("folder", "found a directory"), ("foreign", "expected owned by root"),
        ("open", "found mode 0666"),
    ):  # fmt: skip
        assert reason in told[name]
    assert list((CENTRAL / "users").iterdir()) == []


@pytest.mark.parametrize(
    "kind", ["a user's", "behind a user's link", "open", "sticky", "a table", "an open table"]
)
def test_whoever_can_write_there_decides_who_logs_in(
    bob: Account, roster: Path, holder: Holder, keys: Keys, in_keyring: list[str], kind: str
) -> None:
    (roster / "bob.asc").write_bytes(holder.public(keys["cv25519"]))
    path = roster
    if kind == "a user's":
        bob.own(roster, 0o755)
    elif kind == "behind a user's link":
        path = bob.home / "keys"
        path.symlink_to(roster)
    elif kind == "a table":
        path = bob.write("user,key\nbob,key.asc\n", "table.csv")
    elif kind == "an open table":
        path = roster / "table.csv"
        path.write_text("user,key\nbob,bob.asc\n")
        path.chmod(0o666)
    else:
        roster.chmod(0o777 if kind == "open" else 0o1777)
    done = trex(*in_keyring, "--from", str(path), "--yes")
    assert done.returncode == 1
    assert done.stdout == ""
    told = (
        "whoever can write there decides who logs in",
        "mode 0777",
        "mode 0666",
        "expected that only root writes in it",
    )
    assert any(reason in done.stderr for reason in told)
    assert "trex: hint: " in done.stderr
    assert list((CENTRAL / "users").iterdir()) == []


def test_a_name_neither_leads_elsewhere_nor_controls_the_terminal(
    bob: Account, roster: Path, holder: Holder, keys: Keys, in_keyring: list[str]
) -> None:
    key = holder.public(keys["cv25519"])
    for name in (
        "-v.asc",
        "\x1b]0;t\x07.asc",
        "\udcff.asc",
        "bob .asc",
        "1000.asc",
        "x\nenrolled   bob.asc",
    ):
        (roster / name).write_bytes(key)
    done = trex(*in_keyring, "--from", str(roster), "--yes")
    assert done.returncode == 1
    assert "0 unchanged, 6 failed" in done.stdout
    assert not any(line.startswith("enrolled") for line in done.stdout.splitlines())
    assert not {"\x1b", "\x07"} & set(done.stdout + done.stderr)
    (roster / "table.csv").write_text("user,key\n../bob,bob.asc\n/etc/passwd,bob.asc\n")
    assert "2 failed" in trex(*in_keyring, "--from", str(roster / "table.csv"), "--yes").stdout
    assert list((CENTRAL / "users").iterdir()) == []


def test_of_two_keys_for_one_user_neither_is_taken(
    bob: Account, roster: Path, holder: Holder, keys: Keys, in_keyring: list[str]
) -> None:
    (roster / "bob.asc").write_bytes(holder.public(keys["cv25519"]))
    (roster / "bob.gpg").write_bytes(holder.public(keys["nistp256"]))
    done = trex(*in_keyring, "--from", str(roster), "--yes")
    assert done.returncode == 1
    assert "0 enrolled, 0 changed, 0 renewed, 0 unchanged, 2 failed" in done.stdout
    assert done.stdout.count("bob.asc and bob.gpg are for bob: which one?") == 2
    assert in_the_keyring() == []


def test_a_key_that_answers_for_two_users_is_said(
    bob: Account, carol: Account, roster: Path, holder: Holder, keys: Keys, in_keyring: list[str]
) -> None:
    """A file under the wrong name lets one user in as another."""
    for name in ("bob", "carol"):
        (roster / f"{name}.asc").write_bytes(holder.public(keys["cv25519"]))
    (roster / "table.csv").write_text("user,key\nbob,bob.asc\ncarol,carol.asc\n")
    for options in (["--dry-run"], ["--yes"], ["--yes"]):
        done = trex(*in_keyring, "--from", str(roster / "table.csv"), *options)
        assert done.returncode == 0, done.stdout
        assert done.stderr == f"trex: warning: {keys['cv25519']} answers for bob, carol\n"


def test_it_is_asked_once_and_no_means_no(
    bob: Account, roster: Path, holder: Holder, keys: Keys, many: list[str], central: list[str],
    log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    (roster / "bob.asc").write_bytes(holder.public(keys["cv25519"]))
    before = state()
    for reply, status in (("n", 130), ("y", 0)):
        terminal = on_terminal(*many, "--from", str(roster))
        terminal.expect("right fingerprints")
        assert f"enrol      bob           {keys['cv25519']}" in terminal.before
        assert state() == before
        terminal.sendline(reply)
        assert finish(terminal) == status
    assert "enrolled   bob" in terminal.before
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"
    terminal = on_terminal(*many, "--from", str(roster))
    assert finish(terminal) == 0  # nothing to ask about
    without = trex(*many, "--from", str(roster), "--sign-as", "nosign", "--page", "webQrAuthTls")
    assert without.returncode == 1
    assert "a question cannot be asked without a terminal" in without.stderr


def test_in_their_homes_too(
    bob: Account, carol: Account, roster: Path, holder: Holder, keys: Keys,
    log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    """As each user: root opens nothing there."""
    (roster / "bob.asc").write_bytes(holder.public(keys["cv25519"]))
    (roster / "carol.asc").write_bytes(holder.public(keys["cv25519"]))
    (carol.home / ".gnupg").symlink_to("/root")
    done = trex("enroll", "--from", str(roster), "--yes")
    assert done.returncode == 1
    assert lines(done)["bob"] == f"enrolled {keys['cv25519']}"
    assert lines(done)["carol"].startswith("failed")
    assert log_in("bob").verdict == "PAM_SUCCESS"
    assert {path.stat().st_uid for path in [bob.record, *bob.gnupg.rglob("*")]} == {bob.uid}


def test_two_runs_at_once_leave_what_one_leaves(
    account: Callable[[str], Account], roster: Path, holder: Holder, keys: Keys, many: list[str],
    central: list[str], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    names = ["bob", "carol", "dave", "erin"]
    for name in names:
        account(name)
        (roster / f"{name}.asc").write_bytes(holder.public(keys["cv25519"]))
    command = [*PYTHON, *many, "--from", str(roster), "--yes"]
    both = [
        subprocess.Popen(command, env=environment(None), cwd="/", stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert {one.wait(180) for one in both} <= {0, 1}
    again = trex(*many, "--from", str(roster), "--yes")
    assert again.returncode == 0, again.stdout
    assert "4 unchanged, 0 failed" in again.stdout
    for name in names:
        assert log_in(name, arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_a_record_that_cannot_be_written_leaves_the_keys_as_they_were(
    bob: Account, roster: Path, holder: Holder, keys: Keys, many: list[str]
) -> None:
    (roster / "bob.asc").write_bytes(holder.public(keys["cv25519"]))
    users = CENTRAL / "users"
    subprocess.run(["mount", "--bind", "-o", "ro", users, users], check=True)
    try:
        done = trex(*many, "--from", str(roster), "--yes")
    finally:
        subprocess.run(["umount", users], check=True)
    assert done.returncode == 1
    assert "Read-only file system" in lines(done)["bob"]
    assert in_the_keyring() == []
    assert not (CENTRAL / "keys").exists() or list((CENTRAL / "keys").iterdir()) == []


def test_a_table_says_what_each_record_has(
    account: Callable[[str], Account], roster: Path, holder: Holder, keys: Keys,
    in_keyring: list[str], central: list[str], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    for name in ("bob", "carol", "dave", "erin"):
        account(name)
    one, two, three = keys["cv25519"], keys["nistp256"], keys["rsa2048"]
    (roster / "two.asc").write_bytes(holder.public(one, two))
    (roster / "three.asc").write_bytes(holder.public(three))
    table = roster / "users.csv"
    table.write_text(
        "\ufeffuser,key,fingerprint,page\r\n"
        f'bob,two.asc,"{one},{two}",\r\n'
        f"carol,{roster}/three.asc,,webQrAuthTls\r\n"
        f"dave,three.asc,{one},\r\n"
        f"erin,,{three},\r\n"
        "\r\n"
    )
    done = trex(*in_keyring, "--from", str(table), "--yes")
    assert done.returncode == 1
    assert lines(done)["dave"] == f"failed {one}: no such key"
    assert "3 enrolled, 0 changed, 0 renewed, 0 unchanged, 1 failed" in done.stdout
    for name, record in (
        ("bob", f"{one},{two} trust nosign"),
        ("carol", f"{three} trust nosign webQrAuthTls"),
        ("erin", f"{three} trust nosign"),
    ):
        assert (CENTRAL / "users" / name).read_text().splitlines()[-1] == record
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"
    assert "3 unchanged, 1 failed" in trex(*in_keyring, "--from", str(table), "--yes").stdout


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "line 1: expected some of user, key"),
        ("name,key\nbob,key.asc\n", "found name,key"),
        ("user,user\nbob,bob\n", "each once"),
        ("user,key\nbob,key.asc,x\n", "line 2: expected 2 cells, found 3"),
        ("user,key\nbob\n", "line 2: expected a user, and a key or fingerprint"),
        ("user,key\n,key.asc\n", "line 2: expected a user, and a key or fingerprint"),
        ('user,key\n"bob,key.asc\n', "line 2: "),
        ("user,key\n", "found nobody"),
        ("user,key\nb\udcfcb,key.asc\n", "expected UTF-8"),
    ],
)
def test_a_table_that_is_not_understood_enrols_nobody(
    bob: Account, roster: Path, in_keyring: list[str], text: str, reason: str
) -> None:
    table = roster / "users.csv"
    table.write_bytes(text.encode("utf-8", "surrogateescape"))
    done = trex(*in_keyring, "--from", str(table), "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert reason in done.stderr


def test_what_is_said_of_no_single_user_is_an_error_before_anything_else(
    bob: Account, roster: Path, in_keyring: list[str]
) -> None:
    assert trex(*in_keyring, "--from", str(roster), "--yes").returncode == 1  # it is empty
    for options in (["--user", "bob"], ["--key", "x"], ["--prove"], ["--from-keyring"]):
        assert trex(*in_keyring, "--from", str(roster), *options).returncode == 2
    done = trex("enroll", "--from", str(roster), account=bob)
    assert done.returncode == 1
    assert "only root can enrol others" in done.stderr
    done = trex("enroll", "--run-as", "no-such", "--from", str(roster), "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no-such" in done.stderr
    (CENTRAL / "users").rmdir()
    done = trex(*in_keyring, "--from", str(roster), "--yes")
    assert (done.returncode, done.stdout) == (1, "")
    assert "users: no such directory" in done.stderr
    assert "trex: hint: README.md, central mode" in done.stderr
