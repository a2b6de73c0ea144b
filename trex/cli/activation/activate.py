"""`trex activate`: switch Trex on for a service, for good only once a login has confirmed it."""

from __future__ import annotations

import os
import re
import secrets
import time
from typing import TYPE_CHECKING

import click

from trex.cli.accounts.people import LOGIN_DEFS
from trex.cli.activation import arm, back, change, plan, reload, sshdfile, trial
from trex.cli.activation.edits import NOTHING_CHANGED, edit_of, unified_difference
from trex.cli.activation.lines import (
    KNOWN_METHODS,
    SERVICES,
    Choice,
    check_choice,
    files_to_change,
    usual_door,
    with_lines,
)
from trex.cli.activation.managed import no_longer_asked, notes_on, services_beside, services_of
from trex.cli.activation.people import set_up_and_not
from trex.cli.activation.turn import clock_of, finish_earlier, one_at_a_time, waiting_plan
from trex.cli.activation.witnesses import open_witnesses
from trex.cli.errors import CommandError
from trex.cli.installed import document
from trex.cli.setup.questions import confirm
from trex.cli.terminal import answer, folded, say
from trex.errors import OptionError
from trex.login.grace import boot_id

if TYPE_CHECKING:
    from typing import Any

    from trex.cli.activation.plan import Edit

SSH = "/etc/ssh/"
MOST_NAMED = 20
LOGIN_TIMEOUT = re.compile(r"^(LOGIN_TIMEOUT[ \t]+)(\d+)", re.MULTILINE)
CHALLENGE_SECONDS = 600  # how long a challenge is valid
LEAST_SECONDS, MOST_SECONDS = 10, 3600
NEXT = {
    "sshd": "log in over ssh, and in that session:\n    sudo trex confirm",
    "sudo": "ask for the challenge:\n    sudo -k\n    sudo trex confirm",
    "su": "answer root's challenge:\n    su -c 'trex confirm'",
    "login": "log in at a console, and in that session:\n    sudo trex confirm",
}
EPILOG = """\b
Examples:
  sudo trex activate sshd --dry-run
  sudo trex activate sshd --nullok
  sudo trex activate sudo
  sudo trex activate login --method openpgp --method totp

\b
Exit status:
  0  changed and waiting to be confirmed, or there was nothing to change
  1  nothing was changed, or it was taken back at once
"""


class _Duration(click.ParamType):
    """Seconds, or minutes with an m."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,5})(s|m)?", value)
        seconds = int(found[1]) * (60 if found[2] == "m" else 1) if found else 0
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            self.fail("expected 10s to 60m, such as 5m", param, ctx)
        return seconds


@click.command(epilog=EPILOG, short_help="Switch Trex on for sshd, sudo, su or login.")
@click.argument("service", type=click.Choice(list(SERVICES)))
@click.option(
    "--method",
    "methods",
    multiple=True,
    type=click.Choice(KNOWN_METHODS),
    metavar="NAME",
    help="As the module's method=; of several, any one is enough.  [default: openpgp]",
)
@click.option("--central", is_flag=True, help="Records of root's; always so with sudo and su.")
@click.option("--nullok", is_flag=True, help="Who has no record goes on with a password.")
@click.option("--with-faillock", is_flag=True, help="Lock accounts after failures.")
@click.option(
    "--door", type=click.Choice(["native", "python"]), help="pam_trex.so or pam_python.so."
)
@click.option(
    "--timeout", type=_Duration(), default="5m", show_default=True, help="When it is taken back."
)
@click.option("--dry-run", is_flag=True, help="Show and check, and change nothing.")
@click.option("--yes", is_flag=True, help="Ask no questions.")
@click.option("--anyway", is_flag=True, help="Go on although trex doctor would find errors.")
@click.option("--watcher-alone", is_flag=True, help="Go on where nothing would act after a reboot.")
def command(  # noqa: PLR0913 (one for each option)
    service: str, methods: tuple[str, ...], door: str | None, timeout: int, *, central: bool,
    nullok: bool, with_faillock: bool, dry_run: bool, yes: bool, anyway: bool, watcher_alone: bool,
) -> None:  # fmt: skip
    """Have a service ask Trex, and take that back unless a login confirms it.

    Shows what changes in /etc/pam.d and in sshd's configuration, has sshd and the doctor judge it,
    says who could no longer log in, asks, changes the files and has sshd read them. After five
    minutes everything is as before, whatever happens to this terminal or host, unless `trex
    confirm` is run from a login that Trex has let in. Open sessions stay open.
    """
    choice = Choice(
        service, methods or ("openpgp",), door or usual_door(service), central, nullok,
        with_faillock,
    )  # fmt: skip
    with one_at_a_time():
        finish_earlier()
        if waiting := waiting_plan():
            raise CommandError(
                f"{waiting.service} waits to be confirmed until {clock_of(waiting)}",
                f"trex confirm; or trex deactivate {waiting.service}",
            )
        try:
            check_choice(choice)
        except OptionError as error:
            raise CommandError(str(error), NOTHING_CHANGED) from None
        edits = _edits(choice)
        if all(edit.before == edit.after for edit in edits):
            say(f"{service} asks Trex already, in just this way. Nothing was changed.")
            return
        answer(unified_difference(edits))
        _tell(choice, edits)
        _check(choice, edits, anyway=anyway, watcher_alone=watcher_alone)
        if dry_run:
            say("This was a dry run. Nothing was changed.")
            return
        if not yes:
            confirm("Change this?")
        _say_next(_switch_on(choice, edits, timeout, anyway=anyway))


def _edits(choice: Choice) -> list[Edit]:
    """Return the edits in the order in which they are made; those already made are among them."""
    known = plan.read_active(choice.service)
    made = {edit.path: edit for edit in known.edits} if known else {}
    edits = []
    if choice.service == "sshd":
        edits.append(_edit(sshdfile.PATH, made, sshdfile.with_settings))
    if choice.service == "login":
        edits.append(_edit(LOGIN_DEFS, made, lambda text: _with_timeout(text or "")))
    edits += [
        _edit(path, made, lambda text, path=path: with_lines(text or "", choice, path))
        for path in files_to_change(choice.service)
    ]
    return [edit for edit in edits if edit.original != edit.after]


def _edit(path: str, made: dict[str, Edit], changed: Any) -> Edit:
    """Return the edit of one file, from what it was before the first activation."""
    real = os.path.realpath(path)
    current = edit_of(path, "")
    earlier = made.get(real)
    if earlier is None or current.before == earlier.original:
        return edit_of(path, changed(current.before))
    if current.before != earlier.after:
        hint = (
            f"trex deactivate says what; {document('docs/configuration.md')} has the steps by hand"
        )
        raise CommandError(f"{real} was edited after trex activate had written it", hint)
    edit = edit_of(path, changed(earlier.original))
    return plan.with_original(edit, earlier.original)


def _with_timeout(text: str) -> str:
    """Have login wait as long as a challenge is valid: login.defs(5)."""
    found = LOGIN_TIMEOUT.search(text)
    if not found:
        return f"{text}LOGIN_TIMEOUT\t{CHALLENGE_SECONDS}\n"
    if int(found[2]) == 0 or int(found[2]) >= CHALLENGE_SECONDS:
        return text
    return LOGIN_TIMEOUT.sub(rf"\g<1>{CHALLENGE_SECONDS}", text, count=1)


def _tell(choice: Choice, edits: list[Edit]) -> None:
    """Say who else has a say in the files, and what is no longer asked."""
    paths = [*files_to_change(choice.service), LOGIN_DEFS, sshdfile.PATH]
    for edit in edits:
        path = next((path for path in paths if os.path.realpath(path) == edit.path), edit.path)
        for note in notes_on(edit, path):
            say(folded(f"note: {note}"))
    if any(edit.path.startswith(SSH) for edit in edits):
        say("note: sshd asks for an SSH key first: whoever has none can no longer log in.")
    pam = [edit.path for edit in edits if edit.path != sshdfile.PATH]
    if also := services_beside(choice.service, pam):
        say(folded(f"note: the same lines are read by {', '.join(also)}."))
    gone = [] if choice.nullok else no_longer_asked(choice.service)
    if gone:
        told = (
            f"note: no longer asked by {choice.service}: {', '.join(gone)}; nor what "
            "pam-auth-update or a package adds there later."
        )
        say(folded(told))


def _check(choice: Choice, edits: list[Edit], *, anyway: bool, watcher_alone: bool) -> None:
    """Have sshd and the doctor judge, and say who is not enrolled yet. Raises CommandError."""
    arm.check_way_back()
    if not arm.survives_reboot() and not watcher_alone:
        raise CommandError(arm.NO_REBOOT, f"{NOTHING_CHANGED}; --watcher-alone accepts that")
    able, missing = set_up_and_not(choice)
    if missing:
        named = ", ".join(missing[:MOST_NAMED])
        more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
        then = "go on as before" if choice.nullok else "are refused"
        say(folded(f"not set up, so these {then}: {named}{more}"))
    if not able and not choice.nullok and not anyway:
        hint = f"{NOTHING_CHANGED}; trex enroll --user NAME comes first, or --nullok"
        raise CommandError(f"nobody is set up: {choice.service} would refuse everybody", hint)
    if not trial.can_be_tried():
        say("note: the doctor looks afterwards: there is no mount namespace here.")
        return
    with trial.tried(edits) as before:
        if choice.service == "sshd" and (told := trial.sshd_would_say(before)):
            raise CommandError(f"sshd -t: {told}", NOTHING_CHANGED)
        _judge(choice, trial.doctor_would_say(choice.service, before), anyway=anyway)


def _judge(choice: Choice, findings: list[dict[str, Any]], *, anyway: bool) -> None:
    """Raise CommandError for what would refuse everybody, or let in without an answer."""
    errors = [finding for finding in findings if finding["severity"] == "error"]
    for finding in errors:
        say(f"{folded('error: ' + finding['what'])}\n{folded('why: ' + finding['why'], '  ')}")
        say(f"  fix: {finding['fix']}")
    if not anyway and any(not finding["subject"] for finding in errors):
        raise CommandError(
            f"trex doctor --service {choice.service} would find these errors",
            f"{NOTHING_CHANGED}; --anyway goes on",
        )


def _switch_on(choice: Choice, edits: list[Edit], seconds: int, *, anyway: bool) -> plan.Activation:
    """Write the plan down, prepare the way back, and only then change something."""
    one = plan.Activation(
        secrets.token_hex(8), choice.service, services_of(choice.service, [e.path for e in edits]),
        edits, boot_id(), time.clock_gettime(time.CLOCK_BOOTTIME) + seconds,
        time.time() + seconds,
    )  # fmt: skip
    try:
        plan.write_plan(one, plan.PENDING)
        for edit in edits:
            change.stage(edit)
        arm.arm(one.identity, seconds)
        _put(edits)
        open_witnesses(one.services)
        if not trial.can_be_tried():
            _judge(choice, trial.doctor_would_say(choice.service, []), anyway=anyway)
    except BaseException as error:
        problems = back.take_back(one.identity)
        if isinstance(error, OSError):
            told = f"{error.filename or plan.STATE}: {error.strerror}"
            raise CommandError(told, _ended(problems)) from None
        if isinstance(error, CommandError):
            raise CommandError(str(error), _ended(problems)) from None
        raise
    back.log(f"{choice.service}: switched on, and taken back at {clock_of(one)} unless confirmed")
    return one


def _put(edits: list[Edit]) -> None:
    """Change the files: sshd's first, so that it never asks the new stack with the old settings."""
    of_sshd = [edit for edit in edits if edit.path.startswith(SSH)]
    for edit in of_sshd:
        change.put(edit)
    if of_sshd and (told := reload.complaint_of_sshd() or reload.reload_sshd()):
        raise CommandError(f"sshd: {told}")
    for edit in edits:
        if edit not in of_sshd:
            change.put(edit)


def _ended(problems: list[str]) -> str:
    return f"not taken back yet: {'; '.join(problems)}" if problems else "everything is as before"


def _say_next(one: plan.Activation) -> None:
    seconds = round(one.until - time.time())
    say(
        f"Changed. At {clock_of(one)}, in {seconds} seconds, it is taken back unless it is "
        f"confirmed.\nIn another terminal, {NEXT[one.service]}"
    )
