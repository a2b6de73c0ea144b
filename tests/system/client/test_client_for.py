"""`trex respond --for` and `trex.client`: programs answer by the rules of `trex ssh`."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from tests.support.hostile import CHALLENGE, context, encrypt
from tests.support.sandbox import MODULE
from trex.openpgp import prompt

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.keys import Holder

    Answer = Callable[..., subprocess.CompletedProcess[str]]

RESPONSE = CHALLENGE.decode()
HERE = os.uname().nodename
KEY, OTHER = "SHA256:" + "A" * 43, "SHA256:" + "B" * 43
NAMED = " hostkeys=" + "A" * 16
PROGRAM = f"""\
import sys
sys.path.insert(0, {str(MODULE)!r})
from trex.client import ClientError, respond
user, host, *key = sys.argv[1:]
try:
    print(respond(sys.stdin.read(), user=user, host=host, host_key=key[0] if key else None))
except ClientError as error:
    sys.exit(f"{{type(error).__name__}}: {{error}}")
"""


@pytest.fixture(params=["the command", "the module"])
def answer(request: pytest.FixtureRequest, laptop: Client, holder: Holder, to: str) -> Answer:
    """Answer a challenge with this context for a host, by the command or by the module."""

    def run(
        text: str, host: str = HERE, key: str | None = None, signer: str = ""
    ) -> subprocess.CompletedProcess[str]:
        message = encrypt(holder, to, name=text, signer=signer).encode()
        if request.param == "the module":
            given = [] if key is None else [key]
            return laptop.run(
                "/usr/bin/python3", "-BIc", PROGRAM, "alice", host, *given, stdin=message
            )
        known = [] if key is None else ["--host-key", key]
        return laptop.run("trex", "respond", "--for", f"alice@{host}", *known, stdin=message)

    return run


def test_a_host_key_that_is_empty_is_an_error_and_not_none(answer: Answer) -> None:
    """As where a script's variable is empty: whoever names a key wants it compared."""
    done = answer(context() + NAMED, key="")
    assert done.returncode != 0
    assert not done.stdout
    assert "expected the fingerprint of a host key" in done.stderr


def test_the_challenge_of_that_host_is_answered(answer: Answer) -> None:
    for text, key in ((context(), None), (context() + NAMED, KEY), (context() + NAMED, None)):
        done = answer(text, key=key)
        assert done.stdout == RESPONSE, done.stderr


def test_a_long_name_beside_three_host_keys_asks_nothing(
    answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the server's own code writes, as the name of gpg's own message."""
    name = "h" * 47 + ".web.example.org"
    there = SimpleNamespace(nodename=name)
    with monkeypatch.context() as patch:
        patch.setattr("os.uname", lambda: there)
        text = prompt.context("alice", "sshd", "2001:db8:1:2:3:4:5:6", 600, ["A" * 16] * 3)
    assert len(name) == 63
    done = answer(text, host=name)
    assert done.stdout == RESPONSE, done.stderr


def test_its_key_makes_up_for_its_name(answer: Answer) -> None:
    done = answer(context(host="web7") + NAMED, host="web.example.org", key=KEY)
    assert done.stdout == RESPONSE, done.stderr


def test_the_challenge_of_another_host_is_not_answered(answer: Answer) -> None:
    """Nor one for another user or another program: a relay's, by each thing that shows it."""
    passed_on = {
        "PASSED ON FROM ANOTHER SERVER": (context() + NAMED, HERE, OTHER),
        "for the host web7, but ssh goes to web": (context(host="web7"), "web.example.org", None),
        "for the user bob": (context(user="bob") + NAMED, HERE, KEY),
        "for sudo, not for a login": (context(service="sudo") + NAMED, HERE, KEY),
        "for the PAM service dovecot": (context(service="dovecot") + NAMED, HERE, KEY),
    }
    for reason, (text, host, key) in passed_on.items():
        done = answer(text, host, key)
        assert (done.returncode, done.stdout) == (1, ""), reason
        assert reason in done.stderr


def test_a_pin_counts(answer: Answer, laptop: Client, signer: str) -> None:
    assert laptop.run("trex", "pin", "--yes", HERE, signer).returncode == 0
    assert "NOT SIGNED" in answer(context()).stderr
    assert answer(context(), signer=signer).stdout == RESPONSE


def test_a_challenge_is_answered_once(laptop: Client, holder: Holder, to: str) -> None:
    message = encrypt(holder, to).encode()
    respond = ["trex", "respond", "--for", f"alice@{HERE}"]
    assert laptop.run(*respond, stdin=message).stdout == RESPONSE
    assert "answered before" in laptop.run(*respond, stdin=message).stderr
    module = ["/usr/bin/python3", "-BIc", PROGRAM, "alice", HERE]
    assert "Refused: this challenge was answered" in laptop.run(*module, stdin=message).stderr


def test_the_module_says_which_kind_of_error_and_prints_nothing(
    laptop: Client, holder: Holder, to: str
) -> None:
    def run(message: str, host: str = HERE) -> str:
        module = ["/usr/bin/python3", "-BIc", PROGRAM, "alice", host]
        return laptop.run(*module, stdin=message.encode()).stderr

    assert run("Password: ").startswith("NoChallenge: ")
    assert run(encrypt(holder, to, b"a mail\n")).startswith("Refused: ")
    assert run(encrypt(holder, to), "web.example.org").startswith("NotConfirmed: ")
    other = holder.make("other@example.org", "cv25519")
    assert run(encrypt(holder, other)).startswith("NoKey: ")
    laptop.confirm_names("broken line of words")
    assert run(encrypt(holder, to)).startswith("ClientError: ")
    laptop.names.unlink()
    assert run(encrypt(holder, to)) == ""


def test_a_person_at_a_terminal_confirms_a_name_once(
    laptop: Client, holder: Holder, to: str
) -> None:
    laptop.account.write(encrypt(holder, to), "prompt")
    terminal = laptop.type("trex", "respond", "--for", "alice@web.example.org", "prompt")
    terminal.expect_exact("Are they the same? (yes/no) ")
    terminal.sendline("yes")
    terminal.expect_exact(RESPONSE.strip())
    again = ["trex", "respond", "--for", "alice@web.example.org"]
    assert laptop.run(*again, stdin=encrypt(holder, to).encode()).stdout == RESPONSE


@pytest.mark.parametrize(("options", "error"), [
    (["--for", "web.example.org"], "expected USER@HOST"),
    (["--host-key", KEY], "--host-key goes with --for"),
    (["--for", "alice@web", "--host-key", "ssh-ed25519"], "expected the fingerprint of a host key"),
])  # fmt: skip
def test_wrong_usage_is_an_error(laptop: Client, options: list[str], error: str) -> None:
    done = laptop.run("trex", "respond", *options, stdin=b"x")
    assert (done.returncode in (1, 2), done.stdout) == (True, "")
    assert error in done.stderr
