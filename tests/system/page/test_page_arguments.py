"""The module arguments about the page."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.page import UNAVAILABLE, answer_to
from tests.support.silent import wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

    WithPage = Callable[..., Account]
    Prompt = Callable[..., OpenPrompt]


def test_web_off(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrAuthTls")
    before = sandbox.listening_ports()
    assert prompt("alice", arguments=("web=off",)).shown.about.startswith("You have")
    assert sandbox.listening_ports() == before


@pytest.mark.parametrize(("address", "other"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_web_bind(address: str, other: str, with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthNoTls")
    port = prompt("alice", arguments=(f"web_bind={address}",)).shown.port
    socket.create_connection((address, port)).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((other, port))


def test_without_web_bind_ipv4_and_ipv6_are_served(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthNoTls")
    port = prompt("alice").shown.port
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, port)).close()


def test_an_address_that_the_host_does_not_have(
    with_page: WithPage, prompt: Prompt, log: Log
) -> None:
    with_page("webQrNoAuthNoTls")
    assert prompt("alice", arguments=("web_bind=192.0.2.1",)).shown.about.startswith(UNAVAILABLE)
    assert log.trex("no page with a QR code: Cannot assign requested address")


def test_web_ports(with_page: WithPage, prompt: Prompt, log: Log) -> None:
    with_page("webQrNoAuthNoTls")
    arguments = ("web_ports=8440-8442",)
    with socket.create_server(("127.0.0.1", 8441)):
        logins = [prompt("alice", arguments=arguments) for _ in range(2)]
        assert {login.shown.port for login in logins} == {8440, 8442}
        third = prompt("alice", arguments=arguments)
        assert third.shown.about.startswith(UNAVAILABLE)
        assert log.trex("no free port from 8440 to 8442 (web_ports=)")
        assert "200 OK" in logins[0].shown.get()
    logins[0].answer("x")
    assert prompt("alice", arguments=arguments).shown.port in {logins[0].shown.port, 8441}


def test_a_port_is_free_again_at_once(with_page: WithPage, prompt: Prompt) -> None:
    """Also where the page has closed connections itself (TIME_WAIT)."""
    with_page("webQrNoAuthNoTls")
    for _ in range(2):
        login = prompt("alice", arguments=("web_ports=8450",))
        assert "200 OK" in login.shown.get()
        login.answer("x")


@pytest.mark.parametrize(
    ("host", "url"),
    [("login.example.org", "https://login.example.org:"), ("192.0.2.7", "https://192.0.2.7:"),
     ("2001:db8::7", "https://[2001:db8::7]:")],
)  # fmt: skip
def test_web_host(host: str, url: str, with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrAuthTls")
    assert prompt("alice", arguments=(f"web_host={host}",)).shown.url.startswith(url)


def test_the_host_s_full_name_comes_from_its_table(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthNoTls")
    name, hosts = os.uname().nodename, Path("/etc/hosts")
    if "." in name:
        assert prompt("alice").shown.host == name
        return
    before = hosts.read_text()
    try:
        hosts.write_text(f"# x.example.org {name}\n127.0.1.1 {name}.example.org {name}\n{before}")
        assert prompt("alice").shown.host == f"{name}.example.org"
        hosts.write_text("127.0.0.1 localhost\n")
        assert prompt("alice").shown.host == name
    finally:
        hosts.write_text(before)


def test_web_max(with_page: WithPage, prompt: Prompt, holder: Holder, log: Log) -> None:
    with_page("webQrNoAuthNoTls")
    arguments = ("web_max=2",)
    first, second, third = (prompt("alice", arguments=arguments) for _ in range(3))
    assert first.shown.url
    assert second.shown.url
    assert third.shown.about.startswith(UNAVAILABLE)
    assert log.trex("2 pages are open already (web_max=)")
    assert third.answer(answer_to(holder, third)).verdict == "PAM_SUCCESS"
    page = first.page_process()
    first.kill()
    wait_until_gone([page])
    assert prompt("alice", arguments=arguments).shown.url, "its place is free again"


@pytest.mark.parametrize("user", ["root", "no-such-account"])
def test_a_web_user_that_cannot_be_is_refused_like_any_argument(
    user: str, alice: Account, ask: Callable[..., sandbox.Asked], log: Log
) -> None:
    assert ask("alice", arguments=(f"web_user={user}",)).verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f"web_user={user}" in log.verdict()


def test_the_user_who_logs_in_is_no_web_user(with_page: WithPage, prompt: Prompt, log: Log) -> None:
    with_page("webQrNoAuthNoTls")
    assert prompt("alice", arguments=("web_user=alice",)).shown.about.startswith(UNAVAILABLE)
    assert log.trex("web_user=alice must be neither root nor the user who logs in")


@pytest.mark.parametrize("user", ["alice", "reader"])
def test_in_central_mode_too_whoever_logs_in_or_reads_is_no_web_user(
    user: str, alice: Account, account: Callable[[str], Account], prompt: Prompt, holder: Holder,
    keys: Keys, log: Log,
) -> None:  # fmt: skip
    """Processes of either account could end the page, or serve another one at its port."""
    reader = account("reader")
    reader.import_keys(holder.public(keys["cv25519"]))
    reader.write(f"{keys['cv25519']} trust nosign webQrNoAuthNoTls\n")
    central = (f"auth_file={reader.record}", f"gnupg_home={reader.gnupg}", "run_as=reader")
    login = prompt("alice", arguments=(*central, f"web_user={user}"))
    assert login.shown.about.startswith(UNAVAILABLE)
    assert log.trex(f"web_user={user} must be neither root nor the user who logs in")
    assert prompt("alice", arguments=central).shown.url
