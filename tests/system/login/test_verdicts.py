"""Each row of the table of verdicts, through real PAM and pam_python.so."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log

pytestmark = pytest.mark.usefixtures("door")


def test_the_right_response_succeeds(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    asked = log_in("alice", "--setcred", "--rhost", "203.0.113.7")
    assert asked.verdict == "PAM_SUCCESS"
    assert asked.numbers("setcred") == [0]
    line = log.verdict()
    assert re.search(r"pam_client\[\d+\]: pam_trex\(trex-test-\d+:auth\): accepted: ", line)
    assert re.search(
        r"user=alice service=trex-test-\d+ rhost=203\.0\.113\.7 method=openpgp "
        r"keys=[0-9A-F]{40} ms=\d+$",
        line,
    )
    assert line.startswith("<86>"), "authpriv.info"


@pytest.mark.parametrize(
    ("options", "outcome"),
    [
        (["--answer", "AAAAAAAAAA"], "wrong response"),
        (["--answer", ""], "no response"),
        (["--answer", " \t "], "no response"),
        (["--no-response"], "no response"),
        (["--answer", b"\xff\xfe".decode("utf-8", "surrogateescape")], "wrong response"),
        (["--answer", "x" * 400], "wrong response"),
    ],
)
def test_a_wrong_empty_or_missing_response_is_refused(
    alice: Account, ask: Callable[..., Asked], log: Log, options: list[str], outcome: str
) -> None:
    """Advisories CVE-2021-31924 and CVE-2011-4120: no answer, an empty one, none at all."""
    asked = ask("alice", *options)
    assert asked.verdict == "PAM_AUTH_ERR"
    assert f": {outcome}: " in log.verdict()
    assert asked.numbers("fail-delay")[0] > 900_000, "two seconds, give or take libpam's dice"


EMPTY = '""'
WRONG = "Trex: this response was wrong. If you are asked again, it is a new challenge."


def test_whoever_answers_wrongly_is_told_so_in_one_line(
    alice: Account, ask: Callable[..., Asked]
) -> None:
    """The next prompt looks the same. A program that shows no messages does not fail."""
    asked = ask("alice", "--answer", "AAAAAAAAAA")
    assert asked.facts["say"] == [f"3 {WRONG}"]
    silent = ask("alice", "--answer", "AAAAAAAAAA", "--silent")
    assert "say" not in silent.facts
    refused = ask("alice", "--answer", "AAAAAAAAAA", "--refuse-messages")
    assert refused.facts["say"] == [f"3 {WRONG}"]
    nothing = ask("alice", "--answer", "")
    assert "say" not in nothing.facts, "who pressed Enter knows it"
    assert {one.verdict for one in (asked, silent, refused, nothing)} == {"PAM_AUTH_ERR"}


def test_whoever_is_not_enrolled_is_told_nothing(
    bob: Account, ask: Callable[..., Asked], log: Log
) -> None:
    for user in ("bob", "nobody-of-that-name"):
        asked = ask(user, "--answer", "AAAAAAAAAA")
        assert "style" not in asked.facts, "not asked"
        assert not [text for text in asked.facts.get("say", []) if "wrong" in text]


def test_a_late_response_is_refused_although_right(
    alice: Account, holder: Holder, ask: Callable[..., Asked], log: Log
) -> None:
    """The C++ trex-pam computed its deadline after the answer came."""
    asked = ask(
        "alice", "--answer-with", f"sleep 1.3; {holder.command()}", arguments=("timeout=1",)
    )
    assert asked.verdict == "PAM_AUTH_ERR"
    assert ": late response: " in log.verdict()
    assert asked.facts["say"] == ["3 Trex: this response came too late."]
    assert "You have 1 second." in asked.prompt


def test_a_response_is_good_for_its_own_challenge_only(
    alice: Account, holder: Holder, ask: Callable[..., Asked]
) -> None:
    first = ask("alice", "--answer", "x")
    answer = str(holder.decrypt(first.prompt)).strip()
    assert re.fullmatch("[a-zA-Z0-9]{10}", answer)
    assert ask("alice", "--answer", answer).verdict == "PAM_AUTH_ERR"


@pytest.mark.parametrize("name", ["nobody-here", "a/b", "../alice", ".alice", "..", "", "%s%n",
                                  "alice\n", "al\x1bice", "alice\x7f", "alice\u202e", "-alice",
                                  "x" * 5000, b"\xff".decode("utf-8", "surrogateescape")],
                         ids=lambda name: ascii(name[:12]))  # fmt: skip
def test_an_unknown_user_and_a_bad_name_are_unknown(
    alice: Account, ask: Callable[..., Asked], log: Log, name: str
) -> None:
    """Advisory CVE-2016-4422: and the name is logged literally."""
    asked = ask(name, arguments=("nullok",))
    assert asked.verdict == "PAM_USER_UNKNOWN"
    assert "prompt-us" not in asked.facts
    line = log.verdict()
    assert ": unknown user: " in line
    assert line.isprintable()
    if name == "%s%n":
        assert "user=%s%n " in line


@pytest.mark.parametrize("name", ["a/b", ".alice", "..", "al\x1bice", "al\u202eice"], ids=ascii)
def test_a_bad_name_is_unknown_even_if_there_is_such_an_account(
    alice: Account, log_in: Callable[..., Asked], log: Log, name: str
) -> None:
    """It could lead elsewhere in `auth_file=/etc/trex/users/%u`, or forge a line."""
    passwd = Path("/etc/passwd")
    before = passwd.read_text()
    passwd.write_text(f"{before}{name}:x:{alice.uid}:{alice.gid}::{alice.home}:/bin/sh\n")
    try:
        assert log_in(name).verdict == "PAM_USER_UNKNOWN"
    finally:
        passwd.write_text(before)


def test_no_record(account: Callable[[str], Account], ask: Callable[..., Asked], log: Log) -> None:
    account("bob")
    asked = ask("bob")
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "say" not in asked.facts
    assert ": no record: " in log.verdict()
    assert asked.numbers("fail-delay")


def test_no_record_with_nullok_steps_aside(
    account: Callable[[str], Account], client: Path, log: Log
) -> None:
    account("bob")
    alone = sandbox.trex_service("trex-nullok-alone", "nullok")
    beside = sandbox.pam_service("trex-nullok", f"auth required pam_python.so {sandbox.ENTRY} nullok",
                                 "auth required pam_permit.so")  # fmt: skip
    assert sandbox.ask_pam(client, alone, "bob").verdict == "PAM_PERM_DENIED", "nobody said yes"
    log.clear()
    asked = sandbox.ask_pam(client, beside, "bob")
    assert asked.verdict == "PAM_SUCCESS", "pam_permit decides"
    assert ": not asked, because of nullok: " in log.verdict()


@pytest.mark.parametrize("user", ["root", "daemon", "nobody"])
def test_a_system_account_without_a_record_does_not_pass(
    ask: Callable[..., Asked], user: str
) -> None:
    """Advisory CVE-2016-4422."""
    assert ask(user).verdict == "PAM_AUTHINFO_UNAVAIL"


@pytest.mark.parametrize("arguments", [["timeout=never"], ["nulok"], ["nullok", "nullok"], ["gpg=gpg"],
                                       ["run_as=no-such-account"], ["run_as=root"], ["auth_file=%z"]])  # fmt: skip
def test_an_unusable_argument_is_refused(
    alice: Account, log_in: Callable[..., Asked], log: Log, arguments: list[str]
) -> None:
    asked = log_in("alice", arguments=tuple(arguments))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert asked.facts["say"] == [
        "3 Trex: this login could not be checked; the system's log says why."
    ]
    line = log.verdict()
    assert ": could not check: user=alice " in line
    understood = arguments[0].startswith("run_as=")
    assert f" method={'openpgp' if understood else EMPTY} keys={EMPTY} " in line
    assert arguments[0].split("=")[0] in line
    assert line.startswith("<83>"), "authpriv.err"


def test_an_unusable_record_is_refused(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    alice.write("# mine\nalice@example.org maybe nosign\n")
    assert log_in("alice", arguments=("nullok",)).verdict == "PAM_AUTHINFO_UNAVAIL"
    assert log.verdict().endswith(
        ': /home/alice/.auth_gpg:2: expected trust or notrust, found "maybe"'
    )


def test_a_failing_conversation(alice: Account, ask: Callable[..., Asked], log: Log) -> None:
    asked = ask("alice", "--conversation-error")
    assert asked.verdict == "PAM_CONV_ERR"
    assert ": the conversation failed: " in log.verdict()


def test_an_unforeseen_error_is_refused_and_its_message_stays_out_of_the_log(
    alice: Account, client: Path, log: Log, place: Path
) -> None:
    """The frames are logged, never values: the message might hold the response."""
    broken = place / "unforeseen"
    broken.mkdir(exist_ok=True)
    shutil.copytree(sandbox.PROJECT / "trex", broken / "trex", dirs_exist_ok=True)
    shutil.copy(sandbox.ENTRY, broken)
    module = broken / "trex/login/challenge.py"
    source = module.read_text(encoding="utf-8")
    words = "        words = (response"
    assert words in source
    module.write_text(source.replace(words, f"        raise ValueError(response)\n{words}"))
    sandbox.pam_service("trex-broken", f"auth required pam_python.so {broken}/pam_trex.py")
    asked = sandbox.ask_pam(client, "trex-broken", "alice", "--answer", "SECRETWORD")
    assert asked.verdict == "PAM_SYSTEM_ERR"
    assert "challenge.py:" in log.verdict()
    assert "ValueError" in log.verdict()
    assert "SECRETWORD" not in log.everything()


def test_a_broken_installation_is_refused(
    alice: Account, client: Path, log: Log, place: Path
) -> None:
    alone = place / "alone"
    alone.mkdir(exist_ok=True)
    (alone / "pam_trex.py").write_bytes(sandbox.ENTRY.read_bytes())
    sandbox.pam_service("trex-alone", f"auth required pam_python.so {alone}/pam_trex.py nullok")
    assert sandbox.ask_pam(client, "trex-alone", "alice").verdict == "PAM_SYSTEM_ERR"
    assert "is the installation whole? ModuleNotFoundError" in log.everything()


def test_the_other_entry_points_step_aside(client: Path, alice: Account) -> None:
    lines = [f"{kind} required pam_python.so {sandbox.ENTRY}"
             for kind in ("auth", "account", "session", "password")]  # fmt: skip
    alone = sandbox.pam_service("trex-entries", *lines)
    permit = sandbox.pam_service(
        "trex-entries-permit",
        *lines,
        *(f"{line.split()[0]} required pam_permit.so" for line in lines),
    )
    asked = sandbox.ask_pam(client, alone, "alice", "--others", "--setcred")
    assert asked.facts["others"] == ["6 6 6 6"], "all ignored: libpam then denies (PAM_PERM_DENIED)"
    asked = sandbox.ask_pam(client, permit, "alice", "--others")
    assert asked.facts["others"] == ["0 0 0 0"], "ignored: the other module decides"


def test_silence_drops_what_merely_informs(alice: Account, ask: Callable[..., Asked]) -> None:
    asked = ask("alice", "--silent", arguments=("bogus",))
    assert "say" not in asked.facts
    asked = ask("alice", "--silent")
    assert "-----BEGIN PGP MESSAGE-----" in asked.prompt


def test_a_missing_user_name_is_asked_for_by_pam(
    alice: Account, client: Path, holder: Holder
) -> None:
    asked = sandbox.ask_pam(client, sandbox.trex_service("trex-no-user"), "")
    assert asked.verdict == "PAM_USER_UNKNOWN"


def test_the_log_is_quiet_unless_debug(
    alice: Account, log_in: Callable[..., Asked], log: Log
) -> None:
    log_in("alice")
    assert len(log.trex()) == 1
    log.clear()
    log_in("alice", arguments=("debug",))
    assert [line for line in log.trex() if line.startswith("<87>")]


def test_neither_challenge_nor_response_is_ever_logged(
    alice: Account, holder: Holder, client: Path, service: Callable[..., str], log: Log
) -> None:
    name = service("debug")
    for answer in (holder.command(), "echo WRONGANSWR"):
        asked = sandbox.ask_pam(client, name, "alice", "--answer-with", answer)
        challenge = str(holder.decrypt(asked.prompt)).strip()
        assert re.fullmatch("[a-zA-Z0-9]{10}", challenge)
        assert challenge not in log.everything()
        assert "WRONGANSWR" not in log.everything()
        assert "BEGIN PGP" not in log.everything()


def test_a_log_that_nobody_reads_holds_up_no_login(
    alice: Account, log_in: Callable[..., Asked], place: Path
) -> None:
    socket = Path("/dev/log")
    aside = socket.rename("/dev/log.aside")
    try:
        started = time.monotonic()
        assert log_in("alice").verdict == "PAM_SUCCESS"
        assert time.monotonic() - started < 50
    finally:
        aside.rename(socket)
