"""`trex enroll`: write a user's record, with a key that has answered a challenge."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any

import click

from trex.cli.completing import fixed
from trex.cli.location import find_location, location_options
from trex.cli.setup import keyfile
from trex.cli.setup.choosing import describe_key
from trex.cli.setup.enrolment import ALONE, BOTH, LEAVE_OUT, REFUSE, EnrollOptions
from trex.cli.setup.handin import say_who_else_decides, write_hand_in
from trex.cli.setup.keysource import find_keys
from trex.cli.setup.many import enroll_many
from trex.cli.setup.piped import Pipe, prove_over_pipe
from trex.cli.setup.plan import carry_out, make_plan
from trex.cli.setup.proof import asks_two, make_message, new_challenge, prove_record
from trex.cli.setup.questions import confirm
from trex.cli.tell import printable
from trex.cli.terminal import answer, say
from trex.errors import one_line
from trex.openpgp.record import QR_MODES, TERMINAL_QR_MODES, WEB_QR_MODES
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.cli.setup.plan import Plan

EPILOG = """\b
Examples:
  trex enroll --key alice-login.asc
  sudo trex enroll --user alice --key - < alice-login.asc
  sudo trex enroll --central --user alice --yes --key - < alice-login.asc
  sudo trex enroll --central --key-file --user alice --key - < alice-login.asc
  sudo trex enroll --central --key-file --from /root/login-keys --dry-run
  sudo trex enroll --central --user alice --page webQrAuthTls
  sudo trex enroll --central --user root --add --two-people --key - < bob.asc
  trex enroll --locate alice@example.org --dry-run
"""


@click.command(epilog=EPILOG, short_help="Set a user up to log in with an OpenPGP key.")
@location_options
@click.option(
    "--key", "file", metavar="FILE", help="Take the public key from FILE; - is standard input."
)
@click.option(
    "--from",
    "source",
    metavar="PATH",
    help="Enrol many: from a directory of NAME.asc, or a table.",
)
@click.option("--from-keyring", is_flag=True, help="Take the key from the keyring that logins use.")
@click.option(
    "--key-file",
    metavar="PATH",
    is_flag=False,
    flag_value=keyfile.DEFAULT,
    help=f"Keep the key in a separate file, not in a keyring; default {keyfile.DEFAULT}.",
)
@click.option("--locate", metavar="ADDRESS", help="Get the key from ADDRESS's Web Key Directory.")
@click.option(
    "--fingerprint",
    "wanted",
    metavar="FPR",
    multiple=True,
    help="Which key, if there are several; may be repeated.",
)
@click.option("--add", is_flag=True, help="Keep the record's keys, too.")
@click.option(
    "--same-person", is_flag=True, help="The account has another uid now, but the same owner."
)
@click.option(
    "--unusable",
    type=click.Choice([REFUSE, LEAVE_OUT]),
    metavar="WORD",
    help="What one key of several does that has ended: refuse, or leave-out.",
)
@click.option(
    "--two-people", "people", flag_value=BOTH, help="Have a login take two of the record's keys."
)
@click.option("--one-person", "people", flag_value=ALONE, help="Have it take any one of them.")
@click.option(
    "--trust/--notrust",
    default=None,
    help="Whether the record vouches for the key, or gpg must.",
)
@click.option(
    "--sign-as",
    metavar="KEY",
    help="Sign challenges with KEY; nosign for none.",
    shell_complete=fixed("nosign"),
)
@click.option(
    "--page",
    metavar="MODE",
    help=f"Show a QR code: on a page {', '.join(WEB_QR_MODES)}; in the prompt"
    f" {', '.join(TERMINAL_QR_MODES)}; or none.",
    shell_complete=fixed(*QR_MODES, "none"),
)
@click.option("--tls-key", metavar="PATH", help="The page's TLS key.")
@click.option("--tls-certificate", metavar="PATH", help="The page's TLS certificate.")
@click.option("--prove", is_flag=True, help="As root: have the user answer before it is written.")
@click.option("--no-proof", is_flag=True, help="Write the record without testing it.")
@click.option(
    "--piped",
    is_flag=True,
    help="Take key and response from standard input, for trex copy-id.",
)
@click.option("--yes", is_flag=True, help="Ask no questions.")
@click.option("--dry-run", is_flag=True, help="Show what would change in the record, and stop.")
def command(**arguments: Any) -> int:
    """Let a user log in with an OpenPGP key: import it, write the record, test it.

    The record's other settings are kept unless an option changes them, and its keys where no option
    names one. The old file is kept beside the new one, with a ~ at the end of its name. Users prove
    that they can answer; root writes a record without that, unless --prove asks for it.
    """
    options = EnrollOptions(**arguments)
    if options.prove and options.no_proof:
        raise click.UsageError("expected only one of --prove and --no-proof")
    if options.source is not None:
        return enroll_many(options.source, options)
    if options.central and os.geteuid() != 0:
        write_hand_in(options)
        return 0
    location = find_location(
        options.user, central=options.central, auth_file=options.auth_file,
        gnupg_home=options.gnupg_home, run_as=options.run_as,
    )  # fmt: skip
    pipe = Pipe() if options.piped else None
    plan = make_plan(location, options, lambda: find_keys(location, options, pipe))
    difference = _difference(plan)
    if options.dry_run:
        if difference:
            answer(difference.rstrip("\n"))
        return 0
    for key in plan.chosen:
        say(f"For {location.user.name}:\n{describe_key(key)}")
    if not options.silently and (not plan.is_current or (plan.path and not plan.has_keys)):
        if difference:
            say(f"\n{difference}")
        confirm(_question(plan))
    proved: list[str] = []  # how far, said after what it is about
    carry_out(plan, lambda content: proved.extend(_prove(location, content, options, pipe)))
    _say_what_changed(plan)
    for told in proved:
        say(told)
    say_who_else_decides(location)
    return 0


NOT_PROVED = "Not proved: a challenge was made, and nobody has answered it."


def _question(plan: Plan) -> str:
    path = one_line(readable(plan.path))
    changed = plan.location.shown if plan.content != plan.before else path or plan.location.shown
    asked = "Is this the right fingerprint, and shall" if plan.chosen else "Shall"
    return f"{asked} {changed} be written?"


def _prove(
    location: Location, content: bytes, options: EnrollOptions, pipe: Pipe | None
) -> list[str]:  # fmt: skip
    """Test a new record as the options say; return how far. Raises CommandError if it fails.

    Users answer a challenge of their own record. Of root's users nobody is there who could, so that
    their records are written without an answer unless --prove asks for it.
    """
    if pipe:
        prove_over_pipe(location, content, pipe)
        return []
    if options.no_proof:
        return ["Not tested, because of --no-proof."]
    if not (options.prove or _proves_themselves(location, content)):
        make_message(location, content, new_challenge(location, content))
        return [NOT_PROVED, _later(location)]
    if prove_record(location, content, silently=options.yes and not options.prove):
        return ["Tested: a challenge was made and answered."]
    return [NOT_PROVED]


def _proves_themselves(location: Location, content: bytes) -> bool:
    """Tell whether whoever runs this can answer alone."""
    return os.geteuid() == location.user.uid and not asks_two(location, content)


def _later(location: Location) -> str:
    name = location.user.name
    return f"A login of {name}'s proves it; where sudo asks, `trex try --service sudo`."


def _say_what_changed(plan: Plan) -> None:
    if not plan.has_keys:
        home = readable(plan.location.gnupg_home)
        say(f"Written: {readable(plan.path)}" if plan.path else f"Imported into {home}.")
    if plan.is_current:
        say(f"{plan.location.shown} is up to date: nothing to change.")
    else:
        say(f"Written: {plan.location.shown}")


def _difference(plan: Plan) -> str:
    """Return a diff that is safe for a terminal: root reads a user's comments in it."""
    old, new = (
        (text or b"").decode("utf-8", "replace").splitlines(keepends=True)
        for text in (plan.before, plan.content)
    )
    shown = plan.location.shown
    name = shown if plan.before is not None else "/dev/null"
    return printable("".join(difflib.unified_diff(old, new, name, shown)))
