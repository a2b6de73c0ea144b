"""`trex enroll`: write a user's record, with a key that has answered a challenge."""

from __future__ import annotations

import difflib
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from trex.cli.completing import fixed
from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.location import Location, find_location, location_options
from trex.cli.setup import keyfile, keyring, piped, recordfile
from trex.cli.setup.choosing import choose_keys, describe_key
from trex.cli.setup.piped import Pipe
from trex.cli.setup.proof import prove_record
from trex.cli.setup.questions import confirm
from trex.cli.tell import printable
from trex.cli.terminal import answer, say
from trex.errors import one_line
from trex.openpgp.record import WEB_QR_MODES, parse_record
from trex.system.privilege import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trex.cli.setup.recordfile import Fields
    from trex.openpgp.keylist import Key

EPILOG = """\b
Examples:
  trex enroll --key alice-login.asc
  sudo trex enroll --user alice --key - < alice-login.asc
  sudo trex enroll --central --user alice --key alice-login.asc --yes
  sudo trex enroll --central --key-file --user alice --key alice-login.asc --yes
  trex enroll --locate alice@example.org --dry-run
"""


@dataclass(frozen=True, kw_only=True)
class EnrollOptions:
    """The options of `trex enroll`; None where one is not given."""

    user: str | None
    central: bool
    auth_file: str | None
    gnupg_home: str | None
    run_as: str | None
    file: str | None
    from_keyring: bool
    key_file: str | None
    locate: str | None
    wanted: tuple[str, ...]
    add: bool
    trust: bool | None
    sign_as: str | None
    page: str | None
    tls_key: str | None
    tls_certificate: str | None
    no_proof: bool
    piped: bool
    yes: bool
    dry_run: bool

    @property
    def silently(self) -> bool:
        """Whether no question may be asked."""
        return self.yes or self.dry_run or self.piped


@dataclass(frozen=True)
class FoundKeys:
    """Keys as gpg's colon listing and, unless they are in the keyring already, armored."""

    listing: str
    armored: str


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
    found = _find_keys(location, options, pipe)
    shared = location.shares_keyring and not found.armored
    chosen = choose_keys(found.listing, options.wanted, silently=options.silently, shared=shared)
    path = keyfile.path_of(options.key_file, location) if options.key_file else ""
    clean = _clean_blocks(location, found.armored, chosen, path)
    names = [path] if path else [key.fingerprint for key in chosen]
    content = _compose(location, before, chosen, names, options)
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
            _prove(location, _compose(location, before, chosen, [made], options), options)
        with keyfile.replaced(location, path, block, kept):
            _write_record(location, before, content, is_current=is_current)
        return
    if pipe:
        with _imported(location, clean, chosen):
            piped.prove_over_pipe(location, content, pipe)
            _write_record(location, before, content, is_current=is_current)
        return
    if clean:
        _import(location, clean, chosen)
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


@contextmanager
def _imported(location: Location, clean: list[str], chosen: list[Key]) -> Iterator[None]:
    """Import the keys for a block; if it fails, take those out again that were not there before."""
    home, reader = location.gnupg_home, location.reader
    there = run_as(reader, lambda: keyring.fingerprints_in(home))
    new = [key.fingerprint for key in chosen if key.fingerprint not in there]
    _import(location, clean, chosen)
    try:
        yield
    except BaseException:
        if new:
            run_as(reader, lambda: keyring.delete_keys(home, new))
        raise


def _import(location: Location, clean: list[str], chosen: list[Key]) -> None:
    fingerprints = [key.fingerprint for key in chosen]
    home = location.gnupg_home
    if run_as(location.reader, lambda: keyring.import_keys(home, clean, fingerprints)):
        say(f"Imported into {readable(home)}.")


def _clean_blocks(location: Location, armored: str, chosen: list[Key], path: str) -> list[str]:
    """Return the chosen keys in hex, without copies of other keys; report what is left out."""
    if path and (len(chosen) != 1 or not armored):
        raise CommandError("--key-file needs exactly one key, from --key or --locate", "--key FILE")
    if not armored:
        return []
    fingerprints = [key.fingerprint for key in chosen]
    home = os.devnull if path else location.gnupg_home  # a separate file holds no other key
    told = run_as(location.reader, lambda: keyring.clean_blocks(home, armored, fingerprints))
    for key, copy in told["left_out"]:
        say(f"trex: warning: LEFT OUT of {key}: {copy}, which is another person's key")
    return [str(block) for block in told["blocks"]]


def _find_keys(location: Location, options: EnrollOptions, pipe: Pipe | None) -> FoundKeys:
    """Return the keys of the one source that is named."""
    file, address = options.file, options.locate
    if pipe:
        if file or address or options.from_keyring or options.key_file or options.no_proof:
            raise click.UsageError("--piped brings the key itself, and its proof")
        key = pipe.read_key()
        return _found(location, lambda: keyring.keys_in(key, "standard input"))
    if (file is not None) + (address is not None) + options.from_keyring > 1:
        raise click.UsageError("expected only one of --key, --from-keyring and --locate")
    if file == "-":
        content = keyring.checked(sys.stdin.buffer.read(keyring.MAX_KEYS + 1), "standard input")
        return _found(location, lambda: keyring.keys_in(content, "standard input"))
    if file is not None:
        path = os.path.abspath(file)
        return _found(location, lambda: keyring.keys_in(keyring.read_keys(path), file))
    if address is not None:
        return _found(location, lambda: keyring.keys_at(address))
    return _found(location, lambda: keyring.keys_here(location.gnupg_home))


def _found(location: Location, work: Callable[[], dict[str, str]]) -> FoundKeys:
    return FoundKeys(**run_as(location.reader, work))


def _compose(
    location: Location, before: bytes | None, chosen: list[Key], names: list[str],
    options: EnrollOptions,
) -> bytes:  # fmt: skip
    """Return the new file. Raises RecordError for a record that the module would refuse."""
    home = readable(location.user.home)
    fields = recordfile.fields_of(before or b"", location.record, home)
    old_line = fields.line()
    new = names
    if options.add:
        new = [*fields.recipients, *(key for key in new if key not in fields.recipients)]
    if set(new) != set(fields.recipients):
        fields.recipients = new
    _apply(fields, options)
    line = fields.line()
    parse_record(line.encode(), location.record, home)
    if before is not None and line == old_line:
        return before
    name = one_line(chosen[0].user_ids[0]) if chosen[0].user_ids else chosen[0].fingerprint
    return recordfile.with_record(before, line, name, location.record)


def _apply(fields: Fields, options: EnrollOptions) -> None:
    """Change the fields as the options say."""
    if options.trust is not None:
        fields.trust = "trust" if options.trust else "notrust"
    if options.sign_as is not None:
        fields.sign_as = options.sign_as
    tls = [path for path in (options.tls_key, options.tls_certificate) if path]
    mode = options.page
    if mode is None and tls and fields.page:
        mode = fields.page[0]
    if mode is None and tls:
        raise click.UsageError("--tls-key and --tls-certificate need --page")
    if mode not in (None, "none", *WEB_QR_MODES):
        raise click.UsageError(f"--page: expected {', '.join(WEB_QR_MODES)} or none")
    if len(tls) == 1:
        raise click.UsageError("expected --tls-key and --tls-certificate together")
    if any(" " in path or "\t" in path for path in tls):
        raise click.UsageError("a path in a record must not contain spaces")
    if mode == "none":
        fields.page = []
    elif mode is not None:
        same = fields.page[:1] == [mode] or (_has_tls(mode) and _has_tls(*fields.page[:1]))
        kept = fields.page[1:] if same else []
        fields.page = [mode, *(tls or kept)]


def _has_tls(mode: str = "") -> bool:
    return mode in WEB_QR_MODES and WEB_QR_MODES[mode].tls


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
