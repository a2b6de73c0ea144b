"""Private memory while the prompt is open: the caller's process, and the page's."""

from __future__ import annotations

import re
import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.load import await_prompts, private_mb, waiting
from tests.support import sandbox
from tests.support.page import OpenPrompt
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from benchmarks.host import Host
    from benchmarks.report import Report

ROUNDS = 5
OVER_SSH = 9  # open prompts
PAGE_KB = 16 * 1024  # at most
DRAWN_SECONDS = 2.0


def measure(host: Host, rounds: int, report: Report) -> bool:  # noqa: ARG001 (all parts alike)
    """Measure, report, and tell whether the page's process is as small as it should be."""
    caller = {
        user: statistics.median(
            host.ask(service, user, "--memory").numbers("private-dirty-kb")[0]
            for _ in range(ROUNDS)
        )
        for service, user in (("bench-bare", "rsa4096"), ("bench-trex", "cv25519"),
                              ("bench-trex", "page-made"))
    }  # fmt: skip
    bare = caller.pop("rsa4096")
    rows = [["the caller, bare module", f"{bare:.0f}"]]
    rows += [
        [f"the caller, {user}", f"{bare:.0f} + {kb - bare:.0f}"] for user, kb in caller.items()
    ]
    apart = [_apart(host) for _ in range(ROUNDS)]
    rows += [[f"pam_trex.so, {part}", f"{statistics.median(kb):.0f}"]
             for part, kb in zip(("the caller", "the helper"), zip(*apart, strict=True),
                                 strict=True)]  # fmt: skip
    pages = {
        user: statistics.median(_page(host, user) for _ in range(ROUNDS))
        for user in ("page-plain", "page-files", "page-made")
    }
    rows += [[f"the page's process, {user}", f"{kb:.0f}"] for user, kb in pages.items()]
    rows += [[f"sshd and all that it starts, for each open prompt, {user}", f"{kb:.0f}"]
             for user in ("cv25519", "page-made") for kb in [_over_ssh(host, user)]]  # fmt: skip
    report.table("Private memory while the prompt is open, in kB", ["", "kB"], rows)
    report.text(f"The page's process is to stay below {PAGE_KB} kB. Counted there are also the "
                "pages of libraries that nobody else has loaded: libcrypto's, 1 MB, are sshd's too "
                "on a host with users.")  # fmt: skip
    return max(pages.values()) < PAGE_KB


def _over_ssh(host: Host, user: str) -> float:
    """Return what one more open prompt costs, in kB, with a few of them open."""
    server = Sshd("bench-trex")
    directory = host.place / f"memory-{user}"
    directory.mkdir(mode=0o777)
    askpass = waiting(directory, host.holder)
    before = set(sandbox.processes_here())
    log_in = partial(server.log_in, askpass=askpass, run="true")
    try:
        with ThreadPoolExecutor(OVER_SSH) as pool:
            logins = [pool.submit(log_in, user)]
            await_prompts(directory, logins)
            time.sleep(DRAWN_SECONDS)
            first = private_mb(set(sandbox.processes_here()) - before)
            logins += [pool.submit(log_in, user) for _ in range(OVER_SSH - 1)]
            await_prompts(directory, logins)
            time.sleep(DRAWN_SECONDS)
            all_of_them = private_mb(set(sandbox.processes_here()) - before)
            (directory / "go").touch()
    finally:
        server.close()
    shutil.rmtree(server.directory)
    return (all_of_them - first) * 1024 / (OVER_SSH - 1)


def _page(host: Host, user: str) -> int:
    """Return what the page's process has for itself when its code is drawn."""
    login = OpenPrompt(host.client, "bench-trex", user)
    try:
        login.shown.get()
        time.sleep(DRAWN_SECONDS)
        return _private_kb(login.page_process())
    finally:
        login.close()


def _apart(host: Host) -> tuple[int, int]:
    """Return what the caller of pam_trex.so and its helper have for themselves."""
    before = set(sandbox.processes_here())
    login = OpenPrompt(host.client, "bench-trex-native", "cv25519")
    try:
        here = sandbox.processes_here()
        [helper] = [pid for pid in set(here) - before if "helper.py" in here[pid]]
        return _private_kb(login.process.pid), _private_kb(helper)
    finally:
        login.close()


def _private_kb(process: int) -> int:
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    return sum(
        int(kb) for kb in re.findall(r"^Private_(?:Clean|Dirty): +(\d+)", rollup, re.MULTILINE)
    )
