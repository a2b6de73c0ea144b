"""What google-authenticator's options mean for one attempt: rate, reuse, and wrong clocks.

The numbers are those of pam_google_authenticator, so that either module can continue with the
other's file. Everything here works on a `trex.totp.state.OtpState` and changes nothing else.
"""

from functools import partial
from itertools import pairwise

from trex.totp.state import MAX_COUNTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyotp import HOTP

    from trex.totp.state import OtpState

MAX_SKEW = 25 * 60  # steps: half a day of 30 seconds
CONSECUTIVE = 3  # codes in a row tell how wrong a clock is
MAX_GAP = 2  # steps between two of them


class AcceptedCode:
    """A code that is right now, and what its use changes in the state."""

    __slots__ = ("identity", "note_use", "text")

    def __init__(self, text: str, identity: str, note_use: "Callable[[], object]") -> None:
        self.text = text  # what the user types
        # Tells it from an equal code of another moment: the step, the next counter, or the code.
        self.identity = identity
        self.note_use = note_use

    def __repr__(self) -> str:
        return "<AcceptedCode>"


def accepted_codes(
    state: "OtpState", codes: "HOTP", now: int, *, adjust_skew: bool
) -> list[AcceptedCode]:
    """Return the codes that are right at `now` (Unix time) and not used yet.

    `codes` computes them; `adjust_skew` also accepts the code that proves another time skew.
    """
    if state.counter:
        accepted = [_of_counter(state, codes, counter) for counter in counters_in_window(state)]
    elif state.is_time_based:
        accepted = _of_clock(state, codes, now, adjust_skew=adjust_skew)
    else:
        accepted = []
    for text in state.emergency_codes:
        accepted.append(AcceptedCode(text, text, partial(state.remove_emergency_code, text)))
    return accepted


def _of_counter(state: "OtpState", codes: "HOTP", counter: int) -> AcceptedCode:
    following = str(counter + 1)
    return AcceptedCode(codes.at(counter), following, partial(state.set, "HOTP_COUNTER", following))


def _of_clock(
    state: "OtpState", codes: "HOTP", now: int, *, adjust_skew: bool
) -> list[AcceptedCode]:
    used = state.used_steps
    uses = {step: partial(spend, state, step) for step in steps_in_window(state, now)}
    if adjust_skew:
        for step in steps_that_complete(state, now):
            uses.setdefault(step, partial(adopt_skew, state, now, step))
    return [
        AcceptedCode(codes.at(step), str(step), note_use)
        for step, note_use in uses.items()
        if step not in used
    ]


def count_attempt(state: "OtpState", now: int) -> str:
    """Note an attempt at `now` (Unix time); return why it is not allowed, or ""."""
    if not (limit := state.rate_limit):
        return ""
    attempts, seconds, *times = limit
    recent = [*_recent(times, seconds, now), now]
    state.set("RATE_LIMIT", " ".join(map(str, [attempts, seconds, *recent[-attempts:]])))
    if len(recent) > attempts:
        return f"more than {attempts} attempts in {seconds} seconds (RATE_LIMIT)"
    return ""


def blocked_until(state: "OtpState", now: int) -> int:
    """Return when the next attempt is allowed (Unix time): `now`, or later under RATE_LIMIT."""
    if not (limit := state.rate_limit):
        return now
    attempts, seconds, *times = limit
    recent = _recent(times, seconds, now)
    return recent[-attempts] + seconds + 1 if len(recent) >= attempts else now


def _recent(times: list[int], seconds: int, now: int) -> list[int]:
    return sorted(time for time in times if now - seconds <= time <= now)


def steps_in_window(state: "OtpState", now: int) -> list[int]:
    """Return the steps whose codes are right at `now`, including used ones."""
    middle = now // state.step + state.skew
    before = (state.window - 1) // 2
    return [step for step in range(middle - before, middle + state.window // 2 + 1) if step >= 0]


def counters_in_window(state: "OtpState") -> list[int]:
    """Return the counters whose codes are right, and whose next counter can still be written."""
    return list(range(state.counter, min(state.counter + state.window, MAX_COUNTER)))


def steps_that_complete(state: "OtpState", now: int) -> list[int]:
    """Return the steps that, after two attempts just before, prove that a clock is wrong.

    Such a code is the third in a row: each comes one or two steps after the one before, and all are
    ahead or behind by the same number of steps, plus or minus one. Their own steps rise as well,
    and all are newer than any code that was accepted. For older codes it is unknown which were
    used: someone who has seen three could replay them, to log in or to have the owner's refused.
    """
    here = now // state.step
    earlier = state.resetting[1 - CONSECUTIVE :]
    if len(earlier) < CONSECUTIVE - 1:
        return []
    times = [*(step for step, _ in earlier), here]
    skews = [skew for _, skew in earlier]
    if not all(0 < later - first <= MAX_GAP for first, later in pairwise(times)):
        return []
    nearby = range(max(skews) - 1, min(skews) + 2)
    codes_of = [newest_used(state), *map(sum, earlier)]
    if not all(first < later for first, later in pairwise(codes_of)):
        return []
    return [here + skew for skew in nearby if abs(skew) < MAX_SKEW and here + skew > codes_of[-1]]


def newest_used(state: "OtpState") -> int:
    """Return the last step whose code was accepted, -1 for none."""
    return max(state.used_steps, default=-1)


def adopt_skew(state: "OtpState", now: int, step: int) -> None:
    """Adopt the skew that three codes in a row prove; `step` is the last code's."""
    proof = [*state.resetting[1 - CONSECUTIVE :], (now // state.step, step - now // state.step)]
    total = sum(skew for _, skew in proof)
    state.set("TIME_SKEW", str(int(total / CONSECUTIVE)))  # towards zero, as in C
    state.set("RESETTING_TIME_SKEW", "")
    for at, skew in proof:  # someone watching has seen all three
        spend(state, at + skew)


def note_skew(state: "OtpState", codes: "HOTP", offered: str, now: int) -> bool:
    """Note the skew at which `offered` would be right, for later; tell whether there is one.

    A step that is not newer than every used step proves nothing (see `steps_that_complete`).
    """
    here = now // state.step
    newest = newest_used(state)
    found = None
    for away in range(MAX_SKEW):  # always all, so that the time taken does not tell the result
        for skew in (-away, away):
            if here + skew < 0:
                continue
            matches = codes.at(here + skew) == offered
            if matches and here + skew > newest and found is None:
                found = skew
    attempts = state.resetting[-CONSECUTIVE:]
    if found is None or (attempts and sum(attempts[-1]) == here + found):
        return False
    attempts = [*attempts, (here, found)][-CONSECUTIVE:]
    state.set("RESETTING_TIME_SKEW", " ".join(f"{step}{skew:+d}" for step, skew in attempts))
    return True


def spend(state: "OtpState", step: int) -> None:
    """Mark the code of `step` as used, and drop steps that are out of the window."""
    near = [used for used in state.used_steps if abs(used - step) < state.window and used != step]
    state.set_used_steps([*near, step])
