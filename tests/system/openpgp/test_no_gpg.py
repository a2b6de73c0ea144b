"""A host or a client without gpg, or with one that fails: the commands say what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import trex
from tests.support.examination import examine
from tests.support.mounts import overlaid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sandbox import Account


@pytest.fixture
def no_gpg() -> Iterator[None]:
    with overlaid(Path("/usr/bin")):
        Path("/usr/bin/gpg").unlink()
        yield


def test_each_command_names_the_program_and_how_to_have_it(
    alice: Account, key_file: Path, no_gpg: None
) -> None:
    alice.write(key_file.read_bytes(), "key.asc")
    for command in (["show"], ["enroll", "--from-keyring", "--yes"],
                    ["enroll", "--key", "key.asc", "--yes"]):  # fmt: skip
        done = trex(*command, account=alice)
        assert done.returncode == 1
        assert re.match(r"trex: error: /usr/bin/gpg.*\ntrex: hint: .*gnupg\)?\n", done.stderr), done
        assert "None" not in done.stderr


def test_doctor_s_remedy_is_not_the_command_that_fails_in_the_same_way(
    host: Account, no_gpg: None
) -> None:
    found = [one for one in examine("--user", host.name)["findings"] if "gpg" in one["what"]]
    assert [one["fix"] for one in found] == ["apt install gnupg  # or correct gpg= in the PAM line"]
