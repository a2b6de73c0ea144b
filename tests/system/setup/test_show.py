"""`trex show` explains a record, and `trex remove` removes it and keeps a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.command import finish, on_terminal, trex

if TYPE_CHECKING:
    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys


def test_a_record_in_words(alice: Account, keys: Keys, holder: Holder) -> None:
    spare = holder.make("spare@example.org", expire="10d", name="Spare Key")
    alice.import_keys(holder.public(spare))
    alice.write(f"{keys['cv25519']},spare@example.org notrust {spare} webQrAuthTls\n")
    refused = trex("show", account=alice)
    assert refused.returncode == 1
    assert f"but not now: the key {keys['cv25519']} is not trusted by gpg's" in refused.stdout
    assert "trex: hint: trex doctor --user alice\n" in refused.stderr
    trusted = "".join(f"{key}:6:\n" for key in (keys["cv25519"], spare))
    alice.run("gpg", "--no-autostart", "--import-ownertrust", stdin=trusted.encode())
    alice.run("gpg", "--no-autostart", "--check-trustdb")
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


def test_a_code_in_the_prompt_in_words(alice: Account, keys: Keys) -> None:
    alice.write(f"{keys['cv25519']} trust nosign qrTerminalLight\n")
    said = "Shown: as text, and as a QR code in the prompt of a light terminal\n"
    assert said in trex("show", account=alice).stdout


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


def test_a_record_that_changed_while_the_question_stood_is_not_removed(
    alice: Account, keys: Keys
) -> None:
    terminal = on_terminal("remove", account=alice)
    terminal.expect("Remove /home/alice/.auth_gpg")
    newer = f"# from another terminal\n{keys['cv25519']} trust nosign\n"
    alice.write(newer)
    terminal.sendline("yes")
    terminal.expect("another program has changed it")
    assert finish(terminal) == 1
    assert alice.record.read_text() == newer
