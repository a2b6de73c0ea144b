"""The content of a message: it cannot make gpg ask for its passphrase, or work for minutes."""

from __future__ import annotations

import resource
import signal
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.armor import armored
from tests.support.hostile import CHALLENGE, context, encrypt, gpg_bytes
from tests.support.sandbox import processes_here

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.hostile import Hostile
    from tests.support.keys import Holder

MEGABYTE = 1 << 20
COMPRESSED, TEXT = b"\xa3\x01", b"\xafb\0\0\0\0\0"  # ZIP, and a literal packet; both to the end
MOST = 60  # seconds of processor time, for everything that the client starts; without limits it takes more


def sealed(holder: Holder, to: str, content: bytes) -> str:
    """Return a message with these packets in it."""
    return armored(
        gpg_bytes(holder, content, "--encrypt", "-z0", "--no-literal", "--recipient", to)
    )


def test_a_layer_with_a_passphrase_inside_makes_no_pinentry_appear(
    hostile: Hostile, laptop: Client, holder: Holder, to: str
) -> None:
    laptop.use_pinentry(laptop.write_pinentry(f"touch {laptop.home}/asked; echo ERR 83886179 no"))
    inside = gpg_bytes(holder, CHALLENGE, "--symmetric", "--passphrase", "x", "--set-filename",
                       context())  # fmt: skip
    compressed = COMPRESSED + deflated(inside)
    answers, shown = hostile.ask_each(
        laptop, *(sealed(holder, to, c) for c in (inside, compressed))
    )
    assert answers == ["", ""]
    assert shown.count("trex: error: ") == 2
    done = laptop.run("trex", "respond", stdin=sealed(holder, to, inside).encode())
    assert (done.returncode, done.stdout) == (1, "")
    assert not (laptop.home / "asked").exists()


def run_gpg(laptop: Client, message: bytes, seconds: int = 300) -> str:
    """Make the client's gpg decrypt; return how it ended, and whether it asked for a passphrase."""
    program = (
        "import sys; sys.path.insert(0, '/run/trex/module')\n"
        "from trex.cli.client.gpg import DECRYPT, UserGpg\n"
        f"opened = UserGpg().run_decrypt(sys.stdin.buffer.read(), DECRYPT[1:], {seconds})\n"
        "print(opened.returncode, 'NEED_PASSPHRASE_SYM' in opened.said)"
    )
    done = laptop.run("/usr/bin/python3", "-B", "-c", program, stdin=message, seconds=seconds)
    return done.stdout or done.stderr


def test_gpg_ends_where_it_wants_a_passphrase_for_a_message(laptop: Client, holder: Holder) -> None:
    """gpg's own limit, in case such a packet gets past the checks before it."""
    laptop.use_pinentry(laptop.write_pinentry(f"touch {laptop.home}/asked"))
    laptop.account.run("gpg", "--list-secret-keys")
    message = gpg_bytes(holder, CHALLENGE, "--symmetric", "--passphrase", "x")
    assert run_gpg(laptop, message) == f"{-signal.SIGKILL} True\n"


def bomb() -> bytes:
    """Return a few KB that would keep gpg busy for hours: two TB, compressed three times."""
    first, megabyte = flushed(TEXT + bytes(MEGABYTE)), flushed(bytes(MEGABYTE))
    gigabytes = flushed(COMPRESSED + first) + flushed(megabyte * 1000) * 2000
    inside = COMPRESSED + deflated(COMPRESSED + gigabytes)
    assert len(inside) < 30_000
    return inside


def test_a_message_that_keeps_gpg_busy_is_refused(laptop: Client, holder: Holder, to: str) -> None:
    """What it says is for SIGXCPU: gpg has a few seconds of processor time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    done = laptop.run("trex", "respond", stdin=sealed(holder, to, bomb()).encode(), seconds=300)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < MOST
    assert (done.returncode, done.stdout) == (1, "")
    assert "gpg was stopped: this message takes more work than a challenge" in done.stderr


def test_the_agent_has_no_such_limits(laptop: Client, holder: Holder, to: str) -> None:
    """It runs longer than gpg, and everything that uses it would end with it."""
    laptop.account.end_daemons()
    assert laptop.run("trex", "respond", stdin=encrypt(holder, to).encode()).returncode == 0
    pid = laptop.account.run("gpg-connect-agent", "getinfo pid", "/bye").decode().split()[1]
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    assert limits == Path("/proc/self/limits").read_text().splitlines()


def test_a_gpg_that_has_limits_starts_no_agent(laptop: Client, holder: Holder, to: str) -> None:
    """Also if the agent has ended since the keys were listed."""
    laptop.account.end_daemons()
    message = gpg_bytes(holder, CHALLENGE, "--encrypt", "--recipient", to)
    assert run_gpg(laptop, message) == "2 False\n"
    assert not any("gpg-agent" in name and "laptop" in name for name in processes_here().values())


def deflated(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush()


def flushed(content: bytes) -> bytes:
    """Return a part of a stream that can be repeated any number of times."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(content) + compressor.flush(zlib.Z_FULL_FLUSH)
