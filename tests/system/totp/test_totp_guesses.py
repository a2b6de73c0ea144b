"""Guesses of a local user, who can end their own su, and keep it from writing."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, code, here, otp_file, text, write_altered_service

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sandbox import Account, Log


@pytest.fixture(scope="module")
def ended(place: Path) -> str:
    """A service of Trex's that is killed just before it compares."""
    return write_altered_service(
        "otp-ended", "totp/method.py",
        "        self._accepted = self._accepted_codes(self._state, self._now)\n",
        "        __import__('os').kill(__import__('os').getpid(), 9)\n",
    )  # fmt: skip


@pytest.fixture
def limited(bob: Account) -> Account:
    bob.write(text('" TOTP_AUTH', '" RATE_LIMIT 3 3600', "12345678"), FILE)
    return bob


def test_a_guess_counts_however_su_is_ended(limited: Account, client: Path, ended: str) -> None:
    """The time taken can reveal a wrong code: both are counted before that is visible."""
    for number, answer in enumerate([code(here()), "23456789", "000000"], start=1):
        with pytest.raises(AssertionError, match="returncode=-9"):
            sandbox.ask_pam(client, ended, limited.name, "--answer", answer)
        times = re.findall(r" \d{10}\b", otp_file(limited).read_text())
        assert len(times) == number


def test_nothing_is_compared_where_a_guess_cannot_be_counted(
    limited: Account, client: Path, ended: str, log: Log
) -> None:
    """With RLIMIT_FSIZE, and SIGXFSZ ignored, which children of Python inherit."""
    before = otp_file(limited).read_text()
    asked = subprocess.run(
        ["prlimit", "--fsize=0", client, "--answer", "12345678", ended, limited.name],
        capture_output=True, text=True, timeout=60, check=False, restore_signals=False,
    )  # fmt: skip
    assert "\nverdict 9 " in asked.stdout, "PAM_AUTHINFO_UNAVAIL"
    assert "File too large" in log.verdict()
    assert otp_file(limited).read_text() == before
