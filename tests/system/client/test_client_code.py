"""A prompt with a QR code in it: the command finds the message beside it, in any locale."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.sandbox import Account, Asked, Log
    from tests.support.sshd import Sshd


@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_trex_ssh_answers_it(
    locale: str, alice: Account, laptop: Client, sshd: Callable[..., Sshd], log: Log
) -> None:
    """Without UTF-8, ssh hands its askpass program twelve characters for each block."""
    name = laptop.knows(sshd("qr=terminal", "debug"))
    done = laptop.run("trex", "ssh", name, "id", "-un", environment={"LC_ALL": locale})
    assert done.stdout == "alice\n", done.stderr
    assert log.trex("a QR code in the prompt")


def test_trex_respond_answers_it(alice: Account, laptop: Client, ask: Callable[..., Asked]) -> None:
    prompt = ask("alice", "--answer", "x", arguments=("qr=terminal",)).prompt
    assert "\u2588" in prompt
    done = laptop.run("trex", "respond", stdin=f"(alice@server) {prompt}".encode())
    assert re.fullmatch(r"[A-Za-z0-9]{10}\n", done.stdout), done.stderr
