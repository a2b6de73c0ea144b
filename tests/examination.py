"""A host that `trex doctor` finds nothing wrong with, and its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import sandbox
from tests.command import trex
from trex.doctor import clock

if TYPE_CHECKING:
    from tests.sandbox import Account

CLOCK = ("clock-unsynchronized", "clock-unknown")
SERVICE = Path("/etc/pam.d/sshd")
SSHD = Path("/etc/ssh/sshd_config.d/01-trex.conf")
SOUND = {
    "UsePAM": "yes",
    "KbdInteractiveAuthentication": "yes",
    "PasswordAuthentication": "no",
    "AuthenticationMethods": "publickey,keyboard-interactive:pam",
    "LoginGraceTime": "600",
}


def write_service(*arguments: str, control: str = "required", module: Path | None = None) -> None:
    entry = module or sandbox.ENTRY
    line = " ".join(["auth", control, "pam_python.so", str(entry), *arguments])
    SERVICE.write_text(f"{line}\naccount required pam_permit.so\n")


def write_sshd(**changed: str) -> None:
    SSHD.write_text("".join(f"{name} {value}\n" for name, value in {**SOUND, **changed}.items()))


def examine(*arguments: str, account: Account | None = None) -> dict[str, Any]:
    """Return the doctor's report without what this machine's own clock is to blame for."""
    done = trex("doctor", "--json", *arguments, account=account)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == report["status"]
    for finding in report["findings"]:
        assert all(finding[part] for part in ("check", "severity", "what", "why", "mend"))
    synchronized = clock._is_synchronized()
    names = [finding["check"] for finding in report["findings"]]
    assert ("clock-unsynchronized" in names) == (not synchronized)
    report["findings"] = [f for f in report["findings"] if f["check"] not in CLOCK]
    return report


def only(*arguments: str) -> dict[str, str]:
    """Return the only finding."""
    found = examine(*arguments)["findings"]
    assert len(found) == 1, found
    finding: dict[str, str] = found[0]
    return finding
