"""Whether a message is answered: by gpg's status lines, by names, by pins."""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trex.cli.client.answering import ask_at_terminal
from trex.cli.client.context import parse_context, shown
from trex.cli.client.hosts import parse_host, same_host
from trex.cli.client.judge import Doubt, check_pasted, check_service, check_signer, doubts, ssh_name
from trex.cli.client.loginkeys import LoginKeys
from trex.cli.client.message import OpenedChallenge, read_challenge
from trex.cli.client.names import Names
from trex.cli.client.pins import Pins
from trex.cli.client.services import Services
from trex.cli.client.target import ANYWHERE, Target, find_target, split_prompt
from trex.cli.errors import CannotDecrypt, CommandError, Refused, StoreError
from trex.cli.tell import printable
from trex.errors import TrexError
from trex.openpgp.keylist import parse_status
from trex.openpgp.prompt import NOTATION, context

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, OTHER = "A" * 40, "B" * 40
PLAINTEXT = b"hzA8vx2i2Y\n"
TEXT = context("alice", "sshd", "2001:db8::1", 36000)  # outlasts the slowest run of the suite


def status(*lines: str, text: str = TEXT) -> dict[str, list[list[str]]]:
    """Return the status lines of gpg 2.2 and 2.4 for a valid message, with `lines` for its signature."""
    right = [
        "ENC_TO 153B32D3564BF049 18 0", "BEGIN_DECRYPTION", "DECRYPTION_INFO 2 9 0",
        f"PLAINTEXT 62 1795338998 {escaped(text)}", "PLAINTEXT_LENGTH 11", *lines,
        "DECRYPTION_OKAY", "GOODMDC", "END_DECRYPTION",
    ]  # fmt: skip
    return parse_status("".join(f"[GNUPG:] {line}\n" for line in right).encode())


def signed(text: str = TEXT, key: str = KEY, name: str = NOTATION) -> list[str]:
    """Return gpg's status lines for a good signature."""
    data = escaped(text)
    return [
        "NEWSIG s@example.org", f"GOODSIG {key[-16:]} s@example.org", f"NOTATION_NAME {name}",
        "NOTATION_FLAGS 0 1", f"NOTATION_DATA {data[:50]}", f"NOTATION_DATA {data[50:]}",
        f"VALIDSIG {'C' * 40} 2026-11-22 1795338998 0 4 0 22 10 00 {key}",
    ]  # fmt: skip


def escaped(text: str) -> str:
    return text.replace("%", "%25").replace(" ", "%20")


def test_a_right_message() -> None:
    message = read_challenge(PLAINTEXT, status())
    assert (message.response, message.signer, message.unknown_signer) == ("hzA8vx2i2Y", "", "")
    assert message.context.user == "alice"
    assert message.context.origin == "2001:db8::1"
    assert "hzA8" not in repr(message)


def test_a_signed_message_names_the_primary_key() -> None:
    assert read_challenge(PLAINTEXT, status(*signed())).signer == KEY


def test_names_with_percent_codes_are_compared_as_they_stand() -> None:
    text = context("al ice%", "sshd", "", 600)
    message = read_challenge(PLAINTEXT, status(*signed(text), text=text))
    assert message.context.user == "al%20ice%25"
    assert message.signer == KEY


NOT_GOOD = {
    "bad": ["NEWSIG", "BADSIG X s@example.org"],
    "expired": ["NEWSIG", "EXPSIG X s", "VALIDSIG X 0 0 0 4 0 22 10 00 X"],
    "of an expired key": ["NEWSIG", "EXPKEYSIG X s", "VALIDSIG X 0 0 0 4 0 22 10 00 X"],
    "not checked": ["NEWSIG", "ERRSIG X 22 10 00 1795338998 4 X"],
    "begun": ["NEWSIG"],
    "two": [*signed(), *signed()],
    "a good and an unknown": [*signed(), "NEWSIG", "ERRSIG X 22 10 00 1795338998 9 X"],
    "good without a valid": [line for line in signed() if "VALIDSIG" not in line],
    "valid without a good": [line for line in signed() if "GOODSIG" not in line],
    "no notation": [line for line in signed() if "NOTATION" not in line],
    "another notation": signed(name="login@example.org"),
    "a notation that says something else": signed(TEXT.replace("alice", "bob")),
    "a notation whose name has a blank": signed(name=f"{NOTATION} x"),
    "valid without a key": [*(line for line in signed() if "VALIDSIG" not in line), "VALIDSIG"],
    "valid with an empty key": [
        *(line for line in signed() if "VALIDSIG" not in line),
        "VALIDSIG ",
    ],
    "unknown, of a key id that is none": ["NEWSIG", "ERRSIG \x1b[2J 22 10 00 1795338998 9 X"],
    "two notations": [*signed(), f"NOTATION_NAME {NOTATION}"],
    **{
        f"{verdict}, and all else as of a good one": [
            line.replace("GOODSIG", verdict) for line in signed()
        ]
        for verdict in ("EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG")
    },
}


@pytest.mark.parametrize("lines", NOT_GOOD.values(), ids=NOT_GOOD)
def test_a_signature_that_is_not_good(lines: list[str]) -> None:
    with pytest.raises(Refused):
        read_challenge(PLAINTEXT, status(*lines))


def test_a_signature_of_a_key_that_is_not_here_is_none() -> None:
    lines = ["NEWSIG", "ERRSIG 1234 22 10 00 1795338998 9 X", "NO_PUBKEY 1234"]
    message = read_challenge(PLAINTEXT, status(*lines))
    assert (message.signer, message.unknown_signer) == ("", "1234")


@pytest.mark.parametrize("keyword", ["BEGIN_DECRYPTION", "PLAINTEXT", "DECRYPTION_OKAY", "GOODMDC"])
def test_all_of_a_decryption_is_needed_once(keyword: str) -> None:
    said = status()
    del said[keyword]
    with pytest.raises((Refused, CannotDecrypt)):
        read_challenge(PLAINTEXT, said)
    twice = status()
    twice[keyword] *= 2
    with pytest.raises(Refused):
        read_challenge(PLAINTEXT, twice)


def test_a_challenge_is_answered_while_it_holds_and_for_as_long_as_one_can() -> None:
    for seconds, reason in ((-2, "was valid until"), (25 * 3600, "too far ahead")):
        text = context("alice", "sshd", "", seconds)
        with pytest.raises(Refused, match=reason):
            read_challenge(PLAINTEXT, status(text=text))
        with pytest.raises(Refused, match=reason):
            read_challenge(PLAINTEXT, status(*signed(text), text=text))


def test_nothing_stands_beside_the_text() -> None:
    """gpg's error about another packet inside, after which it continues."""
    with pytest.raises(Refused):
        read_challenge(PLAINTEXT, status("ERROR proc_pkt.plaintext 89"))


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=20))
def test_no_other_plaintext_is_a_response(plaintext: bytes) -> None:
    right = len(plaintext) == 11 and plaintext[:10].isalnum() and plaintext[10:] == b"\n"
    try:
        assert read_challenge(plaintext, status()).response.encode() + b"\n" == plaintext
        assert right
    except Refused as error:
        assert not right
        assert len(plaintext) < 5 or plaintext.decode("latin-1") not in f"{error} {error.hint}"


KEYWORDS = [line.split()[0] for line in signed()] + ["ERROR", "NO_SECKEY", "PLAINTEXT", "ERRSIG"]
LINES = st.lists(st.tuples(st.sampled_from(KEYWORDS), st.text(max_size=30)), max_size=6)


@settings(deadline=None)  # the machine may be busy
@given(LINES)
def test_any_status_lines_are_judged(lines: list[tuple[str, str]]) -> None:
    try:
        message = read_challenge(PLAINTEXT, status(*(f"{word} {rest}" for word, rest in lines)))
    except CommandError:
        return
    assert message.signer == "" or {"GOODSIG", "VALIDSIG"} <= {word for word, _ in lines}


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=80), st.text(max_size=40), st.text(max_size=40), st.integers(1, 3600))
def test_every_context_that_the_module_writes_is_read(
    user: str, service: str, origin: str, seconds: int
) -> None:
    read = parse_context(context(user or "-", service or "-", origin, seconds))
    assert read
    assert abs(read.until.timestamp() - time.time() - seconds) < 30


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=300))
def test_what_is_shown_cannot_command_a_terminal(text: str) -> None:
    assert shown(text).isprintable()
    assert shown(quote(text, errors="backslashreplace")).isprintable()
    assert printable(text).replace("\n", "").replace("\t", "").isprintable()


@pytest.mark.parametrize("text", [
    "", "trex", TEXT + " ", TEXT + "\n", " " + TEXT, TEXT.replace("user=alice", "user="),
    TEXT.replace(" service=sshd", ""), TEXT.replace("alice", "ali\u0441e"), TEXT[:-1] + "z",
    TEXT.replace("alice", "%zz"), TEXT.replace("alice", "a**"), TEXT.replace("alice", "a" * 300),
    TEXT.replace("host=", "host=x@"), re.sub("host=[^ ]+", "host=x@", TEXT),
], ids=[f"text {number}" for number in range(14)])  # fmt: skip
def test_what_is_not_exactly_a_context_is_none(text: str) -> None:
    assert parse_context(text) is None


@pytest.mark.parametrize(("prompt", "parts"), [
    ("(alice@web) \nTrex: ", ("alice", "web", "\nTrex: ")),
    ("(alice@dom@Web.) x", ("alice@dom", "web", "x")),
    ("(alice@::1) (bob@bank) x", ("alice", "::1", "(bob@bank) x")),
    ("alice@web's password: ", None), ("(alice@web)", None), ("(aliceweb) x", None),
    ("(@web) x", None), ("(alice@) x", None), ("Enter passphrase for key '(a@b) c': ", None), ("", None),
])  # fmt: skip
def test_who_asks_is_what_ssh_writes_first(prompt: str, parts: tuple[str, str, str] | None) -> None:
    assert split_prompt(prompt) == parts


def ssh_that_says(directory: Path, version: str, *settings: str) -> str:
    path = directory / "ssh"
    path.write_text(f"#!/bin/sh\n[ $1 = -V ] && echo {version}_p1 >&2 && exit\n"
                    f"[ \"$*\" = '-G -p 22 web' ] && printf '%s\\n' {' '.join(settings)}\n")  # fmt: skip
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("version", ["OpenSSH_8.4", "OpenSSH_7.10", "Sun_SSH_1.1", ""])
def test_an_ssh_that_does_not_say_who_asks(tmp_path: Path, version: str) -> None:
    with pytest.raises(Refused):
        find_target("alice", "web", ssh_that_says(tmp_path, version), ["-p", "22", "web"])
    with pytest.raises(Refused):
        find_target("alice", "web", "/no/such/ssh", ["web"])


SETTINGS = ["'host web'", "'user alice'", "'hostname 192.0.2.7'", "'port 2222'"]
ALIASED = [*SETTINGS, "'hostkeyalias Web.Example.org.'"]


@pytest.mark.parametrize(("settings", "user", "host", "names", "port"), [
    (SETTINGS, "alice", "192.0.2.7", ["192.0.2.7", "web"], "2222"),
    (ALIASED, "alice", "web.example.org", ["web.example.org", "192.0.2.7", "web"], "2222"),
    (SETTINGS, "bob", "192.0.2.7", ["192.0.2.7"], ""),
    (SETTINGS, "alice", "jump", ["jump"], ""),
    (SETTINGS, "alice", "web", ["web"], ""),
    (ALIASED, "alice", "192.0.2.7", ["192.0.2.7"], ""),
    ([], "alice", "web", ["web"], ""),
])  # fmt: skip
def test_the_names_of_a_host_are_those_that_the_client_has_for_it(
    tmp_path: Path, settings: list[str], user: str, host: str, names: list[str], port: str
) -> None:
    """Unless the host that asks is a jump host: then its port is unknown."""
    ssh = ssh_that_says(tmp_path, "OpenSSH_9.2", *settings)
    target = find_target(user, host, ssh, ["-p", "22", "web"])
    assert (target.hosts, target.port) == (names, port)
    assert target.host == (f"[{names[0]}]:2222" if port else names[0])


@pytest.mark.parametrize("setting", [
    "'user alice@bank) x'", "'hostname bank) x'", "'hostkeyalias bank) x'", "'proxyjump alice@bank) x@jump'",
])  # fmt: skip
def test_a_name_that_could_end_in_another_s_prompt(tmp_path: Path, setting: str) -> None:
    """`git clone --recursive` gives ssh the names that a repository writes into its .gitmodules."""
    ssh = ssh_that_says(tmp_path, "OpenSSH_9.2", *SETTINGS, setting)
    assert split_prompt("(alice@bank) x@web) ") == ("alice", "bank", "x@web) ")
    with pytest.raises(Refused, match="the asking host is unknown"):
        find_target("alice", "bank", ssh, ["-p", "22", "web"])


@pytest.mark.parametrize(("one", "other", "same"), [
    ("web", "web", True), ("web", "web.example.org", True), ("web.example.org", "web", True),
    ("web", "web2.example.org", False), ("web.example.org", "web.example.com", False),
    ("192", "192.0.2.1", False), ("192.0.2.1", "192.0.2.1", True), ("2001", "2001:db8::1", False),
    ("example", "web.example.org", False), ("", "web", False),
])  # fmt: skip
def test_when_names_mean_the_same_host(one: str, other: str, same: bool) -> None:
    assert same_host(one, other) is same


@pytest.mark.parametrize("host", ["", "a b", "-x", "a/b", "web\n", "w\u0435b", "[::1"])
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(CommandError):
        parse_host(host)


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pins:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return Pins()


def message(
    user: str = "alice", host: str = "web", signer: str = "", unknown: str = "",
    service: str = "sshd",
) -> OpenedChallenge:  # fmt: skip
    text = f"trex user={user} host={host} service={service} from=- until=2026-11-22T07:17:36Z"
    asks = parse_context(text)
    assert asks
    return OpenedChallenge(asks, "x" * 10, signer, unknown)


FILES: dict[Callable[[], object], str] = {
    Pins: "pins",
    Names: "names",
    Services: "services",
    partial(LoginKeys, ask_at_terminal): "keys",
}


@settings(deadline=None)  # the machine may be busy
@given(st.binary(max_size=200) | st.text("web A#\n\t", max_size=90).map(str.encode))
def test_any_file_is_read_or_refused_by_its_name(content: bytes) -> None:
    with TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", directory)
        for kind, name in FILES.items():
            file = Path(directory, "trex", name)
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
            try:
                kind()
            except TrexError as error:
                assert str(error).startswith(f"{file}:")
            assert file.read_bytes() == content


def test_only_the_pinned_key_may_sign(pins: Pins) -> None:
    named, by_address = Target("alice", ["web.example.org"]), Target("alice", ["192.0.2.1"])
    check_signer(message(), named, pins)
    pins.add("web.example.org", KEY)
    check_signer(message(signer=KEY), named, pins)
    for other in (message(), message(signer=OTHER), message(unknown="1234")):
        for target in (named, by_address, ANYWHERE):
            with pytest.raises(Refused):
                check_signer(other, target, pins)
    check_signer(message(host="mail"), Target("alice", ["mail.example.org"]), pins)


def test_a_pin_under_a_name_that_was_confirmed_for_ssh_counts_for_what_is_pasted(
    pins: Pins,
) -> None:
    pins.add("192.0.2.7", KEY)
    names = Names()
    check_pasted(message(), names, pins)
    names.confirm("alice@[192.0.2.7]:2222", "alice@web")
    for known in (names, Names()):
        check_pasted(message(signer=KEY), known, pins)
        check_pasted(message(host="mail"), known, pins)
        with pytest.raises(Refused, match="NOT SIGNED"):
            check_pasted(message(), known, pins)
    pins.add("web", OTHER)
    for signer in (KEY, OTHER):
        check_pasted(message(signer=signer), names, pins)


@pytest.mark.parametrize("host", ["b\xfccher.example", "web+1", "a b", "web#", "Web"])
def test_no_pin_is_written_that_would_have_the_file_refused(pins: Pins, host: str) -> None:
    with pytest.raises(CommandError, match="cannot be pinned"):
        pins.add(host, KEY)
    assert Pins().by_host == {}


def test_where_the_port_is_unknown_a_key_of_one_of_the_host_s_pins_signs(pins: Pins) -> None:
    pins.add("[web.example.org]:2222", KEY)
    pins.add("[web.example.org]:2022", OTHER)
    for target in (ANYWHERE, Target("alice", ["web.example.org"], "")):
        for signer in (KEY, OTHER):
            check_signer(message(signer=signer), target, pins)
        for signer in ("", "C" * 40):
            with pytest.raises(Refused):
                check_signer(message(signer=signer), target, pins)
    at = {port: Target("alice", ["web.example.org"], port) for port in ("22", "2022", "2222")}
    check_signer(message(), at["22"], pins)
    check_signer(message(signer=KEY), at["2222"], pins)
    with pytest.raises(Refused):
        check_signer(message(signer=KEY), at["2022"], pins)


def test_two_at_once_cannot_pin_two_keys_for_a_host(pins: Pins) -> None:
    other = Pins()
    pins.add("web", KEY)
    with pytest.raises(StoreError, match="web was added meanwhile"):
        other.add("web", OTHER)
    assert Pins().by_host == {"web": KEY}


def test_a_pin_for_the_very_name_comes_before_one_that_may_mean_it(pins: Pins) -> None:
    pins.add("web", KEY)
    pins.add("web.example.org", OTHER)
    pins.add("[web.example.org]:2222", KEY)
    assert pins.expected(["web.example.org"], "22") == {OTHER}
    assert pins.expected(["web.example.com"], "22") == {KEY}
    assert pins.exact(["web.example.com"], "22") == set(), "it demands, and settles nothing"
    assert pins.expected(["web.example.org"], "2222") == {KEY}
    assert pins.expected(["web.example.org"], "") == {KEY, OTHER}
    assert pins.expected(["mail"], "22") == set()
    assert Pins().by_host == pins.by_host


def test_a_short_pin_with_a_port_counts_for_that_port_alone(pins: Pins) -> None:
    pins.add("[web]:2222", KEY)
    for port, expected in (("2222", {KEY}), ("", {KEY}), ("22", set()), ("2022", set())):
        assert pins.expected(["web.example.org"], port) == expected


class Judged:
    """What the user is asked about a message."""

    def __init__(self, pins: Pins) -> None:
        self.pins, self.names, self.services = pins, Names(), Services()

    def __call__(self, one: OpenedChallenge, target: Target) -> list[str]:
        return [doubt.reason for doubt in self._doubts(one, target)]

    def confirm(self, one: OpenedChallenge, target: Target) -> None:
        for doubt in self._doubts(one, target):
            doubt.remember()

    def _doubts(self, one: OpenedChallenge, target: Target) -> list[Doubt]:
        return list(doubts(one, target, self.names, self.services, self.pins))


@pytest.fixture
def judged(pins: Pins) -> Judged:
    return Judged(pins)


def test_another_name_is_doubted_until_it_is_confirmed(judged: Judged, pins: Pins) -> None:
    target = Target("alice", ["192.0.2.7", "gate"], "2222")
    assert ssh_name(target) == "alice@[192.0.2.7]:2222"
    assert judged(message(host="GATE"), target) == []
    assert "the host web" in judged(message(), target)[0]
    assert "the user bob" in judged(message(user="bob", host="gate"), target)[0]
    judged.confirm(message(), target)
    for known in (judged, Judged(pins)):
        assert known(message(), target) == []
        assert known(message(host="mail"), target)
        assert known(message(), Target("bob", target.hosts, "2222"))
        assert known(message(), Target("alice", target.hosts))


def test_a_bare_name_is_another_than_the_full_one_until_it_is_confirmed(judged: Judged) -> None:
    target = Target("alice", ["web.example.org"])
    assert "the host web, but ssh goes to web.example.org" in judged(message(), target)[0]
    assert judged(message(host="web.example.org"), Target("alice", ["web"]))
    assert judged(message(host="web.example.org"), target) == []
    judged.confirm(message(), target)
    assert judged(message(), target) == []
    assert judged(message(), Target("alice", ["web.example.com"]))


def test_another_service_is_doubted_until_it_is_confirmed_for_that_host(judged: Judged) -> None:
    target = Target("alice", ["web"])
    theirs = message(service="trex-sshd")
    for service in ("trex-sshd", "login", "sshd*", "SSHD", "%73shd"):
        assert "the PAM service " in judged(message(service=service), target)[0]
    judged.confirm(theirs, target)
    for known in (judged, Judged(judged.pins)):
        assert known(theirs, target) == []
        assert known(message(service="trex-sshd2"), target)
        assert known(theirs, Target("alice", ["web"], "2222"))
        assert known(message(host="mail", service="trex-sshd"), Target("alice", ["mail"]))


@pytest.mark.parametrize(
    "service",
    ["sudo", "sudo-i", "su", "su-l", "doas", "polkit-1", "runuser", "runuser-l"],  # Debian's names
)
def test_a_service_that_raises_rights_is_none_of_ssh_s(judged: Judged, service: str) -> None:
    check_service(message())
    check_service(message(service="trex-sshd"))
    judged.services.allow("web", service)
    with pytest.raises(Refused, match=f"this challenge is for {service}"):
        check_service(message(service=service))


def test_a_key_of_another_host_is_doubted_whatever_names_are_confirmed(
    judged: Judged, pins: Pins
) -> None:
    pins.add("web.example.org", KEY)
    pins.add("web", OTHER)
    target = Target("alice", ["web.example.com"])
    judged.names.confirm(ssh_name(target), "alice@web")
    assert "pinned for web.example.org, not for" in judged(message(signer=KEY), target)[0]
    assert "pinned for web, not for web.example.com" in judged(message(signer=OTHER), target)[0]
    assert judged(message(signer="C" * 40), target) == []
    judged.confirm(message(signer=OTHER), target)
    assert judged(message(signer=OTHER), target) == []
    assert pins.by_host["web.example.com"] == OTHER
