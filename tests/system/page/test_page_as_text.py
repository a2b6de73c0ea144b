"""The page in browsers without style sheets and scripts."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.page import answer_to
from trex.cli.client.paste import find_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

    Prompt = Callable[..., OpenPrompt]

W3M, LYNX, LINKS = ["w3m", "-dump"], ["lynx", "-dump"], ["links", "-dump"]


def dump(browser: list[str], url: str) -> str:
    """Return what a browser shows of a page, 80 columns wide."""
    return subprocess.run(
        [*browser, url], capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.fixture(params=["cv25519", "rsa4096"])
def login(
    request: pytest.FixtureRequest, alice: Account, keys: Keys, holder: Holder, prompt: Prompt
) -> OpenPrompt:
    alice.import_keys(holder.public(keys[request.param]))
    alice.write(f"{keys[request.param]} trust nosign webQrNoAuthNoTls\n")
    return prompt("alice", arguments=("web_host=127.0.0.1",))


@pytest.mark.parametrize("browser", [W3M, LYNX], ids=" ".join)
def test_what_a_text_browser_shows_decrypts(
    browser: list[str], login: OpenPrompt, holder: Holder
) -> None:
    """Unchanged, with the text before and after the message: gpg searches for its first line."""
    answer = str(holder.decrypt(dump(browser, login.shown.url))).strip()
    assert answer == answer_to(holder, login)
    assert login.answer(answer).verdict == "PAM_SUCCESS"


@pytest.mark.parametrize("browser", [W3M, LYNX, LINKS], ids=" ".join)
def test_trex_respond_finds_the_message_in_what_a_text_browser_shows(
    browser: list[str], login: OpenPrompt, holder: Holder
) -> None:
    """Links puts a space before each line, with which gpg finds nothing."""
    found = find_message(dump(browser, login.shown.url))
    assert found == find_message(login.shown.message)
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"


@pytest.mark.parametrize("browser", [W3M, LYNX, LINKS], ids=" ".join)
def test_what_needs_a_style_sheet_or_a_script_is_not_shown_without_them(
    browser: list[str], login: OpenPrompt
) -> None:
    shown = dump(browser, login.shown.url)
    assert "Answer before" in shown
    assert "time is over" not in shown
    assert "Copy" not in shown
