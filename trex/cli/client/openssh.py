"""What an ssh says about itself: its version, and its settings for a run (ssh(1), -V and -G)."""

from __future__ import annotations

import os
import re
import subprocess
import time

NO_VERSION = (0, 0)
SECONDS = 20  # for a `Match exec` in the user's configuration
# Names the program that is asked here. It may be a script that becomes `trex ssh`: that becomes the
# ssh behind it then, and asks nothing itself, or there would be no end.
ASKED = "TREX_SSH_ASKED"


def version_and_settings(ssh: str, arguments: list[str]) -> tuple[tuple[int, int], dict[str, str]]:
    """Return the version, NO_VERSION for no OpenSSH, and the settings for these arguments.

    Without arguments, and for an ssh that does not print any, there are no settings.
    """
    told, printed = _ask(ssh, [["-V"], *([["-G", *arguments]] if arguments else [])])
    found = re.match(r"OpenSSH_(\d+)\.(\d+)", told)
    version = (int(found[1]), int(found[2])) if found else NO_VERSION
    pairs = (line.partition(" ") for line in printed.splitlines())
    return version, {key: value for key, _, value in pairs}


def _ask(ssh: str, questions: list[list[str]]) -> tuple[str, str]:
    """Run ssh for each of one or two questions, at the same time; "" for one without an answer."""
    asked = [_start([ssh, *question]) for question in questions]
    deadline = time.monotonic() + SECONDS
    answers = [_answer(one, deadline) if one else "" for one in asked]
    return answers[0], answers[1] if len(answers) > 1 else ""


def _start(command: list[str]) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(  # noqa: S603 (a list of arguments; the user's own ssh)
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if command[1:] == ["-V"] else subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C", ASKED: command[0]},
        )  # fmt: skip
    except OSError:
        return None


def _answer(asked: subprocess.Popen[bytes], deadline: float) -> str:
    try:
        output, _ = asked.communicate(timeout=max(deadline - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        asked.kill()
        asked.communicate()
        return ""
    return output.decode("utf-8", "surrogateescape")
