"""The host keys that a challenge names, for whoever answers to compare with the connection's.

A public key file counts only if root alone can have written it: `system.safefile` has the rules.
"""

import binascii
import os
import sys

from trex.errors import FileUnsafe, NoRecord, OptionError, cut
from trex.system.privilege import Account, native, readable
from trex.system.safefile import read_safely

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DIRECTORY = "/etc/ssh"  # where sshd has its keys unless HostKey says otherwise (sshd_config(5))
BEGIN, END = "ssh_host_", "_key.pub"
NONE = "none"
MAX_KEYS = 8  # with more, next to nothing of the names in a context would be left
LENGTH = 16  # characters of a fingerprint: 96 bits
CERTIFICATE = b"-cert-v01@openssh.com"  # PROTOCOL.certkeys
ROOT = Account("root", 0, 0, "/root", [])


def host_keys(chosen: str, warnings: list[str]) -> list[str]:
    """Return the host keys to name: each `short` form once.

    `chosen` is NONE, or paths with commas between them, or "" for sshd's own files; of these one
    that cannot be used is left out with a warning. Raises OptionError for any other.
    """
    if chosen == NONE:
        return []
    try:
        found = dict(_usual(warnings)) if not chosen else dict(map(_named, chosen.split(",")))
    except (FileUnsafe, NoRecord) as error:
        raise OptionError(f"host_keys={cut(chosen)}: {error}") from None
    keys = list(dict.fromkeys(found.values()))
    if len(keys) > MAX_KEYS:
        warnings.append(f"challenges name no host keys: expected {MAX_KEYS} at most, found "
                        f"{len(keys)} in {DIRECTORY}: set host_keys=")  # fmt: skip
        return []
    return keys


def usual_files() -> list[str]:
    """Return the paths of sshd's own public keys, ready for `os` calls."""
    try:
        names = os.listdir(DIRECTORY)
    except OSError:  # a host without sshd
        return []
    return sorted(f"{DIRECTORY}/{name}" for name in names
                  if name.startswith(BEGIN) and name.endswith(END))  # fmt: skip


def read_key(path: str) -> str:
    """Return the `short` form of the public key in a file.

    Raises FileUnsafe or NoRecord if the file does not count.
    """
    words = read_safely(path, ROOT).split()
    try:
        return key_named(*words[:2])
    except (TypeError, ValueError):
        raise FileUnsafe(readable(path), "something else", "an SSH public key") from None


def key_named(kind: bytes, encoded: bytes) -> str:
    """Return the `short` form of a public key, from its type and its base64.

    Raises ValueError for anything else, a certificate included: its fingerprint is another.
    """
    key = binascii.a2b_base64(encoded)
    # A key begins with its own type (RFC 4253, 6.6).
    if CERTIFICATE in kind or not key.startswith(len(kind).to_bytes(4, "big") + kind):
        raise ValueError
    return short(fingerprint(key))


def fingerprint(key: bytes) -> str:
    """Return the SHA-256 of a key in base64, as `ssh-keygen -l` prints it behind `SHA256:`."""
    # without hashlib, which loads libcrypto, 4 ms
    module = __import__("_sha256" if sys.version_info < (3, 12) else "_sha2")
    digest: bytes = module.sha256(key).digest()
    return binascii.b2a_base64(digest, newline=False).decode("ascii").rstrip("=")


def short(printed: str) -> str:
    """Return how a context names a key with this fingerprint.

    `/` becomes `_`: gpg takes what is behind a `/` as the file's name.
    """
    return printed[:LENGTH].replace("/", "_")


def _usual(warnings: list[str]) -> "Iterator[tuple[str, str]]":
    for path in usual_files():
        try:
            yield path, read_key(path)
        except (FileUnsafe, NoRecord) as error:
            warnings.append(f"not named as a host key in challenges: {error}")


def _named(path: str) -> tuple[str, str]:
    return path, read_key(native(path))
