"""What the doctor prints against an installation that is broken, typed as it stands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import native, sandbox
from tests.support.examination import SERVICE
from tests.support.installation import DOOR, ENTRY, LIBRARY, install
from tests.support.remedies import Case, Stage, runnable, see_it_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account

CURRENT = LIBRARY / "current"
SUDOERS = Path("/etc/sudoers")
SOURCES = {"TREX": str(sandbox.PROJECT)}
SUDO, SU = ("--service", "sudo"), ("--service", "su")


def asks(line: str) -> None:
    SERVICE.write_text(f"auth required {line}\naccount required pam_permit.so\n")


def _link_gone(_stage: Stage) -> None:
    DOOR.unlink()


def _other_path(_stage: Stage) -> None:
    asks("/nowhere/pam_trex.so timeout=300")


def _entry_gone(_stage: Stage) -> None:
    asks("pam_python.so pam_trex.py")
    ENTRY.unlink()


def _incomplete(_stage: Stage) -> None:
    (CURRENT / "trex/login/pam.py").unlink()


def _of_another_project(stage: Stage) -> None:
    source = stage.place / "a.c"
    source.write_text("int nothing;\n")
    DOOR.unlink()
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", DOOR, source], check=True)


def _without_its_python(_stage: Stage) -> None:
    helper = CURRENT.resolve() / "trex/login/helper.py"
    native.build(CURRENT / "pam_trex.so", helper, '-DPYTHON="/nowhere/python3"')


def _of_the_version_before(stage: Stage) -> None:
    copy = stage.place / "before.so"
    shutil.copy(CURRENT / "pam_trex.so", copy)
    assert install().returncode == 0
    DOOR.unlink()
    shutil.move(copy, DOOR)


def _copied(_stage: Stage) -> None:
    DOOR.unlink()
    shutil.copy(CURRENT / "pam_trex.so", DOOR)


def _without_a_bundle(_stage: Stage) -> None:
    (CURRENT / "trex/bundle.pyc").unlink()


def _writable(_stage: Stage) -> None:
    (CURRENT / "trex/login/story.py").chmod(0o666)


def _not_compiled(_stage: Stage) -> None:
    [compiled] = (CURRENT / "trex/login/__pycache__").glob("pam.*.pyc")
    compiled.unlink()


def through(service: str, *lines: str) -> Callable[[Stage], object]:
    """Return what has a service ask through pam_python.so."""

    def breaks(_stage: Stage) -> None:
        told = [*lines, "auth required pam_python.so pam_trex.py timeout=300"]
        sandbox.pam_service(service, *told, "account required pam_permit.so")

    breaks.__name__ = f"{service} {' '.join(lines)}"
    return breaks


def _sudo_with_the_caller_s_path(stage: Stage) -> None:
    through("sudo")(stage)
    SUDOERS.write_text("Defaults !secure_path\nroot ALL=(ALL:ALL) ALL\n")


CASES = [
    Case("module-missing", _link_gone, host="installed"),
    Case("module-missing", _other_path, host="installed"),
    Case("module-missing", unrun="without any part of Trex, it would install Debian's packages"),
    Case("module-script", _entry_gone, (), SOURCES, host="installed"),
    Case("module-script", _incomplete, (), SOURCES, host="installed"),
    Case("module-foreign", _of_another_project, host="installed"),
    Case("module-python", _without_its_python, (), SOURCES, host="installed"),
    Case("module-version", _of_the_version_before, host="installed"),
    Case("module-copy", _copied, host="installed"),
    Case("module-bundle", _without_a_bundle, (), SOURCES, host="installed"),
    Case("module-writable", _writable, host="installed"),
    Case("module-compiled", _not_compiled, (), SOURCES, host="installed"),
    Case("caller-path", through("su"), SU, host="installed"),
    Case("caller-path", through("su", "auth requisite pam_trex_path.so"), SU, host="installed"),
    Case("caller-path", through("sudo"), SUDO, host="installed"),
    Case("sudo-path", _sudo_with_the_caller_s_path, SUDO, host="installed"),
    Case("confinement", by_hand="a kernel without Landlock or seccomp is what it is"),
]  # fmt: skip


@pytest.fixture
def installed(usr: None, var_lib: Path, no_service: None, host: Account) -> Iterator[Account]:
    """A sound host on which Trex is installed, and asked through pam_trex.so."""
    kept = {path: path.read_bytes() for path in (SUDOERS, *sandbox.PAM_SERVICES.iterdir())}
    done = install()
    assert done.returncode == 0, done.stderr
    asks("pam_trex.so")
    yield host
    for path, content in kept.items():
        path.write_bytes(content)


@pytest.mark.parametrize("case", runnable(CASES))
def test_the_command_takes_the_finding_away(case: Case, stage: Stage) -> None:
    see_it_gone(case, stage)
