"""Of whom there are files, where an argument of the module places them by the account's name."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from trex.cli.directory import names_in
from trex.cli.location import words_of
from trex.login.options import parse_options

if TYPE_CHECKING:
    from pathlib import Path

FILES = ["alice", "alice~", ".alice.1a2b.new", "bob.pgp", "x-carol.pgp", "x-.pgp", "x-100%.pgp"]


@pytest.fixture
def full(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("%u", ["alice", "bob.pgp", "x-.pgp", "x-100%.pgp", "x-carol.pgp"]),
        ("%u.pgp", ["bob", "x-", "x-100%", "x-carol"]),
        ("x-%u.pgp", ["100%", "carol"]),
        ("x-%u%%.pgp", ["100"]),
        ("x-100%%.pgp", []),
        ("%u/record", []),
        ("%u-%u", []),
        ("none/%u", []),
    ],
)
def test_names_in_a_directory(full: Path, template: str, names: list[str]) -> None:
    """A backup, and a file that is about to be renamed, are nobody's."""
    assert names_in(f"{full}/{template}") == names


def test_homes_have_no_directory_of_all() -> None:
    assert names_in("%h/.auth_gpg") == []
    assert names_in("%h/%u") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", ""),
        ("run_as=_trex auth_file=/etc/trex/users/%u gnupg_home=/var/lib/trex/gnupg", " --central"),
        ("auth_file=/r/%u", " --auth-file /r/%u"),
        ("run_as=_trex auth_file=/r/%u gnupg_home=/var/lib/trex/gnupg", " --central --auth-file /r/%u"),
        ("run_as=x;y auth_file=/etc/trex/users/%u gnupg_home=/a'b",
         """ --central --gnupg-home '/a'"'"'b' --run-as 'x;y'"""),
    ],
)  # fmt: skip
def test_the_command_s_options_for_a_line_s_arguments(arguments: str, words: str) -> None:
    """Root pastes them into a shell."""
    given = words_of(parse_options(arguments.split()))
    assert given == words
    assert all(word.count(" ") == 0 for word in shlex.split(given))
