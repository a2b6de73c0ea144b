"""`/etc/trex/sms.toml`: gateways, limits, and where messages are counted."""

import os
import stat
import tomllib
from difflib import get_close_matches
from string import ascii_letters, digits
from urllib.parse import urlsplit

from trex.errors import FileUnsafe, NoRecord, cut
from trex.login.audit import one_line
from trex.sms.errors import SettingsError
from trex.system.privilege import find_account, native
from trex.system.safefile import open_safely, read_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Table = dict[str, Any]

OTHERS = 0o077
STATE = "file:/var/lib/trex/sms/counts"
# How many messages in 3600 and in 86400 seconds, to one user and from this host.
LIMITS = {"user_hour": 5, "user_day": 10, "host_hour": 60, "host_day": 200}
MOST_MESSAGES = 1_000_000
COMMON = {"kind": str, "only": list, "ca": str}
# What each kind of gateway must have, and may have.
KINDS: "dict[str, tuple[dict[str, type], dict[str, type]]]" = {
    "free-mobile": ({"only": list, "user": str, "pass": str}, {"url": str}),
    "twilio": ({"account_sid": str, "auth_token": str, "from": str}, {"api": str}),
    "http": ({"url": str}, {"method": str, "headers": dict, "body": str, "expected": list}),
    "email": (
        {"server": str, "from": str, "to": str},
        {"port": int, "tls": str, "user": str, "password": str},
    ),
}
# RFC 9110, 5.1 and 5.5. `requests` would stop at another one, with the value in its words.
HEADER_NAME = frozenset("!#$%&'*+-.^_`|~" + ascii_letters + digits)
HEADER_END = frozenset("\r\n\0")
MAX_NAME, MAX_ERROR = 40, 200  # how much of a key, or of what tomllib says, comes into the log
METHODS = ("GET", "POST", "PUT")
TLS = ("tls", "starttls")
MAX_PORT = 65535


def read_settings(path: str) -> "Table":
    """Return `{"state": URL, "limits": {...}, "gateways": [...]}`, checked.

    Raises FileUnsafe for a file that others than root may read or write, SettingsError for
    anything in it that is not as docs/sms.md says. No message repeats a value.
    """
    try:
        table = tomllib.loads(_read(path))
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: bytes that are not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {_shown(str(error), MAX_ERROR)}") from None
    except RecursionError:
        raise SettingsError(f"{path}: too many brackets within each other") from None
    except ValueError:  # of int()
        raise SettingsError(f"{path}: a number with too many digits") from None
    _check_keys(path, "", table, {}, {"state": str, "limits": dict, "gateway": list})
    limits = table.get("limits", {})
    _check_keys(path, "[limits] ", limits, {}, dict.fromkeys(LIMITS, int))
    for name, value in limits.items():
        if not 0 <= value <= MOST_MESSAGES:
            raise SettingsError(f"{path}: [limits] {name}: 0 to {MOST_MESSAGES} is meant")
    gateways = table.get("gateway", [])
    for number, gateway in enumerate(gateways, start=1):
        _check_gateway(path, f"[[gateway]] {number}: ", gateway)
    state = table.get("state", STATE)
    if not _is_state(state):
        meant = "file:/path, redis://, rediss:// or unix:///path"
        raise SettingsError(f"{path}: state: {meant} is meant")
    return {"state": state, "limits": {**LIMITS, **limits}, "gateways": gateways}


def _check_gateway(path: str, where: str, gateway: object) -> None:
    if not isinstance(gateway, dict):
        raise SettingsError(f"{path}: {where}a table is meant")
    kind = gateway.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise SettingsError(f"{path}: {where}kind: one of {', '.join(KINDS)} is meant")
    needed, possible = KINDS[kind]
    _check_keys(path, where, gateway, needed, {**COMMON, **needed, **possible})
    for name, value in gateway.items():
        if name in MEANT and not MEANT[name][0](value):
            raise SettingsError(f"{path}: {where}{name}: {MEANT[name][1]}")
    for name, value in gateway.get("headers", {}).items():
        _check_header(path, where, name, value)


def _is_state(url: str) -> bool:
    if url.startswith("file:/"):
        return True
    try:
        place = urlsplit(url)
        if url.startswith("unix://"):  # with two slashes the path would be without its first part
            return not place.hostname and place.path.strip("/") != ""
        return url.startswith(("redis://", "rediss://")) and place.port != 0
    except ValueError:  # a port that is no number, which may be half a password with a slash
        return False


def _is_address(url: str) -> bool:
    try:
        place = urlsplit(url)
        return url.startswith("https://") and bool(place.hostname) and place.port != 0
    except ValueError:  # a port that is no number, or brackets without an address
        return False


# What a value must be besides its type, and how that is said.
MEANT: "dict[str, tuple[Callable[[Any], bool], str]]" = {
    "url": (_is_address, "https:// and a host is meant"),
    "api": (_is_address, "https:// and a host is meant"),
    "ca": (lambda path: path.startswith("/"), "an absolute path is meant"),  # "": no verification
    "port": (lambda port: 0 < port <= MAX_PORT, f"1 to {MAX_PORT} is meant"),
    "method": (METHODS.__contains__, f"one of {', '.join(METHODS)} is meant"),
    "tls": (TLS.__contains__, f"one of {', '.join(TLS)} is meant"),
    "only": (lambda names: all(isinstance(n, str) for n in names), "names of users are meant"),
    "expected": (lambda codes: all(type(c) is int for c in codes), "HTTP statuses are meant"),
}


def _check_header(path: str, where: str, name: str, value: object) -> None:
    if not isinstance(value, str):
        raise SettingsError(f"{path}: {where}headers: texts are meant")
    if set(name) - HEADER_NAME or not name or set(value) & HEADER_END:
        raise SettingsError(f"{path}: {where}headers: names and lines of HTTP are meant")


def _check_keys(
    path: str, where: str, table: "Table", needed: "dict[str, type]", possible: "dict[str, type]"
) -> None:
    for name, value in table.items():
        if name not in possible:
            close = get_close_matches(name, possible)
            hint = f', did you mean "{close[0]}"?' if close else ""
            raise SettingsError(f'{path}: {where}unknown key "{_shown(name)}"{hint}')
        if type(value) is not possible[name]:
            raise SettingsError(f"{path}: {where}{name}: {NAMES[possible[name]]} is meant")
    for name in needed:
        if not table.get(name):
            raise SettingsError(f"{path}: {where}{name} is missing")


def _shown(text: str, longest: int = MAX_NAME) -> str:
    return one_line(cut(text, longest))


NAMES = {str: "a text", int: "a number", list: "a list", dict: "a table"}


def _read(path: str) -> str:
    try:
        descriptor = open_safely(native(path), find_account("root"))
    except NoRecord:  # nullok is for users, not for a file of the administrator's
        raise FileUnsafe(path, "no file", "the settings of method=sms") from None
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & OTHERS:
            raise FileUnsafe(path, f"mode {mode:04o}", "mode 0600, because of the passwords in it")
        return read_whole(descriptor, path).decode("utf-8")
    finally:
        os.close(descriptor)
