"""What an account has that answers a login: a record with its keys, a secret, a number."""

from __future__ import annotations

import dataclasses
from typing import Any

from trex.openpgp.keylist import NEVER

MAX_OWNER = 200  # characters of a user id


@dataclasses.dataclass
class HeldKey:
    """A key that a record names: `until` is in seconds since 1970, 0 where it cannot be used."""

    fingerprint: str  # or, where it was not found, the name in the record
    owner: str  # its first user id
    until: float
    fault: str = ""  # why it cannot be used


@dataclasses.dataclass
class Enrolled:
    """What one account has in one place. `until` is 0 where it lets nobody in, for `fault`."""

    method: str
    place: str  # the file
    until: float = NEVER
    fault: str = ""
    keys: list[HeldKey] = dataclasses.field(default_factory=list)
    needed: int = 1  # how many of its keys answer
    inherited: bool = False  # it was made for another account of that name
    is_untold: bool = False  # it is there, and could not be read in time

    def packed(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return dataclasses.asdict(self)

    @classmethod
    def unpacked(cls, told: dict[str, Any]) -> Enrolled:
        """Return what `packed` made data of."""
        return cls(**{**told, "keys": [HeldKey(**key) for key in told["keys"]]})

    def refuse(self, fault: str) -> None:
        """Note why it lets nobody in."""
        self.until, self.fault = 0, self.fault or fault


@dataclasses.dataclass(frozen=True)
class Orphan:
    """What belongs to no account: `kind` is record, secret, number, key file or key.

    `fix` is the command of root's that removes it.
    """

    kind: str
    place: str
    name: str  # the account that is gone, or the key's fingerprint
    owner: str = ""  # a key's first user id
    fix: str = ""
