"""What of an account's is found for a login's own home, with whose rights, and what is not taken."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trex.openpgp import privatehome
from trex.openpgp.privatehome import AGENT, PrivateHome, find_socket, socket_directory
from trex.system.privilege import Account, find_account

if TYPE_CHECKING:
    from collections.abc import Iterator

if os.geteuid() != 0:
    pytest.skip("only root can act as somebody else", allow_module_level=True)


@pytest.fixture
def nobody(home: Path) -> Account:
    entry = find_account("nobody")
    return Account(entry.name, entry.uid, entry.gid, str(home), entry.groups)


@pytest.fixture
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    (place / ".gnupg").mkdir(mode=0o755)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def runtime(home: Path, nobody: Account, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sockets of an account's session are."""
    directory = home / f"run/user/{nobody.uid}/gnupg"
    directory.mkdir(parents=True, mode=0o700)
    os.chown(directory, nobody.uid, nobody.gid)
    monkeypatch.setattr(privatehome, "RUNTIME", (str(home / "run"),))
    return directory


def test_sockets_are_where_nobody_else_can_be(home: Path, nobody: Account, runtime: Path) -> None:
    """As gpg does: another user's directory, or one that others can enter, is not used."""
    gnupg = str(home / ".gnupg")
    assert socket_directory(gnupg, nobody) == str(runtime)
    for mode in (0o710, 0o701, 0o755):
        runtime.chmod(mode)
        assert socket_directory(gnupg, nobody) == gnupg
    runtime.chmod(0o700)
    os.chown(runtime, nobody.uid + 1, nobody.gid)
    assert socket_directory(gnupg, nobody) == gnupg


def test_an_agent_s_socket_is_tried_with_the_account_s_rights(home: Path, nobody: Account) -> None:
    """Otherwise root would connect to what a user's link leads to."""
    gnupg = str(home / ".gnupg")
    with closing(socket.socket(socket.AF_UNIX)) as agent:
        agent.bind(f"{gnupg}/{AGENT}")
        agent.listen()
        os.chmod(f"{gnupg}/{AGENT}", 0o600)
        assert find_socket(AGENT, gnupg, nobody) == ""
        os.chown(f"{gnupg}/{AGENT}", nobody.uid, nobody.gid)
        assert find_socket(AGENT, gnupg, nobody) == f"{gnupg}/{AGENT}"


def test_an_agent_s_socket_is_shown_with_the_account_s_rights(home: Path, nobody: Account) -> None:
    """What the account cannot reach is not mounted where it can."""
    hidden = home / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "socket").touch()
    assert PrivateHome(str(home), nobody, str(hidden / "socket"))._open_agent() == -1
    (home / "link").symlink_to(hidden / "socket")
    descriptor = PrivateHome(str(home), nobody, str(home / "link"))._open_agent()
    assert os.readlink(f"/proc/self/fd/{descriptor}") == str(home / "link")
    os.close(descriptor)


@pytest.mark.usefixtures("impatient")
def test_a_key_that_is_a_fifo_is_not_waited_for(home: Path) -> None:
    """Its owner can put one there after the check."""
    os.mkfifo(home / "x.key")
    assert privatehome._read(str(home / "x.key")) == b""
