"""`trex enroll`: a record for a user, with a key that has proved that it can answer."""

from __future__ import annotations

import difflib
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from trex.cli.delegate import run_as
from trex.cli.place import Place, find_place, place_options
from trex.cli.setup import keyfile, keyring, recordfile
from trex.cli.setup.choosing import choose, describe
from trex.cli.setup.proof import prove
from trex.cli.setup.questions import confirm
from trex.cli.tell import printable
from trex.cli.terminal import CommandError, answer, say
from trex.login.audit import one_line
from trex.openpgp.record import WEB_QR_MODES, parse_record
from trex.system.privilege import readable

if TYPE_CHECKING:
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


@click.command(epilog=EPILOG, short_help="Set a user up to log in with an OpenPGP key.")
@place_options
@click.option(
    "--key", "file", metavar="FILE", help="Take the public key from FILE; - is standard input."
)
@click.option("--from-keyring", is_flag=True, help="Take it from the keyring that logins use.")
@click.option(
    "--key-file",
    metavar="PATH",
    is_flag=False,
    flag_value=keyfile.DEFAULT,
    help=f"Keep the key in a file of its own and no keyring; {keyfile.DEFAULT} without PATH.",
)
@click.option("--locate", metavar="ADDRESS", help="Ask ADDRESS's Web Key Directory for it.")
@click.option(
    "--fingerprint",
    "wanted",
    metavar="FPR",
    multiple=True,
    help="Which key, if there are several; may be repeated.",
)
@click.option("--add", is_flag=True, help="Keep the record's keys: either can answer then.")
@click.option(
    "--trust/--notrust", default=None, help="Whether the record vouches for the key, or gpg has to."
)
@click.option("--sign-as", metavar="KEY", help="Have challenges signed by KEY; nosign for none.")
@click.option("--page", metavar="MODE", help=f"Show a QR code: {', '.join(WEB_QR_MODES)}, or none.")
@click.option("--tls-key", metavar="PATH", help="The page's TLS key.")
@click.option("--tls-certificate", metavar="PATH", help="The page's TLS certificate.")
@click.option("--no-proof", is_flag=True, help="Write the record without trying it out.")
@click.option("--yes", is_flag=True, help="Ask no questions.")
@click.option("--dry-run", is_flag=True, help="Show what would change in the record, and stop.")
def command(**arguments: Any) -> None:
    """Let a user log in with an OpenPGP key: import it, write the record, try it out.

    What the record says already is kept unless an option says otherwise. The file from before is
    kept beside it, with a ~ at its end. With --yes, and no secret key at hand, a challenge is made
    but not answered.
    """
    given = {name: arguments[name] for name in ("auth_file", "gnupg_home", "run_as")}
    place = find_place(arguments["user"], central=arguments["central"], **given)
    silently = arguments["yes"] or arguments["dry_run"]
    before = recordfile.read_as(place.writer, place.record)  # first: it says soon what hangs
    found = _find_keys(place, arguments)
    shared = place.shares_keyring and not found["armored"]
    chosen = choose(found["listing"], arguments["wanted"], silently=silently, shared=shared)
    path = keyfile.path_of(arguments["key_file"], place) if arguments["key_file"] else ""
    clean = _clean_blocks(place, found["armored"], chosen, path)
    names = [path] if path else [key.fingerprint for key in chosen]
    content = _compose(place, before, chosen, names, arguments)
    difference = _difference(place, before, content)
    if arguments["dry_run"]:
        if difference:
            answer(difference.rstrip("\n"))
        return
    for key in chosen:
        say(f"For {place.user.name}:\n{describe(key)}")
    as_meant = not difference and run_as(place.writer, lambda: _is_as_meant(place))
    if not arguments["yes"] and (path or not as_meant):
        if difference:
            say(f"\n{difference}")
        wanted = f"{place.shown} say so" if difference else f"{path or place.shown} be written anew"
        confirm(f"Is this the right fingerprint, and shall {wanted}?")
    if path:
        kept = keyfile.read(place, path)
        block = bytes.fromhex(clean[0])
        with keyfile.staged(place, path, block) as made:
            _prove(place, _compose(place, before, chosen, [made], arguments), arguments)
        with keyfile.replaced(place, path, block, kept):
            _write_record(place, before, content, as_meant=as_meant)
        return
    if clean:
        _import(place, clean, chosen)
    if not as_meant:
        _prove(place, content, arguments)
    _write_record(place, before, content, as_meant=as_meant)


def _write_record(place: Place, before: bytes | None, content: bytes, *, as_meant: bool) -> None:
    if as_meant:
        say(f"{place.shown} says this already: nothing to change.")
        return
    run_as(place.writer, lambda: _write(place, before, content))
    say(f"Written: {place.shown}")


def _import(place: Place, clean: list[str], chosen: list[Key]) -> None:
    fingerprints = [key.fingerprint for key in chosen]
    if run_as(place.reader, lambda: keyring.import_keys(place.gnupg_home, clean, fingerprints)):
        say(f"Imported into {readable(place.gnupg_home)}.")


def _clean_blocks(place: Place, armored: str, chosen: list[Key], path: str) -> list[str]:
    """Return the chosen keys without what is others' in them, in hex digits; say what that is."""
    if path and (len(chosen) != 1 or not armored):
        raise CommandError("--key-file takes one key, out of a file or by --locate", "--key FILE")
    if not armored:
        return []
    fingerprints = [key.fingerprint for key in chosen]
    home = os.devnull if path else place.gnupg_home  # a file of its own is beside no other's
    told = run_as(place.reader, lambda: keyring.clean_blocks(home, armored, fingerprints))
    for key, copy in told["left_out"]:
        say(f"trex: warning: LEFT OUT of {key}: {copy}, which is the key of somebody else")
    return [str(block) for block in told["blocks"]]


def _find_keys(place: Place, arguments: dict[str, Any]) -> dict[str, str]:
    """Return listing and armored keys from the one source that is named."""
    file, address = arguments["file"], arguments["locate"]
    if (file is not None) + (address is not None) + arguments["from_keyring"] > 1:
        raise click.UsageError("--key, --from-keyring and --locate: one of them")
    if file == "-":
        content = keyring.checked(sys.stdin.buffer.read(keyring.MAX_KEYS + 1), "standard input")
        return _plain(run_as(place.reader, lambda: keyring.keys_in(content, "standard input")))
    if file is not None:
        path = os.path.abspath(file)
        return _plain(
            run_as(place.reader, lambda: keyring.keys_in(keyring.read_key_file(path), file))
        )
    if address is not None:
        return _plain(run_as(place.reader, lambda: keyring.keys_at(address)))
    return _plain(run_as(place.reader, lambda: keyring.keys_here(place.gnupg_home)))


def _plain(told: Any) -> dict[str, str]:
    return {name: str(told[name]) for name in ("listing", "armored")}


def _compose(
    place: Place, before: bytes | None, chosen: list[Key], names: list[str],
    arguments: dict[str, Any],
) -> bytes:  # fmt: skip
    """Return the new file. Raises RecordError where the module would not take its record."""
    home = readable(place.user.home)
    fields = recordfile.fields_of(before or b"", place.record, home)
    says = fields.line()
    new = names
    if arguments["add"]:
        new = [*fields.recipients, *(key for key in new if key not in fields.recipients)]
    if set(new) != set(fields.recipients):
        fields.recipients = new
    _apply(fields, arguments)
    line = fields.line()
    parse_record(line.encode(), place.record, home)
    if before is not None and line == says:
        return before
    name = one_line(chosen[0].user_ids[0]) if chosen[0].user_ids else chosen[0].fingerprint
    return recordfile.with_record(before, line, name, place.record)


def _apply(fields: Fields, arguments: dict[str, Any]) -> None:
    """Put what the options say in the place of what the record says."""
    if arguments["trust"] is not None:
        fields.trust = "trust" if arguments["trust"] else "notrust"
    if arguments["sign_as"] is not None:
        fields.sign_as = arguments["sign_as"]
    tls = [arguments["tls_key"], arguments["tls_certificate"]]
    mode = arguments["page"]
    if mode is None and any(tls) and fields.page:
        mode = fields.page[0]
    if mode is None and any(tls):
        raise click.UsageError("--tls-key and --tls-certificate go with --page")
    if mode not in (None, "none", *WEB_QR_MODES):
        raise click.UsageError(f"--page: one of {', '.join(WEB_QR_MODES)} or none")
    if any(tls) and not all(tls):
        raise click.UsageError("--tls-key and --tls-certificate go together")
    if any(path and (" " in path or "\t" in path) for path in tls):
        raise click.UsageError("a record takes no path with a space in it")
    if mode == "none":
        fields.page = []
    elif mode is not None:
        same = fields.page[:1] == [mode] or (_has_tls(mode) and _has_tls(*fields.page[:1]))
        kept = fields.page[1:] if same else []
        fields.page = [mode, *(tls if all(tls) else kept)]


def _has_tls(mode: str = "") -> bool:
    return mode in WEB_QR_MODES and WEB_QR_MODES[mode].tls


def _prove(place: Place, content: bytes, arguments: dict[str, Any]) -> None:
    if arguments["no_proof"]:
        say("Not tried out, because of --no-proof.")
    elif prove(place, content, silently=arguments["yes"]):
        say("Tried out: a challenge was made and answered.")
    else:
        say("A challenge was made; whether anybody can answer it was not tried out.")


def _difference(place: Place, before: bytes | None, content: bytes) -> str:
    """Return what changes, fit for a terminal: root reads a user's comments here."""
    old, new = (
        (text or b"").decode("utf-8", "replace").splitlines(keepends=True)
        for text in (before, content)
    )
    name = place.shown if before is not None else "/dev/null"
    return printable("".join(difflib.unified_diff(old, new, name, place.shown)))


# ------------------------------------------------------------- in a process of the writer's


def _is_as_meant(place: Place) -> bool:
    """Tell whether the file is as it would be written. Raises FileUnsafe as writing it would."""
    writer, reader = place.writer, place.reader
    recordfile.check_place(place.record, writer)
    return recordfile.is_as_meant(place.record, writer.uid, place.mode, reader.gid)


def _write(place: Place, before: bytes | None, content: bytes) -> None:
    recordfile.check_place(place.record, place.writer)
    try:
        recordfile.replace(place.record, content, before, place.mode, place.reader.gid)
    except OSError as error:
        raise CommandError(
            f"{place.shown}: {error.strerror}; the record is as it was",
            "is there room, and whose is it?",
        ) from None
