"""Where a login comes from: what the kernel says of the program that asks."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trex.login import origin
from trex.login.method import Login
from trex.login.origin import NoOrigin, is_remote, origin_of
from trex.login.witness import status_of_process

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_NAME = pwd.getpwuid(os.getuid()).pw_name
NOBODY = pwd.getpwnam("nobody").pw_uid
OWN_LINE = f"uid {os.getuid()}, audit "


def login(remote_host: str = "", invoker: str = OWN_NAME, caller: int = 0) -> Login:
    made = Login("alice", "su", remote_host, [])
    made.invoker = invoker
    made.caller = caller or os.getpid()
    return made


@pytest.fixture
def at_a_terminal() -> Iterator[int]:
    """A process that leads a session with a terminal of its own."""
    ours, theirs = os.openpty()
    code = (
        "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY); print(flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-I", "-c", code],
        stdin=theirs,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(theirs)
    assert child.stdout
    child.stdout.readline()
    yield child.pid
    child.kill()
    child.wait()
    child.stdout.close()
    os.close(ours)


@pytest.fixture
def without_terminal() -> Iterator[int]:
    """A process that leads a session without one."""
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, start_new_session=True)
    yield child.pid
    child.communicate()


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "::1"])
def test_a_server_s_login_comes_from_an_address(address: str) -> None:
    assert origin_of(login(address)) == address
    assert is_remote(address)


@pytest.mark.parametrize("name", ["office.example.org", "UNKNOWN", "192.0.2.1 "])
def test_a_name_is_no_place(name: str) -> None:
    """It is what the DNS says of one today."""
    with pytest.raises(NoOrigin, match="expected an address as remote host"):
        origin_of(login(name))


def test_a_set_user_id_program_has_no_address(
    monkeypatch: pytest.MonkeyPatch, at_a_terminal: int, without_terminal: int
) -> None:
    """Its caller may have a say in PAM_RHOST: sudo's `pam_rhost`, programs of the host's own."""
    monkeypatch.setattr(origin, "_is_set_id", lambda _: True)
    with pytest.raises(NoOrigin, match="neither a remote host nor a terminal"):
        origin_of(login("192.0.2.1", caller=without_terminal))
    assert not is_remote(origin_of(login("192.0.2.1", caller=at_a_terminal)))


@pytest.fixture
def as_if_set_user_id() -> Iterator[int]:
    """A process that was started with root's effective uid and the real one of nobody."""
    code = f"import os; os.setresuid({NOBODY}, 0, 0); os.execv('/bin/cat', ['cat'])"
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin
        assert child.stdout
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        yield child.pid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start it")
def test_the_kernel_says_whether_a_program_is_set_user_id_and_who_has_started_it(
    as_if_set_user_id: int,
) -> None:
    assert origin._is_set_id(as_if_set_user_id) is True
    assert origin._real_uid(as_if_set_user_id) == NOBODY
    assert origin._is_set_id(os.getpid()) is False


def test_the_audit_session_is_a_number_or_a_dash() -> None:
    """A kernel without audit has no such file, and a process that has gone has none either."""
    kept = Path("/proc/self/sessionid")
    assert origin._audit_session(os.getpid()) == (kept.read_text() if kept.exists() else "-")
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    assert origin._audit_session(gone.pid) == "-"


def test_a_session_is_known_by_number_and_start(
    at_a_terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = origin_of(login(caller=at_a_terminal))
    device = int(origin._stat(at_a_terminal)[4])  # tty_nr (proc(5))
    assert os.major(device) == 136, "a pseudo terminal (devices.txt)"
    started = status_of_process(at_a_terminal)[1]
    assert first.startswith(f"terminal {device}, session {at_a_terminal} of {started}, ")
    assert OWN_LINE in first
    assert origin_of(login(caller=at_a_terminal)) == first
    real = origin._stat

    def later(pid: int) -> list[bytes]:
        fields = real(pid)
        fields[origin.STARTED] = b"%d" % (int(fields[origin.STARTED]) + 1)
        return fields

    monkeypatch.setattr(origin, "_stat", later)
    assert origin_of(login(caller=at_a_terminal)) != first


@pytest.mark.parametrize("invoker", ["", "no-such-account", "../x", "\udcff"])
def test_who_has_started_a_program_has_to_be_known(at_a_terminal: int, invoker: str) -> None:
    with pytest.raises(NoOrigin, match="does not say who has started it"):
        origin_of(login(invoker=invoker, caller=at_a_terminal))


def test_who_has_started_a_program_that_has_given_up_its_real_uid_is_whom_it_says(
    at_a_terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As sudo may: otherwise one in a session would use the grace period of another in it."""
    monkeypatch.setattr(origin, "_real_uid", lambda _: 0)
    assert f", uid {NOBODY}, " in origin_of(login(invoker="nobody", caller=at_a_terminal))


def test_the_real_uid_is_not_another_s(at_a_terminal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(origin, "_real_uid", lambda _: 4711)
    with pytest.raises(NoOrigin, match="uid 4711 has started the program, which says uid"):
        origin_of(login(caller=at_a_terminal))


def test_a_process_that_has_gone_has_no_origin() -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    with pytest.raises(NoOrigin, match="nothing is known of process"):
        origin_of(login("192.0.2.1", caller=gone.pid))


@pytest.mark.parametrize("fault", [FileNotFoundError(2, "gone"), ValueError("x"), KeyError(23)])
def test_what_the_kernel_does_not_tell_costs_the_grace_period_alone(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """As where a sandbox has a /proc of its own, with less in it."""

    def fail(_: int) -> bool:
        raise fault

    monkeypatch.setattr(origin, "_is_set_id", fail)
    with pytest.raises(NoOrigin, match="nothing is known of process"):
        origin_of(login("192.0.2.1"))
