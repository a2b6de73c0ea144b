"""The client's gpg asks no server and imports nothing, whatever the user's gpg.conf says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import CHALLENGE, encrypt

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.system.conftest import Keys

DIRMNGR = """\
#!/bin/sh
echo "$@" >>{asked}
exit 1
"""


def script(laptop: Client, name: str, text: str) -> Path:
    path = laptop.account.write(text, name)
    path.chmod(0o755)
    return path


@pytest.fixture
def greedy(laptop: Client) -> Path:
    """A gpg.conf that makes gpg look up every unknown signer; return the file in which dirmngr notes it."""
    asked = laptop.home / "asked"
    dirmngr = script(laptop, "dirmngr", DIRMNGR.format(asked=asked))
    laptop.account.write(
        f"auto-key-retrieve\nauto-key-import\nkeyserver hkp://127.0.0.1:9\ndirmngr-program {dirmngr}\n",
        ".gnupg/gpg.conf",
    )
    return asked


def test_an_unknown_signer_is_looked_for_nowhere(
    laptop: Client, holder: Holder, to: str, keys: Keys, greedy: Path
) -> None:
    """Otherwise a server learns when and from where a message was opened."""
    message = encrypt(holder, to, signer=keys["signing-unknown"]).encode()
    done = laptop.run("trex", "respond", stdin=message)
    assert done.stdout == CHALLENGE.decode(), done.stderr
    assert not greedy.exists()
    laptop.account.run("gpg", "--decrypt", stdin=message, check=False)
    assert greedy.exists(), "gpg by itself asks"


def test_a_key_that_a_signature_brings_along_is_not_imported(
    laptop: Client, holder: Holder, to: str, keys: Keys, greedy: Path
) -> None:
    """`--include-key-block`: with it a server could put any key into the user's keyring."""
    unknown = keys["signing-unknown"]
    message = encrypt(holder, to, CHALLENGE, "--include-key-block", signer=unknown)
    done = laptop.run("trex", "respond", stdin=message.encode())
    assert done.stdout == CHALLENGE.decode(), done.stderr
    assert unknown not in laptop.account.run("gpg", "--list-keys").decode()
    laptop.account.run("gpg", "--decrypt", stdin=message.encode(), check=False)
    assert unknown in laptop.account.run("gpg", "--list-keys").decode(), "gpg by itself takes it"


# The guards of the two runs of gpg against network requests and against importing keys. The first
# run ignores signatures (--unwrap), the second reads no gpg.conf: here each guard is tested alone.
RUNS = {
    "DECRYPT": ("cli.client.gpg", "--unwrap"),
    "ALONE": ("cli.client.signature", "--no-options"),
}
ASKING = ("--no-auto-key-retrieve", "--disable-dirmngr", "--no-autostart")
TAKING = ("--no-auto-key-import",)


def run_with(laptop: Client, run: str, message: bytes, guards: tuple[str, ...], kept: str) -> None:
    """Make the client's gpg read a message with the options of one run, except these guards."""
    module, first = RUNS[run]
    program = (
        "import sys; sys.path.insert(0, '/run/trex/module')\n"
        f"from trex.{module} import {run}\n"
        "from trex.cli.client.gpg import UserGpg\n"
        f"options = [one for one in {run} if one not in {(first, *guards)} or one == {kept!r}]\n"
        "UserGpg().run_decrypt(sys.stdin.buffer.read(), options, 60)\n"
    )
    laptop.account.run("gpg", "--list-secret-keys")  # which starts the agent
    done = laptop.run("/usr/bin/python3", "-B", "-c", program, stdin=message)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kept", [*ASKING, ""])
@pytest.mark.parametrize("run", RUNS)
def test_each_guard_against_asking_is_enough(
    laptop: Client, holder: Holder, to: str, keys: Keys, greedy: Path, run: str, kept: str
) -> None:
    message = encrypt(holder, to, signer=keys["signing-unknown"]).encode()
    run_with(laptop, run, message, ASKING, kept)
    assert greedy.exists() == (not kept)


@pytest.mark.parametrize("kept", [*TAKING, ""])
@pytest.mark.parametrize("run", RUNS)
def test_each_guard_against_taking_a_key_in_is_enough(
    laptop: Client, holder: Holder, to: str, keys: Keys, greedy: Path, run: str, kept: str
) -> None:
    unknown = keys["signing-unknown"]
    message = encrypt(holder, to, CHALLENGE, "--include-key-block", signer=unknown).encode()
    run_with(laptop, run, message, TAKING, kept)
    assert (unknown in laptop.account.run("gpg", "--list-keys").decode()) == (not kept)
