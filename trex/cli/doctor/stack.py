"""A PAM service's configuration as libpam reads it: pam.conf(5), and Debian's `@include`.

What libpam cannot read becomes a problem with its file and line, never an exception.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from trex.errors import MAX_PATH, cut

DIRECTORIES = ("/etc/pam.d", "/usr/lib/pam.d")
TYPES = ("auth", "account", "session", "password")
MAX_DEPTH = 16  # libpam's PAM_SUBSTACK_MAX_LEVEL
MAX_SIZE = 1 << 20
# libpam has no such limits: a file with two lines that include it is read 65 536 times.
MAX_FILES, MAX_RULES = 64, 256
BLANK = " \t"  # libpam separates words by these alone
JUMP = re.compile(r"0{0,9}[1-9][0-9]{0,8}")  # libpam: a jump of 0 is none, and an int is bounded
# pam.conf(5): the actions that each word stands for.
WORDS = {
    "required": {"success": "ok", "new_authtok_reqd": "ok", "ignore": "ignore", "default": "bad"},
    "requisite": {"success": "ok", "new_authtok_reqd": "ok", "ignore": "ignore", "default": "die"},
    "sufficient": {"success": "done", "new_authtok_reqd": "done", "default": "ignore"},
    "optional": {"success": "ok", "new_authtok_reqd": "ok", "default": "ignore"},
}
# In the order of their numbers (_pam_types.h), and what stands for the rest of them.
RESULTS = (
    "success", "open_err", "symbol_err", "service_err", "system_err", "buf_err",
    "perm_denied", "auth_err", "cred_insufficient", "authinfo_unavail", "user_unknown",
    "maxtries", "new_authtok_reqd", "acct_expired", "session_err", "cred_unavail",
    "cred_expired", "cred_err", "no_module_data", "conv_err", "authtok_err",
    "authtok_recover_err", "authtok_lock_busy", "authtok_disable_aging", "try_again",
    "ignore", "abort", "authtok_expired", "module_unknown", "bad_item", "conv_again",
    "incomplete", "default",
)  # fmt: skip
ACTIONS = frozenset(("ignore", "bad", "die", "ok", "done", "reset"))


@dataclass(frozen=True)
class Rule:
    """One module in a stack. `level` counts the substacks around it."""

    path: str
    line: int
    control: str
    actions: dict[str, str]
    module: str
    arguments: list[str]
    level: int

    @property
    def where(self) -> str:
        """The file and line, as `path:line`."""
        return f"{self.path}:{self.line}"

    @property
    def name(self) -> str:
        """Return the module's file name."""
        return os.path.basename(self.module)


@dataclass
class Stack:
    """The rules of one type, with includes; problems are `path:line: text`."""

    kind: str = "auth"
    rules: list[Rule] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    files: int = 0  # number of files read


def read_stack(service: str, kind: str = "auth") -> Stack:
    """Return the stack that libpam uses for `service`: `other` for a service without a file.

    `kind` is one of TYPES.
    """
    stack = Stack(kind)
    path = _find(service.lower()) or _find("other")
    if path is None or "/" in service or service.startswith("."):
        stack.problems.append(f"{DIRECTORIES[0]}/{cut(service)}: no such service")
        return stack
    try:
        _read_file(stack, path, 0, 0)
    except ValueError as error:
        stack.problems.append(str(error))
    return stack


def assemble(content: str) -> list[tuple[int, str]]:
    r"""Return logical lines and the numbers of their first lines; no comments, `\` joins lines."""
    lines: list[tuple[int, str]] = []
    begun, text = 0, ""
    for number, raw in enumerate(content.split("\n"), start=1):
        part = raw.partition("#")[0].strip(" \t\r")
        begun = begun or number
        if part.endswith("\\"):
            text += part[:-1] + " "
            continue
        text += part
        if text.strip():
            lines.append((begun, text.strip()))
        begun, text = 0, ""
    if text.strip():
        lines.append((begun, text.strip()))
    return lines


def tokens(text: str) -> list[str]:
    r"""Split at white space; `[...]` is one token without its brackets, `\]` a bracket in it.

    Raises ValueError for a bracket that is not closed.
    """
    found = []
    rest = text.strip(BLANK)
    while rest:
        if rest.startswith("["):
            end = _closing(rest)
            found.append(rest[1:end].replace("\\]", "]"))
            rest = rest[end + 1 :]
        else:
            word = re.split(f"[{BLANK}]", rest, maxsplit=1)[0]
            found.append(word)
            rest = rest[len(word) :]
        rest = rest.strip(BLANK)
    return found


def parse_control(control: str) -> dict[str, str]:
    """Return the action for each result. Raises ValueError for what libpam does not know."""
    if control.lower() in WORDS:
        return WORDS[control.lower()]
    actions: dict[str, str] = {}
    for pair in control.split():
        result, equals, action = pair.partition("=")
        if not equals or result not in RESULTS:
            raise ValueError(f'expected result=action, found "{cut(pair)}"')
        if action not in ACTIONS and not JUMP.fullmatch(action):
            raise ValueError(f'expected an action, found "{cut(action)}"')
        if result == "default":  # for results without an action; the first one counts
            actions.setdefault(result, action)
        else:
            actions[result] = action
    if not actions:
        raise ValueError(f'expected a control, found "{cut(control)}"')
    return actions


def _closing(text: str) -> int:
    end = text.find("]")
    while end > 0 and text[end - 1] == "\\":
        end = text.find("]", end + 1)
    if end < 0:
        raise ValueError("a square bracket is not closed")
    return end


def _find(name: str) -> str | None:
    for directory in DIRECTORIES:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            return path
    return None


def _read_file(stack: Stack, path: str, level: int, depth: int) -> None:
    stack.files += 1
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            content = file.read(MAX_SIZE)
    except OSError as error:
        raise ValueError(f"{cut(path, MAX_PATH)}: {error.strerror}") from None
    for number, text in assemble(content):
        try:
            _read_line(stack, path, number, text, level, depth)
        except ValueError as error:
            stack.problems.append(f"{cut(path, MAX_PATH)}:{number}: {error}")


def _read_line(stack: Stack, path: str, number: int, text: str, level: int, depth: int) -> None:  # noqa: PLR0913, PLR0917 (a line, and its position)
    kind, *words = tokens(text)
    if kind == "@include":
        _include(stack, words[:1], level, depth)
        return
    kind = kind.removeprefix("-").lower()
    if kind not in TYPES:
        raise ValueError(f'expected one of {", ".join(TYPES)}, found "{cut(kind)}"')
    if kind != stack.kind:
        return
    if len(words) < 2:  # noqa: PLR2004 (a control and a module)
        raise ValueError("expected a control and a module")
    control, module, *arguments = words
    if len(stack.rules) >= MAX_RULES:
        raise ValueError(f"more than {MAX_RULES} modules in all")
    if control.lower() == "include":
        _include(stack, [module], level, depth)
        return
    if control.lower() == "substack":
        stack.rules.append(Rule(path, number, control, {}, module, [], level))
        _include(stack, [module], level + 1, depth)
        return
    actions = parse_control(control)
    stack.rules.append(Rule(path, number, control, actions, module, arguments, level))


def _include(stack: Stack, names: list[str], level: int, depth: int) -> None:
    if not names:
        raise ValueError("expected the name of a file")
    shown = cut(names[0], MAX_PATH)
    path = names[0] if names[0].startswith("/") else _find(names[0])
    if path is None:
        raise ValueError(f"{shown}: no such file")
    if depth >= MAX_DEPTH:
        raise ValueError(f"{shown}: files include each other more than {MAX_DEPTH} deep")
    if stack.files >= MAX_FILES:
        raise ValueError(f"{shown}: more than {MAX_FILES} files in all")
    _read_file(stack, path, level, depth + 1)
