"""Who can answer: this module, not gpg's search, chooses the keys that a record names.

gpg finds a key by any fingerprint in it, and anybody can add another person's key to their own as a
subkey: `gpg -r FINGERPRINT` may then encrypt to them. So gpg lists what it would find, this module
chooses the key, and checks gpg's message against the choice. docs/auth_gpg.md has the rules.
"""

import time

from trex.openpgp.keyblock import Block, Malformed, blocks, key_id, session_key_ids
from trex.openpgp.keylist import NEVER, UNUSABLE
from trex.openpgp.record import ONE_SUBKEY, is_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from trex.openpgp.errors import KeyUnusable
    from trex.openpgp.keylist import Key, Subkey, UserId

ENCRYPT, SIGN = "e", "s"  # capabilities (doc/DETAILS, field 12)
# Marginally, fully, ultimately valid (doc/DETAILS, field 2): what gpg encrypts to.
VOUCHED = {"m": 0, "f": 1, "u": 2}
MOST_NAMED = 3  # keys in one line of the log


class Chosen:
    """One key of a record.

    `fingerprint` is its primary key's, `subkeys` are the fingerprints of which gpg has to use one,
    `used` are those of a checked message, and `block` is the key itself if gpg does not search.
    """

    __slots__ = ("block", "fingerprint", "name", "subkeys", "used")

    def __init__(self, name: str, fingerprint: str, subkeys: list[str]) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.subkeys = subkeys
        self.used: list[str] = []
        self.block = b""

    @property
    def asked(self) -> str:
        """The name for gpg and for the log: never an address."""
        return self.name if self.name.endswith(ONE_SUBKEY) else self.fingerprint

    def take(self, block: Block) -> None:
        """Set the key itself; without other subkeys if the record names one."""
        others = frozenset(block.subkeys).difference(self.subkeys)
        self.block = block.raw(others if self.name.endswith(ONE_SUBKEY) else frozenset())


def verdict(
    name: str, keys: "list[Key]", *, trust: bool, use: str = ENCRYPT
) -> "tuple[Key | None, KeyUnusable | None]":
    """Return the key that `name` stands for among those that gpg lists, and why it cannot be used.

    Every command uses this to tell what a login would do. There is no key if none has that name. Of
    several with one address it is the most valid, and of these the newest; of several with one
    subkey it is the one that can use it longest, because a copy may end sooner. But if one of these
    says that the subkey was revoked, it counts as revoked: nobody can tell which of them is the
    owner's, and a copy must not undo the owner's revocation.
    """
    own = [key for key in keys if is_named(key, name)]
    for key in own if name.endswith(ONE_SUBKEY) else []:
        if any(sub.validity == "r" for sub in _named_subkeys(name, key)):
            return key, fault_of(name, key, trust=trust, use=use)
    usable = [key for key in own if fault_of(name, key, trust=trust, use=use) is None]
    if usable:
        return max(usable, key=lambda key: _rank(name, key, use)), None
    if own:
        return own[0], fault_of(name, own[0], trust=trust, use=use)
    return None, _not_there(name, keys)


def as_named(name: str, key: "Key") -> "Key":
    """Return the part of a key that a record names: only one subkey, if it names one."""
    if not name.endswith(ONE_SUBKEY):
        return key
    return key.with_one_subkey(name.removesuffix(ONE_SUBKEY))


def choose(name: str, keys: "list[Key]", *, trust: bool, use: str = ENCRYPT) -> Chosen:
    """Return the key that `name` stands for in a record.

    Raises a KeyUnusable if there is none, or it cannot be used now.
    """
    key, fault = verdict(name, keys, trust=trust, use=use)
    if key is None or fault:
        raise fault or _not_there(name, keys)
    return Chosen(name, key.fingerprint, [sub.fingerprint for sub in _serving(name, key, use)])


def carriers(name: str, keys: "list[Key]") -> "list[Key]":
    """Return the keys that gpg finds for a fingerprint besides the one that it names.

    gpg cannot tell which of several keys with the same subkey is the original.
    """
    if not name or "@" in name or is_file(name):
        return []
    own = name.removesuffix(ONE_SUBKEY)
    found = [key for key in keys if any(sub.fingerprint == own for sub in key.subkeys)]
    return [key for key in found if key.fingerprint != own] if len(found) > 1 else []


def copies_of(names: "Iterable[str]", keys: "list[Key]") -> list[str]:
    """Return warnings about keys that contain a copy of one that a record names."""
    said = []
    for name in names:
        others = [key.fingerprint for key in carriers(name, keys)]
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        if others:
            named = ", ".join(others[:MOST_NAMED])
            said.append(f"a copy of {name} is carried by {named}{more}, and not used")
    return said


def choose_signer(name: str, keys: "list[Key]") -> Chosen:
    """Return the key that signs. Raises SigningKeyUnusable."""
    key, fault = verdict(name, keys, trust=True, use=SIGN)
    if key and not fault:
        return choose(name, keys, trust=True, use=SIGN)
    from trex.openpgp.errors import KeyUnusable, SigningKeyUnusable

    detail = ": it is not for signing"
    if fault and type(fault) is not KeyUnusable:
        detail = f": it {fault.reason}{fault.detail}"
    raise SigningKeyUnusable(name, detail)


def from_file(path: str, content: bytes) -> Chosen:
    """Return the key in a file that a record names. Raises FileUnsafe unless there is just one."""
    try:
        found = blocks(content)
    except Malformed as error:
        raise _unfit(path, str(error)) from None
    if len(found) != 1:
        raise _unfit(path, f"{len(found)} keys")
    (block,) = found
    chosen = Chosen(path, block.fingerprint, [block.fingerprint, *block.subkeys])
    chosen.take(block)
    return chosen


def take_blocks(chosen: "Iterable[Chosen]", exported: bytes) -> None:
    """Set each one's key from gpg's export, which may contain other keys with a copy of it.

    Raises GpgFailed if one is missing.
    """
    from trex.errors import GpgFailed

    try:
        found = blocks(exported)
    except Malformed as error:
        raise GpgFailed(f"gpg exported {error}") from None
    for one in chosen:
        own = [block for block in found if block.fingerprint == one.fingerprint]
        if not own:
            raise GpgFailed(f"gpg did not export the key {one.fingerprint}")
        # A keyring may hold a key twice, the older without the newest subkey.
        one.take(max(own, key=lambda block: len(set(one.subkeys).intersection(block.subkeys))))


def check_message(
    armored: str, considered: set[str], recipients: list[Chosen], signer: Chosen | None,
    signed_by: set[str],
) -> None:  # fmt: skip
    """Check that a message is for the chosen keys alone, and signed by the chosen signer.

    `considered` are the primary fingerprints that gpg reports, `signed_by` those of the keys that
    it reports to have signed with. Sets which subkeys of the recipients can answer it. Raises
    WrongRecipients or WrongSigner.
    """
    if signer and not (signed_by and signed_by <= set(signer.subkeys)):
        from trex.openpgp.errors import WrongSigner  # needed only if a login fails

        raise WrongSigner(", ".join(sorted(signed_by)) or "nobody")
    taking_part = [*recipients, *([signer] if signer else [])]
    found = _wrong_recipients(armored, recipients)
    if not found and considered != {one.fingerprint for one in taking_part}:
        found = f"a message for {', '.join(sorted(considered)) or 'no key'}"
    if found:
        from trex.openpgp.errors import WrongRecipients

        raise WrongRecipients(found)


def _wrong_recipients(armored: str, recipients: list[Chosen]) -> str:
    """Return what is wrong with a message, "" if exactly `recipients` can answer it."""
    try:
        ids = session_key_ids(armored)
    except Malformed as error:
        return str(error)
    if not ids:
        return "a message without recipients, so it is not GnuPG"
    for one in recipients:
        one.used = [subkey for subkey in one.subkeys if key_id(subkey) in ids]
        if not one.used:
            return f"a message that {one.asked} cannot answer"
    known = {key_id(subkey) for one in recipients for subkey in one.subkeys}
    strangers = [stranger for stranger in ids if stranger not in known]
    return f"a message that the key id {strangers[0]} can answer" if strangers else ""


def fault_of(
    name: str, key: "Key", *, trust: bool = True, use: str = ENCRYPT
) -> "KeyUnusable | None":
    """Return why `key` cannot be used under its name in a record, None if it can."""
    is_from_the_future = key.created > time.time()
    identities = _identities(name, key)
    has_lost_name = bool(identities) and all(one.validity in UNUSABLE for one in identities)
    is_vouched_for = trust or _validity(name, key) >= 0
    fits = not (is_from_the_future or has_lost_name) and is_vouched_for
    if key.usable and fits and _serving(name, key, use):
        return None
    from trex.openpgp import errors as reasons  # needed only if a login fails
    from trex.openpgp.renewal import commands

    if key.validity == "e":
        return reasons.KeyExpired(name, _on(key.expires), commands(key))
    future = ": its creation time is in the future, so a clock may be wrong"
    faults = [
        (key.validity == "r", reasons.KeyRevoked, ""),
        ("D" in key.capabilities, reasons.KeyUnusable, ": it is disabled"),
        (is_from_the_future, reasons.KeyUnusable, future),
        (has_lost_name, reasons.UserIdRevoked, ""),
        (
            not is_vouched_for,
            reasons.KeyNotTrusted,
            "; gpg --check-trustdb may update the trust database",
        ),
    ]
    for is_so, reason, detail in faults:
        if is_so:
            return reason(name, detail)
    return _fault_of_subkeys(name, key, use)


def _fault_of_subkeys(name: str, key: "Key", use: str) -> "KeyUnusable":
    """Return why none of the suitable subkeys can be used."""
    from trex.openpgp import errors as reasons
    from trex.openpgp.renewal import commands

    could = [sub for sub in _named_subkeys(name, key) if use in sub.capabilities]
    if not could:
        return (reasons.NoEncryptionSubkey if use == ENCRYPT else reasons.KeyUnusable)(name)
    expired = [sub.expires for sub in could if sub.validity == "e"]
    if any(sub.validity not in ("r", "e") for sub in could):
        return reasons.KeyUnusable(name)
    if not expired:
        return reasons.KeyRevoked(name)
    return reasons.SubkeyExpired(name, _on(max(expired)), commands(key))


def _not_there(name: str, keys: "list[Key]") -> "KeyUnusable":
    """Return IsSubkey for the fingerprint of a subkey, otherwise KeyNotFound.

    Only a subkey for encryption counts as a mistake: any other may be a copy in a stranger's key.
    """
    from trex.openpgp.errors import IsSubkey, KeyNotFound

    for key in keys:
        for sub in key.subkeys:
            if sub.fingerprint == name and ENCRYPT in sub.capabilities:
                return IsSubkey(name, key.fingerprint)
    return KeyNotFound(name)


def _unfit(path: str, found: str) -> Exception:
    from trex.errors import FileUnsafe

    return FileUnsafe(path, found, "one OpenPGP public key (gpg --export)")


def is_named(key: "Key", name: str) -> bool:
    """Tell whether `name` in a record names this key; a file has only one."""
    if is_file(name):
        return True
    if "@" in name:
        return bool(_identities(name, key))
    if name.endswith(ONE_SUBKEY):
        return any(sub.fingerprint == name.removesuffix(ONE_SUBKEY) for sub in key.subkeys)
    return key.fingerprint == name


def _validity(name: str, key: "Key") -> int:
    """Return the rank of the key's validity under this name; negative if it is not valid."""
    identities = [one.validity for one in _identities(name, key)]
    return max(VOUCHED.get(validity, -1) for validity in identities or [key.validity])


def _identities(name: str, key: "Key") -> "list[UserId]":
    """Return the user ids with this address; none for a fingerprint."""
    return [one for one in key.identities if one.has(name)] if "@" in name else []


def _rank(name: str, key: "Key", use: str) -> tuple[int, float, int]:
    ends = [min(key.expires, sub.expires) for sub in _serving(name, key, use)]
    end = max(ends) if name.endswith(ONE_SUBKEY) else NEVER
    return _validity(name, key), end, key.created


def _named_subkeys(name: str, key: "Key") -> "list[Subkey]":
    if name.endswith(ONE_SUBKEY):
        return [sub for sub in key.subkeys if sub.fingerprint == name.removesuffix(ONE_SUBKEY)]
    return key.subkeys


def _serving(name: str, key: "Key", use: str) -> "list[Subkey]":
    """Return the primary key and subkeys that can be used for `use` now."""
    return [sub for sub in _named_subkeys(name, key) if use in sub.capabilities and sub.usable]


def _on(moment: float) -> str:
    if moment == NEVER:
        return ""
    return time.strftime(", on %Y-%m-%d", time.gmtime(moment))
