"""What `trex setup` puts into a session: every ssh then asks `trex-askpass`.

The files of our own set the variables; a block in the user's profiles reads one of them. What the
user had set before is kept in two more variables, by which `trex.cli.client.foreign` asks.

- sh and bash read `environment.sh` from their profiles, zsh from `.zshenv`.
- fish reads `conf.d` (fish(1), Configuration).
- A graphical session under systemd reads `environment.d`(5), which knows no conditions.
"""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trex.cli.client.handover import ASKPASS, FORCE, OWN_ASKPASS, OWN_REQUIRE, PROGRAM, REQUIRE
from trex.cli.client.store import own_directory
from trex.cli.errors import CommandError
from trex.cli.workstation.dotfile import Change, has_block, read_dotfile, with_block, without_block

if TYPE_CHECKING:
    from collections.abc import Mapping

OURS = "# Written by `trex setup`, and removed by `trex setup --undo`."
PLAIN = re.compile(r"/[A-Za-z0-9_./+@-]+")  # a path that every shell takes as it is
SH = f"""\
{OURS}
# ssh asks {PROGRAM}, which answers challenges and passes on every other question.
if [ -x PATH ] && [ "${{{ASKPASS}-}}" != PATH ]; then
    case ${{{ASKPASS}-}} in
        */{PROGRAM}) ;;
        *) {OWN_ASKPASS}=${{{ASKPASS}-}} ;;
    esac
    if [ "${{{REQUIRE}-}}" != {FORCE} ] || [ -z "${{{OWN_REQUIRE}+set}}" ]; then
        {OWN_REQUIRE}=${{{REQUIRE}-}}
    fi
    {ASKPASS}=PATH
    {REQUIRE}={FORCE}
    export {ASKPASS} {REQUIRE} {OWN_REQUIRE} {OWN_ASKPASS}="${{{OWN_ASKPASS}-}}"
fi
"""
FISH = f"""\
{OURS}
# ssh asks {PROGRAM}, which answers challenges and passes on every other question.
if test -x PATH; and test "${ASKPASS}" != PATH
    if not string match --quiet -- '*/{PROGRAM}' "${ASKPASS}"
        set --global --export {OWN_ASKPASS} "${ASKPASS}"
    end
    if test "${REQUIRE}" != {FORCE}; or not set --query {OWN_REQUIRE}
        set --global --export {OWN_REQUIRE} "${REQUIRE}"
    end
    set --global --export {ASKPASS} PATH
    set --global --export {REQUIRE} {FORCE}
end
"""
SYSTEMD = f"""\
{OURS}
# ssh asks {PROGRAM}, which answers challenges and passes on every other question.
{OWN_ASKPASS}=${{{ASKPASS}}}
{OWN_REQUIRE}=${{{REQUIRE}}}
{ASKPASS}=PATH
{REQUIRE}={FORCE}
"""
LOGIN = (".bash_profile", ".bash_login", ".profile")  # bash(1), INVOCATION: it reads the first


@dataclass(frozen=True)
class Surroundings:
    """Whose session it is: home, login shell, and the directories for settings."""

    home: str
    shell: str  # its name
    settings: str  # $XDG_CONFIG_HOME, or ~/.config
    zsh: str  # $ZDOTDIR, or the home

    def has(self, *names: str) -> bool:
        """Return whether any of these is in the home."""
        return any(os.path.lexists(os.path.join(self.home, name)) for name in names)


def surroundings(environment: Mapping[str, str]) -> Surroundings:
    """Return those of this process. Raises CommandError for a home of another user's."""
    home = os.path.expanduser("~")
    try:
        owner = os.stat(home).st_uid
        shell = pwd.getpwuid(os.geteuid()).pw_shell
    except (OSError, KeyError):
        raise CommandError(f"{home} cannot be used as a home", "set HOME") from None
    if owner != os.geteuid():
        raise CommandError(f"{home} is another user's home", "run it without sudo")
    settings = os.path.dirname(own_directory("XDG_CONFIG_HOME", ".config"))
    for path in (home, settings):
        if not PLAIN.fullmatch(path):
            raise CommandError(f"{path} has characters that not every shell takes as they are")
    zsh = environment.get("ZDOTDIR", "")
    zsh = zsh if os.path.isabs(zsh) and not os.path.lexists(f"{home}/.zshenv") else home
    return Surroundings(home, os.path.basename(shell), settings, zsh)


def own_files(around: Surroundings, askpass: str) -> dict[str, str]:
    """Return the path and content of each file that is ours alone."""
    if not PLAIN.fullmatch(askpass):
        raise CommandError(
            f"{askpass} has characters that not every shell takes as they are",
            "install trex in a directory with a plain name",
        )
    templates = {script(around): SH, f"{around.settings}/environment.d/60-trex.conf": SYSTEMD}
    if around.shell == "fish" or os.path.isdir(f"{around.settings}/fish"):
        templates[_fish(around)] = FISH
    return {path: template.replace("PATH", askpass) for path, template in templates.items()}


def profiles(around: Surroundings) -> list[str]:
    """Return the profiles that read our file: those that the user's shells read."""
    found = [f"{around.home}/{name}" for name in LOGIN if around.has(name)]
    chosen = dict.fromkeys([*found[:1], f"{around.home}/.profile"])
    if found and not around.has(".profile"):
        chosen.pop(f"{around.home}/.profile", None)
    if around.has(".bashrc"):
        chosen[f"{around.home}/.bashrc"] = None
    if around.shell == "zsh" or around.has(".zshenv", ".zshrc", ".zprofile"):
        chosen[f"{around.zsh}/.zshenv"] = None
    return list(chosen)


def changes(around: Surroundings, askpass: str) -> list[Change]:
    """Return what has to change so that each ssh asks `askpass`."""
    files = own_files(around, askpass)
    ours = script(around)
    where = ours.replace(f"{around.home}/", "$HOME/", 1)
    lines = [f'if [ -r "{where}" ]; then . "{where}"; fi']
    found = [change_of_ours(path, text.encode()) for path, text in files.items()]
    for path in profiles(around):
        before = read_dotfile(path)
        found.append(Change(path, before, with_block(before, lines)))
    return [change for change in found if change.before != change.after]


def undoing(around: Surroundings) -> list[Change]:
    """Return what has to change so that nothing of `trex setup` is left."""
    ours = (script(around), f"{around.settings}/environment.d/60-trex.conf", _fish(around))
    found = [change_of_ours(path, None) for path in ours if os.path.lexists(path)]
    everywhere = [f"{around.home}/{name}" for name in (*LOGIN, ".bashrc", ".zshenv")]
    for path in dict.fromkeys([*everywhere, f"{around.zsh}/.zshenv"]):
        if has_block(path):
            before = read_dotfile(path)
            found.append(Change(path, before, without_block(before)))
    return found


def change_of_ours(path: str, after: bytes | None) -> Change:
    """Return the change of a file of ours. Raises CommandError if somebody else has written it."""
    before = read_dotfile(path)
    if before is not None and not before.startswith(OURS.encode()):
        raise CommandError(f"{path} is there, and trex setup has not written it", "move it away")
    return Change(path, before, after)


def script(around: Surroundings) -> str:
    """Return the path of what profiles read."""
    return f"{around.settings}/trex/environment.sh"


def _fish(around: Surroundings) -> str:
    return f"{around.settings}/fish/conf.d/trex.fish"
