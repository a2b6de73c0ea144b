"""What a message repeats of a file has an end, whoever reads the file: no log is flooded by it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import trex.cli.acknowledged
import trex.openpgp.errors
import trex.page.terminal
import trex.recovery.errors
import trex.sms.errors
import trex.system.packages
import trex.system.secretfile
import trex.totp.errors
from trex.cli.client.context import parse_context
from trex.cli.client.message import read_challenge
from trex.cli.client.names import Names
from trex.cli.client.pins import Pins
from trex.cli.client.services import Services
from trex.cli.doctor.stack import Stack, _read_file
from trex.errors import MAX_MESSAGE, FileUnsafe, OtherAccount, RecordError, TrexError
from trex.login.options import expand, parse_options
from trex.openpgp.diagnosis import diagnose
from trex.openpgp.gpg import Gpg
from trex.openpgp.keylist import parse_listing, parse_status
from trex.openpgp.record import parse_record
from trex.sms.phones import numbers_from_map, users_in_map
from trex.sms.settings import read_settings
from trex.system.privilege import MAX_UID
from trex.totp.rules import count_attempt
from trex.totp.state import OtpState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

LONG = 20_000
# Words of the formats, so that parsers come far, and long ones that a message may repeat.
WORDS = ["trust", "notrust", "nosign", "webQrAuthTls", "webQrAuthTLS", "alice@example.org", "A" * 40,
         "a", ",", "#", '"', "=", "auth", "required", "include", "@include", "[success=", "]",
         "timeout", "auth_file", "%u", "/", "TOTP_AUTH", '" RATE_LIMIT', '" HOTP_COUNTER', "limits",
         "[[gateway]]", "kind", "+33612345678", "[GNUPG:]", "FAILURE", "INV_RECP", "NO_SECKEY",
         "ERRSIG", "KEY_CONSIDERED", "pub", "fpr", ":", "-", "9"]  # fmt: skip
WORD = st.sampled_from(WORDS) | st.sampled_from(WORDS).map(lambda word: word * (LONG // len(word)))
SPACE = st.sampled_from([" ", "\n", "", "=", ":", "\t"])
TEXT = st.lists(st.tuples(WORD, SPACE), max_size=8).map(lambda ps: "".join(a + b for a, b in ps))


def record(text: str, _: Path) -> Iterable[str]:
    return parse_record(text.encode(), "/home/alice/.auth_gpg", "/home/alice").warnings


def options(text: str, _: Path) -> None:
    made = parse_options(text.split())
    expand(made.auth_file, user="alice", home="")


def otp(text: str, _: Path) -> None:
    state = OtpState(text.encode("utf-8"), "/home/alice/.google_authenticator")
    for _number in (state.counter, state.step, state.window, state.skew):
        pass
    for _list in (state.used_steps, state.resetting):
        pass
    count_attempt(state, 1)


def root_s(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def phones(text: str, place: Path) -> None:
    path = root_s(place / "phones", text)
    users_in_map(path)
    numbers_from_map(path, text.split(maxsplit=1)[0] if text.split() else "alice", 1001)


def sms(text: str, place: Path) -> None:
    read_settings(root_s(place / "sms.toml", text))


def stack(text: str, place: Path) -> Iterable[str]:
    read = Stack()
    _read_file(read, root_s(place / "service", text), 0, 0)
    return read.problems


def status(text: str, _: Path) -> Iterable[str]:
    gpg = Gpg.__new__(Gpg)
    gpg.chosen, gpg.signer = [], None
    return [str(diagnose(parse_status(text.encode()), gpg))]


def plaintext(text: str, _: Path) -> None:
    parse_context(text)
    read_challenge(text.encode(), parse_status(text.encode()))


def listing(text: str, _: Path) -> None:
    parse_listing(text)


def table(kind: type[Pins | Names | Services]) -> Callable[[str, Path], None]:
    def read(text: str, place: Path) -> None:
        (place / "trex").mkdir(exist_ok=True)
        root_s(place / "trex" / kind.__name__.lower(), text)
        os.environ["XDG_CONFIG_HOME"] = str(place)
        kind()

    return read


PARSERS: dict[str, Callable[[str, Path], Iterable[str] | None]] = {
    "record": record, "options": options, "otp": otp, "phones": phones, "sms": sms, "stack": stack,
    "status": status, "plaintext": plaintext, "listing": listing, "pins": table(Pins),
    "names": table(Names), "services": table(Services),
}  # fmt: skip


def said(parse: Callable[[str, Path], Iterable[str] | None], text: str, place: Path) -> list[str]:
    """Return the messages that come of a text, be they errors or warnings."""
    try:
        return list(parse(text, place) or [])
    except (TrexError, ValueError) as error:
        return [str(error)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bounded")


@pytest.mark.skipif(os.geteuid() != 0, reason="root's files are read")
@pytest.mark.parametrize("name", PARSERS)
def test_every_message_of_every_parser_has_an_end(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place))

    @given(TEXT)
    @example("alice@example.org webQrAuthTls " + "x" * LONG)  # the form of Trex for C++
    @example("x" * LONG + " webQrAuthTls")
    @example("x" * LONG + " trust nosign")
    @example("a@example.org trust nosign webQrX" + "x" * LONG)
    @example(f"{'x' * LONG} +33612345678\n{'x' * LONG} +33612345678\n")
    @example(f"auth [{'x' * LONG}=ok] pam_permit.so\nauth required\n@include {'y' * LONG}\n")
    @example("[GNUPG:] FAILURE x 99\n" * 1000)
    @example("[GNUPG:] NO_SECKEY 0123456789ABCDEF\n[GNUPG:] NO_SECKEY 1123456789ABCDEF\n" * 500)
    @example(f"auth_file=/{'x' * LONG}%h auth_file=/x")
    def check(text: str) -> None:
        for message in said(PARSERS[name], text, place):
            assert len(message) <= MAX_MESSAGE + len(str(place)), message[:200]
            assert "x" * 300 not in message
            assert "y" * 300 not in message

    check()


def classes(root: type[TrexError]) -> list[type[TrexError]]:
    return [root, *(one for child in root.__subclasses__() for one in classes(child))]


# Each registers its branch.
MODULES = (
    trex.openpgp.errors, trex.page.terminal, trex.recovery.errors, trex.sms.errors, trex.system.packages,
    trex.system.secretfile, trex.totp.errors,
)  # fmt: skip
ARGUMENTS: dict[type[TrexError], list[Any]] = {
    RecordError: ["x" * LONG, 1, "x" * LONG, "x" * LONG],
    FileUnsafe: ["x" * LONG, "x" * LONG, "x" * LONG],
    OtherAccount: ["x" * LONG, "x" * LONG, MAX_UID, MAX_UID],
    trex.cli.acknowledged.AcknowledgementError: ["x" * LONG, "x" * LONG],
    trex.openpgp.errors.IsSubkey: ["x" * LONG, "x" * LONG],
    trex.page.terminal.TooLarge: [LONG, LONG, (LONG, LONG)],
    trex.openpgp.errors.SamePerson: ["x" * LONG, "x" * LONG],
}


@pytest.mark.parametrize("kind", classes(TrexError), ids=lambda kind: kind.__name__)
def test_no_error_has_a_longer_message_whatever_it_is_given(kind: type[TrexError]) -> None:
    assert len(str(kind(*ARGUMENTS.get(kind, ["x" * LONG])))) <= MAX_MESSAGE + len("...")


@given(st.text(max_size=50))
def test_the_rest_of_a_message_is_whole(path: str) -> None:
    error = RecordError(path, 3, '"x"', "trust or notrust")
    assert str(error) == f'{path}:3: expected trust or notrust, found "x"'
    assert error.path == path
