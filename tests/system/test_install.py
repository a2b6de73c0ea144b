"""script/install, in an overlay of /usr/lib that vanishes with the test."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.keys import Holder
    from tests.sandbox import Account

LIBRARY = Path("/usr/lib/trex-pam")
ENTRY = Path("/lib/security/pam_trex.py")


@pytest.fixture
def usr_lib(place: Path) -> Iterator[None]:
    """Let /usr/lib be written to, without a trace."""
    layers = place / "usr-lib"
    for name in ("upper", "work"):
        (layers / name).mkdir(parents=True, exist_ok=True)
    options = f"lowerdir=/usr/lib,upperdir={layers}/upper,workdir={layers}/work"
    subprocess.run(["mount", "-t", "overlay", "trex", "-o", options, "/usr/lib"], check=True)
    yield
    subprocess.run(["umount", "--lazy", "/usr/lib"], check=True)
    subprocess.run(["rm", "-r", layers], check=True)


def install(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sandbox.PROJECT / "script/install", *arguments], capture_output=True, text=True,
        check=False, env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip


def test_an_installed_module_is_found_by_its_bare_name(
    usr_lib: None, alice: Account, client: Path, holder: Holder
) -> None:
    done = install()
    assert done.returncode == 0, done.stderr
    for line in ("auth  required  pam_python.so pam_trex.py", "KbdInteractiveAuthentication yes",
                 "AuthenticationMethods publickey,keyboard-interactive:pam", "LoginGraceTime 600"):  # fmt: skip
        assert line in done.stdout
    service = sandbox.pam_service("trex-installed", "auth required pam_python.so pam_trex.py")
    asked = sandbox.ask_pam(client, service, "alice", "--answer-with", holder.command())
    assert asked.verdict == "PAM_SUCCESS"
    version = ENTRY.resolve().parent
    assert version.parent == LIBRARY
    for path in [version, *version.rglob("*")]:
        status = path.stat()
        assert (status.st_uid, status.st_gid) == (0, 0)
        assert not status.st_mode & 0o022
    assert len(list(version.glob("trex/__pycache__/*.pyc"))) == len(list(version.glob("trex/*.py")))


def test_the_guard_for_su_is_installed_where_it_is_asked_for(
    usr_lib: None, alice: Account, client: Path
) -> None:
    guard = Path("/lib/security/pam_trex_path.so")
    install()
    assert not guard.exists()
    done = install("--su")
    assert done.returncode == 0, done.stderr
    service = sandbox.pam_service(
        "trex-guarded", "auth requisite pam_trex_path.so", "auth required pam_python.so pam_trex.py"
    )
    assert sandbox.ask_pam(client, service, "alice").verdict == "PAM_AUTH_ERR"
    assert install("--uninstall").returncode != 0
    assert guard.exists()
    install("--uninstall", "--force")
    assert not guard.exists()


def test_an_upgrade_is_one_step_and_a_login_in_progress_keeps_its_version(usr_lib: None) -> None:
    install()
    first = ENTRY.resolve()
    install()
    second = ENTRY.resolve()
    assert first != second
    assert first.exists(), "somebody may be looking at its prompt"
    install()
    assert not first.exists()
    assert second.exists()


def test_uninstall_refuses_while_pam_names_the_module(usr_lib: None) -> None:
    install()
    service = sandbox.PAM_SERVICES / "trex-in-use"
    service.write_text("auth required pam_python.so pam_trex.py\n")
    try:
        done = install("--uninstall")
        assert done.returncode != 0
        assert "trex-in-use" in done.stderr
        assert ENTRY.exists()
    finally:
        service.unlink()
    others = [path for path in sandbox.PAM_SERVICES.iterdir() if path.is_file()
              and re.search("pam_trex", path.read_text())]  # fmt: skip
    for path in others:
        path.unlink()  # of other tests; this /etc is a copy
    done = install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert not ENTRY.is_symlink()
    assert not LIBRARY.exists()


def test_a_packager_s_tree(place: Path) -> None:
    destination = place / "package"
    done = install(DESTDIR=str(destination))
    assert done.returncode == 0, done.stderr
    assert (destination / "usr/lib/security/pam_trex.py").is_symlink()
    assert list(destination.glob("usr/lib/trex-pam/*/trex/__pycache__/*.pyc"))
