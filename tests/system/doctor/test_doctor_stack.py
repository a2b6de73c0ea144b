"""`trex doctor` for the stack: what libpam makes of it, and lines of several methods."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox
from tests.codes import FILE
from tests.examination import SERVICE, checks, examine, only, secret, write_stack
from trex.doctor.dispatch import lets_in
from trex.doctor.stack import read_stack

if TYPE_CHECKING:
    from tests.sandbox import Account


@pytest.mark.parametrize(
    ("lines", "check"),
    [
        ("auth optional {trex}", "pam-optional"),
        ("auth required {trex} timeout=0", "pam-arguments"),
        ("auth required {trex} run_as=nobody-there", "pam-arguments"),
        ("auth sufficient pam_unix.so\nauth required {trex}", "pam-around"),
        ("auth required {trex}\n@include nowhere", "pam-syntax"),
        ("@include common-auth", "pam-absent"),
    ],
)
def test_stacks_that_do_not_hold(host: Account, lines: str, check: str) -> None:
    SERVICE.write_text(lines.format(trex=f"pam_python.so {sandbox.ENTRY}") + "\n")
    assert check in [finding["check"] for finding in examine()["findings"]]
    assert examine()["status"] == 2


def test_sudo_without_secure_path(host: Account) -> None:
    service, sudoers = Path("/etc/pam.d/sudo"), Path("/etc/sudoers")
    kept = service.read_bytes(), sudoers.read_bytes()
    service.write_text(f"auth required pam_python.so {sandbox.ENTRY}\n")
    try:
        assert examine("--service", "sudo")["findings"] == []
        sudoers.write_bytes(kept[1].replace(b"secure_path", b"#secure_path"))
        assert only("--service", "sudo")["check"] == "sudo-path"
    finally:
        service.write_bytes(kept[0])
        sudoers.write_bytes(kept[1])


def test_the_stack_is_played_as_libpam_plays_it(client: Path) -> None:
    """pam-u2f #330: a stack that had worked was another one. Two hundred of them, asked for real."""
    draw = random.Random(4)  # noqa: S311 (the same stacks at each run)
    controls = ["required", "requisite", "sufficient", "optional", "[success=1 default=ignore]",
                "[success=2 default=bad]", "[default=1]", "[success=done default=die]",
                "[success=ok default=reset]", "[success=reset default=ok]",
                "[success=ignore default=bad]", "[success=bad default=done]", "[default=die]"]  # fmt: skip
    modules = {"pam_permit.so": "success", "pam_deny.so": "auth_err"}
    answers = set()
    for number in range(200):
        lines = [f"auth {draw.choice(controls)} {draw.choice([*modules])}"
                 for _ in range(draw.randint(1, 5))]  # fmt: skip
        if number % 3 == 0:
            sandbox.pam_service("trex-sub", *lines)
            lines = [f"auth {draw.choice(controls)} {draw.choice([*modules])}",
                     "auth substack trex-sub", f"auth {draw.choice(controls)} pam_permit.so"]  # fmt: skip
        name = sandbox.pam_service("trex-played", *lines)
        rules = read_stack(name).rules
        mine = lets_in(rules, [modules.get(rule.name, "success") for rule in rules])
        theirs = sandbox.ask_pam(client, name, "root").numbers("verdict") == [0]
        assert mine == theirs, [(rule.level, rule.control, rule.module) for rule in rules]
        answers.add(mine)
    assert answers == {True, False}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["sufficient {trex}", "required {trex} method=totp"], []),
        (["sufficient {trex} nullok", "required {trex} method=totp"], []),
        (["sufficient {trex} nullok", "required {trex} method=totp nullok"],
         [("pam-nullok", "warning")]),
        (["required {trex} nullok", "required {trex} method=totp"], [("pam-nullok", "warning")]),
        (["required {trex}", "required {trex} method=totp"], []),
        (["required {trex} method=totp", "required {trex} method=totp"], [("pam-twice", "warning")]),
        (["required {trex} method=totp use_first_pass"], [("pam-password", "error")]),
        (["requisite pam_unix.so", "required {trex} method=totp use_first_pass"], []),
        (["required {trex} method=totp forward_pass"], [("pam-password", "warning")]),
        (["requisite {trex} method=totp forward_pass", "required pam_unix.so use_first_pass"], []),
        (["sufficient {trex} method=totp", "required pam_deny.so"], [("pam-sufficient", "warning")]),
    ],
)  # fmt: skip
def test_lines_in_combination(
    coder: Account, lines: list[str], expected: list[tuple[str, str]]
) -> None:
    write_stack(*lines)
    assert [pair for pair in checks("--user", "alice") if pair[0].startswith("pam-")] == expected


def test_one_of_two_ways_is_enough(coder: Account) -> None:
    write_stack("sufficient {trex}", "required {trex} method=totp")
    assert checks("--user", "alice") == []
    coder.record.unlink()
    assert checks("--user", "alice") == [("record-NoRecord", "warning")]
    assert checks() == [("record-nobody", "warning")]
    (coder.home / FILE).unlink()
    assert checks("--user", "alice") == [("record-NoRecord", "error"), ("totp-NoRecord", "error")]
    assert checks() == [("record-nobody", "error"), ("totp-nobody", "error")]
    coder.write(secret(), FILE)
    write_stack("required {trex}", "required {trex} method=totp")
    assert checks("--user", "alice") == [("record-NoRecord", "error")]
    write_stack("sufficient {trex}", *["required {trex} method=totp"] * 2)
    assert ("record-NoRecord", "error") in checks("--user", "alice")
