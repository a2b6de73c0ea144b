"""`trex enroll`: write a user's record, with a key that has answered a challenge."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import click

from trex.cli.completing import fixed
from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.location import find_location, location_options
from trex.cli.setup import keyfile, piped, recordfile
from trex.cli.setup.choosing import choose_keys, describe_key
from trex.cli.setup.enrolment import LEAVE_OUT, REFUSE, EnrollOptions, compose_record
from trex.cli.setup.keysource import clean_chosen, find_keys, import_chosen, imported
from trex.cli.setup.piped import Pipe
from trex.cli.setup.proof import prove_record
from trex.cli.setup.questions import confirm
from trex.cli.tell import printable
from trex.cli.terminal import answer, say
from trex.openpgp.record import WEB_QR_MODES

if TYPE_CHECKING:
    from trex.cli.location import Location

EPILOG = """\b
Examples:
  trex enroll --key alice-login.asc
  sudo trex enroll --user alice --key - < alice-login.asc
  sudo trex enroll --central --user alice --key alice-login.asc --yes
  sudo trex enroll --central --key-file --user alice --key alice-login.asc --yes
  trex enroll --locate alice@example.org --dry-run
"""


@click.command(epilog=EPILOG, short_help="Set a user up to log in with an OpenPGP key.")
@location_options
@click.option(
    "--key", "file", metavar="FILE", help="Take the public key from FILE; - is standard input."
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
@click.option("--add", is_flag=True, help="Keep the record's keys: any of them can answer.")
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
    help=f"Show a QR code: {', '.join(WEB_QR_MODES)}, or none.",
    shell_complete=fixed(*WEB_QR_MODES, "none"),
)
@click.option("--tls-key", metavar="PATH", help="The page's TLS key.")
@click.option("--tls-certificate", metavar="PATH", help="The page's TLS certificate.")
@click.option("--no-proof", is_flag=True, help="Write the record without testing it.")
@click.option(
    "--piped",
    is_flag=True,
    help="Take key and response from standard input, for trex copy-id.",
)
@click.option("--yes", is_flag=True, help="Ask no questions.")
@click.option("--dry-run", is_flag=True, help="Show what would change in the record, and stop.")
def command(**arguments: Any) -> None:
    """Let a user log in with an OpenPGP key: import it, write the record, test it.

    The record's other settings are kept unless an option changes them. The old file is kept beside
    the new one, with a ~ at the end of its name. With --yes and no secret key at hand, a challenge
    is made but not answered.
    """
    options = EnrollOptions(**arguments)
    location = find_location(
        options.user, central=options.central, auth_file=options.auth_file,
        gnupg_home=options.gnupg_home, run_as=options.run_as,
    )  # fmt: skip
    pipe = Pipe() if options.piped else None
    # First: this finds a dead file system soon.
    before = recordfile.read_as(location.writer, location.record)
    found = find_keys(location, options, pipe)
    shared = location.shares_keyring and not found.armored
    chosen = choose_keys(found.listing, options.wanted, silently=options.silently, shared=shared)
    path = keyfile.path_of(options.key_file, location) if options.key_file else ""
    clean = clean_chosen(location, found.armored, chosen, path)
    names = [path] if path else [key.fingerprint for key in chosen]
    content = compose_record(location, before, chosen, names, options)
    difference = _difference(location, before, content)
    if options.dry_run:
        if difference:
            answer(difference.rstrip("\n"))
        return
    for key in chosen:
        say(f"For {location.user.name}:\n{describe_key(key)}")
    is_current = not difference and run_as(location.writer, lambda: _has_right_access(location))
    if not options.silently and (path or not is_current):
        if difference:
            say(f"\n{difference}")
        changed = location.shown if difference else path or location.shown
        confirm(f"Is this the right fingerprint, and shall {changed} be written?")
    if path:
        kept = keyfile.read(location, path)
        block = bytes.fromhex(clean[0])
        with keyfile.staged(location, path, block) as made:
            _prove(location, compose_record(location, before, chosen, [made], options), options)
        with keyfile.replaced(location, path, block, kept):
            _write_record(location, before, content, is_current=is_current)
        return
    if pipe:
        with imported(location, clean, chosen):
            piped.prove_over_pipe(location, content, pipe)
            _write_record(location, before, content, is_current=is_current)
        return
    if clean:
        import_chosen(location, clean, chosen)
    if not is_current:
        _prove(location, content, options)
    _write_record(location, before, content, is_current=is_current)


def _write_record(
    location: Location, before: bytes | None, content: bytes, *, is_current: bool
) -> None:
    if is_current:
        say(f"{location.shown} is up to date: nothing to change.")
        return
    run_as(location.writer, lambda: _write(location, before, content))
    say(f"Written: {location.shown}")


def _prove(location: Location, content: bytes, options: EnrollOptions) -> None:
    if options.no_proof:
        say("Not tested, because of --no-proof.")
    elif prove_record(location, content, silently=options.yes):
        say("Tested: a challenge was made and answered.")
    else:
        say("A challenge was made; whether anybody can answer it was not tested.")


def _difference(location: Location, before: bytes | None, content: bytes) -> str:
    """Return a diff that is safe for a terminal: root reads a user's comments in it."""
    old, new = (
        (text or b"").decode("utf-8", "replace").splitlines(keepends=True)
        for text in (before, content)
    )
    name = location.shown if before is not None else "/dev/null"
    return printable("".join(difflib.unified_diff(old, new, name, location.shown)))


# ------------------------------------------------------------- in a process of the writer's


def _has_right_access(location: Location) -> bool:
    """Return whether owner, group and mode are right. Raises FileUnsafe as writing would."""
    writer, reader = location.writer, location.reader
    recordfile.check_parents(location.record, writer)
    return recordfile.has_right_access(location.record, writer.uid, location.mode, reader.gid)


def _write(location: Location, before: bytes | None, content: bytes) -> None:
    recordfile.check_parents(location.record, location.writer)
    try:
        recordfile.replace_record(
            location.record, content, before, location.mode, location.reader.gid
        )
    except OSError as error:
        raise CommandError(
            f"{location.shown}: {error.strerror}; the record is unchanged",
            "is the disk full, or does the directory belong to another account?",
        ) from None
