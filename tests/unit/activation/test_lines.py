"""Which lines `trex activate` writes into a PAM service, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trex.cli.activation import lines
from trex.cli.activation.lines import Choice, check_choice, with_lines
from trex.cli.errors import CommandError
from trex.errors import OptionError

ROOT = Path(__file__).resolve().parents[3]
SSHD = """\
# PAM configuration for the Secure Shell service

# Standard Un*x authentication.
@include common-auth

account    required     pam_nologin.so
@include common-account
"""
CENTRAL = "auth_file=/etc/trex/users/%u gnupg_home=/var/lib/trex/gnupg run_as=_trex"
CENTRAL_CODES = "secret=/var/lib/trex/totp/%u run_as=_trex-totp"


@pytest.fixture(autouse=True)
def everything_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "files_of", lambda name: [name])


def added(choice: Choice, text: str = SSHD) -> list[str]:
    """Return the lines that are new, without the comment; all others are as before."""
    after = with_lines(text, choice, "/etc/pam.d/sshd").split("\n")
    before = text.split("\n")
    start = next(n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b)
    kept = len(before) - start - 1
    assert after[len(after) - kept :] == before[start + 1 :]
    comment, _command, *new = after[start : len(after) - kept]
    assert comment.startswith("# Trex in the place of")
    return new


def shown(page: str, heading: str) -> list[str]:
    """Return the first block of auth lines below a heading, with single spaces."""
    text = (ROOT / page).read_text("utf-8").partition(f"\n{heading}\n")[2]
    block = re.search(r"((?:^    (?:auth|@include) .*\n)+)", text, re.MULTILINE)
    assert block
    return [" ".join(line.split()) for line in block[1].splitlines()]


def squeezed(found: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in found]


def test_one_line_takes_the_place_of_the_one_that_asks_for_a_password() -> None:
    assert added(Choice("sshd")) == ["auth  required  pam_trex.so"]
    assert added(Choice("sshd", door="python")) == ["auth  required  pam_python.so pam_trex.py"]


def test_sudo_and_su_have_records_of_root_s_without_being_told() -> None:
    assert added(Choice("sudo")) == [f"auth  required  pam_trex.so {CENTRAL}"]
    assert added(Choice("sshd", central=True)) == [f"auth  required  pam_trex.so {CENTRAL}"]
    codes = added(Choice("sshd", ("totp",), central=True))
    assert codes == [f"auth  required  pam_trex.so method=totp {CENTRAL_CODES}"]


def test_the_lines_with_faillock_are_those_of_the_page() -> None:
    found = squeezed(added(Choice("sshd", door="python", with_faillock=True)))
    assert found == shown("docs/configuration.md", "### With pam_faillock")


def test_the_lines_for_two_methods_are_those_of_the_readme() -> None:
    found = squeezed(added(Choice("sshd", ("openpgp", "totp"), door="python")))
    assert found == shown("README.md", "## Codes and PINs")


@pytest.mark.parametrize("service", ["sshd", "sudo"])
def test_in_central_mode_the_lines_for_recovery_codes_are_those_of_the_page(service: str) -> None:
    """By any other line users could write their own codes, and become root by them."""
    choice = Choice(service, ("openpgp", "recovery"), central=True)
    assert squeezed(added(choice)) == shown("docs/recovery.md", "## Central mode")


def test_with_nullok_whoever_has_no_record_goes_on_to_what_stood_there() -> None:
    assert squeezed(added(Choice("sshd", nullok=True))) == [
        "auth [success=1 ignore=ignore default=die] pam_trex.so nullok",
        "auth substack common-auth",
        "auth required pam_permit.so",
    ]


def test_a_pin_comes_after_the_password_or_the_ssh_key() -> None:
    assert squeezed(added(Choice("login", ("sms",)))) == [
        "@include common-auth", "auth required pam_trex.so method=sms",
    ]  # fmt: skip
    assert squeezed(added(Choice("sshd", ("sms",)))) == ["auth required pam_trex.so method=sms"]


@pytest.mark.parametrize(
    "choice",
    [
        Choice("sudo", door="python"),
        Choice("su", door="python"),
        Choice("sudo", ("totp",)),
        Choice("sshd", with_faillock=True, nullok=True),
        Choice("sshd", ("openpgp", "totp"), with_faillock=True),
        Choice("sshd", ("sms", "openpgp")),
        Choice("sshd", ("openpgp", "totp"), nullok=True),
    ],
)
def test_what_would_be_weak_is_refused(choice: Choice) -> None:
    with pytest.raises(CommandError):
        check_choice(choice)


def test_an_argument_that_the_method_does_not_know_is_refused() -> None:
    with pytest.raises((OptionError, CommandError)):
        check_choice(Choice("sshd", ("nothing",)))


@pytest.mark.parametrize(
    "text",
    [
        SSHD.replace("@include common-auth", "auth required pam_unix.so"),
        SSHD + "@include common-auth\n",
        SSHD.replace("@include common-auth", "auth required pam_python.so pam_trex.py"),
        "auth optional pam_trex.so\n" + SSHD,
    ],
)
def test_a_file_that_is_not_as_expected_is_left_to_its_administrator(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        with_lines(text, Choice("sshd"), "/etc/pam.d/sshd")
    assert "nothing was changed" in caught.value.hint


def test_a_trex_in_a_comment_is_none() -> None:
    assert added(Choice("sshd"), "# pam_trex.so was here\n" + SSHD)


@pytest.mark.parametrize("line", ["auth include system-auth", "auth\tsubstack\tpassword-auth"])
def test_other_systems_names_for_the_included_file_are_known(line: str) -> None:
    assert added(Choice("sshd"), SSHD.replace("@include common-auth", line))


def test_every_byte_that_is_no_trex_line_stays() -> None:
    odd = "\ufeff# caf\udce9\r\nauth optional pam_faildelay.so\r\n" + SSHD.removesuffix("\n")
    assert added(Choice("sshd"), odd)
