"""What docs/command.md says of the exit status, where a question is answered with no."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pexpect

if TYPE_CHECKING:
    from tests.support.client import Client


def test_a_key_that_is_not_to_be_pinned(laptop: Client, signer: str) -> None:
    terminal = laptop.type("trex", "pin", "web.example.org", signer)
    terminal.expect_exact("Does this key sign for web.example.org? [y/N]: ")
    terminal.sendline("n")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert not laptop.pins.exists()
