"""Who opens the file that is given to `trex revoke`: whom it is about, in either mode."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PIPE, options_of, record_of, trex, with_pipe
from tests.support.owner import Owner, enrolled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sandbox import Account


def test_root_opens_no_file_of_the_user_s_and_says_how_to_hand_it_over(
    robbed: Account, owner: Owner, tmp_path: Path
) -> None:
    file = tmp_path / "root's.rev"
    file.write_bytes(owner.certificate())
    file.chmod(0o600)
    done = trex("revoke", "--user", "alice", str(file), "--yes")
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert f"trex: hint: use - < '{file}'".replace("root's", "root'\"'\"'s") in done.stderr


def test_in_central_mode_a_file_that_only_the_user_reads(
    robbed: Account, owner: Owner, central: list[str]
) -> None:
    users = enrolled(central, owner, "alice", f"{owner.stolen},{owner.spare} trust nosign\n")
    file = robbed.write(owner.certificate(), "file.rev")
    done = trex("revoke", *options_of(central), "--user", "alice", "--yes", str(file))
    assert done.returncode == 0, done.stderr
    assert (users / "alice").read_text() == f"{owner.spare} trust nosign\n"


def test_in_central_mode_a_link_of_the_user_s_reaches_nothing_of_the_servant_s(
    robbed: Account, owner: Owner, central: list[str], place: Path
) -> None:
    """What all records are for one account to read: no user has it opened by a name."""
    enrolled(central, owner, "alice", f"{owner.stolen} trust nosign\n")
    kept = place / "servant.rev"
    kept.write_bytes(owner.certificate())
    kept.chmod(0o600)
    subprocess.run(["chown", "_trex", kept], check=True)
    link = robbed.home / "link.rev"
    link.symlink_to(kept)
    done = trex("revoke", *options_of(central), "--user", "alice", "--yes", str(link))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"trex: error: {link}: Permission denied" in done.stderr


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_standard_input_by_another_name(robbed: Account, owner: Owner, name: str) -> None:
    """The process that opens files as the user has none, and the administrator's is not theirs."""
    done = trex("revoke", "--user", "alice", "--yes", name, stdin=owner.certificate())
    assert done.returncode == 0, done.stderr
    assert record_of(robbed) == f"{owner.spare} trust nosign"


def test_a_pipe_of_the_shell_s_is_refused_with_what_works(robbed: Account, owner: Owner) -> None:
    """`trex revoke <(...)`: whoever runs it has made that, so alice may not open it."""
    done = with_pipe(owner.certificate(), "revoke", "--user", robbed.name, PIPE, "--yes")
    assert done.returncode == 1
    assert "trex: hint: COMMAND | trex revoke ... -\n" in done.stderr


def test_an_empty_file_is_no_revocation(robbed: Account) -> None:
    robbed.write("\n", "file.rev")
    done = trex("revoke", "file.rev", "--yes", account=robbed)
    assert done.returncode == 1
    assert "file.rev: expected a revocation, found nothing" in done.stderr
    assert "--export" not in done.stderr
