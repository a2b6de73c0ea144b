"""Codes of a phone's, the file that makes them, and PAM services of Trex and google-authenticator."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING

from pyotp import HOTP

from tests.support import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.sandbox import Account

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEE"  # noqa: S105 (a test's)
FILE = ".google_authenticator"
STEADY = '" DISALLOW_REUSE'
BEHIND = 0.2  # seconds, by which time(2) may be behind: google-authenticator asks it
TRIES = 6
ACCOUNT_LINES = ("account required pam_permit.so", "session required pam_permit.so")


def code(at: int, secret: str = SECRET) -> str:
    return HOTP(secret).at(at)


def here(step: int = 30) -> int:
    return int(time.time()) // step


def early_in_a_step(step: int) -> int:
    """Wait for the beginning of a step, so that it is the same for all that follows at once."""
    while not BEHIND < time.time() % step < step / 4:
        time.sleep(0.02)
    return here(step)


def in_one_step(step: int, attempt: Callable[[int], None]) -> None:
    """Call a function with the number of a step that is the same until its end.

    It begins again where the step was over meanwhile: what it asserts was then of two of them.
    """
    for _ in range(TRIES):
        while time.time() % step < BEHIND:
            time.sleep(0.02)
        now = here(step)
        try:
            attempt(now)
        except AssertionError:
            if here(step) == now:
                raise
        if here(step) == now:
            return
    raise AssertionError(f"no step of {step} seconds was long enough")


def text(*lines: str, secret: str = SECRET) -> str:
    return "".join(f"{line}\n" for line in (secret, *lines))


def otp_file(user: Account) -> Path:
    return user.home / FILE


def without_times(user: Account) -> str:
    """Return the file without what differs: seconds of attempts, and the line of Trex's own."""
    content = otp_file(user).read_text()
    content = re.sub(r'^" TREX_USED_STEPS.*\n', "", content, flags=re.MULTILINE)
    content = re.sub(r"(\d{10})(?=[ \n])", "T", content)
    return re.sub(r"(RESETTING_TIME_SKEW) \d+([+-]\d+)", r"\1 T\2", content)


def write_services() -> dict[str, str]:
    """Write PAM services of either module alone, or beside pam_unix; return their names."""
    trex = f"auth required {sandbox.DOOR} method=totp"
    google = "auth required pam_google_authenticator.so"
    made = {}
    for name, line in (("trex", trex), ("google", google)):
        for arguments in ("", "noskewadj", "no_increment_hotp"):
            made[f"{name} {arguments}".strip()] = sandbox.pam_service(
                f"trex-otp-{name}{arguments}", f"{line} {arguments}", *ACCOUNT_LINES
            )
        made[f"{name} forward"] = sandbox.pam_service(
            f"trex-otp-{name}-forward", f"{line} forward_pass", "auth required pam_unix.so use_first_pass",
            *ACCOUNT_LINES,
        )  # fmt: skip
        for mode in ("try", "use"):
            made[f"{name} {mode}"] = sandbox.pam_service(
                f"trex-otp-{name}-{mode}", "auth [default=ignore] pam_unix.so",
                f"{line} {mode}_first_pass", *ACCOUNT_LINES,
            )  # fmt: skip
    return made


def write_altered_service(
    name: str, module: str, line: str, instead: str, arguments: str = "method=totp nullok"
) -> str:
    """Write a PAM service of a copy of Trex in which one line of a module is another; return its name.

    That is the copy's, too. It begins with what the tests that look at all services know.
    """
    name = f"trex-{name}"
    copy = sandbox.PLACE / name
    shutil.copytree(sandbox.PROJECT / "trex", copy / "trex")
    shutil.copy(sandbox.ENTRY, copy)
    source = (copy / "trex" / module).read_text(encoding="utf-8")
    assert source.count(line) == 1
    (copy / "trex" / module).write_text(source.replace(line, instead), encoding="utf-8")
    entry = f"auth required pam_python.so {copy}/pam_trex.py {arguments}"
    return sandbox.pam_service(name, entry, *ACCOUNT_LINES)
