"""debian/: the packages have whatever a login and the command need."""

from __future__ import annotations

import re
from pathlib import Path

from trex.login.helper import PACKAGES

ROOT = Path(__file__).parents[2]


def test_the_module_s_package_has_every_room_of_a_login() -> None:
    listed = re.findall(
        r"^(trex/\w+) ", (ROOT / "debian/libpam-trex.install").read_text(), re.MULTILINE
    )
    assert {name.replace("/", ".") for name in listed} == set(PACKAGES) - {"trex"}


def test_the_first_version_of_debian_s_is_the_project_s() -> None:
    version = re.search(
        r'^__version__ = "(.*?)"', (ROOT / "trex/__init__.py").read_text(), re.MULTILINE
    )
    changelog = (ROOT / "debian/changelog").read_text()
    assert version
    assert changelog.startswith(f"trex-pam ({version[1]}) ")


def test_the_package_has_what_confines_gpg_on_the_machines_that_it_knows() -> None:
    """On another one it could not be built, and would be built without it."""
    known = re.findall(
        r"^#(?:el)?if defined\(__(\w+)__\)",
        (ROOT / "native/trex-confine.c").read_text(),
        re.MULTILINE,
    )
    rules = (ROOT / "debian/rules").read_text()
    filtered = re.search(r"^confined = \$\(filter (.*),\$\(DEB_HOST_ARCH\)\)", rules, re.MULTILINE)
    assert filtered
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    assert filtered[1].split() == [names[machine] for machine in known]
