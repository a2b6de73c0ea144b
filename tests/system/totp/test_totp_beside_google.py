"""method=totp beside Debian's google-authenticator: the same file, the same verdicts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.codes import (
    FILE,
    SECRET,
    code,
    here,
    in_one_step,
    otp_file,
    text,
    without_times,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

GOOGLE = ["google-authenticator", "--force", "--quiet", "--no-confirm", "--qr-mode=NONE"]
TIME = [*GOOGLE, "--time-based"]


@pytest.mark.parametrize(
    "command",
    [
        [*TIME, "--disallow-reuse", "--rate-limit=3", "--rate-time=30", "--minimal-window"],
        [*TIME, "--disallow-reuse", "--no-rate-limit", "--window-size=17"],
        [*TIME, "--allow-reuse", "--no-rate-limit", "--minimal-window", "--step-size=60"],
        [
            *TIME,
            "--disallow-reuse",
            "--rate-limit=5",
            "--rate-time=60",
            "--window-size=3",
            "--emergency-codes=10",
        ],
        [*GOOGLE, "--counter-based", "--no-rate-limit", "--minimal-window"],
        [*GOOGLE, "--counter-based", "--rate-limit=4", "--rate-time=30", "--window-size=17"],
    ],
    ids=lambda command: " ".join(command[len(GOOGLE) :]),
)
@pytest.mark.parametrize("first", ["trex", "google"])
def test_a_file_of_google_authenticator_s_serves_both_modules(
    bob: Account, otp: Callable[..., bool], command: list[str], first: str
) -> None:
    """A code used in the one is used in the other, and so is an emergency code."""
    bob.run(*command)
    made = otp_file(bob).read_text()
    secret, mode = made.split("\n")[0], otp_file(bob).stat().st_mode
    second = "google" if first == "trex" else "trex"
    step = int((re.findall(r"STEP_SIZE (\d+)", made) or ["30"])[0])
    right = code(1, secret) if "HOTP_COUNTER" in made else code(here(step), secret)
    assert otp(first, bob, right)
    if "DISALLOW_REUSE" in made or "HOTP_COUNTER" in made:
        assert not otp(second, bob, right), "used is used"
    emergency = re.findall(r"^(\d{8})$", made, re.MULTILINE)[1]
    bob.write(re.sub(r'(" RATE_LIMIT \d+ \d+).*', r"\1", otp_file(bob).read_text()), FILE)
    otp_file(bob).chmod(mode)
    assert otp(second, bob, emergency)
    assert not otp(first, bob, emergency)
    assert emergency not in otp_file(bob).read_text()
    assert otp_file(bob).stat().st_mode == mode
    assert otp_file(bob).stat().st_uid == bob.uid


Sequence = list[tuple[str, str]]  # stack's suffix, and the code
# A file, and what is tried in one step, of which the function gets the number.
CASES: dict[str, tuple[str, Callable[[int], Sequence]]] = {
    "reuse": (text('" DISALLOW_REUSE', '" TOTP_AUTH'),
              lambda now: [("", code(now)), ("", code(now)), ("", code(now + 1)),
                       ("", code(now)), ("", code(now + 5))]),
    "rate": (text('" RATE_LIMIT 3 30', '" TOTP_AUTH', "12345678"),
             lambda _: [("", "000000"), ("", "12345679"), ("", "x"), ("", "12345678")]),
    "rate, in time": (text('" RATE_LIMIT 3 30', '" TOTP_AUTH'),
                      lambda now: [("", "000000"), ("", "12345679"), ("", code(now))]),
    "emergency": (text('" TOTP_AUTH', "12345678", "23456789", '" LATER_LINE x', "34567890"),
                  lambda _: [("", "34567890"), ("", "34567890"), ("", "12345678"), ("", "2345678"),
                           ("", "23456789"), ("", "123456789")]),
    "emergency codes end": (text('" TOTP_AUTH', "12345678", "not a code", "23456789"),
                            lambda _: [("", "23456789"), ("", "12345678")]),
    "only emergency codes": (text("12345678"),
                             lambda now: [("", code(now)), ("", "12345678")]),
    "window 1": (text('" WINDOW_SIZE 1', '" TOTP_AUTH', '" STEP_SIZE 60'),
                 lambda now: [("", code(now + 1)), ("", code(now - 1)),
                          ("", code(now))]),
    "window 4": (text('" WINDOW_SIZE 4', '" TOTP_AUTH', '" STEP_SIZE 20', '" DISALLOW_REUSE'),
                 lambda now: [("", code(now + 3)), ("", code(now - 2)),
                          ("", code(now - 1)), ("", code(now + 2)), ("", code(now))]),
    "skew": (text('" TIME_SKEW 100', '" TOTP_AUTH', '" DISALLOW_REUSE'),
             lambda now: [("noskewadj", code(now)), ("", code(now + 100))]),
    "skew that is noted": (text('" TOTP_AUTH'), lambda now: [("", code(now + 40))] * 2),
    "skew that is not": (text('" TOTP_AUTH'), lambda now: [("noskewadj", code(now + 40))]),
    "counter": (text('" HOTP_COUNTER 5', '" WINDOW_SIZE 3'),
                lambda _: [("", code(4)), ("", code(6)), ("", code(6)), ("", code(8)), ("", code(13)),
                         ("", "x"), ("", "12345678"), ("", code(10))]),
    "counter stays": (text('" HOTP_COUNTER 5'),
                      lambda _: [("no_increment_hotp", "000000"), ("no_increment_hotp", code(5)),
                               ("no_increment_hotp", "000000")]),
    "both": (text('" HOTP_COUNTER 5', '" TOTP_AUTH'), lambda now: [("", code(now)), ("", code(6))]),
    "lenient secret": (text('" TOTP_AUTH', secret=SECRET.lower().replace("b", "8")),
                       lambda now: [("", code(now))]),
    "shapes": (text('" TOTP_AUTH'),
               lambda now: [("", f"x{code(now)}"), ("", code(now)[1:]), ("", f"+{code(now)[1:]}"),
                        ("", f"{code(now)}x"), ("", "")]),
    "bad step": (text('" TOTP_AUTH', '" STEP_SIZE 61'), lambda now: [("", code(now))]),
    "bad rate": (text('" TOTP_AUTH', '" RATE_LIMIT 3'), lambda now: [("", code(now))]),
    "bad secret": ('1!\n" TOTP_AUTH\n', lambda now: [("", code(now))]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_both_modules_say_and_write_the_same(
    bob: Account, carol: Account, otp: Callable[..., bool], case: str
) -> None:
    """Compare bob with Trex and carol with google-authenticator, file by file."""
    content, codes = CASES[case]

    def try_all(now: int) -> None:
        bob.write(content, FILE)
        carol.write(content, FILE)
        verdicts: dict[str, list[bool]] = {"trex": [], "google": []}
        for suffix, answer in codes(now):
            for stack, user in (("trex", bob), ("google", carol)):
                verdicts[stack].append(otp(f"{stack} {suffix}".strip(), user, answer))
            assert without_times(bob) == without_times(carol), answer
        assert verdicts["trex"] == verdicts["google"]

    in_one_step(int((re.findall(r"STEP_SIZE (\d+)", content) or ["30"])[0]), try_all)
