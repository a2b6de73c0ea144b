"""`trex ssh` against a real sshd: it logs in, passes on what is not Trex's, and costs little."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.client import Client
    from tests.sandbox import Account, Log
    from tests.sshd import Sshd


def test_a_login_is_one_command(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd], log: Log
) -> None:
    name = laptop.knows(sshd())
    done = laptop.run("trex", "ssh", name, "id", "-un")
    assert done.stdout == "alice\n", done.stderr
    assert f"answered user: alice, host: {name}, service: trex-sshd-" in done.stderr
    assert log.trex("accepted: user=alice")
