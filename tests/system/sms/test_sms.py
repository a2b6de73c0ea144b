"""A PIN that is sent, answered and accepted: through PAM, and through ssh."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES
from tests.support.gateways import TOKEN, Gateway
from tests.support.pins import NUMBER, PIN, Sms, by_http
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account


def test_a_pin_comes_and_lets_in(sms: Sms) -> None:
    """ezauth #195: old codes stayed valid, and requests for a number had no limit."""
    sms.configure(by_http(sms.gateway))
    asked = sms()
    assert asked.verdict == "PAM_SUCCESS", sms.log.everything()
    [text] = sms.gateway.texts
    host = os.uname().nodename
    assert re.fullmatch(
        rf"\d{{8}} is the PIN for a login at {host}\. It is valid for 10 minutes\.", text
    )
    assert asked.prompt == "\nTrex: a PIN was sent to ..78. It is valid for 10 minutes.\nPIN: "
    assert asked.facts["style"] == ["1"], "PAM_PROMPT_ECHO_OFF"
    [(method, path, body)] = sms.gateway.requests
    assert (method, path) == ("POST", "/json?to=%2B33612345678")
    assert f'"to": "{NUMBER}"' in body
    assert sms("--answer", text[:8]).verdict == "PAM_AUTH_ERR", "each login has a PIN of its own"
    assert not any(secret in sms.log.everything() for secret in (TOKEN, text[:8], NUMBER))


@pytest.mark.parametrize("digits", [6, 10])
def test_how_many_digits_a_pin_has(sms: Sms, digits: int) -> None:
    sms.configure(by_http(sms.gateway))
    asked = sms(arguments=(f"digits={digits}", "timeout=90", "prompt=Code?", "echo"))
    assert asked.verdict == "PAM_SUCCESS"
    assert re.match(
        rf"\d{{{digits}}} is the PIN.* for 1 minute 30 seconds\.$", sms.gateway.texts[0]
    )
    assert asked.prompt.endswith("\nCode?")
    assert asked.facts["style"] == ["2"]


@pytest.mark.parametrize(
    ("options", "outcome"),
    [(["--answer", "00000000"], "wrong response"), (["--no-response"], "no response"),
     (["--answer", ""], "no response")],
)  # fmt: skip
def test_another_answer_is_refused(sms: Sms, options: list[str], outcome: str) -> None:
    sms.configure(by_http(sms.gateway))
    assert sms(*options).verdict == "PAM_AUTH_ERR"
    assert f": {outcome}: " in sms.log.verdict()


def test_a_late_pin(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway))
    asked = sms("--answer-with", f"sleep 1.3; {PIN}", arguments=("timeout=1",))
    assert asked.verdict == "PAM_AUTH_ERR"
    assert ": late response: " in sms.log.verdict()


@pytest.mark.parametrize(
    ("argument", "reason"),
    [("sms_user=root", "an account other than root"), ("sms_user=bob", "an account other than the user's"),
     ("sms_user=no-such", "there is no such account")],
)  # fmt: skip
def test_the_account_that_sends(sms: Sms, argument: str, reason: str) -> None:
    sms.configure(by_http(sms.gateway))
    assert sms(arguments=(argument,)).verdict == "PAM_AUTHINFO_UNAVAIL"
    assert reason in sms.log.verdict()
    assert sms.gateway.requests == []


@pytest.mark.parametrize("methods", ["keyboard-interactive", "publickey,keyboard-interactive:pam"])
def test_the_password_and_then_a_pin_through_ssh(
    bob: Account, gateway: Gateway, configure: Callable[..., None], place: Path, methods: str
) -> None:
    """The stack of the README, alone and after a public key.

    Without the password or the key no one can make a phone ring.
    """
    configure(by_http(gateway))
    subprocess.run(["chpasswd"], input="bob:correct", text=True, check=True)
    server = Sshd(sandbox.pam_service(
        f"trex-password-sms-{len(methods)}", "auth requisite pam_unix.so",
        f"auth required pam_python.so {sandbox.ENTRY} method=sms", *ACCOUNT_LINES,
    ), methods=methods)  # fmt: skip
    askpass, offered = place / "askpass-sms", methods.removesuffix(":pam")
    try:
        for password, pin, welcome, sent in (
            ("correct", PIN, True, 1), ("wrong", PIN, False, 1), ("correct", "echo 1", False, 2),
        ):  # fmt: skip
            askpass.write_text(
                f'#!/bin/sh\ncase "$1" in *PIN:*) {pin};; *) echo {password};; esac\n'
            )
            askpass.chmod(0o755)
            done = server.log_in("bob", askpass, methods=offered)
            assert (done.stdout == "logged in as bob\n") is welcome, done.stderr
            assert len(gateway.texts) == sent
        if methods != offered:
            askpass.write_text(f'#!/bin/sh\ncase "$1" in *PIN:*) {PIN};; *) echo correct;; esac\n')
            assert server.log_in("bob", askpass).returncode == 255, "the public key comes first"
            assert len(gateway.texts) == 2
    finally:
        server.close()
