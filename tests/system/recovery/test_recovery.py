"""A login asks for a recovery code and spends it: through PAM, and through ssh."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES
from tests.support.recovery import CODES, FILE, recovery_file, spent_in, text, write_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.support.sshd import Sshd

EITHER = (
    f"auth sufficient pam_python.so {sandbox.ENTRY} nullok",
    f"auth required pam_python.so {sandbox.ENTRY} method=recovery",
    *ACCOUNT_LINES,
)


@pytest.fixture
def recover(ask: Callable[..., Asked]) -> Callable[..., Asked]:
    """Log in with a recovery code: `recover("bob", CODES[0], "nullok")`."""

    def log_in(user: str, answer: str, *arguments: str) -> Asked:
        return ask(user, "--answer", answer, arguments=("method=recovery", *arguments))

    return log_in


@pytest.mark.usefixtures("door")
def test_a_code_lets_in_once_through_either_door(bob: Account, client: Path, log: Log) -> None:
    write_codes(bob)
    name = sandbox.trex_service(f"trex-recovery-{len(sandbox.DOOR)}", "method=recovery")

    def verdict(answer: str) -> str:
        log.clear()
        return sandbox.ask_pam(client, name, "bob", "--answer", answer).verdict

    before = int(time.time())
    assert verdict(CODES[0]) == "PAM_SUCCESS"
    assert ": accepted: user=bob " in log.verdict()
    assert " method=recovery " in log.verdict()
    [warning] = log.trex(" a recovery code was used, 2 left")
    assert warning.startswith("<84>"), "authpriv.warning"
    [line] = [line for line in recovery_file(bob).read_text().splitlines() if line.count(" ") == 2]
    assert before <= int(line.split()[2]) <= int(time.time())
    assert verdict(CODES[0]) == "PAM_AUTH_ERR"
    assert ": wrong response: " in log.verdict()
    assert log.trex("a recovery code was offered again after its use: someone may have seen it")
    assert verdict("AAAA-AAAA-AAAA-AAAA") == "PAM_AUTH_ERR"
    assert not log.trex("offered again")
    assert spent_in(recovery_file(bob)) == [CODES[0]]


@pytest.mark.parametrize(
    "typed",
    [
        "7K3MQX9D2HWCV5TN", "7k3m qx9d 2hwc v5tn", " 7k3m-QX9D-2hwc-V5tn ", "7K3M\N{EN DASH}QX9D\N{EN DASH}2HWC\N{EN DASH}V5TN",
        "7K3M QX9D-2HWC V5TN",
    ],
)  # fmt: skip
def test_how_a_code_may_be_typed(bob: Account, recover: Callable[..., Asked], typed: str) -> None:
    write_codes(bob)
    assert recover("bob", typed).verdict == "PAM_SUCCESS"


def test_letters_that_no_code_has_are_what_they_look_like(
    bob: Account, recover: Callable[..., Asked]
) -> None:
    write_codes(bob)
    assert recover("bob", "oI23-4567-89ab-cdef").verdict == "PAM_SUCCESS"
    assert spent_in(recovery_file(bob)) == [CODES[1]]


def test_the_prompt_and_its_echo(bob: Account, recover: Callable[..., Asked]) -> None:
    write_codes(bob)
    assert recover("bob", "x").prompt == "Recovery code: "
    assert recover("bob", "x", "prompt=Code?").prompt == "Code?"
    styles = [recover("bob", "x", *flag).facts["style"][0] for flag in ([], ["echo"])]
    assert styles == ["1", "2"], "PAM_PROMPT_ECHO_OFF, PAM_PROMPT_ECHO_ON"


def test_verdicts(bob: Account, recover: Callable[..., Asked], log: Log) -> None:
    assert recover("bob", "x").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert ": no record: user=bob " in log.verdict()
    log.clear()
    assert recover("bob", "x", "nullok").verdict == "PAM_PERM_DENIED", "nobody else said yes"
    assert "not asked, because of nullok" in log.verdict()
    write_codes(bob, spent=dict.fromkeys(CODES, 1))
    log.clear()
    asked = recover("bob", CODES[0], "nullok")
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL", "a user without codes left is no user without"
    assert asked.prompt == ""
    assert f"{recovery_file(bob)}: no recovery code is left" in log.verdict()
    write_codes(bob)
    for answer in ("", " ", "---"):
        log.clear()
        assert recover("bob", answer, "nullok").verdict == "PAM_AUTH_ERR"
        assert ": no response: " in log.verdict()
    assert spent_in(recovery_file(bob)) == []


def test_what_is_late_spends_nothing(bob: Account, ask: Callable[..., Asked], log: Log) -> None:
    write_codes(bob)
    asked = ask("bob", "--answer-with", f"sleep 1.3; echo {CODES[0]}",
                arguments=("method=recovery", "timeout=1"))  # fmt: skip
    assert asked.verdict == "PAM_AUTH_ERR"
    assert ": late response: " in log.verdict()
    assert spent_in(recovery_file(bob)) == []


def test_neither_a_code_nor_its_hash_is_in_the_log(
    bob: Account, recover: Callable[..., Asked], log: Log
) -> None:
    write_codes(bob)
    content = recovery_file(bob).read_text()
    for answer in (CODES[0], CODES[0], "AAAA-AAAA-AAAA-AAAA"):
        recover("bob", answer, "debug")
    told = log.everything()
    words = [*content.split()[5:], *(c for code in CODES for c in code.split("-")), "AAAA"]
    assert [word for word in words if len(word) > 3 and word in told.replace("code", "")] == []


def test_the_next_account_of_the_name_does_not_inherit_the_codes(
    bob: Account, recover: Callable[..., Asked], log: Log
) -> None:
    bob.write(text(bob.uid + 1), FILE)
    assert recover("bob", CODES[0], "nullok").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert (
        f"expected uid={bob.uid}, which is bob's, found uid={bob.uid + 1}: it was made for another"
        in log.verdict()
    )
    assert spent_in(recovery_file(bob)) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(
    bob: Account, recover: Callable[..., Asked], log: Log, mode: int
) -> None:
    write_codes(bob).chmod(mode)
    assert recover("bob", CODES[0], "nullok").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f"found mode {mode:04o} and owner uid {bob.uid}" in log.verdict()


def test_a_code_whose_use_cannot_be_recorded_is_refused(
    bob: Account, recover: Callable[..., Asked], log: Log
) -> None:
    write_codes(bob)
    subprocess.run(["mount", "--bind", bob.home, bob.home], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", bob.home], check=True)
        assert recover("bob", CODES[0]).verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "cannot be rewritten: Read-only file system" in log.verdict()
        assert not log.trex("a recovery code was used")
    finally:
        subprocess.run(["umount", bob.home], check=True)
    assert recover("bob", CODES[0]).verdict == "PAM_SUCCESS"


def test_central_codes_that_users_can_neither_read_nor_replace(
    bob: Account, central: list[str], recover: Callable[..., Asked], place: Path
) -> None:
    """The lines of a home have no say: `recovery_file=` names the only file that counts."""
    directory = place / "central-codes"
    subprocess.run(
        ["install", "-d", "-o", "_trex", "-g", "_trex", "-m", "700", directory], check=True
    )
    path = directory / "bob"
    subprocess.run(["install", "-o", "_trex", "-g", "_trex", "-m", "600", write_codes(bob), path],
                   check=True)  # fmt: skip
    arguments = (f"recovery_file={directory}/%u", "run_as=_trex")
    owner = path.stat().st_uid
    try:
        assert recover("bob", CODES[0], *arguments).verdict == "PAM_SUCCESS"
        assert recover("bob", CODES[0], *arguments).verdict == "PAM_AUTH_ERR"
        status = path.stat()
        assert (status.st_uid, status.st_mode & 0o7777) == (owner, 0o600)
        assert spent_in(path) == [CODES[0]]
        assert spent_in(recovery_file(bob)) == []
        for command in (["cat", str(path)], ["touch", str(path)], ["rm", str(path)]):
            with pytest.raises(AssertionError, match="Permission denied"):
                bob.run(*command)
    finally:
        subprocess.run(["rm", "-r", directory], check=True)


def test_of_logins_at_the_same_moment_one_uses_a_code(bob: Account, client: Path) -> None:
    write_codes(bob)
    name = sandbox.trex_service("trex-recovery-race", "method=recovery")
    at_once = [
        subprocess.Popen([client, "--answer", CODES[0], name, "bob"], stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    verdicts = [one.communicate(timeout=60)[0].decode() for one in at_once]
    assert sum("\nverdict 0 " in f"\n{verdict}" for verdict in verdicts) == 1, verdicts
    assert spent_in(recovery_file(bob)) == [CODES[0]]
    assert [path.name for path in bob.home.glob("*recovery*")] == [FILE], "nothing beside it"


def answering(directory: Path, holder: Holder, code: str, key: str) -> Path:
    """Return an askpass that gives `code` to that question, and to a challenge what `key` says."""
    to_challenge = {"right": f'printf %s "$1" | {holder.command()}', "wrong": "echo wrongwrong"}
    path = directory / "askpass-recovery"
    path.write_text(
        f'#!/bin/sh\ncase "$1" in *BEGIN*) {to_challenge.get(key, "echo")};; '
        f'*"Recovery code: ") echo "{code}";; *) echo unknown prompt >&2; exit 1;; esac\n'
    )
    path.chmod(0o755)
    return path


def test_a_lost_key_does_not_lock_its_owner_out(
    alice: Account, holder: Holder, place: Path, sshd: Callable[..., Sshd], log: Log
) -> None:
    """Through ssh: the key, or after Enter a code, which is told now and at logins with the key.

    ssh shows that as a banner, unless its LogLevel is below INFO.
    """
    write_codes(alice)
    server = sshd(service=sandbox.pam_service("trex-key-or-code", *EITHER))
    command = [word.replace("=ERROR", "=INFO") for word in server.command("alice")]

    def log_in(code: str, key: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, "echo logged in as $(id -un)"], capture_output=True, text=True, check=False,
            timeout=60, stdin=subprocess.DEVNULL, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(server.directory), "LC_ALL": "C.UTF-8",
                 "SSH_ASKPASS": str(answering(place, holder, code, key)),
                 "SSH_ASKPASS_REQUIRE": "force"},
        )  # fmt: skip

    assert log_in("", "right").stdout == "logged in as alice\n"
    assert not log.trex("recovery code")
    done = log_in(CODES[0].lower(), "lost")
    assert done.stdout == "logged in as alice\n", done.stderr
    assert "Trex: this recovery code is spent; 2 are left." in done.stderr
    assert "New ones: trex recovery make\n" in done.stderr
    for code, key in ((CODES[0], "lost"), ("", "lost"), ("AAAA-AAAA-AAAA-AAAA", "wrong")):
        done = log_in(code, key)
        assert (done.returncode, done.stdout) == (255, ""), done.stderr
    done = log_in("", "right")
    assert "; 2 are left. If that was not you, somebody has them.\n" in done.stderr
    alice.record.unlink()
    assert log_in(CODES[1], "asked").stdout == "logged in as alice\n", "and without a record"


def test_the_example_asks_for_a_code_too(alice: Account, client: Path, native_door: Path) -> None:
    """contrib/pam.d; tests/system/login/test_contrib.py has the key's part."""
    write_codes(alice)
    example = sandbox.PROJECT / "contrib/pam.d/sshd-key-or-recovery-code"
    text = example.read_text(encoding="utf-8").replace("pam_trex.so", str(native_door))
    name = sandbox.pam_service("trex-recovery-example", *text.splitlines())
    answer = f"grep -q BEGIN && echo || echo {CODES[0]}"
    for verdict in ("PAM_SUCCESS", "PAM_AUTH_ERR"):
        assert sandbox.ask_pam(client, name, "alice", "--answer-with", answer).verdict == verdict
    recovery_file(alice).unlink()
    refused = sandbox.ask_pam(client, name, "alice", "--answer-with", answer)
    assert refused.verdict == "PAM_AUTHINFO_UNAVAIL"


def test_a_key_that_cannot_be_used_leaves_the_codes(
    alice: Account, holder: Holder, place: Path, sshd: Callable[..., Sshd], keys: dict[str, str]
) -> None:
    write_codes(alice)
    alice.write("0123456789012345678901234567890123456789 trust nosign\n")
    server = sshd(service=sandbox.pam_service("trex-no-key-or-code", *EITHER))
    done = server.log_in("alice", answering(place, holder, CODES[0], "asked"))
    assert done.stdout == "logged in as alice\n", done.stderr


def test_pam_faillock_counts_wrong_keys_and_wrong_codes(
    alice: Account, holder: Holder, place: Path, sshd: Callable[..., Sshd]
) -> None:
    """The stack of docs/recovery.md."""
    write_codes(alice)
    page = (sandbox.PROJECT / "docs/recovery.md").read_text(encoding="utf-8")
    lines = [line.strip() for line in page.splitlines() if line.startswith("    auth ")]
    start = next(i for i, line in enumerate(lines) if "pam_faillock.so preauth" in line)
    stack = [line.replace("pam_python.so pam_trex.py", f"pam_python.so {sandbox.ENTRY}")
             .replace("pam_trex.so", f"pam_python.so {sandbox.ENTRY}")
             for line in lines[start : start + 5]]  # fmt: skip
    assert "authsucc" in stack[-1]
    server = sshd(service=sandbox.pam_service("trex-recovery-faillock", *stack, *ACCOUNT_LINES))

    def log_in(code: str, key: str) -> bool:
        return server.log_in("alice", answering(place, holder, code, key)).returncode == 0

    def failures() -> int:
        shown = subprocess.run(["faillock", "--user", "alice"], capture_output=True, text=True,
                               check=True).stdout  # fmt: skip
        return len(shown.splitlines()) - 2

    try:
        assert not log_in("", "wrong")
        assert failures() == 1, "a wrong response to the challenge, and no code"
        assert not log_in("AAAA-AAAA-AAAA-AAAA", "lost")
        assert failures() == 2
        assert log_in(CODES[0], "lost")
        assert failures() == 0
        assert not log_in("AAAA-AAAA-AAAA-AAAA", "lost")
        assert log_in("", "right")
        assert failures() == 0
        for _ in range(3):
            assert not log_in(CODES[0], "wrong")
        assert not log_in(CODES[1], "lost"), "the account is locked, and the code is not asked for"
        assert spent_in(recovery_file(alice)) == [CODES[0]]
    finally:
        shutil.rmtree("/run/faillock", ignore_errors=True)
