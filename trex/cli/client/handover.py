"""What the askpass program that ssh starts has to know: from `trex ssh`, or from the session.

`trex ssh` passes it on in one environment variable. In a session that `trex setup` has prepared,
every ssh asks `trex-askpass`, and the environment says what the user had set before.
"""

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
# What the user had set before `trex setup` (trex.cli.workstation.session), possibly empty.
OWN_ASKPASS, OWN_REQUIRE = "TREX_SSH_ASKPASS", "TREX_SSH_ASKPASS_REQUIRE"
PROGRAM = "trex-askpass"
FORCE = "force"


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
        environment[ASKPASS] = find_beside(PROGRAM)
        environment[REQUIRE] = FORCE

    def take_out_of(self, environment: dict[str, str]) -> None:
        """Restore the user's own settings."""
        for name in (VARIABLE, OWN_ASKPASS, OWN_REQUIRE):
            environment.pop(name, None)
        for name, value in ((ASKPASS, self.askpass), (REQUIRE, self.require)):
            environment.pop(name, None)
            if value:
                environment[name] = value


def handover(environment: dict[str, str]) -> Handover:
    """Return the object passed on in `environment`, one for the session if there is none."""
    if VARIABLE not in environment:
        askpass, require = own_settings(environment)
        return Handover(askpass=askpass, require=require)
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
    return Handover(ssh, arguments, *own_settings(environment), os.getpid(), told)


def own_settings(environment: dict[str, str]) -> tuple[str, str]:
    """Return the user's own askpass program and when it is required, "" where not set.

    systemd expands its variables again at each reload: then even what was saved is Trex's.
    """
    askpass, require = environment.get(ASKPASS, ""), environment.get(REQUIRE, "")
    if is_ours(askpass):
        askpass, require = environment.get(OWN_ASKPASS, ""), environment.get(OWN_REQUIRE, "")
    elif require == FORCE:  # it may be the session's, and the program another one since
        require = environment.get(OWN_REQUIRE, require)
    return ("", "") if is_ours(askpass) else (askpass, require)


def is_ours(askpass: str) -> bool:
    """Return whether an askpass program is Trex's, perhaps by a link."""
    return PROGRAM in (os.path.basename(askpass), os.path.basename(os.path.realpath(askpass)))


def arguments_of_ssh(before: Handover) -> list[str]:
    """Return the arguments of the ssh that has started this process.

    They are those that `trex ssh` has passed on, if it became that ssh. Otherwise they are read
    from /proc; without it, `before` counts. ssh gives itself another title only after a login.
    """
    ssh = os.getppid()
    try:
        with open(f"/proc/{ssh}/cmdline", "rb") as words:
            found = words.read().split(b"\0")[1:-1]
    except OSError:
        return before.arguments
    return before.arguments if before.pid == ssh else list(map(os.fsdecode, found))


def find_beside(name: str) -> str:
    """Return the path of one of Trex's programs: next to the running one, or on PATH.

    ssh takes a program without arguments. Raises CommandError if there is none.
    """
    if os.sep in sys.argv[0]:  # without a directory this would be the current one
        for program in (sys.argv[0], os.path.realpath(sys.argv[0])):
            beside = os.path.join(os.path.dirname(os.path.abspath(program)), name)
            if os.access(beside, os.X_OK):
                return beside
    found = find_program(name) or _linked(name)
    if not found:
        raise CommandError(f"{name} is not on PATH", "install all of trex")
    return found


def _linked(name: str) -> str:
    """Return a link of that name to trex.pyz, which is all programs in one file; "" elsewhere."""
    archive = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    if not os.path.isfile(archive):
        return ""
    from trex.cli.client.store import make_directory, own_directory

    directory = os.path.join(own_directory("XDG_DATA_HOME", ".local/share"), "bin")
    path, target = os.path.join(directory, name), os.path.realpath(archive)
    if os.path.realpath(path) != target:
        make_directory(directory)
        new = f"{path}.{os.getpid()}"
        os.symlink(target, new)
        os.replace(new, path)
    return path
