"""What gpg can do no more: each forbidden call, tried from inside a process started as gpg is.

Python takes gpg's place, with the attempts as its input.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.forked import in_a_child
from trex.errors import GpgFailed, NotStarted
from trex.openpgp import keyring
from trex.openpgp.keyring import Keyring
from trex.system import landlock, seccomp
from trex.system.privilege import find_account

if TYPE_CHECKING:
    from collections.abc import Iterator

if os.geteuid() != 0:
    pytest.skip("only root can start it as somebody else", allow_module_level=True)

ROOT = Path(__file__).parents[3]
PYTHON = os.path.realpath("/usr/bin/python3")
PROGRAM = ["-I", "-S", "-c", "import sys; exec(sys.stdin.read())"]
ATTEMPTS = (ROOT / "tests/support/forbidden.py").read_text(encoding="utf-8")
FIRST = "from __future__ import annotations\n"
REPORT = """
import json, sys
prepare()
extra = {
    "read-ring": lambda: open(f"{home}/pubring.kbx").read(),
    "write-ring": lambda: open(f"{home}/pubring.kbx", "a"),
    "read-secret": lambda: open(f"{home}/private-keys-v1.d/A.key").read(),
    "read-elsewhere": lambda: open(f"{home}/../secret").read(),
    "list-home": lambda: os.listdir(home),
    "touch-home": lambda: os.mknod(f"{home}/new"),
    "run": lambda: os.spawnv(os.P_WAIT, "/bin/true", ["true"]) and 1 / 0,
}
results = {name: outcome({**attempts(), **extra}[name]) for name in told}
print(json.dumps(results))
"""
SOCKETS = ["socket-inet", "socket-inet6", "socket-packet", "socket-alg", "socket-vsock"]
# Denied whatever gpg is started for.
NEVER = [
    *SOCKETS, "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "mount", "unshare",
    "setns", "bpf", "keyctl", "io_uring_setup", "perf_event_open", "userfaultfd",
    "open_by_handle_at",
]  # fmt: skip
# Denied where it starts no daemon.
ALONE = [
    "socket-netlink", "execve", "execve-nearby", "execveat", "fork", "fork-by-number", "kill", "tgkill",
    "pidfd_send_signal", "timer", "session", "group", "lifeline-close", "lifeline-range",
    "lifeline-flags", "lifeline-owner", "lifeline-ioctl", "lifeline-dup",
]  # fmt: skip
FILES = [
    "open-shadow", "open-home", "open-proc", "list-root", "create", "mkdir", "mkfifo", "link",
    "write-ring", "read-secret", "read-elsewhere", "list-home", "touch-home",
]  # fmt: skip
OTHER_MACHINE = ["32-bit", "x32"] if os.uname().machine == "x86_64" else []
needs_filters = pytest.mark.skipif(
    not seccomp.is_available(), reason="this kernel has no filters for system calls"
)
needs_landlock = pytest.mark.skipif(
    landlock.version() == 0, reason="this kernel has no Landlock: only the filter was tested"
)


@pytest.fixture(scope="module")
def confiner() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trex-confine-") as place:
        Path(place).chmod(0o755)
        made = Path(place) / "trex-confine"
        subprocess.run([ROOT / "script/confine", made], check=True)
        yield made


@pytest.fixture
def home(confiner: Path) -> Iterator[Path]:
    account = find_account("nobody")
    made = confiner.parent / "home/.gnupg"
    (made / "private-keys-v1.d").mkdir(parents=True)
    for name in ("pubring.kbx", "private-keys-v1.d/A.key", "../secret"):
        (made / name).write_text("x")
    for path in [made.parent, *made.parent.rglob("*")]:
        os.chown(path, account.uid, account.gid)
    yield made
    shutil.rmtree(made.parent)


def tried(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path, names: list[str],
    user: str = "nobody", program: str = PYTHON, *, daemons: bool = False,
) -> dict[str, object]:  # fmt: skip
    """Return what became of each attempt."""
    monkeypatch.setattr(keyring, "CONFINER", str(confiner))
    monkeypatch.setattr(keyring, "COMMON", PROGRAM)
    told = f"home = {str(home)!r}\ntold = {names!r}\n"
    source = ATTEMPTS.replace(FIRST, FIRST + told) + REPORT
    with Keyring(program, find_account(user), str(home), 60) as gpg:
        start = gpg.start_with_daemons if daemons else gpg.start_alone
        child = start([])
        child.feed(source.encode(), b"")
        finished = child.finish(gpg.deadline)
    child.check_started(finished.status)
    results: dict[str, object] = json.loads(finished.output)
    return results


@needs_filters
@pytest.mark.parametrize("user", ["nobody", "root"])
def test_a_gpg_that_starts_no_daemon_has_files_to_read_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path, user: str
) -> None:
    """Root has every right that a filter could leave."""
    denied = [*NEVER, *ALONE]
    assert tried(monkeypatch, confiner, home, denied, user) == dict.fromkeys(denied, "EPERM")
    assert tried(monkeypatch, confiner, home, ["clone3"], user) == {"clone3": "ENOSYS"}


@needs_landlock
@pytest.mark.parametrize("user", ["nobody", "root"])
def test_its_files_are_the_public_keyring_and_no_secret_key(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path, user: str
) -> None:
    results = tried(monkeypatch, confiner, home, [*FILES, "read-ring", "socket-unix"], user)
    allowed = {"read-ring": "it works", "socket-unix": "it works"}
    assert results == {**dict.fromkeys(FILES, "EACCES"), **allowed}


@needs_landlock
def test_a_keyring_that_is_a_link_is_read_where_it_is(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path
) -> None:
    (home / "pubring.kbx").rename(home.parent / "elsewhere.kbx")
    (home / "pubring.kbx").symlink_to("../elsewhere.kbx")
    names = ["read-ring", "read-elsewhere"]
    results = tried(monkeypatch, confiner, home, names)
    assert results == {"read-ring": "it works", "read-elsewhere": "EACCES"}


@needs_filters
@pytest.mark.parametrize("user", ["nobody", "root"])
def test_a_gpg_that_starts_daemons_can_do_that_and_has_no_network(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path, user: str
) -> None:
    """A smart card's devices come and go by netlink, which has no streams."""
    tried_all = [*NEVER, "run", "kill", "socket-netlink"]
    results = tried(monkeypatch, confiner, home, tried_all, user, daemons=True)
    allowed = {"run": "it works", "kill": "it works", "socket-netlink": "ESOCKTNOSUPPORT"}
    assert results == {**dict.fromkeys(NEVER, "EPERM"), **allowed}


@needs_landlock
def test_it_sends_no_signal_to_others_where_the_kernel_knows_how(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path
) -> None:
    """Also as root. The supervisor is its parent."""
    result = "EPERM" if landlock.version() >= 6 else "it works"
    results = tried(monkeypatch, confiner, home, ["kill-parent"], "root", daemons=True)
    assert results == {"kill-parent": result}


@needs_landlock
def test_its_files_are_the_login_s_home_and_the_account_s_to_read(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path
) -> None:
    denied = [
        "open-home",
        "list-root",
        "create",
        "mkdir",
        "write-ring",
        "read-elsewhere",
        "touch-home",
    ]
    results = tried(monkeypatch, confiner, home, [*denied, "read-ring"], "root", daemons=True)
    assert results == {**dict.fromkeys(denied, "EACCES"), "read-ring": "it works"}


@needs_filters
@pytest.mark.parametrize("name", OTHER_MACHINE)
@pytest.mark.parametrize("daemons", [False, True])
def test_a_call_of_another_machine_ends_it(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path, name: str, daemons: bool
) -> None:
    """Also under a supervisor, which reports it in another way."""
    with pytest.raises(
        GpgFailed, match=r"^gpg made a system call that is denied to it, and was ended$"
    ):
        tried(monkeypatch, confiner, home, [name], "root", daemons=daemons)


@needs_filters
def test_a_script_in_its_place_has_files_and_programs_and_no_network(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path
) -> None:
    script = confiner.parent / "script"
    script.write_text(f'#!/bin/sh\nexec {PYTHON} "$@"\n')
    script.chmod(0o755)
    names = [*NEVER, "run", "read-elsewhere", "list-root"]
    results = tried(monkeypatch, confiner, home, names, "root", str(script))
    allowed = dict.fromkeys(["run", "read-elsewhere", "list-root"], "it works")
    assert results == {**dict.fromkeys(NEVER, "EPERM"), **allowed}


@pytest.mark.parametrize(
    ("program", "reason"),
    [("/nonexistent/gpg", "No such file or directory"), ("/etc/passwd", "Permission denied"),
     ("/etc", "Permission denied")],
)  # fmt: skip
def test_what_cannot_be_run_is_told_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path, program: str, reason: str
) -> None:
    with pytest.raises(NotStarted, match=f"^{program}: run: {reason}$"):
        tried(monkeypatch, confiner, home, ["kill"], program=program)


@needs_filters
@pytest.mark.parametrize(
    ("name", "action"),
    [("seccomp", seccomp.EPERM), ("seccomp", seccomp.ENOSYS), ("seccomp", seccomp.KILL_PROCESS),
     ("landlock_create_ruleset", seccomp.KILL_PROCESS)],
)  # fmt: skip
def test_where_a_container_forbids_filters_gpg_runs_with_what_is_left(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path, name: str, action: int
) -> None:
    """And then Landlock denies the network, since version 4.

    A service of systemd's that may not make such a call is ended for it: there nothing is tried.
    """
    monkeypatch.setitem(seccomp.CALLS, name, {"seccomp": (317, 277)}.get(name, (444, 444)))
    attempts = """
import _socket
print(_socket.socket().connect_ex(("127.0.0.1", 1)))
try:
    _socket.socket().bind(("127.0.0.1", 0))
except OSError as error:
    print(error.errno)
else:
    print(0)
"""

    def run() -> bytes:
        seccomp.install([(name, (), action)], seccomp.ALLOW)
        command = [str(confiner), "alone", str(home), PYTHON, "-I", "-S", "-c", attempts]
        return subprocess.run(command, capture_output=True, check=True).stdout

    has_tcp = landlock.version() >= 4 and action != seccomp.KILL_PROCESS
    expected = [errno.EACCES] * 2 if has_tcp else [errno.ECONNREFUSED, 0]
    assert [int(line) for line in in_a_child(run).split()] == expected


@pytest.mark.parametrize("arguments", [[], ["alone"], ["alone", "/"], ["other", "/", "/bin/true"]])
def test_without_its_arguments_it_runs_nothing(confiner: Path, arguments: list[str]) -> None:
    assert subprocess.run([confiner, *arguments], check=False).returncode == 127


def test_without_it_gpg_runs_all_the_same_and_the_attempts_work(
    monkeypatch: pytest.MonkeyPatch, confiner: Path, home: Path
) -> None:
    """So the tests above can fail."""
    names = ["socket-inet", "fork", "kill", "session", "timer", "lifeline-flags", "lifeline-close",
             "read-secret", "read-elsewhere", "list-home", "touch-home", "write-ring", "keyctl"]  # fmt: skip
    missing = confiner.parent / "missing"
    assert tried(monkeypatch, missing, home, names) == {
        **dict.fromkeys(names, "it works"), "session": "EPERM",  # it leads one already
    }  # fmt: skip
