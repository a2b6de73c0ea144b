"""`trex deactivate`: restore what was there before `trex activate`, also months later."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from trex.cli.activation import arm, change, plan
from trex.cli.activation.edits import between, unified_difference
from trex.cli.activation.lines import SERVICES
from trex.cli.activation.turn import end_now, finish_earlier, one_at_a_time, waiting_plan
from trex.cli.doctor.doors import trex_rules
from trex.cli.doctor.stack import read_stack
from trex.cli.errors import CommandError
from trex.cli.setup.questions import confirm
from trex.cli.terminal import answer, say
from trex.login.grace import boot_id

if TYPE_CHECKING:
    from trex.cli.activation.plan import Edit

SECONDS = 60  # if this process is killed, the way back finishes it


EPILOG = """\b
Examples:
  sudo trex deactivate sshd
  sudo trex deactivate sudo --forget
"""


@click.command(epilog=EPILOG, short_help="Restore what was there before trex activate.")
@click.argument("service", type=click.Choice(list(SERVICES)))
@click.option("--forget", is_flag=True, help="Leave the files, and forget what was there before.")
@click.option("--yes", is_flag=True, help="Ask no questions.")
def command(service: str, *, forget: bool, yes: bool) -> None:
    """Restore what was there before `trex activate`.

    What waits to be confirmed is taken back at once. Of files that somebody has edited since,
    nothing is changed: it shows what differs, and what to undo by hand.
    """
    with one_at_a_time():
        finish_earlier()
        if (waiting := waiting_plan()) and waiting.service == service:
            end_now(waiting)
            say(f"Taken back: {service} is as it was.")
            if plan.read_active(service):
                say(f"An earlier activation counts again; trex deactivate {service} ends that one.")
            return
        active = plan.read_active(service)
        if active is None:
            raise _never_activated(service)
        if forget:
            plan.forget(active, plan.ACTIVE)
            say("Forgotten. No file was changed.")
            return
        edits = [_backwards(edit) for edit in active.edits]
        _refuse_edited(active.edits, service)
        if all(edit.before == change.read_text(edit.path) for edit in edits):
            plan.forget(active, plan.ACTIVE)
            say(f"{service} is as it was before. Nothing was changed.")
            return
        answer(difference_back(edits))
        if not yes:
            confirm("Restore this?")
        _restore(active, edits)
        say(f"Restored: {service} is as it was before.")


def _never_activated(service: str) -> CommandError:
    """Return the error that names the lines that somebody else has written, if there are any."""
    told = f"trex activate has not switched {service} on"
    rules = trex_rules(read_stack(service))
    if not rules:
        return CommandError(f"{told}: {service} does not ask Trex")
    where = " and ".join(rule.where for rule in rules)
    hint = f"sudoedit {rules[0].path}; what asks for a password instead: @include common-auth"
    return CommandError(f"{told}; written by hand: {where}", hint)


def difference_back(edits: list[Edit]) -> str:
    """Return what restoring changes."""
    return "\n".join(between(e.path, e.after, e.path, e.before) for e in edits)


def _backwards(edit: Edit) -> Edit:
    """Return the edit whose way back leads to what was there first."""
    return replace(edit, before=edit.original)


def _refuse_edited(edits: list[Edit], service: str) -> None:
    edited = [e for e in edits if change.read_text(e.path) not in (e.after, e.original)]
    if not edited:
        return
    for edit in edited:
        current = change.read_text(edit.path)
        answer(between(f"{edit.path} as trex activate wrote it", edit.after, edit.path, current))
    say("\nTo undo by hand, of what trex activate has changed:")
    answer(unified_difference([replace(e, before=e.after, after=e.original or "") for e in edited]))
    raise CommandError(
        f"somebody else has edited {', '.join(e.path for e in edited)} since; nothing was changed",
        f"undo it by hand, and then: trex deactivate {service} --forget",
    )


def _restore(active: plan.Activation, edits: list[Edit]) -> None:
    one = replace(
        active, identity=secrets.token_hex(8), edits=edits, boot=boot_id(), ends=True,
        deadline=time.clock_gettime(time.CLOCK_BOOTTIME) + SECONDS, until=time.time() + SECONDS,
    )  # fmt: skip
    try:
        for edit in edits:
            change.stage(edit)
        arm.arm(one.identity, SECONDS)
        plan.write_plan(one, plan.REVERTING)
    except (OSError, CommandError) as error:
        change.unstage(one)
        arm.disarm(one.identity)
        raise CommandError(f"{error}; nothing was changed", "is the disk writable?") from None
    end_now(one)
