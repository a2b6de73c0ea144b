"""`trex keygen`: a key for logins alone, with a passphrase, an expiry and a revocation to print."""

from __future__ import annotations

import getpass
import os
import subprocess

import click

from trex.cli.client.gpg import UserGpg
from trex.cli.client.launch import name_terminal
from trex.cli.completing import fixed
from trex.cli.errors import CommandError
from trex.cli.programs import find_program
from trex.cli.terminal import answer, say
from trex.openpgp.keylist import Key, day, parse_listing

ALGORITHM = "future-default"  # ed25519, and cv25519 for encryption
EXPIRES = "2y"
CREATED = "KEY_CREATED"  # doc/DETAILS: a letter, then the fingerprint
SECONDS = 600  # for a passphrase to be chosen
EPILOG = """\b
Examples:
  trex keygen
  trex keygen --spare > print-this.txt
  trex keygen --expires 1y 'alice login at example.org'
"""
HOW = """\
To revoke this key when it is lost or stolen: write what is below into FILE, and give it to each
server that knows the key: ssh SERVER trex revoke --yes - < FILE. Records of root's, for sudo for
example, are the administrator's: sudo trex revoke --central --user YOU - < FILE.
"""


@click.command(epilog=EPILOG, short_help="Make a key that is for logins alone.")
@click.argument("name", required=False)
@click.option(
    "--expires",
    metavar="WHEN",
    default=EXPIRES,
    show_default=True,
    help="As gpg takes it: 2y, 2028-11-22.",
    shell_complete=fixed("1y", "2y", "5y"),
)
@click.option("--spare", is_flag=True, help="Make a second key, to keep elsewhere.")
def command(name: str | None, expires: str, *, spare: bool) -> None:
    """Make an OpenPGP key for logins, and print what revokes it.

    gpg-agent asks for a passphrase. NAME is the key's user id; it needs no mail address. What is
    printed can revoke the key: keep it on paper. gpg itself makes keys on a card, and moves them
    there: docs/client.md, "A key on a card".
    """
    name = name or default_name()
    made = [make_key(name, expires), *([make_key(f"{name}, spare", expires)] if spare else [])]
    for key in made:
        print_sheet(key)
    say(f"To enrol it: trex copy-id {' '.join(f'--key {key.fingerprint}' for key in made)} HOST")
    if spare:
        say(
            f"Then take the spare away from here: gpg --export-secret-keys {made[1].fingerprint} > "
            f"FILE, FILE to a safe place, gpg --delete-secret-keys {made[1].fingerprint}"
        )


def default_name() -> str:
    """Return a user id that says whose key it is, and of which machine."""
    return f"{getpass.getuser()} login from {os.uname().nodename}"


def make_key(name: str, expires: str) -> Key:
    """Make a key with a passphrase that gpg-agent asks for. Raises CommandError."""
    gpg = find_program("gpg")
    if not gpg:
        raise CommandError("there is no gpg on PATH", "install GnuPG (Debian: gnupg)")
    say(f"Making a key for {name!r}; gpg asks for its passphrase.")
    done = change_keys(gpg, "--quick-generate-key", "--", name, ALGORITHM, "default", expires)
    rows = [line.split() for line in done.stdout.decode("utf-8", "replace").splitlines()]
    made = [row[3] for row in rows if row[1:2] == [CREATED] and len(row) > 3]  # noqa: PLR2004 (the fingerprint)
    if done.returncode != 0 or not made:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise CommandError(
            f"gpg made no key: {''.join(last)}",
            "--expires takes an end such as 2y or 2028-11-22; gpg --list-secret-keys shows keys",
        )
    return parse_listing(UserGpg().list_public(made[0]))[0]


def change_keys(gpg: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run gpg on the user's keys; gpg-agent may ask for a passphrase. Raises CommandError."""
    environment = dict(os.environ)
    name_terminal(environment)
    try:
        return subprocess.run(  # noqa: S603 (a list of arguments, an absolute path)
            [gpg, "--batch", "--status-fd", "1", *words], stdin=subprocess.DEVNULL, check=False,
            capture_output=True, timeout=SECONDS, env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CommandError("no passphrase was typed in time") from None


def print_sheet(key: Key) -> None:
    """Print what to keep on paper."""
    answer(f"Key for logins: {key.user_ids[0]}")
    answer(f"Fingerprint     {key.fingerprint}")
    answer(f"Expires         {day(key.lasts_until)}\n")
    answer(f"{HOW}\n{_revocation(key.fingerprint)}")


def _revocation(fingerprint: str) -> str:
    """Return the certificate that gpg has made beside the key. Raises CommandError."""
    gpgconf = find_program("gpgconf") or "gpgconf"
    home = subprocess.run(  # noqa: S603 (a list of arguments)
        [gpgconf, "--list-dirs", "homedir"], capture_output=True, check=False, timeout=SECONDS
    )
    path = f"{os.fsdecode(home.stdout).strip()}/openpgp-revocs.d/{fingerprint}.rev"
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        hint = f"gpg --gen-revoke {fingerprint}"
        raise CommandError(f"{path}: {error.strerror}", hint) from None
    start = next((n for n, line in enumerate(lines) if "-----BEGIN" in line), 0)
    return "\n".join(lines[start:])
