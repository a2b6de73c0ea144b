"""Root makes a secret for a user, where the PAM line looks for it; the user's first login proves it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.codes import FILE, code, here, otp_file
from tests.support.command import finish, on_terminal, trex
from tests.support.page_text import blocks
from tests.support.totp_shown import emergency_in, secret_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked

PAGE = "docs/totp.md"
HOME, _ = blocks(PAGE, "## Setting up a user")[2].splitlines()


def page_s(line: str) -> list[str]:
    """Return what a line of the page has behind `trex`, for bob."""
    return line.replace("alice", "bob").split()[1:]


def test_root_makes_a_secret_in_a_home_without_a_terminal(
    bob: Account, trex_otp: Callable[..., Asked]
) -> None:
    made = trex(*page_s(HOME))
    assert made.returncode == 0, made.stderr
    assert "Not proved: bob's first login" in made.stderr
    status = otp_file(bob).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (bob.uid, bob.gid, 0o600)
    assert "TREX_UID" not in otp_file(bob).read_text()
    now = code(here(), secret_in(made.stdout))
    assert trex_otp("bob", now).verdict == "PAM_SUCCESS"
    assert trex_otp("bob", now).verdict == "PAM_AUTH_ERR", "it is spent"
    assert trex_otp("bob", emergency_in(made.stdout)[0]).verdict == "PAM_SUCCESS"


def test_root_makes_a_token_s_secret(bob: Account, trex_otp: Callable[..., Asked]) -> None:
    made = trex("totp", "enroll", "--user", "bob", "--counter")
    assert made.returncode == 0, made.stderr
    assert trex_otp("bob", code(1, secret_in(made.stdout))).verdict == "PAM_SUCCESS"


def test_a_secret_that_is_there_stays(bob: Account) -> None:
    before = bob.write("JBSWY3DPEHPK3PXPJBSWY3DPEE\n", FILE).read_bytes()
    done = trex("totp", "enroll", "--user", "bob")
    assert done.returncode == 1
    assert "/home/bob/.google_authenticator exists already" in done.stderr
    assert "hint: remove it" in done.stderr
    assert otp_file(bob).read_bytes() == before


def test_root_follows_no_link_out_of_a_home(bob: Account) -> None:
    """The user may have put a link there, to a place that only root can write."""
    target = Path("/root/trex-secret")
    os.symlink(target, otp_file(bob))
    done = trex("totp", "enroll", "--user", "bob")
    assert done.returncode == 1
    assert not target.exists()
    otp_file(bob).unlink()
    bob.home.chmod(0o777)
    done = trex("totp", "enroll", "--user", "bob")
    assert done.returncode == 1
    assert "chmod go-w /home/bob" in done.stderr
    assert done.stdout == "", "no secret is shown that no login would take"


def test_with_prove_a_first_code_is_asked_for(bob: Account) -> None:
    shown = on_terminal("totp", "enroll", "--user", "bob", "--prove")
    shown.expect("Without a camera, type: ([A-Z2-7 ]+)\r\n")
    secret = shown.match.group(1).replace(" ", "")
    shown.expect("the phone shows now: ")
    assert not otp_file(bob).exists()
    shown.sendline(code(here(), secret))
    shown.expect("Emergency codes")
    assert finish(shown) == 0
    assert otp_file(bob).exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--user", "nobody-here"], "expected a name that `id NAME` knows"),
        (["--user", "carol"], "only root or carol can do this"),
        (["--secret", "here"], "secret="),
        (["--user", "bob", "--file", "/tmp/x"], "with --user use --secret"),
    ],
)
def test_what_cannot_be_done_is_said(
    bob: Account, carol: Account, words: list[str], told: str
) -> None:
    done = trex("totp", "enroll", *words, account=bob)
    assert done.returncode in (1, 2)
    assert told in done.stderr
    assert done.stdout == ""
