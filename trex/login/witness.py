"""While an activation waits to be confirmed: which processes have been answered to Trex.

`trex confirm` believes only a process below one of these, so that no session from before confirms
what it has not tried. PLACE is there for these minutes alone, with a directory for each service
that is being switched on; at any other time a login looks once whether it is there.
"""

import os

from trex.system.privilege import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.method import Login

PLACE = "/run/trex-pam.activation"
NEW = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
PRIVILEGED = b" [priv]"  # sshd's title for the process that stays root, one for each connection


def bear_witness(login: "Login") -> None:
    """Note the process that asks, and the user who was let in.

    sshd asks PAM in a child, which ends; so the parent, which the session descends from, is noted
    as well. Without root's rights, or if anything is in the way, there is no witness: the verdict
    does not depend on it.
    """
    if not os.path.lexists(PLACE) or "/" in login.service or login.service.startswith("."):
        return
    place = f"{PLACE}/{login.service.lower()}"
    try:
        parent, started = status_of_process(login.caller)
        _note(place, login.caller, started, login.account)
        if _is_session_of(parent, login.caller):
            _note(place, parent, status_of_process(parent)[1], login.account)
    except Exception:
        return


def status_of_process(pid: int) -> tuple[int, int]:
    """Return a process's parent, and its start in ticks since the boot: no two have pid and start.

    Raises OSError for a process that has ended. See proc(5), /proc/pid/stat.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[1]), int(fields[19])


def _note(place: str, pid: int, started: int, user: str) -> None:
    descriptor = os.open(native(f"{place}/{pid}.{started}"), NEW, 0o600)
    try:
        os.write(descriptor, user.encode("utf-8", "replace"))
    finally:
        os.close(descriptor)


def _is_session_of(parent: int, caller: int) -> bool:
    """Tell whether `parent` is sshd's process for one connection, and not the one that listens."""
    with open(f"/proc/{parent}/cmdline", "rb") as file:
        is_privileged = PRIVILEGED in file.read()
    return (
        is_privileged and os.stat(f"/proc/{parent}").st_uid == 0 and _name(parent) == _name(caller)
    )


def _name(pid: int) -> bytes:
    with open(f"/proc/{pid}/comm", "rb") as file:
        return file.read()
