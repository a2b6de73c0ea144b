"""`trex doctor` about accounts for two people that another line of Trex's opens to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.codes import FILE as SECRET
from tests.support.codes import text as secret
from tests.support.command import trex
from tests.support.examination import found, write_stack
from tests.support.pins import PHONES
from tests.support.recovery import FILE, write_codes
from trex.cli.doctor.alone import check_alone
from trex.cli.doctor.doors import trex_rules
from trex.cli.doctor.line import users_of
from trex.cli.doctor.service import with_options
from trex.cli.doctor.stack import read_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys
    from trex.cli.doctor.finding import Finding


@pytest.fixture
def pair(host: Account, holder: Holder, keys: Keys) -> Account:
    """An account that takes two keys, on a sound host."""
    host.import_keys(holder.public(keys["nistp256"]))
    host.write(f"2of:{keys['cv25519']},{keys['nistp256']} trust nosign\n")
    return host


@pytest.fixture
def phones(pair: Account) -> Iterator[None]:
    PHONES.parent.mkdir(exist_ok=True)
    PHONES.write_text(f"{pair.name} +33612345678\n")
    PHONES.chmod(0o600)
    yield
    PHONES.unlink()


def alone() -> list[Finding]:
    """Return what the doctor finds of that, without its other checks."""
    stack = read_stack("sshd")
    lines = with_options(trex_rules(stack))
    return check_alone(stack, lines, [users_of(options) for _, options in lines])


def test_a_code_that_lets_one_in_is_found_and_what_is_printed_removes_it(pair: Account) -> None:
    """Whoever has the sheet, or the phone, is one person."""
    write_stack("sufficient {trex} nullok", "required {trex} method=recovery")
    assert alone() == []
    write_codes(pair)
    finding = found("two-alone", "--user", "alice")
    assert finding["severity"] == "warning"
    assert "lets one in with a recovery code" in finding["what"]
    assert trex(*finding["fix"].split()[1:]).returncode == 0
    assert not (pair.home / FILE).exists()
    assert alone() == []


def test_so_is_a_phone_and_what_both_have_to_bring_beside_it_is_not(
    pair: Account, phones: None
) -> None:
    pair.write(secret('" TOTP_AUTH'), SECRET)
    write_stack("required {trex}", "required {trex} method=totp")
    assert alone() == []
    write_stack("sufficient {trex}", "sufficient {trex} method=totp", "required {trex} method=sms")
    assert [one.fix for one in alone()] == [
        f"runuser -u alice -- rm {pair.home}/{SECRET}", "# take the number of alice away",
    ]  # fmt: skip


def test_so_is_another_record_that_takes_one(pair: Account, keys: Keys) -> None:
    other = pair.write(pair.record.read_bytes(), ".other")
    write_stack("sufficient {trex}", f"required {{trex}} auth_file={other}")
    assert alone() == []
    pair.write(f"{keys['cv25519']} trust nosign\n", ".other")
    (finding,) = alone()
    assert "lets one in with one key" in finding.what
    pair.write(f"{keys['cv25519']} trust nosign\n")
    assert alone() == []
