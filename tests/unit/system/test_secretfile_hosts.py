"""google-authenticator's file where the file system is not a local disk's."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from tests.support.accounts import own_account
from tests.support.forked import in_a_child
from trex.system.privilege import find_account
from trex.system.secretfile import locked, read_secret
from trex.totp.state import OtpState

CONTENT = b'JBSWY3DPEHPK3PXPJBSWY3DPEH\n" TOTP_AUTH\n' + b"12345678\n" * 9


def test_a_file_that_comes_in_pieces_is_rewritten_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As read(2) may return it: what is not read would be lost."""
    path, real, me = tmp_path / "secret", os.read, own_account()
    path.write_bytes(CONTENT)
    path.chmod(0o600)
    monkeypatch.setattr(os, "read", lambda descriptor, most: real(descriptor, min(most, 16)))
    assert read_secret(str(path), me) == CONTENT
    with locked(str(path), me) as file:
        file.replace(OtpState(file.content, "x").content)
    assert path.read_bytes() == CONTENT


@pytest.mark.skipif(os.geteuid() != 0, reason="another account is one that root can become")
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_locks_on_nfs(monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    """NFS locks only files that are open for writing (flock(2), "NFS details")."""
    nobody, lock, turns = find_account("nobody"), fcntl.flock, []

    def lock_on_nfs(descriptor: int, operation: int) -> None:
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_RDWR:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock(descriptor, operation)
        turns.append(descriptor)

    def replace() -> int:
        with locked(str(home / "secret"), nobody) as file:
            file.replace(b"new\n")
        return len(turns)

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        home = Path(name)
        (home / "secret").write_bytes(CONTENT)
        for path in (home, home / "secret"):
            os.chown(path, nobody.uid, nobody.gid)
        (home / "secret").chmod(mode)
        monkeypatch.setattr(fcntl, "flock", lock_on_nfs)
        assert in_a_child(replace) == (1 if mode & 0o200 else 0)
        assert (home / "secret").read_bytes() == b"new\n"
