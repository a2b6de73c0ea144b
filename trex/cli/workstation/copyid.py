"""`trex copy-id`: enrol a key on servers, over the ssh that works today, and learn who signs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from trex.cli.client import completing
from trex.cli.client.answered import check_new, claim
from trex.cli.client.child import RunningProgram
from trex.cli.client.connection import recorded_keys
from trex.cli.client.gpg import UserGpg
from trex.cli.client.handover import find_beside
from trex.cli.client.judge import check_host_key, check_signer, ssh_name
from trex.cli.client.keyed import Keyed
from trex.cli.client.launch import find_ssh, name_terminal
from trex.cli.client.loginkeys import LoginKeys, secret_keys
from trex.cli.client.message import open_challenge
from trex.cli.client.packets import read_message
from trex.cli.client.pins import Pins
from trex.cli.client.target import configured_target
from trex.cli.client.waiting import Waiting
from trex.cli.errors import PROBLEM, CommandError, Refused
from trex.cli.setup.proof import SERVICE
from trex.cli.setup.questions import confirm
from trex.cli.terminal import say, show_error
from trex.cli.workstation.keygen import EXPIRES, default_name, make_key, print_sheet
from trex.cli.workstation.remote import Remote, by_root
from trex.errors import TrexError
from trex.openpgp.keyblock import Malformed, blocks, dearmored, packets
from trex.openpgp.prompt import encoded

if TYPE_CHECKING:
    from trex.cli.client.loginkeys import Held
    from trex.cli.client.message import OpenedChallenge
    from trex.cli.client.packets import Sealed
    from trex.cli.client.target import Target
    from trex.openpgp.keyblock import Block

KEY = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----.*?-----END PGP PUBLIC KEY BLOCK-----\n", re.DOTALL
)
# Of a public key: itself, subkeys, names, pictures, and signatures (RFC 4880, 4.3). gpg imports
# what is in a compressed packet, too, secret keys included.
KEY_TAGS = {6, 14, 13, 17, 2}
MESSAGE = "-----BEGIN PGP MESSAGE-----"
SECONDS = 60
NOTHING = "Nothing was enrolled."
EPILOG = """\b
Examples:
  trex copy-id alice@server.example.org
  trex copy-id web1.example.org web2.example.org
  trex copy-id --key AE5C97684A4FFB40907D0A1787DE803A22DA5C30 server.example.org
  trex copy-id --central alice@server.example.org
"""


@dataclass
class Enrolment:
    """What one server has asked, and what this machine has to remember of it."""

    target: Target
    sealed: Sealed
    challenge: OpenedChallenge
    signing_key: Block | None  # what the server says that it signs with


@click.command("copy-id", epilog=EPILOG, short_help="Enrol your key on servers, through ssh.")
@click.argument("hosts", nargs=-1, required=True, shell_complete=completing.hosts)
@click.option("--key", "wanted", metavar="FPR", multiple=True, help="Which key; may be repeated.")
@click.option("--replace", is_flag=True, help="Let the keys that are enrolled now answer no more.")
@click.option(
    "--trex", "program", default="trex", show_default=True, help="The command on the servers."
)
@click.option(
    "--central", is_flag=True, help="In central mode: have root there enrol you, by sudo."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(  # noqa: PLR0913 (the options)
    hosts: tuple[str, ...], wanted: tuple[str, ...], program: str, *, replace: bool,
    central: bool, yes: bool,
) -> int:  # fmt: skip
    """Let your OpenPGP key log in to HOSTS, as ssh-copy-id does for an SSH key.

    It logs in with ssh as you do today, has `trex enroll` there import the public key, answers the
    challenge of the new record, and pins the key that signs for the host. If you have no key, it
    makes one. If a step fails, that host's record stays as it was.
    """
    name_terminal(os.environ)
    keys = _keys(wanted, yes=yes)
    names = ", ".join(f"{key.fingerprint} ({key.user_id})" for key in keys)
    say(f"The key {names}")
    if not yes:
        confirm(f"Enrol it on {', '.join(hosts)}?", NOTHING)
    return bring(hosts, keys, program, replace=replace, central=central)


def bring(
    hosts: tuple[str, ...], keys: list[Held], program: str, *, replace: bool = False,
    central: bool = False,
) -> int:  # fmt: skip
    """Enrol keys on hosts, one after the other; return the exit status. Raises CommandError."""
    exported = export(keys)
    enroll = " ".join([program, "enroll", "--piped", *(["--add"] if not replace else [])])
    enroll += "".join(f" --fingerprint {key.fingerprint}" for key in keys)
    failed = []
    for host in hosts:
        try:
            _enrol(host, enroll, exported, keys, central=central)
        except TrexError as error:
            show_error(f"{host}: {error}", getattr(error, "hint", ""))
            failed.append(host)
    if failed and len(hosts) > 1:
        say(f"Not enrolled: {', '.join(failed)}")
    return PROBLEM if failed else 0


def _keys(wanted: tuple[str, ...], *, yes: bool) -> list[Held]:
    """Return the keys to enrol; one is made if there is none. Raises CommandError."""
    held = secret_keys()
    if not held and not wanted:
        if not yes:
            confirm("There is no key here that can answer. Make one?", NOTHING)
        print_sheet(make_key(default_name(), EXPIRES))
        held = secret_keys()
    chosen = [key for key in held if key.fingerprint in wanted] if wanted else held
    which = f"--key with one of: {', '.join(key.fingerprint for key in held)}"
    if len(chosen) < len(set(wanted)):
        raise CommandError("a key of --key has no secret part here", which)
    if not wanted and len(chosen) != 1:
        raise CommandError(f"there are {len(held)} keys: which one?", which)
    return chosen


def export(keys: list[Held]) -> bytes:
    """Return the public keys, armored. Raises CommandError."""
    gpg = UserGpg().program
    options = ["--armor", "--export-options", "export-minimal", "--export", "--"]
    child = RunningProgram([gpg, "--batch", *options, *(key.fingerprint for key in keys)])
    child.finish(SECONDS)
    if child.returncode != 0 or not child.output:
        raise CommandError("the public key could not be exported", "gpg --armor --export")
    return child.output


def _enrol(
    host: str, enroll: str, exported: bytes, keys: list[Held], *, central: bool
) -> None:  # fmt: skip
    """Enrol on one host, and remember it. Raises a TrexError before anything has changed there."""
    target = configured_target(find_ssh(dict(os.environ)), host)
    pins, login_keys = Pins(), LoginKeys(lambda _: None)  # a damaged file is an error now
    remote = by_root(enroll, target.user) if central else enroll
    with Remote([find_beside("trex-ssh"), "-T", "--", host, remote]) as far:
        said = far.ask(exported)
        target.host_keys = recorded_keys(far.pid, is_ours=True)
        done = _open(said, target, keys, pins)
        claim(done.sealed)
        far.answer(done.challenge.response)
    say(f"{host}: enrolled, and a challenge was answered.")
    login_keys.remember(ssh_name(target), keys)
    _pin(done, pins)


def _open(said: str, target: Target, keys: list[Held], pins: Pins) -> Enrolment:
    """Decrypt the server's challenge. Raises Refused for one that is not for this enrolment."""
    found = KEY.search(said)
    sealed = read_message(said[said.index(MESSAGE) :] if MESSAGE in said else said)
    check_new(sealed)
    waiting = Waiting(f"to answer {target.user} at {target.host}", keys)
    signing_key = _sent_key(found[0]) if found else None
    challenge = open_challenge(sealed, keys, waiting, (signing_key,) if signing_key else ())
    asks = challenge.context
    if asks.service != SERVICE or asks.user != encoded(target.user):
        raise Refused(
            f"expected a challenge for {target.user} by trex enroll, found one for {asks.user} by "
            f"{asks.service}",
            "another server's challenge may have been passed on",
        )
    if asks.host_keys:
        check_host_key(challenge, target, Keyed())
    check_signer(challenge, target, pins)
    return Enrolment(target, sealed, challenge, signing_key)


def _sent_key(armored: str) -> Block | None:
    """Return the key that a server has sent, None for anything but one public key."""
    try:
        content = dearmored(armored.encode())
        [block] = blocks(content)
        tags = {tag for tag, _, _ in packets(content)}
    except (Malformed, ValueError):
        return None
    return block if tags <= KEY_TAGS else None


def _pin(done: Enrolment, pins: Pins) -> None:
    """Pin the key that signs, unless it is another host's: then a login asks about it.

    The name that the host gives itself is not taken on its word: it could be another's.
    """
    target, signer = done.target, _signer(done)
    if not signer or pins.exact(target.hosts, target.port):
        return
    elsewhere = pins.hosts_of(signer)
    if elsewhere:
        say(f"{signer} signs its challenges, and is pinned for {elsewhere[0]}: not pinned here.")
        return
    pins.add(target.host, signer)
    say(f"Pinned for {target.host}: {signer} signs its challenges.")


def _signer(done: Enrolment) -> str:
    """Return the key that signed, "" for none; one that is not in the keyring is imported.

    ssh vouches for the server that has sent it; it is imported only if it made the signature.
    """
    signer, sent = done.challenge.signer, done.signing_key
    if sent and signer == sent.fingerprint and not UserGpg().export(signer):
        RunningProgram([UserGpg().program, "--batch", "--import"], sent.raw()).finish(SECONDS)
    return signer
