"""A server that passes another server's challenge on to whoever logs in, and the answer back.

All of it ends with the login: sshd kills the process in which PAM asks when its client has gone.
"""

from __future__ import annotations

import itertools
import os
import shlex
from typing import TYPE_CHECKING

from tests.support import sandbox

if TYPE_CHECKING:
    from tests.support.sshd import Sshd

NUMBERS = itertools.count()
SCRIPT = '''\
"""Logs in elsewhere, as whoever logs in here, with the answer that they give here."""
import os
import subprocess

def pam_sm_authenticate(pamh, flags, argv):
    here = argv[1]
    ssh = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "/bin/sh", here + "/log-in"], stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": here, "SSH_ASKPASS": here + "/askpass",
             "SSH_ASKPASS_REQUIRE": "force"},
    )
    try:
        with open(here + "/question", encoding="utf-8") as pipe:
            prompt = pipe.read().partition(") ")[2]
        answer = pamh.conversation(pamh.Message(pamh.PAM_PROMPT_ECHO_ON, prompt)).resp
        with open(here + "/answer", "w", encoding="utf-8") as pipe:
            pipe.write((answer or "") + "\\n")
        ssh.wait(120)
    finally:
        ssh.kill()
        ssh.wait()
    return pamh.PAM_AUTH_ERR

def pam_sm_setcred(pamh, flags, argv):
    return pamh.PAM_SUCCESS
'''
ASKPASS = """\
#!/bin/sh
exec setpriv --pdeathsig KILL sh -c 'printf %s "$1" > {here}/question; exec cat {here}/answer' sh "$1"
"""
GOT_IN = "got in as $(id -un)"


class Relay:
    """A PAM service that logs in to `victim`; `got_in` tells whether it has a session there."""

    def __init__(self, victim: Sshd, user: str = "alice") -> None:
        name = f"relay-{next(NUMBERS)}"
        here = sandbox.PLACE / name
        here.mkdir()
        for pipe in ("question", "answer"):
            os.mkfifo(here / pipe)
        (here / "askpass").write_text(ASKPASS.format(here=here))
        (here / "askpass").chmod(0o755)
        self._session = here / "session"
        command = shlex.join([*victim.command(user), f"echo {GOT_IN}"])
        (here / "log-in").write_text(f"exec {command} >> {self._session}\n")
        script = here / "relay.py"
        script.write_text(SCRIPT)
        module = f"auth required pam_python.so {script} {here}"
        self.service = sandbox.pam_service(name, module, "account required pam_permit.so")

    def got_in(self) -> bool:
        """Whether a login here has opened a session there."""
        return self._session.exists() and "got in as" in self._session.read_text()
