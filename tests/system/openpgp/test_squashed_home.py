"""Homes that root may not enter, as on NFS with root_squash: whoever reads there becomes the user."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import PYTHON, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

# What root_squash takes from uid 0 (exports(5)): root is anybody there, and may give nothing away.
SQUASHED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


@pytest.fixture
def squashed(client: Path, tmp_path: Path) -> Path:
    """The PAM client, run by a root to whom others' files are closed."""
    program = tmp_path / "client"
    program.write_text(f'#!/bin/sh\nexec {" ".join(SQUASHED)} {client} "$@"\n')
    program.chmod(0o755)
    return program


def trex(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*SQUASHED, *PYTHON, *arguments], env=environment(None), cwd="/",
                          capture_output=True, check=False, input=stdin)  # fmt: skip


def test_such_a_home_is_closed_to_root_here(alice: Account) -> None:
    done = subprocess.run([*SQUASHED, "cat", alice.record], capture_output=True, check=False)
    assert b"Permission denied" in done.stderr


@pytest.mark.usefixtures("door")
def test_a_login_reads_a_record_that_root_may_not(
    alice: Account, squashed: Path, service: Callable[..., str], holder: Holder, log: Log
) -> None:
    alice.home.chmod(0o700)
    asked = sandbox.ask_pam(squashed, service(), "alice", "--answer-with", holder.command())
    assert asked.verdict == "PAM_SUCCESS", log.everything()


def test_a_signed_challenge_comes_from_such_a_home(
    alice: Account,
    squashed: Path,
    service: Callable[..., str],
    holder: Holder,
    keys: Keys,
    log: Log,
) -> None:
    alice.import_keys(holder.secret(keys["cv25519-signer"]))
    alice.write(f"{keys['cv25519']} trust {keys['cv25519-signer']}\n")
    alice.home.chmod(0o700)
    asked = sandbox.ask_pam(squashed, service(), "alice", "--answer-with", holder.command())
    assert asked.verdict == "PAM_SUCCESS", log.everything()


def test_the_commands_work_there_as_the_user(bob: Account, holder: Holder, keys: Keys) -> None:
    bob.home.chmod(0o700)
    key = holder.public(keys["cv25519"])
    done = trex("enroll", "--user", "bob", "--key", "-", "--yes", stdin=key)
    assert done.returncode == 0, done.stderr.decode()
    assert bob.record.stat().st_uid == bob.uid
    for words in (
        ["show"],
        ["doctor", "--service", "sshd"],
        ["recovery", "make", "--yes"],
        ["remove", "--yes"],
    ):
        done = trex(*words, "--user", "bob")
        assert b"Permission denied" not in done.stdout + done.stderr, words
        assert done.returncode == 0 or words[0] == "doctor", (words, done.stderr.decode())
    assert not bob.record.exists()
