"""The users' numbers: the administrator's map, and GECOS."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.pins import NUMBER, PHONES, SETTINGS, Sms, by_http


def test_a_user_without_a_number(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway))
    PHONES.write_text("carol +4930123456\n")
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    assert ": no record: " in sms.log.verdict()
    sms.log.clear()
    sms(arguments=("nullok",))
    assert "not asked, because of nullok" in sms.log.verdict()
    assert sms.gateway.requests == []


@pytest.mark.parametrize("missing", [PHONES, SETTINGS])
def test_nullok_is_for_users_and_not_for_files_of_the_administrator_s(
    sms: Sms, missing: Path
) -> None:
    """Advisory CVE-2025-23013: a broken file must not let everyone in."""
    sms.configure(by_http(sms.gateway))
    missing.unlink()
    sms(arguments=("nullok",))
    assert ": could not check: " in sms.log.verdict()
    assert f"{missing}: expected the " in sms.log.verdict()
    assert ", found no file" in sms.log.verdict()


def test_several_numbers(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway))
    PHONES.write_text(f"bob {NUMBER} +4930123499\n")
    asked = sms()
    assert asked.verdict == "PAM_SUCCESS"
    assert len(sms.gateway.texts) == 2
    assert len(set(sms.gateway.texts)) == 1
    assert "a PIN was sent to ..78 and ..99." in asked.prompt


def test_gecos_counts_only_where_the_administrator_says_so(sms: Sms) -> None:
    """duo_unix #394: on many hosts users can edit their own GECOS, and so choose the phone."""
    sms.configure(by_http(sms.gateway))
    subprocess.run(["usermod", "--comment", "Bob,room,+4930123455,", "bob"], check=True)
    assert "..78." in sms().prompt
    assert "..55." in sms(arguments=("gecos_phone",)).prompt
    subprocess.run(["usermod", "--comment", "Bob,room,0306,", "bob"], check=True)
    sms.log.clear()
    sms(arguments=("gecos_phone",))
    assert ": no record: " in sms.log.verdict()


def test_a_number_that_is_for_another_account_of_that_name(sms: Sms) -> None:
    """The next account of a name would be let in by the telephone of the one that has left."""
    sms.configure(by_http(sms.gateway))
    uid = Path("/home/bob").stat().st_uid
    PHONES.write_text(f"carol uid=1 +4930123456\nbob uid={uid} {NUMBER}\n")
    assert sms().verdict == "PAM_SUCCESS"
    PHONES.write_text(f"bob uid={uid + 7} {NUMBER}\n")
    sms.log.clear()
    assert sms(arguments=("nullok",)).verdict == "PAM_AUTHINFO_UNAVAIL"
    expected = f"/etc/trex/phones:1: expected uid={uid}, which is bob's, found uid={uid + 7}: "
    assert expected in sms.log.verdict()
    assert len(sms.gateway.texts) == 1


@pytest.mark.parametrize(
    "line", ["bob 0612345678", "bob", "bob +33 6 12", "bob +0612345678", f"bob {NUMBER}\nbob {NUMBER}",
             "bob +1234567890123456", "carol x",
             f"bob uid=-1 {NUMBER}", f"bob uid= {NUMBER}", "bob uid=1001", f"bob {NUMBER} uid=1"],
)  # fmt: skip
def test_a_bad_line_in_the_map_is_an_error_that_names_it(sms: Sms, line: str) -> None:
    sms.configure(by_http(sms.gateway))
    PHONES.write_text(f"{line}\n")
    sms(arguments=("nullok",))
    assert re.search(r"/etc/trex/phones:[12]: ", sms.log.verdict())
    assert sms.gateway.requests == []


@pytest.mark.parametrize(("path", "mode"), [(PHONES, 0o666), (SETTINGS, 0o640), (SETTINGS, 0o604)])
def test_files_that_others_may_write_or_read_are_refused(sms: Sms, path: Path, mode: int) -> None:
    sms.configure(by_http(sms.gateway))
    path.chmod(mode)
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f"{path}: expected " in sms.log.verdict()
    assert f", found mode {mode:04o}" in sms.log.verdict()
    assert sms.gateway.requests == []
    path.chmod(0o600)
