"""A login asks for a code from a phone and accepts it: through PAM, and through ssh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, SECRET, code, here, otp_file, text
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log


def test_the_prompt_and_its_echo(bob: Account, trex_otp: Callable[..., Asked], place: Path) -> None:
    bob.write(text('" TOTP_AUTH'), FILE)
    assert trex_otp("bob", "x").prompt == "Verification code: "
    assert trex_otp("bob", "x", "forward_pass").prompt == "Password & verification code: "
    assert trex_otp("bob", "x", "prompt=Code?").prompt == "Code?"
    styles = [trex_otp("bob", "x", *flag).facts["style"] for flag in ([], ["echo"])]
    assert styles == [["1"], ["2"]], "PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON"


def test_verdicts(bob: Account, trex_otp: Callable[..., Asked], log: Log) -> None:
    assert trex_otp("bob", "x").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert ": no record: user=bob " in log.verdict()
    assert trex_otp("bob", "x", "nullok").verdict == "PAM_PERM_DENIED", "nobody else said yes"
    assert "not asked, because of nullok" in log.everything()
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    log.clear()
    assert trex_otp("bob", "").verdict == "PAM_AUTH_ERR"
    assert ": no response: " in log.verdict()
    log.clear()
    assert trex_otp("bob", "000000", "nullok").verdict == "PAM_AUTH_ERR"
    assert ": wrong response: " in log.verdict()
    log.clear()
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"
    assert "an emergency code was used, 0 left" in log.everything()
    assert "12345678" not in log.everything()
    assert SECRET not in log.everything()


def test_what_is_late_spends_nothing(bob: Account, ask: Callable[..., Asked], log: Log) -> None:
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    asked = ask("bob", "--answer-with", "sleep 1.3; echo 12345678",
                arguments=("method=totp", "timeout=1"))  # fmt: skip
    assert asked.verdict == "PAM_AUTH_ERR"
    assert ": late response: " in log.verdict()
    assert "12345678" in otp_file(bob).read_text()


def test_central_files_that_users_cannot_read(
    bob: Account, account: Callable[[str], Account], trex_otp: Callable[..., Asked], place: Path
) -> None:
    """google-authenticator-libpam #240: who controls the session can read the secret, also sudo's."""
    keeper = account("keeper")
    (place / "otp").mkdir(exist_ok=True)
    directory = keeper.own(place / "otp", 0o700)
    path = directory / "bob"
    path.write_text(text('" TOTP_AUTH', '" DISALLOW_REUSE'))
    keeper.own(path, 0o600)
    arguments = (f"secret={directory}/%u", "run_as=keeper")
    now = here()
    assert trex_otp("bob", code(now), *arguments).verdict == "PAM_SUCCESS"
    assert trex_otp("bob", code(now), *arguments).verdict == "PAM_AUTH_ERR"
    assert path.stat().st_uid == keeper.uid


@pytest.mark.usefixtures("door")
def test_a_central_secret_that_was_made_for_another_account_of_that_name(
    bob: Account, account: Callable[[str], Account], trex_otp: Callable[..., Asked], place: Path,
    log: Log,
) -> None:  # fmt: skip
    """The next account of a name would be let in by the codes of the one that has left."""
    keeper = account("keeper")
    (place / "otp").mkdir(exist_ok=True)
    path = keeper.own(place / "otp", 0o700) / "bob"
    arguments = (f"secret={path.parent}/%u", "run_as=keeper", "nullok")
    for made_for, verdict in ((bob.uid, "PAM_SUCCESS"), (bob.uid + 7, "PAM_AUTHINFO_UNAVAIL")):
        path.write_text(text(f'" TREX_UID {made_for}', '" TOTP_AUTH', "12345678"))
        keeper.own(path, 0o600)
        log.clear()
        assert trex_otp("bob", "12345678", *arguments).verdict == verdict
    assert f"expected uid={bob.uid}, which is bob's, found uid={bob.uid + 7}: " in log.verdict()
    assert "12345678" in path.read_text(), "nothing was spent"
    path.write_text(text('" TREX_UID bob', '" TOTP_AUTH', "12345678"))
    log.clear()
    assert trex_otp("bob", "12345678", *arguments).verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "bob:2: expected a uid, found another TREX_UID" in log.verdict()


def askpass_for(directory: Path, holder: Holder, code_or_empty: str, *, key: bool) -> Path:
    """Answer a challenge with the key or nothing, and the question for a code with a code."""
    path = directory / "askpass-either"
    decrypt = f'printf %s "$1" | {holder.command()}' if key else "echo"
    path.write_text(
        f'#!/bin/sh\ncase "$1" in *BEGIN*) {decrypt};; *) echo {code_or_empty};; esac\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("methods", ["keyboard-interactive", "publickey,keyboard-interactive:pam"])
def test_the_key_or_a_code_through_ssh(
    alice: Account, holder: Holder, place: Path, methods: str
) -> None:
    """The stack of the README, alone and after a public key."""
    alice.write(text('" TOTP_AUTH', '" DISALLOW_REUSE', '" WINDOW_SIZE 9'), FILE)
    name = sandbox.pam_service(
        f"trex-either-{len(methods)}",
        f"auth sufficient pam_python.so {sandbox.ENTRY} nullok",
        f"auth required pam_python.so {sandbox.ENTRY} method=totp",
        *ACCOUNT_LINES,
    )
    server = Sshd(name, methods=methods)
    offered = methods.removesuffix(":pam")
    now = here()
    try:
        for answer, key, welcome in (
            ("000000", True, True), (code(now), False, True), (code(now), False, False),
            ("", False, False), (code(now + 1), False, True),
        ):  # fmt: skip
            askpass = askpass_for(place, holder, answer, key=key)
            done = server.log_in("alice", askpass, methods=offered)
            assert (done.stdout == "logged in as alice\n") is welcome, done.stderr
        if methods != offered:
            askpass = askpass_for(place, holder, code(now + 2), key=True)
            assert server.log_in("alice", askpass).returncode == 255, "the public key comes first"
    finally:
        server.close()


def test_whoever_has_a_code_alone_is_in_the_log_with_the_method_and_without_an_error(
    bob: Account, client: Path, log: Log
) -> None:
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    name = sandbox.pam_service(
        "trex-either-log",
        f"auth sufficient pam_python.so {sandbox.ENTRY} nullok",
        f"auth required pam_python.so {sandbox.ENTRY} method=totp",
        *ACCOUNT_LINES,
    )
    assert sandbox.ask_pam(client, name, "bob", "--answer", "12345678").verdict == "PAM_SUCCESS"
    [aside, accepted] = log.trex(" ms=")
    assert f": not asked, because of nullok: user=bob service={name} " in aside
    assert ' method=openpgp keys="" ' in aside
    assert f": accepted: user=bob service={name} " in accepted
    assert ' method=totp keys="" ' in accepted
    assert {line[:4] for line in (aside, accepted)} == {"<86>"}, "authpriv.info"
    log.clear()
    assert sandbox.ask_pam(client, name, "root").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert not log.trex(": accepted: ")


def test_a_limit_that_is_reached_is_no_error_of_the_host_s(
    bob: Account, trex_otp: Callable[..., Asked], log: Log
) -> None:
    bob.write(text('" TOTP_AUTH', '" RATE_LIMIT 1 3600'), FILE)
    for verdict in ("PAM_AUTH_ERR", "PAM_AUTHINFO_UNAVAIL"):
        log.clear()
        assert trex_otp("bob", "000000").verdict == verdict
        assert log.verdict().startswith("<85>"), "authpriv.notice"
    assert ": could not check: " in log.verdict()
    assert "more than 1 attempts in 3600 seconds" in log.verdict()
