"""A server that asks what it likes, in a real sshd, and the messages that it may send."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

from tests.support import sandbox
from trex.openpgp.prompt import NOTATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.support.sshd import Sshd

CHALLENGE = b"hzA8vx2i2Y\n"
MAIL = b"Dear Alice,\nthe safe opens with 4711.\n"
NUMBERS = itertools.count()
SCRIPT = '''\
"""Asks what a file says, and writes down what comes back."""
import json

def pam_sm_authenticate(pamh, flags, argv):
    with open(argv[1], encoding="utf-8") as file:
        prompts = json.load(file)
    answers = []
    for prompt in prompts:
        message = pamh.Message(pamh.PAM_PROMPT_ECHO_ON, prompt)
        answers.append(pamh.conversation(message).resp)
        with open(argv[2], "w", encoding="utf-8") as file:
            json.dump(answers, file)
    return pamh.PAM_AUTH_ERR

def pam_sm_setcred(pamh, flags, argv):
    return pamh.PAM_SUCCESS
'''


def context(
    user: str = "alice", host: str = "", seconds: int = 600, until: str = "", service: str = "sshd"
) -> str:
    """Return what a challenge says it is for; by default what a right one here would say."""
    until = until or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    host = host or os.uname().nodename
    return f"trex user={user} host={host} service={service} from=127.0.0.1 until={until}"


def encrypt(
    holder: Holder, to: str, plaintext: bytes = CHALLENGE, *options: str, name: str | None = None,
    signer: str = "", notation: str | None = None,
) -> str:  # fmt: skip
    """Return an armored message; without a `name` it is a right challenge."""
    name = context() if name is None else name
    arguments = ["--encrypt", "--recipient", to, "--set-filename", name]
    if signer:
        data = (name if notation is None else notation).replace("%", "%%")
        arguments += ["--sign", "--local-user", signer]
        arguments += ["--sig-notation", f"{NOTATION}={data}"] if data else []
    return gpg(holder, plaintext, *arguments, *options)


def gpg(holder: Holder, stdin: bytes, *arguments: str, armored: bool = True) -> str:
    """Run gpg with the holder's keys."""
    return gpg_bytes(holder, stdin, "--armor" if armored else "--no-armor", *arguments).decode()


def gpg_bytes(holder: Holder, stdin: bytes, *arguments: str) -> bytes:
    """Run gpg with the holder's keys, for what is not armored."""
    return subprocess.run(
        ["/usr/bin/gpg", "--homedir", holder.home, "--batch", "--quiet", "--utf8-strings",
         "--trust-model", "always", "--pinentry-mode", "loopback", "--passphrase", "", *arguments],
        input=stdin, capture_output=True, check=True,
    ).stdout  # fmt: skip


class Hostile:
    """A server whose PAM service asks one prompt after the other and lets nobody in."""

    def __init__(self, start: Callable[..., Sshd], alice: Account) -> None:
        self.alice = alice
        name = f"hostile-{next(NUMBERS)}"
        self.prompts = sandbox.PLACE / f"{name}.prompts"
        self.answers = sandbox.PLACE / f"{name}.answers"
        script = sandbox.PLACE / f"{name}.py"
        script.write_text(SCRIPT)
        module = f"auth required pam_python.so {script} {self.prompts} {self.answers}"
        self.server = start(
            service=sandbox.pam_service(name, module, "account required pam_permit.so")
        )

    def will_ask(self, *prompts: str) -> None:
        """Set what the next login is asked."""
        self.prompts.write_text(json.dumps(prompts))
        self.answers.unlink(missing_ok=True)

    def heard(self) -> list[str]:
        """Return what came back, "" where there was no answer."""
        answers = json.loads(self.answers.read_text()) if self.answers.exists() else []
        return [answer or "" for answer in answers]

    def ask_each(self, client: Client, *prompts: str) -> tuple[list[str], str]:
        """Have `client` log in for each prompt: of one login only one message is looked at."""
        seen = [self.ask(client, prompt) for prompt in prompts]
        return [answer for answers, _ in seen for answer in answers], "".join(t for _, t in seen)

    def ask(self, client: Client, *prompts: str) -> tuple[list[str], str]:
        """Have `client` log in without a terminal; return the answers, and what the client read."""
        name = client.knows(self.server)
        self.will_ask(*prompts)
        done = client.run("trex", "ssh", name, "true")
        assert done.returncode in (255, -signal.SIGTERM), "refused, or ended by Trex"
        assert done.stdout == ""
        return self.heard(), done.stderr
