"""libpython finds its standard library along PATH, or below the working directory: su and sudo.

Advisory CVE-2019-16729: the caller's environment reached the interpreter.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from trex.cli.doctor.callers import check_callers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Log

VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
DOAS = Path("/etc/doas.conf")
CALLS = {"doas": ["/usr/bin/doas", "true"], "vlock": ["/usr/sbin/vlock-main"]}
CANARY = "\n__import__('builtins').open({fired!r}, 'a').write({name!r} + '\\n')\n"


class Attacker:
    """A local user with their own standard library, which reports that it was used."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.fired = account.home / "fired"
        library = account.home / "lib" / VERSION
        shutil.copytree(
            f"/usr/lib/{VERSION}", library, ignore=shutil.ignore_patterns("__pycache__", "test")
        )
        for path in library.glob("*.py"):
            canary = CANARY.format(fired=str(self.fired), name=path.name)
            if b"from __future__" not in path.read_bytes():
                path.write_text(path.read_text("utf-8") + canary, "utf-8")
        (account.home / "bin").mkdir()
        shutil.copy("/bin/true", account.home / "bin/python3")
        subprocess.run(["chown", "-R", f"{account.name}:", account.home], check=True)

    def run(self, *command: str, path: bool = True) -> pexpect.spawn[str]:
        """Run a set-user-ID program so that PATH, or the working directory, leads to that library.

        Without PATH, libpython looks below the working directory.
        """
        name, home = self.account.name, str(self.account.home)
        environment = {"HOME": home, "TERM": "dumb"}
        if path:
            environment["PATH"] = f"{home}/bin:/usr/bin:/bin"
        return pexpect.spawn(
            "/usr/bin/setpriv", [f"--reuid={name}", f"--regid={name}", "--init-groups", *command],
            env=environment, cwd="/" if path else home, encoding="utf-8", timeout=60,
        )  # fmt: skip


@pytest.fixture
def mallory(account: Callable[[str], Account]) -> Attacker:
    return Attacker(account("mallory"))


def stack(service: str) -> Path:
    """Write a service that asks Trex through the door of this test."""
    sandbox.pam_service(service, f"auth required {sandbox.DOOR}",
                        "account required pam_permit.so", "session required pam_permit.so")  # fmt: skip
    return sandbox.PAM_SERVICES / service


@pytest.mark.parametrize("path", [True, False])
def test_through_pam_python_su_runs_the_caller_s_library_and_trex_refuses_to_go_on(
    alice: Account, mallory: Attacker, log: Log, path: bool
) -> None:
    """The control: it shows the hole in pam_python for which there is pam_trex.so."""
    service = sandbox.PAM_SERVICES / "su"
    before = service.read_bytes()
    try:
        stack("su")
        terminal = mallory.run("/usr/bin/su", "alice", "-c", "id -un", path=path)
        terminal.expect(pexpect.EOF)
        assert "Response: " not in (terminal.before or "")
        assert mallory.fired.exists()
        assert "PATH led to the Python library in /home/mallory" in log.everything()
    finally:
        service.write_bytes(before)


@pytest.mark.usefixtures("door")
@pytest.mark.parametrize("path", [True, False])
@pytest.mark.parametrize("program", ["doas", "vlock"])
def test_doas_and_vlock_need_pam_trex_so_as_su_does(
    mallory: Attacker, program: str, path: bool
) -> None:
    """Both are set-user-ID, and call PAM with the caller's PATH; the doctor knows it."""
    DOAS.write_text("permit mallory\n")
    DOAS.chmod(0o400)
    mallory.account.write("nobody@example.org trust nosign\n")
    service = sandbox.PAM_SERVICES / program
    before = service.read_bytes() if service.exists() else b""  # vlock brings none
    through_python = sandbox.DOOR.startswith("pam_python.so")
    try:
        stack(program)
        terminal = mallory.run(*CALLS[program], path=path)
        terminal.sendline("")  # vlock waits for it
        terminal.expect("could not be checked|[Ff]ail|denied")
        terminal.close(force=True)
        assert mallory.fired.exists() is through_python
        told = [finding.what for finding in check_callers() if finding.check == "caller-path"]
        assert any(f": {program} ask" in what for what in told) is through_python
    finally:
        service.write_bytes(before) if before else service.unlink()
        DOAS.unlink()


@pytest.mark.parametrize("environment", ["PATH of their own", "no PATH, and their directory"])
@pytest.mark.parametrize("settings", ["secure_path", "no secure_path, but pam_trex.so"])
def test_sudo_is_safe_with_secure_path_or_through_pam_trex_so(
    alice: Account, mallory: Attacker, native_door: Path, monkeypatch: pytest.MonkeyPatch,
    environment: str, settings: str,
) -> None:  # fmt: skip
    """sudo's own getenv(3) answers libpython, with secure_path if that is set, as Debian has it."""
    service, sudoers = sandbox.PAM_SERVICES / "sudo", Path("/etc/sudoers")
    before = service.read_bytes(), sudoers.read_bytes()
    rule = Path("/etc/sudoers.d/mallory")
    rule.write_text("mallory ALL=(ALL) ALL\n")
    rule.chmod(0o440)
    mallory.account.write("nobody@example.org trust nosign\n")
    try:
        if settings != "secure_path":
            monkeypatch.setattr(sandbox, "DOOR", str(native_door))
            sudoers.write_text("Defaults env_reset\n@includedir /etc/sudoers.d\n")
        stack("sudo")
        terminal = mallory.run("/usr/bin/sudo", "true", path="no PATH" not in environment)
        terminal.expect(pexpect.EOF)
        assert "incorrect" in (terminal.before or "")
        assert not mallory.fired.exists()
    finally:
        rule.unlink()
        service.write_bytes(before[0])
        sudoers.write_bytes(before[1])
