"""`trex confirm`: keep what `trex activate` has changed, from a login that came through it."""

from __future__ import annotations

import click

from trex.cli.activation import arm, back, change, plan
from trex.cli.activation.turn import clock_of, finish_earlier, one_at_a_time, waiting_plan
from trex.cli.activation.witnesses import close_witnesses, witness
from trex.cli.errors import CommandError
from trex.cli.terminal import say
from trex.errors import one_line

ANEW = {
    "sshd": "log in anew over ssh, and in that session: sudo trex confirm",
    "sudo": "sudo -k; sudo trex confirm",
    "su": "su -c 'trex confirm'",
    "login": "log in anew at a console, and in that session: sudo trex confirm",
}


EPILOG = """\b
Examples:
  ssh server.example.org sudo trex confirm
"""


@click.command(epilog=EPILOG, short_help="Keep what trex activate has changed.")
def command() -> None:
    """Keep what `trex activate` has changed.

    It has to be run from a login that came through the service since then and was answered: this
    process must descend from one that Trex has let in. A session from before proves nothing.
    """
    with one_at_a_time():
        finish_earlier()
        one = waiting_plan()
        if one is None:
            raise CommandError("nothing waits to be confirmed", "sudo trex activate SERVICE")
        user = witness(one.services)
        if user is None:
            raise CommandError(
                f"this is no login that Trex has let in through {one.service} since then; it is "
                f"taken back at {clock_of(one)}",
                ANEW[one.service],
            )
        for edit in one.edits:
            if change.read_text(edit.path) != edit.after:
                hint = f"trex deactivate {one.service}, and activate it again"
                raise CommandError(f"{edit.path} has been edited since", hint)
        _keep(one, user)
        say(f"Confirmed: {one.service} asks Trex. trex deactivate {one.service} takes it back.")


def _keep(one: plan.Activation, user: str) -> None:
    """Confirm it: from the rename on, the way back has nothing to take back."""
    if not plan.move(one, plan.PENDING, plan.ACTIVE):
        raise CommandError("it has just been taken back", f"trex activate {one.service}")
    close_witnesses()
    change.unstage(one)
    arm.disarm(one.identity)  # last: what takes it back also removes what is left here
    back.log(f"{one.service}: confirmed by a login of {one_line(user)}")
