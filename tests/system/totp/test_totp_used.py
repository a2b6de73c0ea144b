"""A used code stays used, whichever module has accepted it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.codes import FILE, STEADY, code, here, in_one_step, otp_file, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Log

Turns = list[tuple[str, str, bool]]  # stack, code, and whether it is let in
# A file, and what is tried in one step, of which the function gets the number.
RELAYS: dict[str, tuple[str, Callable[[int], Turns]]] = {
    "STEP_SIZE": (text('" TOTP_AUTH', STEADY, '" STEP_SIZE 60'),
                  lambda now: [("trex", code(now), True), ("google", code(now), False),
                           ("google", code(now + 1), True), ("trex", code(now + 1), False)]),
    "WINDOW_SIZE": (text('" TOTP_AUTH', STEADY, '" WINDOW_SIZE 5'),
                    lambda now: [("google", code(now + 2), True),
                             ("trex", code(now + 2), False), ("trex", code(now - 2), True),
                             ("google", code(now - 2), False), ("trex", code(now + 3), False),
                             ("google", code(now + 4), False)]),
    "TIME_SKEW": (text('" TOTP_AUTH', STEADY, '" TIME_SKEW -70'),
                  lambda now: [("trex", code(now - 70), True),
                           ("google", code(now - 70), False), ("trex", code(now - 70), False),
                           ("google", code(now - 69), True), ("trex", code(now - 69), False)]),
    "HOTP_COUNTER": (text('" HOTP_COUNTER 5'),
                     lambda _: [("trex", code(5), True), ("google", code(5), False), ("google", code(7), True),
                              ("trex", code(7), False), ("trex", code(10), True)]),
    "RATE_LIMIT": (text('" TOTP_AUTH', '" RATE_LIMIT 3 3600', "12345678"),
                   lambda _: [("google", "000000", False), ("trex", "000001", False), ("google", "000002", False),
                            ("trex", "12345678", False), ("google", "12345678", False)]),
    "emergency codes": (text('" TOTP_AUTH', "12345678", "23456789"),
                        lambda _: [("trex", "12345678", True), ("google", "12345678", False),
                                 ("google", "23456789", True), ("trex", "23456789", False)]),
}  # fmt: skip


@pytest.mark.parametrize("option", RELAYS)
def test_each_module_goes_on_where_the_other_has_stopped(
    bob: Account, otp: Callable[..., bool], option: str
) -> None:
    """multiOTP #261: a used code stays used even with a known skew."""
    content, turns = RELAYS[option]

    def relay(now: int) -> None:
        bob.write(content, FILE)
        for number, (stack, answer, welcome) in enumerate(turns(now)):
            assert otp(stack, bob, answer) is welcome, (number, stack)

    in_one_step(int((re.findall(r"STEP_SIZE (\d+)", content) or ["30"])[0]), relay)


def test_a_line_that_is_none_of_the_options_is_neither_read_nor_changed(
    bob: Account, otp: Callable[..., bool]
) -> None:
    """CVE-2013-7322 (oath-toolkit): the used code was noted in a line that was commented out."""
    notes = ('#" DISALLOW_REUSE 1', '# " DISALLOW_REUSE', "# DISALLOW_REUSE", '"DISALLOW_REUSE 7')
    bob.write(text(*notes, STEADY, '" TOTP_AUTH'), FILE)
    now = here()
    assert otp("trex", bob, code(now))
    for stack in ("trex", "google"):
        assert not otp(stack, bob, code(now))
    lines = otp_file(bob).read_text().split("\n")
    assert tuple(lines[1 : 1 + len(notes)]) == notes
    assert lines[1 + len(notes)] == f"{STEADY} {now}"


def test_without_disallow_reuse_a_code_is_accepted_once_all_the_same(
    bob: Account, otp: Callable[..., bool], log: Log
) -> None:
    """google-authenticator-libpam #130: it accepts a code again, also after a return from Trex."""
    bob.write(text('" TOTP_AUTH'), FILE)
    now = here()
    assert otp("trex", bob, code(now))
    assert not otp("trex", bob, code(now))
    assert "a code was offered again after its use" in log.everything()
    assert otp("trex", bob, code(now + 1))
    assert otp("google", bob, code(now))
    assert "RESETTING" not in otp_file(bob).read_text(), "a replayed code teaches no skew"
