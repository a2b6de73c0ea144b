"""What lets a user in again can be typed for any account's name, as of a directory of Windows's."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from trex.cli.doctor.readmission import Refused, remedy
from trex.cli.doctor.stack import Rule

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [r"CORP\bert", "it's me", "a.b"]


def typed(user: str, module: str, *arguments: str) -> None:
    """Type the remedy for a user whom this module refuses."""
    rule = Rule("/etc/pam.d/sshd", 1, "required", {}, module, list(arguments), 0)
    command = remedy(Refused("sshd", "account", rule, "perm_denied", user, "ALL"))
    subprocess.run(["bash", "-c", command], check=True)


@pytest.mark.parametrize("user", NAMES)
def test_a_line_for_pam_access_has_the_name_as_it_is(tmp_path: Path, user: str) -> None:
    file = tmp_path / "access.conf"
    file.write_text("-:ALL:ALL\n")
    typed(user, "pam_access.so", f"accessfile={file}")
    assert file.read_text() == f"+:{user}:ALL\n-:ALL:ALL\n"


@pytest.mark.parametrize("user", NAMES)
def test_a_list_of_pam_listfile_loses_this_name_alone(tmp_path: Path, user: str) -> None:
    file = tmp_path / "denied"
    file.write_text(f"a-b\n{user}\nCORPbert\n")
    typed(user, "pam_listfile.so", "item=user", f"file={file}", "sense=deny")
    assert file.read_text() == "a-b\nCORPbert\n"
