"""Ways in beside Trex, by Match block: the real sshd lets in unasked, and the doctor names the block."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.examination import SSHD, checks, defects, examine, found
from tests.support.hostsshd import HostSshd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

EITHER = "AuthenticationMethods publickey publickey,keyboard-interactive:pam"
TOLD = Path("/etc/trex/doctor.toml")


@pytest.fixture
def server(host: Account, holder: Holder) -> HostSshd:
    server = HostSshd(holder)
    server.give_key(host)
    return server


@pytest.fixture
def exempt() -> Iterator[Path]:
    """The file in which whoever runs the host says what is so by intention."""
    made = not TOLD.parent.exists()
    TOLD.parent.mkdir(exist_ok=True)
    yield TOLD
    TOLD.unlink(missing_ok=True)
    if made:
        TOLD.parent.rmdir()


def configure(*lines: str) -> None:
    SSHD.write_text(SSHD.read_text() + "".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    ("block", "by", "severity"),
    [
        ("Match User alice\n  AuthenticationMethods publickey", "Match User alice", "error"),
        ("Match Group al*\n  AuthenticationMethods publickey", "Match Group al*", "error"),
        ("Match Address 127.0.0.0/8\n  AuthenticationMethods publickey",
         "Match Address 127.0.0.0/8", "error"),
        ("Match LocalPort 1\nMatch LocalAddress 127.0.0.1 User a*,!anna # in the rack\n  " + EITHER,
         "Match LocalAddress 127.0.0.1 User a*,!anna # in the rack", "warning"),
    ],
)  # fmt: skip
def test_a_match_block_that_lets_in_unasked_is_named_with_its_users(
    server: HostSshd, host: Account, block: str, by: str, severity: str
) -> None:
    assert server.asks(host)
    configure(block)
    assert not server.asks(host)
    finding = found("sshd-methods")
    assert finding["severity"] == severity
    number = 8 + [line for line in block.splitlines() if "Match" in line].index(by)
    assert finding["what"].endswith(f", by {by} ({SSHD}:{number})")
    assert ("from 127.0.0.1" in finding["what"]) == (by == "Match Address 127.0.0.0/8")
    assert finding["subject"] == ("" if by == "Match Address 127.0.0.0/8" else "alice")
    assert "[[exempt]]" in finding["why"]
    subprocess.run(["bash", "-ec", finding["fix"]], check=True)
    assert server.asks(host)
    assert checks() == []


def test_users_who_are_not_set_up_are_named_too(
    server: HostSshd, host: Account, bob: Account, carol: Account
) -> None:
    server.give_key(bob)
    configure("Match User bob,carol", "  AuthenticationMethods publickey")
    assert not server.asks(bob)
    finding = found("sshd-methods")
    assert finding["what"].startswith("bob, carol: sshd has AuthenticationMethods publickey, by ")
    configure("Match all", "DenyUsers bob")
    assert not server.lets_in(bob)
    assert found("sshd-methods")["subject"] == "carol"


def test_a_block_for_everybody_does_not_list_all_accounts(host: Account) -> None:
    configure("Match Address 10.0.0.0/8", "  AuthenticationMethods publickey")
    what = found("sshd-methods")["what"]
    assert what.startswith("alice, root, ")
    assert " more: sshd has AuthenticationMethods publickey from 10.0.0.1, by Match Address" in what


def test_who_is_exempt_by_intention_is_a_note(
    server: HostSshd, host: Account, bob: Account, exempt: Path
) -> None:
    server.give_key(bob)
    configure("Match User bob", "  AuthenticationMethods publickey")
    assert not server.asks(bob)
    assert checks() == [("sshd-methods", "error")]
    exempt.write_text('[[exempt]]\nuser = "bob"\nreason = "the nightly backup"\n')
    assert defects() == []
    finding = found("exempt")
    assert (finding["severity"], finding["subject"]) == ("note", "bob")
    assert finding["why"] == "the nightly backup"


def test_who_is_exempt_for_some_addresses_is_not_from_others(
    host: Account, bob: Account, exempt: Path
) -> None:
    exempt.write_text('[[exempt]]\nuser = "bob"\nreason = "the backup"\naddress = "10.0.0.0/8"\n')
    configure("Match User bob Address 10.0.0.0/8", "  AuthenticationMethods publickey")
    assert defects() == []
    configure("Match User bob Address 192.0.2.0/24", "  AuthenticationMethods publickey")
    finding = found("sshd-methods")
    assert "bob: " in finding["what"]
    assert "from 192.0.2.1, by Match User bob Address 192.0.2.0/24" in finding["what"]


@pytest.mark.parametrize(
    ("block", "check"),
    [
        ("Match Address 10.0.0.0/8\n  PasswordAuthentication yes", "sshd-password"),
        ("Match User alice\n  AuthenticationMethods keyboard-interactive:pam", "sshd-strangers"),
        ("Match LocalPort 2222\n  MaxAuthTries 1", "sshd-tries"),
    ],
)
def test_other_settings_of_a_block_are_found_and_the_command_takes_them_away(
    host: Account, block: str, check: str
) -> None:
    configure(block)
    finding = found(check)
    assert finding["what"].startswith("alice: sshd has ")
    assert f", by {block.splitlines()[0]} ({SSHD}:8)" in finding["what"]
    subprocess.run(["bash", "-ec", finding["fix"]], check=True)
    assert examine()["findings"] == []


def test_a_block_that_changes_nothing_of_this_is_no_finding(host: Account) -> None:
    configure("Match LocalPort 2222 Host *.example.org RDomain x", "  X11Forwarding no",
              "Match Group root", "  AuthenticationMethods publickey,keyboard-interactive")  # fmt: skip
    assert examine()["findings"] == []
