"""The QR code in the prompt: what is taken from its process, and how it is drawn."""

from __future__ import annotations

import errno
import os
import signal
import time
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from tests.support.readable import readable_package
from tests.support.screen import as_picture, by_zbar, by_zxing
from trex.errors import PageUnavailable
from trex.login.method import Login
from trex.login.options import MOST_QR, Options
from trex.page import needs, terminal
from trex.page.process.drawing import encode
from trex.page.process.matrix import told
from trex.page.terminal import BELOW, LARGE, UNAVAILABLE, TerminalCode, TooLarge, drawn, modules_of
from trex.system import servant
from trex.system.privilege import Account, find_account
from trex.system.program import MAX_REPORT

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAD, FOOT = "-----BEGIN PGP MESSAGE-----\n\n", "\n=AAAA\n-----END PGP MESSAGE-----"
USER = Account("alice", 12345, 12345, "/home/alice", [])


def message(size: int) -> str:
    """Return a text like a message, of `size` bytes."""
    return HEAD + ("hF4Dzw+/" * size)[: size - len(HEAD + FOOT)] + FOOT


def report(text: str) -> str:
    return told(encode(text, border=0, shortest=True))


@pytest.mark.parametrize("background", ["dark", "light"])
@pytest.mark.parametrize("size", [100, 395, 437, 480, 532])
def test_what_is_drawn_is_read_by_both_scanners(size: int, background: str) -> None:
    drawing = drawn(*modules_of(report(message(size))), background, Options.qr_size)
    picture = as_picture(drawing, is_dark=background == "dark")
    assert by_zbar(picture) == by_zxing(picture) == message(size)


def test_80_columns_take_533_bytes_with_3_modules_of_quiet_beside_them() -> None:
    """The lines around a message are capitals, which take less room than its base64."""
    modules = modules_of(report(message(532)))
    assert modules[0] == 77
    lines = drawn(*modules, "dark", (80, 50)).splitlines()
    assert {len(line) for line in lines} == {80}
    assert {line[:2] + line[-1:] for line in lines} == {"\u2588" * 3}
    assert {len(line) for line in drawn(*modules, "dark", (90, 50)).splitlines()} == {85}
    assert max(len(line) for line in drawn(*modules, "light", (80, 50)).splitlines()) == 79
    for background in ("dark", "light"):
        with pytest.raises(TooLarge):
            drawn(*modules, background, (79, 50))
        with pytest.raises(TooLarge, match="it takes 84 columns by 48 lines, of 80 by 50"):
            drawn(*modules_of(report(message(533))), background, (80, 50))


def test_the_quiet_zone_has_four_modules_above_and_below() -> None:
    size, bits = modules_of(report("A"))
    dark, light = (drawn(size, bits, kind, (40, 20)).split("\n") for kind in ("dark", "light"))
    assert len(dark) == len(light) == 15 + 1, "29 modules, two in a line"
    for lines, quiet in ((dark, "\u2588" * 29), (light, "")):
        assert lines[:2] == lines[-3:-1] == [quiet] * 2
        assert quiet not in (lines[2], lines[-4])
    assert (dark[2][:5], dark[2][-5:]) == ("\u2588" * 4 + " ", " " + "\u2588" * 4)


def test_lines_are_counted_with_those_below_that_have_to_be_in_sight() -> None:
    modules = modules_of(report(message(395)))
    lines = drawn(*modules, "dark", (80, 39 + BELOW)).count("\n")
    assert lines == 39
    with pytest.raises(TooLarge) as caught:
        drawn(*modules, "dark", (80, 39 + BELOW - 1))
    assert (caught.value.columns, caught.value.lines) == (72, 42)


@pytest.mark.parametrize("version", [1, 14, 23, 27, 28, 40])
def test_a_code_that_may_be_drawn_fits_into_a_report(version: int) -> None:
    size = 17 + 4 * version
    line = told([[True] * size] * size)
    assert len(line) < MAX_REPORT
    assert modules_of(line) == (size, "1" * size * size if version <= 27 else "")
    if size + 3 > MOST_QR[0]:
        with pytest.raises(TooLarge):
            drawn(*modules_of(line), "dark", MOST_QR)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "its process ended without one"),
        ("unavailable no memory", "no memory"),
        ("drawn 0 0", "the message is too long for any"),
        *[(line, "expected a code from its process, found something else") for line in (
            "drawn", "drawn ", "drawn 21", "drawn 21 ", "drawn 22 0", "drawn 181 0", "drawn -21 0",
            "drawn 0021 0", "drawn 21 1", f"drawn 21 {1 << 441:x}", f"drawn 21 {'F' * 110}", "drawn 21 0x1",
            "drawn 21 \x1b[2J", "drawn \u0662\u0661 0", "drawn 25 " + "f" * 4000,
        )],
    ],
)  # fmt: skip
def test_nothing_but_modules_is_taken_from_its_process(line: str, reason: str) -> None:
    with pytest.raises(PageUnavailable, match=f"^{reason}$"):
        modules_of(line)


def test_a_message_that_no_code_takes() -> None:
    assert report(message(3000)) == "drawn 0 0"


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    if os.geteuid() != 0:
        pytest.skip("only root gives it an account of its own")
    with readable_package() as package:
        monkeypatch.setattr(servant, "PACKAGE", str(package))
        yield Login("alice", "sshd", "", [])


def code_for(login: Login, **values: object) -> TerminalCode:
    options = Options()
    for name, value in values.items():
        setattr(options, name, value)
    return TerminalCode(login, options, "dark")


def test_its_process_is_confined_draws_and_ends(login: Login) -> None:
    code = code_for(login)
    code.open(USER, USER)
    pid = code._program._pid
    nobody = find_account("nobody")
    status = ""
    deadline = time.monotonic() + 20
    while "Seccomp:\t2" not in status:  # confined: it waits for the message
        assert time.monotonic() < deadline
        with open(f"/proc/{pid}/status") as file:
            status = file.read()
    assert f"Uid:\t{nobody.uid}\t{nobody.uid}\t{nobody.uid}\t{nobody.uid}\n" in status
    assert "NoNewPrivs:\t1" in status
    lines = code.show(message(470) + "\n").split("\n")
    assert lines[0] == "The same as a QR code:"
    assert by_zbar(as_picture("\n".join(lines[1:-2]), is_dark=True)) == message(470)
    assert not os.path.exists(f"/proc/{pid}")
    assert login.warnings == []
    assert login.steps == ["a QR code in the prompt, 73 modules on a side"]


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSTOP])
def test_a_process_that_ends_or_stops_costs_the_code_alone(
    sent: signal.Signals, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "SECONDS", 0.1)
    code = code_for(login)
    code.open(USER, USER)
    pid = code._program._pid
    os.kill(pid, sent)
    assert code.show(message(395)) == UNAVAILABLE
    assert login.warnings[0].startswith("no QR code in the prompt: its process ")
    assert not os.path.exists(f"/proc/{pid}")
    assert code.show(message(395)) == UNAVAILABLE


FOR_EVER = "import os\nDRAWN = 'drawn'\ndef main():\n    while True: "
HOSTILE = {
    "writes without an end": FOR_EVER + "os.write(3, b'1' * 4096)",
    "writes one byte after the other": FOR_EVER + "os.write(3, b'1')",
    "says no more": "import os, time\ndef main(): os.close(3); time.sleep(600)",
    "reads nothing, and reports twice": "import os\ndef main(): os.write(3, b'drawn 21 0\\n' * 300)",
    "sends what a terminal obeys": "import os\ndef main(): os.write(3, b'drawn 21 \\x1b[2J\\n')",
    "fails": "def main(): raise SystemExit(1)",
}


@pytest.mark.parametrize("program", HOSTILE.values(), ids=HOSTILE)
def test_whatever_its_process_does_the_login_goes_on_with_the_text(
    login: Login, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """The library is none of the login's; whoever has broken it has this process."""
    monkeypatch.setattr(terminal, "SECONDS", 1.0)
    with open(f"{servant.PACKAGE}/page/process/matrix.py", "w") as file:
        file.write(f"{program}\n")
    code = code_for(login)
    code.open(USER, USER)
    pid = code._program._pid
    shown = code.show(message(395))
    assert shown == UNAVAILABLE or shown.startswith(LARGE)
    assert "\x1b" not in shown + login.warnings[0]
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("root", "web_user=root must be neither root nor the user who logs in"),
        ("nobody", "web_user=nobody must be neither root nor the user who logs in"),
        ("no-such-user", "web_user=no-such-user: there is no such account"),
    ],
)
def test_it_has_an_account_of_its_own(name: str, reason: str, login: Login) -> None:
    for reader, user in permutations([find_account("nobody"), USER]):
        code = code_for(login, web_user=name)
        code.open(reader, user)
        assert code.show(message(395)) == UNAVAILABLE
        assert login.warnings.pop() == f"no QR code in the prompt: {reason}"


def test_without_the_library_no_process_is_started(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "DEBIAN_PACKAGES", "/nonexistent")
    code = code_for(login)
    code.open(USER, USER)
    assert code.show(message(395)) == UNAVAILABLE
    missing = "Debian's package python3-qrcode is missing"
    assert login.warnings == [f"no QR code in the prompt: {missing}"]


def test_a_login_without_a_descriptor_to_spare_has_no_code(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever calls su can set that limit."""

    def none_left() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    code = code_for(login)
    monkeypatch.setattr(os, "pipe", none_left)
    code.open(USER, USER)
    assert code.show(message(395)) == UNAVAILABLE
    assert login.warnings == ["no QR code in the prompt: Too many open files"]


def test_a_process_that_cannot_become_its_program_costs_the_code_alone(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is known only after the fork, as where an account has too many processes."""
    monkeypatch.setattr(servant, "PYTHON", "/nonexistent/python3")
    code = code_for(login)
    code.open(USER, USER)
    assert code.show(message(395)) == UNAVAILABLE
    assert "run: No such file or directory" in login.warnings[0]


def test_only_root_has_one_drawn(login: Login) -> None:
    os.seteuid(USER.uid)
    try:
        code = code_for(login)
        code.open(USER, USER)
    finally:
        os.seteuid(0)
    assert code.show(message(395)) == UNAVAILABLE
    told_why = "only root can give it an account of its own"
    assert login.warnings == [f"no QR code in the prompt: {told_why}"]
