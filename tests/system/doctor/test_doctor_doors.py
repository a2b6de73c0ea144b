"""`trex doctor` and the two doors: which one a service has, whether it works, and who may call it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import native, sandbox
from tests.support.command import trex
from tests.support.examination import SERVICE, checks, defects, examine, found, only, write_service
from trex.cli.doctor.programs import CENTRAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account

COMMON = Path("/etc/pam.d/common-auth")


@pytest.fixture
def through(host: Account, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Have sshd ask through this pam_trex.so."""

    def write(module: Path) -> None:
        monkeypatch.setattr(sandbox, "DOOR", str(module))
        write_service()

    return write


@pytest.fixture
def common_auth(host: Account) -> Iterator[Path]:
    kept = COMMON.read_bytes()
    yield COMMON
    COMMON.write_bytes(kept)


@pytest.mark.usefixtures("door")
def test_it_says_through_which_door_each_line_asks(host: Account) -> None:
    write_service()
    door = "pam_python.so" if sandbox.DOOR.startswith("pam_python") else "pam_trex.so"
    report = examine()
    assert report["findings"] == []
    assert report["lines"] == [{"where": f"{SERVICE}:1", "door": door}]
    said = trex("doctor").stdout
    assert said.startswith(f"{SERVICE}:1: sshd asks Trex through {door}\n")


def test_a_pam_trex_so_that_is_not_there(through: Callable[[Path], None]) -> None:
    through(Path("/nowhere/pam_trex.so"))
    assert only()["check"] == "module-missing"
    assert "|auth required pam_trex.so|" in only()["fix"], "no other helps"
    through(Path("pam_trex.so"))
    assert only()["check"] == "module-missing"
    assert only()["fix"].startswith("cd TREX && script/bootstrap native && script/install")


def test_a_pam_trex_so_of_another_project(through: Callable[[Path], None], place: Path) -> None:
    other = place / "other"
    other.mkdir(exist_ok=True)
    source = other / "a.c"
    source.write_text("int nothing;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", other / "pam_trex.so", source], check=True)
    through(other / "pam_trex.so")
    assert only()["check"] == "module-foreign"


def test_a_pam_trex_so_whose_python_or_helper_is_not_there(
    through: Callable[[Path], None], place: Path
) -> None:
    helper = sandbox.MODULE / "trex/login/helper.py"
    there = place / "broken-door"
    there.mkdir(exist_ok=True)
    through(native.build(there / "pam_trex.so", helper, '-DPYTHON="/nowhere/python3"'))
    assert only()["check"] == "module-python"
    assert "/nowhere/python3" in only()["what"]
    through(native.build(there / "pam_trex.so", Path("/nowhere/trex/login/helper.py")))
    assert only()["check"] == "module-script"


def test_a_pam_trex_so_that_others_may_write_or_own(
    through: Callable[[Path], None], host: Account, native_door: Path, place: Path
) -> None:
    copy = place / "writable" / "pam_trex.so"
    copy.parent.mkdir(exist_ok=True)
    shutil.copy(native_door, copy)
    through(copy)
    assert checks() == []
    copy.chmod(0o666)
    assert only()["check"] == "module-writable"
    subprocess.run(["sh", "-c", found("module-writable")["fix"]], check=True)
    assert checks() == []
    os.chown(copy, host.uid, -1)
    assert only()["check"] == "module-writable"
    os.chown(copy, 0, -1)
    story = sandbox.MODULE / "trex/login/story.py"
    story.chmod(0o666)
    try:
        assert only()["check"] == "module-writable", "what the helper runs"
    finally:
        story.chmod(0o644)


def test_a_line_in_common_auth_is_found_in_every_service_without_being_asked_for(
    common_auth: Path, native_door: Path
) -> None:
    """Debian's own services: anybody becomes root by each of these that is set-user-ID."""
    kept = common_auth.read_text()
    line = f"auth required pam_python.so {sandbox.ENTRY} timeout=300\n"
    common_auth.write_text(f"{line}{kept}")
    [finding] = [finding for finding in defects() if finding["check"] == "caller-path"]
    assert finding["severity"] == "error"
    names = re.split(", | ask Trex", finding["what"].partition(": ")[2])
    assert {"chfn", "chsh", "polkit-1 (pkexec)", "su"} <= set(names)
    assert not {"sshd", "login", "cron", "sudo", "common-auth"} & set(names)
    change = re.search(r"\{ (.*); \}", finding["fix"])
    assert change
    shared = found("pam-shared")
    assert {"login", "cron", "sudo"} <= set(shared["what"].rpartition(": ")[2].split(", "))
    subprocess.run(["bash", "-c", change[1]], check=True)
    common_auth.write_text(common_auth.read_text().replace("pam_trex.so", str(native_door)))
    arguments = f"timeout=300 {CENTRAL}"  # su and sudo give more rights than the record's owner has
    assert common_auth.read_text() == f"auth required {native_door} {arguments}\n{kept}"
    assert checks() == [("locker-central", "error")], "i3lock shares that line"
    assert found("pam-shared")["severity"] == "note"


def test_su_through_pam_python_is_found_also_where_sshd_was_asked_for(
    host: Account, stack: Callable[..., Path], native_door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack("su")
    assert checks() == [("caller-path", "error")]
    assert checks("--service", "su") == [("caller-path", "error")]
    monkeypatch.setattr(sandbox, "DOOR", str(native_door))
    stack("su")
    assert checks() == []
    assert checks("--service", "su") == []


def test_what_is_advised_for_a_set_user_id_program_is_pam_trex_so(host: Account) -> None:
    for service in ("su", "chsh", "sudo"):
        assert "auth  required  pam_trex.so" in found("pam-absent", "--service", service)["fix"]
    SERVICE.write_text("auth required pam_unix.so\n")
    assert (
        found("pam-absent")["fix"]
        == f"sed -i '1i auth  required  pam_python.so pam_trex.py' {SERVICE}"
    )
