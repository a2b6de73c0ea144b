"""The QR code, on a page or in the prompt, made as for a login; and a page's certificate."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509

from trex.cli.delegate import FILE_SECONDS, run_as
from trex.cli.doctor.finding import WARNING, Finding
from trex.cli.doctor.record import WARN_DAYS
from trex.cli.doctor.remedy import by_hand
from trex.cli.errors import CommandError
from trex.cli.location import ROOT
from trex.errors import MAX_PATH, PageUnavailable, cut
from trex.login.challenge import now
from trex.login.method import Login
from trex.openpgp.keylist import DAY, day
from trex.page.start import Page, full_name, read_pem
from trex.page.terminal import LARGE, TerminalCode

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.openpgp.record import AuthRecord

PAGE_SECONDS = 30
OPEN_SECONDS = 15.0  # to open and close the page
MOST_NAMES = 4  # of a certificate, in a message
SMALLER = "qr_size= for larger terminals, host_keys= with fewer of them, or a cv25519 key"


def check_page(location: Location, record: AuthRecord, message: str, service: str) -> list[Finding]:
    """Return why this user's page would not be shown, or a browser would not trust it.

    A page is opened by the login's own code: port, account, TLS files and handshake.
    """
    try:
        # As root, like a login, but in a process that can be left behind if the TLS files hang.
        warnings = run_as(ROOT, lambda: _open(location, record, message, service), OPEN_SECONDS)
        if record.tls_certificate and not warnings:
            return _check_certificate(location, record)
    except CommandError as error:
        warnings = [str(error)]
    return [
        Finding("page", WARNING, f"{location.user.name}: {warning}",
                "Logins work, but show the message as text only.", by_hand("as the message says"),
                location.user.name)
        for warning in warnings
    ]  # fmt: skip


def check_code(location: Location, background: str, message: str, service: str) -> list[Finding]:
    """Return why this user's prompt would have no QR code; it is made by the login's own code."""
    try:
        told = run_as(ROOT, lambda: _draw(location, background, message, service), OPEN_SECONDS)
    except CommandError as error:
        told = {"warnings": [str(error)], "is_large": False}
    why = "Logins work, but show the message as text only."
    fix = by_hand(SMALLER if told["is_large"] else "as the message says")
    name = location.user.name
    return [Finding("prompt-qr", WARNING, f"{name}: {warning}", why, fix, name)
            for warning in told["warnings"]]  # fmt: skip


def _draw(location: Location, background: str, message: str, service: str) -> dict[str, Any]:
    """Have the code made; return the warnings that a login would log."""
    login = Login(location.user.name, service, "", [])
    code = TerminalCode(login, location.options, background)
    try:
        code.open(location.reader, location.user)
        return {"is_large": LARGE in code.show(message), "warnings": login.warnings}
    finally:
        code.end()


def _open(location: Location, record: AuthRecord, message: str, service: str) -> list[str]:
    """Open and close the page; return the warnings that a login would log."""
    login = Login(location.user.name, service, "", [])
    with Page(login, location.options, record) as page:
        page.open(location.reader, location.user, now() + PAGE_SECONDS)
        page.show(message)
    return login.warnings


def _check_certificate(location: Location, record: AuthRecord) -> list[Finding]:
    """Check the certificate. Raises CommandError for one that cannot be read."""
    told = run_as(location.reader, lambda: _read_certificate(record.tls_certificate), FILE_SECONDS)
    findings = []
    path = cut(record.tls_certificate, MAX_PATH)
    if told["until"] - time.time() < WARN_DAYS * DAY:
        findings.append(
            Finding("page-expires", WARNING, f"{path}: valid until {day(told['until'])}",
                    "From then on there is no page.", by_hand("renew the certificate"),
                    location.user.name)
        )  # fmt: skip
    host = location.options.web_host or full_name()
    if not any(_is_for(name, host) for name in told["names"]):
        names = ", ".join(map(cut, told["names"][:MOST_NAMES])) or "no host"
        findings.append(
            Finding("page-name", WARNING,
                    f"{path}: expected a certificate for {host}, found one for {names}",
                    "Browsers warn about it.", by_hand("set web_host= to a name in it"),
                    location.user.name)
        )  # fmt: skip
    return findings


def _read_certificate(path: str) -> dict[str, Any]:
    """Return the end of the first certificate, in seconds since the epoch, and its names.

    The path is the user's, who may have replaced the file since the page was opened.
    """
    try:
        certificate = x509.load_pem_x509_certificate(read_pem(path)[0])
        names = _names(certificate)
    except (OSError, ValueError):
        raise PageUnavailable(f"{cut(path, MAX_PATH)}: expected a certificate in PEM") from None
    until = getattr(certificate, "not_valid_after_utc", None)  # cryptography 42 and later
    if until is None:
        until = certificate.not_valid_after.replace(tzinfo=UTC)
    return {"until": datetime.timestamp(until), "names": names}


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in extension.value]


def _is_for(name: str, host: str) -> bool:
    name, host = name.lower().rstrip("."), host.lower().rstrip(".")
    if name.startswith("*."):
        return name[1:] == host[host.find(".") :]
    return name == host
