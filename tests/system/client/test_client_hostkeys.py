"""A relay: a server whose host key the client accepts passes on another server's challenge."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.mounts import full, mounted
from tests.support.relay import Relay
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

HOST = os.uname().nodename
PASSED_ON = "trex: error: PASSED ON FROM ANOTHER SERVER: expected the host key SHA256:"


def naming(*servers: Sshd) -> None:
    """Have the module name the host keys of these servers, none without any."""
    files = ",".join(f"{server.directory}/host_key.pub" for server in servers)
    sandbox.trex_service("sshd", f"host_keys={files or 'none'}")


@pytest.fixture
def start() -> Iterator[Callable[..., Sshd]]:
    """Start servers with settings of the test's."""
    servers = []

    def begin(service: str = "sshd", **settings: object) -> Sshd:
        servers.append(Sshd(service, **settings))  # type: ignore[arg-type]
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


@pytest.fixture
def victim(alice: Account, sshd: Callable[..., Sshd]) -> Sshd:
    """The server that a relay wants to get into as alice, and that names its host key."""
    server = sshd()
    naming(server)
    return server


@pytest.fixture
def relay(victim: Sshd) -> Relay:
    return Relay(victim)


@pytest.fixture
def between(relay: Relay, start: Callable[..., Sshd]) -> Sshd:
    """The relay's own sshd."""
    return start(relay.service)


def test_where_no_host_keys_are_named_a_relay_gets_in(
    laptop: Client, relay: Relay, between: Sshd
) -> None:
    """That every one-time password suffers from this is what the other tests rest on."""
    naming()
    done = laptop.run("trex", "ssh", laptop.knows(between), "true")
    assert relay.got_in()
    assert "host key: none named, so not compared; signed: no\n" in done.stderr


def test_a_relay_does_not_get_in(laptop: Client, relay: Relay, between: Sshd, log: Log) -> None:
    done = laptop.run("trex", "ssh", laptop.knows(between), "true")
    assert PASSED_ON in done.stderr
    assert not relay.got_in()
    assert log.trex("no response: user=alice")


def test_a_relay_does_not_get_in_where_a_full_disk_keeps_the_key_from_being_recorded(
    laptop: Client, relay: Relay, between: Sshd, victim: Sshd
) -> None:
    """A server can fill it: the user copies files from there, or a repository.

    Nor is the server itself answered: which of both asks cannot be told.
    """
    name = laptop.knows(between, name="relay.test")
    laptop.confirm_names(f"alice@[127.0.0.1]:{between.port} alice@{HOST}")
    state = laptop.home / ".local/state"
    with full(make_state(laptop), laptop.account.uid):
        done = laptop.run("trex", "ssh", name, "true")
        assert not relay.got_in(), done.stderr
        assert f"could not be recorded in {state}/trex/connections" in done.stderr
        assert "No space" not in done.stderr
        assert laptop.run("trex", "ssh", laptop.knows(victim), "id -un").stdout == ""
    assert laptop.run("trex", "ssh", laptop.knows(victim), "id -un").stdout == "alice\n"


def test_nothing_is_answered_where_nothing_can_be_written(laptop: Client, victim: Sshd) -> None:
    """A challenge that was answered could not be marked either."""
    name = laptop.knows(victim)
    with mounted(make_state(laptop), "-t", "tmpfs", "-o", "ro", "trex-read-only"):
        done = laptop.run("trex", "ssh", name, "id -un")
    assert done.stdout == ""
    assert "/runs: cannot be written: Read-only file system" in done.stderr


def make_state(laptop: Client) -> Path:
    """Return the directory of the client's state, which is there."""
    for place in (laptop.home / ".local", laptop.home / ".local/state"):
        place.mkdir(exist_ok=True)
        laptop.account.own(place, 0o700)
    return place


def test_a_login_to_the_server_itself_says_that_its_key_was_compared(
    laptop: Client, victim: Sshd
) -> None:
    done = laptop.run("trex", "ssh", laptop.knows(victim), "id -un")
    assert done.stdout == "alice\n", done.stderr
    assert "host key: that of this connection; signed: no\n" in done.stderr


def test_a_relay_does_not_get_in_where_names_are_confirmed_and_keys_are_pinned_and_sign(
    alice: Account, laptop: Client, relay: Relay, between: Sshd, victim: Sshd, holder: Holder,
    keys: Keys,
) -> None:  # fmt: skip
    """With a pin for the relay it is what the victim's administrator would be: still another host."""
    signer = keys["signing"]
    alice.import_keys(holder.secret(signer))
    alice.write(f"{keys['cv25519']} trust {signer}\n")
    laptop.account.import_keys(holder.public(signer))
    name = laptop.knows(between, name="relay.test")
    laptop.confirm_names(f"alice@[127.0.0.1]:{between.port} alice@{HOST}")
    for host in (f"[127.0.0.1]:{between.port}", f"[127.0.0.1]:{victim.port}", HOST):
        assert laptop.run("trex", "pin", "--yes", host, signer).returncode == 0
    for named, gets_in in (([victim], False), ([], True)):
        naming(*named)
        done = laptop.run("trex", "ssh", name, "true")
        assert relay.got_in() is gets_in, done.stderr
        assert (PASSED_ON in done.stderr) is not gets_in
        assert f"signed: by {signer}, pinned for this host" in done.stderr or not gets_in


def test_a_host_that_has_named_its_keys_cannot_pass_on_a_challenge_that_names_none(
    alice: Account, laptop: Client, relay: Relay, between: Sshd
) -> None:
    """The victim's Trex is older, or it has host_keys=none."""
    module = (sandbox.PAM_SERVICES / relay.service).read_text()
    name = laptop.knows(between)
    laptop.allow_service(between, relay.service)
    sandbox.trex_service(relay.service, f"host_keys={between.directory}/host_key.pub")
    assert laptop.run("trex", "ssh", name, "id -un").stdout == "alice\n"
    remembered = laptop.home / ".config/trex/hostkeys"
    assert remembered.read_text() == f"[127.0.0.1]:{between.port}\n"
    (sandbox.PAM_SERVICES / relay.service).write_text(module)
    naming()
    done = laptop.run("trex", "ssh", name, "true")
    assert f"error: NO HOST KEYS: the challenges of [127.0.0.1]:{between.port} have" in done.stderr
    assert f"delete the line [127.0.0.1]:{between.port} in {remembered}" in done.stderr
    assert not relay.got_in()
    remembered.write_text("")
    assert laptop.run("trex", "ssh", name, "true").returncode == 255
    assert relay.got_in(), "the hint says how to take it back"


def test_a_host_that_its_key_proves_needs_no_confirmation_of_its_name(
    laptop: Client, victim: Sshd
) -> None:
    for name, lines in (("elsewhere", []), ("alias", ["HostKeyAlias other.test"])):
        lines += ["StrictHostKeyChecking accept-new"]
        done = laptop.run("trex", "ssh", laptop.knows(victim, *lines, name=name), "id -un")
        assert done.stdout == "alice\n", done.stderr
    assert not laptop.names.exists(), "its key proves it anew at each login"


def test_another_user_s_challenge_is_asked_about_also_on_the_server_itself(
    alice: Account, account: Callable[[str], Account], laptop: Client, keys: Keys, holder: Holder,
    victim: Sshd, start: Callable[..., Sshd],
) -> None:  # fmt: skip
    bob = account("bob")
    bob.import_keys(holder.public(keys["cv25519"]))
    bob.write(f"{keys['cv25519']} trust nosign\n")
    relay = Relay(victim, user="bob")
    between = start(relay.service, keys_of=victim)
    done = laptop.run("trex", "ssh", laptop.knows(between), "true")
    assert "not answered. The message is for the user bob, but ssh logs in alice" in done.stderr
    assert not relay.got_in()


def test_servers_that_share_a_key_are_one_host(
    laptop: Client, victim: Sshd, start: Callable[..., Sshd]
) -> None:
    twin = start(keys_of=victim)
    naming(victim, twin)
    for server in (victim, twin):
        done = laptop.run("trex", "ssh", laptop.knows(server, name="farm.test"), "id -un")
        assert done.stdout == "alice\n", done.stderr
        assert "host key: that of this connection" in done.stderr


def test_one_of_several_keys_is_enough(
    laptop: Client, victim: Sshd, start: Callable[..., Sshd]
) -> None:
    others = [start() for _ in range(2)]
    naming(*others, victim)
    assert laptop.run("trex", "ssh", laptop.knows(victim), "id -un").stdout == "alice\n"
    naming(*others)
    assert PASSED_ON in laptop.run("trex", "ssh", laptop.knows(victim), "id -un").stderr


def test_a_master_connection_is_bound_and_later_sessions_ask_nothing(
    laptop: Client, victim: Sshd
) -> None:
    lines = ["ControlMaster auto", "ControlPath ~/.ssh/%C", "ControlPersist 60"]
    name = laptop.knows(victim, *lines)
    first, second = (laptop.run("trex", "ssh", name, "id -un") for _ in range(2))
    try:
        assert "host key: that of this connection" in first.stderr
        assert (first.stdout, second.stdout, second.stderr) == ("alice\n", "alice\n", "")
    finally:
        assert laptop.run("ssh", "-O", "exit", name).returncode == 0


@pytest.mark.parametrize("known", [True, False], ids=["known authority", "unknown authority"])
def test_a_certificate_has_the_fingerprint_of_its_key(
    laptop: Client, victim: Sshd, start: Callable[..., Sshd], known: bool
) -> None:
    server = start(keys_of=victim, certified_as="ca.test")
    name = laptop.knows(server, "HostKeyAlias ca.test", "StrictHostKeyChecking yes")
    authority = (server.directory / "client_key.pub").read_text()
    line = f"@cert-authority ca.test {authority}" if known else f"ca.test {server.public_key}\n"
    laptop.account.write(line, ".ssh/known_hosts")
    done = laptop.run("trex", "ssh", name, "id -un")
    assert done.stdout == "alice\n", done.stderr
    assert "host key: that of this connection" in done.stderr


def test_a_user_s_own_hash_for_fingerprints_makes_no_difference(
    laptop: Client, victim: Sshd, relay: Relay, between: Sshd
) -> None:
    done = laptop.run("trex", "ssh", laptop.knows(victim, "FingerprintHash md5"), "id -un")
    assert done.stdout == "alice\n", done.stderr
    done = laptop.run("trex", "ssh", laptop.knows(between, "FingerprintHash md5"), "true")
    assert PASSED_ON in done.stderr
    assert not relay.got_in()


OWN_COMMAND = """\
#!/bin/sh
printf '%s\\n' "$*" >> ~/told
[ "$1" = HOSTNAME ] && echo "[127.0.0.1]:$3 KEY"
exit 0
"""


def test_a_known_hosts_command_of_the_user_s_own_is_called_as_before(
    laptop: Client, victim: Sshd
) -> None:
    """With all its tokens, quoted words, its output, and its exit status."""
    laptop.account.write(OWN_COMMAND.replace("KEY", victim.public_key), "own").chmod(0o700)
    tokens = "%I %f %p %H %h %n %r %u %t %K %i %L %d %C 'two words' \"100%%\""
    lines = [f"KnownHostsCommand {laptop.home}/own {tokens}", "StrictHostKeyChecking yes"]
    name = laptop.knows(victim, *lines)
    laptop.account.write("", ".ssh/known_hosts")
    told = laptop.home / "told"
    heard = []
    for command in (["trex", "ssh"], ["ssh", "-oPreferredAuthentications=none"]):
        done = laptop.run(*command, name, "id -un")
        heard.append(told.read_text())
        told.unlink()
    assert heard[0] == heard[1]
    assert "HOSTNAME SHA256:" in heard[0]
    assert "two words 100%" in heard[0]
    done = laptop.run("trex", "ssh", name, "id -un")
    assert done.stdout == "alice\n", done.stderr
    assert "host key: that of this connection" in done.stderr
    laptop.account.write("#!/bin/sh\nexit 3\n", "own").chmod(0o700)
    assert laptop.run("trex", "ssh", name, "id -un").stdout == "", "as ssh does then"


OLDER = """\
#!/bin/sh
case "$*" in
  -V) echo OpenSSH_8.4p1 >&2; exit ;;
  *[Kk]nown[Hh]osts[Cc]ommand*) echo "Bad configuration option: knownhostscommand" >&2; exit 255 ;;
esac
exec /usr/bin/ssh "$@"
"""


def test_an_older_ssh_is_not_given_what_it_does_not_know(laptop: Client, victim: Sshd) -> None:
    """It logs in with an SSH key alone, and runs all else that ssh can."""
    laptop.account.write(OLDER, "ssh").chmod(0o700)
    environment = {"PATH": f"{laptop.home}:{laptop.environment['PATH']}"}
    done = laptop.run("trex", "ssh", laptop.knows(victim), "true", environment=environment)
    assert "Bad configuration option" not in done.stderr
    assert "host key: not compared, because ssh has not told the key" in done.stderr
    assert done.returncode == 0, "what asks is the real ssh, which names the asking host"


@pytest.mark.parametrize("state", ["with blanks", "100%h \"'\\"], ids=["blanks", "odd"])
def test_the_record_s_path_may_be_any(
    laptop: Client, victim: Sshd, relay: Relay, between: Sshd, state: str
) -> None:
    environment = {"XDG_STATE_HOME": f"{laptop.home}/{state}"}
    done = laptop.run("trex", "ssh", laptop.knows(victim), "id -un", environment=environment)
    assert "host key: that of this connection" in done.stderr
    done = laptop.run("trex", "ssh", laptop.knows(between), "true", environment=environment)
    assert PASSED_ON in done.stderr
    assert not relay.got_in()


def test_records_of_ssh_processes_that_have_ended_are_taken_away(
    laptop: Client, victim: Sshd
) -> None:
    name = laptop.knows(victim)
    for _ in range(3):
        assert laptop.run("trex", "ssh", name, "true").returncode == 0
    assert len(list((laptop.home / ".local/state/trex/connections").iterdir())) == 1


def test_a_record_that_another_user_can_write_is_not_believed(
    laptop: Client, bob: Account, victim: Sshd
) -> None:
    """Nor is the key taken as unknown, which would let the names count."""
    shared = bob.home / "state"
    connections = shared / "trex/connections"
    connections.mkdir(parents=True)
    name = laptop.knows(victim)
    for directory, owner, mode in (
        (connections, laptop.account, 0o777), (connections, bob, 0o777), (shared, bob, 0o777),
    ):  # fmt: skip
        for place in (connections, shared / "trex", shared):
            laptop.account.own(place, 0o700)
        bob.home.chmod(0o755)
        owner.own(directory, mode)
        environment = {"XDG_STATE_HOME": str(shared)}
        done = laptop.run("trex", "ssh", name, "id -un", environment=environment)
        assert done.stdout == ""
        assert f"trex: error: {directory}: expected " in done.stderr


JUMP, TARGET = "jump.test", "target.test"


@pytest.fixture
def jump(laptop: Client, victim: Sshd, start: Callable[..., Sshd]) -> Sshd:
    """A jump host of another key and service than the victim, which is the host behind it."""
    service = sandbox.trex_service("trex-jump-sshd")
    server = start(service)
    sandbox.trex_service(service, f"host_keys={server.directory}/host_key.pub")
    reach(laptop, server, victim)
    return server


def reach(laptop: Client, jump: Sshd, target: Sshd) -> None:
    """Write the client's configuration for both, whose host keys it accepts."""
    laptop.knows(jump)
    laptop.account.write((jump.directory / "client_key").read_bytes(), ".ssh/key")
    config = [f"Host {JUMP} {TARGET}", "HostName 127.0.0.1", "User alice", "IdentitiesOnly yes",
              "IdentityFile ~/.ssh/key", "LogLevel ERROR", "StrictHostKeyChecking accept-new",
              f"Host {JUMP}", f"HostKeyAlias {JUMP}", f"Port {jump.port}",
              f"Host {TARGET}", f"HostKeyAlias {TARGET}", f"Port {target.port}"]  # fmt: skip
    laptop.account.write("\n".join(config) + "\n", ".ssh/config")
    hosts = (JUMP, f"[{JUMP}]:{jump.port}")
    laptop.allow_services(*(f"{host} trex-jump-sshd" for host in hosts))


def test_a_jump_host_and_the_host_behind_it_are_compared_each_with_its_own_key(
    laptop: Client, jump: Sshd
) -> None:
    done = laptop.run("trex", "ssh", "-J", JUMP, TARGET, "id -un")
    assert done.stdout == "alice\n", done.stderr
    assert done.stderr.count("host key: that of this connection") == 2


def test_a_relay_behind_an_honest_jump_host_does_not_get_in(
    laptop: Client, jump: Sshd, relay: Relay, between: Sshd
) -> None:
    reach(laptop, jump, between)
    laptop.confirm_names(f"alice@[{TARGET}]:{between.port} alice@{HOST}")
    done = laptop.run("trex", "ssh", "-J", JUMP, TARGET, "true")
    assert done.stderr.count("host key: that of this connection") == 1
    assert PASSED_ON in done.stderr
    assert not relay.got_in()


@pytest.mark.parametrize("plain", [False, True], ids=["trex-ssh", "an ssh without our option"])
def test_a_relay_as_the_jump_host(
    laptop: Client, victim: Sshd, relay: Relay, between: Sshd, plain: bool
) -> None:
    """A ProxyCommand of the user's own starts ssh as it likes: then names and pins count."""
    reach(laptop, between, victim)
    way = f"-oProxyCommand=ssh -W %h:%p {JUMP}" if plain else f"-J{JUMP}"
    done = laptop.run("trex", "ssh", way, TARGET, "true")
    assert (PASSED_ON in done.stderr) is not plain
    assert "not answered. The message is for the host" in done.stderr or not plain
    assert not relay.got_in()
    laptop.confirm_names(
        f"alice@{JUMP} alice@{HOST}", f"alice@[{JUMP}]:{between.port} alice@{HOST}"
    )
    done = laptop.run("trex", "ssh", way, TARGET, "true")
    assert relay.got_in() is plain, done.stderr  # it was confirmed that it calls itself so
    assert ("not compared, because ssh has not told the key" in done.stderr) is plain


def test_an_ssh_within_a_run_has_not_the_key_of_that_run(
    laptop: Client, victim: Sshd, relay: Relay, between: Sshd
) -> None:
    """A LocalCommand has the environment of the ssh that starts it."""
    reach(laptop, between, victim)
    inner = f"ssh -oLogLevel=ERROR {JUMP} true 2> ~/inner"
    options = ["-oPermitLocalCommand=yes", f"-oLocalCommand={inner} || true"]
    done = laptop.run("trex", "ssh", *options, TARGET, "id -un")
    assert done.stdout == "alice\n", done.stderr
    assert "not answered. The message is for the host" in (laptop.home / "inner").read_text()
    assert not relay.got_in()
