"""grace_period=: who has just succeeded from one place is not asked again there, and only there."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.activation import WITNESSES
from tests.support.grace import BOOT, DAY, HOME, OFFICE, PLACE, only_file
from tests.support.owner import Owner
from tests.support.page import OpenPrompt
from tests.support.sshd import Sshd, answering
from trex.login.gracefile import forget_successes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.system.conftest import Keys

pytestmark = pytest.mark.usefixtures("no_grace_left")


@pytest.mark.usefixtures("door")
def test_the_same_user_from_the_same_host_is_asked_once(
    alice: Account, service: Callable[..., str], from_: Callable[..., bool], log: Log
) -> None:
    day = service(DAY)
    assert from_(HOME, day)
    assert not from_(HOME, day)
    assert "accepted: user=alice" in log.verdict()
    assert "of the grace period are left" in log.verdict()
    assert from_(OFFICE, day), "another host"
    assert from_(HOME, service(DAY)), "another service"
    for place in (PLACE, PLACE / str(alice.uid)):
        assert (place.stat().st_mode & 0o7777, place.stat().st_uid) == (0o700, 0)
    kept = list((PLACE / str(alice.uid)).iterdir())
    assert len(kept) == 3
    assert all((one.stat().st_mode & 0o7777, one.stat().st_uid) == (0o600, 0) for one in kept)


def test_without_the_argument_every_login_is_asked_and_nothing_is_written(
    alice: Account, service: Callable[..., str], from_: Callable[..., bool]
) -> None:
    plain = service()
    assert [from_(HOME, plain), from_(HOME, plain)] == [True, True]
    assert not PLACE.exists()


def test_whoever_failed_is_not_remembered(
    alice: Account, client: Path, day: str, from_: Callable[..., bool]
) -> None:
    asked = sandbox.ask_pam(client, day, "alice", "--answer", "WRONG", "--rhost", HOME)
    assert asked.verdict == "PAM_AUTH_ERR"
    assert not PLACE.exists()
    assert from_(HOME, day)


@pytest.mark.parametrize("rhost", ["", "office.example.org", "UNKNOWN", "192.0.2.1 ", "fe80::1%lo"])
def test_what_is_no_address_is_no_place(
    alice: Account, day: str, from_: Callable[..., bool], rhost: str
) -> None:
    """A name is what the DNS says today; without a name, and without a terminal, there is nothing."""
    assert [from_(rhost, day), from_(rhost, day)] == [True, True]
    assert not PLACE.exists()


def change_record(user: Account, _: str) -> None:
    user.write(user.record.read_bytes() + b"# another line\n")


def change_record_and_back(user: Account, service: str) -> None:
    before = user.record.read_bytes()
    change_record(user, service)
    user.write(before)


def change_line(_: Account, service: str) -> None:
    path = sandbox.PAM_SERVICES / service
    path.write_text(path.read_text().replace(DAY, f"{DAY} timeout=500"))


@pytest.mark.parametrize("change", [change_record, change_record_and_back, change_line])
def test_a_change_of_what_the_success_rests_on_ends_it_at_once(
    alice: Account, day: str, from_: Callable[..., bool], change: Callable[[Account, str], None]
) -> None:
    assert from_(HOME, day)
    change(alice, day)
    assert from_(HOME, day)
    assert not from_(HOME, day), "and the new one counts"


def test_a_success_whose_record_has_changed_since_its_prompt_is_not_remembered(
    alice: Account, client: Path, holder: Holder, day: str, from_: Callable[..., bool]
) -> None:
    """Its key may have ended just after its response was judged: then it must not count again."""
    begun = OpenPrompt(client, day, "alice", "--rhost", HOME)
    change_record(alice, day)
    assert begun.answer(str(holder.decrypt(begun.shown.message)).strip()).verdict == "PAM_SUCCESS"
    assert from_(HOME, day)


def test_another_boot_ends_it(alice: Account, day: str, from_: Callable[..., bool]) -> None:
    """In a container /run may outlive it."""
    assert from_(HOME, day)
    other = sandbox.PLACE / "another-boot"
    other.write_text("00000000-0000-4000-8000-000000000000\n")
    subprocess.run(["mount", "--bind", other, BOOT], check=True)
    try:
        assert from_(HOME, day)
    finally:
        subprocess.run(["umount", BOOT], check=True)
        other.unlink()


def test_a_key_that_is_revoked_or_has_expired_lets_nobody_in(
    alice: Account, client: Path, holder: Holder, keys: Keys, day: str, from_: Callable[..., bool]
) -> None:
    """Its record stays as it is: a login looks at the keys, whether it asks or not."""
    key = keys["cv25519-grace"]
    alice.import_keys(holder.public(key))
    alice.write(f"{key} trust nosign\n")
    assert from_(HOME, day)
    assert not from_(HOME, day)
    holder.revoke(key)
    alice.import_keys(holder.public(key))
    asked = sandbox.ask_pam(client, day, "alice", "--rhost", HOME)
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"


def test_a_subkey_that_is_revoked_ends_it_though_the_key_has_another(
    alice: Account, client: Path, place: Path, day: str
) -> None:
    """What was stolen is a laptop with a subkey of its own: its owner keeps the key."""
    owner = Owner(place / "owner-of-grace")

    def asked() -> bool:
        options = ("--answer-with", owner.command(), "--rhost", HOME)
        told = sandbox.ask_pam(client, day, "alice", *options)
        assert told.verdict == "PAM_SUCCESS"
        return "BEGIN PGP" in told.prompt

    try:
        key = owner.make("laptops@example.org", at="20200101T000000")
        owner.stolen = key
        owner._run("--quick-add-key", key, "cv25519", "encr", "never")
        alice.import_keys(owner.public(key))
        alice.write(f"{key} trust nosign\n")
        assert [asked(), asked()] == [True, False]
        owner.edit("key 2", "revkey", "y", "0", "", "y")
        alice.import_keys(owner.public(key))
        assert [asked(), asked()] == [True, False]
    finally:
        owner.remove()


def let_others_write(path: Path) -> None:
    path.chmod(0o620)


def give_away(path: Path) -> None:
    os.chown(path, 65534, 0)


def give_the_place_away(path: Path) -> None:
    os.chown(path.parent, 65534, 0)


def open_the_place(_: Path) -> None:
    PLACE.chmod(0o777)


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def make_a_link(path: Path) -> None:
    path.rename(PLACE / "elsewhere")
    path.symlink_to(PLACE / "elsewhere")


def make_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_a_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def fill(path: Path) -> None:
    path.write_bytes(b"A" * 70_000)


@pytest.mark.parametrize(
    "spoil",
    [let_others_write, give_away, give_the_place_away, open_the_place, cut_in_half, make_a_link,
     make_a_directory, make_a_fifo, fill],
)  # fmt: skip
def test_a_file_that_is_not_root_s_own_or_not_whole_has_the_question_asked(
    alice: Account, day: str, from_: Callable[..., bool], log: Log, spoil: Callable[[Path], None]
) -> None:
    assert from_(HOME, day)
    spoil(only_file(alice))
    assert from_(HOME, day)
    assert "an earlier success cannot be read: /run/trex-pam.grace" in log.everything()


def set_proof(path: Path) -> None:
    path.write_text(path.read_text().rpartition("proof ")[0] + f"proof {'0' * 64}\n")


def make_it_younger(path: Path) -> None:
    content = path.read_text()
    since = content.partition("since ")[2].partition("\n")[0]
    path.write_text(content.replace(f"since {since}", f"since {int(since) + 1}"))


@pytest.mark.parametrize("change", [set_proof, make_it_younger])
def test_a_file_that_says_something_else_lets_nobody_in(
    alice: Account, day: str, from_: Callable[..., bool], change: Callable[[Path], None]
) -> None:
    assert from_(HOME, day)
    change(only_file(alice))
    assert from_(HOME, day)


def test_the_file_of_another_user_or_host_lets_nobody_in(
    alice: Account, bob: Account, holder: Holder, keys: Keys, day: str, from_: Callable[..., bool]
) -> None:
    """The record and the keys are the same: only the name is not."""
    bob.import_keys(holder.public(keys["cv25519"]))
    bob.write(alice.record.read_bytes())
    assert from_(HOME, day)
    hers = only_file(alice)
    content = hers.read_bytes()
    assert from_(HOME, day, user="bob")
    only_file(bob).write_bytes(content)
    assert from_(HOME, day, user="bob")
    assert from_(OFFICE, day)
    for one in (PLACE / str(alice.uid)).iterdir():
        one.write_bytes(content)
    assert not from_(HOME, day)
    assert from_(OFFICE, day)


def test_a_success_that_cannot_be_written_is_one_all_the_same(
    alice: Account, day: str, from_: Callable[..., bool], log: Log
) -> None:
    PLACE.write_text("")
    try:
        assert from_(HOME, day)
        assert "this success is not remembered: " in log.everything()
        assert from_(HOME, day)
    finally:
        PLACE.unlink()


def test_a_user_who_comes_from_everywhere_has_no_more_than_so_many_files(
    alice: Account, day: str, from_: Callable[..., bool]
) -> None:
    assert from_(HOME, day)
    directory = PLACE / str(alice.uid)
    for number in range(200):
        (directory / f"{number}").touch(0o600)
        os.utime(directory / f"{number}", (number, number))
    assert from_(OFFICE, day)
    assert len(list(directory.iterdir())) == 64
    assert [from_(HOME, day), from_(OFFICE, day)] == [False, False], "the oldest are gone"


def test_logins_at_once_are_all_let_in(
    alice: Account, client: Path, holder: Holder, day: str, from_: Callable[..., bool]
) -> None:
    def log_in(number: int) -> str:
        options = ("--answer-with", holder.command(), "--rhost", f"192.0.2.{number // 2}")
        return sandbox.ask_pam(client, day, "alice", *options).verdict

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(log_in, range(6))) == {"PAM_SUCCESS"}
    assert len(list((PLACE / str(alice.uid)).iterdir())) == 3
    assert not from_("192.0.2.0", day)


def test_a_success_counts_although_a_later_module_refuses(
    alice: Account, client: Path, holder: Holder, log: Log
) -> None:
    """docs/grace.md says so: libpam tells no module of the others' verdicts."""
    both = sandbox.pam_service(
        "grace-and-more", f"auth required {sandbox.DOOR} {DAY}", "auth required pam_deny.so",
        "account required pam_permit.so",
    )  # fmt: skip
    for is_asked in (True, False):
        log.clear()
        options = ("--answer-with", holder.command(), "--rhost", HOME)
        asked = sandbox.ask_pam(client, both, "alice", *options)
        assert asked.verdict == "PAM_AUTH_ERR"
        assert "accepted: user=alice" in log.verdict()
        assert ("BEGIN PGP" in asked.prompt) == is_asked


def test_nullok_steps_aside_for_nobody_else(
    alice: Account, client: Path, service: Callable[..., str], from_: Callable[..., bool], log: Log
) -> None:
    """A record that is gone is no record, whatever is remembered."""
    both = service(DAY, "nullok", control="[success=ok ignore=ignore default=bad]")
    assert from_(HOME, both)
    alice.record.unlink()
    log.clear()
    sandbox.ask_pam(client, both, "alice", "--rhost", HOME)
    assert "not asked, because of nullok" in log.verdict()


def test_what_is_cleared_while_a_login_s_gpg_waits_lets_nobody_in(
    alice: Account, service: Callable[..., str], from_: Callable[..., bool], place: Path
) -> None:
    """A user can stop their own su and its gpg for hours, and continue after `trex grace clear`."""
    wait, waiting = place / "wait-of-grace", place / "gpg-of-grace"
    waiting.write_text(
        f'#!/bin/sh\nwhile [ -e {wait} ]; do sleep 0.07; done\nexec /usr/bin/gpg "$@"\n'
    )
    waiting.chmod(0o755)
    day = service(DAY, f"gpg={waiting}", "gpg_timeout=60")
    try:
        assert from_(HOME, day)
        assert not from_(HOME, day)
        wait.touch()
        with ThreadPoolExecutor(1) as pool:
            login = pool.submit(from_, HOME, day)
            deadline = time.monotonic() + 30
            while not any("sleep 0.07" in name for name in sandbox.processes_here().values()):
                assert time.monotonic() < deadline
                assert not login.done()
            forget_successes(alice.uid)
            wait.unlink()
            assert login.result()
    finally:
        wait.unlink(missing_ok=True)
        waiting.unlink()


@pytest.mark.usefixtures("door")
def test_a_set_user_id_program_has_no_address(
    alice: Account, bob: Account, client: Path, holder: Holder, service: Callable[..., str],
    place: Path,
) -> None:  # fmt: skip
    """Who starts it may have a say in what it tells of itself."""
    day = service(DAY)
    program, started = place / "set-user-id", place / "as-bob"
    shutil.copy(client, program)
    program.chmod(0o4755)
    started.write_text(
        f'#!/bin/sh\nexec setpriv --reuid=bob --regid=bob --clear-groups {program} "$@"\n'
    )
    started.chmod(0o755)
    options = ("--answer-with", holder.command(), "--rhost", HOME, "--ruser", "bob")
    try:
        for _ in range(2):
            asked = sandbox.ask_pam(started, day, "alice", *options)
            assert asked.verdict == "PAM_SUCCESS"
            assert "BEGIN PGP" in asked.prompt
        assert not PLACE.exists()
    finally:
        program.unlink()
        started.unlink()


@pytest.mark.usefixtures("door")
def test_ssh_is_asked_again_from_another_address(
    alice: Account, holder: Holder, sshd: Callable[..., Sshd], place: Path
) -> None:
    server = sshd(DAY)
    shown = place / "shown-of-grace"

    def asked_from(address: str) -> bool:
        shown.unlink(missing_ok=True)
        done = subprocess.run(
            [*server.command("alice", "-b", address), "id -un"], capture_output=True, text=True,
            check=False, timeout=60, stdin=subprocess.DEVNULL, start_new_session=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(server.directory),
                 "SSH_ASKPASS": str(answering(place, holder, shown)), "SSH_ASKPASS_REQUIRE": "force"},
        )  # fmt: skip
        assert done.stdout == "alice\n", done.stderr
        return shown.exists()

    addresses = ["127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1"]
    assert [asked_from(address) for address in addresses] == [True, False, True, False]


def test_whoever_is_not_asked_confirms_no_activation(
    alice: Account, day: str, from_: Callable[..., bool]
) -> None:
    notes = WITNESSES / day
    notes.mkdir(parents=True, mode=0o700)
    try:
        assert from_(HOME, day)
        asked = set(notes.iterdir())
        assert asked
        assert not from_(HOME, day)
        assert set(notes.iterdir()) == asked
    finally:
        shutil.rmtree(WITNESSES)
