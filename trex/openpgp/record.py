"""`~/.auth_gpg`: one record that says who can answer and how the challenge is shown.

The format, with every default, effect and limit, is in docs/auth_gpg.md.
"""

import os

from trex.errors import FileUnsafe, OtherAccount, RecordError, cut
from trex.system.privilege import is_uid, readable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.system.privilege import Account

RECORD = "<recipients> <trust|notrust> <sign-as|nosign> [web-QR mode] [TLS key] [TLS certificate]"
FEWEST_FIELDS, MOST_FIELDS = 3, 6
A_KEY = "an e-mail address or a fingerprint of 40 hexadecimal digits"
A_RECIPIENT = f"{A_KEY}, or the absolute path of a public key"
MAX_RECIPIENTS = 16
TWO_OF = "2of:"  # before keys of which two have to answer
TWO, MOST_PEOPLE = 2, 5  # each key gets a message of its own, and all are in one prompt
MAX_ADDRESS = 254  # RFC 5321, section 4.5.3.1.3, without the angle brackets

HEX_DIGITS = frozenset("0123456789ABCDEF")
FINGERPRINT_LENGTHS = (40, 64)  # of keys of version 4, and of version 5 or 6
GROUPS = 10  # in which gpg shows 40 digits
ONE_SUBKEY = "!"  # gpg(1), "How to specify a user ID": exactly this key or subkey
NOTE = "trex:"  # after the # of a comment
LEAVE_OUT_UNUSABLE = "leave-out-unusable"
A_NOTE = f"uid=NUMBER or {LEAVE_OUT_UNUSABLE}"
# From RFC 5322's atext; letters and digits of any script are allowed too (RFC 6531).
ADDRESS_SIGNS = frozenset("!#$%&'*+/=?^_`{|}~.-")


class WebQrMode:
    """How the page with the QR code is protected."""

    __slots__ = ("authentication", "tls")

    def __init__(self, *, authentication: bool, tls: bool) -> None:
        self.authentication = authentication
        self.tls = tls


WEB_QR_MODES = {
    "webQrAuthTls": WebQrMode(authentication=True, tls=True),
    "webQrNoAuthTls": WebQrMode(authentication=False, tls=True),
    "webQrAuthNoTls": WebQrMode(authentication=True, tls=False),
    "webQrNoAuthNoTls": WebQrMode(authentication=False, tls=False),
}
# A QR code in the prompt, by the terminal's background.
TERMINAL_QR_MODES = {"qrTerminal": "dark", "qrTerminalLight": "light"}
QR_MODES = (*WEB_QR_MODES, *TERMINAL_QR_MODES)


class AuthRecord:
    """A parsed record.

    Keys are addresses, or fingerprints in capital hex digits with or without `!`; recipients can
    also be absolute paths of public keys (`is_file`). `uid` is that of the account for which the
    record was made, None if it does not say. `leaves_out` says that keys which cannot be used are
    left out, as long as `needed` are left: so many keys have to answer, 1 or TWO.
    """

    __slots__ = (
        "leaves_out", "line", "needed", "recipients", "sign_as", "terminal_qr", "tls_certificate",
        "tls_key", "trust", "uid", "warnings", "web_qr",
    )  # fmt: skip

    def __init__(self, line: int, recipients: list[str], *, trust: bool) -> None:
        self.line = line
        self.recipients = recipients
        self.trust = trust
        self.sign_as = ""  # for nosign
        self.web_qr: WebQrMode | None = None
        self.terminal_qr = ""  # or the background: "dark" or "light"
        self.tls_key = ""  # absolute, or "" if this login makes its own certificate
        self.tls_certificate = ""
        self.uid: int | None = None
        self.leaves_out = False
        self.needed = 1
        self.warnings: list[str] = []


def parse_record(content: bytes, path: str, home: str) -> AuthRecord:
    """Return the first record in `content`; `path` is for messages, `home` for relative TLS paths.

    Raises RecordError with the line for whatever is not as docs/auth_gpg.md says, and FileUnsafe
    for a file without a record.
    """
    lines, notes = _lines(content, readable(path))
    if not lines:
        raise FileUnsafe(readable(path), "no record", RECORD)
    record = _parse_line(lines[0], home)
    for note in notes:
        _parse_note(record, note)
    if len(lines) > 1:
        told = f"a second record is ignored; only line {record.line} is read"
        record.warnings.append(f"{lines[1].path}:{lines[1].number}: {told}")
    return record


def check_account(record: AuthRecord, path: str, account: "Account") -> None:
    """Check that the record was made for this account. Raises OtherAccount.

    A record that does not say for whom it was made is for whoever has the name.
    """
    if record.uid is not None and record.uid != account.uid:
        raise OtherAccount(readable(path), account.name, account.uid, record.uid)


class _Line:
    """The text of a record or a note, with its path and line number."""

    __slots__ = ("number", "path", "text")

    def __init__(self, path: str, number: int, text: str) -> None:
        self.path = path
        self.number = number
        self.text = text

    def error(self, found: str, expected: str) -> RecordError:
        return RecordError(self.path, self.number, found, expected)


def _lines(content: bytes, path: str) -> tuple[list[_Line], list[_Line]]:
    """Return the lines that are neither blank nor comments, and the notes without `# trex:`."""
    lines, notes = [], []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        try:
            text = raw.decode("utf-8").strip(" \t\r")
        except UnicodeDecodeError:
            raise RecordError(path, number, "bytes that are not UTF-8", "UTF-8 text") from None
        if is_note(text):
            notes.append(_Line(path, number, text.partition(NOTE)[2].replace("\t", " ")))
        elif text and not text.startswith("#"):
            lines.append(_Line(path, number, text.replace("\t", " ")))
    return lines, notes


def is_note(line: str) -> bool:
    """Tell whether a line, without blanks around it, is a comment that Trex reads."""
    return line.startswith("#") and line[1:].lstrip(" \t").startswith(NOTE)


def _parse_note(record: AuthRecord, note: _Line) -> None:
    """Set what a comment that begins with `# trex:` says.

    A word that is unknown, and one where it has no effect, refuse the login: either may have asked
    for more security than there would be.
    """
    if not note.text.isprintable():
        raise note.error("a control character", "printable text")
    if note.number > record.line:
        raise note.error("it after that", f"# {NOTE} before the record in line {record.line}")
    words = [word for word in note.text.split(" ") if word]
    for word in words or [""]:
        name, _, number = word.partition("=")
        if word == LEAVE_OUT_UNUSABLE and not record.leaves_out:
            record.leaves_out = True
        elif name == "uid" and record.uid is None and is_uid(number):
            record.uid = int(number)
        else:
            raise note.error(_quoted(word), f"{A_NOTE}, each once")


def _parse_line(line: _Line, home: str) -> AuthRecord:
    if not line.text.isprintable():
        raise line.error("a control character", "printable text")
    fields = [field for field in line.text.split(" ") if field]
    if len(fields) > 1 and fields[1].lower().startswith("webqr"):
        raise line.error(
            "the C++ version's form, <recipient> <web-QR mode> [key] [certificate]",
            " ".join([fields[0], "trust", "nosign", *fields[1:]]),
        )
    if len(fields) > MOST_FIELDS and HEX_DIGITS.issuperset("".join(fields[:GROUPS]).upper()):
        raise line.error("a fingerprint with spaces in it", "".join(fields[:GROUPS]) + " ...")
    if not FEWEST_FIELDS <= len(fields) <= MOST_FIELDS:
        expected = f"{FEWEST_FIELDS} to {MOST_FIELDS} fields ({RECORD})"
        raise line.error(f"{len(fields)} fields", expected)
    recipients, trust, sign_as, *web = fields
    if trust not in ("trust", "notrust"):
        raise line.error(_quoted(trust), "trust or notrust")
    names = _parse_recipients(line, recipients.removeprefix(TWO_OF))
    record = AuthRecord(line.number, names, trust=trust == "trust")
    if not record.trust and any(map(is_file, record.recipients)):
        raise line.error("notrust with a key in a file", "trust (gpg vouches for no file)")
    if sign_as != "nosign":
        record.sign_as = _parse_key(line, sign_as, f"{A_KEY} to sign with, or nosign")
    if web:
        _parse_web_qr(record, line, web, home)
    if recipients.startswith(TWO_OF):
        _ask_two(record, line, web)
    return record


def _parse_recipients(line: _Line, field: str) -> list[str]:
    names = field.split(",")
    if len(names) > MAX_RECIPIENTS:
        raise line.error(f"{len(names)} recipients", f"at most {MAX_RECIPIENTS}")
    return [name if is_file(name) else _parse_key(line, name, A_RECIPIENT) for name in names]


def _ask_two(record: AuthRecord, line: _Line, web: list[str]) -> None:
    """Have two of the keys answer. Each is named once, so that there can be two people."""
    record.needed, names = TWO, record.recipients
    if web:  # whatever it is: one code has one message
        raise line.error(f"{TWO_OF} and {_quoted(web[0])}", f"nothing after sign-as with {TWO_OF}")
    if not TWO <= len(names) <= MOST_PEOPLE:
        keys = "1 key" if len(names) == 1 else f"{len(names)} keys"
        raise line.error(keys, f"{TWO} to {MOST_PEOPLE} after {TWO_OF}")
    plain = [name.lower() if "@" in name else name for name in names]
    for name in names:
        if plain.count(name.lower() if "@" in name else name) > 1:
            raise line.error(f"{_quoted(name)} twice", f"each key once after {TWO_OF}")


def is_file(name: str) -> bool:
    """Tell whether a recipient is the path of a public key, not a key in the keyring."""
    return name.startswith("/")


def _parse_key(line: _Line, name: str, expected: str) -> str:
    """Return a fingerprint in capitals, or an address unchanged."""
    fingerprint = name.removeprefix("0x").removeprefix("0X").upper()
    digits = fingerprint.removesuffix(ONE_SUBKEY)
    if len(digits) in FINGERPRINT_LENGTHS and HEX_DIGITS.issuperset(digits):
        return fingerprint
    if _is_address(name):
        return name
    raise line.error(_quoted(name), expected)


def _is_address(name: str) -> bool:
    """Tell whether `name` is a plain address, and cannot be taken for an option of gpg."""
    local, at, domain = name.rpartition("@")
    labels = domain.split(".")
    return (
        bool(local and at)
        and len(name) <= MAX_ADDRESS
        and not name.startswith(("-", "/"))  # an option, a path
        and all(c.isalnum() or c in ADDRESS_SIGNS for c in local)
        and all(label and not label.startswith("-") for label in labels)
        and all(c.isalnum() or c == "-" for label in labels for c in label)
    )


def _parse_web_qr(record: AuthRecord, line: _Line, fields: list[str], home: str) -> None:
    mode, *files = fields
    record.web_qr = WEB_QR_MODES.get(mode)
    record.terminal_qr = TERMINAL_QR_MODES.get(mode, "")
    if record.web_qr is None:
        if mode.lower().startswith(("webqr", "qr")) and not record.terminal_qr:
            close = [known for known in QR_MODES if known.lower() == mode.lower()]
            hint = f', did you mean "{close[0]}"?' if close else ""
            kind, none = ("QR", "QR code") if mode[0] in "qQ" else ("web-QR", "page")
            told = f"unknown {kind} mode {_quoted(mode)}, so no {none}{hint}"
            record.warnings.append(f"{line.path}:{line.number}: {told}")
        return
    if record.web_qr.tls and len(files) == 1:
        raise line.error(
            "a TLS key without a TLS certificate",
            "both, or neither (each login then makes a certificate)",
        )
    if record.web_qr.tls and files:
        record.tls_key, record.tls_certificate = (os.path.join(home, name) for name in files)


def _quoted(field: str) -> str:
    return f'"{cut(field)}"'
