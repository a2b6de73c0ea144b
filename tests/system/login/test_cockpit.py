"""cockpit-session, cockpit's program that asks PAM; its web server passes on the messages."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import IO, TYPE_CHECKING

import pytest

from tests.support import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log

pytestmark = pytest.mark.usefixtures("door")
SESSION = "/usr/lib/cockpit/cockpit-session"
SERVICE = sandbox.PAM_SERVICES / "cockpit"
SECONDS = "60"  # the most that it may take


@pytest.fixture
def session() -> Iterator[subprocess.Popen[bytes]]:
    kept = SERVICE.read_bytes()
    sandbox.trex_service("cockpit")
    process = subprocess.Popen(
        ["timeout", SECONDS, SESSION, "localhost"], env={"PATH": "/usr/bin:/bin"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield process
    process.communicate(timeout=90)
    SERVICE.write_bytes(kept)


def read_challenge(stream: IO[bytes]) -> tuple[str, str]:
    """Return the cookie and what is asked: cockpit's doc/authentication.md."""
    message = json.loads(stream.read(int(stream.readline())))
    return message["cookie"], message["challenge"]


def answer(stream: IO[bytes], cookie: str, response: str) -> None:
    """Write it in the only accepted form: these keys in this order, without spaces."""
    message = {"command": "authorize", "cookie": cookie, "response": response}
    text = b"\n" + json.dumps(message, separators=(",", ":")).encode()
    stream.write(b"%d\n%s" % (len(text), text))
    stream.flush()


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_cockpit_hands_on_the_challenge_and_the_answer(
    alice: Account, session: subprocess.Popen[bytes], holder: Holder, log: Log
) -> None:
    assert session.stdin
    assert session.stdout
    cookie, asked = read_challenge(session.stdout)
    assert asked == "*"
    answer(session.stdin, cookie, f"Basic {encoded('alice:what is typed')}")
    cookie, asked = read_challenge(session.stdout)
    kind, nonce, prompt = asked.split(" ")
    assert kind == "X-Conversation"
    response = str(holder.decrypt(base64.b64decode(prompt).decode())).strip()
    answer(session.stdin, cookie, f"{kind} {nonce} {encoded(response)}")
    session.stdout.read()  # it goes on to a session, whose program is not installed
    assert log.trex("accepted: user=alice service=cockpit")
