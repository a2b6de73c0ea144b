"""The page's process: what it is and knows, who can inspect it, which limits it works with."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.page import answer_to
from tests.support.tls import pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.page import OpenPrompt
    from tests.support.sandbox import Account

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
    """Neither in its arguments, its environment nor its memory, where a fork would have them."""
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
    names = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile: it still starts
            names.append(os.readlink(entry))
    return {name[len("socket:[") : -1] for name in names if name.startswith("socket:")}


def listening_sockets() -> set[str]:
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[9] for row in rows if row[3] == sandbox.LISTENING}


# Of the processes that it can inspect, only the sandbox's: other sandboxes have the same ids.
SPY = """\
cd {loot}
while :; do
    for fd in /proc/[0-9]*/fd/[067]; do
        [ ${{fd%%/fd/*}}/ns/mnt -ef /proc/self/ns/mnt ] || continue
        case "$(head -c 300 $fd 2>/dev/null)" in
            *PRIVATE* | *credentials*) echo $fd >>taken ;;
        esac
    done
done
"""


def test_no_process_of_its_account_can_open_the_key_on_its_way(
    with_page: WithPage, prompt: Prompt, account: Callable[[str], Account], place: Path
) -> None:
    """Not even in the moment after exec, when the kernel would allow it."""
    alice = with_page("webQrNoAuthTls", "page.key", "page.pem")
    pair(alice, "page")
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


@pytest.mark.parametrize("limit", ["-f 0", "-n 128", "-d 100000", "-c 0"])
def test_a_caller_with_narrow_limits(
    limit: str, with_page: WithPage, client: Path, service: Callable[..., str], holder: Holder
) -> None:
    alice = with_page("webQrNoAuthTls", "page.key", "page.pem")
    pair(alice, "page")
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
    if limit != "-f 0":  # it ends tee and gpg, which are needed here
        assert "\nverdict 0 " in done.stdout
        assert "https://localhost:" in done.stderr
