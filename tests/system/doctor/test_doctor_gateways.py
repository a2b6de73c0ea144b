"""`trex doctor --online`: gateways that can be reached, and others; packages."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.examination import by_http, checks, defects, examine, found
from tests.support.gateways import TOKEN, Authority, Gateway, Mailbox
from tests.support.mounts import without_package
from tests.support.pins import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

UNTRUSTED = "its certificate is not trusted, or not for this host"


@pytest.mark.parametrize("package", ["requests", "redis"])
def test_packages_that_are_missing(
    sender: Account, configure: Callable[..., None], gateway: Gateway, package: str
) -> None:
    configure(by_http(gateway), state="redis://127.0.0.1:1/")
    with without_package(package):
        finding = found("sms-package", "--online")
    assert finding["what"] == f"Debian's package python3-{package} is missing"


def test_gateways_that_can_be_reached_and_others(
    sender: Account, configure: Callable[..., None], gateway: Gateway, authority: Authority, place: Path
) -> None:  # fmt: skip
    down = Gateway(authority, place / "last-message")
    down.close()
    boxes = [Mailbox(authority, place / "last-message", kind) for kind in ("tls", "starttls")]
    mail = ('kind = "email"\nserver = "localhost"\nport = {}\ntls = "{}"\nfrom = "a@example.org"\n'
            'to = "{{number}}@example.net"\nuser = "trex"\npassword = "wrong"')  # fmt: skip
    free = (f'kind = "free-mobile"\nuser = "1"\npass = "{TOKEN}"\nonly = ["alice"]\n'
            f'url = "{gateway.url}/sendmsg"')  # fmt: skip
    twilio = (f'kind = "twilio"\naccount_sid = "AC1"\nauth_token = "{TOKEN}"\nfrom = "+1"\n'
              f'api = "{gateway.url}"')  # fmt: skip
    emails = [
        mail.format(box.port, kind) for box, kind in zip(boxes, ("tls", "starttls"), strict=True)
    ]
    try:
        configure(by_http(gateway), free, twilio, *emails)
        assert checks("--online") == []
        configure(by_http(down), by_http(gateway, "127.0.0.1"), *emails)
        report = examine("--online")
        lost = [(f["severity"], f["what"]) for f in report["findings"] if f["check"] == "sms-reach"]
        assert lost == [
            ("warning", f"{SETTINGS}: [[gateway]] 1, http: no connection (ConnectionRefusedError)"),
            ("warning", f"{SETTINGS}: [[gateway]] 2, http: {UNTRUSTED}"),
        ]  # fmt: skip
        assert [box.mails for box in boxes] == [[], []]
        configure(by_http(down))
        assert found("sms-reach", "--online")["severity"] == "error"
        configure(mail.format(boxes[0].port, "tls"))
        untrusted = SETTINGS.read_text().replace(
            str(authority.ca), "/etc/ssl/certs/ca-certificates.crt"
        )
        SETTINGS.write_text(untrusted)
        assert "email: its certificate is not trusted" in found("sms-reach", "--online")["what"]
    finally:
        for box in boxes:
            box.close()
    assert gateway.requests == []


def test_a_gateway_that_does_not_answer_takes_ten_seconds(
    sender: Account, configure: Callable[..., None]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        configure(f'kind = "http"\nurl = "https://localhost:{port}/"')
        started = time.monotonic()
        finding = found("sms-reach", "--online")
    assert time.monotonic() - started < 50
    ends = ("http: no answer in time", "Timeout", "did not finish in 10 seconds")
    assert any(end in finding["what"] for end in ends)


def test_what_online_lacks_is_named(sender: Account) -> None:
    with without_package("requests"):
        finding = found("sms-online", "--user", "alice", "--online")
    assert finding["what"].endswith(
        "could not be connected to: Debian's package python3-requests is missing"
    )
    assert finding["fix"] == "apt install python3-requests  # then: trex doctor --online"


def test_an_authority_that_is_a_directory(
    sender: Account, configure: Callable[..., None], authority: Authority
) -> None:
    mail = 'kind = "email"\nserver = "localhost"\nport = 1\nfrom = "a@b.c"\nto = "{number}@x.y"\n'
    configure(mail)
    SETTINGS.write_text(SETTINGS.read_text().replace(str(authority.ca), "/etc/ssl/certs"))
    [finding] = defects("--user", "alice")
    assert (finding["check"], finding["severity"]) == ("sms-ca", "error")
    assert "ca: /etc/ssl/certs: expected a file, found a directory" in finding["what"]
    assert "chmod" not in finding["fix"]
