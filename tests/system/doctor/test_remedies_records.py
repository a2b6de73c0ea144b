"""What the doctor prints against records and keys that refuse a login, typed as it stands."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import options_of, trex
from tests.support.examination import examine, write_service
from tests.support.graft import ENCRYPT, carrying
from tests.support.keys import Holder
from tests.support.remedies import Case, Stage, runnable, see_it_gone
from tests.support.tls import write_dated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

OF_TWO = {
    "FILE": lambda stage: stage.export(stage.keys["cv25519"], stage.keys["nistp256"]),
    "FPR1": lambda stage: stage.keys["cv25519"],
    "FPR2": lambda stage: stage.keys["nistp256"],
}
HANDED_IN = {"FILE": lambda stage: stage.export(stage.keys["cv25519"])}
FROM_HOME = {"FILE": lambda stage: str(stage.place / "handed-in.pgp")}
HERS = ("--user", "alice")


def record(form: str) -> Callable[[Stage], object]:
    """Return what writes alice's record; `{kind}` is the fingerprint of a key of that kind."""

    def breaks(stage: Stage) -> None:
        stage.user.write(re.sub(r"\{(.*?)\}", lambda found: stage.keys[found[1]], form) + "\n")

    breaks.__name__ = form
    return breaks


def _made(stage: Stage, address: str, kind: str = "cv25519", **how: str) -> str:
    made = stage.holder.make(address, kind, **how)
    stage.user.import_keys(stage.holder.public(made))
    stage.user.write(f"{made} trust nosign\n")
    return made


def _expired(stage: Stage) -> None:
    _made(stage, "gone-by@example.org", expire="1d", at="20200101T000000")


def _expires(stage: Stage) -> None:
    _made(stage, "soon@example.org", expire="20d")


def _subkey_expired(stage: Stage) -> None:
    made = _made(stage, "sub@example.org", expire="0", at="20200101T000000")
    keyring = ["gpg", "--homedir", str(stage.holder.home), "--batch", "--faked-system-time",
               "20200102T000000!", "--quick-set-expire", made, "1d", "*"]  # fmt: skip
    subprocess.run(keyring, check=True, capture_output=True)
    stage.user.import_keys(stage.holder.public(made))


def _revoked(stage: Stage) -> None:
    made = _made(stage, "lost@example.org")
    stage.holder.revoke(made)
    stage.user.import_keys(stage.holder.public(made))


def _revoked_of_two(stage: Stage) -> None:
    """A key is another one then, and whose it is has to be said: the other person's stays."""
    _revoked(stage)
    stage.user.write(f"2of:{stage.keys['cv25519']},{stage.user.record.read_text()}")


def _signing_only(stage: Stage) -> None:
    _made(stage, "only-signs@example.org", "signing")


def _signer_cannot(stage: Stage) -> None:
    key = stage.keys["cv25519"]
    stage.user.write(f"{key} trust {stage.keys['nistp256']}\n")


def _locked(stage: Stage) -> None:
    other = Holder(stage.place / "remedies-locked")
    made = other.make("locked@example.org", "signing", passphrase="secret")  # noqa: S106
    exported = subprocess.run(
        ["gpg", "--homedir", other.home, "--batch", "--pinentry-mode", "loopback", "--passphrase",
         "secret", "--export-secret-keys", made], capture_output=True, check=True).stdout  # fmt: skip
    other.close()
    stage.user.import_keys(exported)
    stage.user.write(f"{stage.keys['cv25519']} trust {made}\n")


def _gone(stage: Stage) -> None:
    stage.user.record.unlink()


def _mode(stage: Stage) -> None:
    stage.user.record.chmod(0o666)


def _home_mode(stage: Stage) -> None:
    stage.user.home.chmod(0o777)


def _keyring_mode(stage: Stage) -> None:
    stage.user.gnupg.chmod(0o777)


def _keyring_seen(stage: Stage) -> None:
    stage.user.gnupg.chmod(0o755)


def _keyring_of_root(stage: Stage) -> None:
    """As after `sudo gpg`, with root's umask."""
    os.chown(stage.user.gnupg, 0, 0)
    stage.user.gnupg.chmod(0o700)


def _central_keyring_of_root(stage: Stage) -> None:
    arguments = stage.fixture("central")
    words = ["--central", *options_of(arguments), "--user", "alice", "--key", "-", "--yes"]
    key = stage.holder.public(stage.keys["cv25519"])
    assert trex("enroll", *words, stdin=key).returncode == 0
    write_service(*arguments)
    os.chown(stage.place / "central/gnupg", 0, 0)


def _secret_key_seen(stage: Stage) -> None:
    signer = stage.keys["signing"]
    stage.user.import_keys(stage.holder.secret(signer))
    stage.user.write(f"{stage.keys['cv25519']} trust {signer}\n")
    stage.user.run("chmod", "-R", "a+rX", ".gnupg/private-keys-v1.d")
    stage.user.gnupg.chmod(0o711)


def _owner(stage: Stage) -> None:
    os.chown(stage.user.record, 1, -1)


def _a_link(stage: Stage) -> None:
    stage.user.record.unlink()
    stage.user.record.symlink_to("/etc/hostname")


def _a_directory(stage: Stage) -> None:
    stage.user.record.unlink()
    stage.user.record.mkdir(mode=0o700)
    stage.user.own(stage.user.record, 0o700)


def _empty(stage: Stage) -> None:
    stage.user.write("# nothing yet\n")


def _two_lines(stage: Stage) -> None:
    stage.user.write("# one\n" + stage.user.record.read_text() * 3)


def _twice_an_address(stage: Stage) -> None:
    for _ in range(2):
        stage.user.import_keys(stage.holder.public(stage.holder.make("twins@example.org")))
    stage.user.write("twins@example.org trust nosign\n")


def _twice_beside_another(stage: Stage) -> None:
    _twice_an_address(stage)
    stage.user.write(f"2of:{stage.keys['cv25519']},twins@example.org trust nosign\n")


def _twice_the_signer_s(stage: Stage) -> None:
    for _ in range(2):
        key = stage.holder.make("signers@example.org", "signing")
        stage.user.import_keys(stage.holder.secret(key))
    stage.user.write(f"{stage.keys['cv25519']} trust signers@example.org\n")


def _central(stage: Stage) -> None:
    arguments = stage.fixture("central")
    write_service(*arguments)


def _no_gpg(_stage: Stage) -> None:
    write_service("gpg=/nowhere/gpg")


def _slow_gpg(stage: Stage) -> None:
    program = stage.place / "slow-gpg"
    program.write_text(
        '#!/bin/sh\ncase "$*" in --version) exec /usr/bin/gpg "$@";; esac\nsleep 9\n'
    )
    program.chmod(0o755)
    write_service(f"gpg={program}", "gpg_timeout=1")


def _foreign(stage: Stage) -> None:
    program = stage.place / "sequoia-gpg"
    program.write_text("#!/bin/sh\necho 'gpg (GnuPG-compatible Sequoia Chameleon) 2.2.40'\n")
    program.chmod(0o755)
    write_service(f"gpg={program}")


def _copied(stage: Stage) -> None:
    mallory = stage.fixture("mallory")
    made = mallory.make("mallory@example.org")
    stage.user.import_keys(carrying(mallory, made, stage.holder.public(stage.keys["cv25519"])))


def _shared_subkey(stage: Stage) -> None:
    mallory = stage.fixture("mallory")
    made = mallory.make("mallory@example.org")
    stage.user.import_keys(
        carrying(mallory, made, stage.holder.public(stage.keys["cv25519"]), ENCRYPT)
    )


def _large(stage: Stage) -> None:
    made = [stage.holder.make(f"large-{i}@example.org", "rsa2048") for i in range(8)]
    stage.user.import_keys(stage.holder.public(*made))
    stage.user.write(f"{','.join(made)} trust nosign webQrAuthTls\n")


def _large_in_the_prompt(stage: Stage) -> None:
    stage.user.import_keys(stage.holder.public(stage.keys["rsa2048"]))
    stage.user.write(f"{stage.keys['rsa2048']} trust nosign qrTerminal\n")


def _no_pair(stage: Stage) -> None:
    write_dated(stage.user, -9, 90)
    stage.user.write("no key", "page.key")
    stage.user.write(f"{stage.keys['cv25519']} trust nosign webQrAuthTls page.key page.pem\n")


def _dated(name: str, days: int) -> Callable[[Stage], object]:
    def breaks(stage: Stage) -> None:
        write_service("web_host=login.example.org", "web_bind=127.0.0.1")
        write_dated(stage.user, -9, days, name)
        stage.user.write(f"{stage.keys['cv25519']} trust nosign webQrAuthTls page.key page.pem\n")

    breaks.__name__ = name
    return breaks


def _nobody(stage: Stage) -> None:
    stage.user.record.unlink()


def _of_the_account_before(stage: Stage) -> None:
    stage.user.write(f"# trex: uid=1\n{stage.user.record.read_text()}")


def _one_expired(stage: Stage) -> None:
    made = stage.holder.make("spare-gone@example.org", expire="1d", at="20200101T000000")
    stage.user.import_keys(stage.holder.public(made))
    record_line = f"{stage.keys['cv25519']},{made} trust nosign"
    stage.user.write(f"# trex: leave-out-unusable\n{record_line}\n")


def at_home(stage: Stage, fix: str) -> None:
    """Do what the fix says is to be done where the secret key is; what it exports is FILE."""
    told = re.search(r"where the secret key is: (.*?); then, for FILE: (.*)$", fix)
    assert told, fix
    path = stage.place / "handed-in.pgp"
    environment = {"GNUPGHOME": str(stage.holder.home), "PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    for command in (told[1], f"{told[2]} > {path}"):
        line = command.replace("gpg ", "gpg --batch --passphrase '' --pinentry-mode loopback ")
        subprocess.run(["/bin/bash", "-c", line], check=True, env=environment, capture_output=True)
    path.chmod(0o644)


CASES = [
    Case("record-NoRecord", _gone, HERS, HANDED_IN),
    Case("record-NoRecord", _central, HERS, HANDED_IN),
    Case("record-nobody", _nobody, (), {**HANDED_IN, "NAME": "alice"}),
    Case("record-nobody", _central, (), {**HANDED_IN, "NAME": "alice"}),
    Case("record-RecordError", record("{cv25519} truste nosign"), HERS, HANDED_IN),
    Case("record-FileUnsafe", _mode, HERS),
    Case("record-FileUnsafe", _home_mode, HERS),
    Case("record-FileUnsafe", _keyring_mode, HERS),
    Case("gnupg-home", _keyring_seen, HERS),
    Case("gnupg-home", _keyring_of_root, HERS),
    Case("gnupg-home", _central_keyring_of_root, HERS),
    Case("gnupg-home", _secret_key_seen, HERS),
    Case("record-FileUnsafe", _owner, HERS),
    Case("record-FileUnsafe", _a_link, HERS, HANDED_IN),
    Case("record-FileUnsafe", _a_directory, HERS, HANDED_IN),
    Case("record-FileUnsafe", _empty, HERS, HANDED_IN),
    Case("record-KeyNotFound", record("nobody@example.org trust nosign"), HERS, HANDED_IN),
    Case("record-KeyExpired", _expired, HERS, FROM_HOME, before=at_home),
    Case("record-SubkeyExpired", _subkey_expired, HERS, FROM_HOME, before=at_home),
    Case("record-KeyRevoked", _revoked, HERS, HANDED_IN),
    Case("record-SamePerson", record("2of:{cv25519},cv25519@example.org trust nosign"), HERS, OF_TWO),
    Case("record-KeyNotFound", record("2of:{cv25519},nobody@example.org trust nosign"), HERS, OF_TWO),
    Case("record-RecordError", record("2of:{cv25519},nobody trust nosign"), HERS, OF_TWO),
    Case("record-KeyRevoked", _revoked_of_two, HERS, OF_TWO),
    Case("record-KeyNotTrusted", record("{cv25519} notrust nosign"), HERS),
    Case("record-NoEncryptionSubkey", _signing_only, HERS, FROM_HOME, before=at_home),
    Case("record-SigningKeyUnusable", _signer_cannot, HERS, {"KEY": "nosign"}),
    Case("record-SigningKeyLocked", _locked, HERS,
         unrun="gpg asks the old passphrase at a terminal, by a pinentry"),
    Case("record-NotStarted", _no_gpg, HERS, unrun="it would install a package on this machine"),
    Case("record-GpgTimedOut", _slow_gpg, HERS, by_hand="how long gpg may take is a decision"),
    Case("record-OtherAccount", _of_the_account_before, HERS),
    Case("key-left-out", _one_expired, HERS, FROM_HOME, before=at_home),
    Case("record-unbound", unrun="a note: it says what a record made before lacks, and enrols again"),
    Case("record-orphan", unrun="test_remove types it for an account that is gone"),
    Case("record-odd", _two_lines),
    Case("record-odd", record("{cv25519} trust nosign webqrauthtls")),
    Case("record-odd", record("{cv25519} trust nosign qrterminal")),
    Case("record-qr", _large, by_hand="which keys can go is their owner's to say"),
    Case("prompt-qr", _large_in_the_prompt, by_hand="how large windows are is their owners' to say"),
    Case("gpg-foreign", _foreign, unrun="it would remove a package of this machine"),
    Case("key-copied", _copied, HERS),
    Case("key-copied", _shared_subkey, HERS),
    Case("key-ambiguous", _twice_an_address),
    Case("key-ambiguous", _twice_beside_another),
    Case("key-ambiguous", _twice_the_signer_s),
    Case("key-expires", _expires, (), FROM_HOME, before=at_home),
    Case("page", _no_pair, by_hand="there are many causes, and the message names this one"),
    Case("page-expires", _dated("login.example.org", 10),
         by_hand="a certificate is renewed by whoever issues it"),
    Case("page-name", _dated("other.example.org", 90),
         by_hand="web_host= or another certificate: that is a decision"),
    Case("user", lambda _stage: None, ("--user", "nobody-there"), by_hand="the name was wrong: there is no such account"),
    Case("user-silent", by_hand="a file system whose server is gone: test_doctor_strangers has it"),
]  # fmt: skip


@pytest.fixture
def mallory(place: Path) -> Iterator[Holder]:
    holder = Holder(place / "remedies-mallory")
    yield holder
    holder.close()
    subprocess.run(["rm", "-r", holder.home], check=True)


@pytest.mark.parametrize("case", runnable(CASES))
def test_the_command_takes_the_finding_away(case: Case, stage: Stage) -> None:
    see_it_gone(case, stage)


def test_root_is_told_to_touch_no_file_in_a_home_as_root(stage_of_alice: Stage) -> None:
    """Their user may put a link there before the command is typed."""
    for breaks in (_a_link, _two_lines, _mode):
        breaks(stage_of_alice)
        [finding] = examine(*HERS)["findings"]
        assert finding["fix"].startswith("runuser -u alice -- ")
        stage_of_alice.user.record.unlink()
        stage_of_alice.user.write(f"{stage_of_alice.keys['cv25519']} trust nosign\n")


@pytest.fixture
def stage_of_alice(
    host: Account, holder: Holder, keys: Keys, place: Path, request: pytest.FixtureRequest
) -> Stage:
    return Stage(host, holder, keys, place, request.getfixturevalue)
