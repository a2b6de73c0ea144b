"""`trex recovery` in a terminal, and logins with the codes that it makes."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import finish, on_terminal, trex
from tests.support.mounts import mounted
from tests.support.page_text import blocks
from tests.support.recovery import CODES, FILE, hashed, recovery_file, spent_in, text, write_codes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked

MAKE, SHOW = (block.split()[1:] for block in blocks("docs/recovery.md", "## Make the codes"))
LINE = re.compile(r"^ *(\d+)  ((?:[0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4})$", re.MULTILINE)


def codes_in(shown: str) -> list[str]:
    """Return the codes that were shown, which are numbered."""
    found = LINE.findall(shown.replace("\r", ""))
    assert [int(number) for number, _ in found] == list(range(1, 11))
    codes = [code for _, code in found]
    assert len(set(codes)) == 10
    return codes


@pytest.fixture
def lets_in(ask: Callable[..., Asked]) -> Callable[..., bool]:
    """Log in with a code: `lets_in("bob", code)`."""

    def log_in(user: str, code: str, *arguments: str) -> bool:
        asked = ask(user, "--answer", code, arguments=("method=recovery", *arguments))
        return asked.verdict == "PAM_SUCCESS"

    return log_in


def test_codes_are_shown_once_and_only_hashes_are_kept(
    bob: Account, lets_in: Callable[..., bool]
) -> None:
    made = trex(*MAKE, account=bob)
    assert made.returncode == 0, made.stderr
    codes = codes_in(made.stdout)
    assert "They are not shown again" in made.stderr
    path = recovery_file(bob)
    assert (path.stat().st_mode & 0o7777, path.stat().st_uid) == (0o600, bob.uid)
    content = path.read_text()
    assert f"\nuid {bob.uid}\n" in content
    assert not any(part in content for code in codes for part in (code, code.replace("-", "")))
    assert [path.name for path in bob.home.glob("*recovery*")] == [FILE]
    shown = trex(*SHOW, account=bob)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.endswith(": 10 of 10 codes left\n")
    assert not any(hashed in shown.stdout for hashed in re.findall("[0-9a-f]{64}", content))
    for code in codes:
        assert lets_in("bob", code)
        assert not lets_in("bob", code)
    shown = trex("recovery", "show", account=bob)
    assert shown.returncode == 1
    assert ": 0 of 10 codes left\n" in shown.stdout
    assert shown.stdout.count("Used on 20") == 10
    assert shown.stderr == (
        "trex: error: no recovery code is left\ntrex: hint: trex recovery make\n"
    )


def test_new_codes_are_asked_about_and_end_the_old_ones(
    bob: Account, lets_in: Callable[..., bool]
) -> None:
    write_codes(bob, spent={CODES[2]: 1})
    before = recovery_file(bob).read_bytes()
    again = on_terminal("recovery", "make", account=bob)
    again.expect_exact("bob has 2 recovery codes left. Replace them by new ones? [y/N] ")
    again.sendline("n")
    assert finish(again) == 130
    assert recovery_file(bob).read_bytes() == before
    piped = trex("recovery", "make", account=bob)
    assert (piped.returncode, piped.stdout) == (1, "")
    assert "trex: hint: --yes asks no questions" in piped.stderr
    assert recovery_file(bob).read_bytes() == before
    again = on_terminal("recovery", "make", account=bob)
    again.expect_exact("[y/N] ")
    again.sendline("y")
    again.expect_exact("They are not shown again:")
    assert finish(again) == 0
    fresh = codes_in(again.before)
    assert not lets_in("bob", CODES[0])
    assert lets_in("bob", fresh[9])
    assert trex("recovery", "make", "--yes", account=bob).returncode == 0
    assert not lets_in("bob", fresh[0])


@pytest.mark.parametrize(
    "content", ["nonsense\n", text(4_000_000_000)], ids=["malformed", "another's"]
)
def test_a_file_that_no_login_takes_is_replaced_after_a_question(
    bob: Account, lets_in: Callable[..., bool], content: str
) -> None:
    bob.write(content, FILE)
    show = trex("recovery", "show", account=bob)
    assert show.returncode == 1
    assert str(recovery_file(bob)) in show.stderr
    again = on_terminal("recovery", "make", account=bob)
    again.expect_exact("bob has recovery codes that no login takes (")
    again.expect_exact("Replace them by new ones? [y/N] ")
    again.sendline("y")
    again.expect_exact("They are not shown again:")
    assert finish(again) == 0
    assert lets_in("bob", codes_in(again.before)[0])


def test_codes_are_removed_after_a_question(bob: Account, lets_in: Callable[..., bool]) -> None:
    assert "no codes, nothing to remove" in trex("recovery", "remove", account=bob).stderr
    write_codes(bob)
    asking = on_terminal("recovery", "remove", account=bob)
    asking.expect_exact("bob has 3 recovery codes left. Remove them? [y/N] ")
    asking.sendline("n")
    assert finish(asking) == 130
    assert lets_in("bob", CODES[0])
    removed = trex("recovery", "remove", "--user", "bob", "--yes")
    assert (removed.returncode, removed.stdout) == (0, "")
    assert removed.stderr == f"Removed: {recovery_file(bob)}\n"
    assert not recovery_file(bob).exists()
    assert not lets_in("bob", CODES[1])


def test_root_makes_codes_for_a_user_as_that_user(
    bob: Account, lets_in: Callable[..., bool]
) -> None:
    made = trex("recovery", "make", "--user", "bob")
    assert made.returncode == 0, made.stderr
    assert f"Recovery codes of bob at {os.uname().nodename}." in made.stderr
    assert recovery_file(bob).stat().st_uid == bob.uid
    assert lets_in("bob", codes_in(made.stdout)[4])
    assert ": 9 of 10 codes left\n" in trex("recovery", "show", "--user", "bob").stdout


def test_nobody_makes_or_sees_another_s(bob: Account, carol: Account) -> None:
    write_codes(carol)
    for command in ("make", "show"):
        done = trex("recovery", command, "--user", "carol", account=bob)
        assert (done.returncode, done.stdout) == (1, "")
        assert "trex: error: only root or carol can do this" in done.stderr
        gone = trex("recovery", command, "--user", "nobody-here")
        assert "nobody-here: there is no such account" in gone.stderr
    assert spent_in(recovery_file(carol)) == []


def test_central_codes_are_root_s_to_make_and_out_of_their_user_s_reach(
    bob: Account, central: list[str], lets_in: Callable[..., bool], place: Path
) -> None:
    """The directory is made where it is missing, in one of root's."""
    directory = place / "made/recovery"
    where = ("--central", "--recovery-file", f"{directory}/%u")
    missing = trex("recovery", "make", *where, "--user", "bob")
    assert missing.returncode == 1
    assert f"{directory.parent}" in missing.stderr
    directory.parent.mkdir(mode=0o755)
    try:
        made = trex("recovery", "make", *where, "--user", "bob")
        assert made.returncode == 0, made.stderr
        codes = codes_in(made.stdout)
        status, around = (directory / "bob").stat(), directory.stat()
        assert stat.S_IMODE(status.st_mode) == 0o600
        assert stat.S_IMODE(around.st_mode) == 0o700
        assert status.st_uid == around.st_uid not in (0, bob.uid)
        arguments = (f"recovery_file={directory}/%u", "run_as=_trex")
        assert lets_in("bob", codes[0], *arguments)
        assert not lets_in("bob", codes[0], *arguments)
        shown = trex("recovery", "show", *where, "--user", "bob")
        assert ": 9 of 10 codes left\n" in shown.stdout
        for command in ("make", "show"):
            done = trex("recovery", command, *where, account=bob)
            assert "trex: error: only root or root can do this" not in done.stderr
            assert "trex: error: only root can do this" in done.stderr
        assert not lets_in("bob", CODES[1], *arguments)
        write_codes(bob)
        assert not lets_in("bob", CODES[1], *arguments), "what lies in the home has no say"
    finally:
        subprocess.run(["rm", "-r", directory.parent], check=True)


def test_central_codes_of_an_account_that_is_gone_are_removed(
    bob: Account, central: list[str], place: Path
) -> None:
    """By its name and uid the next account would inherit the sheet of somebody who has left."""
    (place / "left").mkdir(mode=0o755)
    where = ("--central", "--recovery-file", f"{place}/left/recovery/%u", "--user", "bob")
    codes = place / "left/recovery/bob"
    try:
        nothing = trex("recovery", "remove", *where, "--yes")
        assert nothing.stderr == f"{codes}: no codes, nothing to remove.\n"
        assert trex("recovery", "make", *where).returncode == 0
        bob.leave()
        for command in (("make", *where), ("show", *where), ("remove", "--user", "bob", "--yes")):
            assert "bob: there is no such account" in trex("recovery", *command).stderr
        removed = trex("recovery", "remove", *where, "--yes")
        told = f"There is no account bob: only its codes are left.\nRemoved: {codes}\n"
        assert (removed.returncode, removed.stderr) == (0, told)
        assert not codes.exists()
    finally:
        bob.give_name_to(bob.uid)
        shutil.rmtree(place / "left")


def test_a_directory_of_another_s_gets_no_codes(bob: Account, central: list[str]) -> None:
    """Root makes a directory in a directory of root's alone: a user could swap it."""
    where = ("--central", "--recovery-file", f"{bob.home}/codes/%u")
    done = trex("recovery", "make", *where, "--user", "bob")
    assert done.returncode == 1
    assert "owned by root" in done.stderr
    assert not (bob.home / "codes").exists()


def test_an_account_that_root_has_not_made_is_said(bob: Account) -> None:
    done = trex("recovery", "make", "--central", "--user", "bob")
    assert done.returncode == 1
    assert "run_as=_trex: there is no such account" in done.stderr
    assert "trex: hint: README.md, central mode" in done.stderr


def test_the_page_has_the_codes_and_goes_where_they_were_not_written(
    bob: Account, lets_in: Callable[..., bool]
) -> None:
    page = bob.home / "codes.html"
    made = trex("recovery", "make", "--page", str(page), account=bob)
    codes = codes_in(made.stdout)
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    content = page.read_text()
    assert re.findall("<li>([^<]+)</li>", content) == codes
    assert "bob" in content
    assert os.uname().nodename in content
    assert f"Written: {page}, which has the codes: print it, and delete it" in made.stderr
    again = trex("recovery", "make", "--yes", "--page", str(page), account=bob)
    assert again.returncode == 1
    assert f"trex: error: {page}: File exists" in again.stderr
    assert page.read_text() == content
    assert lets_in("bob", codes[0]), "nothing was replaced"
    page.unlink()
    subprocess.run(["mount", "--bind", bob.home, bob.home], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", bob.home], check=True)
        elsewhere = sandbox.PLACE / "bob-s"
        elsewhere.mkdir()
        bob.own(elsewhere, 0o700)
        failed = trex("recovery", "make", "--yes", "--page", f"{elsewhere}/x", account=bob)
        assert failed.returncode == 1
        assert "Read-only file system" in failed.stderr
        assert list(elsewhere.iterdir()) == []
        assert failed.stdout == "", "codes that nothing takes are not shown"
    finally:
        subprocess.run(["umount", bob.home], check=True)
        elsewhere.rmdir()
    assert lets_in("bob", codes[1])


def test_of_several_runs_at_once_the_last_one_s_codes_count(bob: Account) -> None:
    write_codes(bob)
    making = [
        subprocess.Popen(
            ["/usr/bin/python3", "-B", "-m", "trex.cli", "recovery", "make", "--yes"],
            env={"PATH": "/usr/bin:/bin", "HOME": str(bob.home), "PYTHONPATH": str(sandbox.MODULE)},
            user=bob.uid, group=bob.gid, extra_groups=[], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=bob.home,
        )
        for _ in range(4)
    ]  # fmt: skip
    shown = [one.communicate(timeout=180)[0] for one in making]
    content = recovery_file(bob).read_text()
    [salt] = re.findall("salt (.*)", content)
    in_file = {line.split()[1] for line in content.splitlines() if line.startswith("code ")}
    sets = [{hashed(code, salt) for code in codes_in(text)} for text in shown if text]
    assert in_file in sets
    assert not re.search(CODES[0], content)


def test_what_is_made_says_when(bob: Account) -> None:
    now = int(time.time())
    write_codes(bob, spent={CODES[0]: now})
    shown = trex("recovery", "show", account=bob)
    assert re.match("Made on 2025-11-2[78] at ", shown.stdout.splitlines()[1]), "by the local time"
    assert shown.stdout.splitlines()[1].endswith(": 2 of 3 codes left")
    assert shown.stdout.splitlines()[2].startswith(
        f"Used on {time.strftime('%Y-%m-%d at ', time.localtime(now))}"
    )


def test_codes_in_a_home_are_said_to_open_nothing_where_root_keeps_them(bob: Account) -> None:
    """Their user may have nothing else left: a sheet that opens nothing would keep them out."""
    told = "trex recovery make --central --user bob"
    with mounted(Path("/var/lib"), "-t", "tmpfs", "-o", "mode=755", "trex-var-lib"):
        assert told not in trex(*MAKE, account=bob).stderr
        Path("/var/lib/trex/recovery").mkdir(parents=True)
        for done in (
            trex(*MAKE, "--yes", account=bob),
            trex(*MAKE, "--yes", "--user", "bob"),
        ):
            assert done.returncode == 0
            assert told in done.stderr, done.stderr
