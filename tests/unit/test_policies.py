"""The policies in contrib/ are such: AppArmor's and SELinux's own compilers take them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CONTRIB = Path(__file__).resolve().parents[2] / "contrib"
CALLER = """\
abi <abi/3.0>,
include <tunables/global>
profile caller /usr/sbin/sshd {
  include <abstractions/base>
  include <abstractions/authentication>
  include <abstractions/trex>
}
"""


def parse(profile: Path) -> None:
    """Compile a profile for no kernel."""
    subprocess.run(
        ["/sbin/apparmor_parser", "--skip-kernel-load", "--skip-cache", "--skip-read-cache",
         "--base", "/etc/apparmor.d", "--Include", CONTRIB / "apparmor", profile],
        check=True, capture_output=True,
    )  # fmt: skip


def test_apparmor_takes_the_profile_and_one_of_a_caller(tmp_path: Path) -> None:
    parse(CONTRIB / "apparmor/trex_helper")
    caller = tmp_path / "caller"
    caller.write_text(CALLER)
    parse(caller)
    caller.write_text(CALLER.replace("abstractions/trex>", "abstractions/another>"))
    with pytest.raises(subprocess.CalledProcessError):
        parse(caller)


def test_selinux_takes_the_module(tmp_path: Path) -> None:
    source, made = CONTRIB / "selinux/trex_sshd.te", tmp_path / "trex_sshd.mod"
    subprocess.run(["checkmodule", "-M", "-m", "-o", made, source], check=True, capture_output=True)
    assert made.stat().st_size > 0
