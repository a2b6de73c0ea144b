"""pam_trex.so in callers that are hard on a module, and find themselves as they were."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import native, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.sandbox import Account

GROWN_KB = 100
AS_AUTHTOK = """
door.send(b's' + response)
assert door.recv(65536) == b'A'
door.send(b'g')
assert door.recv(65536)[1:] == response"""
# Whoever runs a set-user-ID program, at the lowest priority.
AS_NOBODY = {"user": 65534, "group": 65534, "extra_groups": [], "preexec_fn": lambda: os.nice(19)}


@pytest.fixture(scope="module")
def callers(place: Path) -> Path:
    made = place / "callers"
    source = sandbox.PROJECT / "tests/support/callers.c"
    subprocess.run(["gcc", *native.STRICT, "-o", made, source, "-lpam"], check=True)
    return made


@pytest.fixture
def call(callers: Path, place: Path) -> Callable[..., list[str]]:
    """Log in as one of tests/support/callers.c; return what it prints."""

    def run(
        how: str, helper: str, *count: str, user: str = "root",
        options: tuple[str, ...] = native.PATIENT, caller: Mapping[str, Any] = {},
    ) -> list[str]:  # fmt: skip
        path = place / "called.py"
        path.write_text(f"{native.START}{helper}\nos._exit(0)\n")
        service = native.service("called", native.build(place / "pam_called.so", path, *options))
        done = subprocess.run([callers, how, service, user, *count], capture_output=True, text=True,
                              check=True, timeout=300, **caller)  # fmt: skip
        said: list[str] = done.stdout.splitlines()
        return said

    return run


def test_a_set_user_id_program_that_has_given_up_its_caller_s_id_is_left_as_su_is(
    call: Callable[..., list[str]], callers: Path, alice: Account, place: Path
) -> None:
    callers.chmod(0o4755)
    said = place / "said"
    helper = f"open({str(said)!r}, 'w').write(str(os.getpriority(0, 0))); door.send(b'vauth_err')"
    assert call("root", helper, user=alice.name, caller=AS_NOBODY) == ["verdict 7", "children 0"]
    assert said.read_text() == "0"
    callers.chmod(0o755)


def test_a_process_of_root_s_with_another_real_id_is_left_as_su_is(
    call: Callable[..., list[str]], place: Path
) -> None:
    """Whoever has that id could signal it."""
    said = place / "said"
    helper = f"open({str(said)!r}, 'w').write(str(os.getresuid())); door.send(b'vauth_err')"
    assert call("real", helper) == ["verdict 7", "children 0"]
    assert said.read_text() == "(0, 0, 0)"


def test_a_program_without_rights_has_a_helper_without_rights(
    call: Callable[..., list[str]], alice: Account
) -> None:
    helper = "door.send(b'vauth_err' if set(os.getresuid()) == {65534} else b'vsystem_err')"
    assert call("alarms", helper, user=alice.name, caller=AS_NOBODY) == ["verdict 7", "children 0"]


def test_a_descriptor_of_the_caller_s_does_not_reach_the_helper(
    call: Callable[..., list[str]], place: Path
) -> None:
    said = place / "said"
    helper = f"""
open({str(said)!r}, "w").write(str([n for n in range(4, 100) if os.path.exists(f"/proc/self/fd/{{n}}")]))
door.send(b"vauth_err")"""
    with Path("/dev/null").open() as one:
        assert call("alarms", helper, caller={"pass_fds": [one.fileno()]}) == [
            "verdict 7",
            "children 0",
        ]
    assert said.read_text() in ("[]", "[4]")  # the file that says it


@pytest.mark.parametrize("use", ["", AS_AUTHTOK])
def test_no_copy_of_a_response_or_a_password_stays_in_the_caller(
    call: Callable[..., list[str]], use: str
) -> None:
    helper = (
        f"door.send(b'pResponse: '); response = door.recv(65536)[1:]{use}\ndoor.send(b'vauth_err')"
    )
    assert call("secret", helper) == ["verdict 7", "left 0", "children 0"]


def test_the_end_of_a_login_waits_for_no_deadline(call: Callable[..., list[str]]) -> None:
    begun = time.monotonic()
    said = call("twice", "door.send(b'vsuccess')", options=("-DEND_MS=60000L",))
    assert said == ["verdict 0"] * 2 + ["children 0"]
    assert time.monotonic() - begun < 50


def test_many_logins_in_one_process_leave_nothing_in_it(call: Callable[..., list[str]]) -> None:
    """Thousands do not either: docs/attacks.md says what was measured."""
    grown, children = call(
        "many", "door.send(b'ihello'); door.recv(9); door.send(b'vauth_err')", "40"
    )
    assert int(grown.removeprefix("grown ")) <= GROWN_KB
    assert children == "children 0"


def test_a_helper_that_ends_is_noticed_where_other_children_have_its_end_of_the_socket(
    call: Callable[..., list[str]],
) -> None:
    """Then nothing closes by itself, and only the keeper's word is quick."""
    begun = time.monotonic()
    said = call("forks", "os._exit(1)", options=("-DSILENCE_MS=60000L",))
    assert said == ["verdict 4"] * 3 + ["children 50"]
    assert time.monotonic() - begun < 50


def test_a_helper_that_hangs_is_ended_where_other_children_have_the_caller_s_end(
    call: Callable[..., list[str]],
) -> None:
    """After a change of ids it would not end with its keeper; `nothing_left` looks for it."""
    helper = "os.seteuid(65534); os.seteuid(0); door.send(b'vsuccess'); time.sleep(60)"
    assert call("forks", helper, options=native.SHORT) == ["verdict 4"] * 3 + ["children 50"]


def test_a_caller_that_reaps_whatever_ends_keeps_nobody_waiting(
    call: Callable[..., list[str]],
) -> None:
    said = call("reaps", "door.send(b'vauth_err')", options=("-DEND_MS=500L",))
    assert said == ["verdict 7"] * 3 + ["children 0"]


@pytest.fixture
def wrong(native_door: Path) -> str:
    """Return a service whose user answers wrongly."""
    return native.service("native-callers", native_door)


@pytest.mark.parametrize(
    ("how", "said"),
    [("threads", ["verdict 7"] * 8 + ["children 0"]), ("forks", ["verdict 7"] * 3 + ["children 50"]),
     ("alarms", ["verdict 7", "children 0"]), ("closed", ["verdict 7", "children 0"])],
)  # fmt: skip
def test_a_hard_caller_is_served_and_finds_itself_unchanged(
    alice: Account, callers: Path, wrong: str, how: str, said: list[str]
) -> None:
    done = subprocess.run([callers, how, wrong, alice.name], capture_output=True, text=True,
                          check=True, timeout=120)  # fmt: skip
    assert done.stdout.splitlines() == said


def test_a_caller_without_a_free_descriptor_is_refused(
    alice: Account, callers: Path, wrong: str
) -> None:
    done = subprocess.run([callers, "full", wrong, alice.name], capture_output=True, text=True,
                          check=True, timeout=120)  # fmt: skip
    first, second, children = done.stdout.splitlines()
    assert (first, children) == ("verdict 7", "children 0")
    assert second in ("verdict 9", "verdict 28", "verdict 26")  # libpam reads no service then
