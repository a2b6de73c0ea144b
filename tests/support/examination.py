"""A host that `trex doctor` finds nothing wrong with, codes and PINs included, and its report."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import sandbox
from tests.support.codes import SECRET
from tests.support.command import trex
from tests.support.gateways import TOKEN
from trex.cli.doctor import clock

if TYPE_CHECKING:
    from tests.support.gateways import Gateway
    from tests.support.sandbox import Account

CLOCK = ("clock-unsynchronized", "clock-unknown")
HOST_KEYS = "hostkeys"
SERVICE = Path("/etc/pam.d/sshd")
SSHD = Path("/etc/ssh/sshd_config.d/01-trex.conf")
SOUND = {
    "UsePAM": "yes",
    "KbdInteractiveAuthentication": "yes",
    "PasswordAuthentication": "no",
    "AuthenticationMethods": "publickey,keyboard-interactive:pam",
    "LoginGraceTime": "600",
    "MaxStartups": "100:30:200",
    "PerSourceMaxStartups": "20",
}
TREX = f"pam_python.so {sandbox.ENTRY}"
OPTIONS = '" RATE_LIMIT 3 30\n" WINDOW_SIZE 3\n" DISALLOW_REUSE\n" TOTP_AUTH\n'
SSH_KEY = f"ssh-ed25519 {'A' * 68} nobody's\n"
CODES = [f"1234567{n}" for n in range(5)]


def write_service(*arguments: str, control: str = "required", module: Path | None = None) -> None:
    door = f"pam_python.so {module}" if module else sandbox.DOOR
    line = " ".join(["auth", control, door, *arguments])
    SERVICE.write_text(f"{line}\naccount required pam_permit.so\n")


def write_stack(*lines: str) -> None:
    """Write the service; `{trex}` is what asks Trex in this test."""
    text = "".join(f"auth {line.format(trex=sandbox.DOOR)}\n" for line in lines)
    SERVICE.write_text(f"{text}account required pam_permit.so\n")


def write_sshd(**changed: str) -> None:
    SSHD.write_text("".join(f"{name} {value}\n" for name, value in {**SOUND, **changed}.items()))


def write_public_keys() -> list[Path]:
    """Write the public halves of sshd's host keys, which the sandbox has taken away."""
    made = []
    for path in Path("/etc/ssh").glob("ssh_host_*_key"):
        public = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, check=True)
        made.append(Path(f"{path}.pub"))
        made[-1].write_bytes(public.stdout)
    return made


def write_ssh_key(account: Account, public: str = SSH_KEY) -> None:
    """Give an account the SSH key that sshd asks for first."""
    directory = account.home / ".ssh"
    directory.mkdir(exist_ok=True)
    account.own(directory, 0o700)
    account.write(public, ".ssh/authorized_keys")


def examine(
    *arguments: str, account: Account | None = None, with_host_keys: bool = False,
    with_clock: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Return the doctor's report without what this machine's own clock is to blame for.

    Nor with the note that says which host keys challenges name, unless it is asked for.
    """
    synchronized = {clock._is_synchronized()}
    done = trex("doctor", "--json", *arguments, account=account)
    synchronized.add(clock._is_synchronized())  # the kernel may change its mind meanwhile
    assert done.stderr == "", done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == report["status"]
    for finding in report["findings"]:
        assert all(finding[part] for part in ("check", "severity", "what", "why", "fix"))
    names = [finding["check"] for finding in report["findings"]]
    assert ("clock-unsynchronized" not in names) in synchronized
    usual = (*(() if with_clock else CLOCK), "" if with_host_keys else HOST_KEYS)
    report["findings"] = [f for f in report["findings"] if f["check"] not in usual]
    return report


def only(*arguments: str) -> dict[str, str]:
    """Return the only finding."""
    found = examine(*arguments)["findings"]
    assert len(found) == 1, found
    finding: dict[str, str] = found[0]
    return finding


def defects(*arguments: str, account: Account | None = None) -> list[dict[str, str]]:
    """Return the warnings and errors, without notes."""
    findings: list[dict[str, str]] = examine(*arguments, account=account)["findings"]
    return [finding for finding in findings if finding["severity"] != "note"]


def checks(*arguments: str, account: Account | None = None) -> list[tuple[str, str]]:
    """Return names and severities of what `defects` returns."""
    return [(f["check"], f["severity"]) for f in defects(*arguments, account=account)]


def found(check: str, *arguments: str) -> dict[str, str]:
    """Return the finding of that name, if it is the only one of them."""
    findings = examine(*arguments)["findings"]
    [finding] = [finding for finding in findings if finding["check"] == check]
    report: dict[str, str] = finding
    return report


def said_end(what: str) -> float:
    """Return the seconds until a limit ends."""
    text = what.partition("until ")[2]
    if " " not in text:
        text = time.strftime("%Y-%m-%d ") + text
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")) - time.time()


def secret(options: str = OPTIONS, codes: int = 5) -> str:
    return "".join([f"{SECRET}\n", options, *(f"{code}\n" for code in CODES[:codes])])


def by_http(gateway: Gateway, host: str = "localhost") -> str:
    url = f"https://{host}:{gateway.port}/json?key={TOKEN}"
    headers = f'headers = {{ Authorization = "Bearer {TOKEN}" }}'
    return f'kind = "http"\nurl = "{url}"\n{headers}\nbody = \'{{"text": "{{text}}"}}\''


def counts_of(place: Path) -> Path:
    return place / "doctor-counts" / "counts"


def as_servant(*command: str) -> None:
    subprocess.run(["setpriv", "--reuid=_trex-sms", "--regid=_trex-sms", "--clear-groups", *command],
                   check=True)  # fmt: skip


def send(place: Path, user: str, messages: int) -> None:
    """Count as a login does, by the same code and the same account."""
    program = (f"import sys; sys.path.insert(0, {str(sandbox.MODULE)!r}); "
               "from trex.sms.counts import FileCounts; "
               f"FileCounts({str(counts_of(place))!r}).add({user!r}, 'h', {messages}, {{}})")  # fmt: skip
    as_servant("/usr/bin/python3", "-B", "-c", program)
