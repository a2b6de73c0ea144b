"""google-authenticator's file where the file system is not a local disk's."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import tempfile
import time
from pathlib import Path

import pytest

from tests.forked import in_a_child
from trex import otpfile
from trex.codeerrors import StateNotWritten
from trex.otpfile import locked, read_secret
from trex.otpstate import OtpState
from trex.privilege import find_account

CONTENT = b'JBSWY3DPEHPK3PXPJBSWY3DPEH\n" TOTP_AUTH\n' + b"12345678\n" * 9


def test_a_file_that_comes_in_pieces_is_rewritten_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As read(2) may bring it: what was not read would be lost."""
    path, real, me = tmp_path / "secret", os.read, find_account(pwd.getpwuid(os.geteuid()).pw_name)
    path.write_bytes(CONTENT)
    path.chmod(0o600)
    monkeypatch.setattr(os, "read", lambda descriptor, most: real(descriptor, min(most, 16)))
    assert read_secret(str(path), me) == CONTENT
    with locked(str(path), me) as file:
        file.replace(OtpState(file.content, "x").content)
    assert path.read_bytes() == CONTENT


@pytest.mark.skipif(os.geteuid() != 0, reason="another account is one that root can become")
@pytest.mark.parametrize(("mode", "is_locked"), [(0o600, True), (0o400, False)])
def test_locks_on_nfs(monkeypatch: pytest.MonkeyPatch, mode: int, is_locked: bool) -> None:
    """There who locks must have opened for writing (flock(2), "NFS details"): else no lock at all.

    Then nothing that a crash has left beside was ever removed, and its owner stayed outside.
    """
    nobody, lock = find_account("nobody"), fcntl.flock

    def lock_on_nfs(descriptor: int, operation: int) -> None:
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_RDWR:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock(descriptor, operation)

    def replace() -> str:
        with locked(str(home / "secret"), nobody) as file:
            try:
                file.replace(b"new\n")
            except StateNotWritten as error:
                return str(error).rpartition(": ")[2]
        return "replaced"

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        home = Path(name)
        for path in (home, home / "secret", home / ".secret~"):
            path.touch()
            os.chown(path, nobody.uid, nobody.gid)
        (home / "secret").write_bytes(CONTENT)
        (home / "secret").chmod(mode)
        os.utime(home / ".secret~", (0, time.time() - 60))
        monkeypatch.setattr(fcntl, "flock", lock_on_nfs)
        monkeypatch.setattr(otpfile, "LOCK_SECONDS", 0.05)
        assert in_a_child(replace) == ("replaced" if is_locked else "File exists")
