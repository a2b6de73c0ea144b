"""A line of Trex's in any service: who becomes root by it, and which services share it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from trex.cli.doctor import stack as stack_module
from trex.cli.doctor import sudoers
from trex.cli.doctor.callers import SET_USER_ID, check_callers
from trex.cli.doctor.finding import ERROR, NOTE, WARNING
from trex.cli.doctor.programs import CENTRAL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THROUGH_PYTHON = "pam_python.so pam_trex.py"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr(stack_module, "DIRECTORIES", (str(tmp_path),))
    monkeypatch.setattr(sudoers, "SUDOERS", (str(tmp_path / ".sudoers"), "/nowhere"))
    (tmp_path / ".sudoers").write_text("Defaults secure_path=/usr/bin\n")

    def write_file(name: str, *lines: str) -> None:
        (tmp_path / name).write_text("\n".join(lines) + "\n")

    return write_file


def checks() -> list[tuple[str, str]]:
    return [(finding.check, finding.severity) for finding in check_callers()]


@pytest.mark.parametrize("service", SET_USER_ID)
def test_a_set_user_id_program_through_pam_python_is_an_error_with_the_line_to_write(
    write: Callable[..., None], tmp_path: Path, service: str
) -> None:
    write(service, "auth sufficient pam_rootok.so", f"auth required {THROUGH_PYTHON} run_as=_trex")
    [finding] = check_callers()
    assert (finding.check, finding.severity) == ("caller-path", ERROR)
    assert finding.what.startswith(f"{tmp_path}/{service}:2: {service}")
    assert finding.what.endswith(" asks Trex through pam_python.so")
    assert "can run code as root" in finding.why
    change = finding.fix.partition("script/install && ")[2].partition("  # ")[0] or finding.fix
    subprocess.run(["/bin/bash", "-c", change], check=True)
    lines = (tmp_path / service).read_text().splitlines()
    assert lines == ["auth sufficient pam_rootok.so", "auth required pam_trex.so run_as=_trex"]
    assert check_callers() == []


def test_a_program_is_found_to_be_set_user_id_by_its_file(
    write: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "programs" / "ownlocker"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setattr("trex.cli.doctor.callers.PROGRAMS", (str(program.parent),))
    write("ownlocker", f"auth required {THROUGH_PYTHON}")
    assert checks() == []
    program.chmod(0o4755)
    assert checks() == [("caller-path", ERROR)]


@pytest.mark.parametrize(
    "include", ["@include common-auth", "auth include common-auth", "auth substack common-auth"]
)
def test_a_shared_line_is_found_with_every_service_that_has_it(
    write: Callable[..., None], tmp_path: Path, include: str
) -> None:
    write("common-auth", "auth required pam_env.so", f"auth required {THROUGH_PYTHON}")
    write("system-auth", include)
    write("su-l", "@include su")
    for service in ("su", "chsh", "polkit-1", "sshd", "cron", "su~", "sshd.dpkg-dist"):
        write(service, "auth optional pam_faildelay.so", include)
    write("login", "@include system-auth")
    write("none", "auth required pam_unix.so")
    run, shared = check_callers()
    where = f"{tmp_path}/common-auth:2"
    assert run.what == f"{where}: chsh, polkit-1 (pkexec), su, su-l ask Trex through pam_python.so"
    assert run.severity == ERROR
    assert (shared.check, shared.severity) == ("pam-shared", NOTE)
    assert shared.what.startswith(f"{where}: ")
    named = shared.what.rpartition(": ")[2].split(", ")
    assert named == ["chsh", "cron", "login", "polkit-1 (pkexec)", "sshd", "su", "su-l"]
    write("common-auth", "auth required pam_trex.so")
    assert checks() == [("pam-shared", NOTE)]


def test_services_that_include_each_other_s_line_are_all_named(write: Callable[..., None]) -> None:
    write("su", f"auth required {THROUGH_PYTHON}")
    write("su-l", "auth include su")
    [finding] = check_callers()
    assert ": su, su-l ask Trex " in finding.what
    write("own-login", "auth include su")
    assert [check for check, _ in checks()] == ["caller-path", "pam-shared"]


def test_the_guard_of_earlier_versions_makes_it_a_warning(write: Callable[..., None]) -> None:
    write("su", "auth requisite pam_trex_path.so", f"auth required {THROUGH_PYTHON}")
    assert checks() == [("caller-path", WARNING)]
    assert "# auth requisite pam_trex_path.so" in check_callers()[0].fix
    write("su", f"auth required {THROUGH_PYTHON}", "auth requisite pam_trex_path.so")
    assert checks() == [("caller-path", ERROR)]


def test_sudo_through_pam_python_depends_on_secure_path(
    write: Callable[..., None], tmp_path: Path
) -> None:
    write("sudo", f"auth required {THROUGH_PYTHON}")
    assert checks() == [("caller-path", NOTE)]
    (tmp_path / ".sudoers").write_text("Defaults !secure_path\n")
    [finding] = check_callers()
    assert (finding.check, finding.severity) == ("sudo-path", ERROR)
    assert f"|auth required pam_trex.so {CENTRAL}|" in finding.fix
    (tmp_path / ".sudoers").unlink()
    assert checks() == [("sudo-path", NOTE)]
    write("sudo", "auth required pam_trex.so")
    assert checks() == []
