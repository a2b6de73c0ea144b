"""What a module of a PAM stack itself says about a user, without a login.

Each module is asked alone, as the service that has it, by libpam (pam_start_confdir(3)) and with a
configuration that vanishes afterwards. So only modules are asked that change nothing and ask nobody
anything. pam_faillock is asked as `preauth` alone, which only looks; in the account phase it
refuses nobody, and would forget the failures. A module may write to the log, as in a login.
"""

from __future__ import annotations

import ctypes
import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from trex.cli.delegate import run_as, scratch_directory
from trex.cli.doctor.remedy import bracketed
from trex.cli.doctor.stack import RESULTS
from trex.cli.location import ROOT

if TYPE_CHECKING:
    from trex.cli.doctor.stack import Rule

LIBRARY = "libpam.so.0"
SECONDS = 60.0  # for all questions of one run
FAILLOCK = "pam_faillock.so"
# Modules that only look, by type.
LOOKING = {
    "auth": frozenset((
        "pam_access.so", FAILLOCK, "pam_listfile.so", "pam_localuser.so", "pam_nologin.so",
        "pam_securetty.so", "pam_shells.so", "pam_succeed_if.so", "pam_usertype.so",
    )),
    "account": frozenset((
        "pam_access.so", "pam_lastlog.so", "pam_ldap.so", "pam_listfile.so",
        "pam_localuser.so", "pam_nologin.so", "pam_shells.so", "pam_sss.so",
        "pam_succeed_if.so", "pam_time.so", "pam_unix.so", "pam_usertype.so", "pam_winbind.so",
    )),
}  # fmt: skip
# Those of them whose answer may depend on where the user comes from.
BY_ADDRESS = frozenset(("pam_access.so", "pam_listfile.so", "pam_sss.so", "pam_succeed_if.so"))
# Modules of the account phase that refuse nobody.
WILLING = frozenset((FAILLOCK, "pam_permit.so", "pam_warn.so"))
IGNORED = "conv_again"  # what the line after a module says that wants to be left out
RHOST, TTY = 4, 3  # PAM_RHOST, PAM_TTY
PROMPTS = (1, 2)  # PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON
CONV_ERR = RESULTS.index("conv_err")
CALLS = {"auth": "pam_authenticate", "account": "pam_acct_mgmt"}


class Question(NamedTuple):
    """One module, asked about one user who comes from `address`, "" for nowhere."""

    kind: str
    module: str
    arguments: tuple[str, ...]
    user: str
    address: str


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


_TALK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p,
)  # fmt: skip


class _Conversation(ctypes.Structure):
    _fields_ = (("talk", _TALK), ("data", ctypes.c_void_p))


def question(kind: str, rule: Rule, user: str, address: str) -> Question | None:
    """Return what to ask a rule's module; None if asking could change something, or prompt."""
    if rule.name not in LOOKING[kind]:
        return None
    if rule.name == FAILLOCK and "preauth" not in rule.arguments:
        return None
    where = address if rule.name in BY_ADDRESS else ""
    return Question(kind, rule.module, tuple(rule.arguments), user, where)


def ask_modules(service: str, questions: list[Question]) -> list[str]:
    """Return the result of each, as pam.conf(5) names it.

    Raises CommandError if the modules do not answer in SECONDS.
    """
    told: list[str] = run_as(ROOT, partial(_ask_all, service, questions), SECONDS)
    return told


def _ask_all(service: str, questions: list[Question]) -> list[str]:
    pam = ctypes.CDLL(LIBRARY)
    pam.pam_start_confdir.argtypes = [
        ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_void_p),
    ]  # fmt: skip
    directory = scratch_directory()
    return [_ask(pam, directory, service, question) for question in questions]


def _ask(pam: ctypes.CDLL, directory: str, service: str, question: Question) -> str:
    """Ask one module. `ignore` is no verdict of libpam's: then a line after it is reached."""
    module = " ".join([question.module, *map(bracketed, question.arguments)])
    told_by = f"pam_debug.so {question.kind.removesuffix('ount')}={IGNORED}"
    with open(os.path.join(directory, service), "w", encoding="utf-8") as file:
        file.write(f"{question.kind} [default=done ignore=ignore] {module}\n")
        file.write(f"{question.kind} [default=done] {told_by}\n")
    conversation = _Conversation(_TALK(_say_nothing), None)
    handle = ctypes.c_void_p()
    encoded = [os.fsencode(text) for text in (service, question.user, directory)]
    status = pam.pam_start_confdir(
        encoded[0], encoded[1], ctypes.byref(conversation), encoded[2], ctypes.byref(handle)
    )
    if status == 0:
        for item, value in ((RHOST, question.address), (TTY, "ssh" if question.address else "")):
            if value:
                pam.pam_set_item(handle, item, ctypes.c_char_p(os.fsencode(value)))
        status = getattr(pam, CALLS[question.kind])(handle, 0)
        pam.pam_end(handle, status)
    result = RESULTS[status]
    return "ignore" if result == IGNORED else result


def _say_nothing(count: int, messages: Any, _responses: object, _data: object) -> int:
    """Take what a module tells, and answer nothing that it asks."""
    asked = any(messages[number].contents.style in PROMPTS for number in range(count))
    return CONV_ERR if asked else 0
