"""The proof of a new record: a challenge by the module's own code, and the right response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.setup import keyring
from trex.cli.setup.questions import ask_user
from trex.cli.terminal import say
from trex.errors import ACCEPTED
from trex.openpgp.method import challenge_for, gpg_for
from trex.openpgp.prompt import context
from trex.openpgp.record import AuthRecord, parse_record
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.login.challenge import RandomText
    from trex.openpgp.prompt import Encrypted

SERVICE = "trex-enroll"
ATTEMPTS = 3


def new_challenge(location: Location, content: bytes) -> Encrypted:
    """Return a challenge of as many texts as the record asks for."""
    record = parse_record(content, location.record, readable(location.user.home))
    return challenge_for(record, location.options.timeout)


def asks_two(location: Location, content: bytes) -> bool:
    """Tell whether a record asks for two people."""
    return parse_record(content, location.record, readable(location.user.home)).needed > 1


def make_message(location: Location, content: bytes, challenge: RandomText) -> str:
    """Return the armored message that a login with this record would show, made by the reader.

    Raises CommandError with the reason that a login would log.
    """
    record = parse_record(content, location.record, readable(location.user.home))
    told = context(location.user.name, SERVICE, "", location.options.timeout)
    message = run_as(
        location.reader, lambda: _encrypt(location, record, challenge, told), location.seconds()
    )
    return str(message)


def prove_record(location: Location, content: bytes, *, silently: bool) -> bool:
    """Make a challenge and have it answered, by a secret key at hand or by the user.

    Return whether it was answered; with `silently` it may not be. Raises CommandError if the
    record cannot work, or no right response comes.
    """
    if asks_two(location, content):
        return False if silently else _ask_for_response(location, content)
    challenge = new_challenge(location, content)
    message = make_message(location, content, challenge)
    plaintext = run_as(
        location.reader,
        lambda: keyring.decrypt(location.gnupg_home, message, pinentry=not silently),
        location.options.timeout,  # a passphrase may be asked for
    )
    if plaintext is not None:
        if challenge.judge(plaintext) is ACCEPTED:
            return True
        raise CommandError(
            "the secret key decrypts the challenge to another text", "does gpg work?"
        )
    return False if silently else _ask_for_response(location, content)


def _ask_for_response(location: Location, content: bytes) -> bool:
    say("The new record is tested first. Answer a challenge, as at a login.")
    for _ in range(ATTEMPTS):
        challenge = new_challenge(location, content)
        message = make_message(location, content, challenge)
        seconds, question = location.options.timeout, location.options.prompt
        text = challenge.prompt(location.user.name, message, "", seconds, question)
        outcome = challenge.judge(ask_user(text))
        if outcome is ACCEPTED:
            return True
        say(f"trex: {outcome.text}")
    raise CommandError(
        "no right response, so nothing was replaced",
        "--no-proof writes the record without a test",
    )


def _encrypt(location: Location, record: AuthRecord, challenge: RandomText, told: str) -> str:
    options = location.options
    kind = gpg_for(record)
    with kind(options.gpg, location.reader, location.gnupg_home, options.gpg_timeout) as gpg:
        gpg.look_up(record)
        gpg.encrypt(challenge.plaintext, told)
        return gpg.message().armored
