"""google-authenticator's file, which its user can write, and a response to it."""

from __future__ import annotations

import hmac
import re
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

from trex.errors import (
    ACCEPTED,
    MISSING,
    WRONG,
    OtherAccount,
    Outcome,
    RecordError,
    TooManyAttempts,
)
from trex.login.options import parse_options
from trex.system.packages import from_debian
from trex.system.privilege import MAX_UID, Account
from trex.totp import method as totp
from trex.totp.state import OtpState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.login.method import Login

PATH = "/home/alice/.google_authenticator"
NOW = 1_700_000_000
ALICE = Account("alice", 1000, 1000, "/home/alice", [])
OPTIONS = ("STEP_SIZE", "WINDOW_SIZE", "TIME_SKEW", "HOTP_COUNTER", "RATE_LIMIT", "DISALLOW_REUSE",
           "TREX_USED_STEPS", "RESETTING_TIME_SKEW", "TREX_UID")  # fmt: skip
ERROR = re.compile(
    rf"{PATH}:([0-9]+): expected (text|a secret in base32|at most 256|"
    r"the numbers of steps|a uid|a number from -?\d+ to \d+|"
    r"1 to \d+ attempts in 1 to \d+ seconds), found (a NUL character|no secret|"
    rf"\d+ characters of secret|another ({'|'.join(OPTIONS)}))"
)
from_debian("pyotp", "python3-pyotp")


class File:
    """The locked file; the next login reads what is written."""

    def __init__(self, content: bytes) -> None:
        self.content = self.written = content

    def replace(self, content: bytes) -> None:
        """Write."""
        self.content = self.written = content


def check(data: bytes) -> None:
    """Rewriting a file changes nothing else in it, and a code is accepted once.

    `data` is a byte of choices, then the response, then from a NUL on the file.
    """
    choices, rest = (data[0], data[1:]) if data else (0, b"")
    response, _, content = rest.partition(b"\0")
    try:
        state = OtpState(content, PATH)
        assert state.uid is None or 0 <= state.uid <= MAX_UID
        check_rewriting(state, content, OPTIONS[choices % len(OPTIONS)], response)
        after, response_text = check_judging(content, choices, response)
        if after != content:  # what was right once is judged by the new file
            check_judging(after, 0, response_text.encode("latin-1"))
    except OtherAccount:
        assert OtpState(content, PATH).uid not in (None, ALICE.uid)
    except RecordError as error:
        place = ERROR.fullmatch(str(error))
        assert place, "and no more of the file than the name of an option"
        assert 1 <= int(place[1]) <= content.count(b"\n") + 1
    except TooManyAttempts as error:
        assert re.fullmatch(rf"{PATH}: more than \d+ attempts in \d+ seconds \(RATE_LIMIT\)",
                            str(error))  # fmt: skip


def check_rewriting(state: OtpState, content: bytes, name: str, value: bytes) -> None:
    """Check that only the lines that have to change are different."""
    assert state.content == content.removesuffix(b"\n") + b"\n"
    assert repr(state) == "<OtpState>"
    assert set(state.secret) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    digits = re.sub(r"[^0-9]", "", value.decode("ascii", "ignore"))[:9]
    changed = OtpState(content, PATH)
    changed.set(name, digits)
    again = OtpState(changed.content, PATH)
    assert again.content == changed.content
    assert again.secret == state.secret
    assert without(changed.content, name) == without(state.content, name)
    assert f'" {name} {digits}\n'.encode() in changed.content
    changed = OtpState(content, PATH)
    changed.replace_emergency_codes(["12345678", "87654321"])
    assert OtpState(changed.content, PATH).emergency_codes == ["12345678", "87654321"]
    kept = changed.content.replace(b"12345678\n87654321\n", b"", 1).split(b"\n")
    codes = state.emergency_codes
    assert [line for line in state.content.split(b"\n")
            if line.strip(b" \t\r").decode("latin-1") not in codes] == [
        line for line in kept if line.strip(b" \t\r").decode("latin-1") not in codes]  # fmt: skip


def without(content: bytes, name: str) -> list[bytes]:
    """Return the lines that are not about an option."""
    about = re.compile(rf'" {name}(?![^ \t\r])'.encode())
    return [line for line in content.split(b"\n") if not about.match(line)]


def check_judging(content: bytes, choices: int, response: bytes) -> tuple[bytes, str]:
    """Judge a response at a known time; return the file after it, and what was offered.

    A choice from 1 to 200 replaces the response by the right code of that index.
    """
    right = right_codes(OtpState(content, PATH))
    offered = response.decode("latin-1")
    if right and 1 <= choices <= 200:
        offered = right[choices % len(right)]
    file = File(content)
    arguments = ["method=totp"] if choices == 255 else ["method=totp", "noskewadj"]
    login = cast("Login", SimpleNamespace(steps=[], warnings=[]))
    clock = SimpleNamespace(time=lambda: NOW)

    @contextmanager
    def locked(*_: object) -> Iterator[File]:
        yield file

    with (
        patch.object(totp, "locked", locked),
        patch.object(totp, "time", clock),
        totp.OneTimeCode(login, parse_options(arguments), ALICE, ALICE, PATH) as challenge,
    ):
        outcome = challenge.judge(offered)
    before, after = OtpState(content, PATH), OtpState(file.written, PATH)
    check_outcome(outcome, offered.strip(), right, after)
    if not after.counter and after.skew == before.skew:
        assert set(right_codes(after)) <= set(right), "no used code comes back"
    told = " ".join([*login.steps, *login.warnings])
    assert len(offered.strip()) < 6 or offered.strip() not in told
    assert before.secret not in told
    return file.written, offered


def check_outcome(outcome: Outcome, offered: str, right: list[str], after: OtpState) -> None:
    """Check that a right code is accepted, and only once."""
    if not offered:
        assert outcome is MISSING
    elif offered not in right:
        assert outcome in (WRONG, MISSING)
    else:
        assert outcome is ACCEPTED
        assert right_codes(after).count(offered) < right.count(offered)


def right_codes(state: OtpState) -> list[str]:
    """Return the codes that are right at NOW (RFC 4226, RFC 6238), computed independently."""
    codes = list(state.emergency_codes)
    if state.counter:
        numbers = range(state.counter, min(state.counter + state.window, 2**63 - 1))
    elif b'" TOTP_AUTH' in state.content:
        middle = NOW // state.step + state.skew
        numbers = range(middle - (state.window - 1) // 2, middle + state.window // 2 + 1)
    else:
        numbers = range(0)
    used = [] if state.counter else state.used_steps
    return [hotp(state.secret, n) for n in numbers if n >= 0 and n not in used] + codes


def hotp(secret: str, number: int) -> str:
    """Return six digits (RFC 4226, 5.3)."""
    bits = "".join(f"{'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.index(c):05b}" for c in secret)
    key = int(bits, 2) >> len(bits) % 8
    digest = hmac.digest(key.to_bytes(len(bits) // 8, "big"), number.to_bytes(8, "big"), "sha1")
    place = digest[-1] & 15
    return f"{(int.from_bytes(digest[place : place + 4], 'big') & 0x7FFFFFFF) % 1000000:06}"
