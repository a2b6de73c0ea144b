"""Modules that administrators put before Trex to exempt somebody: whom, and by which line."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from trex.cli.doctor.asking import ask_modules, question
from trex.cli.doctor.finding import ERROR, Finding
from trex.cli.doctor.matching import PUBLIC
from trex.cli.doctor.remedy import edit
from trex.cli.doctor.stack import assemble, parse_control
from trex.errors import MAX_PATH, cut

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule

ACCESS, SUCCEED_IF, LISTFILE = "pam_access.so", "pam_succeed_if.so", "pam_listfile.so"
SSH_AGENT = "pam_ssh_agent_auth.so"
# The argument that names the keys of an agent's, and where they are without it. pam_rssh is in no
# release of Debian's: its lines are recognised as its page describes them.
AGENTS = {
    SSH_AGENT: ("file", "/etc/security/authorized_keys"),
    "pam_rssh.so": ("auth_key_file", "~/.ssh/authorized_keys"),
    "libpam_rssh.so": ("auth_key_file", "~/.ssh/authorized_keys"),
}
ACCESS_FILE = "/etc/security/access.conf"
KEYS_OF_ROOT = "/etc/security/agent_keys/%u"
FLAGS = ("audit", "debug", "quiet", "quiet_fail", "quiet_success", "use_uid")  # pam_succeed_if(8)
MAX_SIZE = 1 << 20
STRANGER = "nobody"
OWN = re.compile(r"~|%h|\$\{?HOME")  # of these modules: a path in the user's home


def is_exempting(rule: Rule) -> bool:
    """Return whether this is a module that decides who is asked, and asks nothing itself."""
    return rule.name in (ACCESS, SUCCEED_IF, LISTFILE, *AGENTS)


def condition_of(rule: Rule, *, holds: bool) -> str:
    """Return for whom the module succeeds, or, if it `holds` not, does not; "" for others."""
    if rule.name in AGENTS:
        return f"whose ssh-agent has a key of {cut(_keys_of(rule), MAX_PATH)}" if holds else ""
    no = "" if holds else "not "
    if rule.name == SUCCEED_IF:
        words = [word for word in rule.arguments if word not in FLAGS]
        return f"{no}({' '.join(words)})" if no else f"if {' '.join(words)}"
    if rule.name == LISTFILE:
        return f"whom {cut(_option(rule, 'file'), MAX_PATH)} does {no}let pass"
    if rule.name != ACCESS:
        return ""
    path = _option(rule, "accessfile", ACCESS_FILE)
    if not holds:
        return f"whom {cut(path, MAX_PATH)} does not permit"
    permitting = [f"{path}:{n}: {text}" for n, text in _lines(path) if text.startswith("+")]
    return f"whom these permit: {', '.join(permitting)}" if permitting else f"by {path}"


def lines_read_by(rule: Rule) -> list[tuple[int, str]]:
    """Return the lines, with their numbers, of the file that decides whom the module exempts."""
    return _lines(_option(rule, "accessfile", ACCESS_FILE)) if rule.name == ACCESS else []


def check_exempting(service: str, rules: list[Rule], *, as_root: bool) -> list[Finding]:
    """Return what exempts more people than whoever wrote it can have wanted."""
    findings = []
    for rule in rules:
        if rule.name in AGENTS and OWN.search(_keys_of(rule)):
            findings.append(_own_keys(rule))
        if rule.name == ACCESS and as_root and _permits_strangers(service, rule):
            findings.append(_open(rule))
    return findings


def _own_keys(rule: Rule) -> Finding:
    name, _ = AGENTS[rule.name]
    what = f"{rule.where}: {rule.name} takes keys of {_keys_of(rule)}, which the user can write"
    why = "Whatever runs as the user can add a key there, and get in without an answer."
    kept = [one for one in rule.arguments if one.partition("=")[0] != name]
    words = [rule.module, f"{name}={KEYS_OF_ROOT}", *kept]
    control = f"[{rule.control}]" if "=" in rule.control else rule.control
    fix = edit(rule.path, rule.line, " ".join(["auth", control, *words]))
    return Finding("exempt-own-keys", ERROR, what, why, fix)


def _open(rule: Rule) -> Finding:
    path = _option(rule, "accessfile", ACCESS_FILE)
    what = f"{rule.where}: {cut(path, MAX_PATH)} lets the account {STRANGER} from {PUBLIC} pass"
    why = "Whom no line names is permitted (access.conf(5)): so everybody is exempt."
    fix = f"printf '\\n- : ALL : ALL\\n' >> {shlex.quote(path)}"
    return Finding("exempt-all", ERROR, what, why, fix)


def _permits_strangers(service: str, rule: Rule) -> bool:
    """Ask the module itself about somebody whom no exemption is for.

    Only where its success skips something: as `required` it exempts nobody.
    """
    required = parse_control("required")
    if rule.actions.get("success") == required["success"]:
        return False
    asked = question("auth", rule, STRANGER, PUBLIC)
    return asked is not None and ask_modules(service, [asked]) == ["success"]


def _keys_of(rule: Rule) -> str:
    return _option(rule, *AGENTS[rule.name])


def _option(rule: Rule, name: str, default: str = "") -> str:
    given = dict(one.partition("=")[::2] for one in rule.arguments)
    return given.get(name, default)


def _lines(path: str) -> list[tuple[int, str]]:
    """Return the lines of access.conf(5) that count, with single blanks; [] if unreadable."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [(n, " ".join(text.split())) for n, text in assemble(file.read(MAX_SIZE))]
    except OSError:
        return []
