"""Where a login comes from, as a grace period knows it again: an address, or a terminal.

A server's PAM_RHOST counts: only the server knows who is at the other end. A program that its
user has started (sudo, su) is believed nothing about a place: session and terminal are the
kernel's, and the user who has started it is its real one.
"""

import sys

from trex.errors import TrexError, UserUnknown, cut
from trex.login.options import is_address
from trex.system.privilege import find_account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.method import Login

AT_SECURE = 23  # getauxval(3): set-user-ID, or with capabilities
WORD = 8 if sys.maxsize > 1 << 32 else 4  # bytes of a number in /proc/pid/auxv
SESSION, TERMINAL, STARTED = 3, 4, 19  # fields of /proc/pid/stat (proc(5)) behind the name


class NoOrigin(TrexError):
    """It is not known from where a login comes, so it has no grace period."""


def origin_of(login: "Login") -> str:
    """Return the address, or the terminal, its session and who has started the program there.

    Raises NoOrigin.
    """
    try:
        if login.remote_host and not _is_set_id(login.caller):
            return _address(login.remote_host)
        return _terminal(login)
    except (OSError, ValueError, LookupError) as error:
        raise NoOrigin(f"nothing is known of process {login.caller}: {error}") from None


def is_remote(origin: str) -> bool:
    """Tell whether an origin is an address."""
    return is_address(origin)


def _address(remote_host: str) -> str:
    """Return the host if it is an address: a name is what the DNS says of one today."""
    if not is_address(remote_host):
        raise NoOrigin(f"expected an address as remote host, found {cut(remote_host)}")
    return remote_host


def _terminal(login: "Login") -> str:
    fields = _stat(login.caller)
    session, terminal = int(fields[SESSION]), int(fields[TERMINAL])
    if not terminal:
        raise NoOrigin("there is neither a remote host nor a terminal")
    started = int(_stat(session)[STARTED])  # no two sessions of a boot have number and start
    uid = _invoker(login)
    audited = _audit_session(login.caller)
    return f"terminal {terminal}, session {session} of {started}, uid {uid}, audit {audited}"


def _invoker(login: "Login") -> int:
    """Return the uid of whoever has started the program.

    su keeps the real uid, and sudo has given it up: then it is the one that sudo says.
    """
    try:
        named = find_account(login.invoker).uid
    except UserUnknown:
        raise NoOrigin("the program does not say who has started it") from None
    real = _real_uid(login.caller)
    if real not in (0, named):
        raise NoOrigin(f"uid {real} has started the program, which says uid {named}")
    return named


def _is_set_id(pid: int) -> bool:
    with open(f"/proc/{pid}/auxv", "rb") as file:
        content = file.read()
    words = [
        int.from_bytes(content[at : at + WORD], sys.byteorder)
        for at in range(0, len(content), WORD)
    ]
    return bool(dict(zip(words[::2], words[1::2], strict=False))[AT_SECURE])


def _real_uid(pid: int) -> int:
    with open(f"/proc/{pid}/status", "rb") as file:
        (line,) = [line for line in file.read().split(b"\n") if line.startswith(b"Uid:")]
    return int(line.split()[1])


def _stat(pid: int) -> list[bytes]:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def _audit_session(pid: int) -> str:
    """Return the audit session, which only root can leave; - where the kernel keeps none."""
    try:
        with open(f"/proc/{pid}/sessionid", "rb") as file:
            return str(int(file.read()))
    except FileNotFoundError:
        return "-"
