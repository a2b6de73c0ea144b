"""hosts_access(5): sshd refuses, before anything else, whom /etc/hosts.deny names.

Debian's sshd is linked to libwrap. The library itself is asked; with `dry_run` it runs none of the
commands that its files may have (hosts_options(5)).
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import subprocess
from functools import partial

from trex.cli.delegate import FILE_SECONDS, run_as
from trex.cli.doctor.finding import ERROR, NOTE, Finding
from trex.cli.errors import CommandError
from trex.cli.location import ROOT

LIBRARY = "libwrap.so.0"
PROGRAMS = ("/usr/sbin/sshd", "/usr/lib/openssh/sshd-session")  # the second from OpenSSH 9.8 on
DAEMON = "sshd"
UNKNOWN = b"unknown"  # as tcpd.h has it, for a name or user that was not looked up
ALLOW, DENY = "/etc/hosts.allow", "/etc/hosts.deny"
SECONDS = 20


def check_wrappers(addresses: list[str]) -> list[Finding]:
    """Return from which addresses sshd accepts no connection: an error if from none."""
    if not any(os.path.exists(path) for path in (ALLOW, DENY)) or not _is_linked():
        return []
    try:
        told: list[bool] = run_as(ROOT, partial(_ask, addresses), FILE_SECONDS)
    except CommandError as error:
        why = "sshd asks the same, and may refuse every connection."
        return [Finding("sshd-wrappers", ERROR, f"{ALLOW}, {DENY}: {error}", why, f"cat {DENY}")]
    refused = [one for one, is_allowed in zip(addresses, told, strict=True) if not is_allowed]
    if not refused:
        return []
    all_are = refused == addresses
    where = "any address" if all_are else ", ".join(refused)
    what = f"{DENY} or {ALLOW} refuses sshd's connections from {where}"
    clients = "ALL" if all_are else " ".join(map(_pattern, refused))
    why = "Nobody gets in." if all_are else "Nobody gets in from there."
    fix = f"sed -i '1i {DAEMON}: {clients}' {ALLOW}"
    if not os.path.exists(ALLOW) or os.path.getsize(ALLOW) == 0:  # it has no first line
        fix = f"echo '{DAEMON}: {clients}' >> {ALLOW}"
    return [Finding("sshd-wrappers", ERROR if all_are else NOTE, what, why, fix)]


def _is_linked() -> bool:
    for path in filter(os.path.exists, PROGRAMS):
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            ["/usr/bin/ldd", path], capture_output=True, text=True, check=False, timeout=SECONDS,
            stdin=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        )  # fmt: skip
        if LIBRARY in done.stdout:
            return True
    return False


def _ask(addresses: list[str]) -> list[bool]:
    wrap = ctypes.CDLL(LIBRARY)
    ctypes.c_int.in_dll(wrap, "dry_run").value = 1
    return [
        bool(wrap.hosts_ctl(DAEMON.encode(), UNKNOWN, address.encode(), UNKNOWN))
        for address in addresses
    ]


def _pattern(address: str) -> str:
    return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address  # noqa: PLR2004
