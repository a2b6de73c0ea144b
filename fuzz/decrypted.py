"""A decrypted message: its plaintext, and gpg's status lines about it."""

from __future__ import annotations

import re
import time
from urllib.parse import unquote_to_bytes

from trex.cli.client.context import MOST_AHEAD
from trex.cli.client.judge import (
    check_host_key,
    check_service,
    check_signer,
    describe,
    doubts,
    ssh_name,
)
from trex.cli.client.keyed import Keyed
from trex.cli.client.message import OpenedChallenge, read_challenge
from trex.cli.client.names import Names
from trex.cli.client.pins import Pins
from trex.cli.client.services import RAISING, Services
from trex.cli.client.target import Target
from trex.cli.errors import CannotDecrypt, Refused
from trex.openpgp.keylist import parse_status
from trex.openpgp.prompt import NOTATION

KEY, OTHER = "A" * 40, "B" * 40
RESPONSE = b"hzA8vx2i2Y"
# What gpg 2.2 and 2.4 say; lines of the data stand where the signature's stand.
STATUS = """\
[GNUPG:] ENC_TO 153B32D3564BF049 18 0
[GNUPG:] BEGIN_DECRYPTION
[GNUPG:] DECRYPTION_INFO 2 9 0
[GNUPG:] PLAINTEXT 62 1795338998 {text}
[GNUPG:] PLAINTEXT_LENGTH 11
{lines}[GNUPG:] DECRYPTION_OKAY
[GNUPG:] GOODMDC
[GNUPG:] END_DECRYPTION
"""
TEXT = "trex user=alice host=web service=sshd from=192.0.2.1 until=UNTIL"
VERDICT = rb"(GOOD|EXP|EXPKEY|REVKEY|BAD|ERR)SIG( |$)"
FIELD = r"([A-Za-z0-9._~@:\[\]-]|%[0-9A-F]{2})+(%?[0-9A-F]?\*)?"
PINS: tuple[dict[str, str], ...] = (
    {}, {"web": KEY}, {"web.example.org": OTHER, "db": KEY}, {"[web.example.org]:2222": KEY},
)  # fmt: skip


HOST_KEY = "hzA8vx2i2Y+_4711"
CONNECTIONS = ((), (HOST_KEY,), (HOST_KEY, "A" * 16), ())


class Known(Names, Services, Pins):
    """What the user has confirmed, allowed and pinned, without the files."""

    def __init__(self, pins: dict[str, str], confirmed: set[tuple[str, str]]) -> None:
        self.by_host, self.confirmed = pins, confirmed
        self.allowed = {("web.example.org", "trex-sshd")}


class Remembered(Keyed):
    """Hosts that have named their host keys before."""

    path = "hostkeys"

    def __init__(self, *hosts: str) -> None:
        self.hosts = set(hosts)


def check(data: bytes) -> None:
    """Answered only if everything docs/client.md promises is true; checked independently.

    `data` is a byte of choices, then status lines, plaintext and context, NUL between them; an
    empty one of these is a right one. UNTIL stands for a time in ten minutes.
    """
    choices, rest = (data[0], data[1:]) if data else (0, b"")
    lines, _, rest = rest.partition(b"\0")
    plaintext, _, text = rest.partition(b"\0")
    plaintext = plaintext or RESPONSE + b"\n"
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600)).encode()
    text = (text or TEXT.encode()).replace(b"UNTIL", soon)
    said = lines.replace(b"UNTIL", soon)
    if choices & 1:
        head, _, tail = STATUS.encode().partition(b"{lines}")
        said = head.replace(b"{text}", escaped(text)) + said + tail
    known = Known(PINS[choices >> 1 & 3], {("alice@web.example.org", "alice@web7")})
    keyed = Remembered(*(["web.example.org", "[192.0.2.7]:2222"] if choices >> 6 & 1 else []))
    port = "2222" if choices >> 3 & 1 else "22"
    got = CONNECTIONS[choices >> 4 & 3]
    target = Target("alice", ["web.example.org", "192.0.2.7"], port, host_keys=got)
    try:
        message = read_challenge(plaintext, parse_status(said))
        check_message(message, plaintext, said)
        check_shown(message, known, target)
        check_service(message)
        check_host_key(message, target, keyed)
        check_signer(message, target, known)
    except (Refused, CannotDecrypt) as error:
        check_error(f"{error}{error.hint}", plaintext)
        assert len(str(error)) < 300 + 20 * said.count(b"NO_SECKEY")
        return
    reasons = [one.reason for one in doubts(message, target, known, known, known)]
    assert message.context.host_keys or not keyed.hosts
    check_judged(message, reasons, known, target)


def check_message(message: OpenedChallenge, plaintext: bytes, said: bytes) -> None:
    """See to promises 1 to 4."""
    assert re.fullmatch(rb"[A-Za-z0-9]{10}\n", plaintext)
    assert message.response.encode() + b"\n" == plaintext
    assert message.response not in repr(message).replace(repr(message.context), "")
    told = [line.removeprefix(b"[GNUPG:] ") for line in said.split(b"\n")
            if line.startswith(b"[GNUPG:] ")]  # fmt: skip
    for once in (b"BEGIN_DECRYPTION", b"DECRYPTION_OKAY", b"GOODMDC", b"PLAINTEXT"):
        assert sum(line.split(b" ")[0] == once for line in told) == 1
    [escaped_name] = [line.split(b" ", 3)[3] for line in told if line.startswith(b"PLAINTEXT ")]
    text = unquote_to_bytes(escaped_name).decode("ascii")
    form = " ".join(["trex", *(f"{name}={FIELD}" for name in ("user", "host", "service", "from"))])
    assert re.fullmatch(rf"{form} until=....-..-..T..:..:..Z( hostkeys=[^ ]+)?( [a-z]+=\S+)*", text)
    named = re.search(r" hostkeys=(\S+)", text)
    assert message.context.host_keys == tuple(named[1].split(",") if named else ())
    assert all(re.fullmatch(r"[A-Za-z0-9+_]{16}", key) for key in message.context.host_keys)
    assert len(text) <= 255
    assert 0 < message.context.until.timestamp() - time.time() + 1 < MOST_AHEAD.total_seconds() + 2
    verdicts = [line for line in told if re.match(VERDICT, line)]
    if message.signer:
        check_signature(message.signer, told, verdicts, text)
    elif message.unknown_signer:
        assert len(verdicts) == 1
        assert verdicts[0].startswith(b"ERRSIG ")
        assert verdicts[0].split(b" ")[6] == b"9"
    else:
        assert not verdicts
        assert not any(line.split(b" ")[0] in (b"NEWSIG", b"VALIDSIG") for line in told)


def check_signature(signer: str, told: list[bytes], verdicts: list[bytes], text: str) -> None:
    """Check that it is good, the only one, and for this context."""
    assert len(verdicts) == 1
    assert verdicts[0].startswith(b"GOODSIG")
    assert re.fullmatch(r"[0-9A-F]{40,64}", signer)
    valid = [line for line in told if line.startswith(b"VALIDSIG ")]
    assert [line.split(b" ")[-1] for line in valid] == [signer.encode()]
    assert told.count(f"NOTATION_NAME {NOTATION}".encode()) == 1
    parts = [line.split(b" ", 1)[1] for line in told if line.startswith(b"NOTATION_DATA ")]
    assert unquote_to_bytes(b"".join(parts).replace(b" ", b"")).decode() == text


def check_judged(
    message: OpenedChallenge, reasons: list[str], known: Known, target: Target
) -> None:
    """See to promises 5 to 8."""
    ported = [f"[{host}]:{target.port}" for host in target.hosts] if target.port != "22" else []
    pinned = [known.by_host[name] for name in [*ported, *target.hosts] if name in known.by_host]
    assert not pinned or message.signer == pinned[0]
    asks = message.context
    bound = bool(target.host_keys) and {*target.host_keys} <= {*asks.host_keys}
    assert bound or not (target.host_keys and asks.host_keys)
    confirmed = (ssh_name(target), f"{asks.user}@{asks.host}") in known.confirmed
    same = asks.user == "alice" and (bound or asks.host.lower() in target.hosts)
    usual = asks.service == "sshd" or (target.host, asks.service) in known.allowed
    assert asks.service not in RAISING
    if not reasons:
        assert same or confirmed
        assert usual
        assert pinned or message.signer not in known.by_host.values()
    assert all(reason.isprintable() for reason in reasons)


def check_shown(message: OpenedChallenge, known: Known, target: Target) -> None:
    """See to it that a terminal is safe of what is shown."""
    for name, value in describe(message, target, known):
        assert name.isalpha()
        assert value.isprintable()
        assert len(value) < 1000
        asks = message.context
        named = (asks.user, asks.host, asks.service, asks.origin, *asks.host_keys)
        assert message.response not in value or any(message.response in one for one in named)


def check_error(error: str, plaintext: bytes) -> None:
    """Check that it contains no plaintext, which is what a hostile server wants."""
    assert error.isprintable()
    hidden = plaintext.decode("latin-1").strip()
    assert len(hidden) < 10 or hidden == RESPONSE.decode() or hidden not in error


def escaped(text: bytes) -> bytes:
    """Write a name as gpg does in a status line."""
    return b"".join(b"%%%02X" % octet if octet <= 32 or octet == 37 else bytes([octet])
                    for octet in text)  # fmt: skip
