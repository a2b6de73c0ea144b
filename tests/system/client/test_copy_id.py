"""`trex keygen` and `trex copy-id`: from nothing to enrolled, over the ssh that works today."""

from __future__ import annotations

import base64
import itertools
import os
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.client import BIN, PASSPHRASE
from tests.support.hostile import context, encrypt, gpg_bytes
from tests.support.journal import wait_for
from trex.cli.client.armor import checksum
from trex.cli.errors import CommandError
from trex.cli.workstation import remote
from trex.cli.workstation.remote import Remote

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

HOST = os.uname().nodename
TREX = f"{BIN}/trex"
SUDOERS = Path("/etc/sudoers.d/bob")


@pytest.fixture
def name(bob: Account, laptop: Client, sshd: Callable[..., Sshd]) -> str:
    """A server that lets bob in by an SSH key, as today; they are not set up for Trex."""
    return laptop.knows(sshd(methods="publickey"), user="bob")


def copy_id(laptop: Client, *words: str, trex: str = TREX) -> subprocess.CompletedProcess[str]:
    return laptop.run("trex", "copy-id", "--yes", "--trex", trex, *words)


def keys_of(account: Account) -> set[str]:
    listed = account.run("gpg", "--with-colons", "--list-keys", check=False).decode()
    rows = [line.split(":") for line in listed.splitlines()]
    pairs = itertools.pairwise(rows)
    return {row[9] for before, row in pairs if before[0] == "pub" and row[0] == "fpr"}


def local_files(laptop: Client) -> dict[str, str]:
    found = (laptop.home / ".config/trex").glob("*")
    return {path.name: path.read_text() for path in found}


def fake(laptop: Client, bob: Account, text: str) -> str:
    """A program in the place of the server's `trex`."""
    path = bob.write(f"#!/bin/sh\n{text}\n", "fake")
    path.chmod(0o755)
    return str(path)


def test_from_an_ssh_key_to_a_login_that_asks_nothing(
    bob: Account, laptop: Client, name: str, keys: Keys, sshd: Callable[..., Sshd], log: Log
) -> None:
    done = copy_id(laptop, name)
    assert done.returncode == 0, done.stderr
    assert f"{name}: enrolled, and a challenge was answered." in done.stderr
    assert bob.record.read_text().splitlines()[-1] == f"{keys['cv25519']} trust nosign"
    port = re.search(r"Port (\d+)", (laptop.home / ".ssh/config").read_text())
    assert port
    ours = f"bob@[127.0.0.1]:{port[1]}"
    assert local_files(laptop) == {"keys": f"{ours} {keys['cv25519']}\n"}
    again = copy_id(laptop, name)
    assert (again.returncode, "is up to date" in again.stderr) == (0, True)
    assert not log.trex("accepted")
    asked = laptop.knows(sshd(), user="bob", name="elsewhere")
    laptop.run("trex", "name", "--yes", asked, HOST)
    assert copy_id(laptop, asked).returncode == 0, "also where Trex is what lets in today"
    assert log.trex("accepted: user=bob")
    assert laptop.run("trex", "ssh", asked, "id -un").stdout == "bob\n"


def test_it_shows_what_it_does_before_it_does_it(bob: Account, laptop: Client, name: str) -> None:
    terminal = laptop.type("trex", "copy-id", "--trex", TREX, name)
    terminal.expect_exact(f"Enrol it on {name}? [y/N] ")
    terminal.sendline("n")
    terminal.expect_exact("Nothing was enrolled.\r\n")
    terminal.expect(pexpect.EOF)
    assert (bob.record.exists(), keys_of(bob), local_files(laptop)) == (False, set(), {})


def test_the_key_that_signs_is_pinned(
    bob: Account, laptop: Client, name: str, holder: Holder, keys: Keys
) -> None:
    signer, other = keys["signing"], keys["rsa2048"]
    bob.import_keys(holder.secret(signer) + holder.public(other))
    bob.write(f"{other} trust {signer}\n")
    done = copy_id(laptop, name)
    assert done.returncode == 0, done.stderr
    assert f"{signer} signs its challenges" in done.stderr
    assert bob.record.read_text().split() == [f"{other},{keys['cv25519']}", "trust", signer]
    assert local_files(laptop)["pins"].split()[1] == signer
    assert signer in keys_of(laptop.account)
    bob.write(f"{other} trust nosign\n")
    unsigned = copy_id(laptop, name)
    assert unsigned.returncode == 1
    assert "NOT SIGNED" in unsigned.stderr
    assert bob.record.read_text() == f"{other} trust nosign\n"
    bob.write(f"{other} trust {signer}\n")
    assert copy_id(laptop, "--replace", name).returncode == 0
    assert bob.record.read_text().split()[0] == keys["cv25519"]


def test_a_key_that_is_pinned_for_another_host_is_not_pinned(
    bob: Account, laptop: Client, name: str, holder: Holder, keys: Keys
) -> None:
    """Nor is the host's own word taken for its name: a login asks about both."""
    signer = keys["signing"]
    bob.import_keys(holder.secret(signer))
    bob.write(f"{keys['rsa2048']} trust {signer}\n")
    bob.import_keys(holder.public(keys["rsa2048"]))
    laptop.account.import_keys(holder.public(signer))
    assert laptop.run("trex", "pin", "--yes", "bank.example.org", signer).returncode == 0
    done = copy_id(laptop, name)
    assert done.returncode == 0, done.stderr
    assert "is pinned for bank.example.org: not pinned here" in done.stderr
    assert laptop.pins.read_text() == f"bank.example.org {signer}\n"
    assert not laptop.names.exists()


@pytest.mark.parametrize("service", ["sshd", "sudo"])
def test_the_challenge_of_a_login_is_not_answered(
    bob: Account, laptop: Client, name: str, holder: Holder, keys: Keys, service: str
) -> None:
    """What the server shows is the challenge that another one has shown to it."""
    message = encrypt(holder, keys["cv25519"], name=context(user="bob", service=service))
    bob.write(message, "message")
    trex = fake(laptop, bob, f"cat {bob.home}/message; cat > {bob.home}/heard; touch ended")
    done = copy_id(laptop, name, trex=trex)
    assert done.returncode == 1
    wait_for((bob.home / "ended").exists)  # the client has left it
    assert (
        f"expected a challenge for bob by trex enroll, found one for bob by {service}"
        in done.stderr
    )
    assert b"hzA8vx2i2Y" not in (bob.home / "heard").read_bytes()
    assert local_files(laptop) == {}


def test_another_user_s_enrolment_is_not_answered(
    bob: Account, laptop: Client, name: str, holder: Holder, keys: Keys
) -> None:
    asks = context(user="carol", service="trex-enroll")
    bob.write(encrypt(holder, keys["cv25519"], name=asks), "message")
    done = copy_id(laptop, name, trex=fake(laptop, bob, f"cat {bob.home}/message; cat >&2"))
    assert "expected a challenge for bob by trex enroll, found one for carol by" in done.stderr


def compressed(content: bytes) -> bytes:
    """Return packets as one compressed packet (RFC 4880, 5.6)."""
    zipped = zlib.compressobj(wbits=-15)
    body = b"\x01" + zipped.compress(content) + zipped.flush()
    return b"\xc8\xff" + len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    "form", ["another", "with a secret key", "with one in a compressed packet", "two"]
)
def test_no_key_is_imported_but_the_one_that_has_signed(
    bob: Account, laptop: Client, name: str, holder: Holder, keys: Keys, form: str
) -> None:
    """A server sends what it likes, and gets nothing into the user's keyring by it."""
    signer = keys["signing"]
    other = gpg_bytes(holder, b"", "--export", keys["rsa2048"])
    right = gpg_bytes(holder, b"", "--export", signer)
    secret = gpg_bytes(holder, b"", "--export-secret-keys", keys["signing-other"])
    key = {
        "another": other,
        "with a secret key": right + secret,
        "with one in a compressed packet": right + compressed(secret),
        "two": right + other,
    }[form]
    asks = context(user="bob", service="trex-enroll")
    message = encrypt(holder, keys["cv25519"], name=asks, signer=signer)
    lines = (base64.encodebytes(key) + b"=" + base64.b64encode(checksum(key))).decode()
    block = "-----{} PGP PUBLIC KEY BLOCK-----\n"
    bob.write(f"{block.format('BEGIN')}\n{lines}\n{block.format('END')}{message}", "shown")
    before = keys_of(laptop.account)
    copy_id(laptop, name, trex=fake(laptop, bob, f"cat {bob.home}/shown; cat > {bob.home}/heard"))
    assert (bob.home / "heard").stat().st_size > 0, "it has got its answer"
    assert keys_of(laptop.account) == before
    secrets = laptop.account.run("gpg", "--with-colons", "--list-secret-keys").decode()
    assert sum(line.startswith("sec:") for line in secrets.splitlines()) == 1
    assert not laptop.pins.exists()


@pytest.mark.parametrize("response", ["wrongwrong\n", "", "\n"])
def test_without_the_right_response_the_server_stays_as_it_was(
    bob: Account, laptop: Client, holder: Holder, keys: Keys, response: str
) -> None:
    armored = laptop.account.run("gpg", "--armor", "--export", keys["cv25519"])
    bob.write(armored + response.encode(), "given")
    command = f"{TREX} enroll --piped < given"
    assert b"BEGIN PGP MESSAGE" in bob.run("sh", "-c", command, check=False)
    assert (bob.record.exists(), keys_of(bob)) == (False, set())
    bob.import_keys(holder.public(keys["cv25519"]))
    bob.run("sh", "-c", command, check=False)
    assert (bob.record.exists(), keys_of(bob)) == (False, {keys["cv25519"]}), "it was there before"


def test_why_a_server_cannot_be_enrolled_on_is_told_and_the_others_are(
    bob: Account, laptop: Client, name: str
) -> None:
    for trex, told in (
        ("no-such-trex", "there is no trex on its PATH"),
        (fake(laptop, bob, "exit 2"), "its trex is an older one"),
        ("exit 7 #", "trex enroll failed there, with status 7"),
    ):
        done = copy_id(laptop, name, trex=trex)
        assert (done.returncode, told in done.stderr) == (1, True), done.stderr
        assert not bob.record.exists()
    some = copy_id(laptop, "nobody@127.0.0.1", name)
    assert some.returncode == 1
    assert "nobody@127.0.0.1: ssh did not log in" in some.stderr
    assert "Not enrolled: nobody@127.0.0.1\n" in some.stderr
    assert bob.record.exists()
    assert "nobody" not in local_files(laptop)["keys"]


def test_what_a_server_says_controls_no_terminal(bob: Account, laptop: Client, name: str) -> None:
    said = r"printf '\033]0;title\007one\r\ntwo\n\033[2J' >&2; exit 1 #"
    done = copy_id(laptop, name, trex=fake(laptop, bob, said))
    assert r"\x1b]0;title\x07one" in done.stderr.splitlines()
    assert "two" in done.stderr.splitlines()
    assert "\x1b[2J" not in done.stderr
    assert done.stderr.index("two") < done.stderr.index("trex enroll failed there, with status 1")


def test_a_server_that_sends_no_end_is_left(bob: Account, laptop: Client, name: str) -> None:
    """It has not ended, so nothing but the amount tells."""
    done = copy_id(laptop, name, trex=fake(laptop, bob, "yes | head -c 2000000; exec cat"))
    assert done.returncode == 1
    assert "it has sent 1 MiB, and no challenge" in done.stderr


def test_a_server_that_reads_nothing_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets more than its pipe and ssh take, and neither reads, says nor ends anything."""
    monkeypatch.setattr(remote, "SECONDS", 1)
    command = ["/bin/sh", "-c", "exec sleep 60"]
    with Remote(command) as far, pytest.raises(CommandError, match="sent was not read within"):
        far.ask(bytes(1 << 20))
    assert not Path(f"/proc/{far.pid}").exists()


def test_a_server_that_never_stops_talking_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "SECONDS", 1)
    with Remote(["/usr/bin/yes"]) as far, pytest.raises(CommandError, match="not ended within"):
        far.answer("x")
    assert not Path(f"/proc/{far.pid}").exists()


# ------------------------------------------------------------------------------- central mode


@pytest.fixture
def by_root(bob: Account, central: list[str]) -> Iterator[str]:
    """The server's `trex` with the test's places, which bob's sudo runs without asking."""
    options = " ".join(f"--{one.replace('=', ' ').replace('_', '-', 1)}" for one in central)
    path = sandbox.PLACE / "trex-by-root"
    path.write_text(f'#!/bin/sh\nshift\nexec {TREX} enroll {options} "$@"\n')
    path.chmod(0o755)
    SUDOERS.write_text(f"bob ALL=(root) NOPASSWD: {path} enroll *\n")
    SUDOERS.chmod(0o440)
    yield str(path)
    SUDOERS.unlink(missing_ok=True)


def test_in_central_mode_root_enrols_by_sudo(
    bob: Account, laptop: Client, name: str, keys: Keys, by_root: str, central: list[str],
    log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    done = copy_id(laptop, "--central", name, trex=by_root)
    assert done.returncode == 0, done.stderr
    record = sandbox.PLACE / "central/users/bob"
    assert record.read_text().splitlines()[-1] == f"{keys['cv25519']} trust nosign"
    assert record.stat().st_uid == 0
    assert not bob.record.exists()
    assert log_in("bob", arguments=tuple(central)).verdict == "PAM_SUCCESS"


def test_where_sudo_asks_the_administrator_enrols(
    bob: Account, laptop: Client, name: str, by_root: str
) -> None:
    SUDOERS.write_text("bob ALL=(ALL) ALL\n")
    done = copy_id(laptop, "--central", name, trex=by_root)
    assert done.returncode == 1
    assert f"{name}: sudo does not run trex there without asking" in done.stderr
    assert "sudo trex enroll --central --user NAME --key - < key.asc" in done.stderr
    assert not (sandbox.PLACE / "central/users/bob").exists()
    assert (bob.record.exists(), local_files(laptop)) == (False, {})


def test_of_several_keys_one_is_named(laptop: Client, bob: Account, name: str, keys: Keys) -> None:
    laptop.make_locked_key("other@example.org")
    which = copy_id(laptop, name)
    assert "there are 2 keys: which one?" in which.stderr
    assert copy_id(laptop, "--key", "A" * 40, name).returncode == 1
    assert copy_id(laptop, "--key", keys["cv25519"], name).returncode == 0
    assert bob.record.read_text().splitlines()[-1] == f"{keys['cv25519']} trust nosign"


PINENTRY = f"""\
#!/bin/sh
echo OK
while read -r command; do
    case $command in
        "OPTION ttyname="*) echo "${{command#*=}}" > ~/terminal; echo OK ;;
        GETPIN) echo D {PASSPHRASE}; echo OK ;;
        *) echo OK ;;
    esac
done
"""


def test_a_pinentry_is_told_the_terminal(laptop: Client, bob: Account, name: str) -> None:
    laptop.make_locked_key("other@example.org")
    pinentry = laptop.account.write(PINENTRY, "pinentry")
    pinentry.chmod(0o700)
    laptop.use_pinentry(pinentry)
    key = laptop.fingerprint("other@example.org")
    terminal = laptop.type("trex", "copy-id", "--yes", "--trex", TREX, "--key", key, name)
    terminal.expect_exact("enrolled, and a challenge was answered.")
    terminal.expect(pexpect.EOF)
    assert (laptop.home / "terminal").read_text().startswith("/dev/pts/")
    assert bob.record.read_text().splitlines()[-1] == f"{key} trust nosign"


# ------------------------------------------------------------------------------------- keygen


@pytest.fixture
def asked(laptop: Client) -> Client:
    """A client whose pinentry says a passphrase, and counts how often."""
    says = f"echo >> {laptop.home}/asked; echo D {PASSPHRASE} 1; echo OK"  # gpg wants a digit
    laptop.use_pinentry(laptop.write_pinentry(says))
    return laptop


def test_a_key_is_made_with_a_passphrase_an_end_and_a_revocation(
    asked: Client, bob: Account, name: str
) -> None:
    done = asked.run("trex", "keygen", "--expires", "1y", "--spare", "laptop login")
    assert done.returncode == 0, done.stderr
    made = re.findall(r"Fingerprint +([0-9A-F]{40})", done.stdout)
    assert len(made) == 2
    assert (asked.home / "asked").read_text().count("\n") >= 2, "each with a passphrase"
    assert f"trex copy-id --key {made[0]} --key {made[1]} HOST" in done.stderr
    assert copy_id(asked, "--key", made[0], "--key", made[1], name).returncode == 0
    assert bob.record.read_text().splitlines()[-1] == f"{made[0]},{made[1]} trust nosign"
    sheet = done.stdout.partition(made[0])[2].partition("Key for logins: ")[0]
    certificate = sheet[sheet.index(":-----BEGIN") + 1 :]
    bob.run("gpg", "--batch", "--import", stdin=certificate.encode())
    listed = bob.run("gpg", "--with-colons", "--list-keys", made[0]).decode()
    assert "\npub:r:" in f"\n{listed}", "what was printed revokes it"


def test_what_is_printed_revokes_the_key_on_a_server_by_its_own_command(
    asked: Client, bob: Account, name: str
) -> None:
    """The sheet is typed off or scanned, words and colon and all: ssh SERVER trex revoke --yes - < FILE."""
    made = asked.run("trex", "keygen", "laptop login")
    found = re.search(r"Fingerprint +([0-9A-F]{40})", made.stdout)
    assert found, made.stderr
    assert "server that knows the key: ssh SERVER trex revoke --yes - < FILE." in made.stdout
    assert copy_id(asked, "--key", found[1], name).returncode == 0
    done = asked.run("ssh", name, TREX, "revoke", "--yes", "-", stdin=made.stdout.encode())
    assert done.returncode == 0, done.stderr
    assert f"Revoked: {found[1]}" in done.stdout
    assert "stays, and refuses every login" in done.stdout


def test_who_has_no_key_gets_one(
    account: Callable[[str], Account], asked: Client, bob: Account, name: str
) -> None:
    asked.account.end_daemons()
    asked.account.run("rm", "-r", ".gnupg/private-keys-v1.d", ".gnupg/pubring.kbx")
    done = copy_id(asked, name)
    assert done.returncode == 0, done.stderr
    made = re.search(r"Fingerprint +([0-9A-F]{40})", done.stdout)
    assert made
    assert bob.record.read_text().splitlines()[-1] == f"{made[1]} trust nosign"


def test_a_key_that_cannot_be_made_is_told(asked: Client) -> None:
    done = asked.run("trex", "keygen", "--expires", "yesterday")
    assert (done.returncode, done.stdout) == (1, "")
    assert "gpg made no key: " in done.stderr
    assert "trex: hint: --expires takes an end such as 2y or 2028-11-22" in done.stderr
