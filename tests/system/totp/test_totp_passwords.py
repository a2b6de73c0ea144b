"""Codes and passwords in one answer: from earlier modules, and for later ones."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, code, here, otp_file, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Log


@pytest.mark.parametrize("stack", ["trex", "google"])
def test_passwords_from_and_for_other_modules(
    bob: Account, otp: Callable[..., bool], stack: str
) -> None:
    subprocess.run(["chpasswd"], input="bob:pass word", text=True, check=True)
    bob.write(
        text('" TOTP_AUTH', '" DISALLOW_REUSE', '" WINDOW_SIZE 9', "12345678", "23456789"), FILE
    )
    now = here()
    assert otp(f"{stack} forward", bob, f"pass word{code(now)}")
    assert not otp(f"{stack} forward", bob, f"pass word{code(now)}")
    assert not otp(f"{stack} forward", bob, f"password{code(now + 1)}")
    assert not otp(f"{stack} forward", bob, f"pass word {code(now - 1)}")
    assert otp(f"{stack} forward", bob, "pass word12345678")
    assert otp(f"{stack} use", bob, code(now + 2))
    assert otp(f"{stack} use", bob, f"whatever{code(now + 3)}")
    assert not otp(f"{stack} use", bob, "pass word")
    assert otp(f"{stack} try", bob, f"pass word{code(now - 2)}")
    assert otp(f"{stack} try", bob, "23456789"), "asked again, and answered with the same"


def test_a_guess_in_an_earlier_password_counts_although_nobody_answers_the_prompt(
    bob: Account, client: Path, stacks: dict[str, str], log: Log
) -> None:
    """Otherwise `try_first_pass` would allow endless guesses; google-authenticator counts it, too."""
    subprocess.run(["chpasswd"], input="bob:password", text=True, check=True)
    bob.write(text('" TOTP_AUTH', '" RATE_LIMIT 3 3600', "12345678"), FILE)
    hang_up = "read -r prompt; case $prompt in Pass*) echo 11111111;; *) kill -9 $PPID;; esac"
    for number in range(3):
        with pytest.raises(AssertionError, match="returncode=-9"):
            sandbox.ask_pam(client, stacks["trex try"], "bob", "--answer-with", hang_up)
        assert len(re.findall(r"\b\d{10}\b", otp_file(bob).read_text())) == number + 1
    asked = sandbox.ask_pam(client, stacks["trex try"], "bob", "--answer", "12345678")
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "more than 3 attempts in 3600 seconds" in log.verdict()


def test_a_login_counts_once_also_where_a_password_is_tried_first(
    bob: Account, otp: Callable[..., bool]
) -> None:
    for stack in ("trex try", "google try"):
        bob.write(text('" TOTP_AUTH', '" RATE_LIMIT 3 30', "12345678"), FILE)
        assert not otp(stack, bob, "11111111")
        assert otp(stack, bob, "12345678")
        assert len(re.findall(r"\b\d{10}\b", otp_file(bob).read_text())) == 2
