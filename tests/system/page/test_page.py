"""The page with the QR code: what it shows to whom, and how it ends."""

from __future__ import annotations

import os
import re
import socket
from html import unescape
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.network import read_all
from tests.support.page import END_SECONDS, answer_to, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account

    WithPage = Callable[..., Account]
    Prompt = Callable[..., OpenPrompt]

MODES = {
    "webQrAuthTls": (True, True),
    "webQrNoAuthTls": (False, True),
    "webQrAuthNoTls": (True, False),
    "webQrNoAuthNoTls": (False, False),
}


def text_of(page: str) -> str:
    """Return the armored message that a page shows."""
    found = re.search(r"<pre[^>]*>\n(.*?)\n</pre>", page.replace("\r\n", "\n"), re.DOTALL)
    assert found
    return unescape(found[1])


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_shows_the_message_and_lets_its_holder_in(
    mode: str, with_page: WithPage, prompt: Prompt, holder: Holder
) -> None:
    with_page(mode)
    authentication, tls = MODES[mode]
    login = prompt("alice", arguments=("web_host=localhost",))
    shown = login.shown
    assert shown.scheme == ("https" if tls else "http")
    assert shown.host == "localhost"
    assert bool(shown.user_name) == bool(shown.password) == authentication
    assert bool(shown.fingerprint) == tls
    assert len(shown.about.splitlines()) == 1 + authentication + tls + 2
    page = shown.get()
    assert page.startswith("HTTP/1.1 200 OK")
    assert "<svg" in page
    assert text_of(page) == shown.message
    assert shown.get(known=False).startswith(
        "HTTP/1.1 401 Unauthorized" if authentication else "HTTP/1.1 200 OK"
    )
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"
    assert wait_until_gone(shown.port) < END_SECONDS


def test_a_login_without_a_page_says_nothing_of_one(alice: Account, prompt: Prompt) -> None:
    before = sandbox.listening_ports()
    assert prompt("alice").shown.about.startswith("You have")
    assert sandbox.listening_ports() == before


def test_credentials_are_new_at_each_login(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrAuthTls")
    first, second = prompt("alice").shown, prompt("alice").shown
    each = {first.user_name, first.password, second.user_name, second.password}
    assert len(each) == 4
    assert first.fingerprint != second.fingerprint
    second.user_name, second.password = first.user_name, first.password
    assert second.get().startswith("HTTP/1.1 401")


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !",
        "Basic Og==",
        "Basic \u00e9",
        "Bearer {right}",
        "Basic {right}=",
        "Basic {right}\x01",
        "Basic {wrong_password}",
        "Basic {wrong_user}",
        "Basic {only_password}",
        "{right}",
        "Basic {right}, Basic {right}",
    ],
)
def test_whoever_does_not_know_both_words_sees_nothing(
    authorization: str, with_page: WithPage, prompt: Prompt
) -> None:
    from base64 import b64encode

    with_page("webQrAuthNoTls")
    shown = prompt("alice").shown
    user, password = shown.user_name, shown.password
    words = {
        "right": f"{user}:{password}",
        "wrong_password": f"{user}:{password[:-1]}",
        "wrong_user": f"{user}x:{password}",
        "only_password": f":{password}",
    }
    encoded = {name: b64encode(word.encode()).decode() for name, word in words.items()}
    with shown.connect() as visitor:
        line = f"Authorization: {authorization.format(**encoded)}\r\n".encode()
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n" + line + b"\r\n")
        answer = read_all(visitor)
    assert answer.startswith((b"HTTP/1.1 401 Unauthorized", b"HTTP/1.1 400 Bad Request"))
    assert b"PGP" not in answer
    assert b"alice" not in answer
    assert f"basic {encoded['right']}".encode() not in answer


def test_the_scheme_s_name_may_be_in_any_case(with_page: WithPage, prompt: Prompt) -> None:
    from base64 import b64encode

    with_page("webQrAuthNoTls")
    shown = prompt("alice").shown
    token = b64encode(f"{shown.user_name}:{shown.password}".encode()).decode()
    assert "200 OK" in shown.get("--header", f"Authorization: bAsIc {token}", known=False)


def test_an_open_page_tells_a_stranger_nothing_beyond_the_message(
    with_page: WithPage, prompt: Prompt
) -> None:
    with_page("webQrNoAuthTls")
    page = prompt("alice", "--rhost", "203.0.113.7").shown.get()
    for secret in ("alice", "203.0.113.7", os.uname().nodename, "trex-test"):
        assert not re.search(rf"\b{re.escape(secret)}\b", page)


def test_an_authenticated_page_tells_for_whom_it_is(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrAuthTls")
    page = unescape(prompt("alice", "--rhost", '<b>"203&').shown.get())
    for told in ("alice", '<b>"203&', os.uname().nodename, "trex-test"):
        assert f"<dd>{told}" in page


def test_what_a_visitor_is_told_is_escaped(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrAuthTls")
    shown = prompt("alice", "--rhost", "<script>\n{{message}}{{code}}").shown
    page = shown.get()
    assert "{{message}}{{code}}" in page
    assert page.count("<svg") == 1
    assert "&lt;script&gt;\\n" in page
    assert page.count("<script") == 1


@pytest.mark.parametrize("mode", MODES)
def test_headers(mode: str, with_page: WithPage, prompt: Prompt) -> None:
    with_page(mode)
    shown = prompt("alice").shown
    for page in (shown.get(), shown.get(known=False), shown.get(path="no"), shown.get("-XPUT")):
        head = page.replace("\r\n", "\n").partition("\n\n")[0].lower()
        assert "\ncache-control: no-store\n" in head
        policy = re.sub(
            r"'nonce-[0-9a-f]{32}'|'none'", "X", re.findall("security-policy: (.*)", head)[0]
        )
        assert policy == (
            "default-src X; script-src X; style-src X; img-src data:; "
            "base-uri X; form-action X; frame-ancestors X"
        )
        assert "\nx-content-type-options: nosniff\n" in head
        assert "\nreferrer-policy: no-referrer\n" in head
        assert "\nserver:" not in head
        assert "tornado" not in page.lower()
        assert "\nset-cookie" not in head
    nonces = {re.findall(r"nonce-(\w+)", shown.get())[0] for _ in range(3)}
    assert len(nonces) == 3


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "", 200), ("HEAD", "", 200), ("POST", "", 405), ("PUT", "", 405), ("DELETE", "", 405),
     ("OPTIONS", "", 405), ("TRACE", "", 405), ("get", "", 405), ("BREW", "", 405),
     ("GET", "favicon.ico", 404), ("GET", "?x", 404), ("GET", "%2e%2e/etc/passwd", 404),
     ("GET", "../../etc/passwd", 404), ("GET", "{{message}}", 404), ("POST", "x", 404), ("HEAD", "x", 404)],
)  # fmt: skip
def test_only_the_page_and_only_reading(
    method: str, path: str, status: int, with_page: WithPage, prompt: Prompt
) -> None:
    with_page("webQrNoAuthNoTls")
    shown = prompt("alice").shown
    options = ["--head"] if method == "HEAD" else ["--request", method, "--path-as-is"]
    answer = shown.get(*options, path=path)
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert ("\nAllow: GET, HEAD" in answer) == (status == 405)
    if method == "HEAD":
        assert answer.endswith("\n\n")
        assert "<" not in answer
    if status == 404:
        assert "PGP" not in answer


def test_a_request_may_name_the_whole_address(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthNoTls")
    shown = prompt("alice").shown
    assert "200 OK" in shown.get("--request-target", shown.url)
    assert "404 Not Found" in shown.get("--request-target", f"{shown.url}x")


def test_what_is_no_http_gets_nothing(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthNoTls")
    shown = prompt("alice").shown
    for request in (b"\0" * 100 + b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9\r\n\r\n",
                    b"GET / HTTP/1.1\r\nA: b\r\n c: \xff\r\n: x\r\n\r\n",
                    b"GET / HTTP/1.1\r\nContent-Length: -1\r\nTransfer-Encoding: x\r\n\r\n"):  # fmt: skip
        with shown.connect() as visitor:
            visitor.sendall(request)
            visitor.shutdown(socket.SHUT_WR)
            read_all(visitor)
    assert "200 OK" in shown.get()
