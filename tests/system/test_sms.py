"""method=sms: real logins, gateways on loopback with real TLS, SMTP, SQLite and Redis."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import re
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from pyotp import HOTP

from tests import sandbox
from tests.codes import ACCOUNT_LINES
from tests.gateways import TOKEN, Authority, Gateway, Mailbox, RedisServer
from tests.sshd import Sshd
from trex.codeerrors import NotSent, TooManyAttempts
from trex.sms import counts as counting
from trex.sms.counts import SqliteCounts, open_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sandbox import Account, Asked, Log

NUMBER = "+33612345678"
PHONES, SETTINGS = Path("/etc/trex/phones"), Path("/etc/trex/sms.toml")
PIN = "grep -oE '[0-9]{6,10}' /run/trex/last-message | head -1"


@pytest.fixture(scope="module")
def authority(place: Path) -> Authority:
    return Authority(place / "authority")


@pytest.fixture
def gateway(authority: Authority, place: Path) -> Iterator[Gateway]:
    server = Gateway(authority, place / "last-message")
    yield server
    server.close()


@pytest.fixture(scope="module")
def servant(place: Path) -> str:
    """Make the account that sends, and the directory where it counts."""
    subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "_trex-sms"],
                   check=True, capture_output=True)  # fmt: skip
    subprocess.run(["install", "-d", "-m", "0700", "-o", "_trex-sms", place / "counts"], check=True)
    PHONES.parent.mkdir(exist_ok=True)
    return "_trex-sms"


@pytest.fixture
def bob(account: Callable[[str], Account], servant: str, place: Path) -> Account:
    for old in (place / "counts").iterdir():
        old.unlink()
    (place / "last-message").unlink(missing_ok=True)
    PHONES.write_text(f"# whose is whose\ncarol +4930123456\nbob {NUMBER}  # mobile\n")
    return account("bob")


@pytest.fixture
def configure(authority: Authority, place: Path) -> Callable[..., None]:
    """Write sms.toml: tables of gateways, and what stands before them."""

    def write(*gateways: str, before: str = "", state: str = "") -> None:
        state = state or f"sqlite:{place}/counts/counts"
        tables = [f'[[gateway]]\nca = "{authority.ca}"\n{text}\n' for text in gateways]
        SETTINGS.write_text(f'state = "{state}"\n{before}\n' + "\n".join(tables))
        SETTINGS.chmod(0o600)

    return write


def free_mobile(gateway: Gateway, *only: str) -> str:
    return (f'kind = "free-mobile"\nuser = "12345678"\npass = "{TOKEN}"\nurl = "{gateway.url}/sendmsg"\n'
            f"only = {list(only) or ['bob']}")  # fmt: skip


def twilio(gateway: Gateway) -> str:
    return (f'kind = "twilio"\naccount_sid = "AC1"\nauth_token = "{TOKEN}"\nfrom = "+15005550006"\n'
            f'api = "{gateway.url}"')  # fmt: skip


def by_http(gateway: Gateway, **changed: str) -> str:
    parts = {
        "url": f'"{gateway.url}/json?to={{number}}"',
        "headers": f'{{ Authorization = "Bearer {TOKEN}", Content-Type = "application/json" }}',
        "body": """'{"to": "{number}", "text": "{text}"}'""",
    } | changed
    return 'kind = "http"\n' + "\n".join(f"{name} = {value}" for name, value in parts.items())


class Sms:
    """Log in with the PIN that came, or as the options say; and what that goes through."""

    def __init__(
        self, ask: Callable[..., Asked], gateway: Gateway, configure: Callable[..., None], log: Log
    ) -> None:
        self._ask = ask
        self.gateway = gateway
        self.configure = configure
        self.log = log

    def __call__(self, *options: str, user: str = "bob", arguments: tuple[str, ...] = ()) -> Asked:
        options = options or ("--answer-with", PIN)
        return self._ask(user, *options, arguments=("method=sms", *arguments))


@pytest.fixture
def sms(
    bob: Account,
    ask: Callable[..., Asked],
    gateway: Gateway,
    configure: Callable[..., None],
    log: Log,
) -> Sms:
    return Sms(ask, gateway, configure, log)


# ---------------------------------------------------------------------------- the PIN


def test_a_pin_comes_and_lets_in(sms: Sms) -> None:
    """ezauth #195: codes from before stayed good, and a number could be asked for without a pause."""
    sms.configure(by_http(sms.gateway))
    asked = sms()
    assert asked.verdict == "PAM_SUCCESS", sms.log.everything()
    [text] = sms.gateway.texts
    host = os.uname().nodename
    assert re.fullmatch(
        rf"\d{{8}} is the PIN for a login at {host}\. It holds for 10 minutes\.", text
    )
    assert asked.prompt == "\nTrex: a PIN was sent to ..78. It holds for 10 minutes.\nPIN: "
    assert asked.facts["style"] == ["1"], "PAM_PROMPT_ECHO_OFF"
    [(method, path, body)] = sms.gateway.requests
    assert (method, path) == ("POST", "/json?to=%2B33612345678")
    assert f'"to": "{NUMBER}"' in body
    assert sms("--answer", text[:8]).verdict == "PAM_AUTH_ERR", "each login has a PIN of its own"
    assert not any(secret in sms.log.everything() for secret in (TOKEN, text[:8], NUMBER))


@pytest.mark.parametrize("digits", [6, 10])
def test_how_many_digits_a_pin_has(sms: Sms, digits: int) -> None:
    sms.configure(by_http(sms.gateway))
    asked = sms(arguments=(f"digits={digits}", "timeout=90", "prompt=Code?", "echo"))
    assert asked.verdict == "PAM_SUCCESS"
    assert re.match(
        rf"\d{{{digits}}} is the PIN.* for 1 minute 30 seconds\.$", sms.gateway.texts[0]
    )
    assert asked.prompt.endswith("\nCode?")
    assert asked.facts["style"] == ["2"]


@pytest.mark.parametrize(
    ("options", "outcome"),
    [(["--answer", "00000000"], "wrong response"), (["--no-response"], "no response"),
     (["--answer", ""], "no response")],
)  # fmt: skip
def test_another_answer_is_refused(sms: Sms, options: list[str], outcome: str) -> None:
    sms.configure(by_http(sms.gateway))
    assert sms(*options).verdict == "PAM_AUTH_ERR"
    assert f": {outcome}: " in sms.log.verdict()


def test_a_late_pin(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway))
    asked = sms("--answer-with", f"sleep 5; {PIN}", arguments=("timeout=4",))
    assert asked.verdict == "PAM_AUTH_ERR"
    assert ": late response: " in sms.log.verdict()


# ---------------------------------------------------------------------------- numbers


def test_a_user_without_a_number(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway))
    PHONES.write_text("carol +4930123456\n")
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    assert ": no record: " in sms.log.verdict()
    sms.log.clear()
    sms(arguments=("nullok",))
    assert "not asked, because of nullok" in sms.log.verdict()
    assert sms.gateway.requests == []


@pytest.mark.parametrize("missing", [PHONES, SETTINGS])
def test_nullok_is_for_users_and_not_for_files_of_the_administrator_s(
    sms: Sms, missing: Path
) -> None:
    """Advisory CVE-2025-23013: what is broken must not let everybody pass."""
    sms.configure(by_http(sms.gateway))
    missing.unlink()
    sms(arguments=("nullok",))
    assert ": could not check: " in sms.log.verdict()
    assert f"{missing}: found no file" in sms.log.verdict()


def test_several_numbers(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway))
    PHONES.write_text(f"bob {NUMBER} +4930123499\n")
    asked = sms()
    assert asked.verdict == "PAM_SUCCESS"
    assert len(sms.gateway.texts) == 2
    assert len(set(sms.gateway.texts)) == 1
    assert "a PIN was sent to ..78 and ..99." in asked.prompt


def test_gecos_counts_only_where_the_administrator_says_so(sms: Sms) -> None:
    """duo_unix #394: users can edit their own GECOS on many hosts, and so choose who is asked."""
    sms.configure(by_http(sms.gateway))
    subprocess.run(["usermod", "--comment", "Bob,room,+4930123455,", "bob"], check=True)
    assert "..78." in sms().prompt
    assert "..55." in sms(arguments=("gecos_phone",)).prompt
    subprocess.run(["usermod", "--comment", "Bob,room,0306,", "bob"], check=True)
    sms.log.clear()
    sms(arguments=("gecos_phone",))
    assert ": no record: " in sms.log.verdict()


@pytest.mark.parametrize(
    "line", ["bob 0612345678", "bob", "bob +33 6 12", "bob +0612345678", f"bob {NUMBER}\nbob {NUMBER}",
             "bob +1234567890123456", "carol x"],
)  # fmt: skip
def test_a_bad_line_in_the_map_is_an_error_that_names_it(sms: Sms, line: str) -> None:
    sms.configure(by_http(sms.gateway))
    PHONES.write_text(f"{line}\n")
    sms(arguments=("nullok",))
    assert re.search(r"/etc/trex/phones:[12]: ", sms.log.verdict())
    assert sms.gateway.requests == []


@pytest.mark.parametrize(("path", "mode"), [(PHONES, 0o666), (SETTINGS, 0o640), (SETTINGS, 0o604)])
def test_files_that_others_may_write_or_read_are_refused(sms: Sms, path: Path, mode: int) -> None:
    sms.configure(by_http(sms.gateway))
    path.chmod(mode)
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    assert f"{path}: found mode {mode:04o}" in sms.log.verdict()
    assert sms.gateway.requests == []
    path.chmod(0o600)


# ---------------------------------------------------------------------------- gateways


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
    """Neither PIN nor password goes to one with another's certificate, or without TLS at all."""
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
        (free_mobile, 500, "free-mobile: HTTP status 500, an error of the carrier"),
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
    """The status says that the message was taken; what is packed could be of any size."""
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


def test_a_certificate_of_another_authority_or_for_another_name(
    authority: Authority, another_ca: Path, sms: Sms
) -> None:
    """The authority is a small file: to read the host's hundreds takes long on a busy machine."""
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
        assert time.monotonic() - started < 11
        assert len(sms.gateway.texts) == 1
        assert "the PIN was sent: by http" in sms.log.everything()
    finally:
        slow.close()


def test_after_ten_seconds_it_is_refused_and_nothing_is_left(sms: Sms) -> None:
    """The fixture `nothing_left` looks for the process; meanwhile it is looked at closely."""
    sms.gateway.seconds = 30
    sms.configure(by_http(sms.gateway), free_mobile(sms.gateway))
    seen: list[dict[str, str]] = []
    watch = threading.Thread(target=look_at_the_sender, args=(sms.gateway, seen))
    watch.start()
    started = time.monotonic()
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    assert 8 < time.monotonic() - started < 13
    watch.join()
    assert "http: no answer in time; free-mobile: no answer in time" in sms.log.verdict()
    [sender] = seen
    assert re.search(r"^Uid:\t(\d+)\t\1\t\1\t\1$", sender["status"], re.MULTILINE)
    assert "Uid:\t0\t" not in sender["status"]
    assert "NoNewPrivs:\t1" in sender["status"]
    assert re.search(r"^CapEff:\t0+$", sender["status"], re.MULTILINE)
    assert "sms/send.py" in sender["cmdline"]
    assert not any(
        TOKEN in text or NUMBER in text for text in (sender["cmdline"], sender["environ"])
    )
    assert sender["core"].split()[4:6] == ["0", "0"]


def look_at_the_sender(gateway: Gateway, seen: list[dict[str, str]]) -> None:
    deadline = time.monotonic() + 8
    while not gateway.requests and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid, name in sandbox.processes_here().items():
        if "sms/send.py" in name:
            process = Path(f"/proc/{pid}")
            limits = (process / "limits").read_text()
            [core] = [line for line in limits.split("\n") if line.startswith("Max core file size")]
            seen.append({"core": core, "cmdline": name, "status": (process / "status").read_text(),
                         "environ": (process / "environ").read_text()})  # fmt: skip


# ---------------------------------------------------------------------------- limits


def test_limits_of_a_user_and_of_the_host(account: Callable[[str], Account], sms: Sms) -> None:
    """ezauth #195, and SMS pumping: one number, or many, and nobody counted."""
    account("carol")
    sms.configure(by_http(sms.gateway), before="[limits]\nuser_hour = 2\nhost_day = 3")
    assert [sms().verdict for _ in range(3)] == ["PAM_SUCCESS"] * 2 + ["PAM_AUTHINFO_UNAVAIL"]
    assert "nothing is sent: the limit user_hour = 2 is reached" in sms.log.everything()
    assert [sms(user="carol").verdict for _ in range(2)] == ["PAM_SUCCESS", "PAM_AUTHINFO_UNAVAIL"]
    assert "nothing is sent: the limit host_day = 3 is reached" in sms.log.everything()
    assert len(sms.gateway.texts) == 3


@pytest.mark.parametrize("kept", ["sqlite", "redis"])
def test_of_many_logins_at_once_no_more_than_the_limit_send(
    bob: Account, gateway: Gateway, configure: Callable[..., None], client: Path,
    service: Callable[..., str], tmp_path: Path, kept: str,
) -> None:  # fmt: skip
    """SMS pumping: whoever can make a host send a message has it send thousands."""
    server = RedisServer(tmp_path) if kept == "redis" else None
    configure(
        by_http(gateway), before="[limits]\nuser_hour = 3", state=server.url if server else ""
    )
    name = service("method=sms")
    try:
        with ThreadPoolExecutor(10) as pool:
            list(
                pool.map(lambda _: sandbox.ask_pam(client, name, "bob", "--answer", "x"), range(10))
            )
    finally:
        if server:
            server.close()
    assert len(gateway.texts) == 3


@pytest.fixture(params=["sqlite", "redis"])
def state(request: pytest.FixtureRequest, place: Path, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:{tmp_path}/counts"
        return
    server = RedisServer(tmp_path)
    yield server.url
    server.close()


LIMITS = {"user_hour": 7, "user_day": 9, "host_hour": 11, "host_day": 12}


def add(state: str, user: str, ready: object, counted: object) -> None:
    ready.wait()  # type: ignore[attr-defined]
    try:
        open_counts(state).add(user, "host", 1, LIMITS)
    except TooManyAttempts:
        return
    counted.put(user)  # type: ignore[attr-defined]


def test_a_hundred_attempts_at_once_send_no_more_than_the_limit(state: str) -> None:
    fork = multiprocessing.get_context("fork")
    ready, counted = fork.Event(), fork.SimpleQueue()
    users = ["alice", "bob"] * 50
    processes = [fork.Process(target=add, args=(state, user, ready, counted)) for user in users]
    for process in processes:
        process.start()
    ready.set()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0, "each of them was counted or refused, and none left alone"
    sent = []
    while not counted.empty():
        sent.append(counted.get())
    assert len(sent) == 11
    assert max(sent.count("alice"), sent.count("bob")) <= 7


def test_nobody_else_counts_between_counting_and_adding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred at once rarely meet in that moment: here it is a long one."""
    count = counting._count

    def count_slowly(database: sqlite3.Connection, user: str, name: str, now: float) -> int:
        counted = count(database, user, name, now)
        time.sleep(0.05)
        return counted

    monkeypatch.setattr(counting, "_count", count_slowly)
    sent = []

    def send(_: int) -> None:
        with contextlib.suppress(TooManyAttempts):
            SqliteCounts(f"{tmp_path}/counts").add("bob", "a", 1, {"user_hour": 1})
            sent.append(1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(8)))
    assert len(sent) == 1


def test_several_messages_count_all_or_none(state: str) -> None:
    counts = open_counts(state)
    counts.add("bob", "a", 5, LIMITS)
    with pytest.raises(TooManyAttempts, match="user_hour = 7"):
        counts.add("bob", "a", 3, LIMITS)
    counts.add("bob", "a", 2, LIMITS)
    with pytest.raises(TooManyAttempts, match="user_hour = 7"):
        counts.add("bob", "a", 1, LIMITS)
    counts.add("alice", "a", 4, LIMITS)
    with pytest.raises(TooManyAttempts, match="host_hour = 11"):
        counts.add("alice", "a", 1, LIMITS)


@pytest.mark.parametrize("messages", [1, 3, 8])
def test_what_is_reached_is_what_counting_refuses(state: str, messages: int) -> None:
    """`trex doctor` asks the one, a login the other; and asking changes nothing."""
    counts = open_counts(state)
    for number in range(14):
        user = ("alice", "bob")[number % 2]
        for name, most in LIMITS.items():
            reached = counts.reached(user, "a", messages, {name: most})
            assert set(reached) == set(counts.reached(user, "a", messages, {name: most}))
            with contextlib.ExitStack() as refused:
                if reached:
                    refused.enter_context(pytest.raises(TooManyAttempts, match=name))
                    counts.add(user, "a", messages, {name: most})
            if messages > most:
                assert reached == {name: None}
            elif reached:
                span = 3600 if name.endswith("hour") else 86400
                assert reached == {name: pytest.approx(span, abs=60)}
        if not counts.reached(user, "a", 1, LIMITS):
            counts.add(user, "a", 1, LIMITS)
    assert set(counts.reached("bob", "a", 1, LIMITS)) == {"host_hour"}


def test_when_a_limit_ends_it_ends(state: str) -> None:
    """The wait is for the message that is one too many, not for the last or the first."""
    limits = {"user_hour": 3}
    counts = open_counts(state)
    counts.add("bob", "a", 3, limits)
    age(state, "bob", [3000, 2000, 1000])
    for messages, wait in ((1, 600), (2, 1600), (3, 2600)):
        assert counts.reached("bob", "a", messages, limits) == {
            "user_hour": pytest.approx(wait, abs=60)
        }
    assert counts.reached("bob", "a", 4, limits) == {"user_hour": None}
    age(state, "bob", [3700, 2000, 1000])
    assert counts.reached("bob", "a", 1, limits) == {}


def age(state: str, user: str, seconds: list[int]) -> None:
    """Make a user's messages so old, in the order in which they were sent."""
    now = time.time()
    if state.startswith("sqlite:"):
        with contextlib.closing(sqlite3.connect(state.removeprefix("sqlite:"))) as base, base:
            rows = base.execute("SELECT rowid FROM message ORDER BY rowid").fetchall()
            for (row,), old in zip(rows, seconds, strict=True):
                base.execute("UPDATE message SET at = ? WHERE rowid = ?", (now - old, row))
        return
    import redis

    with redis.Redis.from_url(state) as server:
        key = f"trex:sms:user:{user}"
        names = sorted(server.zrange(key, 0, -1), key=int)
        server.zadd(key, {name: now - old for name, old in zip(names, seconds, strict=True)})


def test_hours_and_days_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, now = open_counts(f"sqlite:{tmp_path}/counts"), time.time()
    counts.add("bob", "a", 7, LIMITS)
    monkeypatch.setattr(time, "time", lambda: now + 3599)
    with pytest.raises(TooManyAttempts, match="user_hour"):
        counts.add("bob", "a", 1, LIMITS)
    monkeypatch.setattr(time, "time", lambda: now + 3601)
    counts.add("bob", "a", 2, LIMITS)
    monkeypatch.setattr(time, "time", lambda: now + 8000)
    with pytest.raises(TooManyAttempts, match="user_day"):
        counts.add("bob", "a", 1, LIMITS)
    monkeypatch.setattr(time, "time", lambda: now + 90_005)
    counts.add("bob", "a", 7, LIMITS)


def test_what_was_counted_by_a_clock_far_ahead_does_not_count_for_years(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host without a battery for its clock; what an hour of difference brought counts."""
    counts, now = open_counts(f"sqlite:{tmp_path}/counts"), time.time()
    for ahead, refused in ((3000, True), (4000, False), (10 * 365 * 86_400, False)):
        monkeypatch.setattr(time, "time", lambda ahead=ahead: now + ahead)
        counts.add("bob", "a", 7, LIMITS)
        monkeypatch.setattr(time, "time", lambda: now)
        with pytest.raises(TooManyAttempts) if refused else contextlib.nullcontext():
            counts.add("bob", "a", 1, LIMITS)
        Path(f"{tmp_path}/counts").unlink()


def test_redis_forgets_what_a_clock_far_ahead_has_counted(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        direct = redis.Redis.from_url(server.url)
        for ahead, refused in ((3000, True), (4000, False)):
            direct.delete("trex:sms:user:bob")
            later = time.time() + ahead
            direct.zadd("trex:sms:user:bob", {f"future-{number}": later for number in range(7)})
            with pytest.raises(TooManyAttempts) if refused else contextlib.nullcontext():
                open_counts(server.url).add("bob", "a", 1, LIMITS)
        direct.close()
    finally:
        server.close()


def test_a_fleet_shares_a_user_s_limit_and_each_host_has_its_own(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    try:
        counts = open_counts(server.url)
        counts.add("bob", "a", 4, LIMITS)
        counts.add("alice", "a", 7, LIMITS)
        counts.add("bob", "b", 3, LIMITS)
        with pytest.raises(TooManyAttempts, match="user_hour"):
            counts.add("bob", "c", 1, LIMITS)
        with pytest.raises(TooManyAttempts, match="host_hour"):
            counts.add("carol", "a", 1, LIMITS)
    finally:
        server.close()
    with pytest.raises(NotSent, match="Redis cannot be asked: ConnectionError"):
        open_counts(server.url).add("bob", "b", 1, LIMITS)


def test_a_login_counts_in_redis_and_is_refused_without_it(sms: Sms, tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    sms.configure(by_http(sms.gateway), state=server.url, before="[limits]\nuser_hour = 1")
    try:
        assert sms().verdict == "PAM_SUCCESS", sms.log.everything()
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "the limit user_hour = 1 is reached" in sms.log.everything()
    finally:
        server.close()
    sms.log.clear()
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    assert (
        "nothing is sent, because it cannot be counted: Redis cannot be asked" in sms.log.verdict()
    )
    assert len(sms.gateway.texts) == 1
    assert TOKEN not in sms.log.everything()


def test_counts_that_cannot_be_kept_send_nothing(sms: Sms) -> None:
    for state in ("sqlite:/proc/counts", "sqlite:/root/counts"):
        sms.log.clear()
        sms.configure(by_http(sms.gateway), state=state)
        assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "nothing is sent, because it cannot be counted: " in sms.log.verdict()
    assert sms.gateway.requests == []


def test_without_a_gateway_for_a_user_nothing_is_sent(sms: Sms) -> None:
    for gateways in ([], [free_mobile(sms.gateway, "carol")]):
        sms.log.clear()
        sms.configure(*gateways)
        assert sms(arguments=("nullok",)).verdict == "PAM_AUTHINFO_UNAVAIL"
        assert "no gateway is for bob" in sms.log.verdict()
    assert sms.gateway.requests == []


# ---------------------------------------------------------------------------- codes for a fleet


def test_a_code_is_spent_for_a_whole_fleet(
    bob: Account,
    ask: Callable[..., Asked],
    configure: Callable[..., None],
    tmp_path: Path,
    log: Log,
) -> None:
    """Shared homes: the second host still sees the file that the first has replaced."""
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEE"  # noqa: S105 (a test's)
    stale = f'{secret}\n" TOTP_AUTH\n" WINDOW_SIZE 9\n12345678\n'
    server = RedisServer(tmp_path)
    configure(state=server.url)
    now = int(time.time()) // 30

    def log_in(answer: str, *arguments: str) -> str:
        bob.write(stale, ".google_authenticator")
        return ask("bob", "--answer", answer, arguments=("method=totp", *arguments)).verdict

    try:
        for answer in (HOTP(secret).at(now), "12345678"):
            assert log_in(answer, "fleet") == "PAM_SUCCESS", log.everything()
            log.clear()
            assert log_in(answer, "fleet") == "PAM_AUTH_ERR"
            assert ": wrong response: " in log.verdict()
            assert "another host of the fleet has accepted this code" in log.verdict()
        assert log_in(HOTP(secret).at(now + 1), "fleet") == "PAM_SUCCESS"
        assert log_in("000000", "fleet") == "PAM_AUTH_ERR"
    finally:
        server.close()
    log.clear()
    assert log_in(HOTP(secret).at(now + 2), "fleet") == "PAM_AUTHINFO_UNAVAIL"
    assert "the code cannot be spent for the fleet: Redis cannot be asked" in log.verdict()
    assert TOKEN not in log.everything()
    configure()
    log.clear()
    assert log_in(HOTP(secret).at(now + 3), "fleet") == "PAM_AUTHINFO_UNAVAIL"
    assert "with `fleet` a redis:// URL is meant" in log.verdict()


# ---------------------------------------------------------------------------- the account, sshd


@pytest.mark.parametrize(
    ("argument", "reason"),
    [("sms_user=root", "without root's rights"), ("sms_user=bob", "another account than who logs in"),
     ("sms_user=no-such", "there is no such account")],
)  # fmt: skip
def test_the_account_that_sends(sms: Sms, argument: str, reason: str) -> None:
    sms.configure(by_http(sms.gateway))
    assert sms(arguments=(argument,)).verdict == "PAM_AUTHINFO_UNAVAIL"
    assert reason in sms.log.verdict()
    assert sms.gateway.requests == []


@pytest.mark.parametrize("methods", ["keyboard-interactive", "publickey,keyboard-interactive:pam"])
def test_the_password_and_then_a_pin_through_ssh(
    bob: Account, gateway: Gateway, configure: Callable[..., None], place: Path, methods: str
) -> None:
    """The stack of the README, alone and after a public key.

    Nobody makes a telephone ring who does not know the password, or has not the key.
    """
    configure(by_http(gateway))
    subprocess.run(["chpasswd"], input="bob:correct", text=True, check=True)
    server = Sshd(sandbox.pam_service(
        f"trex-password-sms-{len(methods)}", "auth requisite pam_unix.so",
        f"auth required pam_python.so {sandbox.ENTRY} method=sms", *ACCOUNT_LINES,
    ), methods=methods)  # fmt: skip
    askpass, offered = place / "askpass-sms", methods.removesuffix(":pam")
    try:
        for password, pin, welcome, sent in (
            ("correct", PIN, True, 1), ("wrong", PIN, False, 1), ("correct", "echo 1", False, 2),
        ):  # fmt: skip
            askpass.write_text(
                f'#!/bin/sh\ncase "$1" in *PIN:*) {pin};; *) echo {password};; esac\n'
            )
            askpass.chmod(0o755)
            done = server.log_in("bob", askpass, methods=offered)
            assert (done.stdout == "logged in as bob\n") is welcome, done.stderr
            assert len(gateway.texts) == sent
        if methods != offered:
            askpass.write_text(f'#!/bin/sh\ncase "$1" in *PIN:*) {PIN};; *) echo correct;; esac\n')
            assert server.log_in("bob", askpass).returncode == 255, "the public key comes first"
            assert len(gateway.texts) == 2
    finally:
        server.close()
