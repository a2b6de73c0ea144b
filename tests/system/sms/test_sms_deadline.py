"""Gateways that are down or slow: the next one, the deadline, and the process that sends."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import pytest

from tests.support import sandbox
from tests.support.gateways import TOKEN, Authority, Gateway
from tests.support.pins import NUMBER, PIN, Sms, by_http, free_mobile, patient_service, twilio


@pytest.fixture(scope="module")
def patient(place: Path) -> str:
    """A service that waits longer for the sender's report, which may be late on a busy machine."""
    return patient_service(10)


def test_the_next_gateway_is_tried_when_one_is_down_or_slow(
    authority: Authority, place: Path, sms: Sms
) -> None:
    down = Gateway(authority, place / "last-message")
    down.close()
    slow = Gateway(authority, place / "last-message")
    slow.seconds = 30
    sms.configure(
        twilio(down), by_http(slow), free_mobile(sms.gateway, "carol"), by_http(sms.gateway)
    )
    started = time.monotonic()
    try:
        assert sms(arguments=("debug",)).verdict == "PAM_SUCCESS"
        assert time.monotonic() - started < slow.seconds
        assert len(sms.gateway.texts) == 1
        assert "the PIN was sent: by http" in sms.log.everything()
    finally:
        slow.close()


def test_after_ten_seconds_it_is_refused_and_nothing_is_left(
    sms: Sms, client: Path, patient: str
) -> None:
    """The fixture `nothing_left` checks that it ends; this test inspects it while it runs."""
    sms.gateway.seconds = 30
    sms.configure(by_http(sms.gateway), free_mobile(sms.gateway))
    seen: list[dict[str, str]] = []
    watch = threading.Thread(target=look_at_the_sender, args=(sms.gateway, seen))
    watch.start()
    started = time.monotonic()
    asked = sandbox.ask_pam(client, patient, "bob", "--answer-with", PIN)
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert 8 < time.monotonic() - started < sms.gateway.seconds
    watch.join()
    assert "http: no answer in time; free-mobile: no answer in time" in sms.log.verdict()
    [sender] = seen
    assert re.search(r"^Uid:\t(\d+)\t\1\t\1\t\1$", sender["status"], re.MULTILINE)
    assert "Uid:\t0\t" not in sender["status"]
    assert "NoNewPrivs:\t1" in sender["status"]
    assert re.search(r"^CapEff:\t0+$", sender["status"], re.MULTILINE)
    assert "trex.sms.send" in sender["cmdline"]
    assert not any(
        TOKEN in text or NUMBER in text for text in (sender["cmdline"], sender["environ"])
    )
    assert sender["core"].split()[4:6] == ["0", "0"]
    assert sender["owner"] == "0", "no other process of its account can look into it (proc(5))"


def look_at_the_sender(gateway: Gateway, seen: list[dict[str, str]]) -> None:
    deadline = time.monotonic() + 30
    while not gateway.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid, name in sandbox.processes_here().items():
        if "trex.sms.send" in name:
            process = Path(f"/proc/{pid}")
            limits = (process / "limits").read_text()
            [core] = [line for line in limits.split("\n") if line.startswith("Max core file size")]
            owner = str((process / "environ").stat().st_uid)
            seen.append({"core": core, "cmdline": name, "owner": owner, "status": (process / "status").read_text(),
                         "environ": (process / "environ").read_text()})  # fmt: skip
