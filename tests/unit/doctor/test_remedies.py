"""Each finding's fix is typed by a test, or a reason why not is written down; and no other."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from tests.system.client import test_remedies_client
from tests.system.doctor import (
    test_remedies_codes,
    test_remedies_records,
    test_remedies_refusals,
    test_remedies_sshd,
    test_remedies_stack,
)
from tests.system.install import test_remedies_install
from trex.cli.doctor import enrolment, totp
from trex.cli.doctor.admission import MEANT
from trex.cli.doctor.barred import LISTS
from trex.cli.doctor.line import SET_UP

if TYPE_CHECKING:
    from tests.support.remedies import Case

ROOT = Path(__file__).resolve().parents[3]
TABLES = (
    test_remedies_stack, test_remedies_sshd, test_remedies_records, test_remedies_codes,
    test_remedies_client, test_remedies_install,
    test_remedies_refusals,
)  # fmt: skip
CASES: list[Case] = [case for table in TABLES for case in table.CASES]
# What a name made at run time can be: by its part before the value.
MADE = {
    "record-": [error.__name__ for error in enrolment.FIXES] + ["FileUnsafe"],
    "totp-": [error.__name__ for error in totp.FIXES] + ["FileUnsafe", "RecordError"],
    "recovery-": ["FileUnsafe", "NoRecord", "OtherAccount", "RecordError"],
    "sshd-": [
        "usepam",
        "kbdinteractiveauthentication",
        *(name.lower() for name, _ in LISTS),
        "shell",
        "chroot",
        "disabled",
        "key",
        "key-unsafe",
        "revoked",
        "keys-command",
    ],
    "": [f"{kind}-{end}" for kind, _, _ in SET_UP.values() for end in ("nobody", "orphan")],
}
LEAST = 20  # characters of a reason


def named_by_the_code() -> set[str]:
    """Return the names of all findings, from the calls that make them."""
    found = set()
    for path in (ROOT / "trex/cli").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
                continue
            if call.func.id == "Finding":
                found |= names_of(call.args[0])
        # `record-X` and `totp-X` are made beside the error that they are about.
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "check":
                        found |= names_of(value)
    return found


def names_of(expression: ast.expr) -> set[str]:
    if isinstance(expression, ast.Constant):
        return {str(expression.value)}
    if isinstance(expression, ast.JoinedStr):
        first = expression.values[0]
        begin = str(first.value) if isinstance(first, ast.Constant) else ""
        return {begin + end for end in MADE[begin]}
    if isinstance(expression, ast.Name):
        assert expression.id == "check"  # trex.cli.doctor.admission
        return {"account-refused", *(check for check, _ in MEANT.values())}
    assert isinstance(expression, ast.Subscript), ast.dump(expression)  # fault["check"]
    return set()


def test_every_finding_has_a_case() -> None:
    assert named_by_the_code() - {case.check for case in CASES} == set()
    assert {case.check for case in CASES} - named_by_the_code() == set()
    assert len(named_by_the_code()) > 80


def test_what_is_not_typed_has_a_reason() -> None:
    for case in CASES:
        reasons = [reason for reason in (case.by_hand, case.unrun) if reason]
        assert len(reasons) <= 1, case.title
        assert not reasons or len(reasons[0]) >= LEAST, case.title
        assert case.breaks or reasons, case.title


def test_most_fixes_are_typed() -> None:
    typed = {case.check for case in CASES if case.breaks and not case.by_hand and not case.unrun}
    typed |= {case.check for case in CASES if "test_doctor_" in case.unrun}  # typed there
    assert len(typed) > len({case.check for case in CASES}) / 2
