"""The `trex` command in the sandbox, as root or as somebody else, with or without a terminal; and what it leaves."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from typing import TYPE_CHECKING

import pexpect

from tests.support.sandbox import MODULE, processes_here
from tests.support.silent import state_of

if TYPE_CHECKING:
    from tests.support.sandbox import Account

PYTHON = ["/usr/bin/python3", "-B", "-m", "trex.cli"]
PIPE = "<(...)"


def environment(account: Account | None) -> dict[str, str]:
    """Return a clean environment in which the command is found."""
    home = str(account.home) if account else "/root"
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(MODULE), "TERM": "dumb"}  # fmt: skip


def trex(
    *arguments: str, account: Account | None = None, stdin: bytes = b"", seconds: float = 180
) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal; as root where no account is given."""
    who = (
        {"user": account.uid, "group": account.gid, "extra_groups": [], "cwd": account.home}
        if account
        else {"cwd": "/"}
    )
    done = subprocess.run(
        [*PYTHON, *arguments], input=stdin, capture_output=True, check=False, timeout=seconds,
        env=environment(account), start_new_session=True, **who,
    )  # fmt: skip
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )


def with_pipe(content: bytes, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command as root, with PIPE in `words` as the shell's `<(...)` names a pipe."""
    reading, writing = os.pipe()
    try:
        os.write(writing, content)
        os.close(writing)
        named = [f"/dev/fd/{reading}" if word == PIPE else word for word in words]
        return subprocess.run(
            [*PYTHON, *named], capture_output=True, text=True, check=False, pass_fds=[reading],
            env=environment(None), stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        os.close(reading)


def on_terminal(
    *arguments: str, account: Account | None = None, columns: int = 200
) -> pexpect.spawn:
    """Start the command on a pseudo-terminal; what is shown is in the object's `before`."""
    command = [*PYTHON, *arguments]
    if account:
        command = ["setpriv", "--reuid", str(account.uid), "--regid", str(account.gid),
                   "--clear-groups", *command]  # fmt: skip
    return pexpect.spawn(
        command[0], command[1:], env=environment(account), encoding="utf-8", timeout=120,
        echo=False, dimensions=(60, columns), cwd=str(account.home) if account else "/",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in background
    )  # fmt: skip


def finish(terminal: pexpect.spawn) -> int:
    """Read to the end and return the exit status."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    status: int = terminal.exitstatus if terminal.exitstatus is not None else -terminal.signalstatus
    return status


def wait_until_it_reads(words: str) -> None:
    """Wait until the process with `words` in its command line sleeps at its question.

    Python sees a signal that comes after the question is shown, and before it reads, only when
    something is typed.
    """
    deadline = time.monotonic() + 60
    while not any(words in name and state_of(pid) == "S" for pid, name in processes_here().items()):
        assert time.monotonic() < deadline, f"nothing sleeps in {words}"
        time.sleep(0.01)


def record_of(account: Account) -> str:
    """Return the record without comments, after a look at who may read it."""
    status = account.record.lstat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (account.uid, 0o600)
    lines = account.record.read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#"))


def leftovers(account: Account) -> list[str]:
    return [path.name for path in account.home.iterdir() if path.name.endswith(".new")]


def options_of(central: list[str]) -> list[str]:
    """Return the command's options for the module's arguments."""
    return [word for argument in central for word in
            ("--" + argument.partition("=")[0].replace("_", "-"), argument.partition("=")[2])]  # fmt: skip
