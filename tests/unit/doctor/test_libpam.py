"""`trex.cli.doctor` against libpam itself: random stacks of pam_debug.so, which answers as it is told."""

from __future__ import annotations

import ctypes
import random
from typing import TYPE_CHECKING

import pytest

from trex.cli.doctor import stack as stack_module
from trex.cli.doctor.dispatch import lets_in
from trex.cli.doctor.stack import read_stack

if TYPE_CHECKING:
    from pathlib import Path

STACKS = 100  # for each seed
ACTIONS = ["ok", "ok", "done", "bad", "die", "ignore", "reset", "1", "2", "3"]
CONTROLS = ["required", "requisite", "sufficient", "optional"]
RESULTS = ["success", "success", "auth_err", "user_unknown", "ignore"]
Talk = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p
)
SAY_NOTHING = Talk(lambda *_: 0)


class Conversation(ctypes.Structure):
    """`struct pam_conv` (pam_conv(3))."""

    _fields_ = [("conv", Talk), ("appdata_ptr", ctypes.c_void_p)]


@pytest.mark.parametrize("seed", range(4))
def test_libpam_makes_the_same_of_a_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(stack_module, "DIRECTORIES", (str(tmp_path),))
    chosen = random.Random(seed)  # noqa: S311 (no secret)
    verdicts = set()
    for _ in range(STACKS):
        write_stack(tmp_path, "x", chosen, 0)
        stack = read_stack("x")
        assert not stack.problems
        results = [rule.arguments[0].removeprefix("auth=") if rule.arguments else ""
                   for rule in stack.rules]  # fmt: skip
        ours, libpams = lets_in(stack.rules, results), authenticates(tmp_path)
        assert ours == libpams, (tmp_path / "x").read_text()
        verdicts.add(libpams)
    assert verdicts == {True, False}


def write_stack(place: Path, name: str, chosen: random.Random, level: int) -> None:
    lines = []
    for number in range(chosen.randint(1, 5)):
        if level < 2 and chosen.random() < 0.25:
            write_stack(place, f"{name}{number}", chosen, level + 1)
            word = chosen.choice(["substack", "substack", "include"])
            # libpam 1.5 looks for a name without a directory in /etc/pam.d only.
            lines.append(f"auth {word} {place}/{name}{number}")
        else:
            result = chosen.choice(RESULTS)
            lines.append(f"auth {control(chosen)} pam_debug.so auth={result}")
    (place / name).write_text("\n".join(lines) + "\n")


def control(chosen: random.Random) -> str:
    if chosen.random() < 0.3:
        return chosen.choice(CONTROLS)
    results = ["default", *chosen.sample(["success", "auth_err", "user_unknown", "default"], 2)]
    chosen.shuffle(results)
    return f"[{' '.join(f'{result}={chosen.choice(ACTIONS)}' for result in results)}]"


def authenticates(place: Path) -> bool:
    """Return the result of pam_authenticate(3) for the service `x` in this directory."""
    libpam = ctypes.CDLL("libpam.so.0")
    handle = ctypes.c_void_p()
    conversation = Conversation(SAY_NOTHING, None)
    assert libpam.pam_start_confdir(b"x", b"root", ctypes.byref(conversation),
                                    str(place).encode(), ctypes.byref(handle)) == 0  # fmt: skip
    verdict = libpam.pam_authenticate(handle, 0)
    libpam.pam_end(handle, verdict)
    return bool(verdict == 0)
