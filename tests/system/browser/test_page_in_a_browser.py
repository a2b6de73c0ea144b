"""The page as users see it: in a browser, with a phone's camera, without scripts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from selenium.common.exceptions import WebDriverException

from tests.support.journal import wait_for
from tests.support.page import Shown, answer_to
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.browser import Browser
    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

    Browsers = Callable[..., Browser]
    WithPage = Callable[..., Account]
    Prompt = Callable[..., OpenPrompt]

MODES = ["webQrAuthTls", "webQrNoAuthTls", "webQrAuthNoTls", "webQrNoAuthNoTls"]
LOCAL = ("web_host=localhost",)
PHONE = {"width": 360, "height": 740, "scale": 3}


@pytest.fixture
def sshd(service: Callable[..., str]) -> Iterator[Sshd]:
    server = Sshd(service(*LOCAL))
    yield server
    server.close()


@pytest.mark.parametrize("mode", MODES)
def test_from_prompt_to_shell_through_the_camera(
    mode: str, with_page: WithPage, browser: Browsers, sshd: Sshd, holder: Holder
) -> None:
    """Ssh shows the prompt, the browser the page, the phone reads the code, gpg opens it."""
    import pexpect

    with_page(mode)
    ssh = pexpect.spawn(sshd.command("alice")[0], sshd.command("alice")[1:], encoding="utf-8",
                        timeout=120, dimensions=(60, 200))  # fmt: skip
    ssh.expect("Response: ")
    shown = Shown(ssh.before.replace("\r\n", "\n"))
    window = browser()
    window.visit(shown)
    scanned = window.scan()
    assert scanned.strip() == shown.message
    ssh.sendline(str(holder.decrypt(scanned)).strip())
    ssh.expect_exact("$ ")
    ssh.sendline("id -un; exit")
    ssh.expect("alice\r\n")
    ssh.expect(pexpect.EOF)
    ssh.close()
    with pytest.raises(WebDriverException):
        window.visit(shown)


@pytest.mark.parametrize("mode", ["webQrAuthTls", "webQrAuthNoTls"])
def test_without_the_right_password_a_browser_shows_nothing(
    mode: str, with_page: WithPage, prompt: Prompt, browser: Browsers
) -> None:
    with_page(mode)
    shown = prompt("alice", arguments=LOCAL).shown
    window = browser()
    shown.password = "x" * 10
    for known in (False, True):
        window.visit(shown, known=known)
        assert "PGP" not in window.driver.page_source
        assert "alice" not in window.driver.page_source


def test_plain_http_to_a_tls_port(with_page: WithPage, prompt: Prompt, browser: Browsers) -> None:
    with_page("webQrNoAuthTls")
    shown = prompt("alice", arguments=LOCAL).shown
    shown.url = shown.url.replace("https", "http")
    window = browser()
    with pytest.raises(WebDriverException, match=r"ERR_EMPTY_RESPONSE|ERR_CONNECTION"):
        window.visit(shown)


@pytest.mark.parametrize("options", [{}, PHONE, {"dark": True}, {**PHONE, "dark": True}])
@pytest.mark.parametrize("kind", ["cv25519", "rsa4096"])
def test_sharp_and_accessible_at_every_size(
    options: dict[str, object], kind: str, alice: Account, keys: Keys, holder: Holder,
    prompt: Prompt, browser: Browsers,
) -> None:  # fmt: skip
    alice.import_keys(holder.public(keys[kind]))
    alice.write(f"{keys[kind]} trust nosign webQrAuthTls\n")
    shown = prompt("alice", "--rhost", "203.0.113.7", arguments=LOCAL).shown
    window = browser(**options)
    window.visit(shown)
    assert window.scan().strip() == shown.message
    assert window.violations() == []
    assert window.complaints() == []
    wide = window.run("return document.documentElement.scrollWidth - innerWidth")
    assert int(str(wide)) <= 0, "nothing to scroll sideways"
    for told in ("alice", "203.0.113.7"):
        assert told in window.text()


def test_a_message_that_is_too_long_for_a_code(
    alice: Account, keys: Keys, holder: Holder, prompt: Prompt, browser: Browsers
) -> None:
    kinds = [f"rsa2048-{number}" for number in range(8)]
    alice.import_keys(holder.public(*(keys[kind] for kind in kinds)))
    alice.write(",".join(keys[kind] for kind in kinds) + " trust nosign webQrNoAuthTls\n")
    shown = prompt("alice", arguments=LOCAL).shown
    assert len(shown.message) > 2953
    window = browser()
    window.visit(shown)
    assert "too long for one QR code" in window.text()
    assert window.scan() == ""
    assert window.find("#message").text.strip() == shown.message
    assert window.violations() == []


def test_copy_and_countdown_with_the_keyboard(
    with_page: WithPage, prompt: Prompt, browser: Browsers
) -> None:
    from selenium.webdriver.common.keys import Keys as Key

    with_page("webQrNoAuthTls")
    shown = prompt("alice", arguments=("timeout=300", *LOCAL)).shown
    window = browser()
    window.driver.execute_cdp_cmd("Browser.grantPermissions", {
        "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"],
    })  # fmt: skip
    window.visit(shown)
    assert "(4:" in window.text()
    window.find("body").send_keys(Key.TAB)
    focused = window.driver.switch_to.active_element
    assert focused.text == "Copy"
    focused.send_keys(Key.ENTER)
    deadline = time.monotonic() + 60
    while window.find("#said").text != "Copied.":
        assert time.monotonic() < deadline, window.text()
        time.sleep(0.05)
    window.run("window.copied = null; navigator.clipboard.readText().then(t => window.copied = t)")
    while (copied := window.run("return window.copied")) is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert str(copied).strip() == shown.message


def test_copying_works_without_a_clipboard_interface_too(
    with_page: WithPage, prompt: Prompt, browser: Browsers
) -> None:
    """Plain HTTP has none, except on localhost."""
    with_page("webQrNoAuthNoTls")
    shown = prompt("alice", arguments=("web_host=127.0.0.1",)).shown
    window = browser()
    window.visit(shown)
    window.run("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    window.find("#copy").click()
    deadline = time.monotonic() + 60
    while "opied" not in window.find("#said").text:
        assert time.monotonic() < deadline, window.find("#said").text
        time.sleep(0.05)


@pytest.mark.parametrize("seconds", [14, 16])
@pytest.mark.parametrize("scripts", [True, False])
def test_after_the_deadline_the_page_says_so(
    scripts: bool, seconds: int, with_page: WithPage, prompt: Prompt, browser: Browsers
) -> None:
    with_page("webQrNoAuthTls")
    window = browser(scripts=scripts)
    login = prompt("alice", arguments=(f"timeout={seconds}", *LOCAL))
    window.visit(login.shown)
    assert login.shown.message.splitlines()[3] in window.text()
    assert "time is over" not in window.read_out()
    time.sleep(max(0.0, login.started + seconds - time.monotonic()))
    wait_for(lambda: "The time is over" in window.read_out())
    if scripts:  # which comes to it within the next second
        wait_for(lambda: window.run("return document.documentElement.className") == "late")
    assert window.read_out().count("The time is over") == 1
    assert "message as text" not in window.text()
    assert "BEGIN PGP" not in window.text()
    assert window.scan() == ""
    if scripts:
        assert window.violations() == []


def test_without_scripts_everything_but_the_extras_is_there(
    with_page: WithPage, prompt: Prompt, browser: Browsers, holder: Holder
) -> None:
    with_page("webQrAuthTls")
    login = prompt("alice", arguments=LOCAL)
    window = browser(scripts=False)
    window.visit(login.shown)
    assert window.scan().strip() == login.shown.message
    assert "Answer before" in window.text()
    assert "UTC" in window.text()
    assert "left)" not in window.text()
    assert "Copy" not in window.text()
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"
