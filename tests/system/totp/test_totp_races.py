"""Many logins at the same moment: one uses the code, and each guess counts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, code, here, otp_file, text, write_altered_service

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.sandbox import Account, Log


@pytest.fixture(scope="module")
def slow(place: Path) -> str:
    """A service of Trex's that pauses between reading the file and comparing.

    Its turn is worth a minute of waiting: who did without it could find the file changed.
    """
    read = "        self._accepted = self._accepted_codes(self._state, self._now)\n"
    name = write_altered_service(
        "otp-slow", "totp/method.py", read, f"        time.sleep(0.1)\n{read}"
    )
    turns = place / name / "trex/system/rewriting.py"
    source = turns.read_text(encoding="utf-8")
    assert source.count("TURN_SECONDS = 1.0\n") == 1
    turns.write_text(source.replace("TURN_SECONDS = 1.0\n", "TURN_SECONDS = 60.0\n"), "utf-8")
    return name


@pytest.mark.parametrize("reuse", ['" DISALLOW_REUSE', '" LATER_LINE'])
def test_of_many_logins_at_once_one_uses_the_code(
    bob: Account, client: Path, slow: str, reuse: str
) -> None:
    """OwnPay #145: checking and marking a code as used was not one atomic step."""
    bob.write(text('" TOTP_AUTH', reuse, "12345678"), FILE)
    for answer in (code(here()), "12345678"):
        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(lambda _, answer=answer: sandbox.ask_pam(
                client, slow, "bob", "--answer", answer), range(8))  # fmt: skip
            assert sorted(one.verdict for one in asked).count("PAM_SUCCESS") == 1
    assert [path.name for path in bob.home.glob(f"*{FILE}*")] == [FILE]


def test_guesses_at_the_same_moment_do_not_get_past_the_limit(
    bob: Account, client: Path, slow: str, stacks: dict[str, str], log: Log
) -> None:
    """open-bastion #186: many processes read one count, and each wrote one more."""
    bob.write(text('" TOTP_AUTH', '" RATE_LIMIT 3 3600', "12345678"), FILE)
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda number: sandbox.ask_pam(
            client, slow, "bob", "--answer", f"2345678{number}"), range(8)))  # fmt: skip
    assert "PAM_SUCCESS" not in {one.verdict for one in asked}
    assert len(log.trex(": wrong response: ")) <= 3
    assert len(log.trex("more than 3 attempts in 3600 seconds")) >= 4
    right = sandbox.ask_pam(client, stacks["trex"], "bob", "--answer", "12345678")
    assert right.verdict == "PAM_AUTHINFO_UNAVAIL"


def test_both_modules_at_once_leave_a_whole_file(
    bob: Account, client: Path, stacks: dict[str, str]
) -> None:
    """google-authenticator takes no lock and may accept a code once more; Trex accepts it once."""
    for number in range(5):
        bob.write(text('" TOTP_AUTH', f"1234567{number}", "23456789"), FILE)
        order = ["trex", "google"] * 3
        with ThreadPoolExecutor(6) as pool:
            asked = list(pool.map(lambda stack, number=number: sandbox.ask_pam(
                client, stacks[stack], "bob", "--answer", f"1234567{number}"), order))  # fmt: skip
        by_trex = [one.verdict for one in asked[::2]]
        assert "PAM_SUCCESS" in {one.verdict for one in asked}
        assert by_trex.count("PAM_SUCCESS") <= 1
        assert otp_file(bob).read_text() == text('" TOTP_AUTH', "23456789")
        assert [path.name for path in bob.home.glob(f"{FILE}*")] == [FILE]
