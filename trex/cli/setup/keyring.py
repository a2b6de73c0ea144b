"""Public keys, found and imported with python-gnupg, in a process of the keyring's owner.

No `gpg.conf` is read, as in the module: it could name another keyring.
"""

from __future__ import annotations

import codecs
import logging
import os
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import gnupg

from trex.cli.delegate import PATH, scratch_directory
from trex.cli.errors import CommandError
from trex.login.options import Options
from trex.openpgp.diagnosis import is_in_fips_mode
from trex.openpgp.keyblock import V4, V5, Malformed, blocks, dearmored, packets
from trex.openpgp.keylist import ALGORITHMS, parse_listing
from trex.system.privilege import readable

if TYPE_CHECKING:
    from trex.openpgp.keyblock import Block

GPG = Options.gpg
NO_GPG = "install GnuPG (Debian: gnupg)"
OPTIONS = ["--no-options", "--no-auto-check-trustdb", "--trust-model", "always"]
KEYRINGS = ("pubring.kbx", "pubring.gpg", "public-keys.d")  # the last one is keyboxd's
LOCATE_SECONDS = 60
FIPS_KEY = (
    "gpg --quick-generate-key ADDRESS rsa3072 default 2y, then "
    "gpg --quick-add-key FINGERPRINT rsa3072 encr 2y"
)
ENTIRELY_NEW = "1"  # doc/DETAILS of GnuPG, IMPORT_OK
KNOWN_ALGORITHMS = frozenset(map(int, ALGORITHMS))

logging.getLogger("gnupg").setLevel(logging.CRITICAL)  # errors are reported once, here


def keys_in(content: bytes, source: str) -> dict[str, str]:
    """Return the keys in `content` as `listing` (of colons) and `armored`.

    They are imported into a temporary keyring, so that nothing else changes yet.
    """
    gpg = _gpg(scratch_directory())
    result = gpg.import_keys(content)
    if int(result.sec_read or 0):
        raise CommandError(
            f"{source}: expected public keys, found a secret key; it does not belong on a server",
            "gpg --armor --export KEY writes the public key",
        )
    if not result.fingerprints:
        raise _unreadable(content, source, ".".join(map(str, gpg.version or ())))
    return _told(gpg)


def _unreadable(content: bytes, source: str, version: str) -> CommandError:
    """Return the error for a file in which gpg finds no usable key."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"-\0-\0" in content:
        return CommandError(
            f"{source}: expected ASCII or binary, found UTF-16, as PowerShell writes it with >",
            "gpg --armor --output FILE --export KEY",
        )
    try:
        block = blocks(content)[0]
    except Malformed as error:
        return CommandError(
            f"{source}: expected a public key, found {error}", "gpg --armor --export KEY"
        )
    unknown = [number for number in block.algorithms if number not in KNOWN_ALGORITHMS]
    what = f"a key of version {block.version}"
    if block.version == V4 and unknown:
        what = f"a key with algorithm {unknown[0]} of RFC 9580"
    elif block.version == V4 and is_in_fips_mode():
        found = f"{source}: gpg cannot use this key in FIPS mode: {block.fingerprint}"
        return CommandError(found, FIPS_KEY)
    since = "GnuPG 2.4, or " if block.version == V5 else ""
    return CommandError(
        f"{source}: gpg {version} on this host cannot use {what}: {block.fingerprint}",
        f"{since}a key of version 4: gpg --quick-generate-key ADDRESS default default 2y",
    )


def keys_at(address: str) -> dict[str, str]:
    """Return a mail address's keys from its Web Key Directory, as `keys_in` does."""
    directory = scratch_directory()
    try:
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            [GPG, "--homedir", directory, "--batch", *OPTIONS, "--auto-key-locate",
             "clear,wkd", "--locate-external-keys", "--", address],
            capture_output=True, check=False, timeout=LOCATE_SECONDS, env={"PATH": PATH},
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        found, reason = done.returncode == 0, _last_line(done.stderr)
    except subprocess.TimeoutExpired:
        found, reason = False, "no answer in time"
    if not found:
        raise CommandError(
            f"no key for {address} was found: {reason}",
            "a Web Key Directory needs the network; --key FILE does not",
        )
    return _told(_gpg(directory))


def keys_here(home: str) -> dict[str, str]:
    """Return the keys of a keyring; `armored` is empty, because nothing needs importing."""
    if not os.path.isdir(home):
        raise CommandError(f"{home}: no such keyring", "trex enroll --key FILE")
    return {"listing": _listing_of(home), "armored": ""}


def clean_blocks(home: str, armored: str, fingerprints: list[str]) -> dict[str, Any]:
    """Return the chosen keys, each without copies of others' keys, and what was left out.

    Anybody can add another's key to their own as a subkey. gpg then finds their key under the
    other's fingerprint too, and may not import the other's own. `blocks` are the keys in hex,
    `left_out` pairs of a key and the copy that was in it, `known` whether importing them would
    change nothing. Raises CommandError where it is not clear which of two keys is the copy.
    """
    offered = {block.fingerprint: block for block in blocks(armored.encode())}
    listed = parse_listing(_listing_of(home))
    there = {key.fingerprint: [sub.fingerprint for sub in key.subkeys[1:]] for key in listed}
    primaries = {*offered, *there}
    clean, left_out = [], []
    for fingerprint in fingerprints:
        block = offered[fingerprint]
        copies = [subkey for subkey in block.subkeys if subkey in primaries - {fingerprint}]
        left_out += [(fingerprint, copy) for copy in copies]
        for other, subkeys in there.items():
            _check_apart(home, block, other, subkeys)
        clean.append(block.raw(frozenset(copies)).hex())
    known = there.keys() >= set(fingerprints) and _has_all(home, clean, fingerprints)
    return {"blocks": clean, "left_out": left_out, "known": known}


def _has_all(home: str, clean: list[str], fingerprints: list[str]) -> bool:
    """Return whether the keyring has each packet of these keys; gpg's --dry-run does not tell."""
    exported = dearmored(str(_gpg(home).export_keys(fingerprints)).encode())
    there = {body for _, body, _ in packets(exported)}
    return all(body in there for key in clean for _, body, _ in packets(bytes.fromhex(key)))


def _check_apart(home: str, block: Block, other: str, subkeys: list[str]) -> None:
    """Raise CommandError if another key in the keyring contains this key or one of its subkeys."""
    if other == block.fingerprint:
        return
    shared = {block.fingerprint, *block.subkeys}.intersection(subkeys)
    if shared:
        raise CommandError(
            f"the key {other} in {readable(home)} carries {min(shared)} of {block.fingerprint}: "
            "the owner of one of the two has copied it",
            f"if the other is the copy: gpg --homedir {shlex.quote(readable(home))} "
            f"--delete-keys {other}, as the owner of that directory; then enrol its owner again",
        )


def copies_in(home: str) -> list[tuple[str, str, str, bool]]:
    """Return the keys that carry another's: carrier, copied fingerprint, its owner, is primary.

    If the copied key is a primary key, the carrier holds the copy. Of two keys that share a subkey,
    either may hold it.
    """
    keys = parse_listing(_listing(_gpg(home)))
    primaries = {key.fingerprint for key in keys}
    seen: dict[str, str] = {}
    found = []
    for key in keys:
        for subkey in (sub.fingerprint for sub in key.subkeys[1:]):
            if subkey in primaries:
                found.append((key.fingerprint, subkey, subkey, True))
            elif subkey in seen:
                found.append((key.fingerprint, subkey, seen[subkey], False))
            seen.setdefault(subkey, key.fingerprint)
    return found


def import_keys(home: str, clean: list[str], fingerprints: list[str]) -> list[str]:
    """Import the blocks of `clean_blocks`; return the fingerprints that were not there before."""
    os.makedirs(home, mode=0o700, exist_ok=True)
    result = _gpg(home).import_keys(b"".join(map(bytes.fromhex, clean)))
    if not set(fingerprints) <= set(result.fingerprints):
        raise CommandError(
            f"gpg did not import the key: {_last_line(result.stderr.encode())}",
            f"is the disk full, or is {home} read-only?",
        )
    told = ((one["fingerprint"], one.get("ok")) for one in result.results)
    return [str(fingerprint) for fingerprint, reason in told if reason == ENTIRELY_NEW]


def exported(home: str, name: str) -> str:
    """Return a public key, armored, and nothing of it that is not needed for its signatures."""
    return str(_gpg(home).export_keys(name, minimal=True))


def fingerprints_in(home: str) -> list[str]:
    """Return those of all keys in a keyring, none if there is no keyring yet."""
    listing = _listing_of(home)
    return [key.fingerprint for key in parse_listing(listing)]


def delete_keys(home: str, fingerprints: list[str]) -> None:
    """Remove public keys from a keyring again."""
    _gpg(home).delete_keys(fingerprints)


def decrypt(home: str, message: str, *, pinentry: bool) -> str | None:
    """Return the plaintext, None if no secret key for it can be used here now."""
    try:
        with os.scandir(os.path.join(home, "private-keys-v1.d")) as entries:
            if next(entries, None) is None:
                return None
    except OSError:
        return None
    gpg = _gpg(home)
    gpg.options = [*OPTIONS, "--pinentry-mode", "ask" if pinentry else "error"]
    result = gpg.decrypt(message)
    return str(result) if result.ok else None


def _gpg(home: str) -> gnupg.GPG:
    try:
        gpg = gnupg.GPG(gpgbinary=GPG, gnupghome=home, options=OPTIONS)
    except (OSError, ValueError) as error:  # python-gnupg first runs gpg --version
        raise CommandError(f"{GPG} cannot be run: {error}", NO_GPG) from None
    gpg.encoding = "utf-8"
    return gpg


def _told(gpg: gnupg.GPG) -> dict[str, str]:
    return {"listing": _listing(gpg), "armored": gpg.export_keys([])}


def _listing_of(home: str) -> str:
    """Return a keyring's listing, "" if there is none: gpg would make an empty one."""
    files = (os.path.join(home, name) for name in KEYRINGS)
    return _listing(_gpg(home)) if any(map(os.path.exists, files)) else ""


def _listing(gpg: gnupg.GPG) -> str:
    gpg.options = [*OPTIONS, "--lock-never"]  # listing must change nothing in a home
    listed: bytes = gpg.list_keys().data
    gpg.options = OPTIONS
    return listed.decode("utf-8", "replace")


def _last_line(text: bytes) -> str:
    lines = [
        line for line in text.decode("utf-8", "replace").splitlines() if "[GNUPG:]" not in line
    ]
    return lines[-1] if lines else "gpg says nothing"
