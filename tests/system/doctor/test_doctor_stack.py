"""`trex doctor` for the stack: libpam's verdict, and lines with several methods."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE
from tests.support.command import options_of, trex
from tests.support.examination import SERVICE, checks, examine, found, only, secret, write_stack
from trex.cli.doctor.dispatch import lets_in
from trex.cli.doctor.stack import read_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys


@pytest.mark.usefixtures("door")
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
    SERVICE.write_text(lines.format(trex=sandbox.DOOR) + "\n")
    assert check in [finding["check"] for finding in examine()["findings"]]
    assert examine()["status"] == 2


@pytest.mark.parametrize(
    ("service", "method", "found"),
    [
        ("sudo", "openpgp", True), ("sudo-i", "openpgp", True), ("doas", "openpgp", True),
        ("polkit-1", "openpgp", True), ("sudo", "totp", True), ("su", "openpgp", False),
        ("sshd", "openpgp", False),
    ],
)  # fmt: skip
def test_what_gives_more_than_the_user_is_not_asked_by_a_file_of_the_user_s(
    host: Account, stack: Callable[..., Path], service: str, method: str, *, found: bool
) -> None:
    stack(service, f"method={method}")
    assert (("own-record", "error") in checks("--service", service)) == found


def test_sudo_in_central_mode_is_sound(
    host: Account, stack: Callable[..., Path], central: list[str], holder: Holder, keys: Keys,
    native_door: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(sandbox, "DOOR", str(native_door))
    stack("sudo")
    assert "auth_file=/etc/trex/users/%u" in only("--service", "sudo")["fix"]
    key = holder.public(keys["cv25519"])
    words = ["--central", *options_of(central), "--user", "alice", "--key", "-", "--yes"]
    assert trex("enroll", *words, stdin=key).returncode == 0
    stack("sudo", *central)
    assert examine("--service", "sudo")["findings"] == []


@pytest.mark.parametrize(
    ("control", "module", "found"),
    [
        ("requisite", "pam_not_there.so", True), ("required", "pam_not_there.so", True),
        ("required", "/opt/pam_not_there.so", True), ("optional", "pam_not_there.so", False),
        ("[success=ok module_unknown=ignore default=die]", "pam_not_there.so", False),
        ("required", "pam_permit.so", False),
    ],
)  # fmt: skip
def test_a_module_that_is_not_there_refuses_and_is_found(
    host: Account, client: Path, control: str, module: str, *, found: bool
) -> None:
    """As in a stack that was copied from another host: `Module is unknown`."""
    lines = [f"{control} {module}", "required pam_permit.so"]
    name = sandbox.pam_service("trex-missing", *(f"auth {line}" for line in lines))
    assert (sandbox.ask_pam(client, name, "root").numbers("verdict") != [0]) == found
    write_stack(lines[0], "required {trex}")
    assert checks() == [("pam-missing", "error")] * found


def test_what_is_advised_for_a_service_without_trex(host: Account) -> None:
    SERVICE.write_text("@include common-auth\n")
    assert found("pam-absent")["fix"].startswith("sed -i 's|^@include common-auth$|auth  required")
    advice = found("pam-absent", "--service", "sudo")["fix"]
    assert " run_as=_trex" in advice
    assert "there is no /etc/pam.d/sshe" in found("pam-absent", "--service", "sshe")["fix"]


def test_the_stack_is_played_as_libpam_plays_it(client: Path) -> None:
    """pam-u2f #330: stacks that libpam reads differently. Two hundred, run by the real libpam."""
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


@pytest.mark.usefixtures("door")
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


@pytest.mark.usefixtures("door")
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


@pytest.mark.parametrize(
    ("lines", "module"),
    [
        (["required pam_env.so", "sufficient pam_unix.so", "required {trex}"], "pam_unix.so"),
        (["required pam_env.so", "[success=2 default=ignore] pam_unix.so", "required {trex}",
          "requisite pam_deny.so", "required pam_permit.so"], "pam_unix.so"),
        (["requisite pam_nologin.so", "required pam_env.so",
          "[success=1 default=ignore] pam_ldap.so", "required {trex}", "required pam_faildelay.so"],
         "pam_ldap.so"),
        (["required pam_env.so", "sufficient pam_succeed_if.so user = alice", "required {trex}"],
         "pam_succeed_if.so"),
        (["optional pam_env.so", "[default=ignore] {trex}", "required pam_unix.so"], "pam_unix.so"),
        (["[default=ignore] {trex}", "required pam_env.so"], "pam_env.so"),
        (["[default=ignore] {trex}", "required pam_permit.so"], "pam_permit.so"),
    ],
)  # fmt: skip
def test_the_module_that_lets_in_is_named_and_where_it_is(
    host: Account, lines: list[str], module: str
) -> None:
    write_stack(*lines)
    finding = found("pam-around")
    where = next(number for number, line in enumerate(lines, start=1) if module in line)
    named = f"around Trex: {module} at {SERVICE}:{where}"
    assert finding["what"].partition(": if ")[0].endswith(named)
