"""i3lock: the user types before PAM asks, and no message of PAM is shown."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, text
from tests.support.servers import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account, Log

pytestmark = pytest.mark.usefixtures("door")
SERVICE = sandbox.PAM_SERVICES / "i3lock"
PATIENCE = 60  # seconds


@pytest.fixture
def display() -> Iterator[str]:
    """A virtual screen on loopback: a socket would be visible to the whole machine."""
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-nolisten", "unix", "-listen", "tcp", "-ac",
         "-r",  # no key repeats itself while xdotool waits for the processor
         "-nolock"],  # /tmp is every worker's, and a process id there may be another's here
        pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as told:
        yield f"127.0.0.1:{told.readline().strip()}"
    end(server)


class Lock:
    """A screen that a user has locked, and its keyboard."""

    def __init__(self, user: Account, display: str) -> None:
        self._environment = {"PATH": "/usr/bin:/bin", "DISPLAY": display, "LC_ALL": "C.UTF-8"}
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", "i3lock", "--nofork", "--debug"], stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, user=user.uid, group=user.gid,
            extra_groups=[], env={**self._environment, "HOME": str(user.home)},
        )  # fmt: skip
        self._end = threading.Timer(PATIENCE, self.process.kill)
        self._end.start()

    def wait_for(self, words: str) -> None:
        """Read what it says up to these words."""
        assert self.process.stdout
        assert any(words in line for line in self.process.stdout), f"no {words}"

    def type(self, password: str) -> None:
        for word in (["type", password], ["key", "Return"]):
            subprocess.run(["xdotool", *word], check=True, env=self._environment)

    def close(self) -> None:
        self._end.cancel()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def lock(display: str) -> Iterator[Callable[..., Lock]]:
    """Lock the screen, `lock(bob, "method=totp")`."""
    kept = SERVICE.read_bytes()
    locks = []

    def start(user: Account, *arguments: str) -> Lock:
        sandbox.trex_service("i3lock", *arguments)
        locks.append(Lock(user, display))
        locks[-1].wait_for("Watching window")  # from here on it has the keyboard
        return locks[-1]

    yield start
    for one in locks:
        one.close()
    SERVICE.write_bytes(kept)


def test_a_code_unlocks(bob: Account, lock: Callable[..., Lock], log: Log) -> None:
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    locked = lock(bob, "method=totp")
    locked.type("12345678")
    assert locked.process.communicate(timeout=PATIENCE) is not None
    assert locked.process.returncode == 0
    assert log.trex("accepted: user=bob service=i3lock")


def test_a_challenge_is_never_shown(alice: Account, lock: Callable[..., Lock], log: Log) -> None:
    locked = lock(alice)
    locked.type("anything")
    locked.wait_for("Authentication failure")
    assert locked.process.poll() is None
    assert log.trex("wrong response: user=alice service=i3lock")
