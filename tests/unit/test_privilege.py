"""Accounts and their names."""

from __future__ import annotations

import pwd

import pytest

from trex.errors import UserUnknown
from trex.privilege import find_account


def test_an_account_has_one_name_however_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases that ignore case (winbind, sssd): else `%u` would lead to no record, and nullok."""
    root = pwd.getpwnam("root")
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: root)
    assert find_account("Root").name == "root"
    assert find_account("root@example.org").name == "root"


def test_a_bad_name_of_an_account_is_no_better_for_being_in_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = pwd.struct_passwd(("../root", "x", 0, 0, "", "/root", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: entry)
    with pytest.raises(UserUnknown):
        find_account("root")
