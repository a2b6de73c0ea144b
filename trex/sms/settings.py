"""`/etc/trex/sms.toml`: gateways, limits, and where messages are counted."""

import os
import stat
import tomllib
from difflib import get_close_matches
from string import ascii_letters, digits
from urllib.parse import urlsplit

from trex.errors import ABSENT, READABLE, FileUnsafe, NoRecord, cut, one_line
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
KINDS: dict[str, tuple[dict[str, type], dict[str, type]]] = {
    "free-mobile": ({"only": list, "user": str, "pass": str}, {"url": str}),
    "twilio": ({"account_sid": str, "auth_token": str, "from": str}, {"api": str}),
    "http": ({"url": str}, {"method": str, "headers": dict, "body": str, "expected": list}),
    "email": (
        {"server": str, "from": str, "to": str},
        {"port": int, "tls": str, "user": str, "password": str},
    ),
}
# RFC 9110, 5.1 and 5.5. For others `requests` raises an error that quotes the value.
HEADER_NAME = frozenset("!#$%&'*+-.^_`|~" + ascii_letters + digits)
HEADER_END = frozenset("\r\n\0")
MAX_NAME, MAX_ERROR = 40, 200  # characters of a key, or of tomllib's message, in the log
METHODS = ("GET", "POST", "PUT")
TLS = ("tls", "starttls")
MAX_PORT = 65535


def read_settings(path: str) -> "Table":
    """Return `{"state": URL, "limits": {...}, "gateways": [...]}`, checked.

    Raises FileUnsafe for a file that others than root may read or write, SettingsError for
    anything that docs/sms.md does not allow. No message quotes a value.
    """
    try:
        table = tomllib.loads(_read(path))
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: expected UTF-8 text, found other bytes") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: {_shown(str(error), MAX_ERROR)}") from None
    except RecursionError:
        raise SettingsError(f"{path}: brackets nested too deeply") from None
    except ValueError:  # of int()
        raise SettingsError(f"{path}: a number with too many digits") from None
    _check_keys(path, "", table, {}, {"state": str, "limits": dict, "gateway": list})
    limits = table.get("limits", {})
    _check_keys(path, "[limits] ", limits, {}, dict.fromkeys(LIMITS, int))
    for name, value in limits.items():
        if not 0 <= value <= MOST_MESSAGES:
            raise SettingsError(f"{path}: [limits] {name}: expected 0 to {MOST_MESSAGES}")
    gateways = table.get("gateway", [])
    for number, gateway in enumerate(gateways, start=1):
        _check_gateway(path, f"[[gateway]] {number}: ", gateway)
    state = table.get("state", STATE)
    if not _is_state(state):
        expected = "file:/path, redis://, rediss:// or unix:///path"
        raise SettingsError(f"{path}: state: expected {expected}")
    return {"state": state, "limits": {**LIMITS, **limits}, "gateways": gateways}


def _check_gateway(path: str, where: str, gateway: object) -> None:
    if not isinstance(gateway, dict):
        raise SettingsError(f"{path}: {where}expected a table")
    kind = gateway.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise SettingsError(f"{path}: {where}kind: expected one of {', '.join(KINDS)}")
    needed, possible = KINDS[kind]
    _check_keys(path, where, gateway, needed, {**COMMON, **needed, **possible})
    for name, value in gateway.items():
        if name in CHECKS and not CHECKS[name][0](value):
            raise SettingsError(f"{path}: {where}{name}: expected {CHECKS[name][1]}")
    for name, value in gateway.get("headers", {}).items():
        _check_header(path, where, name, value)


def _is_state(url: str) -> bool:
    if url.startswith("file:/"):
        return True
    try:
        parts = urlsplit(url)
        if url.startswith("unix://"):  # after two slashes the path's first part would be the host
            return not parts.hostname and parts.path.strip("/") != ""
        return url.startswith(("redis://", "rediss://")) and parts.port != 0
    except ValueError:  # the port is not a number; it may be part of a password with a slash
        return False


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return url.startswith("https://") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is not a number, or there is no address in the brackets
        return False


# What a value must be besides its type: a check, and the words for its error.
CHECKS: "dict[str, tuple[Callable[[Any], bool], str]]" = {
    "url": (_is_address, "https:// and a host"),
    "api": (_is_address, "https:// and a host"),
    "ca": (lambda path: path.startswith("/"), "an absolute path"),  # "" would turn verification off
    "port": (lambda port: 0 < port <= MAX_PORT, f"1 to {MAX_PORT}"),
    "method": (METHODS.__contains__, f"one of {', '.join(METHODS)}"),
    "tls": (TLS.__contains__, f"one of {', '.join(TLS)}"),
    "only": (lambda names: all(isinstance(n, str) for n in names), "user names"),
    "expected": (lambda codes: all(type(c) is int for c in codes), "HTTP status codes"),
}


def _check_header(path: str, where: str, name: str, value: object) -> None:
    if not isinstance(value, str):
        raise SettingsError(f"{path}: {where}headers: expected strings")
    if set(name) - HEADER_NAME or not name or set(value) & HEADER_END:
        expected = "HTTP field names and one-line values"
        raise SettingsError(f"{path}: {where}headers: expected {expected}")


def _check_keys(
    path: str, where: str, table: "Table", needed: dict[str, type], possible: dict[str, type]
) -> None:
    for name, value in table.items():
        if name not in possible:
            close = get_close_matches(name, possible)
            hint = f', did you mean "{close[0]}"?' if close else ""
            raise SettingsError(f'{path}: {where}unknown key "{_shown(name)}"{hint}')
        if type(value) is not possible[name]:
            raise SettingsError(f"{path}: {where}{name}: expected {NAMES[possible[name]]}")
    for name in needed:
        if not table.get(name):
            raise SettingsError(f"{path}: {where}{name} is missing")


def _shown(text: str, longest: int = MAX_NAME) -> str:
    return one_line(cut(text, longest))


NAMES = {str: "a string", int: "a number", list: "a list", dict: "a table"}


def _read(path: str) -> str:
    try:
        descriptor = open_safely(native(path), find_account("root"))
    except NoRecord:  # nullok is for users, not for a file of the administrator's
        raise FileUnsafe(path, "no file", "the settings of method=sms", ABSENT) from None
    try:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & OTHERS:
            raise FileUnsafe(
                path, f"mode {mode:04o}", "mode 0600, because of the passwords in it", READABLE
            )
        return read_whole(descriptor, path).decode("utf-8")
    finally:
        os.close(descriptor)
