"""The users' phone numbers: from root's map, or from the account database."""

import pwd

from trex.errors import ABSENT, FileUnsafe, NoRecord, OtherAccount, cut
from trex.sms.errors import SettingsError
from trex.system.privilege import find_account, is_uid, native, readable
from trex.system.safefile import read_safely

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.system.privilege import Account

FEWEST_DIGITS, MOST_DIGITS = 7, 15  # ITU-T E.164, 6.2.1; no country has numbers shorter than seven
MAX_NUMBERS = 4
MAX_MAP = 4 << 20  # bytes: more than 100,000 users, read quickly by each login
OFFICE_PHONE = 2  # the field in GECOS: full name, room, office phone, home phone (passwd(5))
EXPECTED = "a user and one or more numbers such as +33612345678, or uid=NUMBER before these"
MADE_FOR = "uid="


def numbers_from_map(path: str, user: str, uid: int) -> list[str]:
    """Return the E.164 numbers of `user` in a file that only root can have written.

    Raises NoRecord for a user who is not listed, OtherAccount for one whose uid is another than the
    line says, SettingsError, and FileUnsafe: also for a missing file, because `nullok` is about
    users, not about the administrator's files.
    """
    found: list[str] = []
    for number, name, made_for, numbers in _lines(path):
        if name == user:
            if found:
                raise SettingsError(f"{path}:{number}: {cut(name)} is listed more than once")
            if made_for is not None and made_for != uid:
                raise OtherAccount(f"{path}:{number}", user, uid, made_for)
            found = numbers
    if not found:
        raise NoRecord(f"{path}: no number for {cut(user)}")
    return found


def users_in_map(path: str) -> list[str]:
    """Return the users who have a number, in file order. Raises like `numbers_from_map`."""
    return list(dict.fromkeys(name for _, name, _ in accounts_in_map(path)))


def accounts_in_map(path: str) -> "list[tuple[int, str, int | None]]":
    """Return each line's number and user, and the uid that it was made for, if it says one.

    Raises like `numbers_from_map`.
    """
    return [line[:3] for line in _lines(path)]


def _lines(path: str) -> "Iterator[tuple[int, str, int | None, list[str]]]":
    """Yield each line's number, user, the user's uid if it says one, and phone numbers."""
    try:
        content = read_safely(native(path), find_account("root"), MAX_MAP)
    except NoRecord:
        raise FileUnsafe(path, "no file", "the map of users to telephone numbers", ABSENT) from None
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        name, *numbers = words
        made_for = None
        if numbers and numbers[0].startswith(MADE_FOR) and is_uid(numbers[0][len(MADE_FOR) :]):
            made_for = int(numbers.pop(0)[len(MADE_FOR) :])
        if not 1 <= len(numbers) <= MAX_NUMBERS or not all(map(is_number, numbers)):
            raise SettingsError(f"{path}:{number}: expected {EXPECTED}, found another line")
        yield number, name, made_for, numbers


def number_from_gecos(account: "Account") -> list[str]:
    """Return the office phone in the account database, which users may often change with chfn(1).

    Raises NoRecord.
    """
    fields = readable(pwd.getpwnam(native(account.name)).pw_gecos).split(",")
    number = "".join(fields[OFFICE_PHONE : OFFICE_PHONE + 1]).strip()
    if not is_number(number):
        raise NoRecord(f"the account {account.name} has no office phone such as +33612345678")
    return [number]


def is_number(text: str) -> bool:
    """Tell whether `text` is an international number: + and digits, the first of them not zero."""
    digits = text.removeprefix("+")
    plain = text.startswith("+") and digits.isascii() and digits.isdigit()
    return plain and FEWEST_DIGITS <= len(digits) <= MOST_DIGITS and digits[0] != "0"
