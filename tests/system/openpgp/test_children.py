"""gpg as a child that misbehaves, hangs or cannot be made; what callers keep: children, descriptors."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

pytestmark = pytest.mark.usefixtures("door")


def test_a_caller_that_ignores_its_children_is_no_problem_and_goes_on_to(
    alice: Account, log_in: Callable[..., Asked]
) -> None:
    asked = log_in("alice", "--ignore-sigchld")
    assert asked.verdict == "PAM_SUCCESS"
    assert asked.facts["sigchld"] == ["ignored"]


def test_a_message_that_gpg_does_not_stand_by_is_not_shown(
    alice: Account, ask: Callable[..., Asked], place: Path
) -> None:
    text = """#!/bin/sh
case " $* " in
  *" --encrypt "*) /usr/bin/gpg "$@" | sed "1a Comment: $(printf 'BODY')"; exit STATUS ;;
esac
exec /usr/bin/gpg "$@"
"""
    for status, body, verdict in (
        ("0", "x", "PAM_AUTH_ERR"),
        ("2", "x", "PAM_AUTHINFO_UNAVAIL"),
        ("0", "\\033[31m", "PAM_AUTHINFO_UNAVAIL"),
        ("0", "\\303\\244", "PAM_AUTHINFO_UNAVAIL"),
    ):
        script = text.replace("STATUS", status).replace("BODY", body)
        argument = program(place, f"gpg-{status}", script)
        assert ask("alice", arguments=(argument,)).verdict == verdict


@pytest.mark.parametrize("signed", [False, True])
def test_a_caller_whose_handler_reaps_all_children(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], signed: bool
) -> None:
    if signed:
        alice.import_keys(holder.secret(keys["signing"]))
        alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    assert log_in("alice", "--reap-sigchld").verdict == "PAM_SUCCESS"


def program(place: Path, name: str, text: str) -> str:
    path = place / name
    path.write_text(text)
    path.chmod(0o755)
    return f"gpg={path}"


MADE_NOTHING = "gpg made no message"
# Lists keys as it should, and goes wrong when it is to encrypt.
ENCRYPTS_BADLY = (
    '#!/bin/sh\ncase " $* " in *" --encrypt "*) exec {bad} "$@";; esac\nexec /usr/bin/gpg "$@"\n'
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\nexec sleep 1000\n", "gpg did not finish in time and was ended"),
        ("#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done\n", "did not finish in time"),
        ("#!/bin/sh\nsleep 1000 & exec 1>&- 3>&-\nwait\n", "did not finish in time"),
        ("#!/bin/sh\nexit 0\n", MADE_NOTHING),
        ("#!/bin/sh\nexit 2\n", MADE_NOTHING),
        ("#!/bin/sh\nkill -9 $$\n", MADE_NOTHING),
        ("#!/bin/sh\nexec 0<&-\nexit 2\n", MADE_NOTHING),
        ("#!/bin/sh\nyes >&3\n", "and was ended"),
        ("#!/bin/sh\nyes\n", "and was ended"),
        ("#!/bin/sh\ncat <&0 >/dev/null; printf -- '-----BEGIN PGP MESSAGE-----\\n'\n", MADE_NOTHING),
        ("#!/bin/sh\nprintf -- '-----BEGIN PGP MESSAGE-----\\n\\nx\\n-----END PGP MESSAGE-----\\n'\n",
         MADE_NOTHING),
        ("#!/bin/sh\nhead -c 1000 /dev/urandom >&3\n", MADE_NOTHING),
        ("#!/nonexistent/interpreter\n", "run: No such file or directory"),
        ("", "run: Exec format error"),
    ],
)  # fmt: skip
def test_a_gpg_that_misbehaves(
    alice: Account, ask: Callable[..., Asked], log: Log, place: Path, text: str, reason: str
) -> None:
    """Advisory CVE-2025-23013: whatever fails, never SUCCESS and never IGNORE, and in time."""
    started = time.monotonic()
    limit = "gpg_timeout=1" if "time" in reason or "ended" in reason else "gpg_timeout=60"
    bad = program(place, "bad-gpg", text)
    later = program(place, "gpg-badly", ENCRYPTS_BADLY.format(bad=bad.removeprefix("gpg=")))
    for gpg in (bad, *([] if reason.startswith("run: ") else [later])):
        asked = ask("alice", arguments=(gpg, limit, "nullok"))
        assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "prompt-us" not in asked.facts
        listed_nothing = gpg == bad and reason == MADE_NOTHING
        assert ("gpg listed no keyring" if listed_nothing else reason) in log.verdict()
        log.clear()
    assert time.monotonic() - started < 50


@pytest.mark.parametrize(
    ("gpg", "reason"),
    [
        ("/nonexistent/gpg", "/nonexistent/gpg: run: No such file or directory"),
        ("/etc/passwd", "/etc/passwd: run: Permission denied"),
        ("/etc", "/etc: run: Permission denied"),
    ],
)
def test_a_gpg_that_cannot_be_run(
    alice: Account, ask: Callable[..., Asked], log: Log, gpg: str, reason: str
) -> None:
    asked = ask("alice", arguments=(f"gpg={gpg}", "nullok"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert reason in log.verdict()


@pytest.mark.parametrize("signed", [False, True])
def test_gpg_ends_with_its_login_however_that_ends(
    alice: Account, holder: Holder, keys: Keys, client: Path, service: Callable[..., str],
    place: Path, signed: bool,
) -> None:  # fmt: skip
    """Every child ends: the caller is killed with -9 while gpg hangs."""
    if signed:
        alice.import_keys(holder.secret(keys["signing"]))
        alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    argument = program(place, "slow-gpg", "#!/bin/sh\nexec sleep 4242\n")
    caller = subprocess.Popen([client, service(argument, "gpg_timeout=300"), "alice"],
                              stdout=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"})  # fmt: skip

    def hanging() -> list[int]:
        return [pid for pid, name in sandbox.processes_here().items() if "sleep 4242" in name]

    wait_until(lambda: bool(hanging()))
    time.sleep(0.2)  # with signing, the second gpg
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    wait_until(lambda: not hanging())


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_full_process_table_is_refused(
    alice: Account, client: Path, service: Callable[..., str], log: Log
) -> None:
    done = subprocess.run(
        ["setpriv", "--reuid=alice", "--regid=alice", "--clear-groups", "prlimit", "--nproc=0",
         client, service("nullok"), "alice"], capture_output=True, check=False,
    )  # fmt: skip
    assert b"verdict 9 " in done.stdout
    assert "Resource temporarily unavailable" in log.everything()


def test_no_descriptor_is_left_in_the_caller(
    alice: Account, client: Path, service: Callable[..., str]
) -> None:
    """Advisory CVE-2018-9275."""
    for arguments in (("debug",), ("gpg=/nonexistent",), ("bogus",)):
        asked = sandbox.ask_pam(
            client, service(*arguments), "alice", "--descriptors", "--times", "3"
        )
        assert all(len(set(fact.split())) == 1 for fact in asked.facts["descriptors"])


def test_a_child_that_fails_early_writes_to_no_descriptor_of_the_caller_s(
    alice: Account, client: Path, service: Callable[..., str], place: Path
) -> None:
    """Where its pipes could not be put in place, 3 is still the caller's own."""
    precious = place / "precious"
    name = service()
    for limit in range(8, 40):
        precious.write_text("precious")
        subprocess.run(
            ["sh", "-c", f'exec 3>>{precious}; exec prlimit --nofile={limit} "$@"', "sh",
             client, name, "alice"], capture_output=True, check=False,
        )  # fmt: skip
        assert precious.read_text() == "precious"


def test_no_free_descriptors_are_refused(
    alice: Account, client: Path, service: Callable[..., str]
) -> None:
    verdicts = set()
    for limit in range(4, 40):
        done = subprocess.run(["prlimit", f"--nofile={limit}", client, service("nullok"), "alice"],
                              capture_output=True, check=False)  # fmt: skip
        verdicts |= set(re.findall(rb"verdict (\d+)", done.stdout))
    assert b"0" not in verdicts
    assert b"25" not in verdicts
    assert b"7" in verdicts, "with enough of them there is a prompt"
