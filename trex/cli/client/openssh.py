"""What an ssh says about itself: its version, and its settings for a run (ssh(1), -V and -G)."""

from __future__ import annotations

import os
import time

from trex.cli.client.child import RunningProgram
from trex.cli.client.words import DIGITS

NO_VERSION = (0, 0)
SECONDS = 20  # for a `Match exec` in the user's configuration
# Names the program that is asked here. It may be a script that becomes `trex ssh`: that becomes the
# ssh behind it, and asks nothing itself, or there would be no end.
ASKED = "TREX_SSH_ASKED"
NAME = "OpenSSH_"


class Questions:
    """Both questions, asked of one ssh at the same time, and heard when somebody wants to know."""

    def __init__(self, ssh: str, arguments: list[str] | None) -> None:
        self._asked = [_start(ssh, ["-V"]), _start(ssh, ["-G", *arguments]) if arguments else None]
        self._deadline = time.monotonic() + SECONDS

    def answers(self) -> tuple[tuple[int, int], dict[str, str]]:
        """Return the version, NO_VERSION for no OpenSSH, and the settings for the arguments.

        Without arguments, and for an ssh that does not print any, there are no settings.
        """
        for child in self._asked:
            if child:
                child.finish(max(self._deadline - time.monotonic(), 0))
        told, printed = self._asked
        # -V goes to standard error. Only -G's output counts: warnings may be beside it.
        version = _version(_text(told.words or told.output)) if told else NO_VERSION
        lines = _text(printed.output).splitlines() if printed else []
        return version, {key: value for key, _, value in (line.partition(" ") for line in lines)}

    def end(self) -> None:
        """Ask no more."""
        for child in self._asked:
            if child:
                child.end()


def version_and_settings(
    ssh: str, arguments: list[str] | None
) -> tuple[tuple[int, int], dict[str, str]]:
    """Ask both questions, and return the answers."""
    return Questions(ssh, arguments).answers()


def _start(ssh: str, question: list[str]) -> RunningProgram | None:
    try:
        return RunningProgram(
            [ssh, *question], environment={**os.environ, "LC_ALL": "C", ASKED: ssh}
        )
    except OSError:
        return None


def _text(output: bytes) -> str:
    return output.decode("utf-8", "surrogateescape")


def _version(told: str) -> tuple[int, int]:
    major, _, rest = told.removeprefix(NAME).partition(".")
    minor = rest[: next((n for n, sign in enumerate(rest) if sign not in DIGITS), len(rest))]
    if not told.startswith(NAME) or not minor or not major or not DIGITS.issuperset(major):
        return NO_VERSION
    return int(major), int(minor)
