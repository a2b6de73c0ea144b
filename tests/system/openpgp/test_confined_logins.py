"""Logins whose gpg is confined: what is denied it refuses the login, and the log says so."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.system.openpgp.test_private_home import keep_in_keyboxd
from trex.openpgp import keyring
from trex.openpgp.gpg import Gpg
from trex.openpgp.record import parse_record
from trex.system import landlock, seccomp
from trex.system.privilege import find_account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

# getpid(2), as a 32-bit program calls it.
OF_ANOTHER_MACHINE = """\
int main(void)
{
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
    return result < 0;
}
"""


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the other calls are those of i386")
@pytest.mark.skipif(not seccomp.is_available(), reason="this kernel has no filters")
def test_a_call_that_is_denied_refuses_the_login(
    alice: Account, ask: Callable[..., Asked], log: Log, place: Path
) -> None:
    source, program = place / "of-another.c", place / "of-another-machine"
    source.write_text(OF_ANOTHER_MACHINE)
    subprocess.run(["gcc", "-o", program, source], check=True)
    asked = ask("alice", arguments=(f"gpg={program}", "nullok"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    assert "gpg made a system call that is denied to it, and was ended" in log.verdict()


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
def test_a_keyring_behind_a_link_lets_its_owner_in(
    alice: Account, log_in: Callable[..., Asked]
) -> None:
    """Landlock knows files and not paths: what a link leads to is named too."""
    away = alice.home / "away"
    away.mkdir()
    (alice.gnupg / "pubring.kbx").rename(away / "pubring.kbx")
    (alice.gnupg / "pubring.kbx").symlink_to(away / "pubring.kbx")
    alice.own(away, 0o700)
    assert log_in("alice").verdict == "PAM_SUCCESS"


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
def test_a_keyring_of_links_lets_its_owner_in_where_gpg_may_have_keyboxd(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    """So have it those who keep their settings in a repository. GnuPG 2.2 has no keyboxd."""
    keep_in_keyboxd(alice, holder.public(keys["cv25519"]))
    alice.end_daemons()
    away = alice.home / "away"
    away.mkdir()
    alice.own(away, 0o700)
    for name in ("common.conf", "pubring.kbx", "public-keys.d/pubring.db", "public-keys.d"):
        path = alice.gnupg / name
        if path.exists():
            path.rename(away / path.name)
            path.symlink_to(away / path.name)
            assert log_in("alice").verdict == "PAM_SUCCESS", name


def wait_until_it_reads_instructions() -> None:
    """Wait until the gpg that will encrypt is gpg, and its files are those that were there then."""
    deadline = time.monotonic() + 60
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while not any(
        b"--encrypt" in Path(f"/proc/{pid}/cmdline").read_bytes()
        and os.readlink(f"/proc/{pid}/exe") == "/usr/bin/gpg"
        for pid in children.read_text().split()
    ):
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("confined", [True, False])
def test_a_keyring_that_is_replaced_meanwhile_is_read_again(
    alice: Account, holder: Holder, keys: Keys, monkeypatch: pytest.MonkeyPatch, confined: bool
) -> None:
    """gpg replaces it for each key that it imports, and Landlock knows only the file before."""
    confiner = sandbox.MODULE / "trex-confine" if confined else Path("/nonexistent")
    monkeypatch.setattr(keyring, "CONFINER", str(confiner))
    record = parse_record(alice.record.read_bytes(), str(alice.record), str(alice.home))
    with Gpg("/usr/bin/gpg", find_account("alice"), str(alice.gnupg), 60) as gpg:
        gpg.look_up(record)
        wait_until_it_reads_instructions()
        ring = alice.gnupg / "pubring.kbx"
        new = alice.write(ring.read_bytes(), ".gnupg/pubring.kbx.tmp")
        new.rename(ring)
        gpg.encrypt(b"ABCDEFGHIJ", "trex")
        assert str(holder.decrypt(gpg.message().armored)) == "ABCDEFGHIJ"


@pytest.fixture
def elsewhere(place: Path) -> Iterator[Path]:
    """A program with a library of its own, as /opt has it; it writes what GnuPG does not."""
    prefix = place / "opt/other-2.0"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "lib").mkdir()
    library, program = prefix / "library.c", prefix / "program.c"
    library.write_text("int found(void) { return 0; }\n")
    program.write_text("int found(void);\nint main(void) { return found(); }\n")
    made = prefix / "lib/libfound.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", made, library], check=True)
    subprocess.run(["gcc", "-o", prefix / "bin/program", program, made], check=True)
    yield prefix / "bin/program"
    shutil.rmtree(place / "opt")


@pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
@pytest.mark.parametrize("link", ["/run/trex-alternative", "/usr/local/bin/trex-alternative"])
def test_a_gpg_behind_a_link_has_its_libraries(elsewhere: Path, link: str) -> None:
    """GnuPG of one's own is often in /opt, and a link in /usr/local/bin."""
    Path(link).symlink_to(elsewhere)
    try:
        confined = [str(sandbox.MODULE / "trex-confine"), "alone", "/nonexistent", link]
        done = subprocess.run(confined, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
    finally:
        Path(link).unlink()
