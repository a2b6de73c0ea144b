"""Somebody leaves, is renamed, comes back from a backup or moves: as the page says, typed line by line."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.installation import install
from tests.support.page_text import blocks, typed
from tests.support.sandbox import PAM_SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

USERS = Path("/etc/trex/users")
UNUSED = 61001  # a uid that no test elsewhere on this machine uses: userdel looks at all processes
CODES, PHONES = Path("/var/lib/trex/totp"), Path("/etc/trex/phones")
SHEETS, ACTIVATION = Path("/var/lib/trex/recovery"), Path("/var/lib/trex/activation")


SET_UP, ENROL, LINE, *_ = blocks("README.md", "### Central mode")
ARGUMENTS = tuple(LINE.split()[3:])
LEAVE, HOOK, LEAVE_CODES = blocks("docs/operations.md", "## Somebody leaves")
RENAME, LOOK, RENAME_CODES, NEW_UID = blocks("docs/operations.md", "## Rename an account")
SAVE, RESTORE = blocks("docs/operations.md", "## Restore a backup")
(MOVE,) = blocks("docs/operations.md", "## Move to another host")


@pytest.fixture
def desk(var_lib: Path, place: Path) -> Iterator[Path]:
    """A directory of root's, on a host with Trex in central mode for sudo."""
    directory = place / "desk"
    directory.mkdir()
    done = install()
    assert done.returncode == 0, done.stderr
    typed(SET_UP, directory)
    CODES.mkdir(mode=0o700)
    service = PAM_SERVICES / "sudo"
    kept = service.read_bytes()
    service.write_text(f"{LINE}account required pam_permit.so\n")
    yield directory
    service.write_bytes(kept)
    shutil.rmtree(directory)
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


@pytest.fixture
def enrol(desk: Path, holder: Holder) -> Callable[[str, str], None]:
    def write(user: str, key: str) -> None:
        (desk / f"{user}-login.asc").write_bytes(holder.public(key))
        typed(ENROL.replace("alice", user).replace("enroll ", "enroll --yes "), desk)

    return write


@pytest.fixture
def enrolled(
    account: Callable[[str], Account], enrol: Callable[[str, str], None], keys: Keys
) -> Account:
    """The page's alice, with a key in a file, recovery codes, codes and a number."""
    made = account("alice")
    enrol("alice", keys["cv25519"])
    typed("trex recovery make --central --user alice --yes", Path("/"))
    (CODES / "alice").write_text("secret\n")
    PHONES.write_text("alice +33612345678\nalice2 +33612345679\n")
    return made


def lets_in(log_in: Callable[..., Asked], user: str) -> bool:
    return log_in(user, arguments=ARGUMENTS).verdict == "PAM_SUCCESS"


def doctor(desk: Path) -> str:
    """Return what it says; of this machine's own clock it may say something, too."""
    return typed("trex doctor --service sudo", desk, 1, 2)


def uid_of(name: str) -> int:
    return int(subprocess.run(["id", "-u", name], capture_output=True, check=True).stdout)


def test_somebody_leaves(
    enrolled: Account, desk: Path, log_in: Callable[..., Asked], keys: Keys
) -> None:
    assert lets_in(log_in, "alice")
    enrolled.give_name_to(UNUSED)  # tests elsewhere run processes of the other uid
    session = subprocess.Popen(["sleep", "600"], user=UNUSED, start_new_session=True)
    try:
        said = typed(LEAVE, desk, 12)  # a home of another uid is left
        assert session.wait(timeout=60) != 0
        assert list(SHEETS.iterdir()) == []
        assert "Also goes: /etc/trex/keys/alice.pgp" in said
        assert sorted(path.name for path in USERS.iterdir()) == ["alice~"]
        assert sorted(path.name for path in Path("/etc/trex/keys").iterdir()) == ["alice.pgp~"]
        typed(LEAVE_CODES, desk)
        assert list(CODES.iterdir()) == []
        assert PHONES.read_text() == "alice2 +33612345679\n"
    finally:
        session.kill()
        enrolled.give_name_to(enrolled.uid)
    assert not lets_in(log_in, "alice"), "with the same uid, too"


@pytest.mark.parametrize("program", ["userdel", "deluser"])
def test_userdel_takes_the_record_along(
    enrolled: Account, desk: Path, account: Callable[[str], Account], program: str
) -> None:
    typed(HOOK, desk)
    other = account("bob")
    enrolled.give_name_to(UNUSED)
    other.give_name_to(UNUSED + 1)
    try:
        typed(f"{program} alice", desk)
        assert sorted(path.name for path in USERS.iterdir()) == ["alice~"]
        assert list(SHEETS.iterdir()) == []
        assert typed(f"{program} bob", desk).count("nothing to remove") == 2
    finally:
        shutil.rmtree("/etc/shadow-maint")
        Path("/run/adduser").unlink(missing_ok=True)  # deluser's lock
        for one in (enrolled, other):
            one.give_name_to(one.uid)


def test_what_was_forgotten_is_named_and_not_inherited(
    enrolled: Account, desk: Path, log_in: Callable[..., Asked], enrol: Callable[[str, str], None],
    account: Callable[[str], Account], keys: Keys,
) -> None:  # fmt: skip
    account("bob")
    enrol("bob", keys["nistp256"])
    enrolled.leave()
    try:
        said = doctor(desk)
        assert "/etc/trex/users/alice: a record, and there is no account alice" in said
        command = re.search("trex remove --central --user alice --yes", said)
        assert command
    finally:
        later = enrolled.give_name_to(enrolled.uid + 7)
    assert not lets_in(log_in, "alice")
    assert f"expected uid={later}, which is alice's, found uid={enrolled.uid}" in doctor(desk)
    typed(command[0], desk)
    assert "alice" not in doctor(desk)


def test_an_account_is_renamed(
    enrolled: Account, desk: Path, log_in: Callable[..., Asked], log: Log
) -> None:
    passwd = Path("/etc/passwd").read_text()
    login, move = RENAME.splitlines()
    assert login == "usermod --login alicia alice"
    try:
        rename_in_database("alice", "alicia")
        assert not lets_in(log_in, "alicia")
        typed(move, desk)
        assert lets_in(log_in, "alicia")
        assert "alicia: /etc/trex/users/alicia" in typed(LOOK, desk)
        typed(RENAME_CODES, desk)
        for place in (CODES, SHEETS):
            assert [path.name for path in place.iterdir()] == ["alicia"]
        assert PHONES.read_text() == "alicia +33612345678\nalice2 +33612345679\n"
        Path("/etc/passwd").write_text(
            re.sub(rf"^alicia:x:{enrolled.uid}:", f"alicia:x:{enrolled.uid + 7}:",
                   Path("/etc/passwd").read_text(), flags=re.MULTILINE))  # fmt: skip
        assert not lets_in(log_in, "alicia")
        typed(NEW_UID, desk)
        assert lets_in(log_in, "alicia")
    finally:
        Path("/etc/passwd").write_text(passwd)
        rename_in_database("alicia", "alice")


def rename_in_database(old: str, new: str) -> None:
    """Do what usermod --login does, which refuses while tests elsewhere use the same uid."""
    for path in (Path("/etc/passwd"), Path("/etc/shadow")):
        path.write_text(re.sub(rf"^{old}:", f"{new}:", path.read_text(), flags=re.MULTILINE))


def test_a_backup_is_restored(
    enrolled: Account, desk: Path, log_in: Callable[..., Asked], keys: Keys
) -> None:
    before = kept()
    ACTIVATION.mkdir(mode=0o700)
    (ACTIVATION / "active.sshd").write_text("about the files of this host as they are now")
    typed(SAVE, desk)
    assert before
    shutil.rmtree("/etc/trex")
    shutil.rmtree("/var/lib/trex")
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)
    uid = uid_of("nobody") - 1000  # the account gets another uid on the host that is set up anew
    typed(SET_UP.replace("useradd", f"useradd --uid {uid}"), desk)
    assert not re.search("/etc/trex|/var/lib/trex|alice", typed(RESTORE, desk, 1))
    assert kept() == before
    assert lets_in(log_in, "alice")


def kept() -> dict[str, tuple[str, str, int, bytes]]:
    """Return what is in the directories of central mode, but locks that gpg leaves."""
    found = {}
    for root in (Path("/etc/trex"), Path("/var/lib/trex")):
        for path in sorted(root.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = path.owner(), path.group(), status.st_mode, content
    return found


def test_records_move_to_a_host_with_other_uids(
    enrolled: Account, desk: Path, log_in: Callable[..., Asked], enrol: Callable[[str, str], None],
    account: Callable[[str], Account], keys: Keys,
) -> None:  # fmt: skip
    bob, carol = account("bob"), account("carol")
    enrol("bob", keys["nistp256"])
    enrol("carol", keys["rsa2048"])
    for one in (enrolled, bob):
        one.give_name_to(one.uid + 70)
    carol.leave()
    try:
        assert not lets_in(log_in, "alice")
        said = typed(f"set +e\n{MOVE}", desk, 1)
        assert "there is no such account" in said
        assert lets_in(log_in, "alice")
        assert lets_in(log_in, "bob")
        assert "no account carol" in doctor(desk)
    finally:
        carol.give_name_to(carol.uid)
