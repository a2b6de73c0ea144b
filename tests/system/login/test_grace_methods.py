"""grace_period= with codes: what their success rests on, and what google-authenticator has noted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, otp_file, text
from tests.support.grace import DAY, HOME, OFFICE, PLACE, UNASKED
from tests.support.recovery import CODES, recovery_file, write_codes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.sandbox import Account, Log

pytestmark = pytest.mark.usefixtures("no_grace_left")
EMERGENCY = ["12345678", "23456789", "34567891"]


@pytest.fixture
def unasked(client: Path, service: Callable[..., str], log: Log) -> Callable[[str], bool]:
    """Try to log bob in from a host without an answer; tell whether that was enough."""

    def log_in(host: str) -> bool:
        log.clear()
        asked = sandbox.ask_pam(client, "otp-grace", "bob", "--no-response", "--rhost", host)
        assert (asked.verdict == "PAM_SUCCESS") == (UNASKED in log.verdict())
        return asked.verdict == "PAM_SUCCESS"

    return log_in


@pytest.fixture
def codes(client: Path, bob: Account) -> Callable[[str], None]:
    """Give bob a secret, and log in with a code from HOME."""
    sandbox.pam_service(
        "otp-grace", f"auth required {sandbox.DOOR} method=totp {DAY}", *ACCOUNT_LINES
    )
    bob.write(text('" TOTP_AUTH', *EMERGENCY), FILE)

    def log_in(code: str) -> None:
        asked = sandbox.ask_pam(client, "otp-grace", "bob", "--answer", code, "--rhost", HOME)
        assert asked.verdict == "PAM_SUCCESS"

    return log_in


def test_a_code_is_asked_for_once_until_there_is_another_secret(
    bob: Account, codes: Callable[[str], None], unasked: Callable[[str], bool]
) -> None:
    assert not unasked(HOME)
    codes(EMERGENCY[0])
    before = otp_file(bob).read_bytes()
    assert [unasked(HOME), unasked(OFFICE)] == [True, False]
    assert otp_file(bob).read_bytes() != b""
    bob.write(before.replace(b"JBSW", b"JBSX"), FILE)
    assert not unasked(HOME)


def test_what_google_authenticator_has_noted_counts_and_stays(
    bob: Account, client: Path, codes: Callable[[str], None], unasked: Callable[[str], bool]
) -> None:
    """Debian's own module has asked, and Trex comes in its place."""
    google = sandbox.pam_service(
        "otp-google-grace", f"auth required pam_google_authenticator.so {DAY}", *ACCOUNT_LINES
    )
    asked = sandbox.ask_pam(client, google, "bob", "--answer", EMERGENCY[0], "--rhost", HOME)
    assert asked.verdict == "PAM_SUCCESS"
    noted = [line for line in otp_file(bob).read_text().split("\n") if "LAST" in line]
    assert len(noted) == 1
    asked = sandbox.ask_pam(client, google, "bob", "--no-response", "--rhost", HOME)
    assert asked.verdict == "PAM_SUCCESS"
    assert [unasked(HOME), unasked(OFFICE)] == [True, False]
    codes(EMERGENCY[1])
    assert noted[0] in otp_file(bob).read_text()
    assert not (PLACE / str(bob.uid)).exists(), "nobody was asked"


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("LAST0 {host} {now}", True),
        ("LAST9 {host} {now}", True),
        ("LAST0 {host} {later}", False),
        ("LAST0 {host} {yesterday}", False),
        ("LAST0 {host} {boot}", False),
        ("LAST0 {other} {now}", False),
        ("LAST0 {host}", False),
        ("LAST0 {host} {now} 1", False),
        ("LAST0 {host} -1", False),
        ("LAST10 {host} {now}", False),
    ],
)
def test_a_line_of_google_authenticator_s_counts_if_it_is_of_this_host_boot_and_period(
    bob: Account, codes: Callable[[str], None], unasked: Callable[[str], bool], line: str,
    counts: bool,
) -> None:  # fmt: skip
    now = int(time.time())
    booted = int(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))
    told = line.format(host=HOME, other=OFFICE, now=now, later=now + 1000,
                       yesterday=now - 86401, boot=booted - 1)  # fmt: skip
    bob.write(text('" TOTP_AUTH', f'" {told}'), FILE)
    assert unasked(HOME) == counts


def test_a_recovery_code_counts_until_there_are_new_ones(
    bob: Account, client: Path, service: Callable[..., str]
) -> None:
    write_codes(bob)
    day = service("method=recovery", DAY)

    def verdict(*options: str) -> str:
        return sandbox.ask_pam(client, day, "bob", *options, "--rhost", HOME).verdict

    assert verdict("--answer", CODES[0]) == "PAM_SUCCESS"
    assert verdict("--no-response") == "PAM_SUCCESS", "though the file has changed: one is spent"
    content = recovery_file(bob).read_text()
    bob.write(content.replace("salt 00", "salt 01"), recovery_file(bob).name)
    assert verdict("--no-response") == "PAM_AUTH_ERR"


def test_a_recovery_code_that_was_used_is_told_of_also_where_nobody_is_asked(
    bob: Account, client: Path, codes: Callable[[str], None]
) -> None:
    """Whoever has found the sheet could hide behind the owner's grace period."""
    codes(EMERGENCY[0])
    write_codes(bob, spent={CODES[0]: int(time.time())})
    asked = sandbox.ask_pam(client, "otp-grace", "bob", "--no-response", "--rhost", HOME)
    assert asked.verdict == "PAM_SUCCESS"
    assert "a recovery code was used on" in asked.output + asked.prompt
