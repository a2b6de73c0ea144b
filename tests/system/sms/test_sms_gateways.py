"""Each kind of gateway by HTTPS: what it is sent, and what its response results in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.gateways import TOKEN, Authority, Gateway
from tests.support.pins import NUMBER, Sms, by_http, free_mobile, twilio

if TYPE_CHECKING:
    from collections.abc import Callable


def test_free_mobile(sms: Sms) -> None:
    sms.configure(free_mobile(sms.gateway))
    assert sms().verdict == "PAM_SUCCESS"
    [(method, path, _)] = sms.gateway.requests
    assert method == "GET"
    assert path.startswith(f"/sendmsg?user=12345678&pass={TOKEN}&msg=")


def test_twilio(sms: Sms) -> None:
    sms.configure(twilio(sms.gateway))
    assert sms().verdict == "PAM_SUCCESS", sms.log.everything()
    [(method, path, body)] = sms.gateway.requests
    assert (method, path) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert body.startswith("To=%2B33612345678&From=%2B15005550006&Body=")


@pytest.mark.parametrize("body", ["form", "plain"])
def test_any_gateway_by_http(sms: Sms, body: str) -> None:
    kind = "application/x-www-form-urlencoded" if body == "form" else "text/plain"
    sms.configure(by_http(
        sms.gateway, url=f'"{sms.gateway.url}/form"', body='"to={number}&text={text}"', method='"PUT"',
        headers=f'{{ Authorization = "{TOKEN}", Content-Type = "{kind}" }}', expected="[202]",
    ))  # fmt: skip
    assert sms().verdict == "PAM_SUCCESS"
    [(method, _, sent)] = sms.gateway.requests
    assert method == "PUT"
    assert ("to=%2B336" in sent and " " not in sent) if body == "form" else f"to={NUMBER}" in sent


@pytest.mark.parametrize(
    ("table", "status", "reason"),
    [
        (free_mobile, 400, "free-mobile: HTTP status 400, a parameter is missing"),
        (free_mobile, 402, "free-mobile: HTTP status 402, too many messages"),
        (free_mobile, 403, "free-mobile: HTTP status 403, the service is not enabled"),
        (free_mobile, 500, "free-mobile: HTTP status 500, an error at the carrier"),
        (twilio, 400, "twilio: HTTP status 400, error code 21211"),
        (by_http, 418, "http: HTTP status 418"),
    ],
)
def test_what_a_gateway_refuses_is_in_the_log(
    sms: Sms, table: Callable[[Gateway], str], status: int, reason: str
) -> None:
    sms.configure(table(sms.gateway))
    sms.gateway.status, sms.gateway.code = status, 21211
    asked = sms()
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    assert reason in sms.log.verdict()
    assert TOKEN not in sms.log.everything()


@pytest.mark.parametrize(
    "raw",
    [b"no HTTP at all\r\n\r\n", b"HTTP/1.1 999 \xff\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5_000],
    ids=["no HTTP", "no status", "a long header", "no chunk", "many headers"],
)  # fmt: skip
def test_what_is_no_answer_takes_no_message(sms: Sms, raw: bytes) -> None:
    sms.configure(by_http(sms.gateway))
    sms.gateway.raw = raw
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    assert re.search(r"http: (no connection \(\w+\)|HTTP status 999)", sms.log.verdict())
    assert "unforeseen" not in sms.log.everything()


def test_an_answer_that_is_packed_is_left_so(sms: Sms) -> None:
    """The status says that the message was accepted; compressed data could be of any size."""
    sms.configure(by_http(sms.gateway))
    sms.gateway.raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone"
    assert sms().verdict == "PAM_AUTH_ERR", "asked, and answered wrongly"


def test_a_redirection_is_not_followed(authority: Authority, place: Path, sms: Sms) -> None:
    other = Gateway(authority, place / "last-message")
    sms.gateway.redirect = f"{other.url}/json"
    sms.configure(by_http(sms.gateway))
    try:
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "HTTP status 302, a redirection, which is not followed" in sms.log.verdict()
        assert other.requests == []
    finally:
        other.close()


def test_without_a_gateway_for_a_user_nothing_is_sent(sms: Sms) -> None:
    for gateways in ([], [free_mobile(sms.gateway, "carol")]):
        sms.log.clear()
        sms.configure(*gateways)
        assert sms(arguments=("nullok",)).verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "no gateway is for bob" in sms.log.verdict()
    assert sms.gateway.requests == []
