"""What `trex ssh` passes to the askpass program that ssh starts, in one environment variable."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field

from trex.cli.errors import CommandError

VARIABLE = "TREX_SSH"
ASKPASS, REQUIRE = "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE"


@dataclass
class Handover:
    """The running ssh, and the user's own askpass settings ("" if not set)."""

    ssh: str = "ssh"
    arguments: list[str] = field(default_factory=list)
    askpass: str = ""
    require: str = ""
    pid: int = 0  # of the process that became that ssh

    def put_into(self, environment: dict[str, str]) -> None:
        """Make ssh ask Trex, and pass this object on to it."""
        environment[VARIABLE] = json.dumps(asdict(self))
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
    try:
        return Handover(**json.loads(environment[VARIABLE]))
    except KeyError:
        return Handover()
    except (ValueError, TypeError):
        raise CommandError(f"${VARIABLE} is not what trex ssh writes there") from None


def new_handover(ssh: str, arguments: list[str], environment: dict[str, str]) -> Handover:
    """Return the object to pass on: an ssh within another ssh keeps the user's settings."""
    if VARIABLE in environment:
        outer = handover(environment)
        return Handover(ssh, arguments, outer.askpass, outer.require, os.getpid())
    before = environment.get(ASKPASS, ""), environment.get(REQUIRE, "")
    return Handover(ssh, arguments, *before, os.getpid())


def find_beside(name: str) -> str:
    """Return the path of one of Trex's programs: next to the running one, or on PATH.

    ssh takes a program without arguments. Raises CommandError if there is none.
    """
    if os.sep in sys.argv[0]:  # without a directory this would be the current one
        for program in (sys.argv[0], os.path.realpath(sys.argv[0])):
            beside = os.path.join(os.path.dirname(os.path.abspath(program)), name)
            if os.access(beside, os.X_OK):
                return beside
    found = shutil.which(name)
    if not found:
        raise CommandError(f"{name} is not on PATH", "install all of trex")
    return os.path.abspath(found)
