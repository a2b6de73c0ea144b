"""`trex pin`, `trex pins` and `trex unpin`, and their file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.hostile import encrypt
from tests.support.mounts import mounted

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.system.conftest import Keys


def test_pins_are_listed_and_taken_away(laptop: Client, signer: str, keys: Keys) -> None:
    assert laptop.run("trex", "pins").stdout == ""
    assert laptop.run("trex", "pin", "--yes", "Web.Example.org.", signer).returncode == 0
    assert laptop.run("trex", "pin", "--yes", "web.example.org", signer.lower()).returncode == 0
    assert laptop.run("trex", "pins").stdout == f"web.example.org {signer}\n"
    assert laptop.pins.stat().st_mode & 0o777 == 0o600
    assert laptop.pins.parent.stat().st_mode & 0o777 == 0o700
    changed = laptop.run("trex", "pin", "--yes", "web.example.org", keys["signing-other"])
    assert changed.returncode == 1
    assert "ANOTHER KEY IS PINNED for web.example.org" in changed.stderr
    assert "trex unpin web.example.org" in changed.stderr
    assert laptop.run("trex", "pins").stdout == f"web.example.org {signer}\n"
    laptop.pins.write_text(f"# mine\n{laptop.pins.read_text()}\n")
    assert signer in laptop.run("trex", "unpin", "web.example.org").stderr
    assert laptop.pins.read_text() == "# mine\n\n"
    assert "no key is pinned" in laptop.run("trex", "unpin", "web.example.org").stderr


def test_a_pin_is_shown_and_confirmed(laptop: Client, holder: Holder) -> None:
    key = holder.make("login@web.example.org", "signing", name="login at web.example.org")
    laptop.account.import_keys(holder.public(key))
    assert "no terminal" in laptop.run("trex", "pin", "web.example.org").stderr
    assert "needs a fingerprint" in laptop.run("trex", "pin", "--yes", "web.example.org").stderr
    for answer, pinned in (("n", False), ("y", True)):
        terminal = laptop.type("trex", "pin", "web.example.org")
        terminal.expect_exact(f"key      {key}")
        terminal.expect_exact("login at web.example.org <login@web.example.org>")
        terminal.expect_exact("Does this key sign for web.example.org? [y/N]: ")
        terminal.sendline(answer)
        terminal.expect(pexpect.EOF)
        assert laptop.pins.exists() == pinned
    other = holder.make("login@web.example.org", "signing")
    laptop.account.import_keys(holder.public(other))
    several = laptop.run("trex", "pin", "web")
    assert "2 keys in your keyring name web" in several.stderr
    assert "no key in your keyring names mail" in laptop.run("trex", "pin", "mail").stderr


@pytest.mark.parametrize(("arguments", "error"), [
    (["-x"], "No such option"), (["a b", "x"], "is not a host name"), (["web", "ABC"], "40 hex"),
    (["web", "F" * 40], "not in your keyring"), ([], "Missing argument"),
])  # fmt: skip
def test_a_pin_that_makes_no_sense(laptop: Client, arguments: list[str], error: str) -> None:
    done = laptop.run("trex", "pin", *arguments)
    assert done.returncode in (1, 2)
    assert error in done.stderr
    assert "trex: hint: " in done.stderr or "host name" in error
    assert not laptop.pins.exists()


@pytest.mark.parametrize(("content", "error"), [
    (b"# a comment\nweb\n", ":2: expected HOST FINGERPRINT, found 1 words"),
    (b"web ABC\n", ':1: expected 40 capital hex digits, found "ABC"'),
    (b"WEB " + b"A" * 40, ':1: expected a host name in lower case, found "WEB"'),
    (b"web " + b"A" * 40 + b"\nweb " + b"B" * 40, ":2: expected one line for each host, found web for the second time"),
    (b"\n\n\xff\n", ":3: expected HOST FINGERPRINT, found a byte that is not ASCII"),
    (b"\x1b[2J\n", ":1: expected HOST FINGERPRINT, found a control character"),
    pytest.param(b"#" * 2**20, "found a larger file", id="a megabyte"),
])  # fmt: skip
def test_a_damaged_file_of_pins(
    laptop: Client, holder: Holder, to: str, content: bytes, error: str
) -> None:
    """Without it any key could sign: so nothing is answered, and the error names the line."""
    laptop.run("trex", "pins")
    config = laptop.home / ".config/trex"
    config.mkdir(parents=True)
    laptop.account.own(config.parent, 0o700)
    laptop.account.own(config, 0o700)
    laptop.account.write(content, ".config/trex/pins")
    message = encrypt(holder, to).encode()
    for command in (["pins"], ["respond"], ["pin", "--yes", "web", to], ["unpin", "web"]):
        done = laptop.run("trex", *command, stdin=message)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{laptop.pins}" in done.stderr
        assert error in done.stderr
    assert laptop.pins.read_bytes() == content


def test_a_file_of_pins_that_others_can_write(laptop: Client, signer: str) -> None:
    laptop.run("trex", "pin", "--yes", "web", signer)
    laptop.pins.chmod(0o666)
    assert (
        "expected writable by its owner only, found mode 0666" in laptop.run("trex", "pins").stderr
    )


def test_a_directory_that_cannot_be_read(laptop: Client, holder: Holder, to: str) -> None:
    laptop.account.own(laptop.home, 0o700)
    (laptop.home / ".config/trex").mkdir(parents=True)
    laptop.account.own(laptop.home / ".config", 0o000)
    done = laptop.run("trex", "respond", stdin=encrypt(holder, to).encode())
    assert (done.returncode, done.stdout) == (1, "")
    assert "Permission denied" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_loses_no_pins(laptop: Client, signer: str, keys: Keys) -> None:
    laptop.run("trex", "pin", "--yes", "web", signer)
    before = laptop.pins.read_bytes()
    laptop.pins.unlink()
    owner = f"size=4k,mode=700,uid={laptop.account.uid},gid={laptop.account.gid}"
    with mounted(laptop.pins.parent, "-t", "tmpfs", "-o", owner, "trex-full"):
        laptop.account.write(before, ".config/trex/pins")
        done = laptop.run("trex", "pin", "--yes", "mail", signer)
        assert done.returncode == 1
        assert f"{laptop.pins}: cannot be written: No space left" in done.stderr
        assert laptop.pins.read_bytes() == before
        assert os.listdir(laptop.pins.parent) == ["pins"]


def test_the_place_of_the_files(laptop: Client, signer: str) -> None:
    elsewhere = {"XDG_CONFIG_HOME": str(laptop.home / "etc")}
    laptop.run("trex", "pin", "--yes", "web", signer, environment=elsewhere)
    assert (laptop.home / "etc/trex/pins").exists()
    assert not laptop.pins.exists()
