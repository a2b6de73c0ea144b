"""Hold the module's verdict on keys against gpg's own, over keyrings of people who do not know Trex.

    python3 -m tests.proof.keyrings [--every N] [KEYRING]...

Takes every Nth key of Debian's `debian-keyring` package, or of the keyrings that are named, and has
gpg encrypt to its fingerprint. Prints each key on which the two differ, in whether it can be used or in
the reason; the exit status is 1 if there is one. All keys take some minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trex.openpgp.errors import KeyExpired, KeyRevoked, KeyUnusable
from trex.openpgp.keyblock import Malformed, blocks, packets
from trex.openpgp.keylist import parse_listing, parse_status
from trex.openpgp.recipients import verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.openpgp.keyblock import Block

DEBIAN = [Path("/usr/share/keyrings") / name for name in
          ("debian-keyring.gpg", "debian-maintainers.gpg", "debian-nonupload.gpg")]  # fmt: skip
SUBKEYS_ENDED = 2  # a bit of KEY_CONSIDERED's flags (doc/DETAILS)
CHUNK = 50  # keys in one keyring, so that gpg does not read megabytes for each


class Compared(NamedTuple):
    """One key: gpg's word on it, and the module's."""

    fingerprint: str
    gpg: str
    trex: str


def keys_of(path: Path, every: int) -> list[Block]:
    """Return every Nth key that gpg could know: versions 4 and 5."""
    raw = path.read_bytes()
    whole = b"".join(packet for tag, _, packet in packets(raw) if tag != 12)  # GnuPG's own notes
    return blocks(whole)[::every]


def compare(keys: list[Block]) -> Iterator[Compared]:
    """Compare keys, in keyrings of a few each."""
    for start in range(0, len(keys), CHUNK):
        with tempfile.TemporaryDirectory() as home:
            yield from _compare_in(Path(home), keys[start : start + CHUNK])


def _compare_in(home: Path, keys: list[Block]) -> Iterator[Compared]:
    (home / "pubring.gpg").write_bytes(b"".join(key.raw() for key in keys))
    for key in keys:
        listing = _gpg(home, "--with-colons", "--list-keys", "--", key.fingerprint).stdout
        fault = verdict(
            key.fingerprint, parse_listing(listing.decode("utf-8", "replace")), trust=True
        )[1]
        done = _gpg(home, "--encrypt", "-r", key.fingerprint)
        yield Compared(key.fingerprint, _told(done), _class_of(fault))


def _gpg(home: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["/usr/bin/gpg", "--homedir", home, "--no-options", "--batch", "--quiet", "--lock-never",
         "--no-autostart", "--trust-model", "always", "--status-fd", "2", *command],
        input=b"", capture_output=True, check=False,
    )  # fmt: skip


def _told(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return gpg's word: usable, ended, or otherwise unusable."""
    if done.returncode == 0 and done.stdout:
        return "usable"
    considered = parse_status(done.stderr).get("KEY_CONSIDERED", [])
    ended = any(int(words[1]) & SUBKEYS_ENDED for words in considered)
    return "ended" if ended else "unusable"


def _class_of(fault: KeyUnusable | None) -> str:
    if fault is None:
        return "usable"
    return "ended" if isinstance(fault, KeyExpired | KeyRevoked) else "unusable"


def main() -> int:
    """Compare what was asked for, and print the differences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("keyring", nargs="*", type=Path, default=DEBIAN)
    asked = parser.parse_args()
    different = total = 0
    for path in asked.keyring:
        try:
            keys = keys_of(path, asked.every)
        except Malformed as error:
            sys.exit(f"{path}: {error}")
        for one in compare(keys):
            total += 1
            if one.gpg != one.trex:
                different += 1
                print(f"{one.fingerprint}: gpg says {one.gpg}, Trex says {one.trex}")  # noqa: T201
    print(f"{total} keys, {different} different")  # noqa: T201
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
