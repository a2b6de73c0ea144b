"""The line that is shown while gpg waits for somebody, and erased afterwards."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.client import PASSPHRASE
from tests.support.hostile import CHALLENGE, encrypt

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder

RESPONSE = CHALLENGE.decode().strip()
ERASE = "\r\x1b[K"
CARD = "D2760001240103040006123456780000"
# Bounded, so that no pinentry and no scdaemon of a test that fails stays.
UNTIL_SAID = "until grep -q '{words}' ~/said || [ $((n+=1)) -gt 600 ]; do sleep 0.1; done"


@pytest.fixture
def slow(laptop: Client, holder: Holder) -> str:
    """A key whose passphrase is entered once the file `go` exists; return its id."""
    holder.take(laptop.make_locked_key("slow@example.org"))
    laptop.answer_with("slow@example.org")
    laptop.use_pinentry(laptop.write_pinentry(
        f"until [ -e {laptop.home}/go ]; do sleep 0.1; done; echo D {PASSPHRASE}; echo OK"
    ))  # fmt: skip
    listed = laptop.account.run("gpg", "--with-colons", "--list-keys", "slow@example.org").decode()
    return next(line.split(":")[4] for line in listed.splitlines() if line.startswith("sub"))


def test_a_passphrase_that_is_awaited_is_named_and_the_line_goes_away(
    hostile: Hostile, laptop: Client, holder: Holder, slow: str
) -> None:
    hostile.will_ask(encrypt(holder, slow))
    terminal = laptop.type("trex", "ssh", laptop.knows(hostile.server))
    where = f"alice at [127.0.0.1]:{hostile.server.port}"
    terminal.expect_exact(f"trex: to answer {where}: waiting for the passphrase of {slow}")
    laptop.account.write("", "go")
    terminal.expect_exact(f"{ERASE}trex: answered alice at ")
    terminal.expect(pexpect.EOF)
    assert hostile.heard() == [RESPONSE]


def test_a_narrow_terminal_gets_no_second_row(laptop: Client, holder: Holder, slow: str) -> None:
    laptop.account.write(encrypt(holder, slow), "prompt")
    terminal = laptop.type("trex", "respond", "prompt", columns=40)
    terminal.expect_exact("trex: to answer what you pasted: waitin")
    laptop.account.write("", "go")
    terminal.expect_exact(ERASE)
    assert terminal.before == "", slow
    terminal.expect(pexpect.EOF)


def respond_to(laptop: Client, message: str) -> tuple[str, str]:
    """Answer without a terminal; return the response, and what was said, which is also in `said`."""
    laptop.account.write("", "said")
    done = laptop.run("sh", "-c", "exec trex respond 2> said", stdin=message.encode())
    return done.stdout, (laptop.home / "said").read_text()


def test_without_a_terminal_it_is_a_line(laptop: Client, holder: Holder, slow: str) -> None:
    until = UNTIL_SAID.format(words="for the passphrase")
    laptop.use_pinentry(laptop.write_pinentry(f"{until}; echo D {PASSPHRASE}; echo OK"))
    response, said = respond_to(laptop, encrypt(holder, slow))
    line = f"trex: to answer what you pasted: waiting for the passphrase of {slow}\n"
    assert said.count(line) == 1, said
    assert "\x1b" not in said
    assert response == f"{RESPONSE}\n"


def test_an_agent_that_says_nothing_is_named(laptop: Client, holder: Holder, slow: str) -> None:
    """As with a token that waits for a touch: gpg then prints nothing at all."""
    laptop.account.run("gpg", "--list-secret-keys")
    pid = laptop.account.run("gpg-connect-agent", "getinfo pid", "/bye").decode().split()[1]
    laptop.account.write("", "go")
    laptop.account.write(encrypt(holder, slow), "prompt")
    gpg = laptop.account.write(
        f'#!/bin/sh\ncase "$*" in *--unwrap*) kill -STOP {pid};; esac\nexec /usr/bin/gpg "$@"\n',
        "gpg",
    )
    gpg.chmod(0o700)
    terminal = laptop.type("trex", "respond", "prompt",
                           environment={"PATH": f"{laptop.home}:{laptop.environment['PATH']}"})  # fmt: skip
    try:
        terminal.expect_exact("waiting for gpg-agent")
    finally:
        laptop.account.run("kill", "-CONT", pid)
    terminal.expect_exact(ERASE)
    terminal.expect_exact(RESPONSE)
    terminal.expect(pexpect.EOF)


def test_a_card_that_is_awaited_is_named_by_its_number(
    laptop: Client, holder: Holder, to: str
) -> None:
    """The keyring says that the key is on a card; the agent's own search for one ends in an error."""
    grips = laptop.account.run("gpg", "--with-colons", "--with-keygrip", "-K", to).decode()
    grip = re.findall(r"^grp:+([0-9A-F]{40}):", grips, re.MULTILINE)[1]
    path = f".gnupg/private-keys-v1.d/{grip}.key"
    point = re.search(rb"\(1:q33:(.{33})\)", readkey(laptop, grip), re.DOTALL)
    assert point
    laptop.account.write(
        "(shadowed-private-key (ecc (curve Curve25519)(flags djb-tweak)(q #"
        f"{point[1].hex().upper()}#)(shadowed t1-v1 (#{CARD}# OPENPGP.2))))\n", path,
    )  # fmt: skip
    laptop.use_pinentry(laptop.write_pinentry("echo ERR 83886179 no"))
    until = UNTIL_SAID.format(words="for the card")
    listed = "pgrep -f -- --unwrap >/dev/null || exit"  # GnuPG 2.4 asks also for a list of keys
    stuck = laptop.account.write(f"#!/bin/sh\n{listed}\n{until}\n", "scdaemon")
    stuck.chmod(0o700)
    with (laptop.account.gnupg / "gpg-agent.conf").open("a") as configuration:
        configuration.write(f"scdaemon-program {stuck}\n")
    _, said = respond_to(laptop, encrypt(holder, to))
    assert said.count("waiting for the card 0006 12345678 (its PIN, or a touch)") == 1
    assert "error: not decrypted" in said


def readkey(laptop: Client, grip: str) -> bytes:
    said = laptop.account.run("gpg-connect-agent", f"READKEY {grip}", "/bye")
    data = re.search(rb"D (.*)\nOK", said, re.DOTALL)
    assert data
    return re.sub(rb"%([0-9A-F]{2})", lambda code: bytes.fromhex(code[1].decode()), data[1])


def test_a_pinentry_on_the_same_terminal_has_it_for_itself(
    laptop: Client, holder: Holder, slow: str
) -> None:
    """A curses pinentry would be overwritten, and it says itself what it asks for."""
    laptop.use_pinentry("/usr/bin/pinentry-tty")
    laptop.account.write(encrypt(holder, slow), "prompt")
    terminal = laptop.type("sh", "-c", "tty; read go; exec trex respond prompt")
    terminal.expect(r"(/dev/pts/\d+)\r\n")
    os.chown(terminal.match[1], laptop.account.uid, -1)  # as it is after a login
    terminal.sendline()
    terminal.expect_exact("Passphrase: ")
    with pytest.raises(pexpect.TIMEOUT):
        terminal.expect_exact("waiting", timeout=3)
    assert terminal.waitnoecho(60), "what is typed before that is thrown away"
    terminal.sendline(PASSPHRASE)
    terminal.expect_exact(RESPONSE)
    terminal.expect(pexpect.EOF)
