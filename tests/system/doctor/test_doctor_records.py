"""`trex doctor` for records: the keys that they name, and the page that they ask for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import trex
from tests.support.examination import (
    checks,
    defects,
    examine,
    found,
    only,
    write_service,
    write_stack,
)
from tests.support.graft import ENCRYPT, carrying
from tests.support.keys import Holder
from tests.support.mounts import without_package
from tests.support.tls import write_dated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account
    from tests.system.conftest import Keys


def _mode(host: Account, *_: object) -> None:
    host.record.chmod(0o666)


def _home(host: Account, *_: object) -> None:
    host.home.chmod(0o777)


def _owner(host: Account, *_: object) -> None:
    os.chown(host.record, 1, -1)


def _gone(host: Account, *_: object) -> None:
    host.record.unlink()


def _spelling(host: Account, *_: object) -> None:
    host.write("alice@example.org truste nosign\n")


def _unknown_key(host: Account, *_: object) -> None:
    host.write("nobody@example.org trust nosign\n")


def _expired(host: Account, holder: Holder, *_: object) -> None:
    made = holder.make("doctor-old@example.org", expire="1d", at="20200101T000000")
    host.import_keys(holder.public(made))
    host.write(f"{made} trust nosign\n")


def _revoked(host: Account, holder: Holder, *_: object) -> None:
    made = holder.make("doctor-revoked@example.org")
    holder.revoke(made)
    host.import_keys(holder.public(made))
    host.write(f"{made} trust nosign\n")


def _signing_only(host: Account, holder: Holder, keys: Keys) -> None:
    host.import_keys(holder.public(keys["signing"]))
    host.write(f"{keys['signing']} trust nosign\n")


def _locked(host: Account, holder: Holder, keys: Keys) -> None:
    other = Holder(sandbox.PLACE / "doctor-locked")
    made = other.make("locked@example.org", "signing", passphrase="secret")  # noqa: S106
    exported = subprocess.run(
        ["gpg", "--homedir", other.home, "--batch", "--pinentry-mode", "loopback", "--passphrase",
         "secret", "--export-secret-keys", made], capture_output=True, check=True).stdout  # fmt: skip
    other.close()
    host.import_keys(exported)
    host.write(f"{keys['cv25519']} trust {made}\n")


def _not_trusted(host: Account, holder: Holder, keys: Keys) -> None:
    host.write(f"{keys['cv25519']} notrust nosign\n")


@pytest.mark.parametrize(
    ("breaks", "check"),
    [
        (_mode, "record-FileUnsafe"), (_home, "record-FileUnsafe"), (_owner, "record-FileUnsafe"),
        (_gone, "record-NoRecord"), (_spelling, "record-RecordError"),
        (_unknown_key, "record-KeyNotFound"), (_expired, "record-KeyExpired"),
        (_revoked, "record-KeyRevoked"), (_signing_only, "record-NoEncryptionSubkey"),
        (_locked, "record-SigningKeyLocked"), (_not_trusted, "record-KeyNotTrusted"),
    ],
)  # fmt: skip
def test_a_user_who_could_not_log_in(
    host: Account, holder: Holder, keys: Keys, breaks: Callable[..., None], check: str
) -> None:
    breaks(host, holder, keys)
    finding = found(check, "--user", "alice")
    others = {other["check"] for other in examine("--user", "alice")["findings"]} - {check}
    assert others == ({"sshd-key-unsafe"} if breaks is _home else set())
    assert finding["severity"] == "error"
    assert finding["what"].startswith("alice: ")
    assert finding["subject"] == "alice"


def test_nullok_makes_a_missing_record_a_warning(host: Account) -> None:
    host.record.unlink()
    write_stack("required {trex} nullok")
    assert checks("--user", "alice") == [("pam-nullok", "warning"), ("record-NoRecord", "warning")]
    assert defects("--user", "alice")[1]["why"] == "Because of nullok this user is not asked."
    host.write("nonsense\n")
    [_, finding] = defects("--user", "alice")
    assert finding["severity"] == "error"


def test_odd_records_and_users(host: Account) -> None:
    host.write(host.record.read_text() * 2)
    assert only()["check"] == "record-odd"
    assert [finding["check"] for finding in examine("--user", "nobody-there")["findings"]] == [
        "user"
    ]
    host.record.unlink()
    assert only()["check"] == "record-nobody"


def test_the_key_expires_soon(host: Account, holder: Holder) -> None:
    for days, expected in ((20, ["key-expires"]), (40, [])):
        made = holder.make(f"in-{days}@example.org", expire=f"{days}d")
        host.import_keys(holder.public(made))
        host.write(f"{made} trust nosign\n")
        assert [finding["check"] for finding in examine()["findings"]] == expected


@pytest.mark.parametrize("others", [1, 2])
def test_a_key_that_is_left_out_leaves_the_record_by_the_printed_command(
    host: Account, holder: Holder, keys: Keys, others: int
) -> None:
    revoked = holder.make("left-out@example.org")
    holder.revoke(revoked)
    good = [keys["cv25519"], keys["nistp256"]][:others]
    host.import_keys(holder.public(revoked, *good))
    before = f"# trex: leave-out-unusable\n{','.join([revoked, *good])} trust nosign\n"
    host.write(before)
    finding = only()
    assert (finding["check"], finding["severity"]) == ("key-left-out", "warning")
    assert f"alice: the key {revoked} was revoked" in finding["what"]
    done = trex(*finding["fix"].split()[1:])
    assert done.returncode == 0, done.stderr
    assert host.record.read_text() == before.replace(f"{revoked},", "")
    assert examine()["findings"] == []


def test_a_key_that_is_left_out_and_expired_is_enrolled_beside_the_others(
    host: Account, holder: Holder, keys: Keys
) -> None:
    expired = holder.make("over@example.org", expire="10d", at="20200101T000000")
    host.import_keys(holder.public(expired))
    host.write(f"# trex: leave-out-unusable\n{expired},{keys['cv25519']} trust nosign\n")
    finding = only("--user", "alice")
    assert finding["check"] == "key-left-out"
    assert finding["fix"].startswith(
        "trex enroll --user alice --add --yes --key - < FILE  # where "
    )


def test_what_is_said_of_a_spare_key_that_expires_soon(
    host: Account, holder: Holder, keys: Keys
) -> None:
    soon = holder.make("spare-20@example.org", expire="20d")
    host.import_keys(holder.public(soon))
    record = f"{soon},{keys['cv25519']} trust nosign\n"
    for note, then in (("", "every login of this user by key is refused."),
                       ("# trex: leave-out-unusable\n", "it is left out.")):  # fmt: skip
        host.write(note + record)
        assert only()["why"] == f"From then on {then}"


def test_an_address_that_two_keys_carry(host: Account, holder: Holder, keys: Keys) -> None:
    """What is printed against it keeps the record's other keys, or says what to write."""
    for _ in range(2):
        host.import_keys(holder.public(holder.make("twice@example.org")))
    host.write("twice@example.org trust nosign\n")
    assert only()["check"] == "key-ambiguous"
    host.write(f"{keys['cv25519']},twice@example.org trust nosign\n")
    assert f"--from-keyring --fingerprint {keys['cv25519']} --fingerprint " in only()["fix"]
    spare = host.write(holder.public(keys["cv25519"]), "spare.pgp")
    host.write(f"{spare},twice@example.org trust nosign\n")
    assert only()["fix"].startswith("# write ")


def test_a_message_that_is_too_large_for_one_code(host: Account, holder: Holder) -> None:
    made = [holder.make(f"big-{i}@example.org", "rsa2048") for i in range(8)]
    host.import_keys(holder.public(*made))
    host.write(f"{','.join(made)} trust nosign webQrAuthTls\n")
    assert only()["check"] == "record-qr"


def test_a_code_that_the_prompt_cannot_have(host: Account, keys: Keys, holder: Holder) -> None:
    """What a login would log: too large for its terminal, or a library that is not there."""
    host.import_keys(holder.public(keys["rsa2048"]))
    host.write(f"{keys['rsa2048']} trust nosign qrTerminal\n")
    large = only()
    assert large["check"] == "prompt-qr"
    assert "no QR code in the prompt: it takes " in large["what"]
    assert "qr_size=" in large["fix"]
    write_service("qr_size=120x64")
    assert defects() == []
    with without_package("qrcode"):
        assert "Debian's package python3-qrcode is missing" in only()["what"]
        write_service("qr=off")
        assert defects() == []


@pytest.mark.parametrize(
    ("name", "days", "found"),
    [
        ("login.example.org", 90, []),
        ("*.example.org", 90, []),
        ("other.example.org", 90, ["page-name"]),
        ("login.example.org", 10, ["page-expires"]),
        ("login.example.org", -1, ["page"]),
    ],
)
def test_certificates(host: Account, keys: Keys, name: str, days: int, found: list[str]) -> None:
    write_service("web_host=login.example.org", "web_bind=127.0.0.1")
    write_dated(host, -9, days, name)
    host.write(f"{keys['cv25519']} trust nosign webQrAuthTls page.key page.pem\n")
    assert [finding["check"] for finding in examine()["findings"]] == found


def test_a_tls_pair_that_is_none_and_a_port_that_is_taken(host: Account, keys: Keys) -> None:
    write_dated(host, -9, 90)
    host.write("no key", "page.key")
    host.write(f"{keys['cv25519']} trust nosign webQrAuthTls page.key page.pem\n")
    assert only()["check"] == "page"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        write_service("web_bind=127.0.0.1", f"web_ports={taken.getsockname()[1]}")
        host.write(f"{keys['cv25519']} trust nosign webQrAuthNoTls\n")
        assert "no free port" in only()["what"]


@pytest.fixture
def mallory() -> Iterator[Holder]:
    home = sandbox.PLACE / "doctor-mallory"
    holder = Holder(home)
    yield holder
    holder.close()
    shutil.rmtree(home)


def test_a_key_that_carries_another_s_is_named_and_the_printed_command_takes_it_out(
    host: Account, holder: Holder, keys: Keys, mallory: Holder
) -> None:
    hers = mallory.make("mallory@example.org")
    host.import_keys(carrying(mallory, hers, holder.public(keys["cv25519"])))
    copy = found("key-copied", "--user", "alice")
    assert copy["severity"] == "error"
    assert (
        f"the key {hers} carries {keys['cv25519']}, which is another person's key" in copy["what"]
    )
    command = copy["fix"].rpartition(": ")[2]
    subprocess.run(command, shell=True, check=True, cwd="/")  # noqa: S602 (as it stands)
    assert "key-copied" not in [check for check, _ in checks("--user", "alice")]


def test_two_keys_that_share_a_subkey_are_both_named(
    host: Account, holder: Holder, keys: Keys, mallory: Holder
) -> None:
    """Nobody can tell which of them is the copy."""
    hers = mallory.make("mallory@example.org")
    host.import_keys(carrying(mallory, hers, holder.public(keys["cv25519"]), ENCRYPT))
    copy = found("key-copied", "--user", "alice")
    assert copy["severity"] == "warning"
    assert "which is also in " in copy["what"]
    for key in (hers, keys["cv25519"]):
        assert key in copy["what"]
        assert key in copy["fix"]


def test_a_program_that_is_not_gnupg(host: Account) -> None:
    program = sandbox.PLACE / "gpg-of-others"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in --version) echo "gpg (GnuPG-compatible Sequoia Chameleon) 2.2.40"; exit;; esac\n'
        'exec /usr/bin/gpg "$@"\n'
    )
    program.chmod(0o755)
    write_service(f"gpg={program}")
    assert checks() == [("gpg-foreign", "error")]
    found, *_ = examine()["findings"]  # and a note on what confines a script
    assert "Sequoia Chameleon" in found["what"]
