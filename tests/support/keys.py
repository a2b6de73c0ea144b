"""OpenPGP keys for the tests, made once a run, and the gpg-agent that answers with them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import ClassVar

import gnupg

from tests.support.sandbox import wait_for_daemons

# Decrypts each message of a prompt, and prints the texts on one line.
EACH = """\
import re, subprocess, sys
gpg = ["gpg", "--homedir", sys.argv[1], "--batch", "--quiet", "--decrypt"]
blocks = re.findall(rb"-----BEGIN.*?-----END PGP MESSAGE-----\\n", sys.stdin.buffer.read(), re.S)
said = [subprocess.run(gpg, input=block, capture_output=True).stdout for block in blocks]
print(b" ".join(map(bytes.strip, said)).decode())
"""


class Holder:
    """Whoever holds secret keys: a client's keyring with its own gpg-agent."""

    KINDS: ClassVar[dict[str, dict[str, object]]] = {
        "cv25519": {"key_type": "EDDSA", "key_curve": "ed25519", "subkey_type": "ECDH",
                    "subkey_curve": "cv25519"},
        "nistp256": {"key_type": "ECDSA", "key_curve": "nistp256", "subkey_type": "ECDH",
                     "subkey_curve": "nistp256"},
        "rsa2048": {"key_type": "RSA", "key_length": 2048, "subkey_type": "RSA",
                    "subkey_length": 2048},
        "rsa4096": {"key_type": "RSA", "key_length": 4096, "subkey_type": "RSA",
                    "subkey_length": 4096},
        "signing": {"key_type": "EDDSA", "key_curve": "ed25519", "key_usage": "sign"},
    }  # fmt: skip

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700, parents=True)
        self.home = home
        self.gpg = gnupg.GPG(gnupghome=str(home), gpgbinary="/usr/bin/gpg")
        self.gpg.encoding = "utf-8"

    def make(self, address: str, kind: str = "cv25519", passphrase: str = "", expire: str = "0",
             name: str = "Test Key", at: str = "") -> str:  # fmt: skip
        """Make a key; return its fingerprint. `at` fakes the time, as 20200101T000000."""
        details = dict(self.KINDS[kind], name_real=name, name_email=address, expire_date=expire)
        details |= {"passphrase": passphrase} if passphrase else {"no_protection": True}
        self.gpg.options = ["--faked-system-time", f"{at}!"] if at else []  # ! stops the clock
        made = self.gpg.gen_key(self.gpg.gen_key_input(**details))
        self.gpg.options = []
        assert made.fingerprint, made.stderr
        fingerprint: str = made.fingerprint
        return fingerprint

    def public(self, *keys: str) -> bytes:
        """Export public keys."""
        return self._run("--export", *keys)

    def secret(self, *keys: str) -> bytes:
        """Export secret keys that have no passphrase."""
        return self._run("--export-secret-keys", *keys)

    def take(self, exported: bytes) -> str:
        """Import keys from another holder; return the fingerprint of the first.

        The address is no name for it: of keys that were made in one second gpg takes any.
        """
        said = self._run("--status-fd", "1", "--import", stdin=exported).decode()
        return next(line for line in said.splitlines() if " IMPORT_OK " in line).split()[3]

    def revoke(self, fingerprint: str) -> None:
        """Import the revocation certificate that gpg made with the key."""
        path = self.home / "openpgp-revocs.d" / f"{fingerprint}.rev"
        self._run("--import", stdin=path.read_bytes().replace(b":-----BEGIN", b"-----BEGIN"))

    def decrypt(self, message: str) -> gnupg.Crypt:
        """Decrypt, as a user does by hand."""
        return self.gpg.decrypt(message, always_trust=True)

    def command(self) -> str:
        """Return a shell command that turns a prompt on standard input into the response."""
        return f"gpg --homedir {self.home} --batch --quiet --decrypt 2>/dev/null"

    def command_for_two(self) -> str:
        """Return the same for a prompt that takes two people, both of whose keys are here."""
        return f"/usr/bin/python3 -c '{EACH}' {self.home}"

    def _run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(
            ["/usr/bin/gpg", "--homedir", self.home, "--batch", "--quiet", "--pinentry-mode",
             "loopback", "--passphrase", "", *arguments],
            input=stdin, capture_output=True, check=True,
        ).stdout  # fmt: skip

    def close(self) -> None:
        """End the agent, and see it end."""
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=True)
        wait_for_daemons(self.home)


def gnupg_version() -> tuple[int, ...]:
    text = subprocess.run(["gpg", "--version"], capture_output=True, check=True).stdout.decode()
    found = re.search(r"\(GnuPG\) (\d+)\.(\d+)", text)
    assert found
    return int(found[1]), int(found[2])
