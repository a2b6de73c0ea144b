"""Many logins: one after another, at once, and refused ones; nothing may be left of them."""

from __future__ import annotations

import re
import resource
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import sandbox
from tests.support.sshd import Sshd, answering

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from concurrent.futures import Future
    from subprocess import CompletedProcess

    from matplotlib.axes import Axes

    from benchmarks.host import Host
    from benchmarks.report import Report
    from tests.support.keys import Holder

LOGINS = 1000
AT_ONCE, WITH_PAGES = 100, 32
REFUSED = 10_000
FIRST = 99  # attempts after which its growth is counted
# The service, and the growth in kB: pam_python leaves libpython's memory (docs/architecture.md).
DOORS = {"pam_trex.so": ("bench-trex-native", 100), "pam_python": ("bench-trex", REFUSED * 1000)}
STEP = 4
LEFT_SECONDS = 10
OPEN_SECONDS = 300
CLIENTS = ("ssh", "askpass", "sleep")  # not the server's
PRIVATE = re.compile(r"^Private_(?:Clean|Dirty): +(\d+)", re.MULTILINE)
# Keeps the prompt open until all are, then answers.
WAITING = """\
#!/bin/sh
printf %s "$1" > {directory}/prompt-$PPID
until [ -e {directory}/go ]; do sleep 0.1; done
printf %s "$1" | {command}
"""


class Left:
    """What is there before, to be compared with what is there after."""

    def __init__(self, server: Sshd) -> None:
        self._server = server.process.pid
        self._processes = set(sandbox.processes_here())
        self._ports = sandbox.listening_ports()
        self._files = sandbox.stray_files()
        self.kb = self.resident()

    def resident(self) -> int:
        """Return the memory of sshd's listener, in kB."""
        status = Path(f"/proc/{self._server}/status").read_text(encoding="utf-8")
        found = re.search(r"^VmRSS:\s+(\d+)", status, re.MULTILINE)
        return int(found[1]) if found else 0

    def nothing(self) -> bool:
        """Tell whether everything is as it was, within a few seconds."""
        deadline = time.monotonic() + LEFT_SECONDS
        while time.monotonic() < deadline:
            if (
                set(sandbox.processes_here()) <= self._processes
                and sandbox.listening_ports() <= self._ports
                and sandbox.stray_files() <= self._files
            ):
                return True
            time.sleep(0.1)
        return False


def measure(host: Host, rounds: int, report: Report) -> bool:  # noqa: ARG001 (all parts alike)
    """Log in many times, and tell whether all went well."""
    server = Sshd("bench-trex")
    try:
        left = Left(server)
        good = [_one_after_another(host, server, report), _at_once(host, server, report)]
        report.text(f"sshd's listener: {left.kb} kB before, {left.resident()} kB after.")
        good.append(left.nothing())
        report.text(f"Processes, ports and files left: {'none' if good[-1] else 'SOME'}.")
    finally:
        server.close()
    good += [_refused(host, report, name, *door) for name, door in DOORS.items()]
    return all(good)


def _one_after_another(host: Host, server: Sshd, report: Report) -> bool:
    directory = host.place / "one"
    directory.mkdir()
    askpass = answering(directory, host.holder, directory / "shown")
    begun = time.monotonic()
    succeeded = sum(server.log_in("cv25519", askpass, run="true").returncode == 0
                    for _ in range(LOGINS))  # fmt: skip
    took = time.monotonic() - begun
    report.text(f"{succeeded} of {LOGINS} SSH logins one after another succeeded, "
                f"{took / LOGINS * 1000:.0f} ms each.")  # fmt: skip
    return succeeded == LOGINS


def _at_once(host: Host, server: Sshd, report: Report) -> bool:
    """Open many prompts, those with pages last; answer all of them only then."""
    directory = host.place / "at-once"
    directory.mkdir(mode=0o777)
    askpass = waiting(directory, host.holder)
    before = set(sandbox.processes_here())
    log_in = partial(server.log_in, askpass=askpass, run="true", seconds=OPEN_SECONDS)
    logins: list[Future[CompletedProcess[str]]] = []
    cost: dict[int, float] = {}
    begun = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for number in range(0, AT_ONCE, STEP):
            user = "cv25519" if number < AT_ONCE - WITH_PAGES else "page-made"
            logins += [pool.submit(log_in, user) for _ in range(STEP)]
            prompts = await_prompts(directory, logins)
            cost[len(prompts)] = private_mb(set(sandbox.processes_here()) - before)
        opened = time.monotonic() - begun
        pages = sum("The same as a QR code: " in path.read_text() for path in prompts)
        (directory / "go").touch()
        succeeded = sum(login.result().returncode == 0 for login in logins)
    report.text(f"{len(prompts)} prompts were open at once, {pages} of them with pages, after "
                f"{opened:.0f} s; {succeeded} of {AT_ONCE} logins succeeded.")  # fmt: skip
    report.picture("load", "Private memory and open prompts", partial(_draw, cost=cost))
    return (len(prompts), pages, succeeded) == (AT_ONCE, WITH_PAGES, AT_ONCE)


def waiting(directory: Path, holder: Holder) -> Path:
    """Return an askpass program that keeps its prompt open until there is `directory`/go."""
    askpass = directory / "askpass"
    askpass.write_text(WAITING.format(directory=directory, command=holder.command()))
    askpass.chmod(0o755)
    return askpass


def await_prompts(directory: Path, logins: Sequence[Future[CompletedProcess[str]]]) -> list[Path]:
    """Return what each login was asked, once all were, or one of them has failed."""
    while len(prompts := list(directory.glob("prompt-*"))) < len(logins):
        if any(login.done() for login in logins):
            break
        time.sleep(0.1)
    return prompts


def private_mb(processes: Collection[int]) -> float:
    """Return what the server's processes have for themselves: sshd's, gpg's and the pages'."""
    kb = 0
    for process in processes:
        place = Path("/proc", str(process))
        try:
            if (place / "comm").read_text().strip() not in CLIENTS:
                kb += sum(map(int, PRIVATE.findall((place / "smaps_rollup").read_text())))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return kb / 1024


def _draw(axes: Axes, cost: dict[int, float]) -> None:
    axes.plot(list(cost), list(cost.values()), marker="o")
    axes.axvline(AT_ONCE - WITH_PAGES, linestyle=":", color="grey")
    axes.annotate("from here on with pages", (AT_ONCE - WITH_PAGES, 0), rotation=90, color="grey",
                  xytext=(-12, 8), textcoords="offset points")  # fmt: skip
    axes.set(xlabel="open prompts", ylabel="MB", ylim=(0, None))


def _refused(host: Host, report: Report, name: str, service: str, most_kb: int) -> bool:
    """Refuse many times in one process, as a flood of attempts would have it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [host.client, "--times", str(REFUSED), "--memory", service, "cv25519"],
        capture_output=True, check=False, env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = sandbox.Asked(done.stdout.decode(), "")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    resident = asked.numbers("resident-kb")
    growth = resident[-1] - resident[FIRST]
    refused = asked.verdicts.count("PAM_AUTH_ERR")
    report.text(f"{refused} of {REFUSED} attempts through {name} were refused, in one process: "
                f"{cpu / REFUSED * 1000:.1f} ms of processor time each, gpg's included. It grew by "
                f"{growth} kB in all after the first {FIRST} (at most {most_kb}).")  # fmt: skip
    return refused == REFUSED and growth <= most_kb
