"""Each line of docs/totp.md, Coming from google-authenticator: both modules on one file, in turn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, code, here, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account, Asked, Log

PAGE = (sandbox.PROJECT / "docs/totp.md").read_text("utf-8")
TABLE = PAGE.partition("\n| pam_google_authenticator | Trex |\n")[2].partition("\n\n")[0]
KEPT = "/run/trex/from-google"  # of an account's that users cannot become
# What its module takes (pam_google_authenticator(8), README, and its parse_args).
THEIRS = {
    "secret", "authtok_prompt", "user", "no_strict_owner", "allowed_perm", "debug",
    "try_first_pass", "use_first_pass", "forward_pass", "noskewadj", "no_increment_hotp", "nullok",
    "echo_verification_code", "grace_period", "allow_readonly",
}  # fmt: skip
# Each as there, and as here; where the file is, and what the prompt is.
SAME = [
    ("secret=${HOME}/x", "secret=%h/x", "/home/bob/x", "Verification code: "),
    ("secret=~/x", "secret=%h/x", "/home/bob/x", "Verification code: "),
    ("secret=/home/bob/${USER}", "secret=/home/bob/%u", "/home/bob/bob", "Verification code: "),
    ("[authtok_prompt=Your token: ]", "[prompt=Your token: ]", "", "Your token: "),
    (f"user=keeper secret={KEPT}/${{USER}}", f"run_as=keeper secret={KEPT}/%u", f"{KEPT}/bob",
     "Verification code: "),
    ("echo_verification_code", "echo", "", "Verification code: "),
    *((name, name, "", "Verification code: ")
      for name in ("noskewadj", "no_increment_hotp", "nullok", "debug", "try_first_pass")),
    ("forward_pass", "forward_pass", "", "Password & verification code: "),
]  # fmt: skip
# Each refuses every login by its name, and this is what the log says to write.
REFUSED = [
    ("authtok_prompt=Code:", "write prompt= instead"),
    (
        "user=root",
        "write run_as= instead, with the name of an account other than root, and secret=",
    ),
    ("echo_verification_code", "write echo instead"),
    ("echo-verification-code", "write echo instead"),
    ("no_strict_owner", "name the account that owns the secrets with run_as="),
    ("allowed_perm=0640", "give the secret mode 0600 or less"),
    ("allow_readonly", "write secret=/var/lib/trex/totp/%u run_as=_trex-totp instead"),
    ("secret=${HOME}/x", "write %u instead of ${USER}, and %h instead of ${HOME} or ~"),
    ("secret=~/x", "write %u instead of ${USER}, and %h instead of ${HOME} or ~"),
]


@pytest.fixture
def ask_with(client: Path) -> Iterator[Callable[..., Asked]]:
    """Ask bob through a module with these arguments, before pam_permit or not."""
    made: list[str] = []

    def ask(line: str, answer: str, *after: str) -> Asked:
        name = f"trex-from-google-{len(made)}"
        made.append(sandbox.pam_service(name, f"auth required {line}", *after, *ACCOUNT_LINES))
        return sandbox.ask_pam(client, name, "bob", "--answer", answer)

    yield ask
    for name in made:
        (sandbox.PAM_SERVICES / name).unlink()


def google(arguments: str) -> str:
    return f"pam_google_authenticator.so {arguments}"


def trex(arguments: str) -> str:
    return f"{sandbox.DOOR} method=totp {arguments}"


def test_every_argument_is_in_the_table_and_tried() -> None:
    assert set(re.findall(r"`(\w+)", TABLE.replace("echo-", "echo_"))) >= THEIRS
    tried = " ".join(theirs for theirs, *_ in (*SAME, *REFUSED))
    tried += " use_first_pass grace_period"  # tests/system/totp/test_totp_passwords.py; the log's
    assert {name for name in THEIRS if name not in tried} == set()


@pytest.mark.parametrize(("theirs", "ours", "where", "prompt"), SAME)
def test_each_argument_means_the_same_on_one_file(
    bob: Account, account: Callable[[str], Account], ask_with: Callable[..., Asked],
    theirs: str, ours: str, where: str, prompt: str,
) -> None:  # fmt: skip
    """What one module accepts is spent for the other, and the questions look the same."""
    path = Path(where or f"/home/bob/{FILE}")
    keeper = bob
    if where.startswith(KEPT):
        keeper = account("keeper")
        path.parent.mkdir()
        keeper.own(path.parent, 0o700)
    path.write_text(text('" TOTP_AUTH', '" DISALLOW_REUSE', "12345678"))
    keeper.own(path, 0o600)
    now = here()
    turns = [
        (google(theirs), code(now), True), (trex(ours), code(now), False),
        (trex(ours), code(now + 1), True), (google(theirs), code(now + 1), False),
        (google(theirs), "12345678", True), (trex(ours), "12345678", False),
    ]  # fmt: skip
    asked = [ask_with(line, answer) for line, answer, _ in turns]
    accepted = [one.verdict == "PAM_SUCCESS" for one in asked]
    assert accepted == [expected for *_, expected in turns]
    assert {one.prompt for one in asked} == {prompt}
    assert len({tuple(one.facts["style"]) for one in asked}) == 1
    if where.startswith(KEPT):
        path.unlink()
        path.parent.rmdir()


def test_with_nullok_both_step_aside_where_there_is_no_secret(
    bob: Account, ask_with: Callable[..., Asked]
) -> None:
    for line in (google("nullok"), trex("nullok")):
        asked = ask_with(line, "x", "auth required pam_permit.so")
        assert asked.verdict == "PAM_SUCCESS"
        assert asked.prompt == ""
    for line in (google(""), trex("")):
        assert ask_with(line, "x", "auth required pam_permit.so").verdict != "PAM_SUCCESS"


@pytest.mark.parametrize(("theirs", "told"), REFUSED)
def test_what_is_not_the_same_is_refused_by_its_name_with_what_to_write(
    bob: Account, ask_with: Callable[..., Asked], log: Log, theirs: str, told: str
) -> None:
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    asked = ask_with(trex(f"{theirs} nullok"), "12345678", "auth required pam_permit.so")
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f'argument "{theirs}"' in log.verdict()
    assert log.verdict().endswith(told)
    assert asked.prompt == ""


def test_an_argument_that_neither_knows_refuses_in_both(
    bob: Account, ask_with: Callable[..., Asked], log: Log
) -> None:
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    for line in (google("interval=60"), trex("interval=60")):
        assert ask_with(line, "12345678").verdict != "PAM_SUCCESS"
    assert "interval=60" in log.verdict()


@pytest.mark.parametrize(
    ("typed", "theirs", "ours"),
    [
        ("{0} {1}", False, True), (" {0}{1} ", False, True), ("1234 5678", False, True),
        ("{0}{1}", True, True), ("12345678", True, True), ("{0}-{1}", False, False),
        ("{0} {1} 1", False, False), ("x {0}{1}", False, False),
    ],
)  # fmt: skip
def test_only_trex_takes_a_code_as_phones_show_it(
    bob: Account, ask_with: Callable[..., Asked], typed: str, theirs: str, ours: bool
) -> None:
    right = code(here())
    for line, accepted in ((google(""), theirs), (trex(""), ours)):
        bob.write(text('" TOTP_AUTH', '" DISALLOW_REUSE', "12345678"), FILE)
        asked = ask_with(line, typed.format(right[:3], right[3:]))
        assert (asked.verdict == "PAM_SUCCESS") == accepted, line
