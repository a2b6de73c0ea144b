"""Accounts and their names."""

from __future__ import annotations

import errno
import os
import pwd
from types import SimpleNamespace

import pytest

from tests.support.forked import in_a_child
from trex.errors import PrivilegeError, UserUnknown
from trex.system import privilege
from trex.system.privilege import find_account


def test_an_account_has_one_name_however_it_is_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Databases that ignore case (winbind, sssd): otherwise `%u` would lead to no record, and to nullok."""
    root = pwd.getpwnam("root")
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: root)
    assert find_account("Root").name == "root"
    assert find_account("root@example.org").name == "root"


@pytest.mark.parametrize("name", ["../root", ".root", "root~", "~", "ro\not", ""])
def test_a_bad_name_of_an_account_is_no_better_for_being_in_the_database(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`root~` with a template `/x/%u` is the copy of root's record."""
    entry = pwd.struct_passwd((name, "x", 0, 0, "", "/root", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", lambda _name: entry)
    with pytest.raises(UserUnknown):
        find_account("root")


def test_ids_that_cannot_be_given_back_refuse_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not an OSError: a login that only lost its page would continue, as somebody else."""
    tried: list[int] = []
    slept: list[float] = []

    def out_of_memory(uid: int) -> None:
        tried.append(uid)
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(os, "seteuid", out_of_memory)
    monkeypatch.setattr(privilege, "time", SimpleNamespace(sleep=slept.append))
    with pytest.raises(PrivilegeError, match="cannot act as uid 4242 again: Cannot allocate"):
        privilege._give_back(4242, os.getegid(), os.getgroups())
    assert tried == [4242] * privilege.ATTEMPTS
    assert slept == [privilege.PAUSE_SECONDS] * privilege.ATTEMPTS


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else")
NOBODY = pwd.getpwnam("nobody")


def ids() -> list[object]:
    return [os.getresuid(), os.getresgid(), sorted(os.getgroups())]


def test_an_account_is_as_the_database_has_it() -> None:
    found = find_account("nobody")
    assert (found.name, found.uid, found.gid) == ("nobody", NOBODY.pw_uid, NOBODY.pw_gid)
    assert found.home == NOBODY.pw_dir
    assert found.groups == os.getgrouplist("nobody", NOBODY.pw_gid)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".nobody", "/nobody", "no/body", "nobody\n", "\x1b"]
)
def test_bad_names(name: str) -> None:
    with pytest.raises(UserUnknown, match="not a valid account name"):
        find_account(name)


@pytest.mark.parametrize("name", ["nobody-here", "no\0body", "nobody "])
def test_unknown_names(name: str) -> None:
    with pytest.raises(UserUnknown):
        find_account(name)


@needs_root
def test_ids_are_borrowed_and_given_back() -> None:
    nobody = find_account("nobody")
    nobody.groups = [nobody.gid, 4242]
    root = ids()

    def borrow() -> list[object]:
        with privilege.acting_as(nobody):
            inside = ids()
        return [inside, ids()]

    uid, gid = nobody.uid, nobody.gid
    assert in_a_child(borrow) == [[(0, uid, 0), (root[1][0], gid, root[1][2]), [4242, gid]], root]  # type: ignore[index]


@needs_root
def test_ids_are_given_back_after_an_error() -> None:
    def borrow() -> list[object]:
        with pytest.raises(ZeroDivisionError), privilege.acting_as(find_account("nobody")):
            _ = 1 // 0
        return ids()

    assert in_a_child(borrow) == ids()


@needs_root
def test_what_was_borrowed_in_part_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(uid: int) -> None:
        if uid:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        real(uid)

    real = os.seteuid
    monkeypatch.setattr(os, "seteuid", refuse)

    def borrow() -> list[object]:
        nobody = find_account("nobody")
        refused = pytest.raises(PrivilegeError, match="cannot act as nobody: Resource")
        with refused, privilege.acting_as(nobody):
            pass
        return ids()

    assert in_a_child(borrow) == ids()


@needs_root
def test_what_became_an_account_has_no_way_back() -> None:
    def become() -> list[object]:
        account = find_account("nobody")
        account.groups = [4242]
        privilege.become(account)
        with pytest.raises(PermissionError):
            os.setuid(0)
        with pytest.raises(PermissionError):
            os.setgid(0)
        with pytest.raises(PermissionError):
            os.setgroups([0])
        return ids()

    uid, gid = NOBODY.pw_uid, NOBODY.pw_gid
    assert in_a_child(become) == [(uid,) * 3, (gid,) * 3, [4242]]


@needs_root
def test_ids_that_stay_although_they_were_said_to_change_are_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A seccomp(2) filter can return that."""
    monkeypatch.setattr(os, "setresuid", lambda *_ids: None)

    def become() -> str:
        with pytest.raises(PrivilegeError) as caught:
            privilege.become(find_account("nobody"))
        return str(caught.value)

    assert in_a_child(become) == "the ids did not become those of nobody"


@needs_root
def test_a_caller_that_is_the_account_changes_nothing_and_is_nobody_else() -> None:
    def as_nobody() -> list[object]:
        nobody = find_account("nobody")
        os.setgroups([])
        os.setresgid(nobody.gid, nobody.gid, nobody.gid)
        os.setresuid(0, nobody.uid, 0)
        before = ids()
        with privilege.acting_as(nobody):
            inside = ids()
        for other in ("root", "daemon"):
            with pytest.raises(PrivilegeError, match=f"neither root nor {other}"):
                privilege.become(find_account(other))
            with pytest.raises(PrivilegeError), privilege.acting_as(find_account(other)):
                pass
        privilege.become(nobody)
        return [before == inside, os.getresuid()]

    assert in_a_child(as_nobody) == [True, (NOBODY.pw_uid,) * 3]
