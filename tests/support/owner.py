"""Somebody at home with two keys, and what revokes or extends them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.keys import Holder
from trex.openpgp.keylist import parse_listing

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.openpgp.keylist import Key


def wait_until_ended(key: Callable[[], Key]) -> None:
    """Wait for a key that ends in a second."""
    deadline = time.monotonic() + 60
    while key().lasts_until:
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(0.05)


class Owner(Holder):
    """Alice at home, with the key that will be stolen and a spare one."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.stolen = self.make("stolen@example.org", name="Alice")
        self.spare = self.make("spare@example.org", name="Alice, spare")

    def certificate(self, fingerprint: str = "") -> bytes:
        """Return what gpg has written beside the key: with its words, and the colon."""
        name = f"{fingerprint or self.stolen}.rev"
        return (self.home / "openpgp-revocs.d" / name).read_bytes()

    def binary(self) -> bytes:
        """Return the certificate without its armor."""
        armored = self.certificate().replace(b":-----BEGIN", b"-----BEGIN")
        return subprocess.run(["gpg", "--homedir", "/nonexistent", "--dearmor"], input=armored,
                              capture_output=True, check=True).stdout  # fmt: skip

    def revoked(self) -> bytes:
        """Return the stolen key as it is exported after it was revoked."""
        self.revoke(self.stolen)
        return self.public(self.stolen)

    def key(self, fingerprint: str = "") -> Key:
        listing = self._run("--with-colons", "--list-keys", fingerprint or self.stolen)
        return parse_listing(listing.decode())[0]

    def subkey(self, fingerprint: str = "") -> str:
        """Return the fingerprint of the subkey for encryption."""
        return self.key(fingerprint).encrypting[-1].fingerprint

    def edit(self, *words: str) -> None:
        """Change the stolen key with these answers to gpg's questions."""
        self._run("--command-fd", "0", "--no-tty", "--edit-key", self.stolen,
                  stdin="".join(f"{word}\n" for word in (*words, "save")).encode())  # fmt: skip

    def remove(self) -> None:
        self.close()
        subprocess.run(["rm", "-r", self.home], check=True)


def enrolled(central: list[str], owner: Owner, user: str, record: str) -> Path:
    """Write a central record, and the owner's keys into the keyring; return the directory."""
    users = Path(central[0].removeprefix("auth_file=")).parent
    home = central[1].removeprefix("gnupg_home=")
    (users / user).write_text(record)
    subprocess.run(["chown", "root:_trex", users / user], check=True)
    (users / user).chmod(0o640)
    subprocess.run(["setpriv", "--reuid=_trex", "--regid=_trex", "--clear-groups", "gpg", "--batch",
                    "--quiet", "--homedir", home, "--import"], input=owner.public(), check=True)  # fmt: skip
    return users
