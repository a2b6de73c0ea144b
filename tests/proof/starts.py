"""`trex activate sshd` under a real systemd: its timer, a crash of the host, and what is confirmed.

    sudo python3 -m tests.proof.starts

A copy of this host's file system (an overlay, which vanishes) is started with systemd-nspawn, Debian's
systemd-container, without a network. It takes a minute, and a kernel that systemd can use in there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PROJECT = Path(__file__).resolve().parents[2]
UNSHARED = "--unshared"
SECONDS = 90
PAM = "/etc/pam.d/sshd"
ACTIVATE = "trex activate sshd --yes --anyway"
# What `trex confirm` does after it has found the login that it believes.
KEEP = """
import sys; sys.path.insert(0, "/usr/lib/trex-pam/current")
from trex.cli.activation import confirm, plan
confirm._keep(plan.read_plans(plan.PENDING)[0], "alice")
"""


class Machine:
    """A host that can be started, asked, and crashed."""

    def __init__(self, place: Path) -> None:
        self.root = place / "root"
        for name in ("root", "upper", "work"):
            (place / name).mkdir()
        layers = f"lowerdir=/,upperdir={place}/upper,workdir={place}/work"
        subprocess.run(["mount", "-t", "overlay", "starts", "-o", layers, self.root], check=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.init = 0

    def start(self) -> None:
        """Start it, and wait until it can be asked."""
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "-D", self.root, "--register=no", "--keep-unit",
             "--private-network", f"--bind-ro={PROJECT}:/mnt", "--console=pipe", "--boot"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait(lambda: self._find_init() and self.tells("systemctl is-system-running")
             in ("running", "degraded"))  # fmt: skip

    def _find_init(self) -> bool:
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")  # type: ignore[union-attr]
        children = path.read_text().split()
        self.init = int(children[0]) if children else 0
        return bool(self.init)

    def crash(self) -> None:
        """End it as a power cut does."""
        os.kill(self.init, signal.SIGKILL)
        assert self.process
        self.process.wait(timeout=SECONDS)

    def tells(self, command: str) -> str:
        """Run a command there and return what it prints."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-r", "-w", "env", "-i",
             "PATH=/usr/sbin:/usr/bin", "HOME=/root", "LC_ALL=C.UTF-8", "sh", "-c", command],
            capture_output=True, text=True, check=False, timeout=SECONDS,
        )  # fmt: skip
        return (done.stdout + done.stderr).strip()


def wait(what: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline, f"not within {SECONDS} seconds"
        time.sleep(0.2)


def expect(what: str, found: object, expected: object) -> None:
    """Print a line; raise AssertionError for another result."""
    assert found == expected, f"{what}: expected {expected}, found {found}"
    sys.stdout.write(f"{what}: {found}\n")
    sys.stdout.flush()


def state(machine: Machine) -> str:
    return "on" if "pam_trex" in machine.tells(f"cat {PAM}") else "off"


def units(machine: Machine) -> str:
    return machine.tells(
        "ls /etc/systemd/system /etc/systemd/system/sysinit.target.wants | grep trex"
    )


def main() -> None:
    """Switch on, wait, crash, confirm."""
    if sys.argv[1:] != [UNSHARED]:
        os.execvp(  # noqa: S606 (no shell is wanted)
            "unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, "-m",
                        "tests.proof.starts", UNSHARED])  # fmt: skip
    place = Path(mkdtemp(prefix="starts-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "starts", place], check=True)
    machine = Machine(place)
    machine.start()
    try:
        examine(machine)
    finally:
        machine.crash()
        subprocess.run(["umount", "--lazy", machine.root], check=True)
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()


def examine(machine: Machine) -> None:
    """Raise AssertionError where it is not as it should be."""
    told = machine.tells(
        "/mnt/script/install && systemctl unmask ssh && systemctl enable --now ssh"
    )
    assert machine.tells("systemctl is-active ssh") == "active", told
    listening = machine.tells("systemctl show -p MainPID ssh")

    told = machine.tells(f"{ACTIVATE} --timeout 10s")
    assert "Changed. At" in told, told
    expect("activated", state(machine), "on")
    wait(lambda: not units(machine))
    expect("after its time", state(machine), "off")
    expect("the same sshd", machine.tells("systemctl show -p MainPID ssh"), listening)

    assert "Changed. At" in machine.tells(ACTIVATE)
    expect("before a crash", state(machine), "on")
    machine.crash()
    machine.start()
    expect("after a start", state(machine), "off")
    expect("after a start, units", units(machine), "")
    stamps = [
        machine.tells(f"journalctl -b -o short-unix --no-pager {which} | head -n 1").partition(".")
        for which in ("--identifier=trex", "--unit=ssh --identifier=sshd")
    ]
    first, second = (float(before + "." + rest.partition(" ")[0]) for before, _, rest in stamps)
    order = ["taken back", "sshd listens"]
    expect("after a start, in this order", order if first < second else order[::-1], order)

    assert "Changed. At" in machine.tells(ACTIVATE)
    told = machine.tells(f"python3 -B -c '{KEEP}'")
    expect("confirming says", told, "")
    expect("confirmed, units", units(machine), "")
    machine.crash()
    machine.start()
    expect("confirmed, after a start", state(machine), "on")
    machine.tells("trex deactivate sshd --yes")
    expect("deactivated", state(machine), "off")
    expect("deactivated, units", units(machine), "")


if __name__ == "__main__":
    main()
