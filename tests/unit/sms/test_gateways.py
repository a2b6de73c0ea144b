"""Each kind of gateway against a real server with TLS: what is sent, to whom, and what is refused."""

from __future__ import annotations

import gc
import os
import signal
import socket
import ssl
import stat
import time
from contextlib import closing, suppress
from http.client import HTTPSConnection
from typing import TYPE_CHECKING

import pytest

from tests.support.gateways import TOKEN, Authority, Gateway, Mailbox
from trex.sms import send
from trex.sms.errors import NotSent
from trex.sms.gateways import email, free_mobile, http, twilio, web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("collected")
NUMBER, TEXT = "+33612345678", "12345678 is the PIN & more"
UNTRUSTED = "its certificate is not trusted, or not for this host"


@pytest.fixture
def collected() -> Iterator[None]:
    """Make a socket that is left open fail the test that left it, not a later one."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("x") / "authority")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that has signed none of the gateways' certificates."""
    return Authority(tmp_path_factory.mktemp("x") / "stranger")


@pytest.fixture
def gateway(authority: Authority, tmp_path: Path) -> Iterator[Gateway]:
    with closing(Gateway(authority, tmp_path / "last")) as server:
        yield server


@pytest.fixture
def mailbox(authority: Authority, tmp_path: Path) -> Iterator[Callable[[str], Mailbox]]:
    begun = []

    def start(kind: str) -> Mailbox:
        begun.append(Mailbox(authority, tmp_path / "mail", kind))
        return begun[-1]

    yield start
    for one in begun:
        one.close()


def mail_table(
    authority: Authority, box: Mailbox, kind: str, **changed: object
) -> dict[str, object]:
    login = {} if kind == "tls" else {"user": "trex", "password": TOKEN}
    return {"kind": "email", "ca": str(authority.ca), "server": "localhost", "port": box.port, "tls": kind,
            "from": "Trex <trex@example.org>", "to": "{number}@sms.example.net", **login, **changed}  # fmt: skip


@pytest.mark.parametrize("kind", ["tls", "starttls"])
def test_a_mail_for_each_number(
    authority: Authority, mailbox: Callable[[str], Mailbox], kind: str
) -> None:
    box = mailbox(kind)
    table = mail_table(authority, box, kind)
    if kind == "starttls":
        del table["tls"]  # what must not appear
    email.send(table, [NUMBER, "+4930123456"], TEXT)
    assert [mail.rcpt_tos for mail in box.mails] == [
        ["33612345678@sms.example.net"], ["4930123456@sms.example.net"],
    ]  # fmt: skip
    assert {mail.mail_from for mail in box.mails} == {"trex@example.org"}
    content = box.mails[0].content
    head, _, body = (content if isinstance(content, bytes) else str(content).encode()).partition(
        b"\r\n\r\n"
    )
    assert body == f"{TEXT}\r\n".encode()
    assert b"From: Trex <trex@example.org>" in head
    assert b"@example.org>" in head.split(b"Message-ID: ")[1].split(b"\r\n")[0]
    assert len(box.logins) == (kind == "starttls")
    email.reach(table)
    assert len(box.mails) == 2


@pytest.mark.parametrize("kind", ["tls", "starttls"])
@pytest.mark.parametrize("act", [lambda table: email.send(table, [NUMBER], TEXT), email.reach])
def test_a_mail_server_with_a_certificate_for_another_name_learns_nothing(
    authority: Authority, mailbox: Callable[[str], Mailbox], kind: str,
    act: Callable[[dict[str, object]], None],
) -> None:  # fmt: skip
    """Otherwise anyone with a certificate of the same CA could receive PINs and the password."""
    box = mailbox(kind)
    with pytest.raises(NotSent) as caught:
        act(mail_table(authority, box, kind, server="127.0.0.1"))
    assert str(caught.value) == UNTRUSTED
    assert (box.mails, box.logins) == ([], [])


@pytest.mark.parametrize("kind", ["tls", "starttls"])
def test_a_mail_server_whose_authority_is_a_stranger_learns_nothing(
    authority: Authority, stranger: Authority, mailbox: Callable[[str], Mailbox], kind: str
) -> None:
    box = mailbox(kind)
    for ca in (str(stranger.ca), None):
        table = mail_table(authority, box, kind, ca=ca)
        if not ca:
            del table["ca"]  # the host's authorities
        with pytest.raises(NotSent) as caught:
            email.send(table, [NUMBER], TEXT)
        assert str(caught.value) == UNTRUSTED
    assert (box.mails, box.logins) == ([], [])


def test_a_mail_server_without_tls_learns_nothing(
    authority: Authority, mailbox: Callable[[str], Mailbox]
) -> None:
    box = mailbox("plain")
    for kind, reason in (("starttls", "no connection (SMTPNotSupportedError)"), ("tls", UNTRUSTED)):
        with pytest.raises(NotSent) as caught:
            email.send(mail_table(authority, box, kind), [NUMBER], TEXT)
        assert str(caught.value) == reason
    assert (box.mails, box.logins) == ([], [])


def test_what_a_mail_server_refuses_is_told_by_its_code_alone(
    authority: Authority, mailbox: Callable[[str], Mailbox]
) -> None:
    box = mailbox("starttls")
    table = mail_table(authority, box, "starttls")
    for changed, reason in (
        ({"password": "wrong"}, "SMTP code 535"), ({"from": "a@b\nTo: c@d"}, "SMTP failed (ValueError)"),
        ({"server": "::1"}, "no connection (ConnectionRefusedError)"),
    ):  # fmt: skip
        with pytest.raises(NotSent) as caught:
            email.send({**table, **changed}, [NUMBER], TEXT)
        assert str(caught.value) == reason
    box.knows_nobody = True
    with pytest.raises(NotSent, match=r"^the recipient was refused$"):
        email.send(table, [NUMBER], TEXT)
    box.knows_nobody, box.refuse = False, "452 too much"
    with pytest.raises(NotSent, match=r"^SMTP code 452$"):
        email.send(table, [NUMBER], TEXT)
    with pytest.raises(NotSent, match=r"^no connection \(ConnectionRefusedError\)$"):
        email.reach({**table, "server": "::1"})


def test_a_mail_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert email.SECONDS == 10
    monkeypatch.setattr(email, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for kind in ("tls", "starttls"):
            table = {
                "kind": "email",
                "server": "127.0.0.1",
                "port": silent.getsockname()[1],
                "tls": kind,
            }
            with pytest.raises(
                NotSent, match=r"no connection \((TimeoutError|SMTPServerDisconnected)\)"
            ):
                email.reach(table)


def test_the_ports_of_mail_with_tls() -> None:
    """RFC 8314 and RFC 6409."""
    assert email.PORTS == {"tls": 465, "starttls": 587}


def http_table(authority: Authority, gateway: Gateway, **changed: object) -> dict[str, object]:
    return {"kind": "http", "ca": str(authority.ca), "url": f"{gateway.url}/json?to={{number}}&t={{text}}",
            "headers": {"Authorization": TOKEN, "content-TYPE": "Application/JSON"},
            "body": '{"to": "{number}", "text": "{text}"}', **changed}  # fmt: skip


def test_a_request_for_each_number(authority: Authority, gateway: Gateway) -> None:
    http.send(http_table(authority, gateway), [NUMBER, "+49"], 'a "b" & c')
    query = "t=a%20%22b%22%20%26%20c"
    assert gateway.requests == [
        (
            "POST",
            f"/json?to=%2B33612345678&{query}",
            f'{{"to": "{NUMBER}", "text": "a \\"b\\" & c"}}',
        ),
        ("POST", f"/json?to=%2B49&{query}", '{"to": "+49", "text": "a \\"b\\" & c"}'),
    ]
    assert gateway.texts == ['a "b" & c'] * 2
    assert {headers["Accept-Encoding"] for headers in gateway.headers} == {"identity"}


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/x-www-form-urlencoded", "to=%2B33612345678&text=a%20%26%20b"),
     ("text/plain", "to=+33612345678&text=a & b"), ("", "to=+33612345678&text=a & b")],
)  # fmt: skip
def test_each_place_gets_what_it_needs(
    authority: Authority, gateway: Gateway, kind: str, body: str
) -> None:
    headers = {"Authorization": TOKEN, "X": "json", **({"Content-Type": kind} if kind else {})}
    table = http_table(authority, gateway, url=f"{gateway.url}/form", headers=headers, method="PUT",
                       body="to={number}&text={text}")  # fmt: skip
    http.send(table, [NUMBER], "a & b")
    assert gateway.requests == [("PUT", "/form", body)]


def test_what_is_expected_is_taken_for_success_and_nothing_else(
    authority: Authority, gateway: Gateway
) -> None:
    for status, expected, taken in ((200, None, True), (201, None, True), (202, None, True), (204, None, False),
                                    (204, [204], True), (200, [204], False)):  # fmt: skip
        gateway.status = status
        changed = {"expected": expected} if expected else {}
        try:
            http.send(http_table(authority, gateway, **changed), [NUMBER], TEXT)
        except NotSent as error:
            assert (taken, str(error)) == (False, f"HTTP status {status}")
        else:
            assert taken
    gateway.status = 0
    gateway.redirect = f"{gateway.url}/form"
    with pytest.raises(NotSent, match=r"^HTTP status 302, a redirection, which is not followed$"):
        http.send(http_table(authority, gateway), [NUMBER], TEXT)
    assert gateway.texts == []


def test_a_request_without_headers_and_body(authority: Authority, gateway: Gateway) -> None:
    gateway.status = 200
    http.send({"url": f"{gateway.url}/", "ca": str(authority.ca)}, [NUMBER], TEXT)
    assert gateway.requests == [("POST", "/", "")]


def test_free_mobile_is_asked_once_with_the_subscriber_s_words(
    authority: Authority, gateway: Gateway
) -> None:
    table = {"user": "1", "pass": TOKEN, "url": f"{gateway.url}/sendmsg", "ca": str(authority.ca)}
    free_mobile.send(table, [NUMBER, NUMBER], TEXT)
    assert gateway.texts == [TEXT]
    assert [method for method, *_ in gateway.requests] == ["GET"]
    for status, reason in ((400, "HTTP status 400, a parameter is missing"), (418, "HTTP status 418"),
                           (402, "HTTP status 402, too many messages in a short time"),
                           (403, "HTTP status 403, the service is not enabled, or user or key is wrong"),
                           (500, "HTTP status 500, an error at the carrier, try later")):  # fmt: skip
        gateway.status = status
        with pytest.raises(NotSent) as caught:
            free_mobile.send(table, [NUMBER], TEXT)
        assert str(caught.value) == reason
    free_mobile.reach(table)


def test_twilio_is_asked_for_each_number(authority: Authority, gateway: Gateway) -> None:
    table = {
        "account_sid": "AC1",
        "auth_token": TOKEN,
        "from": "+1500",
        "api": gateway.url,
        "ca": str(authority.ca),
    }
    twilio.send(table, [NUMBER, "+49"], TEXT)
    assert gateway.texts == [TEXT, TEXT]
    [(method, path, first), (_, _, second)] = gateway.requests
    assert (method, path) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert first.startswith("To=%2B33612345678&From=%2B1500&Body=12345678+is")
    assert second.startswith("To=%2B49&")
    gateway.status, gateway.code = 400, 21211
    with pytest.raises(NotSent, match=r"^HTTP status 400, error code 21211$"):
        twilio.send(table, [NUMBER], TEXT)
    gateway.status = 200  # not the status for a created message
    with pytest.raises(NotSent):
        twilio.send(table, [NUMBER], TEXT)
    twilio.reach(table)


@pytest.mark.parametrize(
    ("body", "code"),
    [(b'{"code": 1}', "1"), (b'{"code": 999999}', "999999"), (b'{"code": 1000000}', "unknown"),
     (b'{"code": 0}', "unknown"), (b'{"code": true}', "unknown"), (b"[]", "unknown"), (b"{}", "unknown"),
     (b"[" * 100_000, "unknown")],
)  # fmt: skip
def test_twilio_s_code_is_a_small_number_or_unknown(body: bytes, code: str) -> None:
    assert twilio._code(web.Reply(400, body)) == code


REACHED: dict[str, Callable[[dict[str, object]], None]] = {
    "http": http.reach, "twilio": twilio.reach, "free-mobile": free_mobile.reach,
    "a request": lambda table: http.send(table, [NUMBER], TEXT),
}  # fmt: skip


@pytest.mark.parametrize("kind", REACHED)
def test_a_gateway_that_proves_nothing_learns_nothing(
    authority: Authority, stranger: Authority, gateway: Gateway, kind: str
) -> None:
    """`trex doctor` reports the same as a login would."""
    other_name = f"https://127.0.0.1:{gateway.port}"
    for url, ca in (
        (gateway.url, str(stranger.ca)),
        (gateway.url, None),
        (other_name, str(authority.ca)),
    ):
        table: dict[str, object] = {"url": url, "api": url, **({"ca": ca} if ca else {})}
        with pytest.raises(NotSent) as caught:
            REACHED[kind](table)
        assert str(caught.value) == UNTRUSTED
    assert gateway.requests == []


def test_an_authority_may_be_a_directory_of_hashed_names(
    authority: Authority, stranger: Authority, gateway: Gateway, tmp_path: Path
) -> None:
    import subprocess

    directories = []
    for number, ca in enumerate((authority.ca, stranger.ca)):
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / "ca.pem").write_bytes(ca.read_bytes())
        subprocess.run(["openssl", "rehash", directory], check=True)
        directories.append(str(directory))
    for act in REACHED.values():
        gateway.status = 200
        act({"url": gateway.url, "api": gateway.url, "ca": directories[0]})
        with pytest.raises(NotSent, match=UNTRUSTED):
            act({"url": gateway.url, "api": gateway.url, "ca": directories[1]})


def test_who_is_not_there_is_told_by_the_kind_of_failure_alone(
    authority: Authority, gateway: Gateway, tmp_path: Path
) -> None:
    gateway.close()
    table = {"url": f"{gateway.url}/{TOKEN}", "ca": str(authority.ca)}
    with pytest.raises(NotSent, match=r"^no connection \(ConnectionError\)$"):
        http.send(table, [NUMBER], TEXT)
    with pytest.raises(NotSent, match=r"^no connection \(ConnectionRefusedError\)$"):
        http.reach(table)
    with pytest.raises(NotSent, match=r"^ca cannot be read \(OSError\)$"):
        http.send({**table, "ca": f"{tmp_path}/none"}, [NUMBER], TEXT)


@pytest.mark.parametrize("host", ["a" * 64, ".", "..x"])
def test_a_name_that_no_host_can_have_is_no_connection(host: str) -> None:
    for act in (http.reach, lambda table: http.send(table, [NUMBER], TEXT)):
        with pytest.raises(NotSent, match=r"^no connection \(\w+\)$"):
            act({"url": f"https://{host}/"})


def test_reaching_says_nothing_and_hangs_up(authority: Authority, gateway: Gateway) -> None:
    before = len(os.listdir("/proc/self/fd"))
    http.reach({"url": gateway.url, "ca": str(authority.ca)})
    gateway.settle()
    assert gateway.requests == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_gateway_that_says_nothing_is_not_waited_for(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (web.SECONDS, web.HTTPS) == (10, 443)
    monkeypatch.setattr(web, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        table = {"url": f"https://localhost:{silent.getsockname()[1]}/", "ca": str(authority.ca)}
        for act in (http.reach, lambda table: http.send(table, [NUMBER], TEXT)):
            with pytest.raises(NotSent, match=r"no connection \(\w*Timeout\w*\)"):
                act(table)


def test_neither_a_proxy_nor_a_netrc_of_the_environment_is_used(
    authority: Authority, gateway: Gateway, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first would learn where a message goes, and the second would change who sends it."""
    (tmp_path / "netrc").write_text("machine localhost login x password y\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    gateway.status = 200
    http.send({"url": f"{gateway.url}/", "ca": str(authority.ca)}, [NUMBER], TEXT)
    assert "Authorization" not in gateway.headers[0]


def test_an_answer_is_read_up_to_a_limit_and_what_is_packed_is_not_read(
    authority: Authority, gateway: Gateway
) -> None:
    table = {"ca": str(authority.ca)}

    def answered(raw: bytes) -> bytes:
        gateway.raw = b"HTTP/1.1 200 OK\r\n" + raw
        answer = web.request(table, "GET", gateway.url)
        assert answer.status == 200
        return answer.body

    large = 70_000
    body = answered(f"Content-Length: {large}\r\n\r\n".encode() + b"x" * large)
    assert len(body) == web.MAX_ANSWER == 64 * 1024
    assert answered(b"Content-Length: 4\r\nContent-Encoding: IDENTITY\r\n\r\nnone") == b"none"
    assert answered(b"Content-Length: 4\r\nContent-Encoding: gzip\r\n\r\nnone") == b""
    assert answered(b"Content-Length: 0\r\n\r\n") == b""


def test_an_answer_that_is_no_http_takes_no_message(authority: Authority, gateway: Gateway) -> None:
    for raw, reason in (
        (b"none\r\n\r\n", r"no connection \(ConnectionError\)"),
        (b"HTTP/1.1 302 x\r\nLocation: https://[x\r\nContent-Length: 0\r\n\r\n", "HTTP status 302, a redirection, which is not followed"),
    ):  # fmt: skip
        gateway.raw = raw
        with pytest.raises(NotSent, match=reason):
            http.send({"url": gateway.url, "ca": str(authority.ca)}, [NUMBER], TEXT)


@pytest.mark.parametrize(
    "raw",
    [b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000,
     b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Encoding: gzip\r\n\r\nnone",
     b"HTTP/1.1 302 x\r\nLocation: https://[x\r\nContent-Length: 4\r\n\r\nnone",
     b"HTTP/1.1 302 x\r\nLocation: \xff\r\nContent-Length: 4\r\n\r\nnone",
     b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n",
     b"none\r\n\r\n"],
)  # fmt: skip
def test_no_connection_outlives_its_request(
    authority: Authority, gateway: Gateway, raw: bytes
) -> None:
    gateway.raw = raw
    told = None
    try:
        web.request({"ca": str(authority.ca)}, "GET", gateway.url)
    except NotSent as error:
        told = error  # and everything that its traceback references
    assert connections_to(gateway.port) == 0, told


def connections_to(port: int) -> int:
    """Return how many of this process's descriptors are connected to `port`."""
    found = 0
    for number in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):
            if stat.S_ISSOCK(os.stat(number).st_mode):
                with socket.socket(fileno=os.dup(number)) as one:
                    inet = one.family in (socket.AF_INET, socket.AF_INET6)
                    found += inet and one.getpeername()[1] == port
    return found


def test_a_gateway_that_is_closed_takes_nothing_after_its_test(
    authority: Authority, tmp_path: Path
) -> None:
    """Its thread would write an old PIN while another test waits for its own."""
    before = set(os.listdir("/proc/self/fd"))
    slow = Gateway(authority, tmp_path / "last")
    slow.seconds = 30
    context = ssl.create_default_context(cafile=str(authority.ca))
    with (
        closing(HTTPSConnection("localhost", slow.port, context=context)) as client,
        closing(socket.create_connection(("127.0.0.1", slow.port))),
    ):
        client.request("POST", "/json", f'{{"text": "{TEXT}"}}', {"Authorization": TOKEN})
        slow.close()
    assert set(os.listdir("/proc/self/fd")) <= before
    assert not slow.last.exists()


def test_a_redirection_is_none_of_an_error_s_meanings() -> None:
    told = {
        status: str(web.explain(web.Reply(status, b""), {404: "gone"}))
        for status in (299, 300, 399, 400, 404)
    }
    assert told == {
        299: "HTTP status 299", 300: "HTTP status 300, a redirection, which is not followed",
        399: "HTTP status 399, a redirection, which is not followed", 400: "HTTP status 400",
        404: "HTTP status 404, gone",
    }  # fmt: skip


def test_each_gateway_has_a_share_of_the_time_and_counts_by_itself(
    authority: Authority, gateway: Gateway, tmp_path: Path
) -> None:
    """The first is slow, the second is not for this user, the third accepts it."""
    with closing(Gateway(authority, tmp_path / "slow")) as slow:
        slow.seconds = 30
        tables = [
            http_table(authority, slow), http_table(authority, gateway, only=["carol"]),
            http_table(authority, gateway, only=["alice", "bob"]),
        ]  # fmt: skip
        begun = time.monotonic()
        told = {"user": "bob", "host": "h", "deadline": begun + 6, "gateways": tables, "numbers": [NUMBER],
                "text": "x", "state": f"file:{tmp_path}/counts", "limits": {"user_hour": 2}}  # fmt: skip
        assert send.send(told) == "sent by http; after http: no answer in time"
        assert 2.5 < time.monotonic() - begun < 6, "one half of the time was the first one's"
        assert gateway.texts == ["x"]
        with pytest.raises(Exception, match="the limit user_hour = 2 is reached"):
            send.send({**told, "deadline": time.monotonic() + 6})
        assert gateway.texts == ["x"]
        with pytest.raises(NotSent, match=r"^no gateway is for dave$"):
            send.send({**told, "user": "dave", "gateways": tables[1:]})
        gateway.status = 500
        carol = {**told, "user": "carol", "gateways": tables[1::-1]}
        with pytest.raises(NotSent, match=r"^http: HTTP status 500; http: no answer in time$"):
            send.send({**carol, "deadline": (deadline := time.monotonic() + 4)})
        assert time.monotonic() > deadline - 0.1, "what is left was the last one's"


def test_what_cannot_be_counted_is_not_sent_by_the_next_gateway_either(
    authority: Authority, gateway: Gateway
) -> None:
    from trex.sms.errors import Uncounted

    told = {"user": "bob", "host": "h", "deadline": time.monotonic() + 5, "numbers": [NUMBER], "text": "x",
            "gateways": [http_table(authority, gateway)] * 2, "state": "file:/proc/counts", "limits": {}}  # fmt: skip
    with pytest.raises(
        Uncounted, match=r"^nothing is sent, because it cannot be counted: /proc/counts "
    ):
        send.send(told)
    assert gateway.requests == []


def test_what_is_not_counted_in_time_is_not_sent_by_the_next_gateway_either(
    authority: Authority, gateway: Gateway
) -> None:
    """A Redis that accepts a connection and says nothing."""
    from trex.sms.errors import Uncounted

    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        told = {"user": "bob", "host": "h", "deadline": time.monotonic() + 2, "numbers": [NUMBER], "text": "x",
                "gateways": [http_table(authority, gateway)] * 2, "limits": {"user_hour": 9},
                "state": f"redis://127.0.0.1:{silent.getsockname()[1]}"}  # fmt: skip
        with pytest.raises(Uncounted, match=r"cannot be counted: no answer in time$"):
            send.send(told)
    assert gateway.requests == []


def lose_one_signal_and_wait() -> None:
    """Do what a signal that comes just before a wait does to it."""
    with suppress(NotSent):
        time.sleep(60)
    time.sleep(60)


def test_time_that_is_over_ends_what_waits_and_nothing_after() -> None:
    begun = time.monotonic()
    for seconds in (-5.0, 0.0, 0.2):
        with pytest.raises(NotSent, match=r"^over$"), send.at_most(seconds, NotSent("over")):
            time.sleep(20)
    assert time.monotonic() - begun < 15
    with pytest.raises(NotSent), send.at_most(0.01, NotSent("over")):
        lose_one_signal_and_wait()
    with suppress(ValueError), send.at_most(0.1, NotSent("over")):
        raise ValueError
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_every_kind_has_its_module() -> None:
    from trex.sms.settings import KINDS

    assert set(KINDS) == set(send.GATEWAYS)
    assert all(
        callable(send.module(kind).send) and callable(send.module(kind).reach) for kind in KINDS
    )
    assert ssl.HAS_TLSv1_2
