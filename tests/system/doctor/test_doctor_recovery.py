"""`trex doctor` for method=recovery: files, codes that run out, and the line's place in a stack."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import trex
from tests.support.examination import checks, defects, examine, found, write_stack
from tests.support.mounts import mounted
from tests.support.recovery import FILE, hashed, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

MADE = tuple(f"{n:04}-4567-89AB-CDEF" for n in range(10))


@pytest.fixture
def saver(host: Account) -> Account:
    """A user with a key and ten codes, on a sound host that asks for either."""
    write_stack("sufficient {trex} nullok", "required {trex} method=recovery")
    host.write(text(host.uid, MADE), FILE)
    return host


def run_fix(finding: dict[str, str]) -> None:
    """Type the command that a finding gives."""
    fix = finding["fix"]
    if fix.startswith("trex "):
        done = trex(*fix.split()[1:])
        assert done.returncode == 0, done.stderr
    else:
        subprocess.run(["sh", "-c", fix], check=True)


def test_a_sound_file_has_no_findings_and_nothing_is_changed(saver: Account) -> None:
    before = sandbox.listing(saver.home)
    for arguments in ((), ("--user", "alice")):
        assert checks(*arguments) == []
    assert checks(account=saver) == []
    assert sandbox.listing(saver.home) == before


def _readable(user: Account) -> None:
    (user.home / FILE).chmod(0o644)


def _others(user: Account) -> None:
    os.chown(user.home / FILE, 0, 0)
    (user.home / FILE).chmod(0o644)


def _open_home(user: Account) -> None:
    user.home.chmod(0o777)


def _malformed(user: Account) -> None:
    user.write("uid x\n", FILE)


def _predecessor(user: Account) -> None:
    user.write(text(user.uid + 1, MADE), FILE)


@pytest.mark.parametrize(
    ("breaks", "check", "what"),
    [
        (_readable, "recovery-FileUnsafe", "found mode 0644 and owner uid"),
        (_others, "recovery-FileUnsafe", "found "),
        (_open_home, "recovery-FileUnsafe", "/home/alice: expected writable by its owner only, found mode 0777"),
        (_malformed, "recovery-RecordError", f"{FILE}:1: expected a number, found another uid"),
        (_predecessor, "recovery-OtherAccount", ": it was made for another account"),
    ],
)  # fmt: skip
def test_a_file_that_a_login_would_refuse_and_the_command_that_fixes_it(
    saver: Account, breaks: Callable[[Account], None], check: str, what: str,
    ask: Callable[..., sandbox.Asked],
) -> None:  # fmt: skip
    breaks(saver)
    finding = found(check, "--user", "alice")
    assert (finding["severity"], finding["subject"]) == ("error", "alice")
    assert what in finding["what"]
    asked = ask("alice", "--answer", MADE[0], arguments=("method=recovery",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL", "the login says the same"
    assert [check for check, _ in checks() if check.startswith("recovery")] == [check]
    run_fix(finding)
    assert [check for check, _ in checks() if check.startswith("recovery")] == []


@pytest.mark.parametrize(("left", "says"), [(0, "no recovery codes left"), (1, "1 recovery code left"),
                                            (2, "2 recovery codes left")])  # fmt: skip
def test_codes_that_run_out(saver: Account, left: int, says: str) -> None:
    saver.write(text(saver.uid, MADE, dict.fromkeys(MADE[left:], 1)), FILE)
    finding = found("recovery-left")
    assert finding["severity"] == "warning"
    assert finding["what"].endswith(says)
    run_fix(finding)
    assert checks() == []


def test_codes_that_were_used_lately_are_a_note(saver: Account) -> None:
    now = int(time.time())
    saver.write(text(saver.uid, MADE, {MADE[0]: now - 90, MADE[1]: now - 31 * 24 * 3600}), FILE)
    finding = found("recovery-used")
    assert finding["severity"] == "note"
    assert "alice: 1 recovery code used, the last on 20" in finding["what"]
    assert defects() == []


def test_a_user_without_codes_is_a_warning_and_so_is_nobody_with_any(saver: Account) -> None:
    (saver.home / FILE).unlink()
    assert checks() == [("recovery-nobody", "warning")]
    finding = found("recovery-NoRecord", "--user", "alice")
    assert finding["severity"] == "warning"
    assert finding["fix"] == "trex recovery make --user alice"
    assert examine("--user", "alice", account=saver)["findings"][-1]["fix"] == "trex recovery make"
    run_fix(finding)
    assert checks("--user", "alice") == checks() == []


def test_a_code_or_a_hash_is_never_in_a_report(saver: Account) -> None:
    content = text(saver.uid, MADE, {MADE[0]: int(time.time())})
    for broken in (content, content + "code x\n", f"{MADE[1]}\n" + content):
        saver.write(broken, FILE)
        for arguments in ([], ["--json"]):
            done = trex("doctor", *arguments)
            told = done.stdout + done.stderr
            assert not any(word in told for code in MADE for word in (hashed(code), code))


def test_a_home_in_which_the_file_could_not_be_rewritten(saver: Account) -> None:
    with mounted(saver.home, "--bind", str(saver.home)):
        subprocess.run(["mount", "-o", "remount,bind,ro", saver.home], check=True)
        what = found("recovery-room")["what"]
    assert what.endswith("could not be rewritten: Read-only file system")


def test_central_codes_and_the_command_that_makes_them(
    saver: Account, central: list[str], place: Path
) -> None:
    directory = place / "doctor-recovery"
    where = f"recovery_file={directory}/%u run_as=_trex"
    write_stack("sufficient {trex} nullok", f"required {{trex}} method=recovery {where}")
    assert ("recovery-untold", "warning") in checks()
    write_stack(f"sufficient {{trex}} nullok {where}", f"required {{trex}} method=recovery {where}")
    finding = found("recovery-NoRecord", "--user", "alice")
    assert finding["fix"] == (
        f"trex recovery make --central --recovery-file {directory}/%u --user alice"
    )
    run_fix(finding)
    try:
        told = [check for check, _ in checks("--user", "alice")]
        assert [check for check in told if check.startswith("recovery")] == []
        report = examine(account=saver)
        assert "alice: the recovery codes of run_as=_trex: not checked" in [
            finding["what"] for finding in report["findings"]
        ]
        (directory / "alice").rename(directory / "nobody-here")
        orphan = found("recovery-orphan")
        assert f"{directory}/nobody-here: recovery codes, and there is no account" in orphan["what"]
        run_fix(orphan)
        assert list(directory.iterdir()) == []
    finally:
        shutil.rmtree(directory)


@pytest.mark.parametrize(
    ("lines", "is_told"),
    [
        (["required {trex} method=recovery"], True),
        (["required {trex}", "required {trex} method=recovery"], True),
        (["sufficient {trex} nullok", "required {trex} method=recovery"], False),
        (["requisite pam_faillock.so preauth", "[success=2 default=ignore] {trex} nullok",
          "[success=1 auth_err=bad default=die] {trex} method=recovery",
          "[default=die] pam_faillock.so authfail", "required pam_faillock.so authsucc"], False),
        (["sufficient {trex} nullok", "sufficient {trex} method=totp nullok",
          "required {trex} method=recovery"], False),
    ],
)  # fmt: skip
def test_a_line_that_asks_for_a_code_at_each_login(
    saver: Account, lines: list[str], is_told: bool
) -> None:
    """Ten logins, and nobody gets in."""
    write_stack(*lines)
    assert any(check == "recovery-always" for check, _ in checks()) is is_told


def test_for_sudo_the_file_lies_where_its_user_cannot_write(
    saver: Account, stack: Callable[..., Path]
) -> None:
    stack("sudo", "method=recovery")
    [finding] = [f for f in defects("--service", "sudo") if f["check"] == "own-record"]
    assert "recovery_file=/var/lib/trex/recovery/%u run_as=_trex" in finding["fix"]
