"""The command after which a module beside Trex lets a user in."""

from __future__ import annotations

import os
import pwd
import shlex
import tempfile
from typing import TYPE_CHECKING, NamedTuple

from trex.cli.doctor.asking import ask_modules, question
from trex.cli.doctor.remedy import as_pattern, by_hand
from trex.cli.doctor.stack import assemble
from trex.system.privilege import native

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule

NOLOGIN = ("/run/nologin", "/etc/nologin")
ACCESS, TIME = "/etc/security/access.conf", "/etc/security/time.conf"
CONDITIONS = {"ingroup": "--add", "notingroup": "--delete"}  # of pam_succeed_if(8); gpasswd(1)


class Refused(NamedTuple):
    """A module that refuses a user who comes from `origin`, ALL for anywhere."""

    service: str
    kind: str
    rule: Rule
    result: str
    user: str
    origin: str

    @property
    def name(self) -> str:
        """The user, for a shell."""
        return shlex.quote(self.user)

    def option(self, name: str, default: str = "") -> str:
        """Return the value of one of the module's arguments."""
        given = dict(one.partition("=")[::2] for one in self.rule.arguments)
        return given.get(name, default)


def remedy(refused: Refused) -> str:
    """Return the command, or where else to look where none is known."""
    known = {
        "pam_unix.so": _unix, "pam_nologin.so": _nologin, "pam_faillock.so": _faillock,
        "pam_access.so": _access, "pam_shells.so": _shells, "pam_listfile.so": _listfile,
        "pam_succeed_if.so": _succeed_if, "pam_time.so": _time,
    }  # fmt: skip
    find = known.get(refused.rule.name)
    command = find(refused) if find else ""
    return command or by_hand(f"see {refused.rule.where}, and what {refused.rule.name} reads")


def _unix(refused: Refused) -> str:
    if refused.result == "acct_expired":
        return f"chage --expiredate -1 {refused.name}"
    if refused.result in ("new_authtok_reqd", "authtok_expired"):
        return f'chage --lastday "$(date +%F)" {refused.name}'
    return ""


def _nologin(refused: Refused) -> str:
    given = refused.option("file")
    files = [file for file in ([given] if given else NOLOGIN) if os.path.exists(file)]
    return f"rm {shlex.join(files)}" if files else ""


def _faillock(refused: Refused) -> str:
    directory = refused.option("dir")
    there = f"--dir {shlex.quote(directory)} " if directory else ""
    return f"faillock {there}--user {refused.name} --reset"


def _access(refused: Refused) -> str:
    """Return how to add a line before all others: the first that fits decides (access.conf(5))."""
    file = shlex.quote(refused.option("accessfile", ACCESS))
    line = f"+:{refused.user}:{refused.origin}".replace("\\", "\\\\")  # sed reads escapes in a text
    return f"sed -i {shlex.quote(f'1i {line}')} {file}"


def _shells(refused: Refused) -> str:
    shell = pwd.getpwnam(native(refused.user)).pw_shell
    return f"echo {shlex.quote(shell)} >> /etc/shells"


def _listfile(refused: Refused) -> str:
    if refused.option("item") != "user":
        return ""
    file = shlex.quote(refused.option("file"))
    if refused.option("sense") == "allow":
        return f"echo {refused.name} >> {file}"
    line = f"\\|^{as_pattern(refused.user)}$|d"
    return f"sed -i {shlex.quote(line)} {file}"


def _succeed_if(refused: Refused) -> str:
    words = refused.rule.arguments
    for subject, condition, value in zip(words, words[1:], words[2:], strict=False):
        if subject == "user" and condition in CONDITIONS and ":" not in value:
            return f"gpasswd {CONDITIONS[condition]} {refused.name} {shlex.quote(value)}"
    return ""


def _time(refused: Refused) -> str:
    """Return how to make comments of the lines of time.conf(5) that refuse.

    All lines that fit have to permit. So pam_time is asked with each line alone.
    """
    path = refused.option("conffile", TIME)
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = assemble(file.read())
    asked = question(refused.kind, refused.rule, refused.user, "")
    if asked is None:
        return ""
    others = [one for one in asked.arguments if not one.startswith("conffile=")]
    with tempfile.TemporaryDirectory() as directory:
        questions = []
        for number, text in lines:
            alone = os.path.join(directory, str(number))
            with open(alone, "w", encoding="utf-8") as file:
                file.write(f"{text}\n")
            questions.append(asked._replace(arguments=(*others, f"conffile={alone}")))
        told = ask_modules(refused.service, questions)
    refusing = [number for (number, _), result in zip(lines, told, strict=True)
                if result != "success"]  # fmt: skip
    commands = " ".join(f"-e '{number}s/^/#/'" for number in refusing)
    return f"sed -i {commands} {shlex.quote(path)}" if refusing else ""
