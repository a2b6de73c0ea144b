"""google-authenticator's file: the secret, its options, and emergency codes.

FILEFORMAT of google-authenticator-libpam describes it. What that leaves open follows the module
itself (version 20191231): the first line of an option counts, a changed option replaces its line or
becomes the second line, and emergency codes end at the first line that is neither code nor option.

google-authenticator takes no lock. It writes `<file>~XXXXXX`, checks that the file is still the one
it has read, and renames (20191231). Between check and rename another login may use the same code:
only among Trex's own logins (`trex.system.secretfile`) is a code accepted once.
"""

from base64 import b32encode

from trex.errors import RecordError
from trex.system.privilege import is_uid

DEFAULT_STEP, MAX_STEP = 30, 60  # seconds
DEFAULT_WINDOW, MAX_WINDOW = 3, 100  # codes
MAX_RATE, MAX_RATE_SECONDS = 100, 3600
MAX_NUMBER = 2**31 - 1  # google-authenticator keeps them in an int
MAX_COUNTER = 2**63 - 1  # and this one in a long
# Characters of base32: 160 bytes, where HMAC-SHA-1 gains nothing from more than 64 (RFC 2104, 3).
# google-authenticator takes up to 64 KiB, and computes half a day of codes, 3000, with it.
MAX_SECRET = 256
EMERGENCY_DIGITS = 8
BLANK = " \t\r"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
MISREAD = str.maketrans("018", "OLB", " \t\r-")  # google-authenticator accepts these, too
# Where a file does not say DISALLOW_REUSE, Trex remembers used steps in a line of its own:
# google-authenticator skips and keeps unknown lines.
REUSE, OWN_REUSE = "DISALLOW_REUSE", "TREX_USED_STEPS"
LAST, MOST_LAST = "LAST", 10  # LAST0 to LAST9
OWNER = "TREX_UID"  # for which account, where the file is not its own


class OtpState:
    """The file's lines and their meaning. Unknown lines stay as they are."""

    def __init__(self, content: bytes, path: str) -> None:
        """Read the lines. Raises RecordError for a missing or malformed secret, or a NUL byte."""
        self._path = path
        self._lines = content.decode("latin-1").removesuffix("\n").split("\n")
        if "\0" in self._lines[0]:
            raise self._error(0, "a NUL character", "text")
        self.secret = self._read_secret()

    def __repr__(self) -> str:
        return "<OtpState>"

    @property
    def content(self) -> bytes:
        """Return the whole file."""
        return "".join(f"{line}\n" for line in self._lines).encode("latin-1")

    @property
    def is_time_based(self) -> bool:
        """Tell whether codes come from the clock."""
        return self.counter < 1 and any('" TOTP_AUTH' in line for line in self._lines)

    @property
    def counter(self) -> int:
        """Return the counter of the next code, 0 where codes do not come from a counter."""
        return self._number("HOTP_COUNTER", 0, 0, MAX_COUNTER)

    @property
    def step(self) -> int:
        """Return the length of a time step in seconds."""
        return self._number("STEP_SIZE", DEFAULT_STEP, 1, MAX_STEP)

    @property
    def window(self) -> int:
        """Return how many codes are right at once."""
        return self._number("WINDOW_SIZE", DEFAULT_WINDOW, 1, MAX_WINDOW)

    @property
    def skew(self) -> int:
        """Return how many steps the user's clock is ahead."""
        return self._number("TIME_SKEW", 0, -MAX_NUMBER, MAX_NUMBER)

    @property
    def emergency_codes(self) -> list[str]:
        """Return the unused codes of eight digits."""
        return [self._lines[index].strip() for index in self._emergency_indexes()]

    @property
    def rate_limit(self) -> list[int]:
        """Return attempts, seconds, and the times of the last attempts; [] for no limit."""
        index = self._find("RATE_LIMIT")
        if index is None:
            return []
        words = self._value(index).split()
        numbers = [int(word) for word in words if _is_number(word)]
        shaped = len(numbers) == len(words) >= 2  # noqa: PLR2004 (attempts and seconds)
        if not shaped or not 1 <= numbers[0] <= MAX_RATE or not 1 <= numbers[1] <= MAX_RATE_SECONDS:
            expected = f"1 to {MAX_RATE} attempts in 1 to {MAX_RATE_SECONDS} seconds"
            raise self._error(index, "another RATE_LIMIT", expected)
        return numbers

    @property
    def uid(self) -> int | None:
        """Return for which account the secret was made, None if the file does not say."""
        index = self._find(OWNER)
        if index is None:
            return None
        if not is_uid(self._value(index)):
            raise self._error(index, f"another {OWNER}", "a uid")
        return int(self._value(index))

    @property
    def used_steps(self) -> list[int]:
        """Return the steps whose codes were accepted recently."""
        return [step for name in (REUSE, OWN_REUSE) for step in self._numbers(name)]

    @property
    def resetting(self) -> list[tuple[int, int]]:
        """Return (step, skew) of the last attempts with a code of another time."""
        index = self._find("RESETTING_TIME_SKEW")
        pairs = []
        for word in self._value(index).split() if index is not None else []:
            sign = "-" if "-" in word else "+"
            step, _, skew = word.partition(sign)
            if not _is_number(step) or not _is_number(skew):
                break
            pairs.append((int(step), int(f"{sign}{skew}")))
        return pairs

    @property
    def last_logins(self) -> list[tuple[str, int]]:
        """Return (remote host, Unix time) of the logins that grace_period= has noted there.

        A line that has another form says nothing, as to pam_google_authenticator.
        """
        indexes = [self._find(f"{LAST}{number}") for number in range(MOST_LAST)]
        values = [self._value(index).split() for index in indexes if index is not None]
        return [
            (words[0], int(words[1]))
            for words in values
            if len(words) == 2 and _is_number(words[1], MAX_COUNTER)  # noqa: PLR2004 (host, time)
        ]

    def set(self, name: str, value: str) -> None:
        """Set an option: on its own line, or on a new line after the secret."""
        index = self._find(name)
        line = f'" {name} {value}'
        if index is None:
            self._lines.insert(1, line)
            return
        rest = [other for other in self._lines[index + 1 :] if not _names(other, name)]
        self._lines[index:] = [line, *rest]

    def set_used_steps(self, steps: list[int]) -> None:
        """Remember steps whose codes have been accepted."""
        name = REUSE if self._find(REUSE) is not None else OWN_REUSE
        self.set(name, " ".join(map(str, steps)))

    def remove_emergency_code(self, code: str) -> None:
        """Remove a used code."""
        for index in self._emergency_indexes():
            if self._lines[index].strip() == code:
                del self._lines[index]
                return

    def replace_emergency_codes(self, codes: list[str]) -> None:
        """Replace the old codes by new ones, at the same position in the file."""
        old_indexes = self._emergency_indexes()
        end = self._emergency_end()
        options = [index for index in range(end) if self._lines[index].startswith('"')]
        index = old_indexes[0] if old_indexes else max([0, *options]) + 1
        for old in reversed(old_indexes):
            del self._lines[old]
        self._lines[index:index] = codes

    def _read_secret(self) -> str:
        """Return the secret in the base32 that `pyotp` takes, however it was typed."""
        text = self._lines[0].translate(MISREAD).upper()
        if len(text) > MAX_SECRET:
            found = f"{len(text)} characters of secret"
            raise self._error(0, found, f"at most {MAX_SECRET}")
        bits = "".join(f"{BASE32.index(c):05b}" for c in text if c in BASE32)
        key = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits) - 7, 8))
        if not key or not set(text) <= set(BASE32):
            raise self._error(0, "no secret", "a secret in base32")
        return b32encode(key).decode("ascii").rstrip("=")

    def _find(self, name: str) -> int | None:
        for index, line in enumerate(self._lines):
            if _names(line, name):
                return index
        return None

    def _value(self, index: int) -> str:
        return self._lines[index][2:].partition(" ")[2].strip(BLANK)

    def _number(self, name: str, default: int, least: int, most: int) -> int:
        index = self._find(name)
        if index is None:
            return default
        word = "".join(self._value(index).split()[:1])
        plain = _is_number(word.removeprefix("-"), most)
        if not plain or not least <= int(word) <= most:
            raise self._error(index, f"another {name}", f"a number from {least} to {most}")
        return int(word)

    def _numbers(self, name: str) -> list[int]:
        index = self._find(name)
        words = self._value(index).split() if index is not None else []
        if index is not None and not all(map(_is_number, words)):
            raise self._error(index, f"another {name}", "the numbers of steps")
        return [int(word) for word in words]

    def _emergency_indexes(self) -> list[int]:
        lines = self._lines[: self._emergency_end()]
        return [index for index, line in enumerate(lines) if index and _is_emergency_code(line)]

    def _emergency_end(self) -> int:
        """Return the index of the line that ends the emergency codes."""
        for index, line in enumerate(self._lines[1:], start=1):
            if line.strip(BLANK) and not line.startswith('"') and not _is_emergency_code(line):
                return index
        return len(self._lines)

    def _error(self, index: int, found: str, expected: str) -> RecordError:
        return RecordError(self._path, index + 1, found, expected)


def _names(line: str, name: str) -> bool:
    """Tell whether a line sets the option `name`."""
    return line.startswith(f'" {name}') and line[2 + len(name) : 3 + len(name)] in (
        "", " ", "\t", "\r",
    )  # fmt: skip


def _is_emergency_code(line: str) -> bool:
    text = line.strip(BLANK)
    return len(text) == EMERGENCY_DIGITS and _is_number(text) and not text.startswith("0")


def _is_number(word: str, most: int = MAX_NUMBER) -> bool:
    """Tell whether a word is all digits, and has no more of them than `most`."""
    return word.isascii() and word.isdigit() and len(word) <= len(str(most))
