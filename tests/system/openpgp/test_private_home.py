"""gpg's daemons have a home of each login's own, or are those that its account has already."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.keys import gnupg_version
from trex.openpgp.privatehome import PLACE, TEMPORARY, PrivateHome
from trex.system.filter import Filter
from trex.system.privilege import find_account
from trex.system.supervisor import supervised

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

PASSPHRASE = "correct horse"  # noqa: S105 (a test's)

LIMITED = {
    "root without the right to mount": ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"],
    "alice herself": ["--reuid=alice", "--regid=alice", "--clear-groups"],
}


KEYBOXD = Path("/usr/lib/gnupg/keyboxd")


@pytest.fixture
def signer(alice: Account, holder: Holder, keys: Keys) -> Account:
    """alice, whose messages are signed."""
    alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    return alice


@pytest.fixture
def session(alice: Account) -> Iterator[Path]:
    """Where the sockets of alice's session are, as systemd-logind makes it."""
    runtime = Path(f"/run/user/{alice.uid}")
    runtime.mkdir(parents=True)
    alice.own(runtime, 0o700)
    yield runtime
    shutil.rmtree("/run/user")


def keep_in_keyboxd(alice: Account, *exported: bytes) -> None:
    """Create a new keyring; GnuPG 2.4 keeps it with keyboxd, 2.2 ignores common.conf."""
    shutil.rmtree(alice.gnupg)
    alice.gnupg.mkdir()
    alice.own(alice.gnupg, 0o700)
    alice.write("use-keyboxd\n", ".gnupg/common.conf")
    alice.import_keys(b"".join(exported))


def make_locked_key(alice: Account, keys: Keys) -> str:
    """Make a signing key with a passphrase, for an agent that may be told it."""
    alice.run("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE,
              "--quick-gen-key", "Locked <locked@example.org>", "ed25519", "sign", "never")  # fmt: skip
    alice.end_daemons()
    alice.write(f"{keys['cv25519']} trust locked@example.org\n")
    return "locked@example.org"


def tell_passphrase(alice: Account, key: str) -> None:
    """Start alice's agent, which then knows the passphrase."""
    alice.run("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", PASSPHRASE,
              "--local-user", key, "--output", "/dev/null", "--yes", "--sign", "/dev/null")  # fmt: skip


def temporaries() -> list[Path]:
    return list(Path(TEMPORARY).parent.glob(f"{Path(TEMPORARY).name}*"))


def hanging_gpg(place: Path, seconds: int) -> str:
    """Write a gpg that does nothing where it is to sign; return the module's argument."""
    gpg = place / f"gpg-{seconds}"
    gpg.write_text(
        f'#!/bin/sh\ncase " $* " in *" --sign "*) exec sleep {seconds};; esac\n'
        'exec /usr/bin/gpg "$@"\n'
    )
    gpg.chmod(0o755)
    return f"gpg={gpg}"


@pytest.mark.parametrize("in_session", [False, True])
@pytest.mark.parametrize("kept", ["in a file", "by keyboxd"])
def test_an_agent_that_knows_a_passphrase_is_asked_and_stays(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], log: Log,
    request: pytest.FixtureRequest, in_session: bool, kept: str,
) -> None:  # fmt: skip
    """Wherever it listens, and where gpg needs a keyboxd of the login's own beside it."""
    if in_session:
        request.getfixturevalue("session")
    if kept == "by keyboxd":
        keep_in_keyboxd(alice, holder.public(keys["cv25519"]))
    key = make_locked_key(alice, keys)
    assert log_in("alice").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f"the key {key} needs a passphrase" in log.verdict()
    tell_passphrase(alice, key)
    agent = alice.run("gpg-connect-agent", "--no-autostart", "GETINFO pid", "/bye")
    if gnupg_version() >= (2, 4):
        alice.run("gpgconf", "--kill", "keyboxd")
    try:
        assert log_in("alice").verdict == "PAM_SUCCESS"
        after = alice.run("gpg-connect-agent", "--no-autostart", "GETINFO pid", "/bye")
        assert after == agent
    finally:
        alice.run("gpgconf", "--kill", "all")


def test_a_login_waits_for_no_keyboxd_of_another_s(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    """It holds a lock on its database for as long as it runs, and may be stopped."""
    if not KEYBOXD.exists():  # then gpg reads the keyring itself, and there is nothing to wait for
        assert gnupg_version() < (2, 4)
        alice.write("use-keyboxd\n", ".gnupg/common.conf")
        assert log_in("alice").verdict == "PAM_SUCCESS"
        return
    keep_in_keyboxd(alice, holder.public(keys["cv25519"]), holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    alice.run("gpg", "--list-keys")
    [keyboxd] = [pid for pid, name in sandbox.processes_here().items()
                 if name.startswith("keyboxd") and str(alice.gnupg) in name]  # fmt: skip
    before = sandbox.listing(alice.home)
    os.kill(keyboxd, signal.SIGSTOP)
    try:
        assert log_in("alice").verdict == "PAM_SUCCESS"
        assert sandbox.listing(alice.home) == before
    finally:
        os.kill(keyboxd, signal.SIGKILL)


@pytest.mark.parametrize("in_session", [False, True])
@pytest.mark.parametrize("caller", ["root without the right to mount", "alice herself"])
def test_where_nothing_can_be_mounted_the_home_is_a_directory_that_goes(
    signer: Account, holder: Holder, client: Path, service: Callable[..., str], place: Path,
    request: pytest.FixtureRequest, caller: str, in_session: bool,
) -> None:  # fmt: skip
    """As in many containers, and for a screen locker."""
    session = request.getfixturevalue("session") if in_session else None
    before, home = temporaries(), sandbox.listing(signer.home)
    prompt = place / "unmounted-prompt"
    prompt.write_text("")
    prompt.chmod(0o666)
    done = subprocess.run(
        ["/usr/bin/setpriv", *LIMITED[caller], client, "--prompt-file", prompt, service(),
         "alice"], capture_output=True, check=False, input=b"x\n",
    )  # fmt: skip
    assert b"verdict 7 " in done.stdout, done
    message = "".join(prompt.read_text().partition("-----BEGIN")[1:])
    assert holder.decrypt(message).fingerprint, "it is signed"
    assert temporaries() == before
    assert session is None or list(session.glob("gnupg/*")) == []
    changed = {path for path, what in sandbox.listing(signer.home).items() if home[path] != what}
    # There alone gpg-agent rewrites an imported key at its first use.
    assert changed <= {str(path) for path in signer.gnupg.glob("private-keys-v1.d/*.key")}


@pytest.mark.parametrize("in_session", [False, True])
@pytest.mark.parametrize("caller", list(LIMITED))
def test_without_a_mount_an_agent_that_knows_a_passphrase_is_asked_too(
    alice: Account, keys: Keys, client: Path, service: Callable[..., str],
    request: pytest.FixtureRequest, caller: str, in_session: bool,
) -> None:  # fmt: skip
    session = request.getfixturevalue("session") if in_session else None
    tell_passphrase(alice, make_locked_key(alice, keys))
    before = temporaries()
    try:
        done = subprocess.run(
            ["/usr/bin/setpriv", *LIMITED[caller], client, "--answer", "x", service(),
             "alice"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert b"prompt-us" in done.stdout, done
        alice.run("gpg-connect-agent", "--no-autostart", "GETINFO pid", "/bye")
        assert temporaries() == before
        assert session is None or list(session.glob("gnupg/d.*")) == []
    finally:
        alice.run("gpgconf", "--kill", "all")


def test_a_directory_goes_as_well_when_the_caller_is_killed(
    signer: Account, client: Path, service: Callable[..., str], place: Path
) -> None:
    before = temporaries()
    name = service(hanging_gpg(place, 4343), "gpg_timeout=60")
    caller = subprocess.Popen(
        ["/usr/bin/setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", client, name,
         signer.name], stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: len(temporaries()) > len(before))
    finally:
        caller.kill()
        caller.wait()
    wait_until(lambda: temporaries() == before)


def test_a_directory_that_cannot_be_filled_goes_too(
    signer: Account, client: Path, service: Callable[..., str]
) -> None:
    """The caller of su can set RLIMIT_FSIZE: SIGXFSZ would end the supervisor, and leave a directory."""
    before = temporaries()
    done = subprocess.run(
        ["/usr/bin/setpriv", *LIMITED["root without the right to mount"], "/usr/bin/prlimit",
         "--fsize=0", client, service(), signer.name],
        capture_output=True, check=False,
    )  # fmt: skip
    assert b"verdict 9 " in done.stdout, done
    assert temporaries() == before


def test_what_was_started_ends_by_itself_where_the_caller_is_stopped(
    signer: Account, client: Path, service: Callable[..., str], place: Path
) -> None:
    """The supervisor has a deadline too: the caller of su can stop su."""
    name = service(hanging_gpg(place, 4444), "gpg_timeout=8")
    caller = subprocess.Popen([client, name, signer.name], stdout=subprocess.DEVNULL)

    def below_a_supervisor() -> list[int]:
        return [pid for pid, name in sandbox.processes_here().items()
                if "sleep 4444" in name and parent(pid) != caller.pid]  # fmt: skip

    try:
        wait_until(lambda: bool(below_a_supervisor()))
        caller.send_signal(signal.SIGSTOP)
        wait_until(lambda: not below_a_supervisor())
        assert caller.poll() is None
    finally:
        caller.kill()
        caller.wait()


def test_the_home_is_seen_by_nobody_else(
    signer: Account, client: Path, service: Callable[..., str], place: Path
) -> None:
    """Where the host's mounts are shared as well, which is what systemd makes of them."""
    name = service(hanging_gpg(place, 4545), "gpg_timeout=60")
    caller = subprocess.Popen(
        ["/usr/bin/unshare", "--mount", "--propagation", "shared", client, name, signer.name],
        stdout=subprocess.DEVNULL,
    )

    def homes() -> list[Path]:
        """Return where a gpg runs: its root may be another than this process sees it."""
        return [Path(f"/proc/{pid}/cwd") for pid, name in sandbox.processes_here().items()
                if "sleep 4545" in name and os.readlink(f"/proc/{pid}/cwd").endswith(PLACE)]  # fmt: skip

    try:
        wait_until(lambda: bool(homes()))
        [home] = homes()
        mounts = home.with_name("mounts").read_text().splitlines()
        [flags] = [line.split()[3].split(",") for line in mounts if line.split()[1] == PLACE]
        assert {"nosuid", "nodev", "noexec"} <= set(flags)
        assert {"pubring.gpg", "private-keys-v1.d"} <= set(os.listdir(home))
        assert (home.stat().st_uid, home.stat().st_mode & 0o7777) == (signer.uid, 0o700)
        assert os.listdir(PLACE) == []
        assert (Path(PLACE).stat().st_uid, Path(PLACE).stat().st_mode & 0o7777) == (0, 0o700)
        for pid in ("self", caller.pid):
            assert PLACE not in Path(f"/proc/{pid}/mounts").read_text()
    finally:
        caller.kill()
        caller.wait()


def test_what_is_no_secret_key_keeps_nobody_out(
    signer: Account, log_in: Callable[..., Asked]
) -> None:
    """Whatever its name is."""
    keys = signer.gnupg / "private-keys-v1.d"
    (keys / "directory.key").mkdir()
    os.mkfifo(keys / "fifo.key")
    (keys / "notes").write_text("no key")
    assert log_in("alice").verdict == "PAM_SUCCESS"


def test_a_keyring_that_is_handed_over_is_all_that_gpg_finds(
    signer: Account, holder: Holder, keys: Keys
) -> None:
    account, until = find_account("alice"), time.monotonic() + 60
    private = PrivateHome(str(signer.gnupg), account, keyring=holder.public(keys["rsa2048"]))
    child = Filter()
    child.start_filter(
        ["/usr/bin/gpg", "--homedir", ".", "--batch", "--with-colons", "--trust-model", "always",
         "--list-keys"], account, supervised(private, until), separate=private.separate,
    )  # fmt: skip
    child.feed(b"", b"")
    rows = [row.split(":") for row in child.finish(until).output.decode().splitlines()]
    assert [row[0] for row in rows].count("pub") == 1
    assert next(row[9] for row in rows if row[0] == "fpr") == keys["rsa2048"]


def parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
