"""What `trex ssh` tells the askpass program that ssh starts, in one environment variable."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict, dataclass, field

from trex.cli.errors import ClientError

VARIABLE = "TREX_SSH"
ASKPASS, REQUIRE = "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE"


@dataclass
class Handover:
    """The ssh that runs, and what the user had set for askpass before ("" for nothing)."""

    ssh: str = "ssh"
    arguments: list[str] = field(default_factory=list)
    askpass: str = ""
    require: str = ""
    pid: int = 0  # of who became that ssh

    def put_into(self, environment: dict[str, str]) -> None:
        """Have ssh ask Trex, and Trex find this."""
        environment[VARIABLE] = json.dumps(asdict(self))
        environment[ASKPASS] = find_beside("trex-askpass")
        environment[REQUIRE] = "force"

    def take_out_of(self, environment: dict[str, str]) -> None:
        """Put back what the user had set."""
        environment.pop(VARIABLE, None)
        for name, value in ((ASKPASS, self.askpass), (REQUIRE, self.require)):
            environment.pop(name, None)
            if value:
                environment[name] = value


def handover(environment: dict[str, str]) -> Handover:
    """Return what is handed over in `environment`; a default one where there is nothing."""
    try:
        return Handover(**json.loads(environment[VARIABLE]))
    except KeyError:
        return Handover()
    except (ValueError, TypeError):
        raise ClientError(f"${VARIABLE} is not what trex ssh writes there") from None


def new_handover(ssh: str, arguments: list[str], environment: dict[str, str]) -> Handover:
    """Return what to hand over; in an ssh that runs within another, the user's own settings."""
    if VARIABLE in environment:
        outer = handover(environment)
        return Handover(ssh, arguments, outer.askpass, outer.require, os.getpid())
    before = environment.get(ASKPASS, ""), environment.get(REQUIRE, "")
    return Handover(ssh, arguments, *before, os.getpid())


def find_beside(name: str) -> str:
    """Return the path of a program of Trex's: beside the one that runs, or on PATH.

    ssh wants one program without arguments. Raises ClientError if there is none.
    """
    if os.sep in sys.argv[0]:  # without one, "beside" would be the current directory
        for program in (sys.argv[0], os.path.realpath(sys.argv[0])):
            beside = os.path.join(os.path.dirname(os.path.abspath(program)), name)
            if os.access(beside, os.X_OK):
                return beside
    found = shutil.which(name)
    if not found:
        raise ClientError(f"{name} is not on PATH", "install trex as a whole")
    return os.path.abspath(found)
