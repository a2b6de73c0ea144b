"""A key on a card: what docs/client.md has people type, as far as gpg goes where no card is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pexpect

from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.system.conftest import Keys

EXAMPLE = "AE5C97684A4FFB40907D0A1787DE803A22DA5C30"
NO_CARD = ("No SmartCard daemon", "No such device", "selecting card failed")


def blocks() -> list[list[str]]:
    """Return the indented blocks of the section."""
    page = (PROJECT / "docs/client.md").read_text(encoding="utf-8")
    section = page.partition("### A key on a card\n")[2].partition("\n##")[0]
    texts = ["\n".join(part.splitlines()) for part in section.split("\n\n")]
    return [[line.strip() for line in text.splitlines()] for text in texts if text[:4] == "    "]


def test_the_copy_is_the_whole_key_and_the_subkey_is_what_keytocard_gets(
    laptop: Client, keys: Keys
) -> None:
    fingerprint = keys["cv25519"]
    moving, typed, *_ = blocks()
    copy, edit = (line.replace(EXAMPLE, fingerprint) for line in moving)
    laptop.account.run("sh", "-c", copy)
    shown = laptop.account.run(
        "gpg", "--show-keys", "--with-colons", "key-for-the-safe.asc"
    ).decode()
    assert [line[:3] for line in shown.splitlines() if line[:1] == "s"] == ["sec", "ssb"]
    assert typed == ["key 1", "keytocard", "save"]
    terminal = laptop.type("sh", "-c", edit)
    answers = {"key 1": r"ssb\* [^\n]+\n[^\n]+usage: E", "keytocard": "|".join(NO_CARD)}
    for line in typed[:2]:
        terminal.expect_exact("gpg> ")
        terminal.sendline(line)
        terminal.expect(answers[line])
    terminal.expect_exact("gpg> ")
    terminal.sendline("quit")
    terminal.expect(pexpect.EOF)
    secrets = laptop.account.run("gpg", "--list-secret-keys", "--with-colons").decode()
    assert secrets.count("\nssb:") == 1, "nothing has moved"


def test_what_is_typed_with_a_card_is_known_to_gpg(laptop: Client) -> None:
    """It starts, and says that there is no card."""
    *_, made, shown = blocks()
    assert made == ["admin", "key-attr", "generate"]
    for line in (*shown, "gpg --no-tty --command-fd 0 --edit-card"):
        done = laptop.run("sh", "-c", line, stdin=b"quit\n")
        assert any(reason in done.stderr for reason in NO_CARD), done.stderr
