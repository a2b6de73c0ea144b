"""The QR code as a person sees it: ssh in a real terminal, and a scanner before its screen."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.examination import write_public_keys
from tests.support.journal import wait_for
from tests.support.sandbox import PLACE
from tests.support.screen import Screen, by_zbar, by_zxing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd

    WithPage = Callable[..., Account]

TMUX = ("tmux", "-f", "/dev/null", "-S", str(PLACE / "tmux"), "new")


@pytest.fixture
def screen() -> Iterator[Screen]:
    shown = Screen()
    yield shown
    shown.close()
    subprocess.run([*TMUX[:-1], "kill-server"], check=False, capture_output=True)


@pytest.fixture
def host_keys() -> Iterator[list[Path]]:
    """Host keys as Debian has them, whose names make the message longer."""
    made = write_public_keys()
    yield made
    for path in made:
        path.unlink()


@pytest.mark.parametrize(
    ("mode", "background", "within"),
    [
        ("qrTerminal", "dark", ()),
        ("qrTerminalLight", "light", ()),
        ("qrTerminal", "dark", TMUX),
    ],
    ids=["dark", "light", "tmux"],
)
def test_a_phone_reads_it_from_the_screen_and_its_answer_logs_in(
    mode: str, background: str, within: tuple[str, ...], with_page: WithPage,
    sshd: Callable[..., Sshd], screen: Screen, holder: Holder, log: Log, host_keys: list[Path],
) -> None:  # fmt: skip
    """80 columns by 50 lines are enough, and zbar and ZXing read it without being told how."""
    user = with_page(mode)
    screen.run(background, *within, *sshd().command("alice"), "true", home=str(user.home))
    message = screen.scan(by_zbar)
    assert screen.scan(by_zxing) == message
    assert len(message) > 470, "the largest code that 80 columns take"
    screen.type(str(holder.decrypt(message)).strip())
    wait_for(lambda: bool(log.trex("accepted: user=alice")))


@pytest.mark.parametrize(
    ("mode", "background"), [("qrTerminal", "light"), ("qrTerminalLight", "dark")]
)
def test_on_the_other_background_a_scanner_reads_it_that_reads_inverted_codes(
    mode: str, background: str, with_page: WithPage, sshd: Callable[..., Sshd], screen: Screen,
    holder: Holder,
) -> None:  # fmt: skip
    user = with_page(mode)
    screen.run(background, *sshd().command("alice"), "true", home=str(user.home))
    message = screen.scan(lambda picture: by_zbar(picture, inverted=True))
    assert len(str(holder.decrypt(message)).strip()) == 10
    assert by_zbar(screen.picture()) == "", "or it need not be said which terminal it is for"


def test_without_utf_8_the_text_is_whole_and_logs_in(
    with_page: WithPage, sshd: Callable[..., Sshd], holder: Holder
) -> None:
    """ssh then writes octal numbers for the blocks (vis(3)), and a line says why."""
    with_page("qrTerminal")
    command, *arguments = [*sshd().command("alice"), "echo let in as $(id -un)"]
    terminal = pexpect.spawn(
        command, arguments, encoding="ascii", timeout=120, dimensions=(50, 80),
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    try:
        terminal.expect_exact("Response: ")
        shown = terminal.before.replace("\r\n", "\n")
        assert r"\342\226\210\342\226\210" in shown
        assert "\nNo code, or signs such as \\342 instead? No UTF-8 here: " in shown
        message, end, _ = shown.partition("-----END PGP MESSAGE-----\n")
        begin = message.index("-----BEGIN PGP")
        terminal.sendline(str(holder.decrypt(message[begin:] + end)).strip())
        terminal.expect_exact("let in as alice")
    finally:
        terminal.close(force=True)
