"""A server passes on a challenge from another program: real su, sudo and pamtester."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.client import BIN
from tests.support.command import on_terminal
from tests.support.hostile import CHALLENGE, context, encrypt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

RESPONSE = CHALLENGE.decode().strip()
HOST = os.uname().nodename


@pytest.fixture
def enrolled(hostile: Hostile, holder: Holder, to: str) -> Account:
    """Enrol alice, who logs in to a dishonest server."""
    user = hostile.alice
    user.import_keys(holder.public(to))
    user.write(f"{to} trust nosign\n")
    return user


@pytest.fixture
def stack() -> Iterator[Callable[[str], None]]:
    """Put Trex alone into a program's PAM service; the sandbox's /etc is a copy."""
    kept: dict[Path, bytes | None] = {}

    def install(service: str) -> None:
        path = sandbox.PAM_SERVICES / service
        kept[path] = path.read_bytes() if path.exists() else None
        sandbox.trex_service(service)

    yield install
    for path, content in kept.items():
        path.unlink() if content is None else path.write_bytes(content)


def message_shown(terminal: pexpect.spawn[str]) -> str:
    """Return the message in a program's prompt, which then waits for an answer."""
    terminal.expect("-----BEGIN PGP MESSAGE-----.*-----END PGP MESSAGE-----")
    message: str = terminal.after.replace("\r\n", "\n") + "\n"
    terminal.expect("Response: ")
    return message


def end(terminal: pexpect.spawn[str]) -> None:
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()


@pytest.mark.parametrize("service", ["su", "sudo"])
def test_what_su_and_sudo_ask_for_is_never_answered_in_a_login_by_ssh(
    hostile: Hostile, laptop: Client, enrolled: Account, account: Callable[[str], Account],
    stack: Callable[[str], None], service: str,
) -> None:  # fmt: skip
    """A server once got 32 answers in one connection, and could act as the user in that program."""
    account("bob")
    stack(service)
    Path("/etc/sudoers.d/alice").write_text("alice ALL=(ALL) ALL\n")
    who, command = ("bob", ["su", "alice"]) if service == "su" else ("alice", ["sudo", "true"])
    asking = pexpect.spawn(
        "/usr/bin/setpriv", [f"--reuid={who}", f"--regid={who}", "--init-groups", *command],
        encoding="utf-8", timeout=120,
    )  # fmt: skip
    try:
        passed_on = message_shown(asking)
        hostile.will_ask(*[passed_on] * 32)
        terminal = laptop.type("trex", "ssh", laptop.knows(hostile.server), "true")
        terminal.expect_exact(f"error: this challenge is for {service}, not for a login by ssh")
        terminal.expect(pexpect.EOF)
        assert hostile.heard() == [""]
    finally:
        end(asking)
        Path("/etc/sudoers.d/alice").unlink()


def test_what_another_service_asks_for_is_answered_by_nobody_but_the_user(
    hostile: Hostile, laptop: Client, enrolled: Account, stack: Callable[[str], None]
) -> None:
    stack("vpn")
    asking = on_terminal("try", "alice", "--service", "vpn")
    try:
        passed_on = message_shown(asking)
        answers, shown = hostile.ask(laptop, passed_on)
        assert answers == [""]
        assert "not answered. The message is for the PAM service vpn; expected sshd" in shown
        hostile.will_ask(passed_on)
        terminal = laptop.type("trex", "ssh", laptop.knows(hostile.server), "true")
        terminal.expect_exact("service: vpn\r\n")
        terminal.expect_exact("Does it have this PAMServiceName? (yes/no) ")
        terminal.sendline("no")
        terminal.expect(pexpect.EOF)
        assert hostile.heard() == [""]
        assert not laptop.services.exists()
    finally:
        end(asking)


def test_an_sshd_with_another_service_is_confirmed_once(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    service = sandbox.trex_service("trex-demo-sshd")
    server = sshd(service=service)
    name = laptop.knows(server)
    alone = laptop.run("trex", "ssh", name, "id -un")
    assert alone.returncode == 255
    assert "trex ssh once at a terminal" in alone.stderr
    for answer, comes in (("no", "Permission denied"), ("yes", "alice\r\n")):
        terminal = laptop.type("trex", "ssh", name, "id -un")
        terminal.expect_exact(f"The message is for the PAM service {service}; expected sshd.")
        terminal.expect_exact("(yes/no) ")
        terminal.sendline(answer)
        terminal.expect_exact(comes)
        terminal.expect(pexpect.EOF)
    assert laptop.services.read_text() == f"[127.0.0.1]:{server.port} {service}\n"
    assert laptop.services.stat().st_mode & 0o777 == 0o600
    done = laptop.run("trex", "ssh", name, "id -un")
    assert done.stdout == "alice\n", done.stderr


def test_a_service_that_is_allowed_for_one_host_is_none_for_another(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    laptop.allow_service(hostile.server, "internal-sshd")
    laptop.services.write_text(laptop.services.read_text().replace("]:", "]:1"))
    message = encrypt(holder, to, name=context(service="internal-sshd"))
    assert hostile.ask(laptop, message)[0] == [""]
    laptop.allow_service(hostile.server, "internal-sshd")
    assert hostile.ask(laptop, message)[0] == [RESPONSE], "nothing was answered before"


@pytest.mark.parametrize(("content", "error"), [
    (b"web\n", ":1: expected HOST SERVICE, found 1 words"),
    (b"web ss(d\n", ':1: expected HOST SERVICE, found "ss(d"'),
])  # fmt: skip
def test_a_damaged_file_of_services(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, content: bytes, error: str
) -> None:
    laptop.allow_service(hostile.server, "x")
    laptop.services.write_bytes(content)
    answers, shown = hostile.ask(laptop, encrypt(holder, to))
    assert answers == [""]
    assert f"{laptop.services}{error}" in shown


def test_respond_says_what_the_answer_is_for(laptop: Client, holder: Holder, to: str) -> None:
    """It also answers sudo and su: the person who pastes has to see it."""
    sudo = encrypt(holder, to, name=context(service="sudo")).encode()
    done = laptop.run("trex", "respond", stdin=sudo)
    assert done.stdout == f"{RESPONSE}\n"
    assert "service  sudo\n" in done.stderr
    assert "This is for sudo, not for a login by ssh: was it you who started sudo?" in done.stderr
    login = laptop.run("trex", "respond", stdin=encrypt(holder, to).encode())
    assert "This is for" not in login.stderr


def test_one_login_gets_one_answer_however_often_it_asks(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    answers, shown = hostile.ask(laptop, *(encrypt(holder, to) for _ in range(32)))
    assert answers == [RESPONSE]
    assert shown.count("this login has shown a challenge before") == 1


def test_after_a_refusal_nothing_is_decrypted(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    """Never three pinentries after one cancel, and no probing of the keyring, key by key."""
    locked = holder.take(laptop.make_locked_key("locked@example.org"))
    laptop.answer_with("locked@example.org")
    count = laptop.home / "count"
    laptop.use_pinentry(laptop.write_pinentry(f"echo >> {count}; echo ERR 83886179 no"))
    prompts = [encrypt(holder, locked) for _ in range(3)]
    answers, _ = hostile.ask(laptop, *prompts, encrypt(holder, to))
    assert answers == [""]
    assert count.read_text() == "\n"


def test_a_message_that_is_none_of_trex_s_is_the_one_of_its_login(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    """A server cannot try out what is refused and what is not."""
    good = encrypt(holder, to)
    answers, shown = hostile.ask(laptop, good.replace("\n=", "\nAAAA\n="), good)
    assert answers == [""]
    assert "error: the message is damaged" in shown
    assert "error: this login has shown a challenge before" in shown


def test_a_refused_run_is_one_attempt(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd], holder: Holder, log: Log
) -> None:
    """ssh itself asks three times; with pam_faillock that locks an account."""
    alice.import_keys(laptop.make_locked_key("locked@example.org"))
    laptop.answer_with("locked@example.org")
    alice.write("locked@example.org trust nosign\n")
    count = laptop.home / "count"
    laptop.use_pinentry(laptop.write_pinentry(f"echo >> {count}; echo ERR 83886179 no"))
    done = laptop.run("trex", "ssh", laptop.knows(sshd()), "true")
    assert done.returncode == 255
    assert "it was cancelled" in done.stderr
    assert count.read_text() == "\n"
    assert len(log.trex("no response: user=alice")) == 1
    assert len(log.trex(" ms=")) == 1


def test_marks_of_ssh_processes_that_have_ended_are_taken_away(name: str, laptop: Client) -> None:
    for _ in range(3):
        assert laptop.run("trex", "ssh", name, "true").returncode == 0
    assert len(list((laptop.home / ".local/state/trex/runs").iterdir())) == 1


ELSEWHERE = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc"]  # a container, or a machine
ASK_TWICE = """\
import os, subprocess, sys
def ask(): print(subprocess.run(["trex-askpass", sys.argv[1]], capture_output=True).stderr.decode())
ask()
open("asked", "w").close()
while not os.path.exists("go"): __import__("time").sleep(0.02)
ask()
"""


def test_a_machine_that_shares_the_home_does_not_forget_the_mark_of_an_ssh_elsewhere(
    laptop: Client, holder: Holder, to: str
) -> None:
    """With two logins on two machines a server got an answer to every challenge, without end."""
    prompt = f"(alice@web) {encrypt(holder, to)}"
    asking = laptop.start("/usr/bin/python3", "-c", ASK_TWICE, prompt)
    laptop.wait_for("asked")
    user = [
        "setpriv",
        "--reuid",
        laptop.account.name,
        "--regid",
        laptop.account.name,
        "--clear-groups",
    ]
    there = subprocess.run(
        [*ELSEWHERE, *user, "sh", "-c", '"$@"; true', "sh", BIN / "trex-askpass", prompt],
        env=laptop.environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "what asks is not OpenSSH" in there.stderr, "another login, which has shown none yet"
    laptop.account.write("", "go")
    here = asking.communicate(timeout=60)[0].decode()
    assert here.count("what asks is not OpenSSH") == 1
    assert here.count("this login has shown a challenge before") == 1


def test_marks_of_elsewhere_go_when_their_challenges_are_over(name: str, laptop: Client) -> None:
    assert laptop.run("trex", "ssh", name, "true").returncode == 0
    runs = laptop.home / ".local/state/trex/runs"
    for days in (1, 3):
        mark = laptop.account.write("", str(runs.relative_to(laptop.home) / f"{days}-1@elsewhere"))
        os.utime(mark, times=(time.time() - days * 86400,) * 2)
    assert laptop.run("trex", "ssh", name, "true").returncode == 0
    assert sorted(path.name for path in runs.glob("*elsewhere")) == ["1-1@elsewhere"]


def jump(laptop: Client, server: Sshd, *lines: str) -> None:
    """Give the server two names: one of them is the jump host for the other."""
    with open("/etc/hosts", "a", encoding="ascii") as hosts:
        hosts.write("127.0.0.1 jump.test target.test\n")
    laptop.knows(server, *lines, name="jump.test target.test")
    config = laptop.home / ".ssh/config"
    text = config.read_text().replace("HostName 127.0.0.1", "StrictHostKeyChecking no")
    config.write_text(text)
    names = [
        f"alice@[{host}]:{server.port} alice@{HOST}\n" for host in ("jump.test", "target.test")
    ]
    laptop.allow_service(server, "x")
    laptop.account.write("".join([*names, f"alice@jump.test alice@{HOST}\n"]), ".config/trex/names")


WAYS = {"ProxyJump": ["-J", "jump.test"],
        "ProxyCommand": ["-oProxyCommand=ssh -W %h:%p jump.test"]}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_jump_host_and_the_host_beyond_get_an_answer_each(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd], way: list[str]
) -> None:
    jump(laptop, sshd())
    done = laptop.run("trex", "ssh", *way, "target.test", "id -un")
    assert done.stdout == "alice\n", done.stderr
    assert len(re.findall("trex: answered alice at ", done.stderr)) == 2


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_pin_with_a_port_counts_for_a_jump_host(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str, keys: Keys,
    way: list[str],
) -> None:  # fmt: skip
    """Its port is then not known: the arguments are those for the target."""
    jump(laptop, hostile.server)
    pin = laptop.run("trex", "pin", "--yes", f"[jump.test]:{hostile.server.port}", signer)
    assert pin.returncode == 0, pin.stderr
    for by, heard in (("", ""), (keys["signing-other"], ""), (signer, RESPONSE)):
        hostile.will_ask(encrypt(holder, to, name=context(host=HOST), signer=by))
        done = laptop.run("trex", "ssh", *way, "target.test", "true")
        assert hostile.heard() == [heard], done.stderr


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_refused_jump_is_one_attempt(
    alice: Account, laptop: Client, sshd: Callable[..., Sshd], log: Log, way: list[str]
) -> None:
    jump(laptop, sshd())
    laptop.names.unlink()
    done = laptop.run("trex", "ssh", *way, "target.test", "id -un")
    assert done.returncode == 255
    assert len(log.trex("no response: user=alice")) == 1, done.stderr
    assert len(log.trex(" ms=")) == 1


def test_a_jump_host_s_port_is_known_where_ssh_itself_makes_the_jump(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str, keys: Keys
) -> None:
    """So a key that is pinned for another port is another server's."""
    jump(laptop, hostile.server)
    for port, key in ((hostile.server.port, signer), (1, keys["signing-other"])):
        laptop.run("trex", "pin", "--yes", f"[jump.test]:{port}", key)
    hostile.will_ask(encrypt(holder, to, signer=keys["signing-other"]))
    done = laptop.run("trex", "ssh", *WAYS["ProxyJump"], "target.test", "true")
    assert hostile.heard() == [""]
    assert f"expected {signer}, which is pinned for this host" in done.stderr


def test_respond_asks_for_a_signature_of_one_of_the_host_s_pins(
    laptop: Client, holder: Holder, to: str, signer: str
) -> None:
    """A person who pastes does not say which port they log in at."""
    assert laptop.run("trex", "pin", "--yes", "[web.test]:2222", signer).returncode == 0
    unsigned = encrypt(holder, to, name=context(host="web")).encode()
    done = laptop.run("trex", "respond", stdin=unsigned)
    assert (done.returncode, done.stdout) == (1, "")
    assert "NOT SIGNED" in done.stderr
    signed = encrypt(holder, to, name=context(host="web"), signer=signer).encode()
    assert laptop.run("trex", "respond", stdin=signed).stdout == f"{RESPONSE}\n"


def test_respond_knows_a_pinned_host_by_the_name_that_was_confirmed_for_ssh(
    laptop: Client, holder: Holder, to: str, signer: str
) -> None:
    assert laptop.run("trex", "pin", "--yes", "192.0.2.7", signer).returncode == 0
    laptop.account.write("alice@192.0.2.7 alice@web7\n", ".config/trex/names")
    for by, answer in (("", ""), (signer, f"{RESPONSE}\n")):
        message = encrypt(holder, to, name=context(host="web7"), signer=by)
        assert laptop.run("trex", "respond", stdin=message.encode()).stdout == answer


def test_a_pin_by_short_name_demands_a_signature_and_settles_nothing(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str
) -> None:
    """`web` may be in any domain: the challenge may be for the other host that the key is pinned for."""
    name = laptop.knows(hostile.server, "HostKeyAlias web.evil.test", "StrictHostKeyChecking no")
    assert laptop.run("trex", "pin", "--yes", "web", signer).returncode == 0
    laptop.names.write_text(f"alice@[web.evil.test]:{hostile.server.port} alice@web\n")
    laptop.account.own(laptop.names, 0o600)

    def ask(by: str) -> str:
        hostile.will_ask(encrypt(holder, to, name=context(host="web"), signer=by))
        done = laptop.run("trex", "ssh", name, "true")
        assert hostile.heard() == [""]
        return done.stderr

    assert "NOT SIGNED" in ask("")
    assert "signed by a key that is pinned for web, not for [web.evil.test]" in ask(signer)


def test_a_key_that_signs_for_two_hosts_is_pinned_for_both_after_one_question(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, signer: str
) -> None:
    name = laptop.knows(hostile.server)
    assert laptop.run("trex", "pin", "--yes", "other.test", signer).returncode == 0
    hostile.will_ask(encrypt(holder, to, signer=signer))
    terminal = laptop.type("trex", "ssh", name, "true")
    terminal.expect_exact("The message is signed by a key that is pinned for other.test, not for ")
    terminal.expect_exact("(yes/no) ")
    terminal.sendline("yes")
    terminal.expect(pexpect.EOF)
    assert hostile.heard() == [RESPONSE]
    assert f"[127.0.0.1]:{hostile.server.port} {signer}" in laptop.pins.read_text()
    answers, _ = hostile.ask(laptop, encrypt(holder, to, signer=signer))
    assert answers == [RESPONSE]
