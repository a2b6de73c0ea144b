"""How the page ends, and logins that continue without one."""

from __future__ import annotations

import os
import signal
import time
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.mounts import without_package
from tests.support.page import END_SECONDS, UNAVAILABLE, OpenPrompt, answer_to, wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log

    WithPage = Callable[..., Account]
    Prompt = Callable[..., OpenPrompt]


@pytest.mark.parametrize("response", ["right", "wrong"])
def test_it_ends_with_the_answer_though_its_caller_lives_on(
    response: str, with_page: WithPage, prompt: Prompt, holder: Holder
) -> None:
    """Like su and login, the caller asks a second time in the same process."""
    with_page("webQrAuthTls")
    login = prompt("alice", "--times", "2")
    page = login.page_process()
    login.say(answer_to(holder, login) if response == "right" else response)
    assert wait_until_gone(login.shown.port) < END_SECONDS
    assert login.process.poll() is None
    deadline = time.monotonic() + END_SECONDS
    while Path(f"/proc/{page}").exists():
        assert time.monotonic() < deadline, "no zombie either"
        time.sleep(0.02)


@pytest.mark.parametrize("response", ["right", "wrong", ""])
def test_it_ends_with_the_answer(
    response: str, with_page: WithPage, prompt: Prompt, holder: Holder
) -> None:
    with_page("webQrAuthTls")
    login = prompt("alice")
    port = login.shown.port
    assert port in sandbox.listening_ports()
    login.answer(answer_to(holder, login) if response == "right" else response)
    assert wait_until_gone(port) < END_SECONDS


def test_it_ends_when_the_caller_is_killed(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrAuthTls")
    login = prompt("alice")
    login.process.send_signal(signal.SIGKILL)
    assert wait_until_gone(login.shown.port) < END_SECONDS


def test_it_ends_even_while_it_draws_or_is_stopped(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrAuthTls")
    login = prompt("alice")
    os.kill(login.page_process(), signal.SIGSTOP)
    login.process.send_signal(signal.SIGKILL)
    assert wait_until_gone(login.shown.port) < END_SECONDS


def test_it_ends_at_the_deadline_though_nobody_answers(
    with_page: WithPage, prompt: Prompt, holder: Holder
) -> None:
    with_page("webQrAuthTls")
    login = prompt("alice", arguments=("timeout=10",))
    answer = answer_to(holder, login)
    assert "200 OK" in login.shown.get()
    time.sleep(max(0.0, login.started + 10 - time.monotonic()))
    assert wait_until_gone(login.shown.port) < END_SECONDS
    assert login.answer(answer).verdict == "PAM_AUTH_ERR", "late"


def test_a_page_that_dies_takes_the_login_with_it_not(
    with_page: WithPage, prompt: Prompt, holder: Holder
) -> None:
    with_page("webQrAuthTls")
    login = prompt("alice")
    os.kill(login.page_process(), signal.SIGKILL)
    wait_until_gone(login.shown.port)
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"


def test_a_page_that_never_gets_ready_holds_nobody_up(
    with_page: WithPage, prompt: Prompt, holder: Holder, log: Log
) -> None:
    """For example, its account cannot read the package: the login sees that it has ended."""
    with_page("webQrAuthTls")
    package = sandbox.MODULE / "trex/page/process"
    package.chmod(0o700)
    try:
        login = prompt("alice")
    finally:
        package.chmod(0o755)
    assert login.shown.about.startswith(UNAVAILABLE)
    assert "did not get ready" in log.trex("no page with a QR code")[0]
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"


@pytest.mark.parametrize(
    ("said", "reason"),
    [("import time; time.sleep(60)", "was not ready in 5 seconds"),
     ("import os; os.write(3, b'ready \\x1b[2Jcall 555-1234\\n')", "expected a fingerprint from its process, found s"),
     ("import os; os.write(3, b'ready ' + b'A:' * 5000)", "expected a fingerprint from its process, found s"),
     ("import os; os.write(3, b'ready\\n')", "expected a fingerprint from its process, found s")],
)  # fmt: skip
def test_the_prompt_waits_for_a_fingerprint_not_long_and_for_nothing_else(
    said: str, reason: str, with_page: WithPage, prompt: Prompt, log: Log
) -> None:
    with_page("webQrAuthTls")
    program = sandbox.MODULE / "trex/page/process/main.py"
    # What script/install compiles is used without a look at the source.
    compiled = Path(cache_from_source(str(program)))
    before = program.read_bytes(), compiled.read_bytes()
    try:
        compiled.unlink()
        program.write_text(said)
        login = prompt("alice")
    finally:
        program.write_bytes(before[0])
        compiled.write_bytes(before[1])
    assert login.shown.about.startswith(UNAVAILABLE)
    assert "call" not in login.shown.about
    assert reason in log.trex("no page with a QR code")[0]


def test_a_login_that_fails_before_its_prompt_leaves_no_page(
    with_page: WithPage, ask: Callable[..., sandbox.Asked]
) -> None:
    alice = with_page("webQrAuthTls")
    alice.write("nobody@example.org trust nosign webQrAuthTls\n")
    before = sandbox.listening_ports()
    assert ask("alice").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert sandbox.listening_ports() == before


def test_a_login_that_fails_in_a_caller_that_lives_on_leaves_no_page(
    with_page: WithPage, client: Path
) -> None:
    with_page("webQrAuthTls")
    service = sandbox.pam_service(
        "trex-fails-first",
        f"auth optional {sandbox.DOOR} web_host=localhost gpg=/bin/false",
        f"auth required {sandbox.DOOR} web_host=localhost",
    )
    login = OpenPrompt(client, service, "alice")
    try:
        assert login.page_process(), "of the second one alone"
    finally:
        login.close()


@pytest.mark.parametrize("library", ["tornado", "qrcode", "cryptography"])
def test_a_missing_library_is_no_page(
    library: str, with_page: WithPage, prompt: Prompt, holder: Holder, log: Log
) -> None:
    with_page("webQrAuthTls")
    with without_package(library):
        login = prompt("alice")
    assert login.shown.about.startswith(UNAVAILABLE)
    assert f"python3-{library}" in log.trex("no page with a QR code")[0]
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"
