"""Two people answer one login: `trex ssh` for the one at the keyboard, `trex respond` for the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import native, sandbox
from tests.support.client import Client
from tests.support.hostile import CHALLENGE, encrypt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.hostile import Hostile
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

MESSAGES = re.compile(r"Message 1 of 2.*-----END PGP MESSAGE-----", re.DOTALL)
OTHER = b"Zy9wVu7tSr\n"
ASKED = "What does the other person's message say\\? "


@pytest.fixture
def elsewhere(account: Callable[[str], Account], holder: Holder, keys: Keys) -> Iterator[Client]:
    """The second person's machine, with their key and their agent."""
    client = Client(account("elsewhere"))
    client.account.import_keys(holder.secret(keys["cv25519-second"]))
    yield client
    client.account.run("gpgconf", "--kill", "all")


@pytest.fixture
def pair(alice: Account, holder: Holder, keys: Keys) -> Account:
    alice.import_keys(holder.public(keys["cv25519-second"]))
    alice.write(f"2of:{keys['cv25519-second']},{keys['cv25519']} trust nosign\n")
    return alice


@pytest.fixture
def sudoers() -> Iterator[Path]:
    """Alice in sudoers; sudo's service is as before afterwards."""
    service, rule = sandbox.PAM_SERVICES / "sudo", Path("/etc/sudoers.d/alice")
    kept = service.read_bytes()
    rule.write_text("alice ALL=(ALL) ALL\n")
    rule.chmod(0o440)
    yield rule
    service.write_bytes(kept)
    rule.unlink()


@pytest.fixture
def su() -> Iterator[Path]:
    """su's service, which is as before afterwards."""
    service = sandbox.PAM_SERVICES / "su"
    kept = service.read_bytes()
    yield service
    service.write_bytes(kept)


def test_one_at_the_keyboard_and_one_elsewhere_log_in_together(
    pair: Account, laptop: Client, elsewhere: Client, sshd: Callable[..., Sshd], log: Log,
    keys: Keys,
) -> None:  # fmt: skip
    """The prompt is shown, so that its messages can be passed on as they are."""
    name = laptop.knows(sshd())
    typed = laptop.type("trex", "ssh", name, "id", "-un")
    typed.expect(ASKED)
    shown = MESSAGES.search(typed.before or "")
    assert shown
    done = elsewhere.run("trex", "respond", stdin=shown[0].encode())
    assert re.search(r"user +alice\nhost +\S+\nservice +sshd\n", done.stderr), done.stderr
    assert "This login takes two people: whoever is at its prompt types both" in done.stderr
    typed.sendline(done.stdout.strip())
    typed.expect("alice\r\n")
    typed.wait()
    line = log.trex("accepted: user=alice")[0]
    assert f"keys={keys['cv25519-second']},{keys['cv25519']} " in line


def test_without_a_terminal_nothing_is_decrypted_and_the_reason_is_said(
    pair: Account, laptop: Client, sshd: Callable[..., Sshd]
) -> None:
    done = laptop.run("trex", "ssh", laptop.knows(sshd()), "true")
    assert done.returncode == 255
    assert "this login takes two people, and there is no terminal to ask for the" in done.stderr
    assert not (laptop.home / ".local/state/trex/answered").exists()


def test_of_several_messages_for_the_user_s_own_key_one_is_decrypted(
    hostile: Hostile, laptop: Client, holder: Holder, keys: Keys
) -> None:
    """A server that pretends to ask two people learns what it would of one."""
    challenges = [encrypt(holder, keys["cv25519"], text) for text in (CHALLENGE, OTHER)]
    hostile.will_ask("\n" + "".join(challenges) + "Both responses: ")
    name = laptop.knows(hostile.server)
    typed = laptop.type("trex", "ssh", name, "true")
    typed.expect(ASKED)
    typed.sendline("typed")
    typed.wait()
    assert hostile.heard() == [f"{CHALLENGE.decode().strip()} typed"]


def test_who_has_neither_key_types_both_responses(
    pair: Account, laptop: Client, elsewhere: Client, account: Callable[[str], Account],
    sshd: Callable[..., Sshd],
) -> None:  # fmt: skip
    """Somebody else's machine, or a plain ssh: the prompt is passed on as it is."""
    plain = Client(account("plain"))
    typed = plain.type("ssh", plain.knows(sshd()), "id", "-un")
    typed.expect("Both responses: ")
    prompt = (typed.before or "").encode()
    texts = [one.run("trex", "respond", stdin=prompt).stdout.strip() for one in (laptop, elsewhere)]
    assert all(re.fullmatch(r"[A-Za-z0-9]{10}", text) for text in texts), texts
    typed.sendline(" ".join(texts))
    typed.expect("alice\r\n")
    typed.wait()


def test_sudo_takes_both_with_trex_sudo(
    pair: Account, holder: Holder, keys: Keys, elsewhere: Client, sudoers: Path, log: Log
) -> None:
    pair.import_keys(holder.secret(keys["cv25519"]))
    desk = Client(pair)
    sandbox.trex_service("sudo")
    typed = desk.type("trex", "sudo", "id", "-un")
    typed.expect(ASKED)
    done = elsewhere.run("trex", "respond", stdin=(typed.before or "").encode())
    assert "not for a login by ssh: did one of you two start sudo?" in done.stderr
    typed.sendline(done.stdout.strip())
    typed.expect("root\r\n")
    typed.wait()
    pair.run("gpgconf", "--kill", "all")
    assert "service=sudo" in log.trex("accepted: user=alice")[0]


def test_su_to_root_takes_two_people_neither_of_whom_can_write_the_record(
    laptop: Client, elsewhere: Client, holder: Holder, keys: Keys, central: list[str],
    native_door: Path, su: Path, log: Log,
) -> None:  # fmt: skip
    """The account for which this is made: root, central mode, a key file for each person."""
    paths = []
    for name in ("cv25519", "cv25519-second"):
        paths.append(sandbox.PLACE / f"central/{name}.pgp")
        paths[-1].write_bytes(holder.public(keys[name]))
        paths[-1].chmod(0o644)
    record = sandbox.PLACE / "central/users/root"
    record.write_text(f"# trex: uid=0\n2of:{paths[0]},{paths[1]} trust nosign\n")
    native.service("su", native_door, *central)
    typed = laptop.type("su", "root", "-c", "id -un")
    typed.expect("Both responses: ")
    prompt = (typed.before or "").encode()
    texts = [one.run("trex", "respond", stdin=prompt).stdout.strip() for one in (laptop, elsewhere)]
    typed.sendline(" ".join(texts))
    typed.expect("root\r\n")
    typed.wait()
    assert f"keys={keys['cv25519']},{keys['cv25519-second']} " in log.trex("accepted: user=root")[0]
