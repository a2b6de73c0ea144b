"""What a visitor gets: the document, its code and its headers, from a login's settings."""

from __future__ import annotations

import calendar
import os
import re
import signal
import time
from html import unescape

import pytest

from tests.support.forked import in_a_child
from trex.page.process import aside, drawing
from trex.page.process.aside import Aside
from trex.page.process.document import NOT_DRAWN, TOO_LONG, Document
from trex.page.process.drawing import draw
from trex.page.process.settings import Settings, message_from_pipe, settings_from_pipe

MESSAGE = "-----BEGIN PGP MESSAGE-----\n\nhF4D&<x>\n-----END PGP MESSAGE-----\n"


def settings(*lines: str, seconds: float = 95.5) -> Settings:
    deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
    return Settings([f"deadline {deadline}", "host page.example.org", *lines])


def page(*lines: str, code: bytes | None = b"<svg></svg>", seconds: float = 95.5) -> str:
    response = Document(settings(*lines, seconds=seconds), MESSAGE, code).page()
    assert (response.status, response.reason) == (200, "OK")
    return response.body.decode()


def test_the_page_says_how_long_it_holds() -> None:
    text = page()
    assert re.search(r"\b9\ds?\b", text)
    until = re.search(r'datetime="([^"]+)"', text)
    assert until
    told = time.strptime(until[1], "%Y-%m-%dT%H:%M:%SZ")
    assert 80 < calendar.timegm(told) - time.time() < 100
    assert 'data-seconds="0"' in page(seconds=-5.5), "too late is not before"
    assert "{{" not in text


def test_the_message_is_shown_as_it_is() -> None:
    text = page()
    shown = re.search(r'<pre id="message"[^>]*>\n(.*?)</pre>', text, re.DOTALL)
    assert shown
    assert unescape(shown[1]).strip() == MESSAGE.strip()
    assert "&amp;&lt;x&gt;" in shown[1]


def test_what_takes_the_place_of_a_code() -> None:
    assert '<div class="code open"><svg></svg></div>' in page()
    assert TOO_LONG in page(code=b"")
    assert NOT_DRAWN in page(code=None)
    assert "<svg" not in page(code=None)


def test_whose_login_it_is_is_told_where_the_login_says_so_and_escaped() -> None:
    assert "<dl>" not in page()
    text = page("login <alice>", "service sshd", "from ", "server {{message}}")
    assert "<div><dt>Log in as</dt><dd>&lt;alice&gt;</dd></div>" in text
    assert "<dd>{{message}}</dd>" in text
    assert "<dt>from</dt>" not in text
    order = [text.index(f"<dt>{label}</dt>") for label in ("Log in as", "on", "with")]
    assert order == sorted(order)


def test_nothing_but_what_is_in_the_page_is_run_or_fetched() -> None:
    document = Document(settings(), MESSAGE, b"")
    first, second = document.page(), document.page()
    nonces = [re.findall(r'nonce="([^"]+)"', one.body.decode()) for one in (first, second)]
    assert {len(set(nonce)) for nonce in nonces} == {1}
    assert nonces[0][0] != nonces[1][0]
    assert re.fullmatch("[0-9a-f]{32}", nonces[0][0])
    source = f"'nonce-{nonces[0][0]}'"
    assert first.headers["Content-Security-Policy"] == (
        f"default-src 'none'; script-src {source}; style-src {source}; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    assert first.headers["Content-Type"] == "text/html; charset=utf-8"
    other = document.plain(404, "Not Found", "x")
    assert (other.status, other.reason, other.body) == (404, "Not Found", b"x")
    assert "nonce" not in other.headers["Content-Security-Policy"]
    assert other.headers["Content-Type"] == "text/plain; charset=utf-8"


def modules(svg: bytes) -> list[list[bool]]:
    """Return what the one path of an SVG draws."""
    size = int(re.search(rb'viewBox="0 0 (\d+) \1"', svg)[1])  # type: ignore[index]
    assert f'd="M0 0h{size}v{size}H0z"'.encode() in svg
    drawn = [[False] * size for _ in range(size)]
    path = re.search(rb'fill="#000" d="([^"]*)"', svg)[1].decode()  # type: ignore[index]
    strokes = re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", path)
    assert "".join("M{} {}h{}v1h-{}z".format(*stroke) for stroke in strokes) == path
    for start, y, there, back in strokes:
        assert there == back
        for x in range(int(start), int(start) + int(there)):
            assert not drawn[int(y)][x], "nothing is drawn twice"
            drawn[int(y)][x] = True
    return drawn


@pytest.mark.parametrize("length", [1, 300, 1000, 1300, 1700, 2300, 2900])
def test_a_code_is_what_the_library_draws_at_the_lowest_correction(length: int) -> None:
    """A scanner needs four white modules around it (ISO/IEC 18004)."""
    import qrcode
    from qrcode import constants

    text = ("abc+/=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 100)[:length]  # all of it in one mode
    code = qrcode.QRCode(error_correction=constants.ERROR_CORRECT_L, border=4)
    code.add_data(text.encode(), optimize=0)
    code.make()
    assert modules(draw(text)) == code.get_matrix()


def test_a_message_that_is_too_long_has_no_code() -> None:
    assert draw("x" * 2953)
    assert draw("x" * 2954) == b""
    assert drawing.encode("x" * 2954) == []


def test_runs_of_dark_modules() -> None:
    assert drawing._runs([True, True, False, True, False, False, True]) == [(0, 2), (3, 1), (6, 1)]
    assert drawing._runs([False] * 3) == []


def told_by_pipe(text: bytes, *, ended: bool = True) -> object:
    def read() -> object:
        signal.alarm(20)
        source, sink = os.pipe()
        os.dup2(source, 0)
        os.write(sink, text)
        if ended:
            os.close(sink)
        try:
            read_first = settings_from_pipe()
        except (KeyError, ValueError) as error:
            return type(error).__name__
        values = read_first.host, read_first.tls, read_first.user_name, read_first.password
        return [read_first.deadline, *values, read_first.told, message_from_pipe() if ended else ""]

    return in_a_child(read)


def test_settings_end_with_an_empty_line_and_the_message_is_what_follows() -> None:
    lines = b"deadline 12.5\nhost x y\ntls made\ncredentials a b\nlogin al\xc3\xa9 x\nserver \n\n"
    assert told_by_pipe(lines + b"the\n\nmessage\n") == [
        12.5, "x y", "made", "a", "b", {"login": "al\u00e9 x", "server": ""}, "the\n\nmessage\n",
    ]  # fmt: skip
    assert told_by_pipe(lines, ended=False), "what comes later is not waited for"


def test_a_message_that_is_no_armor_is_an_error() -> None:
    """It would be drawn into the code, and shown."""

    def read() -> str:
        source, sink = os.pipe()
        os.dup2(source, 0)
        os.write(sink, "k\u00e4se".encode())
        os.close(sink)
        try:
            return message_from_pipe()
        except UnicodeDecodeError:
            return ""

    assert in_a_child(read) == ""


def test_what_is_absent_was_not_asked_for() -> None:
    assert told_by_pipe(b"deadline 1\nhost x\n\n") == [1.0, "x", "", "", "", {}, ""]
    assert told_by_pipe(b"deadline 1\nhost x") == [1.0, "x", "", "", "", {}, ""]


def test_settings_that_are_none_are_an_error() -> None:
    for text in (b"", b"host x\n\n", b"deadline 1\n\n", b"deadline\n\n", b"deadline x\nhost x\n\n"):
        assert told_by_pipe(text) in ("KeyError", "ValueError")


def test_the_kernel_ends_the_process_after_the_deadline_whatever_it_ignores() -> None:
    for seconds in (-100.0, -0.99, 0.2):
        begun = time.monotonic()
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_IGN)
            settings(seconds=seconds).end_at_deadline()
            time.sleep(20)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGALRM
        assert max(0.0, seconds + 1) <= time.monotonic() - begun < max(0.0, seconds + 1) + 10


def test_the_kernel_waits_a_second_more_than_the_challenge_holds() -> None:
    def left() -> float:
        settings(seconds=50).end_at_deadline()
        return signal.getitimer(signal.ITIMER_REAL)[0]

    assert 41 < in_a_child(left) <= 51


def test_a_result_from_beside_and_none_of_work_that_fails() -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert Aside(lambda: b"x" * 200_000).result() == b"x" * 200_000

    def fail() -> bytes:
        os.close(2)
        raise ValueError

    def end() -> bytes:
        os._exit(3)

    try:
        failing = Aside(fail)
    except ValueError:  # in the child, which continued as a second copy of its parent
        os._exit(0)
    assert failing.result() is None
    inside = Aside(lambda: str(len(os.listdir("/proc/self/fd"))).encode()).result()
    assert inside == str(before + 1).encode(), "all that it has, and where its result goes"
    assert Aside(end).result() is None
    assert Aside(lambda: b"").result() == b""
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_work_beside_has_an_end_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert aside.SECONDS == 30
    monkeypatch.setattr(aside, "SECONDS", 1)

    def wait() -> bytes:
        while True:
            time.sleep(1)

    begun = time.monotonic()
    assert Aside(wait).result() is None
    assert time.monotonic() - begun < 20


def test_where_no_process_can_be_had_there_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "fork", refuse)
    assert Aside(lambda: b"x").result() is None
    assert len(os.listdir("/proc/self/fd")) == before
