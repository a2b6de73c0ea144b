"""Which secret keys answer which host: `keys` in Trex's directory, `USER@HOST FINGERPRINT` a line.

A message names the keys that it is for, and gpg would use any of them that it has. So a server
could learn which keys somebody holds, and make gpg ask for the passphrase of their mail key.
Therefore the ids are checked before gpg gets the message:

- A host that was answered before is answered with the keys that answered it, and no others.
- Another host is answered with the user's only key. If there are several, the user is asked at
  their own terminal which of them answers that host.
- Everything else is one case, whether the user has the key or not: one listing of all keys, and no
  decryption. A server can observe only how long a person takes to answer a question.

Accepted risk: a user with one key reveals that key to each host that they log in to, as any login
with it does.
"""

from __future__ import annotations

from trex.cli.client.context import shown
from trex.cli.client.gpg import UserGpg
from trex.cli.client.names import is_name
from trex.cli.client.store import Table
from trex.cli.client.words import HEX_DIGITS, is_fingerprint
from trex.cli.errors import CannotDecrypt, Refused, StoreError
from trex.cli.tell import tell
from trex.errors import one_line
from trex.openpgp.keyblock import key_id
from trex.openpgp.keylist import parse_listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.cli.client.child import RunningProgram
    from trex.cli.client.packets import Sealed
    from trex.openpgp.keylist import Key

    # Returns whether the user says yes, None if they cannot be asked.
    Ask = Callable[[str], bool | None]

FORM = "USER@HOST FINGERPRINT"
EVERYWHERE = "*"  # by hand, for a key that answers every host
PASTED = "-"  # in place of a host for `trex respond`, which knows none
NOT_HERE = "#"  # `Subkey.secret` of a key whose secret part is not available
CARD_DIGITS = range(8, 33)  # how many a card's number may have


class Held:
    """A key whose secret part is available: each id that can decrypt, with its card or ""."""

    __slots__ = ("cards", "fingerprint", "user_id")

    def __init__(self, fingerprint: str, user_id: str, cards: dict[str, str]) -> None:
        self.fingerprint = fingerprint
        self.user_id = user_id
        self.cards = cards


class LoginKeys:
    """The lines of the file, and which keys they allow for a message.

    Raises RecordError for a line that is wrong.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._table = Table("keys", FORM)
        self.by_host: set[tuple[str, str]] = set()
        for number, (host, fingerprint) in self._table.read():
            if host not in (EVERYWHERE, PASTED) and not is_name(host):
                raise self._table.error(number, f'"{host}"', "USER@HOST, * or -")
            if not is_fingerprint(fingerprint):
                raise self._table.error(number, f'"{fingerprint}"', "40 or 64 capital hex digits")
            self.by_host.add((host, fingerprint))

    def choose(
        self, messages: list[Sealed], host: str, listing: RunningProgram | None = None
    ) -> list[Held]:
        """Return the keys of these messages that answer `host`, which is `user@host` or PASTED.

        `listing` is gpg, if it has been started to list the secret keys. The user may be asked.
        Raises CannotDecrypt if there is no such key, Refused after a no.
        """
        held = secret_keys(listing)
        ids = list(dict.fromkeys(key_id for sealed in messages for key_id in sealed.ids))
        there = [key for key in held if key.cards.keys() & set(ids)]
        chosen = [key for key in there if key in self._of_host(host, held)]
        return chosen or [self._asked(there, ids, host)]

    def remember(self, host: str, keys: list[Held]) -> None:
        """Store that these keys answered `host`. A failure to write is reported, not raised."""
        for key in keys:
            known = {(host, key.fingerprint), (EVERYWHERE, key.fingerprint)} & self.by_host
            try:
                if not known:
                    self._table.add(host, key.fingerprint)
            except StoreError as error:
                tell(f"not remembered: {one_line(str(error))}")

    def _asked(self, there: list[Held], ids: list[str], host: str) -> Held:
        """Return the key that the user confirms."""
        where = "challenges that you paste" if host == PASTED else shown(host)
        for key in there:
            said = self._ask(
                f"The message is for the key {key.fingerprint}\n({one_line(key.user_id)}). "
                "It has not answered a challenge like this before.\nA server may ask for a key "
                "that you use elsewhere, to learn whether you have it. "
                f"May it answer\n{where}? (yes/no) "
            )
            if said:
                return key
            if said is not None:
                raise Refused(f"not answered: {key.fingerprint} is not for {where}")
        raise CannotDecrypt(
            f"this message is for {', '.join(ids)}, and no such key answers {where}",
            "is it yours (gpg --list-secret-keys --keyid-format long)? Then confirm once at a "
            "terminal",
        )

    def _of_host(self, host: str, held: list[Held]) -> list[Held]:
        """Return the keys that answer a host without asking the user."""
        names = {line[0] for line in self.by_host} if host == PASTED else {host, EVERYWHERE}
        noted = {fingerprint for name, fingerprint in self.by_host if name in names}
        known = [key for key in held if key.fingerprint in noted]
        return known or _only(held)


def own_of(messages: list[Sealed], keys: list[Held]) -> Sealed:
    """Return the first message that these keys open, which `LoginKeys.choose` has returned."""
    ids = {key_id for key in keys for key_id in key.cards}
    return next(sealed for sealed in messages if not ids.isdisjoint(sealed.ids))


def secret_keys(listing: RunningProgram | None = None) -> list[Held]:
    """Return the secret keys that can be encrypted to now. Raises CommandError."""
    gpg = UserGpg()
    keys = parse_listing(gpg.listed(listing or gpg.start_listing()))
    # A forwarded agent lists no key, but has them.
    untold = {subkey.secret for key in keys for subkey in key.subkeys} == {NOT_HERE}
    found = [_held(key, untold=untold) for key in keys if key.usable]
    return [key for key in found if key.cards]


def _held(key: Key, *, untold: bool) -> Held:
    usable = [subkey for subkey in key.encrypting if subkey.usable]
    held = [subkey for subkey in usable if untold or subkey.secret != NOT_HERE]
    return Held(
        key.fingerprint,
        next(iter(key.user_ids), ""),
        {key_id(one.fingerprint): one.secret if _is_card(one.secret) else "" for one in held},
    )


def _is_card(secret: str) -> bool:
    return len(secret) in CARD_DIGITS and HEX_DIGITS.issuperset(secret)


def _only(held: list[Held]) -> list[Held]:
    """Return the user's only key, as a list, empty if there are several.

    A key that has only subkeys of another one does not count: anybody can make such a key.
    """
    every = {one for key in held for one in key.cards}
    return [key for key in held if key.cards.keys() == every][:1]
