"""`trex setup`: ordinary ssh, and every program that runs it, answers challenges."""

from __future__ import annotations

import difflib
import os

import click

from trex.cli.client.handover import (
    ASKPASS,
    OWN_ASKPASS,
    OWN_REQUIRE,
    PROGRAM,
    REQUIRE,
    find_beside,
)
from trex.cli.client.launch import find_ssh
from trex.cli.doctor.client import check_client
from trex.cli.doctor.finding import status_of
from trex.cli.doctor.report import print_findings
from trex.cli.setup.questions import confirm
from trex.cli.terminal import answer, say
from trex.cli.workstation import session, sshconfig
from trex.cli.workstation.dotfile import Change, apply

EXAMPLES = """\b
Examples:
  trex setup
  trex setup --dry-run
  trex setup --check
  trex setup --undo
"""
UNSET = f"unset {ASKPASS} {REQUIRE} {OWN_ASKPASS} {OWN_REQUIRE}"


@click.command(epilog=EXAMPLES, short_help="Let plain ssh, git, rsync and scp answer too.")
@click.option("--undo", is_flag=True, help="Take out again what it has written.")
@click.option("--check", is_flag=True, help="Look for whatever would keep ssh from answering.")
@click.option("--dry-run", is_flag=True, help="Show what would be written, and stop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(*, undo: bool, check: bool, dry_run: bool, yes: bool) -> int:
    """Let every ssh that you start answer a challenge, as `trex ssh` does.

    Your sessions get SSH_ASKPASS and SSH_ASKPASS_REQUIRE: ssh then asks trex-askpass, which passes
    on every other question as ssh would ask it. ssh's configuration gets a KnownHostsCommand that
    records the host key of each connection. Each change of a file is shown before it is written. It
    takes effect in your next session.
    """
    if check and (undo or dry_run):
        raise click.UsageError("expected --check alone")
    if check:
        findings = check_client()
        print_findings(findings)
        return status_of(findings)
    around = session.surroundings(os.environ)
    changes = _undoing(around) if undo else _changes(around)
    if not changes:
        say(
            "Nothing of trex setup is there." if undo else "Everything is there: nothing to change."
        )
        return 0
    for change in changes:
        answer(difference(change))
    if dry_run:
        return 0
    if not yes:
        confirm("Shall this be taken out?" if undo else "Shall this be written?")
    apply(changes)
    _tell_what_next(around, undo=undo)
    return 0


def _changes(around: session.Surroundings) -> list[Change]:
    recording = sshconfig.changes(around, find_ssh(dict(os.environ)))
    found = [*session.changes(around, find_beside(PROGRAM)), *recording]
    return [change for change in found if change.before != change.after]


def _undoing(around: session.Surroundings) -> list[Change]:
    return [*session.undoing(around), *sshconfig.undoing(around)]


def difference(change: Change) -> str:
    """Return a diff of a change, for people."""
    old, new = (
        (content or b"").decode("utf-8", "replace").splitlines(keepends=True)
        for content in (change.before, change.after)
    )
    before, after = (
        os.devnull if content is None else change.path for content in (change.before, change.after)
    )
    lines = difflib.unified_diff(old, new, before, after)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines).rstrip("\n")


def _tell_what_next(around: session.Surroundings, *, undo: bool) -> None:
    if undo:
        say(f"Taken out. Sessions that run keep their environment; here: {UNSET}")
        return
    say(
        "Written. New sessions have it; log out and in again for programs of the desktop.\n"
        f"In this shell: . {session.script(around)}\n"
        "To see whether all is well there: trex setup --check"
    )
