"""Recovery codes: how they are made and typed, and the file that keeps a hash of each.

A code is 80 random bits in Crockford's base32 (www.crockford.com/base32.html), which has neither I,
L, O nor U. Its hash is one SHA-256 with a salt. A slow hash is for what a person has chosen: of
2^80 codes nobody tries enough, however fast each is, and strangers at a login could keep the host
busy with a slow one.
"""

import os
import time

from trex.errors import OtherAccount, RecordError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.system.privilege import Account

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BITS, PER_SYMBOL, PER_GROUP = 80, 5, 4
SYMBOLS = BITS // PER_SYMBOL
MISREAD = str.maketrans("OILU", "011V")
HOW_MANY = 10
SALT_BYTES = 16
HASH_DIGITS, SALT_DIGITS = 64, 2 * SALT_BYTES
MAX_DIGITS = 10  # of a uid, and of Unix time until 2286
FIRST_LINE = "# Recovery codes of Trex: a hash of each, and when it was spent (Unix time)."
HEAD, CODE = ("uid", "made", "salt"), "code"


def random_code() -> str:
    """Return a new code from getrandom(2), without dashes."""
    number = int.from_bytes(os.getrandom(BITS // 8), "big")
    return "".join(
        ALPHABET[number >> shift & (len(ALPHABET) - 1)]
        for shift in range(BITS - PER_SYMBOL, -1, -PER_SYMBOL)
    )


def in_groups(code: str) -> str:
    """Return a code as it is printed: `7K3M-QX9D-2HWC-V5TN`."""
    return "-".join(code[start : start + PER_GROUP] for start in range(0, SYMBOLS, PER_GROUP))


def as_made(typed: str) -> str:
    """Return a code as `random_code` makes it, however it was typed; "" for nothing but signs.

    Only letters and digits count. What no code has is taken for what it looks like.
    """
    return "".join(c for c in typed.upper() if c.isalnum()).translate(MISREAD)


def hash_of(code: str, salt: bytes) -> str:
    """Return the hash of a code as `random_code` makes it, in hex."""
    from hashlib import sha256  # `trex.recovery.method` has loaded it before the prompt

    return sha256(salt + code.encode("utf-8", "surrogatepass")).hexdigest()


def new_file(codes: list[str], uid: int) -> bytes:
    """Return a file for these codes, made now for the account of that uid."""
    salt = os.getrandom(SALT_BYTES)
    lines = [FIRST_LINE, f"uid {uid}", f"made {int(time.time())}", f"salt {salt.hex()}"]
    lines += [f"{CODE} {hash_of(code, salt)}" for code in codes]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


class RecoveryCodes:
    """A file's codes. `left` are the hashes of those that are right, `spent` has when others were.

    Times are Unix time; `uid` is that of the account that the codes are for.
    """

    def __init__(self, content: bytes, path: str) -> None:
        """Read the file. Raises RecordError for whatever is not as docs/recovery.md says.

        It quotes nothing: somebody may have noted a code in the file.
        """
        self._path = path
        self._lines = content.decode("latin-1").removesuffix("\n").split("\n")
        self._places: dict[str, int] = {}  # which line has a hash
        self.spent: dict[str, int] = {}
        head: dict[str, str] = {}
        for index, line in enumerate(self._lines):
            if line and not line.startswith("#"):
                self._read_line(index, head, *line.split(" "))
        for name in HEAD:
            if name not in head:
                raise self._error(len(self._lines) - 1, "the end", f"a line {name}")
        self.uid, self.made = int(head["uid"]), int(head["made"])
        self._salt = bytes.fromhex(head["salt"])

    def __repr__(self) -> str:
        return "<RecoveryCodes>"

    @property
    def left(self) -> list[str]:
        """Return the hashes of the codes that are not spent."""
        return [hashed for hashed in self._places if hashed not in self.spent]

    @property
    def identity(self) -> bytes:
        """Return what stays when a code is used, and changes when new ones are made."""
        return b"\n".join([self._salt, *sorted(hashed.encode() for hashed in self._places)])

    @property
    def content(self) -> bytes:
        """Return the whole file."""
        return "".join(f"{line}\n" for line in self._lines).encode("latin-1")

    def hash_of(self, code: str) -> str:
        """Return the hash that this file would have for a code."""
        return hash_of(code, self._salt)

    def spend(self, hashed: str, now: int) -> None:
        """Mark the code of this hash as spent at `now`."""
        self.spent[hashed] = now
        self._lines[self._places[hashed]] = f"{CODE} {hashed} {now}"

    def _read_line(self, index: int, head: dict[str, str], name: str, *words: str) -> None:
        if name == CODE and len(words) in (1, 2):
            self._read_code(index, *words)
        elif name in HEAD and name not in head and len(words) == 1:
            expected = f"{SALT_DIGITS} hex digits" if name == "salt" else "a number"
            if not (_is_hex(words[0], SALT_DIGITS) if name == "salt" else _is_number(words[0])):
                raise self._error(index, f"another {name}", expected)
            head[name] = words[0]
        else:
            raise self._error(index, "another line", "uid, made and salt once each, or a code")

    def _read_code(self, index: int, hashed: str, at: str = "0") -> None:
        if not _is_hex(hashed, HASH_DIGITS) or hashed in self._places or not _is_number(at):
            expected = f"{HASH_DIGITS} hex digits, not twice, and after use a time"
            raise self._error(index, "another code", expected)
        self._places[hashed] = index
        if self._lines[index].count(" ") > 1:
            self.spent[hashed] = int(at)

    def _error(self, index: int, found: str, expected: str) -> RecordError:
        return RecordError(self._path, index + 1, found, expected)


def codes_for(account: "Account", content: bytes, path: str) -> RecoveryCodes:
    """Return the codes in a file, if they are the account's.

    The next account of a name gets another uid, and does not inherit the codes of the one before.
    Raises RecordError, OtherAccount.
    """
    codes = RecoveryCodes(content, path)
    if codes.uid != account.uid:
        raise OtherAccount(path, account.name, account.uid, codes.uid)
    return codes


def _is_hex(text: str, digits: int) -> bool:
    return len(text) == digits and set(text) <= set("0123456789abcdef")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS
