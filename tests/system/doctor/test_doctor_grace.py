"""`trex doctor` where a grace period lets somebody in unasked, compared with libpam."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.examination import checks, found, write_sshd, write_stack
from tests.support.grace import DAY, HOME, PLACE, UNASKED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log

WITHOUT_A_KEY = {"AuthenticationMethods": "keyboard-interactive:pam"}
ALONE, SKIPS = ("pam-grace", "error"), ("pam-grace", "warning")


@pytest.fixture(autouse=True)
def no_grace_left() -> Iterator[None]:
    yield
    shutil.rmtree(PLACE, ignore_errors=True)


@pytest.mark.parametrize(
    ("stack", "told"),
    [
        ([f"required {{trex}} {DAY}"], [ALONE]),
        ([f"required {{trex}} {DAY}", "required pam_permit.so"], [ALONE]),
        ([f"required {{trex}} {DAY}", "required pam_unix.so"], []),
        ([f"sufficient {{trex}} {DAY}", "required pam_unix.so"], [SKIPS]),
        ([f"[success=1 default=ignore] {{trex}} {DAY}", "requisite pam_unix.so",
          "required pam_permit.so"], [SKIPS]),
        ([f"sufficient {{trex}} {DAY}", "required {trex} method=totp"], [ALONE]),
        ([f"required {{trex}} {DAY}", "required {trex} method=totp"], []),
        ([f"required {{trex}} {DAY}", f"required {{trex}} method=totp {DAY}"], [ALONE]),
        (["required {trex}"], []),
    ],
)  # fmt: skip
def test_what_is_asked_while_it_lasts(
    host: Account, stack: list[str], told: list[tuple[str, str]]
) -> None:
    write_sshd(**WITHOUT_A_KEY)
    write_stack(*stack)
    assert [one for one in checks("--user", "alice") if one[0] == "pam-grace"] == told


def test_what_it_calls_open_is_open(host: Account, client: Path, holder: Holder, log: Log) -> None:
    """libpam's verdict, in the period, without any answer."""
    write_stack(f"sufficient {{trex}} {DAY}", "required pam_unix.so")
    options = ("--answer-with", holder.command(), "--rhost", HOME)
    assert sandbox.ask_pam(client, "sshd", "alice", *options).verdict == "PAM_SUCCESS"
    silent = ("--no-response", "--rhost", HOME)
    assert sandbox.ask_pam(client, "sshd", "alice", *silent).numbers("verdict") == [0]
    write_stack(f"required {{trex}} {DAY}", "required pam_unix.so")
    log.clear()
    assert sandbox.ask_pam(client, "sshd", "alice", *silent).numbers("verdict") != [0]
    assert UNASKED in log.verdict(), "by pam_unix alone"


def test_behind_an_ssh_key_it_is_as_it_should_be(host: Account) -> None:
    write_stack(f"required {{trex}} {DAY}")
    assert "pam-grace" not in [name for name, _ in checks()]


def test_a_place_that_others_can_write_is_a_warning(host: Account) -> None:
    write_stack(f"required {{trex}} {DAY}")
    PLACE.mkdir()
    PLACE.chmod(0o777)
    assert found("grace-place")["fix"] == f"rm -r {PLACE}"
