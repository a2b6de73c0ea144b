"""Plain ssh after `trex setup`: the host key of its own connection is compared, as in `trex ssh`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.mounts import full
from tests.support.relay import Relay
from tests.support.session import in_session, set_up
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.client import Client
    from tests.support.sandbox import Account

COMPARED = "host key: that of this connection"
OLD_SSH = '#!/bin/sh\n[ "$1" = -V ] && { echo OpenSSH_8.4p1 >&2; exit; }\nexec /usr/bin/ssh "$@"\n'


@pytest.fixture
def victim(alice: Account, sshd: Callable[..., Sshd]) -> Sshd:
    """A server whose challenges name its host key."""
    server = sshd()
    sandbox.trex_service("sshd", f"host_keys={server.directory}/host_key.pub")
    return server


@pytest.fixture
def relay(victim: Sshd) -> Relay:
    return Relay(victim)


@pytest.fixture
def between(relay: Relay) -> Iterator[Sshd]:
    """A server that passes on the victim's challenge."""
    server = Sshd(relay.service)
    yield server
    server.close()


def knows(laptop: Client, server: Sshd, *lines: str) -> str:
    """Write ~/.ssh/config for a server, and have `trex setup` add its block."""
    name = laptop.knows(server, *lines)
    assert set_up(laptop).returncode == 0
    return name


def records(laptop: Client) -> list[str]:
    return [path.name for path in (laptop.home / ".local/state/trex/connections").glob("*")]


def test_a_relay_does_not_get_in(laptop: Client, relay: Relay, between: Sshd) -> None:
    name = knows(laptop, between)
    done = in_session(laptop, f"ssh -o NumberOfPasswordPrompts=1 {name} true")
    assert "PASSED ON FROM ANOTHER SERVER" in done.stderr
    assert not relay.got_in()


def test_without_the_recorded_key_it_would(laptop: Client, relay: Relay, between: Sshd) -> None:
    """What is tested above is the record."""
    name = knows(laptop, between)
    in_session(laptop, f"ssh -o KnownHostsCommand=none {name} true")
    assert relay.got_in()


def test_a_relay_does_not_get_in_where_a_full_disk_keeps_the_key_from_being_recorded(
    laptop: Client, relay: Relay, between: Sshd
) -> None:
    name = knows(laptop, between)
    state = laptop.home / ".local/state"
    laptop.account.run("mkdir", "-p", str(state))
    with full(state, laptop.account.uid):
        done = in_session(laptop, f"ssh -o NumberOfPasswordPrompts=1 {name} true")
    assert f"could not be recorded in {state}/trex/connections" in done.stderr
    assert "No space" not in done.stderr
    assert not relay.got_in()


@pytest.mark.parametrize("ssh", ["ssh", "trex ssh", "trex-ssh"])
def test_a_login_says_that_the_key_was_compared(laptop: Client, victim: Sshd, ssh: str) -> None:
    name = knows(laptop, victim)
    done = in_session(laptop, f"{ssh} {name} id -un")
    assert done.stdout == "alice\n", done.stderr
    assert COMPARED in done.stderr


def test_records_of_an_ssh_that_has_ended_are_removed(laptop: Client, victim: Sshd) -> None:
    name = knows(laptop, victim)
    for _ in range(2):
        assert in_session(laptop, f"ssh {name} id -un").stdout == "alice\n"
    assert len(records(laptop)) == 1
    [record] = (laptop.home / ".local/state/trex/connections").glob("*")
    assert record.stat().st_mode & 0o777 == 0o600


def test_nothing_is_recorded_in_another_user_s_directory(
    laptop: Client, bob: Account, victim: Sshd
) -> None:
    """They could have put links there; and nothing in it is believed."""
    name = knows(laptop, victim)
    shared = bob.home / "state"
    connections = shared / "trex/connections"
    connections.mkdir(parents=True)
    bob.home.chmod(0o755)
    for place in (connections, shared / "trex", shared):
        bob.own(place, 0o777)
    state = {"XDG_STATE_HOME": str(shared)}
    done = in_session(laptop, f"ssh -oNumberOfPasswordPrompts=1 {name} true", state)
    assert done.returncode == 255
    assert f"trex: error: {connections}: expected owned by laptop or root" in done.stderr
    assert not list(connections.iterdir())


def test_a_record_is_that_of_the_ssh_that_asks(
    laptop: Client, victim: Sshd, relay: Relay, between: Sshd
) -> None:
    """An ssh to the victim runs inside one to the relay: it has its own key, and that is not lent."""
    name = knows(laptop, between, f"ProxyCommand ssh -W 127.0.0.1:{between.port} victim")
    config = laptop.home / ".ssh/config"
    key = laptop.home / ".ssh/key"
    other = f"Host victim\n  HostName 127.0.0.1\n  Port {victim.port}\n  User alice\n"
    other += f"  IdentityFile {key}\n  IdentitiesOnly yes\n  StrictHostKeyChecking accept-new\n"
    laptop.account.write(other.encode() + config.read_bytes(), ".ssh/config")
    done = in_session(laptop, f"ssh -o NumberOfPasswordPrompts=1 {name} true")
    assert COMPARED in done.stderr, "the inner ssh's"
    assert "PASSED ON FROM ANOTHER SERVER" in done.stderr
    assert not relay.got_in()


def test_the_user_s_own_command_stays(laptop: Client, victim: Sshd) -> None:
    """For one host: ours is for the others. For every host: ours is not written."""
    own = f"KnownHostsCommand /bin/sh -c 'touch {laptop.home}/called'"
    name = knows(laptop, victim, own)
    done = in_session(laptop, f"ssh {name} id -un")
    assert done.stdout == "alice\n", done.stderr
    assert (laptop.home / "called").exists()
    assert "not compared" in done.stderr
    assert b"Match all" in (laptop.home / ".ssh/config").read_bytes()
    set_up(laptop, "--undo")
    before = f"{own}\n".encode()
    laptop.account.write(before, ".ssh/config")
    assert set_up(laptop).returncode == 0
    assert (laptop.home / ".ssh/config").read_bytes() == before


def test_a_fingerprint_of_another_kind_is_not_compared(laptop: Client, victim: Sshd) -> None:
    """MD5 would be no key's name: every challenge would be refused."""
    name = knows(laptop, victim, "FingerprintHash md5")
    done = in_session(laptop, f"ssh {name} id -un")
    assert done.stdout == "alice\n", done.stderr
    assert "not compared" in done.stderr


def test_an_older_ssh_gets_no_setting_that_it_does_not_know(laptop: Client) -> None:
    laptop.account.run("mkdir", "-p", "bin")
    laptop.account.write(OLD_SSH, "bin/ssh").chmod(0o755)
    path = f"{laptop.home}/bin:{laptop.environment['PATH']}"
    done = laptop.run("trex", "setup", "--yes", environment={"PATH": path})
    assert done.returncode == 0, done.stderr
    assert not (laptop.home / ".ssh/config").exists()
    assert (laptop.home / ".profile").read_text().count("trex/environment.sh")


def test_undo_restores_ssh_s_configuration(laptop: Client) -> None:
    """Whatever stands in it last, and also where there was none."""
    path = laptop.home / ".ssh/config"
    for content in (None, b"", b"Host a\n  User b", b"Host a\n  User b\n", b"Match host x\n\n"):
        if content is not None:
            laptop.account.write(content, ".ssh/config")
        set_up(laptop)
        given = laptop.run("ssh", "-G", "some.example.org").stdout
        assert "record-host-key.sh" in given
        assert path.stat().st_mode & 0o777 == 0o600
        set_up(laptop, "--undo")
        assert (path.read_bytes() if path.exists() else None) == content
