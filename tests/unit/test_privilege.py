"""Accounts and their names."""

from __future__ import annotations

import errno
import os
import pwd

import pytest

from trex import privilege
from trex.errors import PrivilegeError, UserUnknown
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


def test_ids_that_cannot_be_given_back_refuse_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """No OSError: a login that only lost its page by that would go on, as somebody else."""
    tried = []

    def out_of_memory(uid: int) -> None:
        tried.append(uid)
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(os, "seteuid", out_of_memory)
    monkeypatch.setattr(privilege, "PAUSE_SECONDS", 0.0)
    with pytest.raises(PrivilegeError, match="cannot act as uid 4242 again: Cannot allocate"):
        privilege._give_back(4242, os.getegid(), os.getgroups())
    assert tried == [4242] * privilege.ATTEMPTS
