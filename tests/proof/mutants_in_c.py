"""Take each check and each act out of native/pam_trex.c in turn, and see whether a test notices.

    sudo python3 -m tests.proof.mutants_in_c [--only FUNCTION] [--workers N]

As tests/proof/mutants.py does for the modules in Python: in a copy of the checkout, in a PID
namespace. Conditions lose a part or are false, calls for their effect are left out, and `CHANGES`
has what cannot be found so: flags, entries of tables, words of the helper's command line.
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

from tests.proof.checkout import ROOT, copy_checkout

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = "native/pam_trex.c"
COPIED = ("trex", "tests", "fuzz", "fixtures", "native", "script", "pyproject.toml", "pam_trex.py")
SECONDS = 600
DOOR, CALLERS, MEMORY, SU = (
    f"tests/system/login/test_native_{name}.py" for name in ("door", "callers", "memory", "su")
)
CORPUS = "tests/unit/test_fuzz.py::test_what_is_in_the_corpus_of_a_target_in_c"
OWN = tuple(f"{SU}::test_the_helper_is_root_s_own_while_the_prompt_is_open[su-{how}]"
            for how in ("limits", "nice", "slack", "signals", "umask"))  # fmt: skip
FROZEN = tuple(f"{SU}::test_a_frozen_cgroup_holds_neither_helper_nor_keeper[su-{place}]"
               for place in ("", "unified"))  # fmt: skip
CARRYING = (CORPUS, MEMORY, DOOR, CALLERS)
STARTING = (DOOR, CALLERS, *OWN)
# The tests that know a function; the first that fails is enough.
TESTS = {
    "now_ms": STARTING, "await": STARTING, "limit": OWN, "leave_the_caller": (*OWN, *FROZEN),
    "forget_handlers": STARTING, "place_descriptors": STARTING, "run_helper": STARTING,
    "keep": STARTING, "start": STARTING, "finish": STARTING, "tell": CARRYING, "converse": CARRYING,
    "verdict": CARRYING, "serve": CARRYING, "carry": CARRYING, "put": CARRYING,
    "introduce": CARRYING, "pam_sm_authenticate": CARRYING,
}  # fmt: skip
CHANGES = {
    "await": ["ready < 0 && errno == EINTR -> 0", "left > 0 ? (int)left : 0 -> -1"],
    "limit": ["both.rlim_cur = most < both.rlim_max ? most : both.rlim_max -> both.rlim_cur = most"],
    "leave_the_caller": [
        *(f"{one} -> " for one in ("RLIMIT_CPU, ", "RLIMIT_FSIZE, ", "RLIMIT_DATA, ", "RLIMIT_AS, ",
                                   "RLIMIT_NPROC, ", "RLIMIT_RSS,", "RLIMIT_LOCKS, ",
                                   "RLIMIT_SIGPENDING, ", "RLIMIT_MEMLOCK, ", "RLIMIT_RTTIME,")),
        '"/sys/fs/cgroup/cgroup.procs", -> ', '"/sys/fs/cgroup/unified/cgroup.procs", -> ', "SYS_setgroups, 0 -> SYS_setgroups, -1",
    ],
    "run_helper": [*(f"{one}, -> " for one in ('"-I"', '"-S"', '"-B"', '"-X", "utf8"')),
                   "SIGKILL -> 0", "arguments, environment) -> arguments, environ)"],
    "keep": ["_exit(status != 0) -> _exit(0)", "getuid() != 0 || getauxval(AT_SECURE) -> getuid() != 0",
             "getuid() != 0 || getauxval(AT_SECURE) -> getauxval(AT_SECURE)", "geteuid() == 0 && -> ",
             "{.fd = SOCKET} -> {.fd = -1}", "await(both, 2, -> await(both, 1,"],
    "place_descriptors": ["SOCKET + 1, ~0U, 0 -> SOCKET + 1, SOCKET + 1, 0",
                          "F_DUPFD, SOCKET + 1 -> F_DUPFD, 0"],
    "start": [" | SOCK_CLOEXEC -> ", "SYS_clone, 0, -> SYS_clone, SIGCHLD,", "SOCK_SEQPACKET -> SOCK_STREAM",
              "SIG_BLOCK, &all, &before -> SIG_BLOCK, NULL, &before"],
    "finish": ["more || status != 0 -> status != 0", "more || status != 0 -> more",
               "WNOHANG | __WALL -> WNOHANG", ".events = POLLIN -> .events = 0"],
    "tell": ["text, length} -> text, length - 1}"],
    "converse": ["answer ? ANSWER : NOTHING -> ANSWER"],
    "verdict": [f'"{name}", PAM_{name.upper()} -> "{name}", PAM_IGNORE' for name in (
        "success", "auth_err", "user_unknown", "authinfo_unavail", "conv_err", "system_err")],
    "serve": ["PAM_PROMPT_ECHO_OFF -> PAM_PROMPT_ECHO_ON", "PAM_PROMPT_ECHO_ON -> PAM_PROMPT_ECHO_OFF",
              "PAM_TEXT_INFO -> PAM_ERROR_MSG", "PAM_ERROR_MSG -> PAM_TEXT_INFO", "? FAILED : ANSWER -> ? ANSWER : ANSWER",
              "password ? ANSWER : NOTHING -> ANSWER", "text, NULL, 10 -> text, NULL, 8", "return -1 -> return 0"],
    "carry": [" | MSG_TRUNC -> ", "door->frame, MAX_FRAME, -> door->frame, MAX_FRAME + 1,",
              "frames < MAX_FRAMES -> frames <= MAX_FRAMES", "frames < MAX_FRAMES -> 1", "[length] = 0 -> [length] = 1"],
    "put": ["at && length -> length", "length <= (size_t)(end - at) -> 1", "strlen(field) + 1 -> strlen(field)"],
    "introduce": ["at && send -> send", "&& user; -> || 1;", "PAM_SERVICE, PAM_RHOST -> PAM_RHOST, PAM_SERVICE",
                  "PAM_TTY, PAM_RUSER -> PAM_RUSER, PAM_TTY"],
    "pam_sm_authenticate": ["code == PAM_SUCCESS || code == PAM_IGNORE -> code == PAM_SUCCESS",
                            "code == PAM_SUCCESS || code == PAM_IGNORE -> code == PAM_IGNORE",
                            "int code = NO_VERDICT -> int code = PAM_SUCCESS",
                            "return PAM_SYSTEM_ERR -> return PAM_IGNORE"],
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: in which function, in which line, what it does, and the source with it."""

    function: str
    line: int
    change: str
    text: str


def mutants(source: str) -> Iterator[Mutant]:
    """Return every mutant. Raises LookupError for what `CHANGES` names and the source has not."""
    found = functions(source)
    if unknown := {*CHANGES, *TESTS} ^ {*found, *CHANGES}:
        raise LookupError(f"functions that are not known alike: {sorted(unknown)}")
    for name, (begin, end) in found.items():
        for start, stop, new in [*_acts(source, begin, end), *_conditions(source, begin, end),
                                 *_listed(source, name, begin, end)]:  # fmt: skip
            told = f"{' '.join(source[start:stop].split())} -> {new or 'nothing'}"
            line = source.count("\n", 0, start) + 1
            yield Mutant(name, line, told, source[:start] + new + source[stop:])


def functions(source: str) -> dict[str, tuple[int, int]]:
    """Return where each function's body begins and ends."""
    pattern = r"^(?:static|PAM_EXTERN)[^;{}()=]*?(\w+)\([^{};]*\)\n\{\n(.*?)^\}\n"
    return {
        found[1]: found.span(2) for found in re.finditer(pattern, source, re.MULTILINE | re.DOTALL)
    }


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


def _listed(source: str, name: str, begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    for change in CHANGES.get(name, ()):
        old, _, new = change.partition(" -> ")
        if source.count(old, begin, end) != 1:
            raise LookupError(f"{name} has {old!r} {source.count(old, begin, end)} times")
        start = source.index(old, begin, end)
        yield start, start + len(old), new


def survives(mutant: Mutant, place: Path) -> str:
    """Run the tests with a mutant in place; return how they end if none fails, or ""."""
    path = place / SOURCE
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.text, encoding="utf-8")
    try:
        if not compiles(place):
            return ""  # what no compiler takes is noticed
        return run_tests(place, TESTS[mutant.function])
    finally:
        path.write_text(original, encoding="utf-8")


def compiles(place: Path) -> bool:
    """Tell whether the compiler takes it, with all warnings but for what is unused."""
    flags = place / "native/flags"
    done = subprocess.run(
        ["gcc", f"@{flags}", "-Wno-unused", "-Wno-unused-parameter", "-o", "/dev/null",
         place / SOURCE, "-lpam"], check=False, capture_output=True,
    )  # fmt: skip
    return done.returncode == 0


def run_tests(place: Path, tests: tuple[str, ...]) -> str:
    """Return "passed" or "late", or "" if a test has failed; nothing outlives the namespace."""
    run = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
         "/usr/bin/python3", "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests],
        cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        return "passed" if run.wait(SECONDS) == 0 else ""
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
            sys.stdout.write(f"  {SOURCE}:{mutant.line}: {mutant.function}: {mutant.change}\n")
        sys.stdout.flush()
    return left


def _copy(place: Path) -> Path:
    copy_checkout(place, COPIED)
    flags = place / "native/flags"  # what a mutant leaves unused is no reason to fail
    flags.write_text(flags.read_text(encoding="utf-8") + "-Wno-unused\n", encoding="utf-8")
    return place


def main() -> int:
    """Run them all and print what survived."""
    parser = argparse.ArgumentParser(description="mutation testing of the module in C")
    parser.add_argument("--only", choices=TESTS, action="append")
    parser.add_argument("--workers", type=int, default=2)
    wanted = parser.parse_args()
    broken = [
        mutant for mutant in mutants((ROOT / SOURCE).read_text(encoding="utf-8"))
        if mutant.function in (wanted.only or TESTS)
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="trex-mutants-") as temporary:
        places = [_copy(Path(temporary) / str(number)) for number in range(wanted.workers)]
        tests = tuple(dict.fromkeys(chain.from_iterable(TESTS[one.function] for one in broken)))
        if not run_tests(places[0], tests):
            raise SystemExit("the tests fail by themselves")
        with get_context("fork").Pool(wanted.workers) as pool:
            shares = [(broken[n :: len(places)], place) for n, place in enumerate(places)]
            left = list(chain.from_iterable(pool.starmap(_survivors, shares, chunksize=1)))
    sys.stdout.write(f"{SOURCE}: {len(broken)} mutants, {len(left)} survived\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
