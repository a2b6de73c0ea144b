"""The command and its installation where libraries of somebody else's are missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import trex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account

LIBRARIES = Path("/usr/lib/python3/dist-packages")


@pytest.fixture
def without(place: Path) -> Iterator[Callable[..., None]]:
    """Take Python's libraries away for the test's time, in an overlay."""
    layers = place / "libraries"
    for layer in ("upper", "work"):
        (layers / layer).mkdir(parents=True)
    options = f"lowerdir={LIBRARIES},upperdir={layers}/upper,workdir={layers}/work"
    subprocess.run(["mount", "-t", "overlay", "trex", "-o", options, LIBRARIES], check=True)

    def take_away(*names: str) -> None:
        for name in names:
            path = LIBRARIES / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.with_suffix(".py").unlink()

    yield take_away
    subprocess.run(["umount", "--lazy", LIBRARIES], check=True)
    subprocess.run(["rm", "-r", layers], check=True)


def install(destination: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sandbox.PROJECT / "script/install"], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "DESTDIR": str(destination)},
    )  # fmt: skip


def test_on_a_client_the_help_needs_none_of_the_optional_ones(
    without: Callable[..., None], bob: Account
) -> None:
    """What `pipx install .` brings is click and python-gnupg."""
    without("pyotp", "qrcode", "cryptography", "requests", "redis")
    for command in (["--help"], *([name, "--help"] for name in ("totp", "recovery", "doctor"))):
        done = trex(*command, account=bob)
        assert (done.returncode, done.stderr) == (0, "")
    told = " ".join(trex("--help", account=bob).stdout.split())
    assert " totp Make and show a secret " in told
    done = trex("totp", "enroll", account=bob)
    assert done.returncode == 1
    assert "trex: error: Python's library pyotp is not installed\n" in done.stderr
    assert "trex: hint: Debian: apt install python3-pyotp; or pip" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", [("pyotp", "qrcode"), ("gnupg",), ("click",)])
def test_logins_come_with_the_installation_all_the_same(
    without: Callable[..., None], place: Path, missing: tuple[str, ...]
) -> None:
    """The module needs none of them; only who installs on purpose for pages and commands does."""
    without(*missing)
    tree = place / "bare"
    done = install(tree)
    assert done.returncode == 0, done.stderr
    assert "Not all of it works without Debian's" in done.stdout
    assert all(f"python3-{name}" in done.stdout for name in missing[:1])
    assert os.readlink(tree / "usr/lib/security/pam_trex.py") == (
        "/usr/lib/trex-pam/current/pam_trex.py"
    )
    version = tree / "usr/lib/trex-pam" / os.readlink(tree / "usr/lib/trex-pam/current")
    assert (version / "trex/login/pam.py").is_file()
    links = [path for path in tree.rglob("*") if path.is_symlink() and path.name != "current"]
    for link in links:
        target = os.readlink(link).removeprefix("/usr/lib/trex-pam/current/")
        assert (version / target).exists(), f"{link} leads nowhere"
    shutil.rmtree(tree)
