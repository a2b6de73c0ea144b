"""Nothing is sent to unverified servers: certificates, and mail only with TLS."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.gateways import TOKEN, Authority, Mailbox
from tests.support.pins import PIN, SETTINGS, Sms, by_http


@pytest.fixture
def another_ca(place: Path) -> Path:
    """The certificate of an authority that signed none of the gateways'."""
    directory = place / "another-authority"
    return directory / "ca.pem" if directory.exists() else Authority(directory).ca


@pytest.mark.parametrize(
    ("kind", "trusted", "reason"),
    [("tls", False, "its certificate is not trusted"), ("starttls", False, "its certificate is not trusted"),
     ("plain", True, "no connection (SMTPNotSupportedError)")],
)  # fmt: skip
def test_a_mail_server_that_proves_nothing_learns_nothing(
    authority: Authority,
    another_ca: Path,
    place: Path,
    sms: Sms,
    kind: str,
    trusted: bool,
    reason: str,
) -> None:
    """Neither PIN nor password is sent to a server with another's certificate, or without TLS."""
    mailbox = Mailbox(authority, place / "last-message", kind)
    try:
        sms.configure(f'kind = "email"\nserver = "localhost"\nport = {mailbox.port}\n'
                  f'tls = "{"tls" if kind == "tls" else "starttls"}"\nuser = "trex"\n'
                  f'password = "{TOKEN}"\nfrom = "trex@example.org"\nto = "{{number}}@example.net"')  # fmt: skip
        if not trusted:
            text = SETTINGS.read_text()
            SETTINGS.write_text(text.replace(str(authority.ca), str(another_ca)))
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert f"email: {reason}" in sms.log.verdict()
        assert mailbox.mails == []
        assert mailbox.logins == []
    finally:
        mailbox.close()


@pytest.mark.parametrize("kind", ["tls", "starttls"])
def test_a_mail_server_with_a_certificate_for_another_name_learns_nothing(
    authority: Authority, place: Path, sms: Sms, kind: str
) -> None:
    """Otherwise anyone with a certificate of that CA could receive PINs and the password."""
    mailbox = Mailbox(authority, place / "last-message", kind)
    try:
        sms.configure(f'kind = "email"\nserver = "127.0.0.1"\nport = {mailbox.port}\ntls = "{kind}"\n'
                      f'user = "trex"\npassword = "{TOKEN}"\nfrom = "trex@example.org"\n'
                      'to = "{number}@example.net"')  # fmt: skip
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "email: its certificate is not trusted, or not for this host" in sms.log.verdict()
        assert (mailbox.mails, mailbox.logins) == ([], [])
    finally:
        mailbox.close()


@pytest.mark.parametrize("kind", ["tls", "starttls"])
def test_email(authority: Authority, place: Path, sms: Sms, kind: str) -> None:
    mailbox = Mailbox(authority, place / "last-message", kind)
    try:
        login = f'user = "trex"\npassword = "{TOKEN}"\n' if kind == "starttls" else ""
        table = (f'kind = "email"\nserver = "localhost"\nport = {mailbox.port}\ntls = "{kind}"\n'
                 f'{login}from = "trex@example.org"\n'
                 'to = "{number}@sms.example.net"')  # fmt: skip
        sms.configure(table)
        assert sms("--answer-with", PIN.replace("grep", "grep -v '@' /run/trex/last-message | grep")
                   .replace("/run/trex/last-message | head", "| head")).verdict == "PAM_SUCCESS"  # fmt: skip
        [mail] = mailbox.mails
        assert mail.rcpt_tos == ["33612345678@sms.example.net"]
        if login:
            sms.configure(table.replace(TOKEN, "wrong"))
            sms()
            assert "email: SMTP code 535" in sms.log.everything()
        mailbox.refuse = "452 too much"
        sms.configure(table)
        sms()
        assert "email: SMTP code 452" in sms.log.everything()
    finally:
        mailbox.close()


def test_a_certificate_of_another_authority_or_for_another_name(
    authority: Authority, another_ca: Path, sms: Sms
) -> None:
    """The CA is a small file: reading the host's hundreds takes long on a busy machine."""
    for table in (
        by_http(sms.gateway), by_http(sms.gateway, url=f'"https://127.0.0.1:{sms.gateway.port}/json"'),
    ):  # fmt: skip
        sms.log.clear()
        sms.configure(table)
        if "localhost" in table:
            configured = SETTINGS.read_text()
            SETTINGS.write_text(configured.replace(str(authority.ca), str(another_ca)))
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "http: its certificate is not trusted, or not for this host" in sms.log.verdict()
    assert sms.gateway.requests == []
