"""method=totp beside Debian's google-authenticator: the same file, the same verdicts, and safer."""

from __future__ import annotations

import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox
from tests.codes import (
    ACCOUNT_LINES,
    FILE,
    SECRET,
    code,
    early_in_a_step,
    here,
    otp_file,
    text,
    write_altered_service,
)
from tests.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.keys import Holder
    from tests.sandbox import Account, Asked, Log


@pytest.fixture
def trex_otp(ask: Callable[..., Asked]) -> Callable[..., Asked]:
    def log_in(user: str, answer: str, *arguments: str) -> Asked:
        return ask(user, "--answer", answer, arguments=("method=totp", *arguments))

    return log_in


# ---------------------------------------------------------------------------- being the same

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
CASES: dict[str, tuple[str, Callable[[], Sequence]]] = {
    "reuse": (text('" DISALLOW_REUSE', '" TOTP_AUTH'),
              lambda: [("", code(here())), ("", code(here())), ("", code(here() + 1)),
                       ("", code(here())), ("", code(here() - 5))]),
    "rate": (text('" RATE_LIMIT 3 30', '" TOTP_AUTH', "12345678"),
             lambda: [("", "000000"), ("", "12345679"), ("", "x"), ("", "12345678")]),
    "rate, in time": (text('" RATE_LIMIT 3 30', '" TOTP_AUTH'),
                      lambda: [("", "000000"), ("", "12345679"), ("", code(here()))]),
    "emergency": (text('" TOTP_AUTH', "12345678", "23456789", '" LATER_LINE x', "34567890"),
                  lambda: [("", "34567890"), ("", "34567890"), ("", "12345678"), ("", "2345678"),
                           ("", "23456789"), ("", "123456789")]),
    "emergency codes end": (text('" TOTP_AUTH', "12345678", "not a code", "23456789"),
                            lambda: [("", "23456789"), ("", "12345678")]),
    "only emergency codes": (text("12345678"),
                             lambda: [("", code(here())), ("", "12345678")]),
    "window 1": (text('" WINDOW_SIZE 1', '" TOTP_AUTH', '" STEP_SIZE 60'),
                 lambda: [("", code(early_in_a_step(60) + 1)), ("", code(here(60) - 1)),
                          ("", code(here(60)))]),
    "window 4": (text('" WINDOW_SIZE 4', '" TOTP_AUTH', '" STEP_SIZE 20', '" DISALLOW_REUSE'),
                 lambda: [("", code((now := early_in_a_step(20)) + 3)), ("", code(now - 2)),
                          ("", code(now - 1)), ("", code(now + 2)), ("", code(now))]),
    "skew": (text('" TIME_SKEW 100', '" TOTP_AUTH', '" DISALLOW_REUSE'),
             lambda: [("noskewadj", code(here())), ("", code(here() + 100))]),
    "skew that is noted": (text('" TOTP_AUTH'), lambda: [("", code(here() + 40))] * 2),
    "skew that is not": (text('" TOTP_AUTH'), lambda: [("noskewadj", code(here() + 40))]),
    "counter": (text('" HOTP_COUNTER 5', '" WINDOW_SIZE 3'),
                lambda: [("", code(4)), ("", code(6)), ("", code(6)), ("", code(8)), ("", code(13)),
                         ("", "x"), ("", "12345678"), ("", code(10))]),
    "counter stays": (text('" HOTP_COUNTER 5'),
                      lambda: [("no_increment_hotp", "000000"), ("no_increment_hotp", code(5)),
                               ("no_increment_hotp", "000000")]),
    "both": (text('" HOTP_COUNTER 5', '" TOTP_AUTH'), lambda: [("", code(here())), ("", code(6))]),
    "lenient secret": (text('" TOTP_AUTH', secret=SECRET.lower().replace("b", "8")),
                       lambda: [("", code(here()))]),
    "shapes": (text('" TOTP_AUTH'),
               lambda: [("", f"x{code(here())}"), ("", code(here())[1:]), ("", f"+{code(here())[1:]}"),
                        ("", f"{code(here())}x"), ("", "")]),
    "bad step": (text('" TOTP_AUTH', '" STEP_SIZE 61'), lambda: [("", code(here(61)))]),
    "bad rate": (text('" TOTP_AUTH', '" RATE_LIMIT 3'), lambda: [("", code(here()))]),
    "bad secret": ('1!\n" TOTP_AUTH\n', lambda: [("", code(here()))]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_both_modules_say_and_write_the_same(
    bob: Account, carol: Account, otp: Callable[..., bool], case: str
) -> None:
    """Side by side: bob with Trex and carol with google-authenticator, file by file."""
    content, codes = CASES[case]
    bob.write(content, FILE)
    carol.write(content, FILE)
    sequence = codes()
    verdicts: dict[str, list[bool]] = {"trex": [], "google": []}
    for suffix, answer in sequence:
        for stack, user in (("trex", bob), ("google", carol)):
            verdicts[stack].append(otp(f"{stack} {suffix}".strip(), user, answer))
        assert without_times(bob) == without_times(carol), answer
    assert verdicts["trex"] == verdicts["google"]


def without_times(user: Account) -> str:
    """Return the file without what differs: seconds of attempts, and the line of Trex's own."""
    content = otp_file(user).read_text()
    content = re.sub(r'^" TREX_USED_STEPS.*\n', "", content, flags=re.MULTILINE)
    content = re.sub(r"(\d{10})(?=[ \n])", "T", content)
    return re.sub(r"(RESETTING_TIME_SKEW) \d+([+-]\d+)", r"\1 T\2", content)


STEP = 4  # seconds, as short as a busy machine allows


def in_three_steps(
    begin: Callable[[], object], turns: list[Callable[[int], object]]
) -> list[object]:
    """Take turns at the beginning of three steps in a row; return what each of them returns.

    Begins again where the machine was too slow, and a step was over before its turn.
    """
    for _ in range(6):
        begin()
        steps, told = [], []
        for turn in turns:
            steps.append(early_in_a_step(STEP))
            told.append(turn(steps[-1]))
            if here(STEP) != steps[-1]:
                break
            time.sleep(STEP / 2)
        else:
            if steps[-1] - steps[0] <= len(turns):
                return told
    raise AssertionError("no three steps in a row in six times")


def test_three_codes_in_a_row_teach_both_the_same_skew(
    bob: Account, carol: Account, otp: Callable[..., bool]
) -> None:
    def begin() -> None:
        for user in (bob, carol):
            user.write(text('" TOTP_AUTH', f'" STEP_SIZE {STEP}'), FILE)

    def both(now: int) -> list[bool]:
        verdicts = [otp("trex", bob, code(now + 50)), otp("google", carol, code(now + 50))]
        noted.append(without_times(bob).count("+50"))
        return verdicts

    noted: list[int] = []
    assert in_three_steps(begin, [both] * 3) == [[False, False], [False, False], [True, True]]
    assert noted[-3:] == [1, 2, 0]
    assert without_times(bob) == without_times(carol)
    for user in (bob, carol):
        assert '" TIME_SKEW 50\n' in otp_file(user).read_text()


Turns = list[tuple[str, str, bool]]  # stack, code, and whether it is let in
STEADY = '" DISALLOW_REUSE'
RELAYS: dict[str, tuple[str, Callable[[], Turns]]] = {
    "STEP_SIZE": (text('" TOTP_AUTH', STEADY, '" STEP_SIZE 60'),
                  lambda: [("trex", code(now := early_in_a_step(60)), True), ("google", code(now), False),
                           ("google", code(now + 1), True), ("trex", code(now + 1), False)]),
    "WINDOW_SIZE": (text('" TOTP_AUTH', STEADY, '" WINDOW_SIZE 5'),
                    lambda: [("google", code((now := early_in_a_step(30)) + 2), True),
                             ("trex", code(now + 2), False), ("trex", code(now - 2), True),
                             ("google", code(now - 2), False), ("trex", code(now + 3), False),
                             ("google", code(now + 4), False)]),
    "TIME_SKEW": (text('" TOTP_AUTH', STEADY, '" TIME_SKEW -70'),
                  lambda: [("trex", code((now := early_in_a_step(30)) - 70), True),
                           ("google", code(now - 70), False), ("trex", code(now - 70), False),
                           ("google", code(now - 69), True), ("trex", code(now - 69), False)]),
    "HOTP_COUNTER": (text('" HOTP_COUNTER 5'),
                     lambda: [("trex", code(5), True), ("google", code(5), False), ("google", code(7), True),
                              ("trex", code(7), False), ("trex", code(10), True)]),
    "RATE_LIMIT": (text('" TOTP_AUTH', '" RATE_LIMIT 3 30', "12345678"),
                   lambda: [("google", "000000", False), ("trex", "000001", False), ("google", "000002", False),
                            ("trex", "12345678", False), ("google", "12345678", False)]),
    "emergency codes": (text('" TOTP_AUTH', "12345678", "23456789"),
                        lambda: [("trex", "12345678", True), ("google", "12345678", False),
                                 ("google", "23456789", True), ("trex", "23456789", False)]),
}  # fmt: skip


@pytest.mark.parametrize("option", RELAYS)
def test_each_module_goes_on_where_the_other_has_stopped(
    bob: Account, otp: Callable[..., bool], option: str
) -> None:
    """multiOTP #261: and a used code stays used where a skew is known."""
    content, turns = RELAYS[option]
    bob.write(content, FILE)
    for number, (stack, answer, welcome) in enumerate(turns()):
        assert otp(stack, bob, answer) is welcome, (number, stack)


@pytest.mark.parametrize("last", ["trex", "google"])
def test_both_modules_learn_a_skew_together(
    bob: Account, otp: Callable[..., bool], last: str
) -> None:
    """RESETTING_TIME_SKEW that one has written is what the other counts on."""
    other = "google" if last == "trex" else "trex"

    def by(stack: str) -> Callable[[int], bool]:
        return lambda now: otp(stack, bob, code(now + 50))

    verdicts = in_three_steps(
        lambda: bob.write(text('" TOTP_AUTH', f'" STEP_SIZE {STEP}', STEADY), FILE),
        [by(last), by(other), by(last)],
    )
    assert verdicts == [False, False, True]
    assert '" TIME_SKEW 50\n' in otp_file(bob).read_text()
    assert otp(other, bob, code(early_in_a_step(STEP) + 51))


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


def test_codes_that_were_seen_cannot_be_played_again_as_those_of_a_slow_clock(
    bob: Account, otp: Callable[..., bool]
) -> None:
    """Three old codes in their rhythm would prove a skew, and the third be accepted again."""

    def begin() -> None:
        later = here(STEP) - 20
        bob.write(text('" TOTP_AUTH', f'" STEP_SIZE {STEP}', f"{STEADY} {later}"), FILE)

    played = in_three_steps(begin, [lambda now: otp("trex", bob, code(now - 100))] * 3)
    assert played == [False] * 3
    assert otp_file(bob).read_text().count("-100") == 3, "noted they were, so it was the rhythm"
    assert '" TIME_SKEW ' not in otp_file(bob).read_text()


def test_without_disallow_reuse_a_code_is_accepted_once_all_the_same(
    bob: Account, otp: Callable[..., bool], log: Log
) -> None:
    """google-authenticator-libpam #130: it accepts a code again, and does when it is gone back to."""
    bob.write(text('" TOTP_AUTH'), FILE)
    now = here()
    assert otp("trex", bob, code(now))
    assert not otp("trex", bob, code(now))
    assert "a code was offered again after its use" in log.everything()
    assert otp("trex", bob, code(now + 1))
    assert otp("google", bob, code(now))
    assert "RESETTING" not in otp_file(bob).read_text(), "a replayed code teaches no skew"


@pytest.mark.parametrize("stack", ["trex", "google"])
def test_passwords_from_and_for_other_modules(
    bob: Account, otp: Callable[..., bool], stack: str
) -> None:
    subprocess.run(["chpasswd"], input="bob:pass word", text=True, check=True)
    bob.write(
        text('" TOTP_AUTH', '" DISALLOW_REUSE', '" WINDOW_SIZE 9', "12345678", "23456789"), FILE
    )
    now = here()
    assert otp(f"{stack} forward", bob, f"pass word{code(now)}")
    assert not otp(f"{stack} forward", bob, f"pass word{code(now)}")
    assert not otp(f"{stack} forward", bob, f"password{code(now + 1)}")
    assert not otp(f"{stack} forward", bob, f"pass word {code(now - 1)}")
    assert otp(f"{stack} forward", bob, "pass word12345678")
    assert otp(f"{stack} use", bob, code(now + 2))
    assert otp(f"{stack} use", bob, f"whatever{code(now + 3)}")
    assert not otp(f"{stack} use", bob, "pass word")
    assert otp(f"{stack} try", bob, f"pass word{code(now - 2)}")
    assert otp(f"{stack} try", bob, "23456789"), "asked again, and answered with the same"


def test_a_guess_in_an_earlier_password_counts_although_nobody_answers_the_prompt(
    bob: Account, client: Path, stacks: dict[str, str], log: Log
) -> None:
    """Or `try_first_pass` would let guess without end; google-authenticator counts it too."""
    subprocess.run(["chpasswd"], input="bob:password", text=True, check=True)
    bob.write(text('" TOTP_AUTH', '" RATE_LIMIT 3 30', "12345678"), FILE)
    hang_up = "read -r prompt; case $prompt in Pass*) echo 11111111;; *) kill -9 $PPID;; esac"
    for number in range(3):
        with pytest.raises(AssertionError, match="returncode=-9"):
            sandbox.ask_pam(client, stacks["trex try"], "bob", "--answer-with", hang_up)
        assert len(re.findall(r"\b\d{10}\b", otp_file(bob).read_text())) == number + 1
    asked = sandbox.ask_pam(client, stacks["trex try"], "bob", "--answer", "12345678")
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "more than 3 attempts in 30 seconds" in log.verdict()


def test_a_login_counts_once_also_where_a_password_is_tried_first(
    bob: Account, otp: Callable[..., bool]
) -> None:
    for stack in ("trex try", "google try"):
        bob.write(text('" TOTP_AUTH', '" RATE_LIMIT 3 30', "12345678"), FILE)
        assert not otp(stack, bob, "11111111")
        assert otp(stack, bob, "12345678")
        assert len(re.findall(r"\b\d{10}\b", otp_file(bob).read_text())) == 2


# ---------------------------------------------------------------------------- being asked


def test_the_prompt_and_its_echo(bob: Account, trex_otp: Callable[..., Asked], place: Path) -> None:
    bob.write(text('" TOTP_AUTH'), FILE)
    assert trex_otp("bob", "x").prompt == "Verification code: "
    assert trex_otp("bob", "x", "forward_pass").prompt == "Password & verification code: "
    assert trex_otp("bob", "x", "prompt=Code?").prompt == "Code?"
    styles = [trex_otp("bob", "x", *flag).facts["style"] for flag in ([], ["echo"])]
    assert styles == [["1"], ["2"]], "PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON"


def test_verdicts(bob: Account, trex_otp: Callable[..., Asked], log: Log) -> None:
    assert trex_otp("bob", "x").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert ": no record: user=bob " in log.verdict()
    assert trex_otp("bob", "x", "nullok").verdict == "PAM_PERM_DENIED", "nobody else said yes"
    assert "not asked, because of nullok" in log.everything()
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    log.clear()
    assert trex_otp("bob", "").verdict == "PAM_AUTH_ERR"
    assert ": no response: " in log.verdict()
    log.clear()
    assert trex_otp("bob", "000000", "nullok").verdict == "PAM_AUTH_ERR"
    assert ": wrong response: " in log.verdict()
    log.clear()
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"
    assert "an emergency code was used, 0 left" in log.everything()
    assert "12345678" not in log.everything()
    assert SECRET not in log.everything()


def test_what_is_late_spends_nothing(bob: Account, ask: Callable[..., Asked], log: Log) -> None:
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    asked = ask("bob", "--answer-with", "sleep 1.3; echo 12345678",
                arguments=("method=totp", "timeout=1"))  # fmt: skip
    assert asked.verdict == "PAM_AUTH_ERR"
    assert ": late response: " in log.verdict()
    assert "12345678" in otp_file(bob).read_text()


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.chmod(0o640), "found mode 0640"),
        (lambda path: path.chmod(0o604), "found mode 0604"),
        (lambda path: os.chown(path, 0, 0), "Permission denied"),
        (lambda path: (path.rename(f"{path}.x"), path.symlink_to(f"{path}.x")), "a symbolic link"),
        (fifo, "a FIFO"),
        (lambda path: path.write_bytes(b"A" * 70_000), "a larger file"),
        (lambda path: path.write_bytes(b""), "no secret"),
        (lambda path: path.parent.chmod(0o777), "found mode 0777"),
    ],
)
def test_an_unfit_file_is_refused_before_anything_is_asked(
    bob: Account, trex_otp: Callable[..., Asked], log: Log,
    spoil: Callable[[Path], object], reason: str,
) -> None:  # fmt: skip
    """Advisory CVE-2019-12209: and root opens none of them."""
    spoil(bob.write(text('" TOTP_AUTH', "12345678"), FILE))
    asked = trex_otp("bob", "12345678", "nullok")
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    assert reason in log.verdict()


def test_central_files_that_users_cannot_read(
    bob: Account, account: Callable[[str], Account], trex_otp: Callable[..., Asked], place: Path
) -> None:
    """google-authenticator-libpam #240: whoever has the session reads the secret, for sudo too."""
    keeper = account("keeper")
    (place / "otp").mkdir(exist_ok=True)
    directory = keeper.own(place / "otp", 0o700)
    path = directory / "bob"
    path.write_text(text('" TOTP_AUTH', '" DISALLOW_REUSE'))
    keeper.own(path, 0o600)
    arguments = (f"secret={directory}/%u", "run_as=keeper")
    now = here()
    assert trex_otp("bob", code(now), *arguments).verdict == "PAM_SUCCESS"
    assert trex_otp("bob", code(now), *arguments).verdict == "PAM_AUTH_ERR"
    assert path.stat().st_uid == keeper.uid


# ---------------------------------------------------------------------------- being safe


@pytest.fixture(scope="module")
def slow(place: Path) -> str:
    """A service of Trex's that takes its time between reading the file and comparing."""
    read = "        self._right = self._right_texts(self._state, self._now)\n"
    return write_altered_service(
        "otp-slow", "methods/totp.py", read, f"        time.sleep(0.2)\n{read}"
    )


@pytest.mark.parametrize("reuse", ['" DISALLOW_REUSE', '" LATER_LINE'])
def test_of_many_logins_at_once_one_uses_the_code(
    bob: Account, client: Path, slow: str, reuse: str
) -> None:
    """OwnPay #145: whether a code was used was asked before it was noted, and not in one step."""
    bob.write(text('" TOTP_AUTH', reuse, "12345678"), FILE)
    for answer in (code(here()), "12345678"):
        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(lambda _, answer=answer: sandbox.ask_pam(
                client, slow, "bob", "--answer", answer), range(8))  # fmt: skip
            assert sorted(one.verdict for one in asked).count("PAM_SUCCESS") == 1
    assert not Path(f"{otp_file(bob)}~").exists()


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
    """google-authenticator takes no lock and may let somebody in beside Trex, which lets in one."""
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


@pytest.fixture
def small_home(bob: Account) -> Iterator[Account]:
    """A home on a file system of its own."""
    options = f"size=32k,mode=700,uid={bob.uid},gid={bob.gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "trex-home", bob.home], check=True)
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    yield bob
    subprocess.run(["umount", "--lazy", bob.home], check=True)


def test_a_full_disk_leaves_the_file_whole_and_refuses(
    small_home: Account, trex_otp: Callable[..., Asked], log: Log
) -> None:
    """google-authenticator-libpam #13 and #177: a full disk left it empty, and its owner outside."""
    before = otp_file(small_home).read_bytes()
    filler = small_home.home / "filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}"], check=False, capture_output=True)
    assert trex_otp("bob", "12345678").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "No space left on device" in log.verdict()
    assert otp_file(small_home).read_bytes() == before
    assert sorted(os.listdir(small_home.home)) == [FILE, "filler"]
    filler.unlink()
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"


def test_a_read_only_home_refuses(
    small_home: Account, trex_otp: Callable[..., Asked], log: Log
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_home.home], check=True)
    assert trex_otp("bob", "12345678").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "Read-only file system" in log.verdict()
    subprocess.run(["mount", "-o", "remount,rw", small_home.home], check=True)
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"


def test_a_crash_before_the_rename_leaves_the_old_file(
    bob: Account, client: Path, stacks: dict[str, str], log: Log
) -> None:
    """What it leaves beside is removed when it is old, and respected while it may be in use.

    pam_usb #438: such a file kept its owner out until somebody removed it.
    """
    service = write_altered_service(
        "otp-crash", "otpfile.py", "os.rename(beside, self._path)", "os.kill(os.getpid(), 9)"
    )
    path = bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    before, beside = path.read_bytes(), Path(f"{path}~")
    with pytest.raises(AssertionError, match="returncode=-9"):
        sandbox.ask_pam(client, service, "bob", "--answer", "12345678")
    assert path.read_bytes() == before
    assert beside.stat().st_uid == bob.uid
    asked = sandbox.ask_pam(client, stacks["trex"], "bob", "--answer", "12345678")
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "File exists" in log.verdict()
    os.utime(beside, (0, time.time() - 60))
    asked = sandbox.ask_pam(client, stacks["trex"], "bob", "--answer", "12345678")
    assert asked.verdict == "PAM_SUCCESS"
    assert not beside.exists()


def test_planted_files_lead_nowhere_and_nothing_becomes_root_s(
    bob: Account, trex_otp: Callable[..., Asked], place: Path
) -> None:
    """Advisory CVE-2024-47191 (oath-toolkit): root followed links in the user's home."""
    path = bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    victim = place / "victim"
    victim.write_text("root's")
    beside = Path(f"{path}~")
    beside.symlink_to(victim)
    os.utime(beside, (0, time.time() - 60), follow_symlinks=False)
    assert trex_otp("bob", "12345678").verdict == "PAM_SUCCESS"
    assert victim.read_text() == "root's"
    assert {entry.lstat().st_uid for entry in bob.home.rglob("*")} == {bob.uid}


def test_a_lock_that_the_user_holds_ends_in_a_refusal(
    bob: Account, trex_otp: Callable[..., Asked], log: Log
) -> None:
    path = bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    holder = subprocess.Popen(["flock", path, "sleep", "30"], user=bob.uid, group=bob.gid,
                              start_new_session=True)  # fmt: skip
    try:
        time.sleep(0.3)
        assert trex_otp("bob", "12345678").verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "is locked by another process" in log.verdict()
    finally:
        os.killpg(holder.pid, 9)
        holder.wait()


# ---------------------------------------------------------------------------- sshd


def askpass_for(directory: Path, holder: Holder, code_or_empty: str, *, key: bool) -> Path:
    """Answer a challenge with the key, or with nothing, and a question for a code with a code."""
    path = directory / "askpass-either"
    decrypt = f'printf %s "$1" | {holder.command()}' if key else "echo"
    path.write_text(
        f'#!/bin/sh\ncase "$1" in *BEGIN*) {decrypt};; *) echo {code_or_empty};; esac\n'
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("methods", ["keyboard-interactive", "publickey,keyboard-interactive:pam"])
def test_the_key_or_a_code_through_ssh(
    alice: Account, holder: Holder, place: Path, methods: str
) -> None:
    """The stack of the README, alone and after a public key."""
    alice.write(text('" TOTP_AUTH', '" DISALLOW_REUSE', '" WINDOW_SIZE 9'), FILE)
    name = sandbox.pam_service(
        f"trex-either-{len(methods)}",
        f"auth sufficient pam_python.so {sandbox.ENTRY}",
        f"auth required pam_python.so {sandbox.ENTRY} method=totp",
        *ACCOUNT_LINES,
    )
    server = Sshd(name, methods=methods)
    offered = methods.removesuffix(":pam")
    now = here()
    try:
        for answer, key, welcome in (
            ("000000", True, True), (code(now), False, True), (code(now), False, False),
            ("", False, False), (code(now + 1), False, True),
        ):  # fmt: skip
            askpass = askpass_for(place, holder, answer, key=key)
            done = server.log_in("alice", askpass, methods=offered)
            assert (done.stdout == "logged in as alice\n") is welcome, done.stderr
        if methods != offered:
            askpass = askpass_for(place, holder, code(now + 2), key=True)
            assert server.log_in("alice", askpass).returncode == 255, "the public key comes first"
    finally:
        server.close()
