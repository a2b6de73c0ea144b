"""Central mode with many users: one keyring for all, one for each, and a key file for each."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from typing import TYPE_CHECKING

from benchmarks.keyring import keybox, public_key
from benchmarks.report import spread
from tests.support import sandbox

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.host import Host
    from benchmarks.report import Report

COUNTS = (1, 100, 1000, 10_000)
WAYS = ("one keyring", "a keyring each", "a key file each")
ROUNDS = 40  # at most
LIMIT = 1.2  # with the most records, a keyring or key file for each, over one record
USER = "cv25519"


def measure(host: Host, rounds: int, report: Report) -> bool:
    """Measure, report, and tell whether there is a way that does not grow with the users."""
    subprocess.run(["useradd", "--system", "--user-group", "--home-dir", "/var/empty", "_trex"],
                   check=True, capture_output=True)  # fmt: skip
    own = host.holder.public(host.keys[USER])
    others = [public_key(f"user{number}@example.org") for number in range(max(COUNTS) - 1)]
    services = {
        (ways, count): _host_with(host, ways, own, others[: count - 1])
        for count in COUNTS
        for ways in WAYS
    }
    figures: dict[tuple[str, int], list[float]] = {which: [] for which in services}
    for number in range(min(rounds, ROUNDS) + 1):
        for which, service in services.items():
            took = host.ask(service, USER).numbers("prompt-us")[0] / 1000
            if number:
                figures[which].append(took)
    middle = {which: statistics.median(values) for which, values in figures.items()}
    rows = [
        [str(count), *(_cell(figures[way, count], middle[way, 1]) for way in WAYS)]
        for count in COUNTS
    ]
    columns = ["users", "one keyring for all", "`gnupg_home=.../%u`", "a key file each"]
    report.table(
        "Time to the prompt in central mode, in ms, and over that with one user", columns, rows
    )
    report.picture(
        "central", "Time to the prompt and number of users", lambda axes: _draw(axes, middle)
    )
    return all(middle[way, max(COUNTS)] / middle[way, 1] <= LIMIT for way in WAYS[1:])


def _cell(values: list[float], with_one: float) -> str:
    return f"{spread(values)}, {statistics.median(values) / with_one:.2f}"


def _draw(axes: Axes, middle: dict[tuple[str, int], float]) -> None:
    for ways in WAYS:
        axes.plot(COUNTS, [middle[ways, count] for count in COUNTS], marker="o", label=ways)
    axes.set(xscale="log", xlabel="users", ylabel="ms", ylim=(0, None))
    axes.legend(frameon=False)


def _host_with(host: Host, ways: str, own: bytes, others: list[bytes]) -> str:
    """Make records and keyrings; return the PAM service that uses them."""
    service = f"central-{ways.replace(' ', '-')}-{len(others) + 1}"
    place = host.place / service
    users, rings = place / "users", place / "gnupg"
    users.mkdir(parents=True)
    rings.mkdir(mode=0o700)
    for user in (USER, *(f"user{number}" for number in range(len(others)))):
        name = f"{rings}/{user}.pgp" if ways == "a key file each" else host.keys[USER]
        (users / user).write_text(f"{name} trust nosign\n")
    if ways == "one keyring":
        keybox(rings / "pubring.kbx", b"".join([*others, own]))
    elif ways == "a key file each":
        for user, one in ((USER, own), *((f"user{n}", key) for n, key in enumerate(others))):
            (rings / f"{user}.pgp").write_bytes(one)
    else:
        for user, key in ((USER, own), *((f"user{n}", key) for n, key in enumerate(others))):
            _ring(rings / user, key, rings / USER)
    for directory in (users, rings):
        subprocess.run(["chown", "--recursive", "_trex:_trex", directory], check=True)
    home = f"{rings}/%u" if ways == "a keyring each" else rings
    return sandbox.trex_service(
        service, f"auth_file={users}/%u", f"gnupg_home={home}", "run_as=_trex"
    )


def _ring(home: Path, key: bytes, first: Path) -> None:
    """Make one user's own keyring; beside the first it is the size that counts, not the key."""
    home.mkdir(mode=0o700)
    if home == first:
        keybox(home / "pubring.kbx", key)
    else:
        shutil.copy(first / "pubring.kbx", home)
