"""docs/tools.md, the tools that run ssh: each line is run as the page shows it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox, tools
from tests.support.client import BIN
from tests.support.servers import end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.client import Client
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd

FUSE = Path("/dev/fuse")
CRONTABS = Path("/var/spool/cron")
LOCAL = Path("/usr/local/bin")
CRON_S_OWN = ("/run/crond.pid", "/run/crond.reboot")
TEXT = "the report\n"
REFUSALS = (
    "Permission denied", "Cannot answer interactive prompts",
    "Authentication failure", "Login denied",  # curl, on Debian 12 and 13
)  # fmt: skip

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture
def report(laptop: Client) -> str:
    """`report.txt` and `photos` at home."""
    laptop.account.write(TEXT, "report.txt")
    laptop.account.run("mkdir", "photos")
    laptop.account.write(TEXT, "photos/one.jpg")
    return TEXT


def run(laptop: Client, line: str, **settings: str) -> str:
    """Run a line in a shell, without a terminal; return what it prints."""
    done = laptop.run("bash", "-c", line, environment=settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def logins(log: Log) -> int:
    """Return the number of logins, and check that none was refused."""
    assert len(log.trex(" ms=")) == len(log.trex("accepted: user=alice"))
    return len(log.trex("accepted: user=alice"))


def test_git(laptop: Client, alice: Account, log: Log) -> None:
    alice.run("git", "init", "--quiet", "--bare", "project.git")
    run(laptop, tools.line("git"))
    assert (laptop.home / "project/.git").is_dir()
    run(laptop, 'git config --global core.sshCommand "trex ssh"')
    run(laptop, "cd project && git fetch")
    assert logins(log) == 2


def test_rsync(laptop: Client, alice: Account, report: str) -> None:
    run(laptop, tools.line("rsync"))
    assert (alice.home / "photos/one.jpg").read_text() == report


def test_scp(laptop: Client, alice: Account, report: str) -> None:
    run(laptop, tools.line("scp"))
    assert (alice.home / "report.txt").read_text() == report


def test_sftp(laptop: Client, alice: Account, report: str) -> None:
    by_hand, in_a_batch = tools.blocks("sftp")
    terminal = laptop.type("bash", "-c", by_hand)
    terminal.expect_exact("sftp> ")
    terminal.sendline("put report.txt by-hand")
    terminal.expect_exact("sftp> ")
    terminal.sendline("bye")
    terminal.expect(pexpect.EOF)
    laptop.account.write("put report.txt in-a-batch\n", "commands.txt")
    run(laptop, in_a_batch)
    assert {(alice.home / name).read_text() for name in ("by-hand", "in-a-batch")} == {report}


def test_sshfs(laptop: Client, alice: Account) -> None:
    if not FUSE.exists():
        sandbox.make_device(FUSE, 10, 229)  # devices.txt of Linux
    try:
        os.close(os.open(FUSE, os.O_RDWR))
    except OSError as error:
        pytest.skip(f"this kernel has no FUSE: {error.strerror}")
    alice.write(TEXT, "there")
    laptop.account.run("mkdir", "server")
    run(laptop, tools.line("sshfs"))
    try:
        assert run(laptop, "cat server/there") == TEXT
    finally:
        run(laptop, "fusermount3 -u server")


def test_mosh(laptop: Client) -> None:
    terminal = laptop.type("bash", "-c", tools.line("mosh"))
    terminal.expect(r"\$ ")
    terminal.sendline("id -un")
    terminal.expect_exact("alice")
    terminal.sendline("exit")  # not before: mosh draws what is on the screen, not what was
    terminal.expect_exact("[mosh is exiting.]")
    terminal.expect(pexpect.EOF)


@pytest.fixture
def greeting() -> Iterator[bytes]:
    """The reply of a server at the far end of a tunnel."""
    said = b"at the far end\n"
    with socket.create_server(("127.0.0.1", 5432)) as listening:

        def serve() -> None:
            try:
                while True:
                    with listening.accept()[0] as connection:
                        connection.sendall(said)
            except OSError:
                return

        serving = threading.Thread(target=serve)
        serving.start()
        yield said
        listening.shutdown(socket.SHUT_RDWR)
        serving.join(60)


def through_the_tunnel() -> bytes:
    deadline = time.monotonic() + 60
    while True:
        try:
            with socket.create_connection(("127.0.0.1", 5433), 5) as connection:
                if heard := connection.recv(100):
                    return heard
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sessions(user: str) -> list[int]:
    return [pid for pid, name in sandbox.processes_here().items() if f": {user}" in name]


def test_autossh_logs_in_again_when_the_connection_has_gone(
    laptop: Client, greeting: bytes, log: Log
) -> None:
    account = laptop.account
    tunnel = subprocess.Popen(
        ["bash", "-c", f"{tools.line('autossh')} & echo $! > autossh; wait"], cwd=laptop.home,
        env={**laptop.environment, "AUTOSSH_GATETIME": "0"}, stdin=subprocess.DEVNULL,
        user=account.uid, group=account.gid, extra_groups=[],
    )  # fmt: skip
    try:
        assert through_the_tunnel() == greeting
        for session in sessions("alice"):
            os.kill(session, signal.SIGKILL)
        assert through_the_tunnel() == greeting
    finally:
        os.kill(int((laptop.home / "autossh").read_text()), signal.SIGTERM)
        tunnel.wait(60)
    assert logins(log) == 2


def test_lftp(laptop: Client, alice: Account) -> None:
    alice.write(TEXT, "report.txt")
    run(laptop, tools.line("lftp"))
    assert (laptop.home / "report.txt").read_text() == TEXT


def test_proxy_jump(laptop: Client, log: Log) -> None:
    assert run(laptop, f"{tools.line('ProxyJump')} id -un") == "alice\n"
    assert logins(log) == 2


def test_control_master(laptop: Client, log: Log) -> None:
    first, then = tools.blocks("ControlMaster")
    try:
        assert run(laptop, f"{first} id -un") == "alice\n"
        assert run(laptop, f"{then} id -un") == "alice\n"
    finally:
        run(laptop, then.replace("ssh ", "ssh -O exit ", 1))
    assert logins(log) == 1


@pytest.fixture
def cron(laptop: Client) -> Iterator[None]:
    """Directories for cron's tables, and Trex where pip installs it system-wide."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "trex-cron", CRONTABS], check=True)
    subprocess.run(["mount", "--bind", BIN, LOCAL], check=True)
    subprocess.run(
        ["install", "-d", "-g", "crontab", "-m", "1730", CRONTABS / "crontabs"], check=True
    )
    yield
    subprocess.run(["umount", "--lazy", LOCAL, CRONTABS], check=True)
    for path in CRON_S_OWN:
        Path(path).unlink(missing_ok=True)


def test_cron(laptop: Client, alice: Account, report: str, cron: None, log: Log) -> None:
    """When cron starts, and not at night: only the time differs from the page."""
    *_, command = tools.line("cron").split(maxsplit=5)
    laptop.run("crontab", "-", stdin=f"@reboot {command} && touch done\n".encode())
    daemon = subprocess.Popen(["cron", "-f"], stdin=subprocess.DEVNULL)
    try:
        laptop.wait_for("done")
    finally:
        end(daemon)
    assert (alice.home / "photos/one.jpg").read_text() == report
    assert logins(log) == 1


@pytest.mark.parametrize("line", tools.failing())
def test_what_cannot_work_does_not(laptop: Client, server: Sshd, line: str, log: Log) -> None:
    key = (server.directory / "host_key.pub").read_text().split()[1]
    fingerprint = laptop.account.run("ssh-keygen", "-lf", "-", stdin=f"ssh-ed25519 {key}".encode())
    line = line.replace("plink ", f"plink -hostkey {fingerprint.split()[1].decode()} ")
    done = laptop.run("bash", "-c", line)
    assert done.returncode != 0
    assert any(words in done.stdout + done.stderr for words in REFUSALS), done
    assert not log.trex("accepted")
