"""`trex list` with many accounts, and each way in which they are enrolled."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.keyring import keybox, public_key
from tests.support import sandbox
from tests.support.command import trex
from trex.openpgp.keyblock import blocks

if TYPE_CHECKING:
    from benchmarks.host import Host
    from benchmarks.report import Report

COUNTS = (100, 1000, 10_000)
LIMIT = 120.0  # seconds for the most accounts, however they are enrolled
FIRST_UID = 10_000
WAYS = ("nobody enrolled", "one keyring for all", "a key file each", "a keyring in each home")


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure, report, and tell whether it is quick enough. Each is measured once."""
    del rounds
    subprocess.run(["useradd", "--system", "--user-group", "--home-dir", "/var/empty", "_trex"],
                   check=False, capture_output=True)  # fmt: skip
    for service in sandbox.PAM_SERVICES.glob("bench-*"):
        service.unlink()
    keys = [public_key(f"user{number}@example.org") for number in range(max(COUNTS))]
    databases = {path: path.read_bytes() for path in map(Path, ("/etc/passwd", "/etc/group"))}
    took: dict[tuple[str, int], float] = {}
    for count in COUNTS:
        _add_accounts(count, databases)
        for way in WAYS:
            place = host.place / "listing"
            _enrol(way, place, keys[:count])
            begun = time.monotonic()
            done = trex("list", "--service", "trex-bench-list", seconds=900)
            took[way, count] = time.monotonic() - begun
            enrolled = 0 if way == WAYS[0] else count
            if enrolled and f" {enrolled} ok" not in done.stdout.splitlines()[0]:
                raise RuntimeError(done)
            shutil.rmtree(place)
    for path, content in databases.items():
        path.write_bytes(content)
    rows = [[str(count), *(f"{took[way, count]:.1f}" for way in WAYS)] for count in COUNTS]
    report.table("Time of trex list, in s", ["accounts", *WAYS], rows)
    return all(seconds <= LIMIT for seconds in took.values())


def _add_accounts(count: int, databases: dict[Path, bytes]) -> None:
    lines = {"/etc/passwd": "user{0}:x:{1}:{1}::/run/trex/listing/home/user{0}:/bin/bash\n",
             "/etc/group": "user{0}:x:{1}:\n"}  # fmt: skip
    for path, content in databases.items():
        # Without the accounts of the other measurements.
        kept = [line for line in content.decode().splitlines(keepends=True) if "/home/" not in line]
        added = (lines[str(path)].format(number, FIRST_UID + number) for number in range(count))
        path.write_text("".join([*kept, *added]))


def _enrol(way: str, place: Path, keys: list[bytes]) -> None:
    """Make records and keys, and the PAM service that uses them."""
    users, ring = place / "users", place / "gnupg"
    users.mkdir(parents=True)
    ring.mkdir(mode=0o700)
    arguments = [f"auth_file={users}/%u", f"gnupg_home={ring}", "run_as=_trex"]
    if way == "one keyring for all":
        keybox(ring / "pubring.kbx", b"".join(keys))
    for number, key in enumerate(keys if way != WAYS[0] else []):
        name = blocks(key)[0].fingerprint
        if way == "a key file each":
            name = f"{ring}/user{number}.pgp"
            Path(name).write_bytes(key)
        if way == "a keyring in each home":
            _make_home(place / f"home/user{number}", FIRST_UID + number, keys[0])
        else:
            (users / f"user{number}").write_text(f"{name} trust nosign\n")
    subprocess.run(["chown", "--recursive", "_trex:_trex", users, ring], check=True)
    by_home = way in ("nobody enrolled", "a keyring in each home")
    sandbox.trex_service("trex-bench-list", *([] if by_home else arguments))


def _make_home(home: Path, uid: int, key: bytes) -> None:
    """Make a home with a record; it is the number of keyrings that counts, not the key."""
    gnupg = home / ".gnupg"
    gnupg.mkdir(parents=True)
    ring = gnupg / "pubring.kbx"
    first = home.parent.parent / "gnupg/first.kbx"
    if not first.exists():
        keybox(first, key)
    shutil.copy(first, ring)
    (home / ".auth_gpg").write_text(f"{blocks(key)[0].fingerprint} trust nosign\n")
    for path, mode in ((home, 0o755), (gnupg, 0o700), (ring, 0o600), (home / ".auth_gpg", 0o600)):
        os.chown(path, uid, uid)
        path.chmod(mode)
