"""The page's process: what it is, what it knows, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox
from tests.page import (
    END_SECONDS,
    UNAVAILABLE,
    answer_to,
    make_certificate,
    wait_until_gone,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.keys import Holder
    from tests.page import OpenPrompt
    from tests.sandbox import Account, Log
    from tests.system.conftest import Keys

    WithPage = Callable[..., Account]
    Prompt = Callable[..., OpenPrompt]


def test_the_page_s_process_is_nobody_and_can_become_nobody_else(
    with_page: WithPage, prompt: Prompt, account: Callable[[str], Account]
) -> None:
    with_page("webQrAuthTls")
    server = account("webber")
    login = prompt("alice", arguments=("web_user=webber",))
    assert "200 OK" in login.shown.get(), "by now it has taken its last step"
    status = Path(f"/proc/{login.page_process()}/status").read_text()
    facts = dict(line.split(":\t", 1) for line in status.splitlines())
    assert facts["Uid"].split() == [str(server.uid)] * 4
    assert facts["Gid"].split() == [str(server.gid)] * 4
    assert facts["Groups"].split() == [str(server.gid)]
    assert facts["NoNewPrivs"] == "1"
    assert int(facts["CapEff"], 16) == 0
    limits = Path(f"/proc/{login.page_process()}/limits").read_text()
    most = {"core file size": 0, "file size": 0, "processes": 0, "open files": 256,
            "data size": 256 << 20}  # fmt: skip
    for name, value in most.items():
        assert re.search(rf"^Max {name} +{value} +{value} ", limits, re.MULTILINE), name


def test_the_page_s_process_has_nothing_of_the_login(
    with_page: WithPage, prompt: Prompt, holder: Holder, alice: Account
) -> None:
    """Neither in its arguments and environment nor in its memory, where a fork would have it."""
    with_page("webQrAuthTls")
    secret = "a password that another module asked for".replace(" ", "-")
    login = prompt("alice", "--rhost", "203.0.113.7")
    challenge = answer_to(holder, login)
    shown = login.shown
    assert "200 OK" in shown.get()
    process = Path(f"/proc/{login.page_process()}")
    assert (process / "cmdline").read_bytes().split(b"\0")[:4] == [
        b"/usr/bin/python3", b"-I", b"-S", b"-B",
    ]  # fmt: skip
    assert (process / "environ").read_bytes().rstrip(b"\0").split(b"\0") == [
        b"LC_ALL=C", b"PATH=/usr/bin:/bin",
    ]  # fmt: skip
    memory = memory_of(process)
    assert shown.password.encode() in memory, "this looks into the right memory"
    assert challenge.encode() not in memory
    assert secret.encode() not in memory
    assert b"pam_client" not in memory


def memory_of(process: Path) -> bytes:
    """Return all writable memory of a process."""
    content = b""
    with (process / "mem").open("rb") as memory:
        for line in (process / "maps").read_text().splitlines():
            area, rights, *_ = line.split()
            first, last = (int(number, 16) for number in area.split("-"))
            if rights.startswith("rw"):
                memory.seek(first)
                content += memory.read(last - first)
    return content


def test_other_processes_of_its_account_cannot_look_into_it(
    with_page: WithPage, prompt: Prompt, account: Callable[[str], Account]
) -> None:
    with_page("webQrAuthTls")
    server = account("webber")
    login = prompt("alice", arguments=("web_user=webber",))
    assert "200 OK" in login.shown.get()
    process = f"/proc/{login.page_process()}"
    for name in ("mem", "environ", "fd/0", "fd/6"):
        assert not server.run("sh", "-c", f"cat {process}/{name} || true")


def test_only_the_page_s_process_listens(with_page: WithPage, prompt: Prompt) -> None:
    with_page("webQrNoAuthNoTls")
    login = prompt("alice")
    assert not sockets_of(login.process.pid)
    assert len(sockets_of(login.page_process()) & listening_sockets()) == 1


def sockets_of(pid: int) -> set[str]:
    """Return a process's sockets, by inode."""
    names = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return {name[len("socket:[") : -1] for name in names if name.startswith("socket:")}


def listening_sockets() -> set[str]:
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[9] for row in rows if row[3] == sandbox.LISTENING}


SPY = """\
cd {loot}
while :; do
    for fd in /proc/[0-9]*/fd/[067]; do
        case "$(head -c 300 $fd 2>/dev/null)" in
            *PRIVATE* | *credentials*) echo $fd >>taken ;;
        esac
    done
done
"""


def test_no_process_of_its_account_can_open_the_key_on_its_way(
    with_page: WithPage, prompt: Prompt, account: Callable[[str], Account], place: Path
) -> None:
    """Not even in the moment after exec in which the kernel would let it look in."""
    alice = with_page("webQrNoAuthTls", "page.key", "page.pem")
    for path in make_certificate(alice.home):
        alice.own(path, 0o600)
    server = account("webber")
    loot = place / "loot"
    loot.mkdir(mode=0o777)
    loot.chmod(0o777)
    spy = subprocess.Popen(
        ["sh", "-c", SPY.format(loot=loot)],
        user=server.uid, group=server.gid, extra_groups=[], stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(6):
            login = prompt("alice", arguments=("web_user=webber",))
            assert login.shown.fingerprint
            login.answer("x")
    finally:
        spy.kill()
        spy.wait()
    assert not (loot / "taken").exists()


# ------------------------------------------------------------------------------- how it ends


@pytest.mark.parametrize("response", ["right", "wrong"])
def test_it_ends_with_the_answer_though_its_caller_lives_on(
    response: str, with_page: WithPage, prompt: Prompt, holder: Holder
) -> None:
    """As su and login do: here the caller asks a second time, in the same process."""
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
    """Its account cannot read the package, say: the login sees that it has ended."""
    with_page("webQrAuthTls")
    package = sandbox.MODULE / "trex/page"
    package.chmod(0o700)
    try:
        login = prompt("alice")
    finally:
        package.chmod(0o755)
    assert time.monotonic() - login.started < 4
    assert login.shown.about.startswith(UNAVAILABLE)
    assert "did not get ready" in log.trex("no page with a QR code")[0]
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"


@pytest.mark.parametrize(
    ("said", "reason"),
    [("import time; time.sleep(60)", "was not ready in 5 seconds"),
     ("import os; os.write(3, b'ready \\x1b[2Jcall 555-1234\\n')", "else than a fingerprint"),
     ("import os; os.write(3, b'ready ' + b'A:' * 5000)", "else than a fingerprint"),
     ("import os; os.write(3, b'ready\\n')", "else than a fingerprint")],
)  # fmt: skip
def test_the_prompt_waits_for_a_fingerprint_not_long_and_for_nothing_else(
    said: str, reason: str, with_page: WithPage, prompt: Prompt, log: Log
) -> None:
    with_page("webQrAuthTls")
    program = sandbox.MODULE / "trex/page/serve.py"
    before = program.read_bytes()
    try:
        program.write_text(said)
        login = prompt("alice")
    finally:
        program.write_bytes(before)
    assert login.shown.about.startswith(UNAVAILABLE)
    assert "555" not in login.text
    assert reason in log.trex("no page with a QR code")[0]


@pytest.mark.parametrize("limit", ["-f 0", "-n 128", "-d 100000", "-c 0"])
def test_a_caller_with_narrow_limits(
    limit: str, with_page: WithPage, client: Path, service: Callable[..., str], holder: Holder
) -> None:
    alice = with_page("webQrNoAuthTls", "page.key", "page.pem")
    for path in make_certificate(alice.home):
        alice.own(path, 0o600)
    wrapper = sandbox.PLACE / "limited"
    wrapper.write_text(f'#!/bin/sh\nulimit {limit}\nexec {client} "$@"\n')
    wrapper.chmod(0o755)
    options = () if limit == "-f 0" else ("--prompt-file", str(sandbox.PLACE / "limited-prompt"))
    done = subprocess.run(
        [wrapper, *options, "--answer-with", f"tee /dev/stderr | {holder.command()}",
         service("web_host=localhost"), "alice"],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert "\nverdict " in done.stdout, "it was not killed"
    if limit != "-f 0":  # it ends tee and gpg, which have to answer here
        assert "\nverdict 0 " in done.stdout
        assert "https://localhost:" in done.stderr


def test_a_login_that_fails_before_its_prompt_leaves_no_page(
    with_page: WithPage, ask: Callable[..., sandbox.Asked], keys: Keys
) -> None:
    alice = with_page("webQrAuthTls")
    alice.write("nobody@example.org trust nosign webQrAuthTls\n")
    before = sandbox.listening_ports()
    assert ask("alice").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert sandbox.listening_ports() == before


@pytest.mark.parametrize("library", ["tornado", "qrcode", "cryptography"])
def test_a_missing_library_is_no_page(
    library: str, with_page: WithPage, prompt: Prompt, holder: Holder, log: Log, place: Path
) -> None:
    with_page("webQrAuthTls")
    empty = place / "empty"
    empty.mkdir(exist_ok=True)
    there = f"/usr/lib/python3/dist-packages/{library}"
    subprocess.run(["mount", "--bind", empty, there], check=True)
    try:
        login = prompt("alice")
    finally:
        subprocess.run(["umount", there], check=True)
    assert login.shown.about.startswith(UNAVAILABLE)
    assert f"python3-{library}" in log.trex("no page with a QR code")[0]
    assert login.answer(answer_to(holder, login)).verdict == "PAM_SUCCESS"
