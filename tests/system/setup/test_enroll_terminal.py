"""A user's text controls neither the terminal nor the shell of root, who reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.command import finish, on_terminal, trex

if TYPE_CHECKING:
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

TITLE = "\x1b]0;title\x07"


def test_comments_in_a_record_are_shown_escaped(alice: Account, keys: Keys) -> None:
    alice.write(f"# \x1b[8m{TITLE}\u202e\n{keys['cv25519']} trust nosign\n# caf\u00e9\n")
    arguments = ["enroll", "--user", "alice", "--from-keyring", "--notrust"]
    dry = on_terminal(*arguments, "--dry-run")
    assert finish(dry) == 0
    asking = on_terminal(*arguments)
    asking.expect("right fingerprint")
    asking.sendline("no")
    shown = asking.before + dry.before
    assert finish(asking) == 130
    assert shown.count(r"# \x1b[8m\x1b]0;title\x07\u202e") == 2
    assert shown.count("# caf\u00e9") == 2
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_a_path_that_a_user_has_chosen_is_shown_escaped_and_quoted(alice: Account) -> None:
    """Root pastes the hint into a shell."""
    planted = alice.home / f"x;id {TITLE}"
    alice.gnupg.rename(planted)
    alice.gnupg.symlink_to(planted)
    planted.chmod(0o777)
    for command in ("show", "enroll"):
        options = ["--from-keyring", "--notrust", "--yes"] if command == "enroll" else []
        done = trex(command, "--user", "alice", *options)
        assert done.returncode == 1
        assert not {"\x1b", "\x07"} & set(done.stderr)
        assert (
            f"trex: hint: runuser -u alice -- chmod go-w '{alice.home}/x;id \\x1b]0;title\\x07'\n"
            in done.stderr
        )
