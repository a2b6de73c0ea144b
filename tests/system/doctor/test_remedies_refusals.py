"""What the doctor prints against refusals beside Trex: most of it is typed between two real logins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.examination import SERVICE, SSHD
from tests.support.remedies import Case, Stage, runnable, see_it_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPED = "test_doctor_refusals.py types it, and logs in before and after"
WITH_LOGINS = (
    "sshd-denyusers", "sshd-allowusers", "sshd-denygroups", "sshd-allowgroups", "sshd-shell",
    "sshd-chroot", "sshd-disabled", "sshd-key", "sshd-key-unsafe", "sshd-revoked",
    "sshd-keys-command", "sshd-wrappers", "account-expired", "account-password", "account-locked",
    "account-nologin", "account-refused",
)  # fmt: skip


def _nobody_s_account(_stage: Stage) -> None:
    SERVICE.write_text(SERVICE.read_text().replace("pam_permit.so", "pam_deny.so"))


def _program(_stage: Stage) -> None:
    SERVICE.write_text(f"{SERVICE.read_text()}account required pam_exec.so /bin/true\n")


def _many(_stage: Stage) -> None:
    lines = [f"Match LocalPort {n} Address 10.0.0.{n}\n" for n in range(1, 12)]
    SSHD.write_text(SSHD.read_text() + "".join(lines))


def _exempt(_stage: Stage) -> None:
    told = Path("/etc/trex/doctor.toml")
    told.parent.mkdir(exist_ok=True)
    told.write_text('[[exempt]]\nuser = "root"\nreason = "the console is far away"\n')
    block = "Match User root\n  PermitRootLogin yes\n  AuthenticationMethods publickey\n"
    SSHD.write_text(SSHD.read_text() + block)


CASES = [
    *(Case(check, unrun=TYPED) for check in WITH_LOGINS),
    Case("account-closed", _nobody_s_account,
         by_hand="only who wrote the stack knows whom it was to let in"),
    Case("account-unasked", _program, unrun="a note: it asks somebody at a terminal"),
    Case("pam-silent", unrun="it needs a module that hangs, such as pam_ldap without its server"),
    Case("sshd-origins", _many, by_hand="only who wrote the lines knows which are needed"),
    Case("exempt", _exempt, by_hand="it is so by intention"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    yield
    Path("/etc/trex/doctor.toml").unlink(missing_ok=True)


@pytest.mark.parametrize("case", runnable(CASES))
def test_the_command_takes_the_finding_away(case: Case, stage: Stage) -> None:
    see_it_gone(case, stage)
