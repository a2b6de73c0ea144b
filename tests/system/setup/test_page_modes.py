"""docs/troubleshooting.md on modes of files, and docs/qr.md on that of a record: what is typed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.command import trex
from tests.support.page_text import blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

PART = "## Records, files and directories"


def test_the_modes_of_the_page_let_in(alice: Account, log_in: Callable[..., Asked]) -> None:
    (typed,) = [one for one in blocks("docs/troubleshooting.md", PART) if one.startswith("chmod ")]
    for path in (alice.home, alice.gnupg, alice.record):
        path.chmod(0o777)
    assert log_in("alice").verdict != "PAM_SUCCESS"
    alice.run("sh", "-c", typed)
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert [path.stat().st_mode & 0o022 for path in (alice.home, alice.gnupg, alice.record)] == [
        0,
        0,
        0,
    ]


def test_the_mode_of_the_page_on_codes_draws_one(
    alice: Account, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    record, enroll, shown = blocks("docs/qr.md", "## Ask for it")
    done = trex(*enroll.split()[1:], "--yes", account=alice)
    assert done.returncode == 0, done.stderr
    fields = [keys["cv25519"], *record.split()[1:]]
    assert alice.record.read_text().splitlines()[-1].split() == fields
    asked = log_in("alice")
    assert asked.verdict == "PAM_SUCCESS"
    lines = [line for line in shown.splitlines() if line.strip() and not line.startswith("  (")]
    assert [line for line in lines if line not in asked.prompt.splitlines()] == []
