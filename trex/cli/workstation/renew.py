"""`trex renew`: extend a login key and its subkeys, and bring it to where it is known."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from trex.cli.client import completing
from trex.cli.client.gpg import UserGpg
from trex.cli.client.loginkeys import LoginKeys, secret_keys
from trex.cli.completing import fixed
from trex.cli.errors import CommandError
from trex.cli.terminal import answer, say
from trex.cli.workstation.copyid import bring, export
from trex.cli.workstation.keygen import EXPIRES, change_keys
from trex.errors import one_line
from trex.openpgp.keylist import day, parse_listing

if TYPE_CHECKING:
    from trex.openpgp.keylist import Key

BEGIN = b"-----BEGIN PGP PUBLIC KEY BLOCK-----"
EPILOG = """\b
Examples:
  trex renew
  trex renew server.example.org
  trex renew --expires 1y --output alice-login.asc
"""


@click.command(epilog=EPILOG, short_help="Extend your key, and bring it to servers.")
@click.argument("hosts", nargs=-1, shell_complete=completing.hosts)
@click.option("--key", "wanted", metavar="FPR", help="Which key, if there are several.")
@click.option(
    "--expires",
    metavar="WHEN",
    default=EXPIRES,
    show_default=True,
    help="As gpg takes it: 2y, 2028-11-22.",
    shell_complete=fixed("1y", "2y", "5y"),
)
@click.option("--output", "file", metavar="FILE", help="Where to write it; default: FPR.asc.")
@click.option(
    "--trex", "program", default="trex", show_default=True, help="The command on the servers."
)
def command(
    hosts: tuple[str, ...], wanted: str | None, expires: str, file: str | None, program: str
) -> int:
    """Extend your login key and all its subkeys, and write it to a file to hand in.

    gpg-agent asks for the passphrase. HOSTS get the key at once, as `trex copy-id` brings one.
    Where you cannot log in any more, and in central mode, the administrator takes the file.
    """
    gpg = UserGpg()
    key = _chosen(gpg, wanted)
    path = os.path.abspath(file or f"{key.fingerprint}.asc")
    _check_free(path)
    _extend(gpg, key, expires)
    held = [one for one in secret_keys() if one.fingerprint == key.fingerprint]
    if not held:
        raise CommandError(f"{key.fingerprint}: expected an end in the future, found {expires}",
                           "--expires 2y")  # fmt: skip
    [longer] = parse_listing(gpg.list_public(key.fingerprint))
    answer(f"Extended: {key.fingerprint}, until {day(longer.lasts_until)}")
    _write(path, export(held))
    answer(f"Written: {path}")
    if hosts:
        return bring(hosts, held, program)
    say(
        "To have servers know it: trex renew HOST, or there: trex enroll --key FILE. The "
        "administrator takes FILE\nby sudo trex enroll --user YOU --key - < FILE, with --central "
        "in central mode."
    )
    return 0


def _chosen(gpg: UserGpg, wanted: str | None) -> Key:
    """Return the key to extend, which may have expired. Raises CommandError."""
    listed = parse_listing(gpg.listed(gpg.start_listing()))
    keys = [key for key in listed if key.validity != "r" and _parts(key)]
    known = {fingerprint for _, fingerprint in LoginKeys(lambda _: None).by_host}
    plain = (wanted or "").replace(" ", "").removeprefix("0x").upper()
    found = [key for key in keys if key.fingerprint == plain] if wanted else keys
    if len(found) > 1:
        found = [key for key in keys if key.fingerprint in known] or found
    if len(found) == 1:
        return found[0]
    which = ", ".join(
        f"{key.fingerprint} ({one_line(next(iter(key.user_ids), ''))})" for key in keys
    )
    if not keys:
        raise CommandError("there is no key here that could answer", "trex keygen")
    told = "there is no such key" if wanted else f"there are {len(found)} keys: which one?"
    raise CommandError(told, f"--key with one of: {which}")


def _parts(key: Key) -> list[str]:
    """Return the subkeys to extend, all that are not revoked, if one of them is for encryption."""
    subkeys = [sub for sub in key.subkeys if sub.validity != "r"]
    has_encryption = any("e" in sub.capabilities for sub in subkeys)
    return [sub.fingerprint for sub in subkeys] if has_encryption else []


def _extend(gpg: UserGpg, key: Key, expires: str) -> None:
    """Have gpg set the end of the key, and of its subkeys. Raises CommandError."""
    subkeys = [part for part in _parts(key) if part != key.fingerprint]
    for parts in ([], subkeys) if subkeys else ([],):
        done = change_keys(
            gpg.program, "--quick-set-expire", "--", key.fingerprint, expires, *parts
        )
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise CommandError(
                f"gpg did not extend {key.fingerprint}: {one_line(''.join(said))}",
                "this takes the primary secret key, and an end such as 2y or 2028-11-22",
            )


def _check_free(path: str) -> None:
    """Raise CommandError where something else than an exported key would be overwritten."""
    try:
        with open(path, "rb") as file:
            if not file.read(len(BEGIN)).startswith(BEGIN):
                raise CommandError(f"{path} exists, and is no exported key", "--output FILE")
    except FileNotFoundError:
        return
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", "--output FILE") from None


def _write(path: str, content: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(content)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", "trex renew --output FILE") from None
