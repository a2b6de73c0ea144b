"""`trex pin`, `trex pins` and `trex unpin`: which key signs the challenges of a host."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click

from trex.cli.client import completing
from trex.cli.client.gpg import UserGpg
from trex.cli.client.hosts import parse_host, same_host
from trex.cli.client.pins import Pins, is_v4_fingerprint
from trex.cli.errors import CommandError
from trex.cli.terminal import answer, say
from trex.errors import one_line
from trex.openpgp.keylist import NEVER, day, parse_listing

if TYPE_CHECKING:
    from trex.openpgp.keylist import Key

USELESS = {"r": "was revoked", "e": "has expired", "i": "is invalid", "d": "is disabled"}
PIN_EXAMPLES = """\b
Examples:
  trex pin server.example.org
  trex pin server.example.org AE5C97684A4FFB40907D0A1787DE803A22DA5C30
"""
PINS_EXAMPLES = """\b
Examples:
  trex pins
"""
UNPIN_EXAMPLES = """\b
Examples:
  trex unpin server.example.org
"""


@click.command(epilog=PIN_EXAMPLES, short_help="Say which key signs for a host.")
@click.argument("host", shell_complete=completing.hosts)
@click.argument("fingerprint", required=False)
@click.option("--yes", is_flag=True, help="Do not ask. FINGERPRINT must be given.")
def pin(host: str, fingerprint: str | None, *, yes: bool) -> None:
    """Let no other key sign the challenges of HOST.

    HOST is the name that you give to ssh. FINGERPRINT is the key's own, not a subkey's. Without it,
    the key in your keyring whose user id names the host is proposed. An existing pin is not
    replaced.
    """
    if yes and not fingerprint:
        raise CommandError("--yes needs a fingerprint", "trex pin --yes HOST FINGERPRINT")
    name, stored = parse_host(host), Pins()
    key = _find(fingerprint) if fingerprint else _propose(name)
    if key.validity in USELESS:
        raise CommandError(f"the key {key.fingerprint} {USELESS[key.validity]}")
    known = stored.by_host.get(name) == key.fingerprint
    if name not in stored.by_host:
        _show(key)
        if not yes:
            _confirm(name)
    stored.add(name, key.fingerprint)
    say(f"{name} was pinned already." if known else f"Pinned for {name}.")


@click.command(epilog=PINS_EXAMPLES, short_help="Print which key signs for which host.")
def pins() -> None:
    """Print the pins, one on each line: host and fingerprint.

    They are kept in $XDG_CONFIG_HOME/trex/pins, or ~/.config/trex/pins.
    """
    by_host = Pins().by_host
    width = max(map(len, by_host), default=0)
    for host, fingerprint in by_host.items():
        answer(f"{host:{width}} {fingerprint}")
    if not by_host:
        say("No key is pinned: trex pin HOST")


@click.command(epilog=UNPIN_EXAMPLES, short_help="Forget which key signs for a host.")
@click.argument("host", shell_complete=completing.pinned)
def unpin(host: str) -> None:
    """Forget which key signs the challenges of HOST: any key may sign then, or none."""
    name, stored = parse_host(host), Pins()
    before = stored.by_host.get(name, "")
    stored.remove(name)
    say(f"{name} is no longer pinned. It was: {before}")


def _find(text: str) -> Key:
    """Return the key with this fingerprint, which must not be a subkey's.

    gpg also finds a key by a subkey's fingerprint, and anybody can add another's key as a subkey.
    """
    fingerprint = "".join(text.split()).upper().removeprefix("0X")
    if not is_v4_fingerprint(fingerprint):
        raise CommandError(
            f"expected a fingerprint of 40 hex digits, found {text!r}", "gpg --list-keys"
        )
    found = parse_listing(UserGpg().list_public(fingerprint))
    own = [key for key in found if key.fingerprint == fingerprint]
    if own:
        return own[0]
    if not found:
        raise CommandError(
            f"the key {fingerprint} is not in your keyring: its signatures cannot be checked",
            "gpg --import the key of the host",
        )
    primary = found[0].fingerprint
    raise CommandError(
        f"{fingerprint} is only a subkey here, of the key {primary}",
        f"if that is the host's key, pin it: {primary}; if the host says otherwise, somebody has "
        f"taken its key into theirs: gpg --delete-keys {primary}, and import the host's key again",
    )


def _propose(host: str) -> Key:
    """Return the only key that can sign and names the host in a user id."""
    keys = [
        key for key in parse_listing(UserGpg().list_public())
        if "s" in key.capabilities.lower() and any(_names(uid, host) for uid in key.user_ids)
    ]  # fmt: skip
    if len(keys) == 1:
        return keys[0]
    for key in keys:
        _show(key)
    found = f"{len(keys)} keys in your keyring name" if keys else "no key in your keyring names"
    raise CommandError(f"{found} {host}", f"trex pin {host} FINGERPRINT")


def _names(uid: str, host: str) -> bool:
    return any(same_host(word, host) for word in re.split(r"[^a-z0-9.-]+", uid.lower()) if word)


def _show(key: Key) -> None:
    say(f"key      {key.fingerprint}")
    for uid in key.user_ids:
        say(f"         {one_line(uid)}")
    if key.expires != NEVER:
        say(f"expires  {day(key.expires)}")


def _confirm(host: str) -> None:
    if not sys.stdin.isatty():
        raise CommandError("there is no terminal to confirm at", "trex pin --yes HOST FINGERPRINT")
    say("Compare the fingerprint with what the administrator of the host says.")
    if not click.confirm(f"Does this key sign for {host}?", err=True):
        say("Nothing was changed.")
        raise click.Abort
