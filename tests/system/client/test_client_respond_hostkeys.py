"""`trex respond` says whose host keys a challenge names, by the user's known_hosts."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import CHALLENGE, context, encrypt
from trex.openpgp.hostkeys import short

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.client import Client
    from tests.support.keys import Holder

RESPONSE = CHALLENGE.decode()


class Host:
    """A host key: its line in known_hosts, and what a challenge calls it."""

    def __init__(self, directory: Path, name: str) -> None:
        path = directory / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        self.public = path.with_suffix(".pub").read_text()
        printed = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True,
                                 check=True).stdout  # fmt: skip
        self.named = short(printed.split()[1].removeprefix("SHA256:"))


@pytest.fixture
def server(tmp_path: Path) -> Host:
    return Host(tmp_path, "server")


@pytest.fixture
def other(tmp_path: Path) -> Host:
    return Host(tmp_path, "other")


@pytest.fixture
def paste(laptop: Client, holder: Holder, to: str) -> Callable[..., str]:
    """Return what trex respond says about the host keys of a challenge for `web`."""

    def respond(*named: Host, host: str = "web") -> str:
        keys = f" hostkeys={','.join(one.named for one in named)}" if named else ""
        message = encrypt(holder, to, name=context(host=host) + keys)
        done = laptop.run("trex", "respond", stdin=message.encode())
        assert done.stdout == RESPONSE, done.stderr
        [line] = [one for one in done.stderr.splitlines() if one.startswith("hostkeys")]
        return line.partition(" ")[2]

    return respond


def know(laptop: Client, *lines: str, hashed: bool = False) -> None:
    path = laptop.account.write("".join(f"{line.strip()}\n" for line in lines), ".ssh/known_hosts")
    if hashed:
        laptop.account.run("ssh-keygen", "-q", "-H", "-f", str(path))
        assert "|1|" in path.read_text()


def test_by_which_names_the_host_is_known(
    laptop: Client, paste: Callable[..., str], server: Host, other: Host
) -> None:
    assert paste() == "none named"
    assert paste(server) == "not known"
    know(laptop, f"other.example.org {other.public}", f"web.example.org,192.0.2.7 {server.public}")
    assert paste(server) == "known as web.example.org, 192.0.2.7"
    assert paste(server, other) == "known as other.example.org, web.example.org, 192.0.2.7"
    many = ",".join(f"web{number}.example.org" for number in range(9))
    know(laptop, f"{many} {server.public}")
    assert paste(server).endswith("web2.example.org and 6 others")


def test_hashed_names_are_compared_with_the_names_that_the_host_may_have(
    laptop: Client, paste: Callable[..., str], server: Host
) -> None:
    know(laptop, f"web {server.public}", hashed=True)
    assert paste(server) == "known as web"
    know(laptop, f"[192.0.2.7]:2222 {server.public}", hashed=True)
    assert paste(server) == "known as a host whose name is hashed there"
    laptop.confirm_names("alice@[192.0.2.7]:2222 alice@web")
    assert paste(server) == "known as [192.0.2.7]:2222"


@pytest.mark.parametrize("hashed", [False, True])
def test_a_host_that_is_known_with_other_keys_is_not_the_one(
    laptop: Client, paste: Callable[..., str], server: Host, other: Host, hashed: bool
) -> None:
    wrong = "NOT the host that you know by this name"
    know(laptop, f"web {other.public}", hashed=hashed)
    assert paste(server) == wrong
    know(laptop, f"web {other.public}", f"evil.example.org {server.public}", hashed=hashed)
    assert paste(server) == wrong, "also if it is known by another name"
    know(laptop, f"[192.0.2.7]:2222 {other.public}", hashed=hashed)
    laptop.confirm_names("alice@[192.0.2.7]:2222 alice@web")
    assert paste(server) == wrong
    know(laptop, f"web {other.public}", f"web {server.public}", hashed=hashed)
    assert paste(server) == "known as web", "one of its keys is enough"


def test_what_is_no_line_of_a_host_s_is_skipped(
    laptop: Client, paste: Callable[..., str], server: Host, other: Host
) -> None:
    lines = [
        "", "#", "# web x", "web", "web ssh-ed25519", "web ssh-ed25519 !!!", "|1|x|y ssh-ed25519 A",
        f"@revoked web {other.public}", f"@cert-authority * {other.public}", f"#web {other.public}",
        f"*.example.com {other.public}", "\u00e9 x \u00e9",
    ]  # fmt: skip
    know(laptop, *lines)
    assert paste(server) == "not known"
    know(laptop, *lines, f"web {server.public}")
    assert paste(server) == "known as web"


def test_a_name_from_the_file_cannot_command_the_terminal(
    laptop: Client, paste: Callable[..., str], server: Host
) -> None:
    know(laptop, f"\x1b[2J\u202eweb {server.public}")
    assert paste(server) == r"known as \x1b[2J\u202eweb"


def test_a_pin_under_a_name_of_known_hosts_counts_for_what_is_pasted(
    laptop: Client, holder: Holder, to: str, signer: str, server: Host
) -> None:
    """A host that its key proves has no name that was confirmed for ssh."""
    know(laptop, f"[192.0.2.7]:2222 {server.public}")
    assert laptop.run("trex", "pin", "--yes", "192.0.2.7", signer).returncode == 0
    name = f"{context(host='web7')} hostkeys={server.named}"
    for by, answer in (("", ""), (signer, RESPONSE)):
        message = encrypt(holder, to, name=name, signer=by)
        assert laptop.run("trex", "respond", stdin=message.encode()).stdout == answer


@pytest.mark.parametrize("hashed", [False, True])
def test_what_the_pages_say_prints_what_gpg_prints(
    laptop: Client, holder: Holder, to: str, server: Host, hashed: bool
) -> None:
    """By hand: `hostkeys=` in gpg's line begins the fingerprint of the host that the user knows."""
    know(laptop, f"server.example.org {server.public}", hashed=hashed)
    name = f"{context()} hostkeys={server.named}"
    laptop.account.write(encrypt(holder, to, name=name), "message")
    gpg = laptop.run("gpg", "--verbose", "--decrypt", "message")
    assert f"hostkeys={server.named}'" in gpg.stderr
    known = laptop.run("ssh-keygen", "-l", "-F", "server.example.org").stdout
    assert f"SHA256:{server.named}" in known.replace("/", "_")
