"""Which of the client's secret keys a server can use: the login keys; it learns nothing of others."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.armor import armored, sealed
from tests.support.graft import ENCRYPT, carrying
from tests.support.hostile import CHALLENGE, encrypt
from trex.cli.client.packets import Sealed

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder
    from tests.system.conftest import Keys

RESPONSE = CHALLENGE.decode().strip()
QUESTION = "May it answer"


@pytest.fixture
def mail(laptop: Client, holder: Holder) -> str:
    """A second key of the client's, with a passphrase; `asked` tells whether gpg asks for it."""
    key = holder.take(laptop.make_locked_key("mail@example.org"))
    laptop.use_pinentry(laptop.write_pinentry(f"touch {laptop.home}/asked; echo ERR 83886179 no"))
    return key


def was_asked(laptop: Client) -> bool:
    return (laptop.home / "asked").exists()


def without_ids(shown: str) -> str:
    """Return the output without key ids and the prompt's own text, which differ between messages."""
    return re.sub("-----BEGIN.*", "...", re.sub("[0-9A-F]{16}", "ID", shown))


def kept(laptop: Client) -> list[str]:
    return laptop.keys.read_text().splitlines() if laptop.keys.exists() else []


def test_the_one_key_that_is_there_answers_and_is_remembered_for_the_host(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    for _ in range(2):
        assert hostile.ask(laptop, encrypt(holder, to))[0] == [RESPONSE]
        assert kept(laptop) == [f"alice@[127.0.0.1]:{hostile.server.port} {to}"]
    assert laptop.keys.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("known", [True, False], ids=["a known host", "a new host"])
def test_a_server_cannot_tell_a_key_that_is_held_from_one_that_is_not(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, keys: Keys, known: bool,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    """Neither from the answer nor from the error; and no passphrase is asked for."""
    if known:
        assert hostile.ask(laptop, encrypt(holder, to))[0] == [RESPONSE]
    mail: str = request.getfixturevalue("mail")
    seen = [hostile.ask(laptop, encrypt(holder, key)) for key in (mail, keys["rsa2048"])]
    assert [answers for answers, _ in seen] == [[""], [""]]
    assert without_ids(seen[0][1]) == without_ids(seen[1][1])
    assert "no such key answers alice@[127.0.0.1]:" in seen[0][1]
    assert not was_asked(laptop)


def test_a_hidden_recipient_is_refused(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, mail: str
) -> None:
    """Otherwise gpg tries all its keys, and asks for each passphrase."""
    message = encrypt(holder, to, CHALLENGE, "--throw-keyids", "--recipient", mail)
    answers, shown = hostile.ask(laptop, message)
    assert answers == [""]
    assert "does not say for which key" in shown
    assert not was_asked(laptop)


def test_gpg_does_not_go_on_from_the_login_key_to_another(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, request: pytest.FixtureRequest
) -> None:
    """The login key's session packet is damaged, so gpg would try the next."""
    assert hostile.ask(laptop, encrypt(holder, to))[0] == [RESPONSE]
    mail: str = request.getfixturevalue("mail")
    message = sealed(encrypt(holder, to, CHALLENGE, "--recipient", mail))
    (login_id, login), other = message.session_keys
    damaged = login[:-1] + bytes([login[-1] ^ 1])
    both = Sealed(((login_id, damaged), other), message.tag, message.body)
    answers, shown = hostile.ask(laptop, armored(both.for_keys(both.ids)))
    assert answers == [""]
    assert "Checksum error" in shown or "Bad session key" in shown
    assert not was_asked(laptop)


def at_terminal(hostile: Hostile, laptop: Client, message: str, *answers: str) -> str:
    """Log in at a terminal and type the answers; return what was shown."""
    hostile.will_ask(message)
    terminal = laptop.type("trex", "ssh", laptop.knows(hostile.server), "true")
    shown = ""
    for answer in answers:
        terminal.expect_exact("(yes/no) ")
        shown += terminal.before or ""
        terminal.sendline(answer)
    terminal.expect(pexpect.EOF)
    return shown + (terminal.before or "")


def test_of_several_keys_the_user_says_once_which_answers_a_host(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, mail: str
) -> None:
    shown = at_terminal(hostile, laptop, encrypt(holder, mail), "no")
    assert "mail@example.org" in shown
    assert "not answered" in shown
    assert "hint" not in shown, "they were asked, and have answered"
    assert (hostile.heard(), kept(laptop), was_asked(laptop)) == ([""], [], False)
    shown = at_terminal(hostile, laptop, encrypt(holder, to), "yes")
    assert QUESTION in shown
    assert hostile.heard() == [RESPONSE]
    assert kept(laptop) == [f"alice@[127.0.0.1]:{hostile.server.port} {to}"]
    assert hostile.ask(laptop, encrypt(holder, to))[0] == [RESPONSE], "without a terminal"
    assert hostile.ask(laptop, encrypt(holder, mail))[0] == [""]
    assert not was_asked(laptop)


def test_a_configuration_that_cannot_be_written_keeps_nobody_out(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    laptop.name_keys("# written by a tool")
    laptop.keys.parent.chmod(0o500)
    answers, shown = hostile.ask(laptop, encrypt(holder, to))
    assert answers == [RESPONSE]
    assert "trex: not remembered: " in shown


def test_a_key_that_the_file_names_for_every_host(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, mail: str
) -> None:
    laptop.name_keys(f"* {to}")
    assert hostile.ask(laptop, encrypt(holder, to))[0] == [RESPONSE]
    assert kept(laptop) == [f"* {to}"]
    laptop.name_keys("* 0123")
    answers, shown = hostile.ask(laptop, encrypt(holder, to))
    assert answers == [""]
    assert '.config/trex/keys:1: expected 40 or 64 capital hex digits, found "0123"' in shown


def test_where_the_remembered_key_is_gone_the_one_that_is_there_answers(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    laptop.name_keys(f"alice@[127.0.0.1]:{hostile.server.port} {'A' * 40}")
    assert hostile.ask(laptop, encrypt(holder, to))[0] == [RESPONSE]


def test_somebody_s_key_with_ours_in_it_is_no_second_key(
    hostile: Hostile, laptop: Client, holder: Holder, to: str, keys: Keys
) -> None:
    grafted = carrying(holder, keys["signing-mallory"], holder.public(to), ENCRYPT)
    own = laptop.account.run("gpg", "--export", to)
    (laptop.account.gnupg / "pubring.kbx").unlink()
    laptop.account.write(own + grafted, ".gnupg/pubring.gpg")
    listed = laptop.account.run("gpg", "--with-colons", "--list-secret-keys").decode()
    assert listed.count("sec:") == 2
    assert hostile.ask(laptop, encrypt(holder, to))[0] == [RESPONSE]


def test_a_subkey_that_was_revoked_is_not_used(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    """A message that was captured while it was in use is not decrypted, and no passphrase is asked for."""
    message = encrypt(holder, to)
    laptop.account.run(
        "gpg", "--batch", "--passphrase", "", "--quick-add-key", to, "cv25519", "encr"
    )
    listed = laptop.account.run("gpg", "--with-colons", "--list-keys", to).decode()
    old = re.findall(r"^fpr:+([0-9A-F]{40}):", listed, re.MULTILINE)[1]
    assert hostile.ask(laptop, encrypt(holder, to))[0] == [RESPONSE]
    edit = b"key 1\nrevkey\ny\n2\n\ny\nsave\n"
    laptop.account.run("gpg", "--command-fd", "0", "--no-tty", "--edit-key", to, stdin=edit)
    listed = laptop.account.run("gpg", "--with-colons", "--list-keys", to).decode()
    assert re.search(rf"^sub:r:.*\nfpr:+{old}:", listed, re.MULTILINE)
    answers, shown = hostile.ask(laptop, message)
    assert answers == [""]
    assert "no such key answers" in shown


def test_an_agent_that_is_forwarded_answers(
    laptop: Client, holder: Holder, to: str, keys: Keys
) -> None:
    """Through its extra socket an agent lists no key to GnuPG 2.2, which then marks all with `#`."""
    socket = laptop.account.run("gpgconf", "--list-dirs", "agent-extra-socket").decode().strip()
    laptop.account.run("gpgconf", "--launch", "gpg-agent")
    far = laptop.home / "far"
    far.mkdir()
    laptop.account.own(far, 0o700)
    at_far = ["env", f"GNUPGHOME={far}"]
    public = laptop.account.run("gpg", "--export", to)
    laptop.account.run(
        *at_far, "gpg", "--batch", "--quiet", "--no-autostart", "--import", stdin=public
    )
    laptop.account.write("no-autostart\n", "far/gpg.conf")
    there = laptop.account.run(*at_far, "gpgconf", "--list-dirs", "agent-socket").decode().strip()
    os.symlink(socket, there)
    listed = laptop.account.run(*at_far, "gpg", "--with-colons", "--list-secret-keys").decode()
    assert f":{to}:" in listed
    done = laptop.run("trex", "respond", stdin=encrypt(holder, to).encode(),
                      environment={"GNUPGHOME": str(far)})  # fmt: skip
    os.unlink(there)
    assert done.stdout.strip() == RESPONSE, done.stderr


def test_of_several_keys_the_user_says_once_which_answers_what_is_pasted(
    laptop: Client, holder: Holder, to: str, mail: str
) -> None:
    laptop.account.write(encrypt(holder, to), "prompt")
    alone = laptop.run("trex", "respond", "prompt")
    assert (alone.returncode, alone.stdout) == (1, "")
    assert "no such key answers challenges that you paste" in alone.stderr
    terminal = laptop.type("sh", "-c", "cat prompt | trex respond")
    terminal.expect_exact("(yes/no) ")
    terminal.sendline("yes")
    terminal.expect_exact(RESPONSE)
    terminal.expect(pexpect.EOF)
    assert kept(laptop) == [f"- {to}"]
    again = laptop.run("trex", "respond", stdin=encrypt(holder, to).encode())
    assert again.stdout.strip() == RESPONSE
    other = laptop.run("trex", "respond", stdin=encrypt(holder, mail).encode())
    assert (other.returncode, was_asked(laptop)) == (1, False)
