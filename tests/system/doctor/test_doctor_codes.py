"""`trex doctor` for method=totp: secrets, emergency codes, the limit, room to write."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, SECRET
from tests.support.command import trex
from tests.support.examination import (
    CODES,
    OPTIONS,
    checks,
    defects,
    examine,
    found,
    said_end,
    secret,
    write_ssh_key,
    write_stack,
)
from tests.support.mounts import mounted, without_package

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account


def test_a_sound_secret_has_no_findings_and_nothing_is_changed(coder: Account) -> None:
    before = sandbox.listing(coder.home)
    for arguments in ((), ("--user", "alice")):
        assert checks(*arguments) == []
    assert checks(account=coder) == []
    assert sandbox.listing(coder.home) == before


def _readable(user: Account) -> None:
    (user.home / FILE).chmod(0o644)


def _others(user: Account) -> None:
    os.chown(user.home / FILE, 0, -1)


def _open_home(user: Account) -> None:
    user.home.chmod(0o777)


def _link(user: Account) -> None:
    (user.home / FILE).rename(user.home / "elsewhere")
    (user.home / FILE).symlink_to("elsewhere")


def _gone(user: Account) -> None:
    (user.home / FILE).unlink()


def _step(user: Account) -> None:
    user.write(secret(OPTIONS + '" STEP_SIZE 61\n'), FILE)


def _no_secret(user: Account) -> None:
    user.write(f"1!\n{OPTIONS}", FILE)


def _long(user: Account) -> None:
    user.write("A" * 60_000 + f"\n{OPTIONS}", FILE)


def _used(user: Account) -> None:
    user.write(secret(OPTIONS.replace("REUSE", "REUSE 1x")), FILE)


@pytest.mark.parametrize(
    ("breaks", "check", "what"),
    [
        (_readable, "totp-FileUnsafe", "found mode 0644 and owner uid"),
        (_others, "totp-FileUnsafe", "found "),
        (_open_home, "totp-FileUnsafe", "/home/alice: expected writable by its owner only, found mode 0777"),
        (_link, "totp-FileUnsafe", "found a symbolic link"),
        (_gone, "totp-NoRecord", "no such file"),
        (_step, "totp-RecordError", ", found another STEP_SIZE"),
        (_no_secret, "totp-RecordError", f"{FILE}:1: expected a secret in base32, found no secret"),
        (_long, "totp-RecordError", f"{FILE}:1: expected at most 256, found 60000 characters of secret"),
        (_used, "totp-RecordError", f"{FILE}:4: expected the numbers of steps, found another DISALLOW_REUSE"),
    ],
)  # fmt: skip
def test_a_secret_that_a_login_would_refuse(
    coder: Account, breaks: Callable[[Account], None], check: str, what: str,
    ask: Callable[..., sandbox.Asked],
) -> None:  # fmt: skip
    breaks(coder)
    finding = found(check, "--user", "alice")
    assert finding["severity"] == "error"
    assert what in finding["what"]
    assert finding["what"].startswith("alice: ")
    assert finding["subject"] == "alice"
    asked = ask("alice", "--answer", "000000", arguments=("method=totp",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL", "the login says the same"


@pytest.mark.parametrize("mode", [0o604, 0o644])
def test_the_fix_for_a_secret_that_root_owns_is_a_command_that_works(
    coder: Account, mode: int
) -> None:
    path = coder.home / FILE
    os.chown(path, 0, 0)
    path.chmod(mode)
    command = found("totp-FileUnsafe", "--user", "alice")["fix"].partition("; if ")[0]
    subprocess.run(["sh", "-c", command], check=True)
    assert checks("--user", "alice") == []


def test_nullok_makes_a_missing_secret_a_warning(coder: Account) -> None:
    _gone(coder)
    write_stack("required {trex} method=totp nullok")
    assert checks("--user", "alice") == [("pam-nullok", "warning"), ("totp-NoRecord", "warning")]
    write_stack("required {trex} method=totp")
    assert checks() == [("totp-nobody", "error")]


def test_no_secret_is_ever_in_a_report(coder: Account) -> None:
    for text in (secret(codes=1), secret(OPTIONS + '" STEP_SIZE 99\n'), f"{SECRET}!\n{CODES[0]}\n"):
        coder.write(text, FILE)
        for arguments in ([], ["--json"]):
            done = trex("doctor", *arguments)
            assert done.returncode != 0
            assert not any(code in done.stdout + done.stderr for code in (SECRET, *CODES))


@pytest.mark.parametrize(("left", "says"), [(0, "no emergency codes left"), (1, "1 emergency code left"),
                                            (2, "2 emergency codes left")])  # fmt: skip
def test_emergency_codes_that_run_out(coder: Account, left: int, says: str) -> None:
    coder.write(secret(codes=left), FILE)
    finding = found("totp-emergency")
    assert finding["severity"] == "warning"
    assert finding["what"].endswith(says)
    coder.write(secret(codes=3), FILE)
    assert checks() == []


def test_the_rate_limit_is_reached_until_it_says(
    coder: Account, ask: Callable[..., sandbox.Asked]
) -> None:
    now = int(time.time())
    coder.write(secret(OPTIONS.replace("3 30", f"2 600 {now - 400} {now - 300}")), FILE)
    finding = found("totp-limit")
    assert finding["severity"] == "error"
    assert said_end(finding["what"]) == pytest.approx(now - 400 + 601 - time.time(), abs=60)
    asked = ask("alice", "--answer", CODES[0], arguments=("method=totp",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    coder.write(secret(OPTIONS.replace("3 30", f"3 600 {now - 400} {now - 300}")), FILE)
    assert checks() == []
    coder.write(secret(OPTIONS.replace('" RATE_LIMIT 3 30\n', "")), FILE)
    assert checks() == [("totp-rate", "warning")]


def test_a_file_without_codes(coder: Account) -> None:
    coder.write(secret('" RATE_LIMIT 3 30\n'), FILE)
    assert ("totp-kind", "warning") in checks()
    coder.write(secret('" RATE_LIMIT 3 30\n', codes=0), FILE)
    assert ("totp-kind", "error") in checks()
    coder.write(secret('" RATE_LIMIT 3 30\n" HOTP_COUNTER 1\n'), FILE)
    assert checks() == []


def test_a_home_in_which_the_file_could_not_be_rewritten(coder: Account) -> None:
    home = coder.home
    with mounted(home, "--bind", str(home)):
        subprocess.run(["mount", "-o", "remount,bind,ro", home], check=True)
        assert found("totp-room")["what"].endswith("could not be rewritten: Read-only file system")
    content = (home / FILE).read_text()
    with mounted(home, "-t", "tmpfs", "-o", "mode=755,size=64k", "full"):
        os.chown(home, coder.uid, coder.gid)
        coder.write(content, FILE)
        write_ssh_key(coder)
        assert checks() == []
        fill = home / "fill"
        subprocess.run(["dd", "if=/dev/zero", f"of={fill}"], check=False, capture_output=True)
        assert found("totp-room")["what"].endswith("rewritten: No space left on device")
        fill.unlink()
        os.chown(home, 0, 0)
        assert found("totp-room")["what"].endswith("could not be rewritten: Permission denied")


def test_central_secrets(coder: Account, account: Callable[[str], Account], place: Path) -> None:
    servant = account("codes")
    directory = place / "totp"
    directory.mkdir(mode=0o700)
    servant.own(directory, 0o700)
    argument = f"method=totp secret={directory}/%u run_as=codes"
    write_stack(f"required {{trex}} {argument}")
    assert checks() == [("totp-nobody", "error")]
    path = directory / "alice"
    path.write_text(secret())
    servant.own(path, 0o600)
    assert checks() == []
    path.write_text(secret().replace("\n", f'\n" TREX_UID {coder.uid + 7}\n', 1))
    [inherited] = defects()
    assert inherited["check"] == "totp-OtherAccount"
    assert inherited["fix"] == f"rm {path}"
    (directory / "gone").write_text(secret())
    path.write_text(secret())
    [orphan] = defects()
    assert (orphan["check"], orphan["severity"]) == ("totp-orphan", "warning")
    subprocess.run(["bash", "-ec", orphan["fix"]], check=True)
    assert checks() == []
    os.chown(path, coder.uid, -1)
    assert checks() == [("totp-FileUnsafe", "error")]
    report = examine(account=coder)
    told = [finding["what"] for finding in report["findings"]]
    assert "alice: the secret of run_as=codes: not checked" in told
    assert {finding["severity"] for finding in report["findings"]} == {"note"}
    shutil.rmtree(directory)


def test_pyotp_that_is_missing(coder: Account) -> None:
    with without_package("pyotp"):
        finding = found("totp-PackageMissing")
    assert "python3-pyotp is missing" in finding["what"]
