"""The page in windows of all sizes: the code is visible at once, and so is its end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.support.journal import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Browser
    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

    Browsers = Callable[..., Browser]
    Prompt = Callable[..., OpenPrompt]
    WithPage = Callable[..., Account]

# Width and height in CSS pixels: phones upright and on their side, laptops, screens.
WINDOWS = [
    (320, 480), (360, 640), (412, 915), (480, 480), (480, 320), (568, 320), (640, 360), (640, 480),
    (740, 360), (768, 1024), (1024, 768), (1080, 1920), (1280, 600), (1366, 514), (1920, 1080),
]  # fmt: skip
ENOUGH = 600  # a code of this size need not be larger
SHARE = 0.72  # of the window's shorter side
LONG = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff, by a name that is as long as names can be"
LOCAL = ("web_host=localhost",)


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("kind", ["cv25519", "rsa4096"])
def test_the_code_is_in_sight_without_scrolling(
    kind: str, scripts: bool, alice: Account, keys: Keys, holder: Holder, prompt: Prompt,
    browser: Browsers,
) -> None:  # fmt: skip
    alice.import_keys(holder.public(keys[kind]))
    alice.write(f"{keys[kind]} trust nosign webQrAuthTls\n")
    shown = prompt("alice", "--rhost", LONG, arguments=LOCAL).shown
    window = browser(scripts=scripts)
    window.visit(shown)
    for width, height in WINDOWS:
        for dark in (False, True):
            size = (width, height, dark)
            window.resize(width, height, dark=dark, scale=3)
            left, top, right, bottom = window.box(".code svg")
            assert left >= 0, size
            assert top >= 0, size
            assert right <= width, size
            assert bottom <= height, size
            side = min(right - left, bottom - top)
            assert side >= min(ENOUGH, SHARE * min(width, height)), size
            assert nothing_to_scroll_sideways(window), size
            assert window.scan(whole=False).strip() == shown.message, size


@pytest.mark.parametrize("scripts", [True, False])
def test_the_end_is_in_sight_in_every_window(
    scripts: bool, with_page: WithPage, prompt: Prompt, browser: Browsers
) -> None:
    with_page("webQrAuthTls")
    window = browser(scripts=scripts)
    login = prompt("alice", "--rhost", LONG, arguments=("timeout=15", *LOCAL))
    window.visit(login.shown)
    time.sleep(max(0.0, login.started + 15 - time.monotonic()))
    wait_for(lambda: "The time is over" in window.read_out())
    for width, height in WINDOWS:
        for dark in (False, True):
            size = (width, height, dark)
            window.resize(width, height, dark=dark)
            left, top, right, bottom = window.box("#over")
            assert 0 <= left < left + 100 < right <= width, size
            assert 0 <= top < top + 40 < bottom <= height, size
            assert "The time is over" in window.read_out(), size
            assert nothing_to_scroll_sideways(window), size
            assert window.scan() == "", size


def nothing_to_scroll_sideways(window: Browser) -> bool:
    return int(str(window.run("return document.documentElement.scrollWidth - innerWidth"))) <= 0
