"""What the doctor prints against secrets, PINs and the clock, typed as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.codes import FILE
from tests.support.examination import OPTIONS, counts_of, secret, write_stack
from tests.support.mounts import mounted, without_package
from tests.support.pins import NUMBER, PHONES, SETTINGS
from tests.support.remedies import Case, Stage, runnable, see_it_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERS = ("--user", "alice")
DEFS = Path("/etc/login.defs")


def _of(stage: Stage) -> Path:
    return stage.user.home / FILE


def _readable(stage: Stage) -> None:
    _of(stage).chmod(0o644)


def _of_root(stage: Stage) -> None:
    os.chown(_of(stage), 0, 0)


def _open_home(stage: Stage) -> None:
    stage.user.home.chmod(0o777)


def _link(stage: Stage) -> None:
    _of(stage).rename(stage.user.home / "elsewhere")
    _of(stage).symlink_to("elsewhere")


def _gone(stage: Stage) -> None:
    _of(stage).unlink()


def _broken(stage: Stage) -> None:
    stage.user.write(secret(f'{OPTIONS}" STEP_SIZE 61\n'), FILE)


def _no_kind(stage: Stage) -> None:
    stage.user.write(secret(OPTIONS.replace('" TOTP_AUTH\n', "")), FILE)


def _no_limit(stage: Stage) -> None:
    stage.user.write(secret(OPTIONS.replace('" RATE_LIMIT 3 30\n', "")), FILE)


def _no_limit_in_central_mode(stage: Stage) -> None:
    stage.fixture("central")
    directory = stage.place / "central-codes"
    subprocess.run(["install", "-d", "-o", "_trex", "-m", "0700", directory], check=True)
    path = directory / "alice"
    path.write_text(secret(OPTIONS.replace('" RATE_LIMIT 3 30\n', "")))
    shutil.chown(path, "_trex", "_trex")
    path.chmod(0o600)
    write_stack(f"required {{trex}} method=totp secret={directory}/%u run_as=_trex")


def _few(stage: Stage) -> None:
    stage.user.write(secret(codes=1), FILE)


def _reached(stage: Stage) -> None:
    now = int(time.time())
    stage.user.write(secret(OPTIONS.replace("3 30", f"2 600 {now - 400} {now - 300}")), FILE)


def _no_room(stage: Stage) -> None:
    stage.fixture("full")


def _no_library(stage: Stage) -> None:
    stage.fixture("no_pyotp")


def _fleet_without_settings(_stage: Stage) -> None:
    write_stack("required {trex} method=totp fleet")
    SETTINGS.unlink()


def _fleet_without_account(_stage: Stage) -> None:
    write_stack("required {trex} method=totp fleet sms_user=trex-fleet")


def settings(before: str, after: str) -> Callable[[Stage], object]:
    def breaks(_stage: Stage) -> None:
        SETTINGS.write_text(re.sub(before, after, SETTINGS.read_text()))

    breaks.__name__ = after
    return breaks


def said(*lines: str) -> Callable[[Stage], object]:
    def breaks(_stage: Stage) -> None:
        write_stack("requisite pam_unix.so", *lines)

    breaks.__name__ = lines[0]
    return breaks


def _settings_seen(_stage: Stage) -> None:
    SETTINGS.chmod(0o644)


def _no_settings(_stage: Stage) -> None:
    SETTINGS.unlink()


def _map_seen(_stage: Stage) -> None:
    PHONES.chmod(0o644)


def _map_written(_stage: Stage) -> None:
    PHONES.chmod(0o666)


def _no_map(_stage: Stage) -> None:
    PHONES.unlink()


def _ghost(_stage: Stage) -> None:
    PHONES.write_text(f"alice {NUMBER}\n  ghost.of/old {NUMBER}\nghostly {NUMBER}")


def _bad_map(_stage: Stage) -> None:
    PHONES.write_text("alice 0612\n")


def _no_number(_stage: Stage) -> None:
    PHONES.write_text(f"bob {NUMBER}\n")


def _nobody(_stage: Stage) -> None:
    PHONES.write_text("")


def _gecos(stage: Stage) -> None:
    stage.fixture("login_defs")
    write_stack("requisite pam_unix.so", "required {trex} method=sms gecos_phone")
    subprocess.run(["usermod", "--comment", "Alice,,+4930123455,", "alice"], check=True)
    DEFS.write_text(re.sub(r"(?m)^CHFN_RESTRICT.*", "CHFN_RESTRICT\trwh", DEFS.read_text()))


def _no_gecos_number(_stage: Stage) -> None:
    write_stack("requisite pam_unix.so", "required {trex} method=sms gecos_phone")


def _directory_of_all(stage: Stage) -> None:
    (stage.place / "doctor-counts").chmod(0o777)


def _directory_seen(stage: Stage) -> None:
    (stage.place / "doctor-counts").chmod(0o755)


def _directory_of_root(stage: Stage) -> None:
    os.chown(stage.place / "doctor-counts", 0, 0)


def _counts_of_root(stage: Stage) -> None:
    counts_of(stage.place).write_text("")


def _no_counts(stage: Stage) -> None:
    counts_of(stage.place).write_text("these are no counts" * 100)
    shutil.chown(counts_of(stage.place), "_trex-sms")


def _authority_hidden(_stage: Stage) -> None:
    hidden = PHONES.parent / "an authority.pem"
    hidden.write_text("x")
    hidden.chmod(0o600)
    SETTINGS.write_text(re.sub('ca = ".*"', f'ca = "{hidden}"', SETTINGS.read_text()))


def _limit(stage: Stage) -> None:
    from tests.support.examination import send

    SETTINGS.write_text(f"{SETTINGS.read_text()}\n[limits]\nuser_hour = 1\n")
    send(stage.place, "alice", 1)


NEW = {"NAME": "alice", "NUMBER": NUMBER}
TYPED = "typed by test_doctor_recovery, from the same printed command"
RECOVERY = [
    Case("recovery-FileUnsafe", unrun=TYPED),
    Case("recovery-NoRecord", unrun=TYPED),
    Case("recovery-nobody", unrun=TYPED),
    Case("recovery-RecordError", unrun=TYPED),
    Case("recovery-OtherAccount", unrun=TYPED),
    Case("recovery-left", unrun=TYPED),
    Case("recovery-used", by_hand="only the user knows whether it was they who used a code"),
    Case("recovery-room", by_hand="what takes the room is the administrator's to remove"),
    Case("recovery-always", by_hand="which line is to come first is the administrator's to say"),
    Case("recovery-untold", by_hand="an argument of another line: which, its text says"),
    Case("two-alone", unrun="test_doctor_two_people types the command for a sheet of codes"),
    Case("recovery-orphan", unrun="test_doctor_recovery types it for such an account"),
]
CASES = [
    *RECOVERY,
    Case("totp-NoRecord", _gone, HERS, host="coder",
         unrun="it asks at a terminal what the phone shows: test_totp_command has it"),
    Case("totp-nobody", _gone, (), host="coder",
         unrun="it asks at a terminal what the phone shows: test_totp_command has it"),
    Case("totp-FileUnsafe", _readable, HERS, host="coder"),
    Case("totp-FileUnsafe", _of_root, HERS, host="coder"),
    Case("totp-FileUnsafe", _open_home, HERS, host="coder"),
    Case("totp-FileUnsafe", _link, HERS, host="coder",
         by_hand="where the link leads is the user's to say"),
    Case("totp-RecordError", _broken, HERS, host="coder",
         by_hand="only a new secret, which the phone has to get, or who wrote the line, can help"),
    Case("totp-PackageMissing", _no_library, HERS, host="coder",
         unrun="it would install a package on this machine"),
    Case("totp-OtherAccount", unrun="test_doctor_codes has such a secret of the account before"),
    Case("totp-orphan", unrun="test_doctor_codes types it for such an account"),
    Case("sms-OtherAccount", unrun="not typed here yet: a number of the account before"),
    Case("sms-orphan", unrun="not made for SMS: sms-phones says it of the map"),
    Case("totp-kind", _no_kind, HERS, host="coder"),
    Case("totp-rate", _no_limit, HERS, host="coder"),
    Case("totp-rate", _no_limit_in_central_mode, HERS, host="coder"),
    Case("totp-emergency", _few, HERS, host="coder"),
    Case("totp-limit", _reached, HERS, host="coder",
         by_hand="the limit is there to be waited for"),
    Case("totp-room", _no_room, HERS, host="coder", by_hand="what can be deleted is not ours to say"),
    Case("totp-fleet", said("required {trex} method=totp fleet"), HERS, host="sender",
         by_hand="where the fleet's Redis is, only its administrator knows"),
    Case("totp-fleet", _fleet_without_account, HERS, host="sender",
         then="expected a redis"),
    Case("totp-fleet", _fleet_without_settings, HERS, host="sender",
         then="expected a redis"),
    Case("sms-settings", _settings_seen, host="sender"),
    Case("sms-settings", _no_settings, host="sender"),
    Case("sms-settings", settings("kind", "token"), host="sender",
         by_hand="only who wrote the line knows what it was to say"),
    Case("sms-phones", _map_written, host="sender"),
    Case("sms-phones", _no_map, host="sender"),
    Case("sms-phones", _ghost, host="sender"),
    Case("sms-phones", _bad_map, host="sender", by_hand="only its user knows the number"),
    Case("sms-readable", _map_seen, host="sender"),
    Case("sms-NoRecord", _no_number, HERS, NEW, host="sender"),
    Case("sms-NoRecord", _no_gecos_number, HERS, NEW, host="sender"),
    Case("sms-nobody", _nobody, (), NEW, host="sender"),
    Case("sms-number", lambda _stage: None, host="sender", by_hand="a note that is always there"),
    Case("sms-account", said("required {trex} method=sms sms_user=trex-sender"), host="sender"),
    Case("sms-account", said("required {trex} method=sms sms_user=root"), host="sender",
         by_hand="which account is free for it is the administrator's to say"),
    Case("sms-account", said("required {trex} method=sms sms_user=alice"), HERS, host="sender",
         by_hand="which account is free for it is the administrator's to say"),
    Case("sms-gecos", _gecos, host="sender"),
    Case("sms-directory", _directory_of_all, host="sender"),
    Case("sms-directory", _directory_seen, host="sender"),
    Case("sms-state", _directory_of_root, host="sender"),
    Case("sms-state", _counts_of_root, host="sender"),
    Case("sms-state", _no_counts, host="sender"),
    Case("sms-state", settings("doctor-counts", "doctor-elsewhere"), host="sender"),
    Case("sms-state", settings("file:.*counts", "unix:///nowhere/redis"), host="sender",
         by_hand="a Redis is another host's, or another package's"),
    Case("sms-ca", _authority_hidden, host="sender"),
    Case("sms-gateway", settings(r"(?s)\[\[gateway\]\].*", ""), host="sender",
         by_hand="which gateway there is, only who has a contract knows"),
    Case("sms-limit", _limit, HERS, host="sender", by_hand="the limit is there to be waited for"),
    Case("sms-online", lambda _stage: None, host="sender",
         unrun="a note on what only --online looks at: test_doctor_gateways does"),
    Case("sms-reach", settings("localhost:[0-9]+", "localhost:9"), ("--online",), host="sender",
         by_hand="whatever is wrong is on another host, or between"),
    Case("sms-package", by_hand="", unrun="it would install a package on this machine"),
    Case("clock-unsynchronized", unrun="it would set this machine's own clock"),
    Case("clock-behind", unrun="it would set this machine's own clock"),
    Case("clock-offset", unrun="it would set this machine's own clock"),
    Case("clock-unknown", by_hand="the service's servers are other hosts'"),
]  # fmt: skip


@pytest.fixture
def full(coder: object) -> Iterator[None]:
    """A home without room."""
    home = Path("/home/alice")
    kept = (home / FILE).read_bytes()
    with mounted(home, "-t", "tmpfs", "-o", "size=4k,mode=755", "trex-full"):
        shutil.chown(home, "alice", "alice")
        (home / FILE).write_bytes(kept)
        shutil.chown(home / FILE, "alice", "alice")
        (home / FILE).chmod(0o600)
        yield


@pytest.fixture
def no_pyotp(coder: object) -> Iterator[None]:
    with without_package("pyotp"):
        yield


@pytest.fixture
def login_defs() -> Iterator[None]:
    kept = DEFS.read_text()
    yield
    DEFS.write_text(kept)


@pytest.fixture(autouse=True)
def no_new_accounts(place: Path) -> Iterator[None]:
    """Take away what a case's command has made."""
    yield
    for name in ("trex-fleet", "trex-sender"):
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)
    for name in ("doctor-elsewhere", "central-codes"):
        shutil.rmtree(place / name, ignore_errors=True)


@pytest.mark.parametrize("case", runnable(CASES))
def test_the_command_takes_the_finding_away(case: Case, stage: Stage) -> None:
    see_it_gone(case, stage)
