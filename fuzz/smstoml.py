"""`/etc/trex/sms.toml`, with credentials that no error may quote."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING
from unittest.mock import patch
from urllib.parse import urlsplit

from trex.sms import settings
from trex.sms.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PATH = "/etc/trex/sms.toml"
SECRET = "s3cret-V4lue"  # noqa: S105 (the seeds' credential)
# Words of the messages themselves, which a value may contain by chance.
OURS = "\n".join(
    [f"kind: expected one of {', '.join(settings.KINDS)}", "HTTP field names and one-line values"]
    + [f"{name}: expected {expected}" for name, (_, expected) in settings.CHECKS.items()]
)
AS_KEY = re.compile(
    rf"{SECRET}[\"']?[ \t]*[=.\]]|[.\[{{,][ \t]*[\"']?{SECRET}|^[ \t]*[\"']?{SECRET}", re.MULTILINE
)


def check(data: bytes) -> None:
    """Settings that a gateway can use, or an error that names the key and quotes no value."""
    with patch.object(settings, "_read", lambda _: data.decode("utf-8")):
        try:
            read = settings.read_settings(PATH)
        except SettingsError as error:
            check_error(str(error), data.decode("utf-8", "replace"))
            return
    assert set(read) == {"state", "limits", "gateways"}
    assert re.match(r"file:/|rediss?://|unix://", read["state"])
    assert set(read["limits"]) == set(settings.LIMITS)
    assert all(type(most) is int and 0 <= most <= 10**6 for most in read["limits"].values())
    for gateway in read["gateways"]:
        check_gateway(gateway)


def check_gateway(gateway: dict[str, Any]) -> None:
    """Check what `trex.sms.send` and the gateways' modules rely on."""
    needed, possible = settings.KINDS[gateway["kind"]]
    assert set(needed) <= set(gateway) <= {*needed, *possible, "kind", "only", "ca"}
    for name in {*gateway} - {"only", "headers", "expected", "port"}:
        assert isinstance(gateway[name], str), name
    assert all(gateway[name] for name in needed)
    assert all(isinstance(name, str) for name in gateway.get("only", []))
    assert all(type(status) is int for status in gateway.get("expected", []))
    assert type(gateway.get("port", 1)) is int
    assert 0 < gateway.get("port", 1) < 65536
    assert gateway.get("tls", "tls") in ("tls", "starttls")
    assert gateway.get("method", "GET") in ("GET", "POST", "PUT")
    for name in ("url", "api"):
        url = gateway.get(name, "https://x")
        assert url.startswith("https://"), "never without TLS"
        assert urlsplit(url).hostname
        assert urlsplit(url).port != 0
    assert gateway.get("ca", "/x").startswith("/"), "with an empty one nothing would be verified"
    for name, value in gateway.get("headers", {}).items():
        assert re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name), "RFC 9110, 5.1"
        assert isinstance(value, str)
        assert not set(value) & set("\r\n\0"), "a header is one line"


def check_error(error: str, text: str) -> None:
    """Check that the log gets one line, without values."""
    assert error.startswith(f"{PATH}: ")
    assert error.isprintable(), error
    assert len(error) < 400
    if SECRET in error:
        assert AS_KEY.search(text), "a value"
    for value in strings(parsed(text)):
        known = value in OURS or value in names(parsed(text))
        assert len(value) < 12 or value not in error or known


def parsed(text: str) -> dict[str, Any]:
    """Return the document, {} if it is malformed."""
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


def strings(value: object) -> Iterator[str]:
    """Yield the strings in a document that are values."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def names(value: object) -> str:
    """Return all keys of a document."""
    if isinstance(value, dict):
        return "\n".join([*value, *map(names, value.values())])
    return "\n".join(map(names, value)) if isinstance(value, list) else ""
