"""The gateways for messages, in their order: their users, and whether they can be reached."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trex.cli.delegate import FILE_SECONDS, run_as
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.remedy import by_hand
from trex.errors import ProgramFailed
from trex.system.packages import is_packaged
from trex.system.servant import have_done

if TYPE_CHECKING:
    from trex.system.privilege import Account

ONLINE = "trex doctor --online"
LACKING = "Debian's package python3-requests is missing"
ADDRESS = ("kind", "server", "port", "tls", "ca")  # the settings passed on; no credentials


def check_gateways(
    settings: dict[str, Any], path: str, servant: Account, *, online: bool
) -> list[Finding]:
    """Return the gateways that cannot be used; with `online`, connect to each."""
    gateways = settings["gateways"]
    if not gateways:
        what = f"{path}: expected at least one [[gateway]], found no gateway"
        why = "Nothing can be sent: every login is refused."
        return [Finding("sms-gateway", ERROR, what, why, by_hand(f"write one into {path}"))]
    findings = [
        finding
        for number, gateway in enumerate(gateways, start=1)
        for finding in _check_authority(f"{path}: [[gateway]] {number}", gateway, servant)
    ]
    why = "--online connects to each of them; nothing is sent."
    if not online:
        what = f"{path}: the gateways were not connected to"
        return [*findings, Finding("sms-online", NOTE, what, why, ONLINE)]
    if not is_packaged("requests"):
        what = f"{path}: the gateways could not be connected to: {LACKING}"
        fix = f"apt install python3-requests  # then: {ONLINE}"
        return [*findings, Finding("sms-online", NOTE, what, why, fix)]
    return [*findings, *_reach_all(gateways, path, servant)]


def for_user(settings: dict[str, Any], user: str) -> list[dict[str, Any]]:
    """Return the gateways for this user, as `trex.sms.send` chooses them."""
    return [gateway for gateway in settings["gateways"] if user in gateway.get("only", [user])]


def _check_authority(where: str, gateway: dict[str, Any], servant: Account) -> list[Finding]:
    """Check that the account that sends can read its certificate authorities."""
    authority = gateway.get("ca")
    if not authority:
        return []
    reason = run_as(servant, lambda: _why_not_read(authority, gateway["kind"]), FILE_SECONDS)
    if not reason:
        return []
    what = f"{where}: ca: {authority}: {reason}, as {servant.name}"
    why = "No certificate can be verified, so nothing is sent."
    fix = by_hand("name a file with the certificates of the authorities that you trust")
    if os.path.isfile(authority):
        fix = f"chmod a+r {shlex.quote(authority)}"
    return [Finding("sms-ca", ERROR, what, why, fix)]


def _why_not_read(path: str, kind: str) -> str:
    try:
        # The flags keep a FIFO or a terminal from blocking.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), "rb") as file:
            file.read(1)
    except IsADirectoryError:  # all but smtplib accept one, if it is hashed
        return "expected a file, found a directory" if kind == "email" else ""
    except OSError as error:
        return str(error.strerror)
    return ""


def _reach_all(gateways: list[dict[str, Any]], path: str, servant: Account) -> list[Finding]:
    reasons = [_why_not_reached(gateway, servant) for gateway in gateways]
    lost = all(reasons)  # then a login has no other gateway
    return [
        Finding("sms-reach", ERROR if lost else WARNING,
                f"{path}: [[gateway]] {number}, {gateway['kind']}: {reason}",
                "Nothing can be sent: every login is refused." if lost
                else "The next gateway is tried, but part of the ten seconds is gone.",
                by_hand("see the gateway's status page, a firewall, ca, or the name in the URL"))
        for number, (gateway, reason) in enumerate(zip(gateways, reasons, strict=True), start=1)
        if reason
    ]  # fmt: skip


def _why_not_reached(gateway: dict[str, Any], servant: Account) -> str:
    """Have the servant connect, verify the certificate and hang up; at most ten seconds."""
    try:
        word, rest = have_done(servant, "trex.sms.reach", {"gateway": _address_of(gateway)})
    except ProgramFailed as error:
        return str(error)
    return "" if word == "reached" else rest


def _address_of(gateway: dict[str, Any]) -> dict[str, Any]:
    """Return a gateway's address, without anything that may be secret."""
    told = {name: gateway[name] for name in ADDRESS if name in gateway}
    for name in ("url", "api"):
        if name in gateway:
            told[name] = "https://" + urlsplit(gateway[name]).netloc.rpartition("@")[2]
    return told
