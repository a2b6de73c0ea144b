"""A challenge is answered once: in any form, by any program, however many ask at a time."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from tests.support.armor import framings
from tests.support.client import BIN, PASSPHRASE
from tests.support.hostile import CHALLENGE, encrypt
from tests.support.sandbox import processes_here

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder

RESPONSE = CHALLENGE.decode().strip()
AGAIN = "this challenge was answered before"
MANY = 4


def test_a_challenge_that_is_framed_in_another_way_is_the_same(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    message = encrypt(holder, to)
    others = framings(message)
    assert hostile.ask(laptop, message)[0] == [RESPONSE]
    seen = {name: hostile.ask(laptop, other) for name, other in others.items()}
    assert {name: answers for name, (answers, _) in seen.items()} == {n: [""] for n in others}
    assert all(AGAIN in shown for _, shown in seen.values())


def test_each_of_these_forms_would_have_been_answered_first(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    """Otherwise the test above would pass for forms that gpg cannot read."""
    for name in framings(encrypt(holder, to)):
        answers, shown = hostile.ask(laptop, framings(encrypt(holder, to))[name])
        assert answers == [RESPONSE], f"{name}: {shown}"


def test_what_trex_ssh_answered_trex_respond_does_not_and_the_reverse(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    one, other = encrypt(holder, to), encrypt(holder, to)
    assert hostile.ask(laptop, one)[0] == [RESPONSE]
    refused = laptop.run("trex", "respond", stdin=framings(one)["in parts"].encode())
    assert (refused.returncode, refused.stdout) == (1, "")
    assert AGAIN in refused.stderr
    assert laptop.run("trex", "respond", stdin=other.encode()).stdout == f"{RESPONSE}\n"
    answers, shown = hostile.ask(laptop, framings(other)["session keys twice"])
    assert answers == [""]
    assert AGAIN in shown


def test_trex_respond_answers_once(laptop: Client, holder: Holder, to: str) -> None:
    message = encrypt(holder, to).encode()
    assert laptop.run("trex", "respond", stdin=message).stdout == f"{RESPONSE}\n"
    again = laptop.run("trex", "respond", stdin=message)
    assert (again.returncode, again.stdout) == (1, "")
    assert AGAIN in again.stderr


def test_nobody_is_asked_for_a_passphrase_that_no_answer_needs(
    laptop: Client, holder: Holder, to: str
) -> None:
    message = encrypt(holder, to)
    assert laptop.run("trex", "respond", stdin=message.encode()).returncode == 0
    laptop.account.end_daemons()
    assert AGAIN in laptop.run("trex", "respond", stdin=message.encode()).stderr
    assert not any("gpg-agent" in name and "laptop" in name for name in processes_here().values())


def test_of_several_at_once_one_answers(laptop: Client, holder: Holder) -> None:
    """None is answered when they begin: all wait for a passphrase first."""
    slow = holder.take(laptop.make_locked_key("slow@example.org"))
    laptop.answer_with("slow@example.org")
    laptop.use_pinentry(laptop.write_pinentry(
        f"until [ -e {laptop.home}/go ]; do sleep 0.1; done; echo D {PASSPHRASE}; echo OK"
    ))  # fmt: skip
    message = encrypt(holder, slow)
    prompts = [message, *framings(message).values()][:MANY]
    running = [start(laptop, prompt) for prompt in prompts]
    deadline = time.monotonic() + 60
    while len(decrypting()) < MANY:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    laptop.account.write("", "go")
    ended = [(*process.communicate(timeout=180), process.returncode) for process in running]
    assert sorted(answer for answer, _, _ in ended) == [b""] * (MANY - 1) + [CHALLENGE]
    assert sum(AGAIN.encode() in said for _, said, _ in ended) == MANY - 1


def decrypting() -> list[str]:
    return [name for name in processes_here().values() if "--unwrap" in name]


def start(laptop: Client, prompt: str) -> subprocess.Popen[bytes]:
    laptop.account.write(prompt, f"prompt-{len(prompt)}")
    return subprocess.Popen(
        [BIN / "trex", "respond", f"prompt-{len(prompt)}"], env=laptop.environment,
        cwd=laptop.home, user=laptop.account.uid, group=laptop.account.gid, extra_groups=[],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def test_an_answer_that_reached_no_clipboard_was_none(
    laptop: Client, holder: Holder, to: str
) -> None:
    message = encrypt(holder, to).encode()
    copied = laptop.run("trex", "respond", "--copy", stdin=message)
    assert "no clipboard and no terminal" in copied.stderr
    assert laptop.run("trex", "respond", stdin=message).stdout == f"{RESPONSE}\n"
