"""`trex doctor` and the modules beside Trex: which stop strangers, pass on a password or take one."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, code, here
from tests.support.examination import TREX, checks, counts_of, secret, write_sshd, write_stack
from trex.sms.counts import FileCounts

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

NOLOGIN = "requisite pam_nologin.so"
PREAUTH = "requisite pam_faillock.so preauth"
ONLY_SOME = "[success=ignore default=die] pam_succeed_if.so uid >= 1000"
NOWHERE = 'kind = "http"\nurl = "https://localhost:1/"'
BY_SMS = "required {trex} method=sms"


def test_a_pin_before_anything_else(sender: Account) -> None:
    stranger = ("pam-sms-first", "warning")
    for lines, expected in (
        ([BY_SMS], True),
        (["required pam_unix.so", BY_SMS], True),
        (["sufficient {trex}", BY_SMS], True),
        (["[success=1 default=ignore] pam_unix.so", "requisite pam_deny.so",
          BY_SMS], False),
        (["requisite {trex}", BY_SMS], False),
        (["requisite pam_unix.so", BY_SMS], False),
    ):  # fmt: skip
        write_stack(*lines)
        assert stranger not in checks("--user", "alice"), "the SSH key comes first"
        write_sshd(AuthenticationMethods="keyboard-interactive:pam")
        assert (stranger in checks("--user", "alice")) is expected, lines
        write_sshd()


@pytest.mark.parametrize("first", [NOLOGIN, PREAUTH, ONLY_SOME, "requisite pam_securetty.so",
                                   "requisite pam_access.so", "requisite pam_shells.so",
                                   "[success=1 default=ignore] pam_localuser.so",
                                   "requisite pam_exec.so quiet /bin/true"])  # fmt: skip
def test_who_is_asked_for_nothing_is_stopped_by_nothing(sender: Account, first: str) -> None:
    write_sshd(AuthenticationMethods="keyboard-interactive:pam")
    stranger = ("pam-sms-first", "warning")
    for lines in ([first, BY_SMS], [first, "required pam_env.so", BY_SMS],
                  [first, "sufficient pam_unix.so", BY_SMS]):  # fmt: skip
        write_stack(*lines)
        assert stranger in checks("--user", "alice"), lines
    write_stack("required pam_env.so", "requisite pam_unix.so", first, BY_SMS)
    assert stranger not in checks("--user", "alice")


def test_the_stack_of_the_readme_for_faillock_is_first(sender: Account) -> None:
    write_sshd(AuthenticationMethods="keyboard-interactive:pam")
    faillock = ("[default=die] pam_faillock.so authfail", "required pam_faillock.so authsucc")
    jump = "[success=1 auth_err=bad default=die]"
    write_stack(PREAUTH, f"{jump} {{trex}} method=sms", *faillock)
    assert ("pam-sms-first", "warning") in checks("--user", "alice")
    write_stack(PREAUTH, f"{jump} pam_unix.so", *faillock, BY_SMS)
    assert ("pam-sms-first", "warning") not in checks("--user", "alice")


def test_a_stranger_is_asked_behind_pam_nologin(
    sender: Account, configure: Callable[..., None], client: Path, place: Path
) -> None:
    """As the finding says: the real stack, and a message is counted before it is sent."""
    configure(NOWHERE)
    line = f"auth {BY_SMS.format(trex=TREX)}"
    service = sandbox.pam_service("doctor-nologin", f"auth {NOLOGIN}", line, *ACCOUNT_LINES)
    sandbox.ask_pam(client, service, "alice", "--answer", "0")
    assert FileCounts(str(counts_of(place))).reached("alice", "h", 5, {"user_hour": 5})


def test_no_password_is_had_from_who_asks_for_none(host: Account) -> None:
    host.write(secret(), FILE)
    for first, expected in ((NOLOGIN, True), (PREAUTH, True), (ONLY_SOME, True),
                            ("requisite pam_exec.so expose_authtok /bin/true", False),
                            ("requisite pam_unix.so", False)):  # fmt: skip
        write_stack(first, "required {trex} method=totp use_first_pass")
        assert (("pam-password", "error") in checks("--user", "alice")) is expected, first


def test_a_password_that_the_next_module_takes_by_itself(host: Account, client: Path) -> None:
    host.write(secret(), FILE)
    for following, expected in (("pam_unix.so", []), ("pam_unix.so use_first_pass", []),
                                ("pam_sss.so", []), ("pam_unix.so nullok", []),
                                ("pam_sss.so prompt_always", ["pam-password"]),
                                ("pam_permit.so", ["pam-password"])):  # fmt: skip
        write_stack("requisite {trex} method=totp forward_pass", f"required {following}")
        said = [check for check, _ in checks("--user", "alice") if check == "pam-password"]
        assert said == expected, following
    subprocess.run(["chpasswd"], input=b"alice:not the phone's\n", check=True)
    line = f"auth requisite {TREX} method=totp forward_pass"
    service = sandbox.pam_service(
        "doctor-forward", line, "auth required pam_unix.so", *ACCOUNT_LINES
    )
    asked = sandbox.ask_pam(client, service, "alice", "--answer", f"not the phone's{code(here())}")
    assert asked.verdict == "PAM_SUCCESS"
