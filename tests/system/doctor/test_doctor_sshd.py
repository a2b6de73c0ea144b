"""`trex doctor` for sshd's effective settings, as sshd itself reports them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.examination import (
    SSHD,
    TREX,
    checks,
    examine,
    found,
    only,
    write_sshd,
    write_stack,
)

if TYPE_CHECKING:
    from tests.support.sandbox import Account


@pytest.mark.parametrize(
    ("setting", "value", "check", "status"),
    [
        ("UsePAM", "no", "sshd-usepam", 2),
        ("KbdInteractiveAuthentication", "no", "sshd-config", 2),
        ("PasswordAuthentication", "yes", "sshd-password", 1),
        ("AuthenticationMethods", "publickey", "sshd-methods", 2),
        ("AuthenticationMethods", "any", "sshd-methods", 1),
        ("AuthenticationMethods", "publickey publickey,keyboard-interactive", "sshd-methods", 1),
        ("AuthenticationMethods", "keyboard-interactive", "sshd-strangers", 1),
        ("LoginGraceTime", "120", "sshd-grace", 1),
        ("MaxAuthTries", "1", "sshd-tries", 1),
        ("MaxStartups", "10:30:100", "sshd-startups", 1),
        ("MaxStartups", "49", "sshd-startups", 1),
        ("PerSourceMaxStartups", "none", "sshd-source", 0),
        ("UsePAM", "perhaps", "sshd-config", 2),
    ],
)
def test_settings_of_sshd(host: Account, setting: str, value: str, check: str, status: int) -> None:
    write_sshd(**{setting: value})
    report = examine()
    found = [finding["check"] for finding in report["findings"]]
    assert check in found
    assert report["status"] >= status
    assert [f["severity"] for f in report["findings"] if f["check"] == check] == [
        {0: "note", 1: "warning", 2: "error"}[status]
    ]


def test_what_sshd_does_unless_it_is_told_otherwise_is_found(host: Account) -> None:
    without = [line for line in SSHD.read_text().splitlines() if "Startups" not in line]
    SSHD.write_text("\n".join(without) + "\n")
    assert [finding["check"] for finding in examine()["findings"]] == [
        "sshd-startups", "sshd-source",
    ]  # fmt: skip
    assert "found 10:30:100" in found("sshd-startups")["what"]


def test_prompts_that_are_soon_over_may_be_as_many_as_sshd_has_it(host: Account) -> None:
    write_stack("required {trex} timeout=90")
    write_sshd(MaxStartups="10:30:100", PerSourceMaxStartups="none", LoginGraceTime="120")
    assert examine()["findings"] == []


def test_another_service_than_the_one_that_is_looked_at(host: Account) -> None:
    """A setting from OpenSSH 9.8 on; an older sshd does not start with it."""
    told = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    version = tuple(int(number) for number in re.findall(r"\d+", told)[:2])
    write_sshd(PAMServiceName="sshd-otp")
    assert checks() == [("sshd-service" if version >= (9, 8) else "sshd-config", "error")]


def test_no_questions(host: Account) -> None:
    write_sshd(KbdInteractiveAuthentication="no", AuthenticationMethods="any")
    found = {finding["check"] for finding in examine()["findings"]}
    assert found == {"sshd-kbdinteractiveauthentication", "sshd-methods"}


def test_a_match_block_counts_for_the_user_that_it_names(host: Account) -> None:
    SSHD.write_text(
        SSHD.read_text() + "Match User alice\n  AuthenticationMethods publickey\nMatch all\n"
    )
    finding = only("--user", "alice")
    assert (finding["check"], finding["severity"]) == ("sshd-methods", "error")


def test_root_over_ssh(host: Account, place: Path) -> None:
    report = examine("--user", "root")
    assert {"sshd-root", "record-NoRecord"} == {finding["check"] for finding in report["findings"]}


def test_sshd_is_looked_at_also_where_trex_has_a_wrong_argument(host: Account) -> None:
    write_stack("required {trex} metod=totp")
    write_sshd(UsePAM="no")
    findings = examine("--user", "alice")["findings"]
    found = [finding["check"] for finding in findings]
    assert "pam-arguments" in found
    assert "sshd-usepam" in found
    assert "left-out" not in found


def test_who_is_not_root_is_not_told_what_sshd_decides(sender: Account) -> None:
    write_stack("required {trex} method=sms")
    assert checks(account=sender) == []
    su = Path("/etc/pam.d/doctor-su")
    su.write_text(f"auth required {TREX} method=sms\n")
    assert checks("--service", "doctor-su", account=sender) == [("pam-sms-first", "warning")]
    su.unlink()
