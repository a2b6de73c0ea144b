"""`trex doctor` on a host where script/install, or Debian's package, has installed the module."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.installation import DOOR, LIBRARY, install
from tests.support.sandbox import PROJECT
from trex.cli.doctor.module import check_modules
from trex.cli.doctor.stack import Rule
from trex.cli.installed import OF_FILE, PACKAGED, REINSTALL

if TYPE_CHECKING:
    from trex.cli.doctor.finding import Finding

AGAIN = f"{REINSTALL}  # {OF_FILE}"


@pytest.fixture
def installed(usr: None) -> Path:
    """Install from the sources; return the package in use."""
    done = install()
    assert done.returncode == 0, done.stderr
    return (LIBRARY / "current/trex").resolve()


@pytest.fixture
def packaged(installed: Path) -> Path:
    """Have what the package has, where it has it (debian/libpam-trex.install)."""
    made = Path(PACKAGED)
    shutil.copytree(installed.parent, made)
    for path in [made / "pam_trex.so", LIBRARY / "current", DOOR]:
        path.unlink()
    (LIBRARY / "current").symlink_to(made)
    shutil.copy(PROJECT / "script/bundle", made)
    build = f". script/common.sh && build_door {DOOR} {made}/trex/login/helper.py /usr/bin/python3"
    subprocess.run(["bash", "-c", build], check=True, cwd=PROJECT)
    shutil.rmtree(installed.parent)
    return made / "trex"


def only() -> Finding:
    [finding] = check_modules([])
    return finding


def fixed_by(finding: Finding) -> bool:
    """Type the fix; tell whether nothing is left."""
    subprocess.run(["sh", "-c", finding.fix], check=True)
    return check_modules([]) == []


def test_what_is_installed_has_no_finding(installed: Path) -> None:
    assert check_modules([]) == []


def test_what_the_package_brings_has_no_finding(packaged: Path) -> None:
    assert check_modules([]) == []


def test_a_copy_in_the_place_of_the_link_is_found(installed: Path) -> None:
    DOOR.unlink()
    shutil.copy(installed.parent / "pam_trex.so", DOOR)
    finding = only()
    assert (finding.check, finding.what) == (
        "module-copy", f"/{DOOR.relative_to('/usr')} is a copy of {LIBRARY}/current/pam_trex.so",
    )  # fmt: skip
    assert fixed_by(finding)
    assert os.readlink(DOOR) == f"{LIBRARY}/current/pam_trex.so"


def test_a_copy_of_the_package_s_module_is_found(packaged: Path) -> None:
    copy = Path("/usr/lib/copies/pam_trex.so")
    copy.parent.mkdir()
    shutil.copy(DOOR, copy)
    rule = Rule("/etc/pam.d/x", 1, "required", {}, str(copy), [], 0)
    [finding] = check_modules([rule])
    assert (finding.check, finding.fix) == (
        "module-copy",
        f"ln -sf /{DOOR.relative_to('/usr')} {copy}",
    )
    subprocess.run(["sh", "-c", finding.fix], check=True)
    assert check_modules([rule]) == []


@pytest.mark.parametrize("content", [None, b"\xa0\x0d\x0d\x0a of an older Python"])
def test_a_bundle_that_is_missing_or_another_python_s_is_found(
    installed: Path, content: bytes | None
) -> None:
    bundle = installed / "bundle.pyc"
    bundle.unlink()
    if content:
        bundle.write_bytes(content)
    finding = only()
    assert finding.check == "module-bundle"
    assert (
        finding.what == f"{bundle} is {'for another version of Python' if content else 'missing'}"
    )
    assert finding.fix == "cd TREX && script/install  # TREX: its sources"
    install()
    assert check_modules([]) == []


def test_the_package_s_bundle_is_made_again_without_the_package(packaged: Path) -> None:
    (packaged / "bundle.pyc").unlink()
    finding = only()
    assert finding.check == "module-bundle"
    assert fixed_by(finding)


def test_what_the_package_has_lost_comes_from_the_package(packaged: Path) -> None:
    """script/install refuses beside it."""
    (packaged / "login/pam.py").unlink()
    assert (only().check, only().fix) == ("module-script", AGAIN)
    shutil.copy(PROJECT / "trex/login/pam.py", packaged / "login")
    shutil.rmtree(packaged / "login/__pycache__")
    assert (only().check, only().fix) == ("module-compiled", AGAIN)
    DOOR.write_bytes(b"of another project")
    assert (only().check, only().fix) == ("module-foreign", f"rm {only().what.split()[0]}; {AGAIN}")
