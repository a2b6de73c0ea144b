"""What is looked for in gpg's home, which is a user's."""

from __future__ import annotations

import os
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from trex.errors import FileUnsafe, GpgFailed, GpgTimedOut, OpenPGPError
from trex.openpgp.errors import KeyNotFound
from trex.openpgp.keyring import (
    DATABASE,
    KEYRING,
    PUBLIC,
    GpgProcess,
    Keyring,
    _searched,
    end_all,
    list_home,
    read_key_file,
)
from trex.system.privilege import Account, find_account

FILES, NAME = 4000, 200


def owner(home: Path) -> Account:
    return Account("owner", os.geteuid(), os.getegid(), str(home.parent), os.getgroups())


def test_only_names_that_matter_are_looked_at(tmp_path: Path) -> None:
    """600,000 files in a home made root's process grow by 131 MB."""
    for number in range(FILES):
        (tmp_path / f"{number:0{NAME}}").touch()
    (tmp_path / "pubring.kbx").touch(mode=0o600)
    list_home(str(tmp_path), owner(tmp_path))  # what is imported at the first time
    tracemalloc.start()
    try:
        assert list_home(str(tmp_path), owner(tmp_path)) == ["pubring.kbx"]
        assert tracemalloc.get_traced_memory()[1] < FILES * NAME // 8
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [*KEYRING, f"{PUBLIC}/{DATABASE}"])
def test_what_others_can_write_is_refused_whatever_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    (tmp_path / name).chmod(0o666)
    with pytest.raises(FileUnsafe, match=name):
        list_home(str(tmp_path), owner(tmp_path))


def test_a_home_that_is_none_is_told(tmp_path: Path) -> None:
    assert list_home(str(tmp_path), owner(tmp_path)) == []
    with pytest.raises(GpgFailed, match="no keyring: No such file or directory"):
        list_home(str(tmp_path / "none"), owner(tmp_path))


def test_an_address_is_searched_for_whole_and_a_subkey_with_all_that_carry_it() -> None:
    assert _searched("alice@example.org") == "<alice@example.org>"
    assert _searched(f"{'A' * 40}!") == _searched("A" * 40) == "A" * 40


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")
def test_a_key_file_is_read_with_its_reader_s_rights() -> None:
    """Otherwise a record could make root read any file."""
    nobody = find_account("nobody")
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        path = Path(place, "key.pgp")
        path.write_bytes(b"key")
        path.chmod(0o600)
        with pytest.raises(FileUnsafe, match="Permission denied"):
            read_key_file(str(path), nobody)
        path.chmod(0o644)
        assert read_key_file(str(path), nobody) == b"key"


def test_a_key_file_that_is_not_there_is_no_missing_record(tmp_path: Path) -> None:
    """Otherwise the user would not be asked with `nullok`."""
    with pytest.raises(KeyNotFound, match="there is no such file"):
        read_key_file(str(tmp_path / "key.pgp"), owner(tmp_path))


@pytest.mark.parametrize(
    ("program", "error", "message"),
    [
        ("exec sleep 60", GpgTimedOut, r"^gpg did not finish in time and was ended$"),
        ("exec head -c 20000000 /dev/zero", GpgFailed, r"^gpg wrote more than \d+ bytes"),
        ("exit 0", GpgFailed, r"^gpg listed no keyring$"),
    ],
)
def test_what_becomes_of_gpg_is_told_in_its_name(
    tmp_path: Path, program: str, error: type[OpenPGPError], message: str
) -> None:
    gpg = tmp_path / "gpg"
    gpg.write_text(f"#!/bin/sh\n{program}\n")
    gpg.chmod(0o755)
    keyring = Keyring(str(gpg), owner(tmp_path), str(tmp_path), 1 if error is GpgTimedOut else 60)
    with keyring, pytest.raises(error, match=message):
        keyring.list_keys([])


def test_every_gpg_is_ended_though_one_of_them_fails_to() -> None:
    ended = []

    class Stubborn(GpgProcess):
        def end(self) -> int | None:
            ended.append(self)
            raise MemoryError

    started: list[GpgProcess] = [Stubborn(), Stubborn(), Stubborn()]
    expected = started[::-1]
    with pytest.raises(MemoryError):
        end_all(started)
    assert ended == expected
