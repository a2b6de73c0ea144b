"""Central mode, su and sudo as the documents set them up, on Debian's own services."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.examination import CLOCK
from tests.support.installation import install
from tests.support.page_text import blocks
from trex.cli.doctor.callers import check_callers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

MESSAGE = r"-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----"
RULE = Path("/etc/sudoers.d/trex-installed")


def line_for(service: str, page: str) -> str:
    """Return the line that a document shows for a service, which it names before that."""
    text = (sandbox.PROJECT / page).read_text("utf-8")
    after = text.rpartition(f"`/etc/pam.d/{service}`")[2]
    found = re.search(r"^    (auth .*)$", after, re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture
def central(usr: None, var_lib: Path, no_service: None, alice: Account, holder: Holder, keys: Keys
            ) -> Iterator[None]:  # fmt: skip
    """Trex installed, and central mode with alice in it, by the commands of the README."""
    assert install().returncode == 0
    accounts, enrolling, *_ = blocks("README.md", "### Central mode")
    subprocess.run(["bash", "-e", "-c", accounts], check=True)
    alice.record.unlink(missing_ok=True)
    public = holder.public(keys["cv25519"])
    Path("/run/trex/alice-login.asc").write_bytes(public)
    enroll = enrolling.replace("--key -", "--yes --key -")
    subprocess.run(["bash", "-e", "-c", enroll], check=True, cwd="/run/trex", capture_output=True)
    RULE.write_text("alice ALL=(ALL) ALL\n")
    RULE.chmod(0o440)
    services = [sandbox.PAM_SERVICES / name for name in ("su", "sudo")]
    kept = [path.read_bytes() for path in services]
    yield
    for path, content in zip(services, kept, strict=True):
        path.write_bytes(content)
    RULE.unlink()
    Path("/run/trex/alice-login.asc").unlink()
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("service", "page", "caller", "command", "name"),
    [
        ("su", "docs/configuration.md", "bob", ["su", "alice", "-c", "id -un"], "alice"),
        ("sudo", "README.md", "alice", ["sudo", "id", "-un"], "root"),
        ("sudo", "docs/configuration.md", "alice", ["sudo", "id", "-un"], "root"),
    ],
)
def test_the_line_of_the_documents_lets_in_who_answers_and_nobody_else(
    central: None, bob: Account, holder: Holder,
    service: str, page: str, caller: str, command: list[str], name: str,
) -> None:  # fmt: skip
    path = sandbox.PAM_SERVICES / service
    text = path.read_text()
    assert text.count("@include common-auth\n") == 1
    path.write_text(text.replace("@include common-auth", line_for(service, page)))
    assert check_callers() == []
    report = subprocess.run(["trex", "doctor", "--service", service, "--json"],
                            capture_output=True, text=True, check=False)  # fmt: skip
    found = set(re.findall(r'"check": "([\w-]+)"', report.stdout)) - set(CLOCK)
    assert found == set(), report.stdout
    assert '"door": "pam_trex.so"' in report.stdout
    for right in (False, True):
        terminal = pexpect.spawn(
            "runuser", ["-u", caller, "--", *command], encoding="utf-8", timeout=60
        )
        terminal.expect(MESSAGE)
        message = str(terminal.after).replace("\r\n", "\n")
        terminal.expect("Response: ")
        terminal.sendline(str(holder.decrypt(message)).strip() if right else "wrong")
        while terminal.expect(["Response: ", pexpect.EOF]) == 0:  # sudo asks three times
            terminal.sendline("wrong")
        shown = str(terminal.before)
        terminal.close()
        assert (terminal.exitstatus == 0) is right, shown
        assert (f"\n{name}\r\n" in shown) is right
