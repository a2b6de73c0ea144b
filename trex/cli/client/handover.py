"""What `trex ssh` passes to the askpass program that ssh starts, in one environment variable."""

from __future__ import annotations

import os
import sys

from trex.cli.client.openssh import NO_VERSION
from trex.cli.errors import CommandError
from trex.cli.programs import find_program

TYPE_CHECKING = False
if TYPE_CHECKING:
    Told = tuple[tuple[int, int], dict[str, str]]

VARIABLE = "TREX_SSH"
KIND = "SSH_ASKPASS_PROMPT"  # "confirm", "none" for a notice, or not set
# The settings that `trex.cli.client.target` reads.
KEPT = ("user", "host", "hostname", "hostkeyalias", "proxyjump", "port", "loglevel")
ASKPASS, REQUIRE = "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE"


class Handover:
    """The running ssh, and the user's own askpass settings ("" if not set).

    `pid` is of the process that became that ssh, 0 if none did. `told` is
    what that ssh has said of itself: its version, and its settings for these arguments.
    """

    __slots__ = ("arguments", "askpass", "pid", "require", "ssh", "told")

    def __init__(  # noqa: PLR0913, PLR0917 (what there is to hand over)
        self, ssh: str = "ssh", arguments: list[str] | None = None, askpass: str = "",
        require: str = "", pid: int = 0, told: Told = (NO_VERSION, {}),
    ) -> None:  # fmt: skip
        self.told = told
        self.ssh = ssh
        self.arguments = arguments or []
        self.askpass = askpass
        self.require = require
        self.pid = pid

    def put_into(self, environment: dict[str, str]) -> None:
        """Make ssh ask Trex, and pass this object on to it."""
        (major, minor), settings = self.told
        told = [
            f"{major} {minor}",
            *(f"{name} {settings[name]}" for name in KEPT if name in settings),
        ]
        words = [str(self.pid), self.ssh, self.askpass, self.require, "\n".join(told)]
        words += self.arguments
        environment[VARIABLE] = " ".join(os.fsencode(word).hex() for word in words)
        environment[ASKPASS] = find_beside("trex-askpass")
        environment[REQUIRE] = "force"

    def take_out_of(self, environment: dict[str, str]) -> None:
        """Restore the user's own settings."""
        environment.pop(VARIABLE, None)
        for name, value in ((ASKPASS, self.askpass), (REQUIRE, self.require)):
            environment.pop(name, None)
            if value:
                environment[name] = value


def handover(environment: dict[str, str]) -> Handover:
    """Return the object passed on in `environment`, a default one if there is none."""
    if VARIABLE not in environment:
        return Handover()
    try:
        words = [os.fsdecode(bytes.fromhex(word)) for word in environment[VARIABLE].split(" ")]
        pid, ssh, askpass, require, told, *arguments = words
        version, *lines = told.split("\n")
        major, minor = map(int, version.split(" "))
        settings = {name: value for name, _, value in (line.partition(" ") for line in lines)}
        return Handover(ssh, arguments, askpass, require, int(pid), ((major, minor), settings))
    except ValueError:
        raise CommandError(f"${VARIABLE} is not what trex ssh writes there") from None


def new_handover(
    ssh: str, arguments: list[str], environment: dict[str, str], told: Told
) -> Handover:
    """Return the object to pass on: an ssh within another ssh keeps the user's settings."""
    if VARIABLE in environment:
        outer = handover(environment)
        return Handover(ssh, arguments, outer.askpass, outer.require, os.getpid(), told)
    before = environment.get(ASKPASS, ""), environment.get(REQUIRE, "")
    return Handover(ssh, arguments, *before, os.getpid(), told)


def find_beside(name: str) -> str:
    """Return the path of one of Trex's programs: next to the running one, or on PATH.

    ssh takes a program without arguments. Raises CommandError if there is none.
    """
    if os.sep in sys.argv[0]:  # without a directory this would be the current one
        for program in (sys.argv[0], os.path.realpath(sys.argv[0])):
            beside = os.path.join(os.path.dirname(os.path.abspath(program)), name)
            if os.access(beside, os.X_OK):
                return beside
    found = find_program(name)
    if not found:
        raise CommandError(f"{name} is not on PATH", "install all of trex")
    return found
