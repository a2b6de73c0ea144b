"""A user whose key will soon expire is told, after the verdict, which never depends on it."""

from __future__ import annotations

import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import trex
from tests.support.sshd import Sshd, answering

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

TEXT_INFO = 4


@pytest.fixture
def expiring(alice: Account, holder: Holder) -> str:
    """alice's key has ten days left."""
    made = holder.make("expiring@example.org", expire="10d")
    alice.import_keys(holder.public(made))
    alice.write(f"{made} trust nosign\n")
    return made


def told(asked: Asked) -> list[str]:
    return [fact for fact in asked.facts.get("say", []) if fact.startswith(f"{TEXT_INFO} ")]


def test_a_key_that_expires_within_a_fortnight(
    alice: Account, expiring: str, log_in: Callable[..., Asked]
) -> None:
    asked = log_in("alice")
    assert asked.verdict == "PAM_SUCCESS"
    [text] = told(asked)
    assert re.search(rf"the key {expiring} expires on 20\d\d-\d\d-\d\d\. From then on", text)
    assert f"gpg --quick-set-expire {expiring} 2y" in text


def test_of_one_subkey_that_a_record_names_its_own_end_counts(
    alice: Account, holder: Holder, log_in: Callable[..., Asked]
) -> None:
    made = holder.make("tokens@example.org")
    holder._run("--quick-add-key", made, "cv25519", "encr", "10d")
    listing = holder._run("--with-colons", "--list-keys", made).decode()
    soon = listing.split("\nfpr:")[-1].split(":")[8]
    alice.import_keys(holder.public(made))
    alice.write(f"{made} trust nosign\n")
    assert told(log_in("alice")) == []
    alice.write(f"{soon}! trust nosign\n")
    [text] = told(log_in("alice"))
    assert f"the encryption subkey of the key {made} expires on 20" in text
    shown = trex("show", account=alice).stdout
    assert "in 9 days" in shown
    assert f"with its subkey {soon} alone" in shown


def test_nobody_else_is_told(
    alice: Account, expiring: str, holder: Holder, keys: Keys,
    log_in: Callable[..., Asked], ask: Callable[..., Asked],
) -> None:  # fmt: skip
    assert told(log_in("alice", "--silent")) == []
    assert told(ask("alice", "--answer", "ABCDEFGHIJ")) == []
    later = holder.make("later@example.org", expire="20d")
    alice.import_keys(holder.public(later))
    alice.write(f"{later},{keys['cv25519']} trust nosign\n")
    asked = log_in("alice")
    assert asked.verdict == "PAM_SUCCESS"
    assert told(asked) == []
    alice.write(f"{later},{expiring} trust nosign\n")
    assert expiring in "".join(told(log_in("alice")))


@pytest.mark.parametrize(
    "listing", ["exec sleep 60", "exit 2", "printf 'pub:\\377:::x\\npub:u:255:22:A:x:y::::::e:\\n'"],
    ids=["hangs", "fails", "talks nonsense"],
)  # fmt: skip
def test_a_gpg_that_fails_afterwards_changes_nothing(
    alice: Account, expiring: str, holder: Holder, log_in: Callable[..., Asked], place: Path,
    listing: str,
) -> None:  # fmt: skip
    """A key in a file is looked at only then."""
    alice.write(f"{alice.home}/key.pgp trust nosign\n")
    (alice.home / "key.pgp").write_bytes(holder.public(expiring))
    alice.own(alice.home / "key.pgp", 0o600)
    wrapper = place / "gpg-wrapper"
    wrapper.write_text(
        f'#!/bin/sh\ncase " $* " in *" --show-keys "*) {listing};; esac\nexec /usr/bin/gpg "$@"\n'
    )
    wrapper.chmod(0o755)
    started = time.monotonic()
    asked = log_in("alice", arguments=(f"gpg={wrapper}", "gpg_timeout=60"))
    assert asked.verdict == "PAM_SUCCESS"
    assert time.monotonic() - started < 50, "gpg_timeout= alone would be 60"


def test_a_conversation_that_fails_afterwards_changes_nothing(
    alice: Account, expiring: str, client: Path, place: Path, holder: Holder
) -> None:
    spy = place / "spy-reminder.py"
    spy.write_text(f"""\
import sys
sys.path.insert(0, {str(sandbox.MODULE)!r})
import pam_trex

def pam_sm_authenticate(pamh, flags, argv):
    class Failing:
        def __getattr__(self, name):
            return getattr(pamh, name)
        def conversation(self, message):
            if message.msg_style == pamh.PAM_TEXT_INFO:
                raise KeyboardInterrupt
            return pamh.conversation(message)
    return pam_trex.pam_sm_authenticate(Failing(), flags, argv)
""")
    name = sandbox.pam_service("trex-reminder", f"auth required pam_python.so {spy}")
    asked = sandbox.ask_pam(client, name, "alice", "--answer-with", holder.command())
    assert asked.verdict == "PAM_SUCCESS"


def test_it_is_seen_over_ssh(alice: Account, expiring: str, holder: Holder, place: Path) -> None:
    """sshd keeps it for a shell on a terminal: a command's output is left alone."""
    server = Sshd(sandbox.trex_service("trex-sshd-reminder"))
    askpass = answering(place, holder, place / "shown")
    command = [word.replace("=ERROR", "=INFO") for word in server.command("alice", "-tt")]
    try:
        done = subprocess.run(
            command, input=b"exit\n", capture_output=True, check=False,
            timeout=60, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(server.directory), "TERM": "dumb",
                 "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"},
        )  # fmt: skip
    finally:
        server.close()
    assert done.stdout.count(f"the key {expiring} expires on".encode()) == 1, done
    assert done.stderr.count(f"the key {expiring} expires on".encode()) == 1, "as a banner, too"
