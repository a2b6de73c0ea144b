"""`trex doctor`: a sound host, a run without root, and the module's own files."""

from __future__ import annotations

import glob
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import trex
from tests.support.examination import examine, only, write_service
from tests.support.mounts import mounted
from trex.cli.doctor.doors import PAM_PYTHON
from trex.cli.doctor.module import MODULES
from trex.cli.doctor.sshd import _unreadable

if TYPE_CHECKING:
    from tests.support.sandbox import Account


def test_a_sound_host_has_no_findings_and_nothing_is_changed(host: Account) -> None:
    places = [host.home, Path("/etc"), sandbox.MODULE]
    before = [sandbox.listing(place) for place in places]
    assert examine()["findings"] == []
    assert examine("--user", "alice")["findings"] == []
    assert [sandbox.listing(place) for place in places] == before


@pytest.mark.parametrize("runs", [True, False])
def test_a_healthy_host_in_a_container_is_green(host: Account, runs: bool) -> None:
    """Without systemd, without a service for the clock, and with or without an sshd that runs."""
    sockets = Path("/run/sshd")
    assert not Path("/run/systemd/system").exists()
    if not runs:
        sockets.rmdir()
    try:
        report = examine(with_host_keys=True, with_clock=True)
        assert {finding["severity"] for finding in report["findings"]} <= {"note"}
        assert ("sshd-absent" in [finding["check"] for finding in report["findings"]]) != runs
        done = trex("doctor")
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Nothing wrong was found.")
    finally:
        sockets.mkdir(mode=0o755, exist_ok=True)


def test_an_sshd_that_is_not_installed_is_a_note() -> None:
    finding = _unreadable(FileNotFoundError(2, "No such file or directory", "/usr/sbin/sshd"))
    assert (finding.check, finding.severity) == ("sshd-absent", "note")
    finding = _unreadable(ValueError("/etc/ssh/sshd_config: line 1: Bad configuration option: x"))
    assert (finding.check, finding.severity) == ("sshd-config", "error")


def test_what_is_printed_and_the_exit_status(host: Account) -> None:
    write_service("nullok")
    done = trex("doctor")
    assert done.returncode == 1
    assert "warning: /etc/pam.d/sshd:1: nullok\n  why: A user whose" in done.stdout
    write_service("nulok")
    done = trex("doctor")
    assert done.returncode == 2
    assert 'error: /etc/pam.d/sshd:1: argument "nulok" is unknown, did you mean' in done.stdout
    assert "  fix: # correct the arguments in /etc/pam.d/sshd, line 1\n" in done.stdout


def test_who_is_not_root_sees_what_can_be_seen(host: Account) -> None:
    """And notes for the rest: nothing is an error only because it could not be read."""
    before = sandbox.listing(host.home)
    report = examine(account=host)
    assert [(f["check"], f["severity"]) for f in report["findings"]] == [("left-out", "note")]
    assert report["findings"][0]["what"] == (
        "sshd's settings, and whom other modules refuse: not checked"
    )
    assert sandbox.listing(host.home) == before
    host.record.chmod(0o666)
    checks = [finding["check"] for finding in examine(account=host)["findings"]]
    assert checks == ["left-out", "record-FileUnsafe"]
    done = trex("doctor", "--user", "root", account=host)
    assert done.returncode == 2
    assert "trex: hint: sudo trex doctor" in done.stderr


def test_sudo_and_central_mode_as_somebody_else_than_root(host: Account) -> None:
    service = Path("/etc/pam.d/sudo")
    kept = service.read_bytes()
    service.write_text(f"auth required pam_python.so {sandbox.ENTRY} run_as=nobody\n")
    try:
        found = examine("--service", "sudo", account=host)["findings"]
    finally:
        service.write_bytes(kept)
    assert [(f["check"], f["severity"]) for f in found] == [
        ("sudo-path", "note"), ("left-out", "note"), ("left-out", "note"),
    ]  # fmt: skip


def test_files_that_others_may_write(host: Account) -> None:
    path = sandbox.MODULE / "trex/login/story.py"
    path.chmod(0o666)
    try:
        finding = only()
    finally:
        path.chmod(0o644)
    assert finding["check"] == "module-writable"
    assert f"chmod go-w {path}" in finding["fix"]
    os.chown(path, host.uid, -1)
    try:
        assert only()["check"] == "module-writable"
    finally:
        os.chown(path, 0, -1)
    above = sandbox.MODULE.resolve()
    above.chmod(0o777)
    try:
        finding = only()
    finally:
        above.chmod(0o755)
    assert finding["check"] == "module-writable"
    assert f"chmod go-w {above}" in finding["fix"]


def test_a_module_that_is_not_there(host: Account) -> None:
    write_service(module=Path("/nowhere/pam_trex.py"))
    assert only()["check"] == "module-script"


def test_a_module_that_is_not_compiled(host: Account, place: Path) -> None:
    copy = place / "uncompiled"
    subprocess.run(["cp", "-a", sandbox.MODULE, copy], check=True)
    subprocess.run(["rm", "-r", copy / "trex/login/__pycache__"], check=True)
    write_service(module=copy / "pam_trex.py")
    assert only()["check"] == "module-compiled"
    subprocess.run(["rm", "-r", copy], check=True)


def test_pam_python_that_is_missing_or_linked_to_no_python(host: Account, place: Path) -> None:
    empty, broken = place / "empty", place / "broken"
    empty.mkdir()
    broken.mkdir()
    source = broken / "a.c"
    source.write_text("int nothing;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", broken / "pam_python.so", source], check=True)
    # Debian 13 has it in the directory of the architecture.
    [library] = {path for where in MODULES for path in glob.glob(f"{where}/{PAM_PYTHON}")}
    there = Path(library).parent
    for directory, check in ((empty, "module-missing"), (broken, "module-python")):
        with mounted(there, "--bind", str(directory)):
            assert only()["check"] == check
