"""`trex doctor` for lines of several methods in one stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.codes import FILE
from tests.examination import checks, secret, write_sshd, write_stack

if TYPE_CHECKING:
    from tests.sandbox import Account


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["sufficient {trex}", "required {trex} method=totp"], []),
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


def test_a_pin_before_anything_else(sender: Account) -> None:
    stranger = ("pam-sms-first", "warning")
    for lines, expected in (
        (["required {trex} method=sms"], True),
        (["required pam_unix.so", "required {trex} method=sms"], True),
        (["sufficient {trex}", "required {trex} method=sms"], True),
        (["[success=1 default=ignore] pam_unix.so", "requisite pam_deny.so",
          "required {trex} method=sms"], False),
        (["requisite {trex}", "required {trex} method=sms"], False),
        (["requisite pam_unix.so", "required {trex} method=sms"], False),
    ):  # fmt: skip
        write_stack(*lines)
        assert stranger not in checks("--user", "alice"), "the SSH key comes first"
        write_sshd(AuthenticationMethods="keyboard-interactive:pam")
        assert (stranger in checks("--user", "alice")) is expected, lines
        write_sshd()
