"""`trex enroll`, `show` and `remove`: with real keys, real homes and real logins after them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox
from tests.command import finish, on_terminal, trex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.keys import Holder
    from tests.sandbox import Account, Asked
    from tests.system.conftest import Keys


@pytest.fixture
def bob(account: Callable[[str], Account]) -> Account:
    """A user with nothing yet."""
    return account("bob")


@pytest.fixture
def key_file(bob: Account, holder: Holder, keys: Keys) -> Path:
    return bob.write(holder.public(keys["cv25519"]), "key.asc")


def record_of(account: Account) -> str:
    """Return the record without comments, after a look at who may read it."""
    status = account.record.lstat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (account.uid, 0o600)
    lines = account.record.read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def leftovers(account: Account) -> list[str]:
    return [path.name for path in account.home.iterdir() if path.name.endswith(".new")]


# ------------------------------------------------------------------- where the key comes from


@pytest.mark.parametrize("who", ["the user", "root"])
@pytest.mark.parametrize("source", ["file", "standard input"])
def test_enrolling_makes_a_login_work(
    bob: Account, key_file: Path, keys: Keys, log_in: Callable[..., Asked], who: str, source: str
) -> None:
    name = str(key_file) if source == "file" else "-"
    done = trex("enroll", "--user", "bob", "--key", name, "--yes",
                account=bob if who == "the user" else None, stdin=key_file.read_bytes())  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert keys["cv25519"] in done.stderr
    assert "cv25519@example.org" in done.stderr
    assert "was not tried out" in done.stderr
    assert record_of(bob) == f"{keys['cv25519']} trust nosign"
    assert stat.S_IMODE(bob.gnupg.stat().st_mode) == 0o700
    assert {path.stat().st_uid for path in bob.gnupg.rglob("*")} == {bob.uid}
    assert log_in("bob").verdict == "PAM_SUCCESS"


def test_a_key_from_the_keyring(bob: Account, holder: Holder, keys: Keys) -> None:
    bob.import_keys(holder.public(keys["cv25519"]))
    done = trex("enroll", "--from-keyring", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert record_of(bob) == f"{keys['cv25519']} trust nosign"


def test_without_a_network_wkd_fails_with_a_hint(bob: Account) -> None:
    done = trex("enroll", "--locate", "nobody@invalid.invalid", "--yes", account=bob, seconds=90)
    assert done.returncode == 1
    assert "trex: error: no key for nobody@invalid.invalid" in done.stderr
    assert "trex: hint: WKD needs the network" in done.stderr
    assert not bob.record.exists()


def test_of_several_keys_one_is_asked_for(
    bob: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    both = keys["cv25519"], keys["nistp256"]
    bob.write(holder.public(*both), "key.asc")
    silent = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert silent.returncode == 1
    assert "several keys" in silent.stderr
    assert all(fingerprint in silent.stderr for fingerprint in both)
    assert not bob.record.exists()
    named = trex("enroll", "--key", "key.asc", "--yes", "--fingerprint", both[1], account=bob)
    assert named.returncode == 0, named.stderr
    assert record_of(bob) == f"{both[1]} trust nosign"
    assert both[0] not in bob.run("gpg", "--list-keys").decode()
    terminal = on_terminal("enroll", "--key", "key.asc", "--no-proof", account=bob)
    terminal.expect("Which key, 1 to 2")
    first = both[0] if terminal.before.index(both[0]) < terminal.before.index(both[1]) else both[1]
    terminal.sendline("1")
    terminal.expect("right fingerprint")
    terminal.sendline("y")
    assert finish(terminal) == 0
    assert record_of(bob) == f"{first} trust nosign"


def test_a_spare_key_is_added(bob: Account, key_file: Path, holder: Holder, keys: Keys) -> None:
    assert trex("enroll", "--key", "key.asc", "--yes", account=bob).returncode == 0
    bob.write(holder.public(keys["rsa2048"]), "spare.asc")
    done = trex("enroll", "--key", "spare.asc", "--add", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert record_of(bob) == f"{keys['cv25519']},{keys['rsa2048']} trust nosign"


# ------------------------------------------------------------------- keys that are refused


@pytest.mark.parametrize("fault", ["expired", "revoked", "signing only"])
def test_a_key_that_cannot_be_used(bob: Account, holder: Holder, place: Path, fault: str) -> None:
    from tests.keys import Holder as Another

    other = Another(place / f"faulty-{fault.replace(' ', '-')}")
    try:
        if fault == "expired":
            made = other.make("e@example.org", expire="1d", at="20200101T000000")
        elif fault == "revoked":
            made = other.make("r@example.org")
            other.revoke(made)
        else:
            made = other.make("s@example.org", "signing")
        bob.write(other.public(made), "key.asc")
    finally:
        other.close()
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 1
    reason = {"expired": "has expired, on 2020-01-0", "revoked": "was revoked",
              "signing only": "has no subkey for encryption"}[fault]  # fmt: skip
    assert f"trex: error: the key {made} {reason}" in done.stderr
    assert "trex: hint: " in done.stderr
    assert not bob.record.exists()
    assert not bob.gnupg.exists()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "there is nothing in it"),
        (b"hello\n", "finds no public key"),
        (b"\0" * 4096, "finds no public key"),
        (b"x" * (2 << 20), "more than 1 MiB"),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n", "finds no public key"),
    ],
    ids=["empty", "text", "zeros", "large", "truncated"],
)
def test_a_file_that_holds_no_key(bob: Account, content: bytes, reason: str) -> None:
    bob.write(content, "key.asc")
    for done in (
        trex("enroll", "--key", "key.asc", "--yes", account=bob),
        trex("enroll", "--key", "-", "--yes", account=bob, stdin=content),
    ):
        assert done.returncode == 1
        assert reason in done.stderr
        assert "trex: hint: " in done.stderr
    assert not bob.record.exists()


def test_a_secret_key_is_refused(bob: Account, holder: Holder, keys: Keys) -> None:
    bob.write(holder.secret(keys["cv25519"]), "key.asc")
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 1
    assert "a secret key, which does not belong on a server" in done.stderr
    assert not bob.record.exists()


def test_root_opens_no_file_that_the_user_may_not_read(bob: Account, place: Path) -> None:
    secret = place / "only-root.asc"
    secret.write_text("x")
    secret.chmod(0o600)
    done = trex("enroll", "--user", "bob", "--key", str(secret), "--yes")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert f"trex enroll --key - < {secret}" in done.stderr


def test_only_root_enrols_somebody_else(bob: Account, alice: Account) -> None:
    done = trex("enroll", "--user", "alice", "--from-keyring", "--yes", account=bob)
    assert done.returncode == 1
    assert "only root or alice" in done.stderr


def test_a_user_id_cannot_steer_the_terminal(bob: Account, holder: Holder, place: Path) -> None:
    from tests.keys import Holder as Another

    other = Another(place / "steering")
    try:
        made = other.make("x@example.org", name="Evil \x1b]0;title\x07 \x1b[31mName")
        bob.write(other.public(made), "key.asc")
    finally:
        other.close()
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stderr
    assert b"\x1b" not in bob.record.read_bytes()
    assert "\x1b" not in trex("show", account=bob).stdout


# ------------------------------------------------------------------- the record


def test_a_second_run_changes_nothing_and_says_so(bob: Account, key_file: Path) -> None:
    assert trex("enroll", "--key", "key.asc", "--yes", account=bob).returncode == 0
    before = sandbox.listing(bob.home, "random_seed", ".gnupg", "pubring.kbx~")
    done = trex("enroll", "--key", "key.asc", "--yes", account=bob)
    assert done.returncode == 0
    assert "nothing to change" in done.stderr
    assert sandbox.listing(bob.home, "random_seed", ".gnupg", "pubring.kbx~") == before


def test_a_dry_run_shows_the_difference_and_does_nothing(
    alice: Account, holder: Holder, keys: Keys
) -> None:
    alice.write(holder.public(keys["nistp256"]), "new.asc")
    before = sandbox.listing(alice.home)
    done = trex("enroll", "--key", "new.asc", "--notrust", "--dry-run", account=alice)
    assert done.returncode == 0, done.stderr
    assert f"-{keys['cv25519']} trust nosign\n" in done.stdout
    assert f"+{keys['nistp256']} notrust nosign\n" in done.stdout
    assert sandbox.listing(alice.home) == before


def test_what_the_record_says_is_kept_and_a_copy_stays(
    alice: Account, holder: Holder, keys: Keys
) -> None:
    old = f"# mine\n{keys['cv25519']} notrust nosign webQrAuthTls k.pem c.pem\n# the end\n"
    alice.write(old)
    alice.write(holder.public(keys["nistp256"]), "new.asc")
    done = trex("enroll", "--key", "new.asc", "--yes", "--no-proof", account=alice)
    assert done.returncode == 0, done.stderr
    new = f"# mine\n{keys['nistp256']} notrust nosign webQrAuthTls k.pem c.pem\n# the end\n"
    assert alice.record.read_text() == new
    copy = alice.home / ".auth_gpg~"
    assert copy.read_text() == old
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    done = trex("enroll", "--from-keyring", "--fingerprint", keys["nistp256"], "--trust",
                "--page", "none", "--yes", account=alice)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert record_of(alice) == f"{keys['nistp256']} trust nosign"


def test_a_wrong_mode_is_mended(alice: Account) -> None:
    alice.record.chmod(0o622)
    done = trex("enroll", "--from-keyring", "--yes", account=alice)
    assert done.returncode == 0, done.stderr
    assert record_of(alice)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--page", "webQrTLS"], "--page: one of webQrAuthTls"),
        (["--page", "webQrAuthTls", "--tls-key", "k"], "go together"),
        (["--tls-key", "k", "--tls-certificate", "c"], "go with --page"),
        (["--page", "webQrAuthTls", "--tls-key", "a b", "--tls-certificate", "c"], "a space in it"),
        (["--sign-as", "yes"], 'found "yes"; meant is'),
        (["--key", "x", "--locate", "a@example.org"], "one of them"),
    ],
)
def test_options_that_make_no_record(alice: Account, options: list[str], reason: str) -> None:
    before = alice.record.read_bytes()
    source = [] if "--locate" in options else ["--from-keyring"]
    done = trex("enroll", *source, "--yes", *options, account=alice)
    assert done.returncode in (1, 2)
    assert reason in done.stderr
    assert alice.record.read_bytes() == before


# ------------------------------------------------------------------- the proof


def test_the_secret_key_at_hand_answers(bob: Account, holder: Holder, keys: Keys) -> None:
    bob.import_keys(holder.secret(keys["cv25519"]))
    done = trex("enroll", "--from-keyring", "--yes", account=bob)
    assert done.returncode == 0, done.stderr
    assert "made and answered" in done.stderr


def test_the_user_pastes_the_response(
    bob: Account, key_file: Path, holder: Holder, keys: Keys
) -> None:
    terminal = on_terminal("enroll", "--key", "key.asc", account=bob)
    terminal.expect("right fingerprint")
    assert keys["cv25519"] in terminal.before
    terminal.sendline("y")
    terminal.expect("Response: ")
    terminal.sendline("ABCDEFGHIJ")
    terminal.expect("wrong response")
    terminal.expect("Response: ")
    assert not bob.record.exists()
    terminal.sendline(str(holder.decrypt(terminal.before.replace("\r\n", "\n"))).strip())
    assert finish(terminal) == 0
    assert record_of(bob) == f"{keys['cv25519']} trust nosign"


def test_without_the_right_response_the_old_record_stays(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    old = alice.record.read_bytes()
    alice.write(holder.public(keys["nistp256"]), "new.asc")
    terminal = on_terminal("enroll", "--key", "new.asc", account=alice)
    terminal.expect("right fingerprint")
    terminal.sendline("y")
    for _ in range(3):
        terminal.expect("Response: ")
        terminal.sendline("ABCDEFGHIJ")
    assert finish(terminal) == 1
    assert alice.record.read_bytes() == old
    assert log_in("alice").verdict == "PAM_SUCCESS"


def test_a_record_that_cannot_work_is_not_written(alice: Account, keys: Keys) -> None:
    old = alice.record.read_bytes()
    done = trex("enroll", "--from-keyring", "--sign-as", keys["cv25519"], "--yes", account=alice)
    assert done.returncode == 1
    assert "cannot sign" in done.stderr
    assert alice.record.read_bytes() == old


def test_no_means_no(bob: Account, key_file: Path) -> None:
    terminal = on_terminal("enroll", "--key", "key.asc", account=bob)
    terminal.expect("right fingerprint")
    terminal.sendline("n")
    assert finish(terminal) == 130
    assert not bob.record.exists()
    assert not bob.gnupg.exists()


def test_a_record_that_changed_meanwhile_is_left_alone(alice: Account) -> None:
    terminal = on_terminal("enroll", "--from-keyring", "--notrust", "--no-proof", account=alice)
    terminal.expect("right fingerprint")
    alice.write("somebody@example.org trust nosign\n")
    terminal.sendline("y")
    assert finish(terminal) == 1
    assert "it was changed meanwhile" in terminal.before
    assert alice.record.read_text() == "somebody@example.org trust nosign\n"


def test_without_a_terminal_a_question_is_an_error(bob: Account, key_file: Path) -> None:
    done = trex("enroll", "--key", "key.asc", account=bob)
    assert done.returncode == 1
    assert "trex: hint: --yes" in done.stderr
    assert not bob.record.exists()


# ------------------------------------------------------------------- what goes wrong


@pytest.fixture
def full_disk(alice: Account) -> Iterator[Account]:
    """alice's home on a file system of its own, with no byte free."""
    kept = sandbox.PLACE / "kept"
    subprocess.run(["cp", "-a", alice.home, kept], check=True)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "full", alice.home], check=True
    )
    subprocess.run(["cp", "-a", f"{kept}/.", alice.home], check=True)
    alice.own(alice.home, 0o755)
    filler = alice.home / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    yield alice
    subprocess.run(["umount", "--lazy", alice.home], check=True)
    subprocess.run(["rm", "-r", kept], check=True)


def test_a_full_disk_leaves_the_record_as_it_was(full_disk: Account, keys: Keys) -> None:
    old = full_disk.record.read_bytes()
    done = trex("enroll", "--from-keyring", "--notrust", "--no-proof", "--yes", account=full_disk)
    assert done.returncode == 1
    assert "No space left on device; the record is as it was" in done.stderr
    assert full_disk.record.read_bytes() == old
    assert not leftovers(full_disk)
    removed = trex("remove", "--yes", account=full_disk)
    assert removed.returncode == 1
    assert full_disk.record.read_bytes() == old


def test_a_full_disk_takes_no_key(full_disk: Account, holder: Holder, keys: Keys) -> None:
    old = full_disk.record.read_bytes()
    done = trex("enroll", "--key", "-", "--yes", account=full_disk, stdin=holder.public(keys["rsa4096"]))  # fmt: skip
    assert done.returncode == 1
    assert "trex: error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert full_disk.record.read_bytes() == old


@pytest.mark.parametrize("kind", ["link", "directory", "FIFO"])
def test_what_is_no_file_is_not_replaced(alice: Account, kind: str) -> None:
    alice.record.unlink()
    if kind == "link":
        alice.record.symlink_to("/etc/passwd")
    elif kind == "directory":
        alice.record.mkdir()
    else:
        os.mkfifo(alice.record)
    done = trex("enroll", "--user", "alice", "--from-keyring", "--yes")
    assert done.returncode == 1
    assert str(alice.record) in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_others_may_write_is_refused(bob: Account, key_file: Path) -> None:
    bob.home.chmod(0o777)
    done = trex("enroll", "--key", "key.asc", "--yes", "--no-proof", account=bob)
    assert done.returncode == 1
    assert "found mode 0777; meant is writable by its owner only" in done.stderr
    assert f"trex: hint: chmod go-w {bob.home}\n" in done.stderr
    assert not bob.record.exists()


def test_an_unreadable_home(bob: Account, key_file: Path) -> None:
    exported = key_file.read_bytes()
    bob.home.chmod(0)
    done = trex("enroll", "--user", "bob", "--key", "-", "--yes", stdin=exported)
    bob.home.chmod(0o755)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert not bob.record.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_moment_leaves_a_whole_record(
    alice: Account, holder: Holder, keys: Keys, number: int
) -> None:
    """And no process, which the fixture `nothing_left` looks for."""
    alice.write(holder.public(keys["nistp256"]), "new.asc")
    old = alice.record.read_text()
    whole = {old, old.replace(keys["cv25519"], keys["nistp256"])}
    ends = set()
    for moment in [0.1, *(0.25 + 0.08 * step for step in range(12))]:
        terminal = on_terminal("enroll", "--key", "new.asc", "--fingerprint", keys["nistp256"],
                               "--yes", account=alice)  # fmt: skip
        time.sleep(moment)
        terminal.kill(number)
        ends.add(finish(terminal))
        assert alice.record.read_text() in whole
        assert not leftovers(alice)
        alice.write(old)
    assert any(ends), "at least one run was cut short"
    assert not list(Path("/tmp").glob("trex-*"))


def test_logins_while_the_record_is_replaced(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    alice.import_keys(holder.public(keys["nistp256"]))
    stop = threading.Event()
    outcomes = []

    def enrol() -> None:
        kinds = ["nistp256", "cv25519"]
        while not stop.is_set():
            kinds.reverse()
            done = trex("enroll", "--from-keyring", "--fingerprint", keys[kinds[0]], "--yes",
                        "--no-proof", account=alice)  # fmt: skip
            outcomes.append(done.returncode)

    worker = threading.Thread(target=enrol)
    worker.start()
    try:
        for _ in range(15):
            assert log_in("alice").verdict == "PAM_SUCCESS"
    finally:
        stop.set()
        worker.join()
    assert len(outcomes) > 1
    assert set(outcomes) == {0}


# ------------------------------------------------------------------- central mode


@pytest.fixture
def central(place: Path) -> Iterator[list[str]]:
    """Central mode's account and directories; return the module's arguments."""
    subprocess.run(["useradd", "--system", "--user-group", "--home-dir", "/run/trex/central",
                    "--no-create-home", "--shell", "/usr/sbin/nologin", "_trex"], check=True)  # fmt: skip
    directory = place / "central"
    for name, group, mode in ((".", "root", "755"), ("users", "_trex", "750")):
        subprocess.run(["install", "-d", "-o", "root", "-g", group, "-m", mode, directory / name],
                       check=True)  # fmt: skip
    subprocess.run(["install", "-d", "-o", "_trex", "-g", "_trex", "-m", "700", directory / "gnupg"],
                   check=True)  # fmt: skip
    yield [f"auth_file={directory}/users/%u", f"gnupg_home={directory}/gnupg", "run_as=_trex"]
    subprocess.run(["rm", "-r", directory], check=True)
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


def test_central_mode(
    bob: Account, key_file: Path, central: list[str], log_in: Callable[..., Asked], keys: Keys
) -> None:
    places = [word for argument in central for word in
              ("--" + argument.partition("=")[0].replace("_", "-"), argument.partition("=")[2])]  # fmt: skip
    done = trex("enroll", "--central", *places, "--user", "bob", "--key", "-", "--yes",
                stdin=key_file.read_bytes())  # fmt: skip
    assert done.returncode == 0, done.stderr
    record = sandbox.PLACE / "central/users/bob"
    status = record.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (0, 0o640)
    assert not bob.record.exists()
    assert not bob.gnupg.exists()
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"
    shown = trex("show", "--central", *places, "--user", "bob")
    assert shown.returncode == 0, shown.stderr
    assert keys["cv25519"] in shown.stdout
    assert trex("show", "--central", *places, account=bob).returncode == 1
    assert trex("remove", "--central", *places, "--user", "bob", "--yes").returncode == 0
    assert not record.exists()


# ------------------------------------------------------------------- show, remove


def test_a_record_in_words(alice: Account, keys: Keys, holder: Holder) -> None:
    spare = holder.make("spare@example.org", expire="10d", name="Spare Key")
    alice.import_keys(holder.public(spare))
    alice.write(f"{keys['cv25519']},spare@example.org notrust {spare} webQrAuthTls\n")
    for done in (trex("show", account=alice), trex("show", "--user", "alice")):
        assert done.returncode == 0, done.stderr
        assert "alice: /home/alice/.auth_gpg, line 1\n" in done.stdout
        assert "Can answer: Test Key <cv25519@example.org>\n" in done.stdout
        assert f"{keys['cv25519']}, without an end\n" in done.stdout
        assert f"{spare}, until 20" in done.stdout
        assert "in 9 days" in done.stdout
        assert "gpg has to trust them" in done.stdout
        assert f"signed by {spare}" in done.stdout
        assert "a page with a password, TLS with a certificate made for each login" in done.stdout


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("nobody@example.org trust nosign\n", "nobody@example.org is not in the keyring"),
        ("x\n", "found 1 fields"),
        (None, "no such file"),
    ],
)
def test_a_record_that_refuses_is_an_error(alice: Account, record: str | None, reason: str) -> None:
    if record is None:
        alice.record.unlink()
    else:
        alice.write(record)
    done = trex("show", account=alice)
    assert done.returncode == 1
    assert reason in done.stdout + done.stderr
    assert "trex: error: " in done.stderr


def test_removing_asks_and_keeps_a_copy(alice: Account) -> None:
    old = alice.record.read_text()
    terminal = on_terminal("remove", account=alice)
    terminal.expect("Remove /home/alice/.auth_gpg")
    terminal.sendline("no")
    assert finish(terminal) == 130
    assert alice.record.exists()
    terminal = on_terminal("remove", account=alice)
    terminal.expect("Remove ")
    terminal.sendline("yes")
    assert finish(terminal) == 0
    assert not alice.record.exists()
    assert (alice.home / ".auth_gpg~").read_text() == old
    assert "nothing to remove" in trex("remove", account=alice).stderr
