"""`trex totp` in a terminal, and its files beside Debian's google-authenticator."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pexpect
import pytest
import zbar
from PIL import Image

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, SECRET, code, here, otp_file, text
from tests.support.command import PYTHON, finish, on_terminal, wait_until_it_reads
from tests.support.page_text import blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account
    from tests.support.sshd import Sshd

# Of each line of the page what is behind `trex totp`.
ENROLL, SHOW, CODES = (
    line.partition("      ")[0].split()[2:3]
    for block in blocks("docs/totp.md", "## Setting up a user")[:2]
    for line in block.splitlines()
)
TREX = ["/usr/bin/python3", "-B", "-m", "trex.cli", "totp"]


def totp(user: Account, *arguments: str) -> pexpect.spawn:
    """Run `trex totp` as the user, in a terminal."""
    return on_terminal("totp", *arguments, account=user)


def what_a_camera_reads(shown: str) -> tuple[str, dict[str, list[str]]]:
    """Read the QR code among the lines of a terminal; return its kind, and its parameters."""
    lines = [line for line in shown.replace("\r", "").split("\n") if set(line) & set("█▀▄")]
    width = max(map(len, lines))
    image = Image.new("L", (width, 2 * len(lines)))
    for y, line in enumerate(lines):
        for x, block in enumerate(line):
            image.putpixel((x, 2 * y), 255 * (block in "█▀"))
            image.putpixel((x, 2 * y + 1), 255 * (block in "█▄"))
    image = image.resize((4 * image.width, 4 * image.height))
    found = zbar.Image(*image.size, "Y800", image.tobytes())
    zbar.ImageScanner().scan(found)
    [address] = [symbol.data for symbol in found]
    parts = urlsplit(address)
    assert (parts.scheme, parts.path.partition(":")[2]) == (
        "otpauth",
        f"bob%40{os.uname().nodename}",
    )
    return parts.netloc, parse_qs(parts.query)


def test_a_file_of_trex_s_serves_both_modules(bob: Account, otp: Callable[..., bool]) -> None:
    enroll = totp(bob, *ENROLL, "--svg", f"{bob.home}/qr.svg")
    enroll.expect("Without a camera, type: ([A-Z2-7 ]+)\r\n")
    secret = enroll.match.group(1).replace(" ", "")
    assert what_a_camera_reads(enroll.before) == (
        "totp", {"secret": [secret], "issuer": [os.uname().nodename]}
    )  # fmt: skip
    enroll.expect("the phone shows now: ")
    enroll.sendline("000000")
    enroll.expect("Wrong code.*the phone shows now: ")
    assert not otp_file(bob).exists(), "nothing is written before a code is right"
    now = here()
    enroll.sendline(f"{code(now, secret)[:3]} {code(now, secret)[3:]}")
    enroll.expect(r"not shown again:\r\n((\d{8}\r\n){5})")
    emergency = enroll.match.group(1).split()
    assert finish(enroll) == 0
    assert otp_file(bob).stat().st_mode & 0o7777 == 0o600
    assert (bob.home / "qr.svg").stat().st_mode & 0o7777 == 0o600
    assert not otp_file(bob).with_name(f".{FILE}~").exists()
    for stack in ("google", "trex"):
        assert not otp(stack, bob, code(now, secret)), "the first code is spent"
    assert otp("google", bob, code(now + 1, secret))
    bob.write(re.sub(r'(" RATE_LIMIT 3 30).*', r"\1", otp_file(bob).read_text()), FILE)
    assert otp("trex", bob, emergency[0])
    assert otp("google", bob, emergency[1])

    again = totp(bob, *CODES)
    again.expect(r"not shown again:\r\n((\d{8}\r\n){5})")
    fresh = again.match.group(1).split()
    assert finish(again) == 0
    bob.write(re.sub(r'(" RATE_LIMIT 3 30).*', r"\1", otp_file(bob).read_text()), FILE)
    assert not otp("google", bob, emergency[2])
    assert otp("google", bob, fresh[0])
    assert otp("trex", bob, fresh[1])

    shown = totp(bob, *SHOW)
    shown.expect("Without a camera, type: ([A-Z2-7 ]+)\r\n")
    assert shown.match.group(1).replace(" ", "") == secret
    assert finish(shown) == 0


def test_a_picture_of_a_secret_that_nothing_takes_goes_again(bob: Account) -> None:
    picture = bob.home / "qr.svg"
    enroll = totp(bob, "enroll", "--svg", str(picture))
    for _ in range(3):
        enroll.expect("the phone shows now: ")
        assert picture.exists(), "it is there for the phone"
        enroll.sendline("000000")
    enroll.expect("no right code, so nothing was written")
    assert finish(enroll) == 1
    assert not picture.exists()
    bob.write("another", "qr.svg")
    enroll = totp(bob, "enroll", "--svg", str(picture))
    enroll.expect("trex: error: .*qr.svg: File exists")
    assert finish(enroll) == 1
    assert picture.read_text() == "another"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_picture_goes_with_a_run_that_is_ended(bob: Account, number: int) -> None:
    """Also if the terminal is closed: its secret is of no use."""
    picture = bob.home / "qr.svg"
    enroll = totp(bob, "enroll", "--svg", str(picture))
    enroll.expect("the phone shows now: ")
    assert picture.exists()
    wait_until_it_reads("totp enroll")
    enroll.kill(number)
    assert finish(enroll) == 130
    assert not picture.exists()


def test_a_file_with_another_group_serves_both_modules(
    bob: Account, otp: Callable[..., bool]
) -> None:
    """As `sudo cp` and `chown bob` leave it: the group has no rights, and cannot be kept."""
    for step, stack in enumerate(("google", "trex", "google")):
        bob.write(text('" WINDOW_SIZE 9', '" TOTP_AUTH'), FILE)
        os.chown(otp_file(bob), bob.uid, 0)
        assert otp(stack, bob, code(here() + step - 1)), stack
        assert otp_file(bob).stat().st_mode & 0o7777 == 0o600


def test_what_is_there_is_not_replaced(bob: Account) -> None:
    before = bob.write(text('" TOTP_AUTH'), FILE).read_bytes()
    refused = totp(bob, "enroll")
    refused.expect("trex: error: .*exists already.*trex totp show")
    assert finish(refused) == 1
    missing = totp(bob, "enroll", "--if-missing")
    assert finish(missing) == 0
    assert missing.before == ""
    assert otp_file(bob).read_bytes() == before


def test_a_profile_script_asks_only_in_a_terminal(bob: Account) -> None:
    done = subprocess.run(
        [*TREX, "enroll", "--if-missing"], cwd=sandbox.MODULE, user=bob.uid, group=bob.gid,
        env={"HOME": str(bob.home), "PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout == done.stderr == b""
    asking = totp(bob, "enroll", "--if-missing")
    asking.expect("the phone shows now: ")
    wait_until_it_reads("totp enroll")
    asking.sendintr()
    assert finish(asking) == 130
    assert not otp_file(bob).exists()


def test_a_first_login_through_ssh_enrolls_and_the_next_is_asked_for_a_code(
    bob: Account, sshd: Callable[..., Sshd], place: Path
) -> None:
    """How it is rolled out: `nullok` behind the password, and a profile script."""
    script = Path("/etc/profile.d/trex-totp.sh")
    script.write_text(f"PYTHONPATH={sandbox.MODULE} {' '.join(PYTHON)} totp enroll --if-missing\n")
    subprocess.run(["chpasswd"], input="bob:correct", text=True, check=True)
    server = sshd(service=sandbox.pam_service(
        "trex-rolled-out", "auth requisite pam_unix.so",
        f"auth required pam_python.so {sandbox.ENTRY} method=totp nullok", *ACCOUNT_LINES,
    ))  # fmt: skip
    try:
        command = server.command("bob", "-tt")
        first = pexpect.spawn(command[0], command[1:], encoding="utf-8", timeout=120,
                              dimensions=(60, 200))  # fmt: skip
        first.expect("Password: ")
        first.sendline("correct")
        first.expect("Without a camera, type: ([A-Z2-7 ]+)\r\n")
        secret = first.match.group(1).replace(" ", "")
        now = here()
        first.expect("the phone shows now: ")
        first.sendline(code(now, secret))
        first.expect("Emergency codes")
        first.sendline("exit")
        first.expect(pexpect.EOF)
        first.close()
        askpass = place / "askpass-rolled-out"
        for answer, welcome in ((code(now, secret), False), (code(now + 1, secret), True)):
            askpass.write_text(
                f'#!/bin/sh\ncase "$1" in *code*) echo {answer};; *) echo correct;; esac\n'
            )
            askpass.chmod(0o755)
            done = server.log_in("bob", askpass)
            assert (done.stdout == "logged in as bob\n") is welcome, done.stderr
    finally:
        script.unlink()


def test_a_counter_s_file_of_trex_s_serves_both_modules(
    bob: Account, otp: Callable[..., bool]
) -> None:
    """The first code may be that of a token that was tried before, and the counter goes on."""
    enroll = totp(bob, "enroll", "--counter")
    enroll.expect("Without a camera, type: ([A-Z2-7 ]+)\r\n")
    secret = enroll.match.group(1).replace(" ", "")
    kind, told = what_a_camera_reads(enroll.before)
    assert (kind, told["secret"], told["counter"]) == ("hotp", [secret], ["1"])
    for wrong in (0, 4):
        enroll.expect("the phone shows now: ")
        enroll.sendline(code(wrong, secret))
        enroll.expect("Wrong code. Is it one of the first codes")
        assert not otp_file(bob).exists(), "nothing is written before a code is right"
    enroll.expect("the phone shows now: ")
    enroll.sendline(code(2, secret))
    enroll.expect(r"not shown again:\r\n(\d{8})\r\n")
    emergency = enroll.match.group(1)
    assert finish(enroll) == 0
    made = otp_file(bob).read_text()
    assert '" HOTP_COUNTER 3\n' in made
    assert "TOTP_AUTH" not in made
    bob.write(made.replace('" RATE_LIMIT 3 30\n', ""), FILE)
    for stack, at, welcome in (
        ("google", 3, True), ("trex", 3, False), ("trex", 6, True), ("google", 6, False), ("google", 9, True),
    ):  # fmt: skip
        assert otp(stack, bob, code(at, secret)) is welcome, (stack, at)
    assert otp("trex", bob, emergency)
    assert not otp("google", bob, emergency)

    shown = totp(bob, "show")
    shown.expect("only one device can use this secret")
    kind, told = what_a_camera_reads(shown.before)
    [counter] = re.findall(r'" HOTP_COUNTER (\d+)', otp_file(bob).read_text())
    assert (kind, told["secret"], told["counter"]) == ("hotp", [secret], [counter])
    assert finish(shown) == 0


def test_a_step_that_is_not_the_usual_one_is_in_the_code_that_is_shown(bob: Account) -> None:
    bob.write(text('" TOTP_AUTH', '" STEP_SIZE 60'), FILE)
    shown = totp(bob, "show")
    shown.expect("Without a camera, type")
    kind, told = what_a_camera_reads(shown.before)
    assert (kind, told["secret"], told["period"]) == ("totp", [SECRET], ["60"])
    assert finish(shown) == 0


def test_a_file_that_makes_no_codes_is_not_shown_as_one_that_does(
    bob: Account, otp: Callable[..., bool]
) -> None:
    bob.write(text('" HOTP_COUNTER 0'), FILE)
    shown = totp(bob, "show")
    shown.expect(
        "trex: error: .* expected TOTP_AUTH or HOTP_COUNTER, found neither: no code is right"
    )
    assert finish(shown) == 1
    assert not otp("google", bob, code(here()))
    assert not otp("trex", bob, code(here()))


@pytest.mark.parametrize("what", ["show", "codes"])
def test_without_a_file_there_is_nothing_to_show(bob: Account, what: str) -> None:
    shown = totp(bob, what)
    shown.expect(r"trex: error: .*/home/bob/\.google_authenticator: no such file")
    assert finish(shown) == 1
    assert list(bob.home.glob(f"{FILE}*")) == []


def test_no_secret_is_shown_that_no_login_would_take(
    bob: Account, otp: Callable[..., bool]
) -> None:
    bob.home.chmod(0o777)
    enroll = totp(bob, "enroll")
    enroll.expect(r"trex: error: /home/bob.*\n.*trex: hint: (.*)\r\n")
    hint, shown = enroll.match.group(1), enroll.before
    assert finish(enroll) == 1
    assert "camera" not in shown
    assert not otp_file(bob).exists()
    assert "chmod go-w /home/bob" in hint
    bob.write(text('" TOTP_AUTH'), FILE)
    assert not otp("trex", bob, code(here())), "a login refuses it"
