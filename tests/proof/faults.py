"""Let every system call of a login fail in turn, and write down the verdicts.

    sudo python3 -m tests.proof.faults [--variant NAME [--new]] [--sample N] [--write FILE]

Each cell of the table is one real login under tests/proof/fault.c: one system call of the process
that called PAM, or of one of its children, fails with one error, or the child is killed there.
A cell is good if nobody gets in with a wrong answer, PAM_IGNORE never comes, the login ends in
time, nothing stays (no process, no descriptor, no change to the caller), and what the login writes
is as tests/proof/cases.py says: a used code is used, and a message that was sent is counted.
"""

from __future__ import annotations

import argparse
import errno
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.proof.cases import NATIVE, VARIANTS, Cases
from tests.support import sandbox
from tests.support.codes import FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.proof.cases import Case

HERE = Path(__file__).resolve().parent
UNISTD = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
KILL = "kill"
STEPPED_ASIDE = "PAM_PERM_DENIED"  # what libpam makes of PAM_IGNORE by all modules
BROKEN_PIPE = f"ended ({128 + signal.SIGPIPE})"
RANDOM = re.compile("[0-9a-f]{32}")  # in a path
LASTING = " and so on"  # from that call on, each of its kind
SENT_AGAIN = ("sendto", "recvfrom")  # by Python, once poll(2) says that it can
ANY = ("ENOENT", "EACCES", "EIO", "ENOSPC", "EMFILE", "EAGAIN", "ENOMEM", "EINTR")
OPEN = ("ENOENT", "EACCES", "EIO", "ENOSPC", "EMFILE", "ENOMEM", "EINTR")
LOOK = ("ENOENT", "EACCES", "EIO", "ENOMEM")
NEW = ("EMFILE", "ENOMEM", "EACCES")
BECOME = ("EPERM", "EAGAIN", "ENOMEM")
# What makes sense for a call; for all others any of the eight.
ERRORS = {
    "openat": OPEN, "execve": OPEN, "newfstatat": LOOK, "readlink": LOOK, "access": LOOK,
    "getcwd": LOOK, "chdir": LOOK, "getdents64": LOOK, "listxattr": (*LOOK, "ENOTSUP"),
    "read": ("EIO", "EAGAIN", "EINTR", "ENOMEM"), "pread64": ("EIO", "EINTR", "ENOMEM"),
    "write": ("EIO", "ENOSPC", "EAGAIN", "EINTR", "EPIPE"), "close": ("EIO", "EINTR"),
    "lseek": ("EIO", "EINVAL"), "mmap": ("ENOMEM", "EACCES"), "mprotect": ("ENOMEM", "EACCES"),
    "clone": ("EAGAIN", "ENOMEM"), "fork": ("EAGAIN", "ENOMEM"), "vfork": ("EAGAIN", "ENOMEM"),
    "pipe2": NEW, "socket": NEW, "pidfd_open": NEW, "memfd_create": NEW, "dup": NEW,
    "poll": ("ENOMEM", "EINTR"), "wait4": ("EINTR", "ECHILD"),
    "setgroups": BECOME, "setresuid": BECOME, "setresgid": BECOME, "setregid": BECOME,
    "setreuid": BECOME, "prctl": ("EPERM", "EINVAL"), "setsid": ("EPERM",),
}  # fmt: skip
# These cannot fail: the kernel has no way to, or libc takes the answer for granted.
NEVER = frozenset((
    "brk", "munmap", "madvise", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
    "futex", "set_robust_list", "set_tid_address", "rseq", "arch_prctl", "restart_syscall",
    "exit", "exit_group", "umask", "getpid", "getppid", "gettid", "getuid", "geteuid", "getgid",
    "getegid", "getgroups", "getresuid", "getresgid", "getpgrp", "sched_yield", "clock_gettime", "uname",
    "alarm", "sched_getaffinity", "prlimit64", "sysinfo",
))  # fmt: skip


MOST_OF_A_LOOP, MOST_OF_A_KIND, EVERY = 4, 8, 3


class Call(NamedTuple):
    """One system call of a login: whose, the how many-th, which, with what path."""

    role: str
    at: int
    name: str
    path: str
    early: bool  # before pam_trex.py was opened: pam_python's own, and libpython's
    own: bool = False  # of a program that a child became, but Trex's, and at its work
    needed: bool = True  # whether a right answer may be refused where it fails


class Cell(NamedTuple):
    """What is tried."""

    variant: str
    call: Call
    fault: str
    right: bool = True


class Result(NamedTuple):
    """What came of it. `hit` is the call that did fail, "" if it was not reached."""

    hit: str
    verdict: str
    problems: list[str]


def system_calls() -> dict[int, str]:
    """Return the machine's numbers."""
    found = re.findall(r"^#define __NR_(\w+) (\d+)$", UNISTD.read_text(), re.MULTILINE)
    return {int(number): name for name, number in found}


class World:
    """All logins that faults are tried in, and what it takes to try one."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.names = system_calls()
        self.client = sandbox.build_pam_client(place)
        self.injector = place / "fault"
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self.injector,
                        HERE / "fault.c"], check=True)  # fmt: skip
        self.cases = Cases(place, self.client)
        self._numbers = count()

    def log_in(self, case: Case, *options: str, right: bool = True) -> tuple[list[str], str, int]:
        """Log in under the injector; return its report, the client's output, the exit status."""
        report = self.place / f"report-{next(self._numbers)}"
        case.prepare(right=right)
        done = subprocess.run(
            [self.injector, "--seconds", "40", *options, report, self.client, "--marks", "--state",
             "--descriptors", *case.options, *case.answers[right], case.service, case.user.name],
            capture_output=True, check=False, env={"PATH": "/usr/bin:/bin"}, timeout=120,
            stdin=subprocess.DEVNULL, text=True, errors="replace",
        )  # fmt: skip
        lines = report.read_text(encoding="ascii", errors="replace").splitlines()
        report.unlink()
        return lines, done.stdout, done.returncode

    def calls(self, variant: str) -> list[Call]:
        """Return all system calls of one login."""
        with self.cases.take(variant) as case:
            lines, output, _ = self.log_in(case)
            asked = sandbox.Asked(output, "")
            assert case.is_whole(asked), lines[-5:]
            assert case.spoiled(asked, asked.verdict, right=True) == []
            return self._calls(case, [line.split(" ") for line in lines])

    def _calls(self, case: Case, rows: list[list[str]]) -> list[Call]:
        entries = [number for number, row in enumerate(rows) if row[4].endswith("/pam_trex.py")]
        entry = entries[0] if entries else 0  # libpam has loaded pam_trex.so before
        calls: list[Call] = []
        places: dict[str, str] = {}  # the last path of each
        for number, (_, role, at, called, path) in enumerate(rows):
            name = self.names.get(int(called), called)
            places[role] = path or places.get(role, "")
            early = role == "login" and number < entry
            own = "x" in role and case.is_own(role, name, places[role])
            needed = ERRORS.get(name) == BECOME or case.needs(role, places[role])
            calls.append(Call(role, int(at), name, path, early, own, needed))
        return calls

    def run(self, cell: Cell) -> Result:
        """Try one cell."""
        number = str(getattr(errno, cell.fault.removesuffix(LASTING), 0))
        fault = ["--kill"] if cell.fault == KILL else ["--errno", number]
        if cell.fault.endswith(LASTING):
            fault.append("--lasting")
        place = ("--role", cell.call.role, "--at", str(cell.call.at))
        with self.cases.take(cell.variant) as case:
            lines, output, code = self.log_in(case, *place, *fault, right=cell.right)
            asked = sandbox.Asked(output, "")
            verdict = asked.verdict if "verdict" in asked.facts else f"ended ({code})"
            spoiled = case.spoiled(asked, verdict, right=cell.right)
        hits = [line.split(" ") for line in lines if line.startswith("call ")]
        hit = f"{self.names.get(int(hits[0][3]), '?')} {hits[0][4]}".strip() if hits else ""
        problems = [line for line in lines if line.startswith(("left", "late"))]
        problems += judge(asked, verdict, right=cell.right)
        absent = "/home/" in hit or cell.fault == "ENOENT" + LASTING
        if cell.variant in NATIVE and verdict == STEPPED_ASIDE and not absent:
            problems.append("the module has stepped aside")
        optional = cell.right and not (
            cell.call.needed or cell.fault == KILL or cell.fault.endswith(LASTING)
        )
        if optional and is_same(hit, cell.call) and verdict != case.verdict:
            problems.append("refused for what it can do without")
        if is_expected(cell, hit, problems):
            problems = []
        return Result(hit, verdict, [*problems, *spoiled])

    def close(self) -> None:
        """Take the accounts away."""
        self.cases.close()


def is_same(hit: str, call: Call) -> bool:
    """Tell whether the call that failed is the planned one: a login may wait a few calls longer."""
    planned = f"{call.name} {call.path}".strip()
    return RANDOM.sub("", hit) == RANDOM.sub("", planned)


def judge(asked: sandbox.Asked, verdict: str, *, right: bool) -> list[str]:
    """Return what must not be."""
    problems = []
    changed = [fact for fact in asked.facts.get("changed", []) if fact != "nothing"]
    if changed and verdict == "PAM_SUCCESS":
        problems.append("PAM_SUCCESS for a caller that was changed")
    if verdict in ("PAM_IGNORE", BROKEN_PIPE) or (verdict == "PAM_SUCCESS" and not right):
        problems.append(verdict)
    for fact in asked.facts.get("descriptors", []):
        before, after = fact.split()
        if int(after) > int(before):
            problems.append(f"descriptors {fact}")
    return [*problems, *(f"changed {fact}" for fact in changed)]


def is_expected(cell: Cell, hit: str, problems: list[str]) -> bool:
    """Tell whether a cell's problems are the experiment's own, or nobody's.

    The record is truly absent; libpam's audit leaks its socket; a wait4(2) that was not made leaves
    a zombie, and one that denies that there are children an agent; where ids can never be set again
    they stay, and so does an agent whose supervisor was killed; a helper that is told without end to
    send again waits until the module ends it, after SILENCE_MS; and a count that was off by one has
    hit a call that cannot fail.
    """
    name, _, path = hit.partition(" ")
    absent = name == "newfstatat" and path.endswith(("/.auth_gpg", FILE)) and cell.fault == "ENOENT"
    waits = problems == ["late"] and name in SENT_AGAIN and cell.fault == "EAGAIN" + LASTING
    zombie = name == "wait4" and "changed children" in problems
    orphan = cell.variant == "signed" and (cell.fault == KILL or name == "wait4")
    hopeless = cell.fault.endswith(LASTING) and ERRORS.get(name) == BECOME
    if hopeless:  # never with a verdict of success: see `judge`
        return all(problem.startswith("changed ") for problem in problems)
    if orphan and not zombie and problems:  # a risk that docs/attacks.md accepts
        return all(problem.startswith("left ") for problem in problems)
    return absent or waits or zombie or cell.call.role == "audit" or name in NEVER


def plan(calls: list[Call], variant: str, known: set[tuple[str, ...]]) -> list[Cell]:
    """Return the cells for one variant, without what is `known` from those before.

    Where others' programs run (pam_python and libpython on their way to the entry file, a gpg, the
    page's Python) there is one error for every third call, and a kill; and few of a loop's calls.
    """
    cells = []
    times: Counter[tuple[str, ...]] = Counter()
    for call in calls:
        kind = call.role, call.name, re.sub(r"\d+", "N", call.path)
        times[kind] += 1
        one = (variant if call.own else "", call.role, call.name, call.path, str(times[kind]))
        foreign = call.early or is_foreign(call)
        if call.name in NEVER or one in known or (foreign and call.at % EVERY):
            continue
        if call.role != "login" and not call.own and times[kind] > MOST_OF_A_LOOP:
            continue
        known.add(one)
        errors = ERRORS.get(call.name, ANY)
        chosen = errors[call.at // EVERY % len(errors)]
        killed = [KILL] if call.role != "login" else []
        faults = [*((chosen,) if foreign else errors), *killed]
        cells += [Cell(variant, call, fault) for fault in faults]
        if not foreign:
            cells.append(Cell(variant, call, chosen, right=False))
    return cells


def is_foreign(call: Call) -> bool:
    """Tell whether another program makes the call: one that a child became, or libpam."""
    return ("x" in call.role and not call.own) or call.role == "audit"


def plan_lasting(calls: list[Call], variant: str) -> list[Cell]:
    """Return cells in which a kind of call fails from somewhere on: descriptors or memory are out.

    Of the calls that change ids none is left out: after each the caller may be another than before.
    """
    kinds: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        if not (call.early or is_foreign(call) or call.name in NEVER):
            kinds.setdefault((call.role, call.name), []).append(call)
    cells = []
    for same in kinds.values():
        of_ids = ERRORS.get(same[0].name) == BECOME
        step = 1 if of_ids else -(-len(same) // MOST_OF_A_KIND)
        for number, call in enumerate(same[::step]):
            errors = [error for error in ERRORS.get(call.name, ANY) if error != "EINTR"]
            fault = errors[number % len(errors)] + LASTING
            cells += [Cell(variant, call, fault), Cell(variant, call, fault, right=False)]
    return cells


def whose(role: str) -> str:
    """Say in words whose call it was."""
    return {"login": "the login", "audit": "libpam's audit"}.get(
        role, "a child's program" if "x" in role else "a child"
    )


def table(results: list[tuple[Cell, Result]]) -> str:
    """Return a table in Markdown: call, fault and how often which verdict came."""
    rows: dict[tuple[str, str, str], Counter[str]] = {}
    for cell, result in results:
        if result.hit and result.hit.split(" ")[0] not in NEVER:
            key = whose(cell.call.role), result.hit.split(" ")[0], cell.fault
            answer = "" if cell.right else " (wrong answer)"
            rows.setdefault(key, Counter())[result.verdict + answer] += 1
    lines = ["| whose call | call | fault | verdicts |", "|---|---|---|---|"]
    for (role, name, fault), verdicts in sorted(rows.items()):
        told = ", ".join(f"{verdict} {number}" for verdict, number in sorted(verdicts.items()))
        lines.append(f"| {role} | `{name}` | {fault} | {told} |")
    return "\n".join(lines) + "\n"


def perform(
    world: World, cells: list[Cell], workers: int, tell: Callable[[str], None]
) -> list[tuple[Cell, Result]]:
    """Run all cells; what is bad is told at once."""
    results = []
    with ThreadPoolExecutor(workers) as pool:
        for cell, result in zip(cells, pool.map(world.run, cells), strict=True):
            results.append((cell, result))
            if result.problems:
                call = f"{cell.call.role}/{cell.call.at} {result.hit}"
                tell(f"BAD {cell.variant} right={cell.right} {call} {cell.fault}: "
                     f"{result.verdict} {result.problems}")  # fmt: skip
            if len(results) % 500 == 0:
                tell(f"{len(results)} of {len(cells)}")
    return results


def main() -> int:
    """Run the experiment; the exit status is 1 if any cell was bad."""
    parser = argparse.ArgumentParser(description="fault injection")
    parser.add_argument("--sample", type=int, help="so many cells a variant, by chance")
    parser.add_argument("--variant", choices=VARIANTS, action="append")
    parser.add_argument("--new", action="store_true", help="no call that a variant before makes")
    parser.add_argument("--lasting", action="store_true", help="only faults that last")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="where the table goes")
    wanted = parser.parse_args()

    def tell(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    sandbox.enter()
    log = sandbox.Log()
    world = World(sandbox.PLACE)
    known: set[tuple[str, ...]] = set()
    results: list[tuple[Cell, Result]] = []
    before = sandbox.stray_files(), sandbox.listening_ports()
    for variant in VARIANTS:
        if variant not in (wanted.variant or VARIANTS):
            if wanted.new:
                plan(world.calls(variant), variant, known)
            continue
        calls = world.calls(variant)
        cells = [] if wanted.lasting else plan(calls, variant, known)
        cells += plan_lasting(calls, variant)
        if wanted.sample and wanted.sample < len(cells):
            cells = random.sample(cells, wanted.sample)
        tell(f"{variant}: {len(calls)} system calls, {len(cells)} cells")
        results += perform(world, cells, wanted.workers, tell)
        log.clear()
        if wanted.write:
            wanted.write.write_text(table(results), encoding="utf-8")
    bad = [result for _, result in results if result.problems]
    left = (sandbox.stray_files() - before[0], sandbox.listening_ports() - before[1])
    tell(f"{len(results)} cells, {len(bad)} bad; left: {left}")
    tell(str(Counter(result.verdict for _, result in results)))
    world.close()
    return 1 if bad or any(left) else 0


if __name__ == "__main__":
    sys.exit(main())
