"""`trex doctor` where a user gets in without being asked, compared with libpam."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.examination import checks, found, write_sshd, write_stack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sandbox import Account

WITHOUT_A_KEY = {"AuthenticationMethods": "keyboard-interactive:pam"}


@pytest.mark.parametrize(
    ("stack", "lets_in"),
    [
        (["required {trex} nullok", "required pam_permit.so"], True),
        (["required pam_faildelay.so", "required {trex} nullok", "optional pam_permit.so"], True),
        (["sufficient {trex} nullok", "required {trex} method=totp nullok", "required pam_permit.so"], True),
        (["required {trex} nullok"], False),
        (["required {trex} nullok", "required {trex} method=totp", "required pam_permit.so"], False),
        (["[success=1 ignore=ignore default=die] {trex} nullok", "requisite pam_unix.so",
          "required pam_permit.so"], False),
    ],
)  # fmt: skip
def test_nullok_where_nobody_else_asks(
    host: Account, bob: Account, client: Path, stack: list[str], lets_in: bool
) -> None:
    """bob has no record, and nobody's password."""
    write_sshd(**WITHOUT_A_KEY)
    write_stack(*stack)
    assert (sandbox.ask_pam(client, "sshd", "bob").verdict == "PAM_SUCCESS") == lets_in
    assert (("pam-unasked", "error") in checks("--user", "alice")) == lets_in


def test_nullok_behind_an_ssh_key_is_a_warning_only(host: Account) -> None:
    """Users with an SSH key are enrolled like this: sshd asks for the key."""
    write_stack("required {trex} nullok", "required pam_permit.so")
    assert checks() == [("pam-nullok", "warning")]
    write_sshd(**WITHOUT_A_KEY)
    assert "system accounts" in found("pam-unasked")["why"]
