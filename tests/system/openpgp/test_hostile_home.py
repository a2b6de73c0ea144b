"""A hostile home: invalid keyrings, records that change, options instead of recipients."""

from __future__ import annotations

import fcntl
import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

pytestmark = pytest.mark.usefixtures("door")
SECONDS = 50  # gpg_timeout is 2; the machine may be busy


def a_fifo(path: Path) -> None:
    os.mkfifo(path)


def a_directory(path: Path) -> None:
    path.mkdir()


def a_gigabyte_of_nothing(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


def noise(path: Path) -> None:
    path.write_bytes(os.urandom(1 << 20))


def a_link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_link_to_shadow(path: Path) -> None:
    path.symlink_to("/etc/shadow")


@pytest.mark.parametrize("name", ["pubring.kbx", "trustdb.gpg"])
@pytest.mark.parametrize(
    "plant",
    [a_fifo, a_directory, a_gigabyte_of_nothing, noise, a_link_to_zeros, a_link_to_shadow],
)
def test_a_keyring_that_is_none(
    plant: Callable[[Path], None], name: str, alice: Account, keys: Keys,
    ask: Callable[..., Asked], log: Log,
) -> None:  # fmt: skip
    """Advisory CVE-2019-12209, for what gpg reads: no hang, and always a refusal."""
    alice.write(f"{keys['cv25519']} notrust nosign\n")
    path = alice.gnupg / name
    path.unlink(missing_ok=True)
    plant(path)
    os.chown(path, alice.uid, alice.gid, follow_symlinks=False)
    started = time.monotonic()
    asked = ask("alice", arguments=("gpg_timeout=2", "nullok"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    assert time.monotonic() - started < SECONDS
    assert "root:" not in log.everything()


def test_a_keyring_that_somebody_keeps_locked(alice: Account, log_in: Callable[..., Asked]) -> None:
    """With gpg's own lock file of a process that lives, and with locks on the files themselves."""
    held = []
    for name in ("pubring.kbx", "trustdb.gpg"):
        path = alice.gnupg / name
        lock = path.with_name(f"{name}.lock")
        lock.write_text(f"{os.getpid():10d}\n{os.uname().nodename}\n")
        alice.own(lock, 0o644)
        if path.exists():
            held.append(path.open("rb+"))
            fcntl.flock(held[-1], fcntl.LOCK_EX)
            fcntl.lockf(held[-1], fcntl.LOCK_EX)
    assert held
    started = time.monotonic()
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert time.monotonic() - started < SECONDS
    for file in held:
        file.close()


@pytest.mark.parametrize(
    "recipient",
    ["--output=@", "-o", "$(touch${IFS}@)", "a;touch${IFS}@;b@example.org", "`touch${IFS}@`",
     "a\0b@example.org", "a" * 10_000 + "@example.org", "--homedir=/tmp", "%s%n@-e"],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
def test_nothing_is_run_that_a_record_names(
    recipient: str, alice: Account, ask: Callable[..., Asked], log: Log, place: Path
) -> None:
    """Advisory CVE-2026-44712 (pam_usb): injection through a configuration's value."""
    canary = place / "canary"
    alice.write(f"# a comment\n{recipient.replace('@', str(canary), 1)} trust nosign\n")
    assert ask("alice", arguments=("nullok",)).verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "/home/alice/.auth_gpg:2: expected " in log.verdict()
    assert len(log.verdict()) < 2100
    assert not canary.exists()
    assert not (alice.home / "canary").exists()


def test_a_name_in_a_path_is_no_command(alice: Account, log_in: Callable[..., Asked]) -> None:
    """Advisory CVE-2026-44712: file names, too; they are in an argument list, without a shell."""
    home = alice.home / "`touch canary` ;(id) -o x"
    alice.gnupg.rename(home)
    assert log_in("alice", arguments=(f"[gnupg_home=%h/{home.name}]",)).verdict == "PAM_SUCCESS"


def test_a_record_that_is_replaced_while_people_log_in(
    alice: Account, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    """By rename(2), as an editor or an enrolment does it: each login sees one or the other."""
    texts = [
        f"{keys['cv25519']} trust nosign\n",
        f"# new\n\ncv25519@example.org,{keys['cv25519']} trust nosign\n",
    ]
    done = threading.Event()

    def replace() -> int:
        count = 0
        while not done.is_set():
            draft = alice.write(texts[count % 2], ".auth_gpg.draft")
            draft.rename(alice.record)
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        replacing = pool.submit(replace)
        try:
            logins = [pool.submit(log_in, "alice", arguments=("nullok",)) for _ in range(12)]
            verdicts = [login.result().verdict for login in logins]
        finally:
            done.set()
    assert verdicts == ["PAM_SUCCESS"] * len(verdicts)
    assert replacing.result() > len(verdicts)


def test_two_logins_of_one_user_at_once_have_their_own_challenges(
    alice: Account, holder: Holder, prompt: Callable[..., object]
) -> None:
    """The C++ trex-pam kept state in globals, a Rust module its code for three tries."""
    first, second = prompt("alice"), prompt("alice")
    answers = [str(holder.decrypt(one.shown.message)).strip() for one in (first, second)]  # type: ignore[attr-defined]
    assert answers[0] != answers[1]
    assert first.answer(answers[1]).verdict == "PAM_AUTH_ERR"  # type: ignore[attr-defined]
    assert second.answer(answers[1]).verdict == "PAM_SUCCESS"  # type: ignore[attr-defined]


def test_a_refused_name_starts_no_gpg(
    ask: Callable[..., Asked], alice: Account, place: Path
) -> None:
    """Advisory CVE-2015-5600: the cost of an attempt is bounded, here to nothing."""
    seen = place / "gpg-ran"
    program = place / "counting-gpg"
    program.write_text(f'#!/bin/sh\necho x >> {seen}\nexec /usr/bin/gpg "$@"\n')
    program.chmod(0o755)
    seen.touch()
    seen.chmod(0o666)
    for name in ("nobody-here", "../alice", "root"):
        ask(name, arguments=(f"gpg={program}",))
    assert seen.read_text() == ""
    ask("alice", "--answer", "wrong", arguments=(f"gpg={program}",))
    assert seen.read_text() == "x\nx\n", "one that lists and one that encrypts"
    subprocess.run(["rm", seen, program], check=True)
