"""Accounts in a real LDAP directory: slapd, and nslcd with `ignorecase yes`, in the sandbox."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import sandbox
from tests.support.servers import end, wait_for_socket

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "dc=example,dc=org"
SWITCH, NSLCD = Path("/etc/nsswitch.conf"), Path("/etc/nslcd.conf")
SOCKET = Path("/run/nslcd/socket")
SLAPD = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
maxsize 1048576
directory {place}
suffix "{base}"
"""
ROOT = """\
dn: {base}
objectClass: dcObject
objectClass: organization
o: example
dc: example
"""
PERSON = """
dn: uid={dn},{base}
objectClass: account
objectClass: posixAccount
uid: {name}
cn: {name}
uidNumber: {uid}
gidNumber: {uid}
homeDirectory: {home}
loginShell: /bin/bash

dn: cn={dn},{base}
objectClass: posixGroup
cn: {name}
gidNumber: {uid}
"""


class Person(sandbox.Account):
    """An account of the directory's, whose home is here."""

    def __init__(self, name: str, uid: int) -> None:
        self.name, self.uid, self.gid = name, uid, uid
        self.home = Path("/home") / name
        self.record, self.gnupg = self.home / ".auth_gpg", self.home / ".gnupg"

    @property
    def entry(self) -> str:
        """The account and its private group, as LDIF (RFC 2849, and RFC 4514 for the name)."""
        return PERSON.format(
            name=self.name,
            dn=self.name.replace("\\", "\\5C"),
            uid=self.uid,
            home=self.home,
            base=BASE,
        )


@contextmanager
def directory(*people: Person) -> Iterator[None]:
    """Serve these accounts; their homes are gone afterwards."""
    place = sandbox.PLACE / "ldap"
    place.mkdir()
    (place / "slapd.conf").write_text(SLAPD.format(place=place, base=BASE))
    entries = ROOT.format(base=BASE) + "".join(one.entry for one in people)
    subprocess.run(
        ["slapadd", "-q", "-f", place / "slapd.conf"], input=entries.encode(), check=True
    )
    address = f"ldapi://{str(place / 'socket').replace('/', '%2F')}"
    kept = SWITCH.read_text()
    servers = []
    try:
        servers.append(
            _start(place / "socket", "slapd", "-f", place / "slapd.conf", "-h", address, "-d", "0")
        )
        NSLCD.write_text(
            f"uri {address}\nbase {BASE}\nignorecase yes\nnss_disable_enumeration yes\nvalidnames /^[a-z0-9._\\\\-]+$/i\n"
        )
        SOCKET.parent.mkdir()
        servers.append(_start(SOCKET, "nslcd", "-n"))
        SWITCH.write_text("passwd: files ldap\ngroup: files ldap\n")
        for one in people:
            one.home.mkdir()
            one.own(one.home, 0o700)
        yield
    finally:
        SWITCH.write_text(kept)
        for server in reversed(servers):
            end(server)
        for path in (SOCKET.parent, place, *(one.home for one in people)):
            shutil.rmtree(path, ignore_errors=True)


def _start(socket: Path, program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    server = subprocess.Popen([shutil.which(program, path="/usr/sbin") or program, *arguments],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    wait_for_socket(socket, server)
    return server
