"""The QR code in the prompt: what it says, when there is none, and what draws it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.mounts import without_package
from tests.support.page import parent
from tests.support.screen import as_picture, by_zbar
from trex.page.terminal import AFTER, BEFORE, UNAVAILABLE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

    Prompt = Callable[..., OpenPrompt]
    WithPage = Callable[..., Account]

DRAWING = re.compile(f"^{BEFORE}([ \u2580\u2584\u2588\n]+){re.escape(AFTER)}", re.MULTILINE)


def drawing(about: str) -> str:
    found = DRAWING.match(about)
    assert found, about
    return found[1]


@pytest.mark.usefixtures("door")
def test_the_code_is_the_message_and_nothing_stays_for_it(
    with_page: WithPage, prompt: Prompt, holder: Holder, log: Log
) -> None:
    with_page("qrTerminal")
    login = prompt("alice")
    children = [pid for pid in sandbox.processes_here() if parent(pid) == login.process.pid]
    assert [pid for pid in children if "matrix" in sandbox.processes_here().get(pid, "")] == []
    code = drawing(login.shown.about)
    assert by_zbar(as_picture(code, is_dark=True)) == login.shown.message
    assert login.shown.about.endswith(f"{code}{AFTER}You have 10 minutes.\nResponse: ")
    assert not login.shown.url
    assert login.answer(str(holder.decrypt(login.shown.message)).strip()).verdict == "PAM_SUCCESS"
    assert not log.trex("no QR code")


@pytest.mark.parametrize(
    ("mode", "argument", "background"),
    [
        ("", "terminal", "dark"),
        ("", "terminal-light", "light"),
        ("qrTerminalLight", "record", "light"),
        ("qrTerminalLight", "terminal", "light"),
        ("qrTerminal", "terminal-light", "dark"),
        ("qrTerminal", "off", ""),
        ("", "record", ""),
    ],
)
def test_record_and_argument_say_for_which_terminal(
    mode: str, argument: str, background: str, with_page: WithPage, prompt: Prompt
) -> None:
    """A user knows their own terminal."""
    with_page(mode)
    shown = prompt("alice", arguments=(f"qr={argument}",)).shown
    if background:
        picture = as_picture(drawing(shown.about), is_dark=background == "dark")
        assert by_zbar(picture) == shown.message
    else:
        assert shown.about == "You have 10 minutes.\nResponse: "


def test_a_page_and_a_code_in_the_prompt_go_together(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthNoTls")
    shown = prompt("alice", arguments=("qr=terminal",)).shown
    assert "200 OK" in shown.get()
    code = drawing(shown.about.partition("\n")[2])
    assert by_zbar(as_picture(code, is_dark=True)) == shown.message


def test_a_message_that_is_too_large_is_shown_as_text_alone(
    alice: Account, keys: Keys, holder: Holder, prompt: Prompt, log: Log
) -> None:
    alice.import_keys(holder.public(keys["rsa2048"]))
    alice.write(f"{keys['rsa2048']} trust nosign qrTerminal\n")
    login = prompt("alice")
    told = "it takes 88 columns by 50 lines, of 80 by 50"
    assert login.shown.about.startswith(f"There is no QR code: {told}.\nYou have 10 minutes.\n")
    assert log.trex(f"no QR code in the prompt: {told} (qr_size=)")
    assert login.answer(str(holder.decrypt(login.shown.message)).strip()).verdict == "PAM_SUCCESS"
    shown = prompt("alice", arguments=("qr_size=100x50",)).shown
    assert by_zbar(as_picture(drawing(shown.about), is_dark=True)) == shown.message


@pytest.mark.usefixtures("door")
def test_without_the_library_the_login_goes_on_with_the_text(
    with_page: WithPage, prompt: Prompt, holder: Holder, log: Log
) -> None:
    with_page("qrTerminal")
    with without_package("qrcode"):
        login = prompt("alice")
    assert login.shown.about == f"{UNAVAILABLE}You have 10 minutes.\nResponse: "
    assert log.trex("no QR code in the prompt: Debian's package python3-qrcode is missing")
    assert login.answer(str(holder.decrypt(login.shown.message)).strip()).verdict == "PAM_SUCCESS"
