"""docs/operations.md on keys: each of its lines is typed from the page, over real ssh and as root."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.client import BIN, PASSPHRASE
from tests.support.command import finish
from tests.support.mounts import mounted, overlaid
from tests.support.owner import wait_until_ended
from trex.openpgp.keylist import DAY, Key, parse_listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.client import Client
    from tests.support.sandbox import Account, Asked
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

HOST, SHOWN = "server.example.org", "AE5C97684A4FFB40907D0A1787DE803A22DA5C30"
CENTRAL = ("auth_file=/etc/trex/users/%u", "gnupg_home=/var/lib/trex/gnupg", "run_as=_trex")
IN, REFUSED = "PAM_SUCCESS", "PAM_AUTHINFO_UNAVAIL"


def blocks(page: str, heading: str) -> list[list[str]]:
    """Return the blocks of a page's section, each as its lines."""
    content = (sandbox.PROJECT / page).read_text(encoding="utf-8")
    section = re.split(r"(?m)^##+ ", content.partition(f"# {heading}\n")[2], maxsplit=1)[0]
    found = re.findall(r"(?m)(?:^    .*\n)+", section)
    return [[line.strip() for line in block.splitlines()] for block in found]


@pytest.fixture
def server(alice: Account, laptop: Client, sshd: Callable[..., Sshd]) -> Iterator[Account]:
    """Alice on a server with the command, where an SSH key lets her in today."""
    laptop.knows(sshd(methods="publickey"), name=HOST)
    laptop.run("trex", "name", "--yes", HOST, os.uname().nodename)
    with overlaid(Path("/usr/local")):
        for program in BIN.iterdir():
            shutil.copy(program, "/usr/local/bin")
        yield alice


@pytest.fixture
def root_s(server: Account) -> Iterator[Path]:
    """The README's central mode, and a directory of root's to work in."""
    Path("/etc/trex").mkdir(exist_ok=True)
    with (
        mounted(Path("/var/lib"), "-t", "tmpfs", "-o", "mode=755", "trex-var-lib"),
        mounted(Path("/etc/trex"), "-t", "tmpfs", "-o", "mode=755", "trex-etc"),
        mounted(Path("/root"), "-t", "tmpfs", "-o", "mode=700", "trex-root"),
    ):
        for line in blocks("README.md", "Central mode")[0]:
            subprocess.run(["sh", "-c", line], check=True)
        yield Path("/root")
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


def as_root(line: str, where: Path) -> str:
    """Type a line as root at a terminal, and a yes to each question; return what was shown."""
    told = {"PATH": f"{BIN}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}
    terminal = pexpect.spawn("sh", ["-c", line.removeprefix("sudo ")], cwd=str(where), env=told,
                             encoding="utf-8", timeout=120, echo=False, dimensions=(60, 400))  # fmt: skip
    shown = ""
    while terminal.expect_exact(["[y/N] ", pexpect.EOF]) == 0:
        shown += str(terminal.before)
        terminal.sendline("y")
    shown += str(terminal.before)
    assert finish(terminal) == 0, shown
    return shown


def key_of(account: Account, fingerprint: str) -> Key:
    listing = account.run("gpg", "--with-colons", "--list-keys", fingerprint).decode()
    return parse_listing(listing)[0]


def shorten(laptop: Client, fingerprint: str, when: str) -> bytes:
    """Give the key and its subkey an end; return it as it is exported then."""
    for subkeys in (["*"], []):  # while the key has not ended: then gpg passes over them
        laptop.account.run("gpg", "--batch", "--quick-set-expire", fingerprint, when, *subkeys)
    if when == "seconds=1":
        wait_until_ended(lambda: key_of(laptop.account, fingerprint))
    return laptop.account.run("gpg", "--export", fingerprint)


RENEW, LATE, OWN = blocks("docs/operations.md", "Renew a key")
NEW, ADD, OLD, ADD_AND_OLD = blocks("docs/operations.md", "A new laptop")
MINE, ROOT_S, WITHOUT, SESSIONS = blocks("docs/operations.md", "A stolen key")


def test_a_user_enrols_as_the_readme_says(
    server: Account, laptop: Client, log_in: Callable[..., Asked]
) -> None:
    server.record.unlink()
    laptop.use_pinentry(laptop.write_pinentry(f"echo D {PASSPHRASE} 1; echo OK"))
    at_home, (enroll,), (record,) = blocks("README.md", "Enrol a user")
    for line in at_home:
        terminal = laptop.type("sh", "-c", line)
        assert finish(terminal) == 0, terminal.before
    made = laptop.fingerprint("alice login at example.org")
    there = laptop.type("ssh", "-t", HOST, f"PATH=/usr/local/bin:$PATH; {enroll}")
    there.expect("right fingerprint")
    assert made in there.before
    there.sendline("y")
    there.expect("Response: ")
    message = there.before.replace("\r\n", "\n").encode()
    there.sendline(
        laptop.account.run("gpg", "--quiet", "--decrypt", stdin=message).decode().strip()
    )
    assert finish(there) == 0, there.before
    assert server.record.read_text().splitlines()[-1] == record.replace(SHOWN, made)
    assert "PAM_" in log_in("alice").verdict


def test_a_key_is_extended_and_brought(server: Account, laptop: Client, keys: Keys) -> None:
    server.import_keys(shorten(laptop, keys["cv25519"], "10d"))
    [line] = RENEW
    done = laptop.run("sh", "-c", line)
    assert done.returncode == 0, done.stderr
    assert key_of(server, keys["cv25519"]).lasts_until > time.time() + 720 * DAY


def test_after_the_day_the_administrator_takes_the_file(
    server: Account, laptop: Client, keys: Keys, root_s: Path, log_in: Callable[..., Asked]
) -> None:
    fingerprint = keys["cv25519"]
    (root_s / "before.asc").write_bytes(laptop.account.run("gpg", "--export", fingerprint))
    as_root("trex enroll --central --user alice --yes --key - < before.asc", root_s)
    ended = shorten(laptop, fingerprint, "seconds=1")
    server.import_keys(ended)
    subprocess.run(
        ["setpriv", "--reuid=_trex", "--regid=_trex", "--clear-groups", "gpg", "--batch", "--quiet",
         "--no-autostart", "--homedir", "/var/lib/trex/gnupg", "--import"], input=ended, check=True,
    )  # fmt: skip
    done = laptop.run("trex", "renew", "--output", "alice.asc")
    assert done.returncode == 0, done.stderr
    shutil.copy(laptop.home / "alice.asc", root_s)
    for line, arguments in zip(LATE, ((), CENTRAL), strict=True):
        assert log_in("alice", arguments=arguments).verdict == REFUSED
        assert fingerprint in as_root(line, root_s)
        assert log_in("alice", arguments=arguments).verdict == IN


def test_alice_is_told_what_reaches_the_administrator(
    server: Account, laptop: Client, keys: Keys, root_s: Path, log_in: Callable[..., Asked]
) -> None:
    server.write(laptop.account.run("gpg", "--export", keys["cv25519"]), "alice.asc")
    [line] = OWN
    told = server.run("sh", "-c", f"PATH=/usr/local/bin:$PATH; {line}").decode().strip()
    assert told.endswith("--key /home/alice/trex-alice.pgp")
    as_root(f"{told} --yes", root_s)
    assert log_in("alice", arguments=CENTRAL).verdict == IN


def test_a_new_laptop_takes_the_place_of_the_old_one(
    server: Account, laptop: Client, keys: Keys, root_s: Path
) -> None:
    """Both are one account here: what matters is which key answers."""
    old = keys["cv25519"]
    laptop.use_pinentry(laptop.write_pinentry(f"echo D {PASSPHRASE} 1; echo OK"))
    for line in [*NEW, *ADD]:
        done = laptop.run("sh", "-c", line)
        assert done.returncode == 0, done.stderr
    sheet = (laptop.home / "print-this.txt").read_text()
    found = re.search(r"Fingerprint +(\w+)", sheet)
    assert found
    assert server.record.read_text().splitlines()[-1] == f"{old},{found[1]} trust nosign"
    [line] = OLD
    done = laptop.run("sh", "-c", line.replace(SHOWN, old))
    assert done.returncode == 0, done.stderr
    assert server.record.read_text().splitlines()[-1] == f"{found[1]} trust nosign"
    (root_s / "old.asc").write_bytes(laptop.account.run("gpg", "--export", old))
    shutil.copy(laptop.home / "new.asc", root_s)
    as_root("trex enroll --central --user alice --yes --key - < old.asc", root_s)
    for line in ADD_AND_OLD:
        as_root(line.replace(SHOWN, old), root_s)
    record = Path("/etc/trex/users/alice").read_text()
    assert record.splitlines()[-1] == f"{found[1]} trust nosign"


def certificate(laptop: Client, fingerprint: str) -> bytes:
    """Make a revocation, as the owner does who has none."""
    command = ["gpg", "--no-tty", "--command-fd", "0", "--gen-revoke", fingerprint]
    return laptop.account.run(*command, stdin=b"y\n1\n\ny\n")


def test_alice_revokes_her_stolen_key_herself(
    server: Account, laptop: Client, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    laptop.account.write(certificate(laptop, keys["cv25519"]), "alice.rev")
    assert log_in("alice").verdict == IN
    [line] = MINE
    done = laptop.run("sh", "-c", line)
    assert done.returncode == 0, done.stderr
    assert log_in("alice").verdict == REFUSED


def test_the_administrator_revokes_it_everywhere_and_without_a_certificate(
    server: Account, laptop: Client, keys: Keys, root_s: Path, log_in: Callable[..., Asked]
) -> None:
    fingerprint = keys["cv25519"]
    (root_s / "alice.rev").write_bytes(certificate(laptop, fingerprint))
    (root_s / "alice.asc").write_bytes(laptop.account.run("gpg", "--export", fingerprint))
    as_root("trex enroll --central --user alice --yes --key - < alice.asc", root_s)
    for line, arguments in zip(ROOT_S, ((), CENTRAL), strict=True):
        assert log_in("alice", arguments=arguments).verdict == IN
        assert f"Revoked: {fingerprint}" in as_root(line, root_s)
        assert log_in("alice", arguments=arguments).verdict == REFUSED
    server.run("gpg", "--batch", "--yes", "--delete-keys", fingerprint)
    server.import_keys((root_s / "alice.asc").read_bytes())
    assert log_in("alice").verdict == IN
    [line] = WITHOUT
    assert f"Taken out: {fingerprint}" in as_root(line.replace(SHOWN, fingerprint), root_s)
    assert log_in("alice").verdict == REFUSED


def test_the_thief_s_sessions_are_ended(server: Account, root_s: Path) -> None:
    """Where no process is but these: an account of the host may have the same uid."""
    [line] = SESSIONS
    session = f"setpriv --reuid {server.uid} --regid {server.gid} --clear-groups sleep 600 &"
    there = f"until pgrep -u {server.uid} sleep; do [ $((n+=1)) -lt 2000 ] || exit 9; done"
    script = f"{session} {there}; PATH={BIN}:$PATH; {line.removeprefix('sudo ')} --yes"
    done = subprocess.run(
        ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script],
        capture_output=True, text=True, check=False, timeout=180, cwd=root_s,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Ended: 1 process (sleep) of alice" in done.stdout
