"""`trex manual` writes pages below the home of whoever runs it, and shows its own pages alone."""

from __future__ import annotations

import os
import pwd
import subprocess
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from trex.cli import manual as module
from trex.cli.manual import manual

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("variable", ["HOME", "XDG_DATA_HOME"])
def test_root_writes_no_page_where_a_user_s_environment_says(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo -E` keeps HOME, and the user may have put links there."""
    theirs, own = tmp_path / "alice", tmp_path / "root"
    victim = tmp_path / "shadow"
    victim.write_text("root:x")
    for below in (".local/share/man/man1", "man/man1"):
        (theirs / below).mkdir(parents=True)
        (theirs / below / "trex.1").symlink_to(victim)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv(variable, str(theirs))
    entry = pwd.struct_passwd(("root", "x", 0, 0, "", str(own), "/bin/sh"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: entry)
    done = CliRunner().invoke(manual, ["--install"])
    assert done.exit_code == 0, done.output
    assert victim.read_text() == "root:x"
    assert (own / ".local/share/man/man1/trex-ssh.1").is_file()


def test_a_page_that_is_not_ours_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "planted.1").write_text(".TH")
    shown: list[object] = []
    monkeypatch.setattr(module, "find_program", lambda _name: "/bin/true")
    monkeypatch.setattr(subprocess, "run", lambda words, **_: shown.append(words))
    done = CliRunner().invoke(manual, [str(tmp_path / "planted")])
    assert shown == []
    assert done.exit_code != 0
    assert CliRunner().invoke(manual, ["ssh"]).exit_code == 0
    assert len(shown) == 1
