"""`trex doctor` for method=sms: settings, numbers, the account that sends and its directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import trex
from tests.support.examination import checks, counts_of, defects, examine, found, send, write_stack
from tests.support.gateways import TOKEN, Gateway
from tests.support.pins import NUMBER, PHONES, SETTINGS
from trex.sms.counts import FileCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account


def test_a_sound_sender_has_notes_only_and_nothing_is_sent_or_changed(
    sender: Account, gateway: Gateway, place: Path
) -> None:
    before = [sandbox.listing(path) for path in (Path("/etc/trex"), place / "doctor-counts")]
    report = examine()
    assert [(f["check"], f["severity"]) for f in report["findings"]] == [
        ("sms-online", "note"), ("sms-number", "note"),
    ]  # fmt: skip
    assert "the gateways were not connected to" in report["findings"][0]["what"]
    assert report["findings"][1]["what"] == "alice: a PIN goes to ..78"
    assert report["status"] == (1 if report["status"] else 0), (
        "this machine's clock may be to blame"
    )
    assert [f["check"] for f in examine("--online")["findings"]] == ["sms-number"]
    send(place, "alice", 1)
    kept = counts_of(place).read_bytes()
    assert checks("--user", "alice") == []
    assert counts_of(place).read_bytes() == kept
    counts_of(place).unlink()
    after = [sandbox.listing(path) for path in (Path("/etc/trex"), place / "doctor-counts")]
    assert [{p: facts[:3] for p, facts in one.items()} for one in after] == [
        {p: facts[:3] for p, facts in one.items()} for one in before
    ]
    assert gateway.requests == []


def test_no_number_password_or_token_is_in_a_report(sender: Account, place: Path) -> None:
    send(place, "alice", 5)
    for arguments in ([], ["--json", "--online"]):
        done = trex("doctor", *arguments)
        assert done.returncode == 2
        assert not any(text in done.stdout + done.stderr for text in (TOKEN, NUMBER, "612345"))


def test_who_is_not_root_is_told_that_sms_is_root_s(sender: Account) -> None:
    report = examine(account=sender)
    assert [f["check"] for f in report["findings"]] == ["left-out", "left-out"]
    assert report["findings"][1]["what"].startswith("method=sms: /etc/trex/sms.toml")


def _toml(place: Path) -> None:
    SETTINGS.write_text('state = "x"\nlimits = [\n')


def _unknown(place: Path) -> None:
    SETTINGS.write_text('[[gateway]]\nkind = "twilio"\ntoken = "x"\n')


def _mode(place: Path) -> None:
    SETTINGS.chmod(0o640)


def _no_settings(place: Path) -> None:
    SETTINGS.unlink()


def _no_gateway(place: Path) -> None:
    SETTINGS.write_text(f'state = "file:{counts_of(place)}"\n')


def _map(place: Path) -> None:
    PHONES.write_text(f"alice {NUMBER}\nbob 0612\n")


def _map_mode(place: Path) -> None:
    PHONES.chmod(0o666)


def _no_map(place: Path) -> None:
    PHONES.unlink()


def _no_directory(place: Path) -> None:
    (place / "doctor-counts").rename(place / "doctor-gone")
    (place / "doctor-gone").rename(place / "doctor-counts")
    SETTINGS.write_text(SETTINGS.read_text().replace("doctor-counts", "doctor-nowhere"))


def _directory_of_root_s(place: Path) -> None:
    os.chown(place / "doctor-counts", 0, 0)


def _directory_of_all(place: Path) -> None:
    (place / "doctor-counts").chmod(0o777)


def _directory_seen(place: Path) -> None:
    (place / "doctor-counts").chmod(0o755)


def _counts_of_root_s(place: Path) -> None:
    FileCounts(str(counts_of(place))).add("alice", "h", 1, {})


def _no_counts(place: Path) -> None:
    counts_of(place).write_text("these are no counts" * 100)
    shutil.chown(counts_of(place), "_trex-sms")


def _authority_hidden(place: Path) -> None:
    hidden = PHONES.parent / "ca.pem"
    hidden.write_text("x")
    hidden.chmod(0o600)
    SETTINGS.write_text(re.sub('ca = ".*"', f'ca = "{hidden}"', SETTINGS.read_text()))


def _only_others(place: Path) -> None:
    SETTINGS.write_text(
        SETTINGS.read_text().replace('kind = "http"', 'kind = "http"\nonly = ["bob"]')
    )


@pytest.mark.parametrize(
    ("breaks", "check", "severity", "what", "fix"),
    [
        (_toml, "sms-settings", "error", r"sms.toml: .*\(at .*\)", "# correct /etc/trex/sms.toml"),
        (_unknown, "sms-settings", "error", r'\[\[gateway\]\] 1: unknown key "token"', "# correct"),
        (_mode, "sms-settings", "error", "sms.toml: expected mode 0600, because of the passwords in it, found mode 0640", "chmod 600"),
        (_no_settings, "sms-settings", "error", "found no file", "install -m 0600"),
        (_no_gateway, "sms-gateway", "error", "found no gateway", "# write one into"),
        (_map, "sms-phones", "error", "/etc/trex/phones:2: expected a user and .*, found another line", "# correct"),
        (_map_mode, "sms-phones", "error", "phones: expected writable by its owner only, found mode 0666", "chmod 600"),
        (_no_map, "sms-phones", "error", "found no file", "install -m 0600"),
        (_no_directory, "sms-state", "error", "doctor-nowhere: No such file", "install -d -m 0700"),
        (_directory_of_root_s, "sms-state", "error", "(Permission denied|cannot be written)$", "install -d"),
        (_directory_of_all, "sms-directory", "warning", "found mode 0777", "install -d -m 0700"),
        (_directory_seen, "sms-directory", "warning", "expected mode 0700, found 0755", "chmod 700"),
        (_counts_of_root_s, "sms-state", "error", "cannot be used: Permission denied", "chown -h"),
        (_no_counts, "sms-state", "error", "counts holds no counts", "mv -T"),
        (_authority_hidden, "sms-ca", "error", "Permission denied, as _trex-sms", "chmod a.r"),
        (_only_others, "sms-gateway", "error", "alice: no gateway is for alice", "only"),
    ],
)  # fmt: skip
def test_what_would_keep_a_pin_from_being_sent(
    sender: Account, place: Path, breaks: Callable[[Path], None], check: str, severity: str,
    what: str, fix: str, ask: Callable[..., sandbox.Asked],
) -> None:  # fmt: skip
    breaks(place)
    finding = found(check)
    assert finding["severity"] == severity
    assert re.search(what, finding["what"])
    assert re.search(fix, finding["fix"])
    if severity == "error":
        asked = ask("alice", "--answer", "1", arguments=("method=sms",))
        assert asked.verdict == "PAM_AUTHINFO_UNAVAIL", "the login says the same"


@pytest.mark.parametrize(
    ("argument", "what"),
    [("sms_user=no-such", "sms_user=no-such: there is no such account"),
     ("sms_user=root", "expected an account other than root"), ("sms_user=alice", "is the account that logs in")],
)  # fmt: skip
def test_the_account_that_sends(sender: Account, argument: str, what: str) -> None:
    write_stack("requisite pam_unix.so", f"required {{trex}} method=sms {argument}")
    finding = found("sms-account")
    assert finding["severity"] == "error"
    assert what in finding["what"]


def test_numbers_and_users_without_one(sender: Account, account: Callable[[str], Account]) -> None:
    account("carol")
    assert found("sms-NoRecord", "--user", "carol")["severity"] == "error"
    PHONES.write_text(f"alice {NUMBER} +4930123499\nghost {NUMBER}\n")
    report = examine()
    said = [(f["severity"], f["what"]) for f in report["findings"] if f["check"] != "sms-online"]
    assert said == [
        ("warning", "/etc/trex/phones: ghost: there is no such account"),
        ("note", "alice: a PIN goes to ..78 and ..99"),
    ]
    PHONES.write_text("")
    assert checks() == [("sms-nobody", "error")]


@pytest.fixture
def chfn(sender: Account) -> Iterator[Callable[[str], None]]:
    """Set CHFN_RESTRICT in login.defs; the user's number is in GECOS."""
    write_stack("requisite pam_unix.so", "required {trex} method=sms gecos_phone")
    subprocess.run(["usermod", "--comment", "Alice,,+4930123455,", "alice"], check=True)
    defs = Path("/etc/login.defs")
    kept = defs.read_text()

    def restrict(line: str) -> None:
        defs.write_text(re.sub(r"(?m)^CHFN_RESTRICT.*", line, kept))

    yield restrict
    defs.write_text(kept)


def test_gecos_that_users_can_change(chfn: Callable[[str], None]) -> None:
    for said, expected in (("rwh", ["sms-gecos"]), ("yes", ["sms-gecos"]), ("rh", [])):
        chfn(f"CHFN_RESTRICT {said}")
        assert [check for check, _ in checks()] == expected
    assert found("sms-number")["what"] == "alice: a PIN goes to ..55"


def test_chfn_restrict_as_login_defs_has_it(chfn: Callable[[str], None]) -> None:
    for said, warned in (("no", True), ("yes", True), ("w", True), ('"frwh"', True),
                         ("f", False), ("nof", False), ("rh", False)):  # fmt: skip
        chfn(f"CHFN_RESTRICT {said}")
        assert (("sms-gecos", "warning") in checks("--user", "alice")) is warned, said
    chfn("")
    assert checks("--user", "alice") == []


def test_a_map_that_others_can_read(sender: Account) -> None:
    for mode, group, expected in ((0o600, 0, []), (0o640, 0, []), (0o644, 0, ["sms-readable"]),
                                  (0o640, sender.gid, ["sms-readable"])):  # fmt: skip
        PHONES.chmod(mode)
        os.chown(PHONES, 0, group)
        assert [check for check, _ in checks("--user", "alice")] == expected
    [finding] = defects("--user", "alice")
    assert finding["severity"] == "warning"
    assert finding["what"] == "/etc/trex/phones: expected mode 0600, found 0640"
    assert finding["fix"] == "chown root:root /etc/trex/phones; chmod 600 /etc/trex/phones"
    PHONES.write_text("")
    assert [check for check, _ in checks("--user", "alice")] == ["sms-readable", "sms-NoRecord"]
    assert "sms-nobody" in [check for check, _ in checks()]
    PHONES.chmod(0o666)
    assert found("sms-phones", "--user", "alice")["fix"] == finding["fix"]
