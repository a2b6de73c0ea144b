"""The map of users to phones, and GECOS, which on many hosts its user may change."""

from __future__ import annotations

import re
from types import SimpleNamespace
from unittest.mock import patch

from trex.errors import NoRecord, OtherAccount, cut
from trex.sms import phones
from trex.sms.errors import SettingsError
from trex.system.privilege import Account, readable

PATH = "/etc/trex/phones"
UID = 1001
MADE_FOR = re.compile(r"uid=[0-9]{1,10}")
NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


def check(data: bytes) -> None:
    """Numbers that an independent parser also finds, or an error without a number.

    `data` is the user's name up to the first line's end, then the file, or GECOS.
    """
    first, _, content = data.partition(b"\n")
    user = first.decode("utf-8", "replace")
    with patch.object(phones, "read_safely", lambda *_: content):
        try:
            numbers = phones.numbers_from_map(PATH, user, UID)
        except (SettingsError, NoRecord, OtherAccount) as error:
            check_error(error, user, content)
        else:
            check_numbers(numbers, user, content)
    if b"\0" not in content:
        check_gecos(content)


def check_numbers(numbers: list[str], user: str, content: bytes) -> None:
    """Check that these are the numbers of the only line that begins with the user."""
    assert 1 <= len(numbers) <= phones.MAX_NUMBERS
    assert all(NUMBER.fullmatch(number) for number in numbers)
    text = re.sub(r"#.*", "", content.decode("utf-8", "replace"), flags=re.ASCII)
    lines = [line for line in (line.split() for line in text.split("\n")) if line]
    lines = [[*line[:1], *line[1 + bool(MADE_FOR.fullmatch(line[1])) :]] for line in lines]
    assert [line for line in lines if line[0] == user] == [[user, *numbers]]
    assert all(NUMBER.fullmatch(number) for line in lines for number in line[1:])


def check_error(error: Exception, user: str, content: bytes) -> None:
    """Check that the error names a line of the file, and no phone number."""
    text = str(error).replace(phones.EXPECTED, "").replace(cut(user), "")
    assert not re.search(r"\+[0-9]{5}", text)
    if isinstance(error, SettingsError):
        place = re.match(rf"{PATH}:([0-9]+): ", str(error))
        assert place
        assert 1 <= int(place[1]) <= content.count(b"\n") + 1


def check_gecos(content: bytes) -> None:
    """Check that the number is the whole third field."""
    entry = SimpleNamespace(pw_gecos=content.decode("utf-8", "surrogateescape"))
    with patch("pwd.getpwnam", lambda _: entry):
        try:
            numbers = phones.number_from_gecos(Account("alice", 1000, 1000, "/home/alice", []))
        except NoRecord as error:
            assert str(error).isprintable()
            return
    assert len(numbers) == 1
    assert NUMBER.fullmatch(numbers[0])
    assert readable(entry.pw_gecos).split(",")[2].strip() == numbers[0]
