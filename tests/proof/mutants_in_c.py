"""Take each check and each act out of native/pam_trex.c in turn, and see whether a test notices.

    sudo python3 -m tests.proof.mutants_in_c [--only FUNCTION] [--workers N]

As tests/proof/mutants.py does for the modules in Python: in a copy of the checkout, in a PID
namespace. Conditions lose a part or are false, calls for their effect and the numbers of calls in tables
are left out, and tests/proof/changes_in_c.py has what cannot be found so: flags, entries of other tables,
words of the helper's command line.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.proof.changes_in_c import SOURCES
from tests.proof.checkout import ROOT, copy_checkout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.proof.changes_in_c import Source

COPIED = ("trex", "tests", "fuzz", "fixtures", "native", "script", "pyproject.toml", "pam_trex.py")


class Mutant(NamedTuple):
    """One change: in which source, function and line, what it does, and the text with it."""

    source: Source
    function: str
    line: int
    change: str
    text: str


def mutants(source: Source, text: str) -> Iterator[Mutant]:
    """Return every mutant. Raises LookupError for what `source` names and the text has not."""
    found = functions(text)
    if unknown := {*source.changes, *source.tests} ^ {*found, *source.changes}:
        raise LookupError(f"functions that are not known alike: {sorted(unknown)}")
    for name, (begin, end) in found.items():
        listed = source.changes.get(name, [])
        for start, stop, new in [*_acts(text, begin, end), *_conditions(text, begin, end),
                                 *_numbers(text, begin, end), *_listed(text, name, listed, begin, end)]:  # fmt: skip
            told = f"{' '.join(text[start:stop].split())} -> {new or 'nothing'}"
            line = text.count("\n", 0, start) + 1
            yield Mutant(source, name, line, told, text[:start] + new + text[stop:])


def functions(text: str) -> dict[str, tuple[int, int]]:
    """Return where each function's body begins and ends; not of one that each machine has for itself."""
    pattern = r"^(?:__attribute__\(\(used\)\) )?(?:static|PAM_EXTERN)[^;{}()=]*?(\w+)\([^{};]*\)\n\{\n(.*?)^\}\n"
    every = list(re.finditer(pattern, text, re.MULTILINE | re.DOTALL))
    names = [found[1] for found in every]
    return {found[1]: found.span(2) for found in every if names.count(found[1]) == 1}


def _acts(source: str, begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Leave out each statement that is a call, or an assignment to what was there before."""
    act = re.compile(
        r"(?<=[;{})/]\n)\s+((?:\w+\([^;]*\)|[\w>.\[\]-]*[>.\]][\w>.\[\]-]* = [^;]*));", re.DOTALL
    )
    position = begin
    while found := act.search(source, position, end):
        if not re.match(r"(return|if|for|while|switch)\b", found[1]):
            yield (*found.span(1), "")
        position = found.end()


def _conditions(source: str, begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Make each condition false, and each part of one that is an `or`."""
    for found in re.finditer(r"\bif \(", source[begin:end]):
        start = begin + found.end()
        stop = closing(source, start)
        yield start, stop, "0"
        cuts = list(cuts_at(source, start, stop, "||"))
        if cuts:
            starts, stops = [start, *(cut + 2 for cut in cuts)], [*cuts, stop]
            yield from ((a, b, " 0 ") for a, b in zip(starts, stops, strict=True))


def closing(source: str, start: int) -> int:
    """Return where the parenthesis ends that has begun before `start`."""
    depth = 1
    for position in range(start, len(source)):
        depth += {"(": 1, ")": -1}.get(source[position], 0)
        if depth == 0:
            return position
    raise LookupError("a parenthesis has no end")


def cuts_at(source: str, start: int, stop: int, operator: str) -> Iterator[int]:
    """Return where the operator stands between, in no parentheses."""
    depth = 0
    for position in range(start, stop):
        depth += {"(": 1, ")": -1}.get(source[position], 0)
        if depth == 0 and source.startswith(operator, position):
            yield position


def _numbers(text: str, begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Leave out each number of a system call that stands in a table."""
    for table in re.finditer(r"\[\] = \{(.*?)\};", text[begin:end], re.DOTALL):
        for found in re.finditer(r"\b__NR_\w+,?", table[1]):
            offset = begin + table.start(1)
            yield offset + found.start(), offset + found.end(), ""


def _listed(
    text: str, name: str, changes: list[str], begin: int, end: int
) -> Iterator[tuple[int, int, str]]:
    for change in changes:
        old, _, new = change.partition(" -> ")
        if text.count(old, begin, end) != 1:
            raise LookupError(f"{name} has {old!r} {text.count(old, begin, end)} times")
        start = text.index(old, begin, end)
        yield start, start + len(old), new


def survives(mutant: Mutant, place: Path) -> str:
    """Run the tests with a mutant in place; return how they end if none fails, or ""."""
    path = place / mutant.source.path
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.text, encoding="utf-8")
    try:
        if not compiles(mutant.source, place):
            return ""  # what no compiler takes is noticed
        return run_tests(place, mutant.source.tests[mutant.function], mutant.source.seconds)
    finally:
        path.write_text(original, encoding="utf-8")


def compiles(source: Source, place: Path) -> bool:
    """Tell whether the compiler takes it, with all warnings but for what is unused."""
    done = subprocess.run(source.command, cwd=place, check=False, capture_output=True)
    return done.returncode == 0


def run_tests(place: Path, tests: tuple[str, ...], seconds: float) -> str:
    """Return "passed" or "late", or "" if a test has failed; nothing outlives the namespace."""
    run = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
         "/usr/bin/python3", "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return "passed" if run.wait(seconds) == 0 else ""
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        return ""  # a test that never ends has failed


def _survivors(share: list[Mutant], place: Path) -> list[Mutant]:
    left = []
    for number, mutant in enumerate(share):
        sys.stdout.write(f"{number} of {len(share)}\n" if number % 10 == 0 else "")
        if survives(mutant, place):
            left.append(mutant)
            sys.stdout.write(
                f"  {mutant.source.path}:{mutant.line}: {mutant.function}: {mutant.change}\n"
            )
        sys.stdout.flush()
    return left


def _copy(place: Path) -> Path:
    copy_checkout(place, COPIED)
    flags = place / "native/flags"  # what a mutant leaves unused is no reason to fail
    flags.write_text(flags.read_text(encoding="utf-8") + "-Wno-unused\n", encoding="utf-8")
    script = place / "script/confine"
    options = script.read_text(encoding="utf-8")
    script.write_text(options.replace(" -Werror\n", " -Werror -Wno-unused\n"), encoding="utf-8")
    return place


def main() -> int:
    """Run them all and print what survived."""
    parser = argparse.ArgumentParser(description="mutation testing of what is in C")
    every = {source.path: source for source in SOURCES}
    parser.add_argument("--source", choices=every, action="append")
    parser.add_argument(
        "--only", choices=[name for one in SOURCES for name in one.tests], action="append"
    )
    parser.add_argument("--workers", type=int, default=2)
    wanted = parser.parse_args()
    broken = [
        mutant for path in wanted.source or every
        for mutant in mutants(every[path], (ROOT / path).read_text(encoding="utf-8"))
        if not wanted.only or mutant.function in wanted.only
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="trex-mutants-") as temporary:
        places = [_copy(Path(temporary) / str(number)) for number in range(wanted.workers)]
        tests = tuple(
            dict.fromkeys(chain.from_iterable(one.source.tests[one.function] for one in broken))
        )
        if not run_tests(places[0], tests, sum(one.seconds for one in SOURCES)):
            raise SystemExit("the tests fail by themselves")
        with get_context("fork").Pool(wanted.workers) as pool:
            shares = [(broken[n :: len(places)], place) for n, place in enumerate(places)]
            left = list(chain.from_iterable(pool.starmap(_survivors, shares, chunksize=1)))
    sys.stdout.write(f"{len(broken)} mutants, {len(left)} survived\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
