"""Public keys, found and imported with python-gnupg; to be called in a process of their owner's.

No `gpg.conf` is read, because the module reads none either: it could name another keyring.
"""

from __future__ import annotations

import logging
import os
import subprocess

import gnupg

from trex.cli.delegate import PATH, scratch_directory
from trex.cli.terminal import CommandError

GPG = "/usr/bin/gpg"
OPTIONS = ["--no-options", "--no-auto-check-trustdb", "--trust-model", "always"]
MAX_KEYS = 1 << 20  # bytes; the largest keys with many signatures have some hundred kB
LOCATE_SECONDS = 60

logging.getLogger("gnupg").setLevel(logging.CRITICAL)  # what went wrong is told once, and here


def read_key_file(path: str) -> bytes:
    """Return the content of a file with keys. Raises CommandError."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            content = file.read(MAX_KEYS + 1)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", f"trex enroll --key - < {path}") from None
    return checked(content or b"", path)


def checked(content: bytes, source: str) -> bytes:
    """Return what could be keys. Raises CommandError for what is empty or too large."""
    if not content.strip():
        raise CommandError(f"{source}: there is nothing in it", "gpg --armor --export KEY")
    if len(content) > MAX_KEYS:
        raise CommandError(f"{source}: more than {MAX_KEYS >> 20} MiB", "gpg --armor --export KEY")
    return content


def keys_in(content: bytes, source: str) -> dict[str, str]:
    """Return the keys in `content` as `listing` (of colons) and `armored`.

    They are looked at in a keyring of their own, so that nothing else has changed yet.
    """
    gpg = _gpg(scratch_directory())
    result = gpg.import_keys(content)
    if int(result.sec_read or 0):
        raise CommandError(
            f"{source}: this holds a secret key, which does not belong on a server",
            "gpg --armor --export KEY writes the public one",
        )
    if not result.fingerprints:
        raise CommandError(f"{source}: gpg finds no public key in it", "gpg --armor --export KEY")
    return _told(gpg)


def keys_at(address: str) -> dict[str, str]:
    """Return the keys that WKD has for a mail address, as `keys_in` does."""
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
            f"no key for {address} could be had: {reason}",
            "WKD needs the network; --key FILE needs none",
        )
    return _told(_gpg(directory))


def keys_here(home: str) -> dict[str, str]:
    """Return the keys of a keyring; `armored` is empty, because they are there already."""
    if not os.path.isdir(home):
        raise CommandError(f"{home}: there is no keyring", "trex enroll --key FILE")
    return {"listing": _listing(_gpg(home)), "armored": ""}


def import_keys(home: str, armored: str, fingerprints: list[str]) -> bool:
    """Import those of the keys that were chosen; tell whether that has changed the keyring."""
    os.makedirs(home, mode=0o700, exist_ok=True)
    source = _gpg(scratch_directory())
    source.import_keys(armored)
    chosen = source.export_keys(fingerprints)
    result = _gpg(home).import_keys(chosen)
    if not set(fingerprints) <= set(result.fingerprints):
        raise CommandError(
            f"gpg did not take the key: {_last_line(result.stderr.encode())}",
            f"is there room in {home}, and may it be written?",
        )
    return bool(int(result.count or 0) > int(result.unchanged or 0))


def decrypt(home: str, message: str, *, pinentry: bool) -> str | None:
    """Return the plaintext if the secret key is in this keyring and can be used now."""
    try:
        if not os.listdir(os.path.join(home, "private-keys-v1.d")):
            return None
    except OSError:
        return None
    gpg = _gpg(home)
    gpg.options = [*OPTIONS, "--pinentry-mode", "ask" if pinentry else "error"]
    result = gpg.decrypt(message)
    return str(result) if result.ok else None


def _gpg(home: str) -> gnupg.GPG:
    gpg = gnupg.GPG(gpgbinary=GPG, gnupghome=home, options=OPTIONS)
    gpg.encoding = "utf-8"
    return gpg


def _told(gpg: gnupg.GPG) -> dict[str, str]:
    return {"listing": _listing(gpg), "armored": gpg.export_keys([])}


def _listing(gpg: gnupg.GPG) -> str:
    listed: bytes = gpg.list_keys().data
    return listed.decode("utf-8", "replace")


def _last_line(text: bytes) -> str:
    lines = [
        line for line in text.decode("utf-8", "replace").splitlines() if "[GNUPG:]" not in line
    ]
    return lines[-1] if lines else "gpg says nothing"
