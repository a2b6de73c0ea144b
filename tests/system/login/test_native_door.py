"""pam_trex.so believes no helper but one that says its verdict once, exactly, and ends well."""

from __future__ import annotations

import ast
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.support import native, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.sandbox import Asked, Log

ENTRIES = ("acct_mgmt", "authenticate", "chauthtok", "close_session", "open_session", "setcred")
FLAGS = ("isolated", "no_site", "dont_write_bytecode", "utf8_mode")
STUB = """\
#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>

pid_t no_fork(void);
int no_kill(pid_t pid, int number);

pid_t no_fork(void)
{{
    errno = EAGAIN;
    return -1;
}}

int no_kill(pid_t pid, int number)
{{
    (void)pid, (void)number;
    return open("{signalled}", O_CREAT | O_WRONLY, 0600);
}}
"""
BLIND = """\
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>
#undef syscall

long blind(long number, ...);
long syscall(long number, ...);

long blind(long number, ...)
{
    sigset_t blocked;

    errno = EMFILE;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int one = 1; one < 32; one++)
        if (one != SIGKILL && one != SIGSTOP && !sigismember(&blocked, one))
            return -1;
    return CAN_CLONE && number == SYS_clone ? syscall(number, 0, 0, 0, 0, 0) : -1;
}
"""
NO_VERDICT = "no valid verdict from "
LIES = {
    "nothing": ("", 0),
    "nothing, and an error": ("", 1),
    "an empty frame": ("door.send(b'')", 0),
    "an unknown frame": ("door.send(b'xsuccess')", 0),
    "a frame with a zero in it": ("door.send(b'vsuccess\\0')", 0),
    "a verdict with a blank": ("door.send(b'vsuccess ')", 0),
    "a verdict in capitals": ("door.send(b'vSUCCESS')", 0),
    "a number": ("door.send(b'v0')", 0),
    "half of a verdict": ("door.send(b'vsuc'); door.send(b'cess')", 0),
    "a verdict without a word": ("door.send(b'v')", 0),
    "success of another kind": ("door.send(b'Vsuccess')", 0),
    "success, but an error": ("door.send(b'vsuccess')", 1),
    "to ignore, but an error": ("door.send(b'vignore')", 1),
    "success, but a signal": ("door.send(b'vsuccess'); os.kill(os.getpid(), signal.SIGKILL)", 0),
    "too long a frame": (
        "door.setsockopt(1, 32, 1 << 20); door.send(b'i' + b'x' * 65536); door.send(b'vsuccess')", 0,
    ),
    "too many frames": ("for _ in range(80): door.send(b'd1')", 0),
    "success after too many frames": (
        "for _ in range(64): door.send(b'd1')\ndoor.send(b'vsuccess')", 0,
    ),
    "success twice": ("door.send(b'vsuccess'); door.send(b'vsuccess')", 0),
    "success, and then another verdict": ("door.send(b'vsuccess'); door.send(b'vauth_err')", 0),
    "to ignore, and then a message": ("door.send(b'vignore'); door.send(b'ihello')", 0),
    "an answer for a question": ("door.send(b'Asuccess')", 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def helper(place: Path) -> Path:
    """Where the module finds the program that it runs."""
    return place / "helper.py"


@pytest.fixture(scope="module")
def liar(place: Path, helper: Path) -> str:
    """Return the service of a module whose helper is the test's, however long that takes."""
    module = native.build(place / "pam_liar.so", helper, *native.PATIENT)
    return native.service("native-liar", module, "debug", "[x=y z]")


@pytest.fixture(scope="module")
def hasty(place: Path, helper: Path) -> str:
    """The same of a module that does not wait long."""
    return native.service(
        "native-hasty", native.build(place / "pam_hasty.so", helper, *native.SHORT)
    )


@pytest.fixture
def lie(helper: Path, liar: str, client: Path, log: Log) -> Callable[..., Asked]:
    """Log in through the module with a helper that does this."""

    def ask(code: str, *options: str, status: int = 0, service: str = liar) -> Asked:
        helper.write_text(f"{native.START}{code}\nos._exit({status})\n")
        log.clear()
        return sandbox.ask_pam(client, service, "root", *options)

    return ask


@pytest.mark.parametrize("kind", LIES)
def test_what_is_no_verdict_is_a_refusal(lie: Callable[..., Asked], log: Log, kind: str) -> None:
    code, status = LIES[kind]
    asked = lie(code, "--state", status=status)
    assert asked.verdict == "PAM_SYSTEM_ERR"
    assert asked.facts["changed"] == ["nothing"]
    assert NO_VERDICT in log.everything()


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("success", "PAM_SUCCESS"), ("ignore", "PAM_IGNORE"), ("auth_err", "PAM_AUTH_ERR"),
     ("user_unknown", "PAM_USER_UNKNOWN"), ("authinfo_unavail", "PAM_AUTHINFO_UNAVAIL"),
     ("maxtries", "PAM_MAXTRIES"), ("conv_err", "PAM_CONV_ERR"), ("system_err", "PAM_SYSTEM_ERR")],
)  # fmt: skip
def test_each_verdict_is_what_it_says(lie: Callable[..., Asked], said: str, verdict: str) -> None:
    # libpam makes of "ignore" by all modules of a stack that nobody has let the user in.
    expected = "PAM_PERM_DENIED" if verdict == "PAM_IGNORE" else verdict
    assert lie(f"door.send(b'v{said}')").verdict == expected


def test_the_first_verdict_counts(lie: Callable[..., Asked]) -> None:
    asked = lie("door.send(b'vauth_err'); door.send(b'vsuccess')")
    assert asked.verdict == "PAM_AUTH_ERR"


@pytest.mark.parametrize("code", ["time.sleep(60)", "door.send(b'vsuccess'); time.sleep(60)"])
def test_a_helper_that_hangs_is_ended(lie: Callable[..., Asked], hasty: str, code: str) -> None:
    begun = time.monotonic()
    assert lie(code, service=hasty).verdict == "PAM_SYSTEM_ERR"
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize(
    "before",
    [
        "pass",
        "door.close()",
        "door.shutdown(2)",
        "os.seteuid(65534); os.seteuid(0)",
        "os.kill(os.getppid(), signal.SIGSTOP)",
    ],
)
def test_a_helper_that_is_stopped_is_ended(
    lie: Callable[..., Asked], hasty: str, before: str
) -> None:
    """After a change of ids it would outlive its parent: PR_SET_PDEATHSIG is gone (prctl(2))."""
    code = f"door.send(b'vsuccess'); {before}; os.kill(os.getpid(), signal.SIGSTOP)"
    assert lie(code, service=hasty).verdict == "PAM_SYSTEM_ERR"


def test_a_keeper_that_cannot_fork_refuses_and_signals_nobody(place: Path, client: Path) -> None:
    """kill(2) of -1 is of every process: so it is not the real one here."""
    stub, signalled = place / "fork.c", place / "signalled"
    stub.write_text(STUB.format(signalled=signalled))
    module = native.build(place / "pam_fork.so", place / "helper.py", *native.SHORT,
                          "-D_Fork=no_fork", "-Dkill=no_kill", str(stub))  # fmt: skip
    asked = sandbox.ask_pam(client, native.service("native-fork", module), "root", "--state")
    assert (asked.verdict, asked.facts["changed"]) == ("PAM_SYSTEM_ERR", ["nothing"])
    assert not signalled.exists()


def test_a_keeper_that_cannot_watch_its_helper_ends_it(
    place: Path, client: Path, helper: Path
) -> None:
    """Otherwise nobody would notice the helper's own end. No handler runs in the keeper, either."""
    stub = place / "watch.c"
    stub.write_text(BLIND)
    helper.write_text(f"{native.START}door.send(b'vsuccess')\n")
    module = native.build(
        place / "pam_watch.so", helper, *native.SHORT, "-DCAN_CLONE=1", "-Dsyscall=blind", str(stub)
    )
    asked = sandbox.ask_pam(client, native.service("native-watch", module), "root", "--state")
    assert (asked.verdict, asked.facts["changed"]) == ("PAM_SYSTEM_ERR", ["nothing"])


def test_where_no_process_is_to_be_had_nothing_is_left_of_the_attempt(
    place: Path, client: Path, helper: Path, log: Log
) -> None:
    stub = place / "none.c"
    stub.write_text(BLIND)
    module = native.build(
        place / "pam_none.so", helper, "-DCAN_CLONE=0", "-Dsyscall=blind", str(stub)
    )
    service = native.service("native-none", module)
    asked = sandbox.ask_pam(client, service, "root", "--state", "--log", "--descriptors")
    assert (asked.verdict, asked.facts["changed"]) == ("PAM_AUTHINFO_UNAVAIL", ["nothing"])
    assert "no process for a login: Too many open files" in log.everything()
    [descriptors] = asked.facts["descriptors"]
    assert len(set(descriptors.split())) == 1


def test_a_login_that_does_not_fit_into_a_frame_is_refused_whatever_the_helper_does(
    place: Path, helper: Path, client: Path
) -> None:
    helper.write_text("import os\nos._exit(0)\n")
    module = native.build(place / "pam_fit.so", helper, "-DEND_MS=20000L")
    service = native.service("native-fit", module)
    asked = sandbox.ask_pam(client, service, "root", "--state", "--ruser", "x" * 70000)
    assert (asked.verdict, asked.facts["changed"]) == ("PAM_SYSTEM_ERR", ["nothing"])


def test_each_frame_is_said_in_its_own_style(lie: Callable[..., Asked]) -> None:
    """pam_conv(3): 1 hides what is typed, 2 shows it, 3 is an error, 4 is not."""
    code = """
for frame in b"ihello", b"roops", b"pHidden: ", b"eShown: ":
    door.send(frame)
    door.recv(99)
door.send(b"d2000000")
door.send(b"vauth_err")"""
    asked = lie(code)
    [delay] = asked.numbers("fail-delay")
    assert 1_000_000 <= delay <= 3_000_000  # libpam varies it by half
    assert asked.facts["say"] == ["4 hello", "3 oops"]
    assert asked.numbers("style") == [1, 2]


@pytest.mark.parametrize(
    ("option", "frame"), [("--no-response", b"N"), ("--conversation-error", b"F")]
)
def test_no_response_is_no_answer(lie: Callable[..., Asked], option: str, frame: bytes) -> None:
    code = f"""
door.send(b"pResponse: ")
door.send(b"vauth_err" if door.recv(99) == {frame!r} else b"vsystem_err")"""
    assert lie(code, option).verdict == "PAM_AUTH_ERR"


def test_the_application_gets_no_signal(lie: Callable[..., Asked]) -> None:
    asked = lie("door.send(b'vauth_err')", "--note-sigchld")
    assert asked.verdict == "PAM_AUTH_ERR"
    assert asked.numbers("child-signals") == [0]
    assert asked.facts["own-child"] == ["kept"]


def test_what_the_application_runs_meanwhile_has_no_end_of_the_socket(
    lie: Callable[..., Asked], place: Path
) -> None:
    said = place / "said"
    code = "door.send(b'pResponse: '); door.recv(99); door.send(b'vauth_err')"
    assert lie(code, "--answer-with", f"ls -l /proc/self/fd > {said}").verdict == "PAM_AUTH_ERR"
    assert "/dev/null" in said.read_text() or "pipe:" in said.read_text()
    assert "socket:" not in said.read_text()


def test_a_helper_without_its_keeper_ends(lie: Callable[..., Asked], hasty: str) -> None:
    """The fixture `nothing_left` looks for it."""
    code = "os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)"
    assert lie(code, service=hasty).verdict == "PAM_SYSTEM_ERR"


def test_what_the_helper_starts_with(lie: Callable[..., Asked], place: Path) -> None:
    """Nothing of the caller's: its environment, descriptors, directory, umask, session, terminal."""
    said = place / "said"
    code = f"""
with open({str(said)!r}, "w") as file:
    print(fields, dict(os.environ), os.getcwd(), os.getsid(0) == os.getpid(), os.umask(0), sep="\\n", file=file)
    print(sorted(int(n) for n in os.listdir("/proc/self/fd") if int(n) < 64), file=file)
    print(*(os.readlink(f"/proc/self/fd/{{n}}") for n in range(3)), file=file)
    print(signal.pthread_sigmask(signal.SIG_BLOCK, ()), file=file)
    print([n for n in range(1, 32) if signal.getsignal(n) == signal.SIG_IGN], file=file)
    print([getattr(sys.flags, name) for name in {FLAGS!r}], "site" in sys.modules, file=file)
door.send(b"vauth_err")
"""
    asked = lie(code, "--rhost", "203.0.113.7", "--block-sigchld", "--ignore-sigchld")
    assert asked.verdict == "PAM_AUTH_ERR"
    fields, environment, directory, leads, umask, descriptors, targets, mask, ignored, python = (
        said.read_text().splitlines()
    )
    flags, caller, *told, last = ast.literal_eval(fields)
    assert (flags, last) == (b"L0", b"")
    assert int(caller) > 1
    assert told == [b"1", b"root", b"native-liar", b"203.0.113.7", b"", b"", b"debug", b"x=y z"]
    assert environment == "{'LC_ALL': 'C'}"
    assert (directory, leads, umask) == ("/", "True", str(0o077))
    assert descriptors.startswith("[0, 1, 2, 3, ")
    assert len(descriptors.split(",")) <= 6  # the file, and the directory itself
    assert targets == "/dev/null /dev/null /dev/null"
    assert mask == "set()"
    assert ignored in ("[13]", "[13, 25]")  # SIGPIPE and SIGXFSZ: Python's own doing
    assert python == "[1, 1, 1, 1] False"


def test_it_exports_what_libpam_calls_needs_nothing_else_and_is_hardened(native_door: Path) -> None:
    def shown(*command: str) -> str:
        return subprocess.check_output([*command, native_door], text=True)

    names = [line.split()[-1] for line in shown("nm", "-D", "--defined-only").splitlines()]
    assert sorted(names) == [f"pam_sm_{name}" for name in ENTRIES]
    dynamic = shown("readelf", "-dW")
    assert re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic) == ["libpam.so.0", "libc.so.6"]
    assert "NOW" in dynamic
    segments = shown("readelf", "-lW")
    assert "GNU_RELRO" in segments
    assert re.search(r"GNU_STACK .* RW ", segments)
    assert {"__stack_chk_fail", "__explicit_bzero_chk"} <= set(
        re.findall(r" U (\w+)", shown("nm", "-D"))
    )
