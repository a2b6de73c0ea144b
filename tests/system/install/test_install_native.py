"""script/install and pam_trex.so: built, upgraded in one step, without libpam-python, and taken away."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.installation import (
    DOOR,
    ENTRY,
    LIBRARY,
    SECURITY,
    described,
    install,
    remove_pam_python,
)
from tests.support.mounts import mounted
from trex.cli.doctor.module import check_modules
from trex.cli.doctor.stack import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

OLD_GUARD = Path("/lib/security/pam_trex_path.so")
GUARD_SOURCE = """\
#include <security/pam_modules.h>
int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{ (void)pamh, (void)flags, (void)argc, (void)argv; return PAM_IGNORE; }
"""


@pytest.fixture
def no_pam_python(usr: None) -> None:
    """As on a distribution without it: /usr/lib is an overlay."""
    remove_pam_python()


@pytest.fixture
def service(place: Path) -> Iterator[Path]:
    path = sandbox.PAM_SERVICES / "trex-native"
    path.write_text("auth required pam_trex.so\naccount required pam_permit.so\n")
    yield path
    path.unlink()


def log_in(service: Path, client: Path, holder: Holder) -> str:
    """Return the verdict for alice's right response."""
    return sandbox.ask_pam(client, service.name, "alice", "--answer-with", holder.command()).verdict


def test_both_doors_are_installed_and_su_s_is_root_s_and_hardened(
    usr: None, alice: Account, client: Path, holder: Holder, service: Path
) -> None:
    done = install()
    assert done.returncode == 0, done.stderr
    assert f"PAM finds it as pam_trex.so, in {SECURITY}\n" in done.stdout
    assert "PAM finds it as pam_python.so pam_trex.py\n" in done.stdout
    assert log_in(service, client, holder) == "PAM_SUCCESS"
    assert sandbox.ask_pam(client, service.name, "alice").verdict == "PAM_AUTH_ERR"
    assert DOOR.resolve().parent == ENTRY.resolve().parent
    assert described(DOOR) == ("root", "root", 0o644)
    helper = DOOR.resolve().parent / "trex/login/helper.py"
    assert described(helper) == ("root", "root", 0o644)
    assert f" helper={helper}\0".encode() in DOOR.read_bytes()
    said = subprocess.run(
        ["readelf", "-dlW", DOOR], capture_output=True, text=True, check=True
    ).stdout
    assert "BIND_NOW" in said
    assert "GNU_RELRO" in said
    assert " RWE " not in said
    needed = [line.split()[-1] for line in said.splitlines() if "(NEEDED)" in line]
    assert needed == ["[libpam.so.0]", "[libc.so.6]"]


def test_an_open_prompt_stays_with_its_version_through_an_upgrade(
    usr: None, alice: Account, client: Path, holder: Holder, service: Path, place: Path
) -> None:
    install()
    first = DOOR.resolve()
    answer = place / "upgrade-and-answer"
    answer.write_text(
        f"#!/bin/sh\n{sandbox.PROJECT}/script/install >/dev/null\nexec {holder.command()}\n"
    )
    answer.chmod(0o755)
    asked = sandbox.ask_pam(client, service.name, "alice", "--answer-with", str(answer))
    assert asked.verdict == "PAM_SUCCESS"
    assert DOOR.resolve() != first
    assert first.exists()
    assert log_in(service, client, holder) == "PAM_SUCCESS"


def test_a_copy_of_an_earlier_version_s_module_is_found_before_its_helper_goes(
    usr: None, tmp_path: Path
) -> None:
    install()
    copy = tmp_path / "pam_trex.so"
    shutil.copy(DOOR, copy)
    rule = Rule("/etc/pam.d/x", 1, "required", {}, str(copy), [], 0)
    assert [finding.check for finding in check_modules([rule])] == ["module-copy"]
    install()
    assert "module-version" in [finding.check for finding in check_modules([rule])]
    install()
    assert "module-script" in [finding.check for finding in check_modules([rule])]


def test_native_only_needs_no_libpam_python(
    no_pam_python: None,
    no_service: None,
    alice: Account,
    client: Path,
    holder: Holder,
    service: Path,
) -> None:
    assert "only pam_trex.so can be used" in install().stdout
    service.rename(service.with_name("kept"))
    with mounted(sandbox.PAM_SERVICES, "--types", "tmpfs", "none"):
        done = install("--native-only")
    service.with_name("kept").rename(service)
    assert done.returncode == 0, done.stderr
    assert "    auth  required  pam_trex.so\n" in done.stdout
    assert "pam_python" not in done.stdout
    assert not ENTRY.is_symlink()
    assert log_in(service, client, holder) == "PAM_SUCCESS"
    done = install("--python-only")
    assert "script/bootstrap python" in done.stderr


@pytest.mark.parametrize(
    ("line", "option"),
    [("pam_python.so pam_trex.py", "--native-only"), ("pam_trex.so", "--python-only")],
)
def test_no_door_goes_that_a_service_names(
    usr: None, no_service: None, service: Path, line: str, option: str
) -> None:
    service.write_text(f"auth required {line}\n")
    install()
    version = DOOR.resolve().parent
    done = install(option)
    assert done.returncode != 0
    assert f"    {service}\n" in done.stderr
    assert DOOR.resolve().parent == ENTRY.resolve().parent == version
    service.write_text("auth required pam_permit.so\n")
    assert install(option).returncode == 0
    assert DOOR.is_symlink() != ENTRY.is_symlink()


def test_without_a_compiler_nothing_is_changed_unless_it_is_not_needed(
    usr: None, no_service: None
) -> None:
    with mounted(Path("/usr/include/security"), "--types", "tmpfs", "none"):
        done = install()
        assert done.returncode != 0
        assert "sudo script/bootstrap native" in done.stderr
        assert not LIBRARY.exists()
        assert install("--python-only").returncode == 0
    assert not DOOR.is_symlink()
    assert ENTRY.exists()


def test_a_pam_trex_so_of_somebody_else_s_is_left_alone(usr: None) -> None:
    DOOR.write_text("of another project\n")
    done = install()
    assert f"{DOOR} is there already, and is not Trex's" in done.stderr
    assert not LIBRARY.exists()
    install("--uninstall", "--force")
    assert DOOR.read_text() == "of another project\n"


def test_uninstall_takes_it_away_unless_a_service_names_it(
    usr: None, no_service: None, service: Path
) -> None:
    install()
    done = install("--uninstall")
    assert done.returncode != 0
    assert f"    {service}\n" in done.stderr
    assert DOOR.exists()
    service.write_text("auth required pam_permit.so # not pam_trex.so\n")
    done = install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert not DOOR.is_symlink()
    assert not LIBRARY.exists()


def test_the_guard_of_earlier_versions_stays_while_a_service_names_it_and_what_to_write_is_said(
    usr: None,
    no_service: None,
    alice: Account,
    client: Path,
    holder: Holder,
    service: Path,
    place: Path,
) -> None:
    """Without its file nobody gets through that line: root neither, in the middle of an upgrade."""
    source = place / "guard.c"
    source.write_text(GUARD_SOURCE)
    OLD_GUARD.parent.mkdir(exist_ok=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", OLD_GUARD, source], check=True)
    service.write_text("auth requisite pam_trex_path.so\n"
                       "auth\trequired   pam_python.so /lib/security/pam_trex.py timeout=300 # ours\n"
                       "account required pam_permit.so\n")  # fmt: skip
    done = install()
    assert done.returncode == 0, done.stderr
    assert "WARNING: pam_trex_path.so is no longer part of Trex." in done.stdout
    assert f"{service}: remove\n    auth requisite pam_trex_path.so\n" in done.stdout
    [written] = [
        line.strip() for line in done.stdout.splitlines() if "pam_trex.so timeout=300" in line
    ]
    assert log_in(service, client, holder) == "PAM_SUCCESS", "as before the upgrade"
    assert OLD_GUARD.exists()
    service.write_text("auth requisite pam_trex_path.so\n@include common-auth\n")
    assert "but first have pam_trex.so in the place of pam_python.so" in install().stdout
    assert OLD_GUARD.exists()
    service.write_text(f"{written}\naccount required pam_permit.so\n")
    assert log_in(service, client, holder) == "PAM_SUCCESS"
    done = install()
    assert "WARNING" not in done.stdout
    assert not OLD_GUARD.exists()


def test_paths_of_another_system_are_given_once_and_kept_by_upgrades(
    usr: None,
    no_service: None,
    alice: Account,
    client: Path,
    holder: Holder,
    place: Path,
    service: Path,
) -> None:
    elsewhere = place / "another-system"
    security = elsewhere / "security"
    security.mkdir(parents=True)
    (security / "pam_unix.so").symlink_to(SECURITY / "pam_unix.so")
    gpg, python = elsewhere / "gpg2", elsewhere / "python3"
    used = elsewhere / "used"
    used.touch(mode=0o666)
    used.chmod(0o666)
    gpg.write_text(f'#!/bin/sh\necho gpg >> {used}\nexec /usr/bin/gpg "$@"\n')
    python.write_text(f'#!/bin/sh\necho python >> {used}\nexec /usr/bin/python3 "$@"\n')
    for program in (gpg, python):
        program.chmod(0o755)
    places = {"SECURITY": security, "PYTHON": python, "GPG": gpg, "PACKAGES": elsewhere}
    done = install("--native-only", **{name: str(path) for name, path in places.items()})
    assert done.returncode == 0, done.stderr
    assert install("--native-only").returncode == 0
    assert not DOOR.is_symlink()
    service.write_text(f"auth required {security}/pam_trex.so\naccount required pam_permit.so\n")
    used.write_text("")
    assert log_in(service, client, holder) == "PAM_SUCCESS"
    assert {"python", "gpg"} == set(used.read_text().split())
    version = (security / "pam_trex.so").resolve().parent
    assert f'DEBIAN_PACKAGES = "{elsewhere}"\n' in (version / "trex/system/packages.py").read_text()
    assert (version / "script/trex").read_text().startswith(f"#!{python} -IS\n")
    install("--uninstall", "--force")
    assert not (security / "pam_trex.so").is_symlink()


@pytest.mark.parametrize("value", ["python3", "/usr/bin/python 3", '/usr/bin/py"thon', "/a//b|c"])
def test_a_path_that_is_none_changes_nothing(usr: None, value: str) -> None:
    done = install(PYTHON=value)
    assert "PYTHON: expected an absolute path" in done.stderr
    assert not LIBRARY.exists()
