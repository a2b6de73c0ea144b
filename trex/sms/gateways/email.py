"""A carrier's mail-to-SMS address, through an SMTP server with TLS (RFC 8314)."""

from __future__ import annotations

import smtplib
import ssl
from contextlib import contextmanager
from email.message import EmailMessage
from time import monotonic
from typing import TYPE_CHECKING

from trex.sms.errors import NotSent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.sms.settings import Table

PORTS = {"tls": 465, "starttls": 587}
SECONDS = 10  # for one reply; `trex.sms.send` sets the deadline for all


def send(gateway: Table, numbers: list[str], text: str) -> None:
    """Send one mail for each number. Raises NotSent with the kind of failure, or SMTP's code."""
    with _explained(), _connected(gateway) as server:
        if "user" in gateway:
            server.login(gateway["user"], gateway.get("password", ""))
        for number in numbers:
            server.send_message(_mail(gateway, number, text))


def reach(gateway: Table) -> None:
    """Check that the gateway can be reached, and send nothing. Raises NotSent."""
    with _explained(), _connected(gateway):
        pass


@contextmanager
def _explained() -> Iterator[None]:
    """Raise NotSent for what smtplib raises."""
    try:
        yield
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"SMTP code {error.smtp_code}") from None
    except smtplib.SMTPRecipientsRefused:
        raise NotSent("the recipient was refused") from None
    except ssl.SSLError:
        raise NotSent("its certificate is not trusted, or not for this host") from None
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"no connection ({type(error).__name__})") from None
    except ValueError as error:  # a reply that is not base64, a sender that is no address
        raise NotSent(f"SMTP failed ({type(error).__name__})") from None


def _connected(gateway: Table) -> smtplib.SMTP:
    kind = gateway.get("tls", "starttls")
    host, port = gateway["server"], gateway.get("port", PORTS[kind])
    context = ssl.create_default_context(cafile=gateway.get("ca"))
    if kind == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=context)
    server = smtplib.SMTP(host, port, timeout=SECONDS)
    try:
        server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _mail(gateway: Table, number: str, text: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = gateway["from"]
    mail["To"] = gateway["to"].replace("{number}", number.removeprefix("+"))
    mail["Message-ID"] = f"<{monotonic():.6f}.trex@{gateway['from'].rpartition('@')[2]}>"
    mail.set_content(text)
    return mail
