"""Central mode for codes: secrets that their users can neither read nor replace, homes read-only or not."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, code, here, otp_file, text
from tests.support.command import trex
from tests.support.listing import account as line
from tests.support.listing import listed
from tests.support.mounts import mounted
from tests.support.page_text import blocks, typed
from tests.support.totp_shown import emergency_in, secret_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account, Asked, Log

LINE, MADE, COMMANDS, MOVED = blocks("docs/totp.md", "## Secrets that users cannot read")
ENROLL, CODES, SHOW = (
    [*line.replace("alice", "bob").split()[1:]] for line in COMMANDS.splitlines()
)
KEPT = Path("/var/lib/trex/totp/bob")


@pytest.fixture
def central(place: Path) -> Iterator[tuple[str, ...]]:
    """Make the page's account and directories; return the arguments of the page's line."""
    with mounted(Path("/var/lib"), "-t", "tmpfs", "-o", "mode=755", "trex-var-lib"):
        typed(MADE, place)
        yield tuple(LINE.split()[5:])
    subprocess.run(["userdel", "--force", "_trex-totp"], check=True, capture_output=True)


@pytest.mark.usefixtures("door")
def test_a_user_can_neither_read_nor_replace_the_secret_that_root_makes(
    bob: Account, central: tuple[str, ...], trex_otp: Callable[..., Asked]
) -> None:
    """The directory may be missing: it is made in one of root's."""
    KEPT.parent.rmdir()
    made = trex(*ENROLL)
    assert made.returncode == 0, made.stderr
    assert (KEPT.owner(), KEPT.stat().st_mode & 0o7777) == ("_trex-totp", 0o600)
    assert (KEPT.parent.owner(), KEPT.parent.stat().st_mode & 0o7777) == ("_trex-totp", 0o700)
    for tried in (f"cat {KEPT}", f"rm -f {KEPT}", f"mv {KEPT.parent} /tmp", f"touch {KEPT}~"):
        done = subprocess.run(["setpriv", f"--reuid={bob.uid}", f"--regid={bob.gid}",
                               "--clear-groups", "sh", "-c", tried], check=False,
                              capture_output=True)  # fmt: skip
        assert done.returncode != 0, tried
    now = code(here(), secret_in(made.stdout))
    assert trex_otp("bob", now, *central).verdict == "PAM_SUCCESS"
    assert trex_otp("bob", now, *central).verdict == "PAM_AUTH_ERR", "it is spent"
    bob.give_name_to(bob.uid + 7)
    try:
        later = code(here() + 1, secret_in(made.stdout))
        assert trex_otp("bob", later, *central).verdict == "PAM_AUTHINFO_UNAVAIL", "TREX_UID"
    finally:
        bob.give_name_to(bob.uid)


def test_a_secret_is_told_whose_it_is_as_the_page_says(
    bob: Account, central: tuple[str, ...], place: Path
) -> None:
    assert trex(*ENROLL).returncode == 0
    KEPT.write_text(re.sub(r'^" TREX_UID .*\n', "", KEPT.read_text(), flags=re.MULTILINE))
    (typed_in,) = (one for one in blocks("docs/totp.md", "## The file") if one.startswith("sed "))
    typed(typed_in.replace("alice", "bob"), place)
    assert KEPT.read_text().splitlines()[1] == f'" TREX_UID {bob.uid}'
    assert (KEPT.owner(), KEPT.stat().st_mode & 0o7777) == ("_trex-totp", 0o600)


def test_root_shows_it_again_and_makes_new_emergency_codes(
    bob: Account, central: tuple[str, ...], trex_otp: Callable[..., Asked]
) -> None:
    made = trex(*ENROLL)
    assert secret_in(trex(*SHOW).stdout) == secret_in(made.stdout)
    fresh = trex(*CODES)
    assert fresh.returncode == 0, fresh.stderr
    assert (KEPT.owner(), KEPT.stat().st_mode & 0o7777) == ("_trex-totp", 0o600)
    assert trex_otp("bob", emergency_in(made.stdout)[0], *central).verdict == "PAM_AUTH_ERR"
    assert trex_otp("bob", emergency_in(fresh.stdout)[0], *central).verdict == "PAM_SUCCESS"
    for words in (ENROLL, SHOW, CODES):
        refused = trex(*words, account=bob)
        assert refused.returncode == 1
        assert "only root or _trex-totp can do this" in refused.stderr
        assert refused.stdout == ""


def test_without_the_account_the_page_is_named(bob: Account) -> None:
    done = trex(*ENROLL)
    assert done.returncode == 1
    assert "run_as=_trex-totp: there is no such account" in done.stderr
    assert "hint: docs/totp.md, secrets that users cannot read" in done.stderr


def test_doctor_and_list_know_it(bob: Account, central: tuple[str, ...]) -> None:
    service = sandbox.trex_service("trex-central-codes", "method=totp", *central)
    words = ("--service", service)
    try:
        done = trex("doctor", *words, "--user", "bob")
        assert "trex totp enroll --central --user bob\n" in done.stdout
        assert trex(*ENROLL).returncode == 0
        [enrolment] = line(listed(*words), "bob")["enrolments"]
        assert (enrolment["method"], enrolment["place"]) == ("totp", str(KEPT))
        assert enrolment["state"] == "ok"
        KEPT.write_text(re.sub(r"^\d{8}\n", "", KEPT.read_text(), flags=re.MULTILINE))
        done = trex("doctor", *words, "--user", "bob")
        assert "trex totp codes --central --user bob\n" in done.stdout
        KEPT.chmod(0o644)
        assert "expected at most mode 0600" in trex("doctor", *words, "--user", "bob").stdout
    finally:
        (sandbox.PAM_SERVICES / service).unlink()


def test_in_a_home_that_is_read_only_a_code_is_refused_unless_its_use_is_kept_elsewhere(
    bob: Account, central: tuple[str, ...], trex_otp: Callable[..., Asked],
    otp: Callable[..., bool], log: Log, place: Path,
) -> None:  # fmt: skip
    """allow_readonly of google-authenticator's forgets: there the same code is right again."""
    bob.write(text('" RATE_LIMIT 3 3600', '" TOTP_AUTH', '" DISALLOW_REUSE'), FILE)
    google = sandbox.pam_service(
        "trex-readonly-google", "auth required pam_google_authenticator.so allow_readonly"
    )
    now = here()
    try:
        with mounted(bob.home, "--bind", "-o", "ro", str(bob.home)):
            before = otp_file(bob).read_bytes()
            assert trex_otp("bob", code(now)).verdict == "PAM_AUTHINFO_UNAVAIL"
            assert "cannot be rewritten: Read-only file system" in log.everything()
            assert not otp("google", bob, code(now))
            client = place / "pam_client"
            for _ in range(2):
                told = sandbox.ask_pam(client, google, "bob", "--answer", code(now))
                assert told.verdict == "PAM_SUCCESS", "the weakness that Trex does not take over"
            typed(MOVED.replace("alice", "bob"), place)
            assert trex_otp("bob", code(now), *central).verdict == "PAM_SUCCESS"
            assert trex_otp("bob", code(now), *central).verdict == "PAM_AUTH_ERR"
            assert trex_otp("bob", code(now + 1), *central).verdict == "PAM_SUCCESS"
            assert trex_otp("bob", code(now - 1), *central).verdict == "PAM_AUTHINFO_UNAVAIL"
            assert "more than 3 attempts in 3600 seconds" in log.everything()
            assert otp_file(bob).read_bytes() == before
        assert (KEPT.owner(), KEPT.stat().st_mode & 0o7777) == ("_trex-totp", 0o600)
        assert f'" TREX_UID {bob.uid}\n' in KEPT.read_text()
    finally:
        (sandbox.PAM_SERVICES / google).unlink()
