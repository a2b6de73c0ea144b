"""The proof of a new record: a challenge by the module's own code, and the right response."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trex.cli.delegate import run_as
from trex.cli.errors import CommandError
from trex.cli.setup import keyring
from trex.cli.setup.questions import ask
from trex.cli.terminal import say
from trex.errors import ACCEPTED
from trex.login.challenge import RandomText
from trex.openpgp.gpg import Gpg
from trex.openpgp.method import QUESTION
from trex.openpgp.prompt import context, prompt_text
from trex.openpgp.record import AuthRecord, parse_record
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.cli.place import Place

SERVICE = "trex-enroll"
ATTEMPTS = 3


def make_message(place: Place, content: bytes, challenge: RandomText) -> str:
    """Return the armored message that a login with this record would show, made by the reader.

    Raises CommandError with the reason that a login would log.
    """
    record = parse_record(content, place.record, readable(place.user.home))
    told = context(place.user.name, SERVICE, "", place.options.timeout)
    message = run_as(
        place.reader, lambda: _encrypt(place, record, challenge, told), place.seconds()
    )
    return str(message)


def prove(place: Place, content: bytes, *, silently: bool) -> bool:
    """Make a challenge and have it answered, by a secret key at hand or by the user.

    Return whether it was answered; with `silently` it may not be. Raises CommandError if the
    record cannot work, or no right response comes.
    """
    challenge = RandomText(place.options.timeout)
    message = make_message(place, content, challenge)
    plaintext = run_as(
        place.reader,
        lambda: keyring.decrypt(place.gnupg_home, message, pinentry=not silently),
        place.options.timeout,  # a passphrase may be asked for
    )
    if plaintext is not None:
        if challenge.judge(plaintext) is ACCEPTED:
            return True
        raise CommandError(
            "the secret key decrypts the challenge to another text", "does gpg work?"
        )
    return False if silently else _ask_for_response(place, content)


def _ask_for_response(place: Place, content: bytes) -> bool:
    say("The new record is tested before it is written. Answer a challenge, as at a login.")
    for _ in range(ATTEMPTS):
        challenge = RandomText(place.options.timeout)
        message = make_message(place, content, challenge)
        seconds, question = place.options.timeout, place.options.prompt or QUESTION
        outcome = challenge.judge(ask(prompt_text(place.user.name, message, "", seconds, question)))
        if outcome is ACCEPTED:
            return True
        say(f"trex: {outcome.text}")
    raise CommandError(
        "no right response, so nothing was replaced",
        "--no-proof writes the record without a test",
    )


def _encrypt(place: Place, record: AuthRecord, challenge: RandomText, told: str) -> str:
    options = place.options
    with Gpg(options.gpg, place.reader, place.gnupg_home, options.gpg_timeout) as gpg:
        gpg.look_up(record)
        gpg.encrypt(challenge.plaintext, told)
        return gpg.message().armored
