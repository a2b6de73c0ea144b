"""Verdicts of method=totp and method=sms, whatever fails: who steps aside, and who does not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, SECRET, otp_file, text, write_altered_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account, Asked, Log

PHONES, SETTINGS = Path("/etc/trex/phones"), Path("/etc/trex/sms.toml")
REFUSED = "could not check"
NONE = "no record"
EMERGENCY = "12345678"


@pytest.fixture
def before_permit(client: Path, log: Log) -> Iterator[Callable[..., Asked]]:
    """Log in where another module says yes: PAM_IGNORE lets in there, an error does not."""
    made: list[str] = []

    def log_in(user: str, *arguments: str, options: tuple[str, ...] = ()) -> Asked:
        line = f"auth required pam_python.so {sandbox.ENTRY} {' '.join(arguments)}"
        made.append(sandbox.pam_service(
            f"trex-aside-{len(made)}", line, "auth required pam_permit.so", *ACCOUNT_LINES
        ))  # fmt: skip
        log.clear()
        return sandbox.ask_pam(client, made[-1], user, *(options or ("--answer", EMERGENCY)))

    yield log_in
    for name in made:
        (sandbox.PAM_SERVICES / name).unlink()


def unlink(user: Account) -> None:
    otp_file(user).unlink()


def make_a_link(user: Account) -> None:
    otp_file(user).rename(user.home / "elsewhere")
    otp_file(user).symlink_to(user.home / "elsewhere")


def lead_nowhere(user: Account) -> None:
    otp_file(user).unlink()
    otp_file(user).symlink_to(user.home / "nothing")


def make_a_directory(user: Account) -> None:
    otp_file(user).unlink()
    otp_file(user).mkdir()


def give_to_root(user: Account) -> None:
    os.chown(otp_file(user), 0, 0)


def shut_the_home(user: Account) -> None:
    user.home.chmod(0)


def make_the_home_a_file(user: Account) -> None:
    shutil.rmtree(user.home)
    user.home.write_text("not a directory")


TOTP: list[tuple[Callable[[Account], object], tuple[str, ...], str]] = [
    (unlink, (), NONE),
    (make_a_link, (), REFUSED),
    (lead_nowhere, (), REFUSED),
    (make_a_directory, (), REFUSED),
    (give_to_root, (), REFUSED),
    (shut_the_home, (), REFUSED),
    (make_the_home_a_file, (), REFUSED),
    (lambda user: user.write("", FILE), (), REFUSED),
    (lambda user: user.write(b"A" * 70_000, FILE), (), REFUSED),
    (lambda user: user.write(text('" RATE_LIMIT x'), FILE), (), REFUSED),
    (lambda user: user.write(text('" RATE_LIMIT 1 3600 ' + "9" * 20), FILE), (), REFUSED),
    (lambda user: otp_file(user).chmod(0o644), (), REFUSED),
    (lambda user: user.home.chmod(0o777), (), REFUSED),
    (lambda _: None, ("digits=6",), REFUSED),
    (lambda _: None, ("secret=relative",), REFUSED),
    (lambda _: None, ("secret=/home/${USER}/.google_authenticator",), REFUSED),
    (lambda _: None, ("secret=~/.google_authenticator",), REFUSED),
    (lambda _: None, ("user=bob",), REFUSED),
    (lambda _: None, ("run_as=no-such",), REFUSED),
    (lambda _: None, ("run_as=root",), REFUSED),
    (lambda _: None, ("fleet", "sms_file=/etc/no-such"), REFUSED),
    (unlink, ("nullok",), REFUSED),
]


@pytest.mark.parametrize(("spoil", "arguments", "outcome"), TOTP)
def test_a_code_is_not_asked_for_only_where_there_is_no_file(
    bob: Account, before_permit: Callable[..., Asked], log: Log,
    spoil: Callable[[Account], object], arguments: tuple[str, ...], outcome: str,
) -> None:  # fmt: skip
    """Advisory CVE-2025-23013, and google-authenticator-libpam #55: `nullok` was PAM_SUCCESS."""
    bob.write(text('" TOTP_AUTH', EMERGENCY), FILE)
    spoil(bob)
    asked = before_permit("bob", "method=totp", "nullok", *arguments)
    if outcome == NONE:
        assert asked.verdict == "PAM_SUCCESS", "pam_permit's: Trex has stepped aside"
        assert "not asked, because of nullok" in log.verdict()
        log.clear()
        asked = before_permit("bob", "method=totp", *arguments)
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f": {outcome}: " in log.verdict()
    if bob.home.is_file():
        bob.home.unlink()
        bob.home.mkdir()
    bob.home.chmod(0o755)


@pytest.mark.parametrize(
    ("meanwhile", "verdict", "outcome"),
    [
        ("rm {0}", "PAM_AUTHINFO_UNAVAIL", NONE),
        ("chmod 644 {0}", "PAM_AUTHINFO_UNAVAIL", REFUSED),
        ("echo > {0}", "PAM_AUTHINFO_UNAVAIL", REFUSED),
        ("ln -sf /etc/passwd {0}", "PAM_AUTHINFO_UNAVAIL", REFUSED),
        ("mkdir $(dirname {0})/.$(basename {0})~", "PAM_AUTHINFO_UNAVAIL", REFUSED),
    ],
)
def test_what_becomes_of_the_file_while_the_prompt_is_open_opens_no_door(
    bob: Account, before_permit: Callable[..., Asked], log: Log, meanwhile: str, verdict: str, outcome: str
) -> None:  # fmt: skip
    """`nullok` is for those who had no file when they were to be asked."""
    bob.write(text('" TOTP_AUTH', EMERGENCY), FILE)
    answer = f"{meanwhile.format(otp_file(bob))}; echo {EMERGENCY}"
    asked = before_permit("bob", "method=totp", "nullok", options=("--answer-with", answer))
    assert asked.verdict == verdict
    assert f": {outcome}: " in log.verdict()


@pytest.mark.parametrize("method", ["totp", "sms"])
def test_users_and_conversations_that_are_none(
    bob: Account, before_permit: Callable[..., Asked], log: Log, method: str
) -> None:
    bob.write(text('" TOTP_AUTH', EMERGENCY), FILE)
    for name in ("nobody-of-that-name", "../bob", "%s%n"):
        assert before_permit(name, f"method={method}", "nullok").verdict == "PAM_USER_UNKNOWN"
        assert ": unknown user: " in log.verdict()
    if method == "totp":
        asked = before_permit("bob", "method=totp", "nullok", options=("--conversation-error",))
        assert asked.verdict == "PAM_CONV_ERR"
        assert EMERGENCY in otp_file(bob).read_text()


def test_a_library_that_is_missing_lets_nobody_in(bob: Account, client: Path, log: Log) -> None:
    """Debian's package gone, as after an upgrade: refused, and the log names it."""
    bob.write(text('" TOTP_AUTH', EMERGENCY), FILE)
    name = write_altered_service(
        "otp-without", "totp/method.py", 'from_debian("pyotp"', 'from_debian("pyotp_gone"'
    )
    log.clear()
    assert sandbox.ask_pam(client, name, "bob").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "Debian's package python3-pyotp is missing" in log.verdict()


@pytest.fixture
def sender(place: Path) -> Iterator[None]:
    """Make the account that sends, its map and its settings: a gateway that nobody can reach."""
    PHONES.parent.mkdir(exist_ok=True)
    kept = {path: path.read_bytes() for path in (PHONES, SETTINGS) if path.exists()}
    made = subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "_trex-sms"],
                          check=False, capture_output=True).returncode == 0  # fmt: skip
    PHONES.write_text("bob +33612345678\n")
    SETTINGS.write_text(
        'state = "file:/nowhere/counts"\n[[gateway]]\nkind = "http"\nurl = "https://127.0.0.1:9/"\n'
    )
    SETTINGS.chmod(0o600)
    yield
    for path in (PHONES, SETTINGS):
        path.unlink(missing_ok=True)
    for path, content in kept.items():
        path.write_bytes(content)
        path.chmod(0o600)
    if made:
        subprocess.run(["userdel", "--force", "_trex-sms"], check=True, capture_output=True)


SMS: list[tuple[Callable[[], object], tuple[str, ...], str]] = [
    (lambda: PHONES.write_text("carol +33612345678\n"), (), NONE),
    (lambda: None, ("gecos_phone",), NONE),
    (lambda: None, (), REFUSED),  # it cannot be counted
    (PHONES.unlink, (), REFUSED),
    (lambda: PHONES.write_text("bob 0612345678\n"), (), REFUSED),
    (lambda: PHONES.chmod(0o666), (), REFUSED),
    (SETTINGS.unlink, (), REFUSED),
    (lambda: SETTINGS.write_text("x"), (), REFUSED),
    (lambda: SETTINGS.write_text(""), (), REFUSED),
    (lambda: SETTINGS.chmod(0o644), (), REFUSED),
    (lambda: None, ("sms_user=root",), REFUSED),
    (lambda: None, ("sms_user=no-such",), REFUSED),
    (lambda: None, ("sms_user=bob",), REFUSED),
    (lambda: None, ("digits=5",), REFUSED),
    (lambda: None, ("secret=/x",), REFUSED),
]


@pytest.mark.usefixtures("sender")
@pytest.mark.parametrize(("spoil", "arguments", "outcome"), SMS)
def test_a_pin_is_not_asked_for_only_where_there_is_no_number(
    bob: Account, before_permit: Callable[..., Asked], log: Log,
    spoil: Callable[[], object], arguments: tuple[str, ...], outcome: str,
) -> None:  # fmt: skip
    """Advisory CVE-2025-23013: a broken file of the administrator never counts as that."""
    spoil()
    asked = before_permit(bob.name, "method=sms", "nullok", *arguments)
    if outcome == NONE:
        assert asked.verdict == "PAM_SUCCESS", "pam_permit's: Trex has stepped aside"
        assert "not asked, because of nullok" in log.verdict()
        asked = before_permit(bob.name, "method=sms", *arguments)
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    assert f": {outcome}: " in log.verdict()


def test_what_is_typed_is_in_no_log(
    bob: Account, before_permit: Callable[..., Asked], log: Log
) -> None:
    """yubico-pam #184: who typed the password alone, without a code behind it, found it in the log."""
    bob.write(text('" TOTP_AUTH', EMERGENCY), FILE)
    for answer in ("correct-horse", f"correct-horse{EMERGENCY}", f"correct-horse{EMERGENCY}"):
        before_permit("bob", "method=totp", "forward_pass", "debug", options=("--answer", answer))
        told = log.everything()
        assert "pam_trex" in told
        assert not [secret for secret in ("correct-horse", EMERGENCY, SECRET) if secret in told]
