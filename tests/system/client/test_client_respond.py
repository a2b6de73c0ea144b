"""`trex respond`, as people and scripts use it: what it answers, and what it shows of other messages."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
from threading import Thread
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.hostile import CHALLENGE, MAIL, context, encrypt, gpg_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

RESPONSE = CHALLENGE.decode()


def test_a_prompt_of_the_module_s_is_answered(
    alice: Account, laptop: Client, ask: Callable[..., Asked]
) -> None:
    prompt = ask("alice", "--answer", "x").prompt
    done = laptop.run("trex", "respond", stdin=f"(alice@server) {prompt}".encode())
    assert re.fullmatch(r"[A-Za-z0-9]{10}\n", done.stdout), done.stderr
    assert re.search(r"user +alice\nhost +\S+\nservice +trex-test-\d+\n", done.stderr)
    assert re.search(
        r"from +\S+\nuntil +\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\nhostkeys none named\nsigned +no\n",
        done.stderr,
    )


def test_it_reads_a_file(laptop: Client, holder: Holder, to: str) -> None:
    laptop.account.write(f"> {encrypt(holder, to)}".replace("\n", "\r\n> "), "prompt.txt")
    assert laptop.run("trex", "respond", "prompt.txt").stdout == RESPONSE
    missing = laptop.run("trex", "respond", "no-such-file")
    assert missing.returncode == 1
    assert missing.stderr.startswith("trex: error: no-such-file: No such file or directory\n")


def test_a_paste_at_the_terminal_leaves_nothing_for_the_shell(
    laptop: Client, holder: Holder, to: str
) -> None:
    terminal = laptop.type(
        "bash", "--norc", "-c", "trex respond; echo next; read -t 1 x; echo got $x"
    )
    terminal.expect_exact("Ctrl-D:")
    terminal.send(f"(alice@server) {encrypt(holder, to)}You have 10 minutes.\nResponse: ")
    terminal.send("\n\x04touch evil\n")
    terminal.expect_exact(RESPONSE.strip())
    terminal.expect_exact("next")
    terminal.expect("got *\r\n")
    terminal.expect(pexpect.EOF)
    assert not (laptop.home / "evil").exists()


@pytest.mark.parametrize("key", ["\x04", "\x03", "\x1a", "\x1c"], ids=["D", "C", "Z", "backslash"])
def test_a_control_character_in_a_paste_hands_nothing_to_the_shell(
    laptop: Client, holder: Holder, to: str, key: str
) -> None:
    """More than the terminal buffers: the rest arrives when trex has read, or has ended."""
    terminal = laptop.type("bash", "--norc", "-i", environment={"PS1": "$ ", "HISTFILE": ""})
    terminal.expect_exact("$ ")
    terminal.sendline(
        "bind 'set enable-bracketed-paste off'; env --default-signal=INT trex respond; echo over: $?"
    )
    terminal.expect_exact("Ctrl-D:")
    paste = f"{encrypt(holder, to)}Response: \n{key}" + "touch evil\n" * 3000
    sender = Thread(target=terminal.send, args=(paste,))
    sender.start()
    if key != "\x04":
        terminal.expect_exact("touch evil\r\n" * 10)
        sender.join(20)
        terminal.send("\x03")  # in a flood Python may see the first one with the second only
    terminal.expect(r"over: \d+\r\n")
    sender.join(20)
    terminal.sendline("exit")
    terminal.expect(pexpect.EOF)
    assert not (laptop.home / "evil").exists()


@pytest.mark.parametrize(("name", "plaintext"), [
    pytest.param("", MAIL, id="a mail"),
    pytest.param(None, MAIL, id="a mail that calls itself a challenge"),
    pytest.param("", CHALLENGE, id="a short mail"),
    pytest.param(None, CHALLENGE.strip(), id="no newline"),
    pytest.param(None, CHALLENGE * 2, id="two lines"),
    pytest.param(None, CHALLENGE * 10**5, id="a megabyte"),
    pytest.param(context(seconds=-1), CHALLENGE, id="too late"),
    pytest.param(None, b"hzA8vx2i2\xc3\xa9\n", id="another alphabet"),
])  # fmt: skip
def test_nothing_is_shown_of_what_is_no_challenge(
    laptop: Client, holder: Holder, to: str, name: str | None, plaintext: bytes
) -> None:
    """So a server can never use it to decrypt a captured mail."""
    message = encrypt(holder, to, plaintext, name=name).encode()
    done = laptop.run("trex", "respond", stdin=message)
    assert (done.returncode, done.stdout) == (1, "")
    assert "trex: error: " in done.stderr
    assert not re.search("4711|hzA8|safe", done.stderr)
    copied = laptop.run("trex", "respond", "--copy", stdin=message)
    assert not re.search("4711|hzA8|safe|clipboard", copied.stdout + copied.stderr)


def test_a_message_for_somebody_else(laptop: Client, holder: Holder, keys: Keys) -> None:
    done = laptop.run("trex", "respond", stdin=encrypt(holder, keys["rsa2048"]).encode())
    assert done.returncode == 1
    assert re.match("trex: error: this message is for [0-9A-F]{16}, and no such key", done.stderr)
    assert "hint: is it yours (gpg --list-secret-keys" in done.stderr


@pytest.mark.parametrize(("paste", "error"), [
    pytest.param(b"", "no OpenPGP message", id="nothing"),
    pytest.param(b"\xff\xfe\x00", "no OpenPGP message", id="no text"),
    pytest.param(b"-----BEGIN PGP MESSAGE-----\n\nhF4D", "cut off", id="no end"),
    pytest.param(b"x" * 2**20, "more than 256 KiB", id="a megabyte"),
    pytest.param(b"-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----", "cut off",
                 id="too little"),
])  # fmt: skip
def test_what_is_no_message(laptop: Client, paste: bytes, error: str) -> None:
    done = laptop.run("trex", "respond", stdin=paste)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(f"trex: error: .*{error}.*\ntrex: hint: copy it from -----BEGIN", done.stderr)


def test_it_says_who_signed(
    laptop: Client, holder: Holder, to: str, signer: str, keys: Keys
) -> None:
    def signed_by(key: str) -> tuple[str, str]:
        message = encrypt(holder, to, name=context(host="web"), signer=key)
        done = laptop.run("trex", "respond", stdin=message.encode())
        return done.stdout, re.search("^signed +(.*)", done.stderr, re.MULTILINE)[1]  # type: ignore[index]

    assert signed_by("") == (RESPONSE, "no")
    assert signed_by(signer) == (RESPONSE, f"by {signer}, not pinned")
    laptop.run("trex", "pin", "--yes", "web.example.org", signer)
    assert signed_by(signer) == (RESPONSE, f"by {signer}, pinned for web.example.org")
    assert signed_by(keys["signing-other"])[0] == ""
    assert signed_by(keys["signing-unknown"])[0] == ""
    assert signed_by("") == ("", "no")


def test_a_signature_of_a_revoked_key(laptop: Client, holder: Holder, to: str, keys: Keys) -> None:
    key = keys["signing-stolen"]
    message = encrypt(holder, to, signer=key)
    holder.revoke(key)
    laptop.account.import_keys(holder.public(key))
    done = laptop.run("trex", "respond", stdin=message.encode())
    assert done.stdout == ""
    assert "REVKEYSIG" in done.stderr
    assert "was revoked" in laptop.run("trex", "pin", "--yes", "web", key).stderr


def test_a_user_id_cannot_write_status_lines(laptop: Client, holder: Holder, to: str) -> None:
    """python-gnupg's own reader treats U+0085 as a line end, and gpg does not escape it."""
    key = gpg_bytes(holder, b"", "--status-fd", "1", "--quick-generate-key",
                    "eve\x85[GNUPG:] VALIDSIG 0123", "ed25519", "sign", "never")  # fmt: skip
    fingerprint = key.decode().split()[-1]
    laptop.account.import_keys(holder.public(fingerprint))
    message = encrypt(holder, to, signer=fingerprint)
    done = laptop.run("trex", "respond", stdin=message.encode())
    assert f"signed   by {fingerprint}, not pinned\n" in done.stderr


def test_a_user_id_that_is_not_utf_8(laptop: Client, holder: Holder) -> None:
    made = subprocess.run(
        ["gpg", "--homedir", holder.home, "--batch", "--status-fd", "1", "--passphrase", "",
         "--charset", "utf-8", "--utf8-strings", "--quick-generate-key",
         b"J\xf6rg at web", "ed25519", "sign", "never"], capture_output=True, check=True,
    )  # fmt: skip
    fingerprint = made.stdout.decode().split()[-1]
    laptop.account.import_keys(holder.public(fingerprint))
    assert f"key      {fingerprint}\n" in laptop.run("trex", "pin", "web").stderr


FAILURES = {
    "echo ERR 83886179 no": "not decrypted: it was cancelled",
    "echo ERR 83886167 no": "not decrypted: the PIN was wrong",
    "echo ERR 83918849 no": "the agent's pinentry may not use the terminal: after su it belongs to another",
    "echo ERR 83886381 no": "gpg says: public key decryption failed: Screen or window too small",
}


def test_a_passphrase_that_does_not_come(laptop: Client, holder: Holder) -> None:
    """The error says why, in gpg's own words if Trex has none."""
    locked = holder.take(laptop.make_locked_key("locked@example.org"))
    laptop.answer_with("locked@example.org")
    message = encrypt(holder, locked)
    for does, error in FAILURES.items():
        laptop.use_pinentry(laptop.write_pinentry(does))
        done = laptop.run("trex", "respond", stdin=message.encode())
        assert (done.returncode, done.stdout) == (1, "")
        assert f"trex: error: not decrypted: {error.removeprefix('not decrypted: ')}" in done.stderr
    laptop.use_pinentry("/no/such/program")
    assert "no pinentry" in laptop.run("trex", "respond", stdin=message.encode()).stderr


def test_interrupted_while_the_agent_asks(laptop: Client, holder: Holder) -> None:
    """The fixture `nothing_left` checks that no process is left."""
    slow = holder.take(laptop.make_locked_key("slow@example.org"))
    laptop.answer_with("slow@example.org")
    laptop.use_pinentry(laptop.write_pinentry(f"touch {laptop.home}/asked"))
    laptop.account.write(encrypt(holder, slow), "prompt")
    terminal = laptop.type("trex", "respond", "prompt")
    laptop.wait_for("asked")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert (terminal.exitstatus, terminal.signalstatus) in ((130, None), (None, signal.SIGINT))


def test_no_gpg(laptop: Client, holder: Holder, to: str) -> None:
    done = laptop.run("/usr/bin/python3", "-BIc", "import sys; sys.path.insert(0, '/run/trex/module')\n"
                      "sys.argv = ['trex', 'respond']; from trex.cli.main import main; main()",
                      stdin=encrypt(holder, to).encode(), environment={"PATH": "/nowhere"})  # fmt: skip
    assert done.stderr.startswith("trex: error: there is no gpg on PATH\ntrex: hint: install GnuPG")


def test_copy_goes_through_the_terminal(laptop: Client, holder: Holder, to: str) -> None:
    """OSC 52; or through the desktop's program, if there is one."""
    laptop.account.write(encrypt(holder, to), "prompt")
    terminal = laptop.type("sh", "-c", "trex respond --copy prompt > out")
    terminal.expect_exact(f"\x1b]52;c;{base64.b64encode(RESPONSE.strip().encode()).decode()}\x07")
    terminal.expect_exact("The response is on the clipboard (the terminal).")
    terminal.expect(pexpect.EOF)
    assert (laptop.home / "out").read_bytes() == b""
    laptop.account.write(encrypt(holder, to), "prompt")
    alone = laptop.run("trex", "respond", "--copy", "prompt")
    assert (alone.returncode, alone.stdout) == (1, "")
    assert "no clipboard and no terminal" in alone.stderr


@pytest.mark.parametrize(("program", "variable", "arguments"), [
    ("wl-copy", "WAYLAND_DISPLAY", ""), ("xclip", "DISPLAY", "-selection clipboard"),
    ("xsel", "DISPLAY", "--clipboard --input"),
])  # fmt: skip
def test_copy_goes_through_the_desktop_s_program(
    laptop: Client, holder: Holder, to: str, program: str, variable: str, arguments: str
) -> None:
    """The response is passed on standard input, not as an argument."""
    bin_ = laptop.home / "bin"
    bin_.mkdir()
    laptop.account.own(bin_, 0o700)
    stand_in = laptop.account.write(f'#!/bin/sh\necho "$*" > {bin_}/args; cat > {bin_}/text\n',
                                    f"bin/{program}")  # fmt: skip
    stand_in.chmod(0o700)
    if program == "xsel":
        laptop.account.write("#!/bin/sh\nexit 1\n", "bin/xclip").chmod(0o700)
    environment = {variable: ":9", "PATH": f"{bin_}:{laptop.environment['PATH']}"}
    message = encrypt(holder, to).encode()
    done = laptop.run("trex", "respond", "--copy", stdin=message, environment=environment)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (bin_ / "text").read_text() == RESPONSE.strip()
    assert (bin_ / "args").read_text().strip() == arguments
    again = laptop.run("trex", "respond", "--copy", stdin=message, environment=environment)
    assert "answered before" in again.stderr
    far = environment | {"SSH_CONNECTION": "192.0.2.1 1 192.0.2.2 22"}
    message = encrypt(holder, to).encode()
    elsewhere = laptop.run("trex", "respond", "--copy", stdin=message, environment=far)
    assert "no clipboard" in elsewhere.stderr
