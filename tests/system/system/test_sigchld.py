"""SIGCHLD belongs to the application: a login neither leaves one nor removes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

CALLERS = ("--wait-sigchld", "--note-sigchld", "--block-sigchld", "--pending-sigchld")
RECORDS = {
    "plain": "trust nosign",
    "signed": "trust signing@example.org",
    "page": "trust nosign webQrNoAuthNoTls",
    "page with TLS": "trust nosign webQrAuthTls",
    "code in the prompt": "trust nosign qrTerminal",
}
# Before it becomes gpg, it lets the caller's own child end and sees that it has.
WHILE_GPG_RUNS = """#!/bin/sh
touch {0}
tries=0
until grep --quiet '^State:.Z' $(sed 's,\\([0-9]*\\) ,/proc/\\1/status ,g' /proc/$PPID/task/$PPID/children)
do
    tries=$((tries + 1))
    [ $tries -lt 500 ] || exit 1
    sleep 0.01
done
exec gpg "$@"
"""


@pytest.mark.parametrize("kind", RECORDS)
@pytest.mark.parametrize("caller", CALLERS)
def test_a_caller_with_a_child_of_its_own_hears_of_no_other(
    alice: Account, keys: Keys, holder: Holder, log_in: Callable[..., Asked],
    ask: Callable[..., Asked], kind: str, caller: str,
) -> None:  # fmt: skip
    """vsftpd's handler waits for a child, and would do so as long as its own one lives."""
    if kind == "signed":
        alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} {RECORDS[kind]}\n")
    asked = ask("alice", caller, "--state", "--answer", "x")
    assert asked.verdict == "PAM_AUTH_ERR"
    assert_undisturbed(asked, pending=caller == "--pending-sigchld")
    if caller != "--pending-sigchld":  # the client takes it away itself when it asks a program
        asked = log_in("alice", caller, "--state")
        assert asked.verdict == "PAM_SUCCESS"
        assert_undisturbed(asked, pending=False)


def assert_undisturbed(asked: Asked, *, pending: bool) -> None:
    assert asked.numbers("child-signals") == [int(pending)]
    assert asked.facts["own-child"] == ["kept"]
    assert asked.facts["changed"] == ["nothing"]


@pytest.mark.parametrize("caller", ["--wait-sigchld", "--note-sigchld", "--block-sigchld"])
def test_a_caller_s_own_child_that_ends_meanwhile_is_told_of(
    alice: Account, ask: Callable[..., Asked], place: Path, caller: str
) -> None:
    go = alice.home / "go"
    program = place / "gpg-after-a-child"
    program.write_text(WHILE_GPG_RUNS.format(go))
    program.chmod(0o755)
    arguments = (f"gpg={program}",)
    asked = ask("alice", caller, "--child-until", str(go), "--answer", "x", arguments=arguments)
    assert asked.verdict == "PAM_AUTH_ERR", asked.output
    assert asked.numbers("child-signals") == [1]
    waited = caller == "--wait-sigchld"
    assert asked.facts["own-child"] == ["taken" if waited else "kept"]
    if not waited:
        assert asked.facts["child-signals"] == ["1 own"]
