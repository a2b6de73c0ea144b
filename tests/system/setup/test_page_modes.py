"""docs/troubleshooting.md on modes: what is typed there ends the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.page_text import blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked

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
