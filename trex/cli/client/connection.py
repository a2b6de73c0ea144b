"""The host key of a connection, as ssh itself says it.

ssh runs its KnownHostsCommand (ssh_config(5)) before it authenticates, for known and unknown hosts
alike, and tells it the key's fingerprint; that of a certificate is its key's. Ours prints nothing,
so it makes no host known. It adds the fingerprint to a file that is named after the process that
became ssh. So the key is that of this connection: not of an ssh within it, which has inherited the
environment, and not of one that had the same pid.

A sh does it in a millisecond or two: ssh runs it up to three times for each connection.

A server can fill the disk with what the user copies from there, and would then be known by its name
alone. So a key that could not be recorded is not taken for one that ssh has not told: `trex ssh`
makes the record before, and what cannot add to it removes it; the script of `trex setup` makes one
when it has a key, and an empty one says that there was no room.
"""

from __future__ import annotations

import os

from trex.cli.client.processes import forget_ended, process_name
from trex.cli.client.store import make_directory, own_directory, read_own
from trex.cli.client.words import DIGITS, LETTERS, is_word
from trex.cli.errors import CommandError, StoreError
from trex.errors import cut

SINCE = (8, 5)  # OpenSSH with KnownHostsCommand
SETTING = "knownhostscommand"  # as -G prints it
RECORDER = "record-host-key.sh"  # of `trex setup`, for plain ssh
# `NONE` comes before there is a key, when ssh chooses among algorithms.
ADD = 'echo "$1" 2>/dev/null >>"$0" || rm -f "$0"'
RECORD = f'[ "$1" = NONE ] || {ADD}; shift; [ -z "$1" ] || exec "$@"'
HASH = "SHA256:"
BASE64, DIGEST = LETTERS | DIGITS | frozenset("+/"), 43  # of a fingerprint, without padding
MAX_SIZE = 4096  # bytes: a dozen keys
MISREAD = "?"  # no key has this name


def recording(version: tuple[int, int], settings: dict[str, str]) -> list[str]:
    """Return the options with which this process, once it is ssh, has its host key recorded.

    None for an older ssh, or if the file cannot be made: then `recorded_keys` raises. A
    KnownHostsCommand of the user's own runs as before: ssh replaces its tokens, too.
    """
    try:
        path = _make_record()
    except (OSError, StoreError):
        return []
    if version < SINCE:
        return []
    command = f"/bin/sh -c '{RECORD}' {_quoted(path)} %f {settings.get(SETTING, '')}"
    # The other hash, MD5, is not the one that challenges have.
    return [f"-oKnownHostsCommand={command.rstrip()}", "-oFingerprintHash=sha256"]


def recorded_keys(ssh: int, *, is_ours: bool) -> tuple[str, ...]:
    """Return the host keys, in `short` form, that the process `ssh` has got; () if not known.

    `is_ours` says that `trex ssh` became that process, and has made the record before. Several keys
    if it has changed meanwhile: whoever compares has to see all of them. Raises StoreError if
    another user can have written or removed them, or if there was no room for them: they are not
    taken as unknown.
    """
    from trex.openpgp.hostkeys import short  # not for `trex ssh`, which only has it recorded

    try:
        name = process_name(ssh)
    except StoreError:
        return ()
    content = _recorded(name, is_ours=is_ours).decode("ascii", "replace")
    if len(content) > MAX_SIZE:
        return (MISREAD,)
    lines = dict.fromkeys(content.splitlines())
    return tuple(short(line[len(HASH) :]) if line.startswith(HASH) else MISREAD for line in lines)


def _recorded(name: str, *, is_ours: bool) -> bytes:
    """Return what is recorded, b"" for a key that ssh has not told. Raises StoreError."""
    content = read_own(os.path.join(_directory(), name))
    is_lost = content is None if is_ours else content == b""
    if is_lost:
        raise StoreError(
            f"the host key of this connection could not be recorded in {_directory()}",
            "is its disk full, or its quota used up? make room, and log in again",
        )
    return content or b""


def named_key(key: str | bytes) -> str:
    """Return the `short` form of a host key, or of its fingerprint as `ssh-keygen -l` prints it.

    Raises CommandError for another form: nothing would be compared.
    """
    from trex.openpgp.hostkeys import fingerprint, short

    printed = key if isinstance(key, str) else f"{HASH}{fingerprint(key)}" if key else ""
    if (
        not printed.startswith(HASH)
        or not is_word(printed[len(HASH) :], BASE64)
        or (len(printed) != len(HASH) + DIGEST)
    ):
        raise CommandError(
            f"expected the fingerprint of a host key, {HASH}..., found {cut(printed)!r}",
            "ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub prints it on that host",
        )
    return short(printed[len(HASH) :])


def _make_record() -> str:
    """Make an empty file for the keys of the process that this one becomes; return its path."""
    directory = _directory()
    make_directory(directory)
    forget_ended(directory)
    path = os.path.join(directory, process_name(os.getpid()))
    if os.path.lexists(path):  # of an ssh that was this process before it became trex again
        os.unlink(path)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return path


def _directory() -> str:
    return os.path.join(own_directory("XDG_STATE_HOME", ".local/state"), "connections")


def _quoted(path: str) -> str:
    """Return a path as one word for ssh, which splits the command itself and replaces tokens."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
