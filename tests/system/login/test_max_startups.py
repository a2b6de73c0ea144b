"""Open prompts are connections that are not yet logged in: MaxStartups of sshd counts them."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.sshd import Sshd, answering
from trex.cli.doctor.judging import PER_SOURCE, STARTUPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

NUMBERS = itertools.count()
OPEN = 4  # more than the least that is tried, less than what is advised for one address
PATIENCE = 60
# "past MaxStartups" of 9.2, "Maxstartups" of 10.0
DROPPED = re.compile("^drop connection #2 from .* maxstartups", re.IGNORECASE | re.MULTILINE)


class OpenPrompts:
    """ssh clients whose prompts stay open, begun one after the other."""

    def __init__(self, server: Sshd, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self._clients: list[subprocess.Popen[bytes]] = []
        self._prompts: list[Path] = []
        self._await(lambda: not self._connections())  # the one by which the server was awaited

    def open(self) -> bool:
        """Begin another login, and tell whether it comes to its prompt."""
        shown = self._directory / f"shown-{len(self._clients)}"
        askpass = self._directory / f"askpass-{len(self._clients)}"
        askpass.write_text(f"#!/bin/sh\ntouch {shown}\nexec sleep {PATIENCE}\n")
        askpass.chmod(0o755)
        client = subprocess.Popen(
            [*self._server.command("alice"), "true"], start_new_session=True,
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin", "SSH_ASKPASS": str(askpass),
                 "SSH_ASKPASS_REQUIRE": "force"},
        )  # fmt: skip
        self._clients.append(client)
        self._await(lambda: shown.exists() or client.poll() is not None)
        return shown.exists()

    def close(self) -> None:
        for client in self._clients:
            if client.poll() is None:
                os.killpg(client.pid, signal.SIGKILL)
                client.wait()

    def _connections(self) -> str:
        pid = self._server.process.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text()

    @staticmethod
    def _await(true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def prompts(alice: Account, place: Path) -> Iterator[Callable[..., tuple[Sshd, OpenPrompts]]]:
    """Start an sshd with this MaxStartups, and open prompts there."""
    begun: list[tuple[Sshd, OpenPrompts]] = []

    def begin(startups: str) -> tuple[Sshd, OpenPrompts]:
        name = f"trex-startups-{next(NUMBERS)}"
        server = Sshd(sandbox.trex_service(name), startups=startups)
        directory = place / name
        directory.mkdir()
        begun.append((server, OpenPrompts(server, directory)))
        return begun[-1]

    yield begin
    for server, open_prompts in begun:
        open_prompts.close()
        server.close()


def test_a_connection_beyond_max_startups_is_dropped(
    prompts: Callable[..., tuple[Sshd, OpenPrompts]],
) -> None:
    """With 10:30:100, sshd's own, the same begins at ten, by chance."""
    server, some = prompts("2:100:3")
    assert [some.open() for _ in range(3)] == [True, True, False]
    assert DROPPED.search(server.log.read_text())


def test_with_what_is_advised_more_prompts_are_open_and_the_next_login_succeeds(
    prompts: Callable[..., tuple[Sshd, OpenPrompts]], holder: Holder, place: Path
) -> None:
    server, some = prompts(f"{STARTUPS}\nPerSourceMaxStartups {PER_SOURCE}")
    assert [some.open() for _ in range(OPEN)] == [True] * OPEN
    done = server.log_in("alice", answering(place, holder, place / "shown"))
    assert done.stdout == "logged in as alice\n", done.stderr
    assert not DROPPED.search(server.log.read_text())


def test_an_address_of_its_own_is_bounded_too(
    prompts: Callable[..., tuple[Sshd, OpenPrompts]],
) -> None:
    _, some = prompts(f"{STARTUPS}\nPerSourceMaxStartups 2")
    assert [some.open() for _ in range(3)] == [True, True, False]
