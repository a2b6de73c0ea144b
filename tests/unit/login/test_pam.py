"""From each outcome to its PAM code, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import trex.errors
from trex.errors import ACCEPTED, NOT_ASKED, Outcome, TrexError
from trex.login.pam import FINAL, PAM_CODES

TREX = Path(__file__).resolve().parents[3] / "trex"
OUTCOMES = {value for value in vars(trex.errors).values() if isinstance(value, Outcome)}


def test_every_outcome_has_a_code() -> None:
    assert set(PAM_CODES) == OUTCOMES


def test_only_one_outcome_opens_the_door_and_one_steps_aside() -> None:
    """Advisory CVE-2025-23013: an error must never come out as PAM_IGNORE."""
    assert [o for o, code in PAM_CODES.items() if code == "PAM_SUCCESS"] == [ACCEPTED]
    assert [o for o, code in PAM_CODES.items() if code == "PAM_IGNORE"] == [NOT_ASKED]


def test_no_error_stands_for_success() -> None:
    def tree(root: type[TrexError]) -> list[type[TrexError]]:
        return [root, *(leaf for branch in root.__subclasses__() for leaf in tree(branch))]

    import trex.openpgp.errors
    import trex.recovery.errors
    import trex.sms.errors
    import trex.system.packages
    import trex.system.secretfile
    import trex.totp.errors  # noqa: F401 (each registers its branch)

    classes = tree(TrexError)
    assert len(classes) > 22
    assert all(cls.outcome not in (ACCEPTED, NOT_ASKED) for cls in classes)
    assert all(cls.__doc__ for cls in classes)


def test_the_final_no_is_a_refusal_that_no_outcome_has() -> None:
    assert FINAL == "PAM_MAXTRIES"
    assert FINAL not in PAM_CODES.values()


def places(name: str) -> list[str]:
    """Return `module:function` wherever `name` is read outside imports, but in the command."""
    found = []
    for path in set(TREX.rglob("*.py")) - set((TREX / "cli").rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                names = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == name]
                found += [f"{path.stem}:{function.name}"] * len(names)
    return sorted(found)


def test_success_is_given_in_one_place() -> None:
    assert places("ACCEPTED") == ["challenge:judge"]
    assert places("NOT_ASKED") == ["story:log_in"]
    assert places("NO_REFUSAL") == ["pam:authenticate"] * 3  # only asks which it is
