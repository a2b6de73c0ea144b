"""The host keys that a challenge names: of files that root alone can have written, and no others."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest

from trex.openpgp.hostkeys import MAX_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

pytestmark = pytest.mark.usefixtures("door")
SSH = Path("/etc/ssh")  # the sandbox's own
TYPES = ("ed25519", "ecdsa", "rsa")


@pytest.fixture(scope="session")
def made(place: Path) -> Path:
    """Make a key of each type, once."""
    directory = place / "host-keys"
    directory.mkdir()
    for kind in TYPES:
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "root@x", "-f",
                        directory / f"ssh_host_x_{kind}_key"], check=True)  # fmt: skip
    return directory


@pytest.fixture
def keys_of_sshd(made: Path) -> Iterator[dict[str, Path]]:
    """Put public keys where sshd has its own; return their paths by type."""
    for path in made.iterdir():
        shutil.copy(path, SSH)
    yield {kind: SSH / f"ssh_host_x_{kind}_key.pub" for kind in TYPES}
    for path in SSH.glob("ssh_host_x_*"):
        path.unlink() if path.is_symlink() or not path.is_dir() else path.rmdir()


@pytest.fixture
def named(alice: Account, holder: Holder, ask: Callable[..., Asked]) -> Callable[..., list[str]]:
    """Return the host keys that a challenge names with these arguments of the module."""

    def begin(*arguments: str) -> list[str]:
        asked = ask("alice", arguments=arguments)
        told = context(holder, asked)
        return told.partition(" hostkeys=")[2].split(",") if " hostkeys=" in told else []

    return begin


def context(holder: Holder, asked: Asked) -> str:
    opened = holder.decrypt(asked.prompt)
    told = re.search(r"\[GNUPG:\] PLAINTEXT 62 \d+ (\S+)", opened.stderr)
    assert told, asked.prompt
    return unquote(told[1])


def printed(*paths: Path) -> list[str]:
    """Return what `ssh-keygen -l` prints of these keys, as a challenge names it."""
    lists = [subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True,
                            check=True).stdout for path in paths]  # fmt: skip
    return [line.split()[1].removeprefix("SHA256:")[:16].replace("/", "_") for line in lists]


def test_the_keys_of_sshd_are_named_without_an_argument(
    keys_of_sshd: dict[str, Path], named: Callable[..., list[str]], log: Log
) -> None:
    assert sorted(named()) == sorted(printed(*keys_of_sshd.values()))
    assert named("host_keys=none") == []
    assert "host key" not in "".join(log.trex())


def test_without_any_key_nothing_is_named_and_nobody_kept_out(
    log_in: Callable[..., Asked], named: Callable[..., list[str]], log: Log, alice: Account
) -> None:
    """Such a host has no sshd: login, su and sudo ask all the same."""
    assert named() == []
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert "host key" not in "".join(log.trex())


def test_the_files_that_an_argument_names_are_the_only_ones(
    keys_of_sshd: dict[str, Path], named: Callable[..., list[str]], tmp_path: Path
) -> None:
    chosen = [keys_of_sshd["rsa"], keys_of_sshd["ed25519"]]
    assert named(f"host_keys={chosen[0]},{chosen[1]}") == printed(*chosen)
    assert named(f"host_keys={chosen[0]},{chosen[0]}") == printed(chosen[0])


def spoil_mode(path: Path) -> None:
    path.chmod(0o666)


def spoil_group(path: Path) -> None:
    os.chown(path, 0, 1)
    path.chmod(0o664)


def spoil_owner(path: Path) -> None:
    os.chown(path, 1, 0)


def spoil_link(path: Path) -> None:
    path.rename(path.with_suffix(".moved"))
    path.symlink_to(path.with_suffix(".moved"))


def spoil_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def spoil_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def spoil_text(path: Path) -> None:
    path.write_text("ssh-ed25519 !!!!\n")


def spoil_type(path: Path) -> None:
    path.write_text(path.read_text().replace("ecdsa-sha2-nistp256 ", "ssh-ed25519 ", 1))


def spoil_empty(path: Path) -> None:
    path.write_text("")


def spoil_binary(path: Path) -> None:
    path.write_bytes(os.urandom(300))


def spoil_size(path: Path) -> None:
    path.write_text(path.read_text() * 1000)


def spoil_secret(path: Path) -> None:
    path.write_text(path.with_suffix("").read_text())


SPOILERS = {name.removeprefix("spoil_"): spoil for name, spoil in list(globals().items())
            if name.startswith("spoil_")}  # fmt: skip


@pytest.mark.parametrize("spoil", SPOILERS.values(), ids=SPOILERS)
def test_a_file_that_does_not_count_is_left_out_and_logged_or_refuses_where_it_is_named(
    keys_of_sshd: dict[str, Path], named: Callable[..., list[str]], log: Log,
    log_in: Callable[..., Asked], spoil: Callable[[Path], None],
) -> None:  # fmt: skip
    path = keys_of_sshd["ecdsa"]
    spoil(path)
    rest = sorted(printed(keys_of_sshd["ed25519"], keys_of_sshd["rsa"]))
    assert sorted(named()) == rest
    assert len(log.trex(f"not named as a host key in challenges: {path}: expected ")) == 1
    log.clear()
    asked = log_in("alice", arguments=("nullok", f"host_keys={path}"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "could not check: user=alice" in log.verdict()
    assert f"host_keys={path}: {path}: expected " in log.verdict()


def test_a_file_that_is_named_and_not_there_refuses_also_with_nullok(
    log_in: Callable[..., Asked], alice: Account, log: Log
) -> None:
    """That a host key is missing is not that a record is: nobody is let past."""
    asked = log_in("alice", arguments=("nullok", "host_keys=/etc/ssh/no.pub"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "host_keys=/etc/ssh/no.pub: /etc/ssh/no.pub: no such file" in log.verdict()


def test_a_certificate_is_no_key(
    keys_of_sshd: dict[str, Path], named: Callable[..., list[str]], log: Log
) -> None:
    key = keys_of_sshd["ed25519"]
    subprocess.run(
        ["ssh-keygen", "-q", "-s", key.with_suffix(""), "-h", "-I", "x", key], check=True
    )
    certificate = SSH / "ssh_host_x_cert_key.pub"
    (SSH / f"{key.stem}-cert.pub").rename(certificate)
    assert len(named()) == len(TYPES)
    assert log.trex(f"{certificate}: expected an SSH public key, found something else")


def test_a_directory_that_others_can_write_makes_its_files_not_count(
    keys_of_sshd: dict[str, Path], named: Callable[..., list[str]], log: Log
) -> None:
    try:
        SSH.chmod(0o777)
        assert named() == []
    finally:
        SSH.chmod(0o755)
    assert len(log.trex("/etc/ssh: expected writable by its owner only, found mode 0777")) == 3


@pytest.mark.parametrize("more", [0, 1])
def test_as_many_keys_are_named_as_fit_beside_long_names(
    keys_of_sshd: dict[str, Path], account: Callable[[str], Account], holder: Holder, keys: Keys,
    ask: Callable[..., Asked], log: Log, more: int,
) -> None:  # fmt: skip
    """One more, and none is: challenges never name only some, and the log says so."""
    for number in range(MAX_KEYS - len(TYPES) + more):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
                        SSH / f"ssh_host_x_{number}_key"], check=True)  # fmt: skip
    longest = account("a" * 32)
    longest.import_keys(holder.public(keys["cv25519"]))
    longest.write(f"{keys['cv25519']} trust nosign\n")
    told = context(holder, ask(longest.name, "--rhost", "2001:db8::" + "1" * 60))
    assert len(told) <= 255
    assert told.count(",") == (0 if more else MAX_KEYS - 1)
    assert bool(log.trex("challenges name no host keys: expected 8 at most, found 9")) is bool(more)


def test_a_signed_challenge_has_them_in_its_notation(
    alice: Account, holder: Holder, keys: Keys, keys_of_sshd: dict[str, Path],
    ask: Callable[..., Asked],
) -> None:  # fmt: skip
    alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust {keys['signing']}\n")
    opened = holder.decrypt(ask("alice").prompt)
    data = "".join(re.findall(r"NOTATION_DATA (\S+)", opened.stderr))
    named = unquote(data).partition(" hostkeys=")[2].split(",")
    assert sorted(named) == sorted(printed(*keys_of_sshd.values()))


@pytest.mark.usefixtures("alice")
def test_a_long_host_name_is_whole_beside_them(
    keys_of_sshd: dict[str, Path], client: Path, holder: Holder, service: Callable[..., str],
    tmp_path: Path,
) -> None:  # fmt: skip
    """gpg's own message carries it: 63 characters and three keys."""
    name = f"{'h' * 47}.web.example.org"
    shown = tmp_path / "prompt"
    rename = f"echo {name} >/proc/sys/kernel/hostname && exec "
    asks = f"{client} --prompt-file {shown} {service()} alice"
    subprocess.run(["unshare", "--uts", "sh", "-c", rename + asks], check=False, timeout=60)
    told = re.search(r"PLAINTEXT 62 \d+ (\S+)", holder.decrypt(shown.read_text()).stderr)
    assert told
    assert f" host={name} " in unquote(told[1])
    assert unquote(told[1]).count(",") == len(keys_of_sshd) - 1


def test_an_account_that_is_not_root_names_them_too(
    alice: Account,
    keys_of_sshd: dict[str, Path],
    client: Path,
    holder: Holder,
    service: Callable[..., str],
) -> None:
    """A screen locker asks PAM with its user's rights."""
    name = service()
    shown = alice.run("sh", "-c", f"{client} --prompt-file ~/prompt {name} alice; cat ~/prompt")
    told = re.search(r"PLAINTEXT 62 \d+ (\S+)", holder.decrypt(shown.decode()).stderr)
    assert told
    assert unquote(told[1]).count(",") == len(TYPES) - 1
