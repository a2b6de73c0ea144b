"""`trex enroll` and the record: what is kept, replaced, shown before, or refused."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import record_of, trex

if TYPE_CHECKING:
    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys


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


def test_another_mode_with_tls_keeps_the_certificate(alice: Account, keys: Keys) -> None:
    alice.write(f"{keys['cv25519']} trust nosign webQrAuthTls k.pem c.pem\n")
    enroll = ["enroll", "--from-keyring", "--yes", "--no-proof", "--page"]
    modes = [("webQrNoAuthTls", " k.pem c.pem"), ("webQrAuthNoTls", ""), ("qrTerminal", "")]
    for mode, files in modes:
        assert trex(*enroll, mode, account=alice).returncode == 0
        assert record_of(alice) == f"{keys['cv25519']} trust nosign {mode}{files}"


def test_a_wrong_mode_is_fixed(alice: Account) -> None:
    alice.record.chmod(0o622)
    done = trex("enroll", "--from-keyring", "--yes", account=alice)
    assert done.returncode == 0, done.stderr
    assert record_of(alice)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--page", "webQrTLS"], "--page: expected webQrAuthTls, "),
        (
            ["--page", "webQrAuthTls", "--tls-key", "k"],
            "expected --tls-key and --tls-certificate together",
        ),
        (["--tls-key", "k", "--tls-certificate", "c"], "need --page"),
        (
            ["--page", "qrTerminal", "--tls-key", "k", "--tls-certificate", "c"],
            "are for a page, not for qrTerminal",
        ),
        (
            ["--page", "webQrAuthTls", "--tls-key", "a b", "--tls-certificate", "c"],
            "must not contain spaces",
        ),
        (["--sign-as", "yes"], ', found "yes"'),
        (["--key", "x", "--locate", "a@example.org"], "expected only one of --key, --from-keyring"),
    ],
)
def test_options_that_make_no_record(alice: Account, options: list[str], reason: str) -> None:
    before = alice.record.read_bytes()
    source = [] if "--locate" in options else ["--from-keyring"]
    done = trex("enroll", *source, "--yes", *options, account=alice)
    assert done.returncode in (1, 2)
    assert reason in done.stderr
    assert alice.record.read_bytes() == before


def test_the_comment_names_the_key_that_answers_now_and_what_a_person_wrote_stays(
    alice: Account, holder: Holder, keys: Keys
) -> None:
    def enrol(key: str, *options: str) -> str:
        done = trex(
            "enroll", "--user", "alice", "--yes", "--key", "-", *options,
            stdin=holder.public(keys[key]),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return alice.record.read_text()

    alice.record.unlink()
    assert enrol("cv25519").startswith("# Test Key <cv25519@example.org>\n")
    added = enrol("cv25519-bob", "--add")
    assert added.startswith("# Test Key <cv25519@example.org>\n"), "it still answers"
    assert enrol("cv25519-alice").startswith("# Test Key <cv25519-alice@example.org>\n")
    own = f"# Alice's own <a@example.org>\n# laptop\n{keys['cv25519']} trust nosign\n"
    alice.write(own)
    assert enrol("cv25519-bob") == own.replace(keys["cv25519"], keys["cv25519-bob"])
