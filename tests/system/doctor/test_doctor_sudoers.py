"""`trex doctor` and secure_path, compared with what sudo itself reports."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.examination import checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sandbox import Account

SUDOERS, MORE = Path("/etc/sudoers"), Path("/etc/sudoers.d")
OWN = ("own-record", "error")  # these tests are not about whose the record is
SECURE = 'Defaults secure_path="/usr/sbin:/usr/bin:/sbin:/bin"\n'


@pytest.fixture
def sudo(host: Account) -> Iterator[None]:
    """A sound service for sudo; the sudoers are the test's."""
    service = sandbox.PAM_SERVICES / "sudo"
    before = service.read_bytes(), SUDOERS.read_bytes()
    sandbox.trex_service("sudo")
    yield
    service.write_bytes(before[0])
    SUDOERS.write_bytes(before[1])
    for path in MORE.glob("trex*"):
        path.unlink()


@pytest.mark.parametrize(
    ("main", "more", "safe"),
    [
        (SECURE, {}, True),
        ("", {"trex": SECURE}, True),
        ("", {"trex.conf": SECURE}, False),
        ("", {"trex~": SECURE}, False),
        (SECURE, {"trex": "Defaults !secure_path\n"}, False),
        ("Defaults !secure_path\n", {"trex": SECURE}, True),
        ("", {"trex": f"# {SECURE}"}, False),
    ],
)
def test_secure_path_counts_where_sudo_reads_it(
    sudo: None, main: str, more: dict[str, str], safe: bool
) -> None:
    SUDOERS.write_text(f"{main}root ALL=(ALL:ALL) ALL\n@includedir {MORE}\n")
    for name, text in more.items():
        (MORE / name).write_text(text)
        (MORE / name).chmod(0o440)
    said = subprocess.run(["sudo", "-V"], capture_output=True, text=True, check=True).stdout
    assert ("Value to override user's $PATH with" in said) == safe
    assert (("sudo-path", "error") not in checks("--service", "sudo")) == safe


@pytest.mark.parametrize(
    ("defaults", "hides"),
    [
        ("", False),
        ("Defaults env_reset, passprompt_override\n", True),
        ("Defaults env_reset, \\\n  passprompt_override\n", True),
        ("Defaults passprompt_override\nDefaults !passprompt_override\n", False),
        ('Defaults passprompt="a, passprompt_override"\n', False),
        ("# Defaults passprompt_override\n", False),
        ("Defaults passprompt=Mine\n", False),
    ],
)
def test_passprompt_override_counts_as_sudo_reads_it(
    sudo: None, defaults: str, hides: bool
) -> None:
    SUDOERS.write_text(f"{SECURE}{defaults}root ALL=(ALL:ALL) ALL\n")
    said = subprocess.run(["sudo", "-V"], capture_output=True, text=True, check=True).stdout
    assert ("passprompt will override" in said) == hides
    assert (("sudo-prompt", "error") in checks("--service", "sudo")) == hides


@pytest.mark.parametrize(
    ("line", "hides"),
    [
        ("@include /etc/trex-sudoers", True), ('#include "trex-sudoers"', True),
        ("@includedir /etc/trex-sudoers.d", True), ("# include /etc/trex-sudoers", False),
        ("@include /etc/trex-sudoers\nDefaults !passprompt_override", False),
    ],
)  # fmt: skip
def test_files_that_sudoers_includes_are_read_where_sudo_reads_them(
    sudo: None, tmp_path: Path, line: str, hides: bool
) -> None:
    directory = Path("/etc/trex-sudoers.d")
    directory.mkdir(mode=0o750)
    for path in (Path("/etc/trex-sudoers"), directory / "one"):
        path.write_text("Defaults passprompt_override\n")
        path.chmod(0o440)
    try:
        SUDOERS.write_text(f"{SECURE}{line}\nroot ALL=(ALL:ALL) ALL\n")
        said = subprocess.run(["sudo", "-V"], capture_output=True, text=True, check=True).stdout
        assert ("passprompt will override" in said) == hides
        assert (("sudo-prompt", "error") in checks("--service", "sudo")) == hides
    finally:
        Path("/etc/trex-sudoers").unlink()
        shutil.rmtree(directory)


def test_passprompt_override_for_one_user(sudo: None) -> None:
    SUDOERS.write_text(f"{SECURE}Defaults:#1000 passprompt_override\nroot ALL=(ALL:ALL) ALL\n")
    assert checks("--service", "sudo") == [("sudo-prompt", "error"), OWN]


def test_secure_path_with_an_exception(sudo: None) -> None:
    SUDOERS.write_text(f"{SECURE}Defaults:alice !secure_path\nroot ALL=(ALL:ALL) ALL\n")
    assert checks("--service", "sudo") == [("sudo-path", "error"), OWN]
