"""A file is changed only if it is still the one that was shown, and one command at a time."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from trex.cli.activation import change, edits, plan, turn
from trex.cli.activation.plan import Activation, Edit
from trex.cli.errors import CommandError
from trex.login.grace import boot_id

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_that_somebody_has_changed_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sshd"
    path.write_text("shown\n")
    edit = Edit(str(path), "shown\n", "shown\n", "new\n", 0o644, os.getuid(), os.getgid())
    change.stage(edit)
    path.write_text("another\n")
    with pytest.raises(CommandError, match="was changed meanwhile"):
        change.put(edit)
    assert path.read_text() == "another\n"
    path.write_text("shown\n")
    change.put(edit)
    assert path.read_text() == "new\n"


@pytest.mark.parametrize("kind", ["hard links", "regular file", "at most 1 MiB"])
def test_what_cannot_be_replaced_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(edits, "check_directories", lambda *_: None)  # of /tmp
    path = tmp_path / "sshd"
    path.write_text("x" * (change.MAX_SIZE + 1) if kind == "at most 1 MiB" else "x")
    if kind == "hard links":
        path.with_name("other").hardlink_to(path)
    elif kind == "regular file":
        path.unlink()
        path.mkdir()
    with pytest.raises(CommandError, match=kind):
        edits.edit_of(str(path), "new")


@pytest.mark.usefixtures("state")
def test_one_command_at_a_time_and_its_state_is_root_s_alone() -> None:
    with turn.one_at_a_time():
        assert os.stat(plan.STATE).st_mode & 0o777 == 0o700
        with pytest.raises(CommandError, match="another trex activate"), turn.one_at_a_time():
            pass
    with turn.one_at_a_time():
        pass


@pytest.mark.usefixtures("state")
def test_what_is_late_cannot_be_confirmed_any_more() -> None:
    """Whatever should have taken it back by then."""
    one = Activation("0123456789abcdef", "sshd", ["sshd"], [], boot_id(), 1e12, 1e12)
    plan.make_state()
    for waits, known in ((True, one), (False, replace(one, deadline=0.0)),
                         (False, replace(one, boot="another"))):  # fmt: skip
        plan.write_plan(known, plan.PENDING)
        assert (turn.waiting_plan() is not None) is waits


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "trex/activation"
    monkeypatch.setattr(plan, "STATE", str(place))
    monkeypatch.setattr(turn, "LOCK", f"{place}/lock")
