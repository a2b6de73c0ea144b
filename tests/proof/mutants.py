"""Break the security core in each small way that there is, and see whether a test notices.

    sudo python3 -m tests.proof.mutants [--only MODULE] [--workers N]

Each mutant is one change to one expression or statement of the modules in CORE, in a copy of the
checkout; the unit tests beside run there and must fail. What survives is printed, and
docs/attacks.md says of each why it may. Messages, annotations and docstrings are left alone.
"""

from __future__ import annotations

import argparse
import ast
import copy
import ctypes
import os
import signal
import sys
import tempfile
from contextlib import suppress
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import aiosmtpd.controller  # noqa: F401 (these are loaded once for all mutants)
import cryptography.x509  # noqa: F401
import gnupg  # noqa: F401
import pyotp  # noqa: F401
import pytest
import qrcode  # noqa: F401
import redis  # noqa: F401
import requests  # noqa: F401
import tornado.httpserver  # noqa: F401

from tests.proof.checkout import ROOT, copy_checkout

if TYPE_CHECKING:
    from collections.abc import Iterator

COPIED = ("trex", "tests", "fuzz", "fixtures", "pyproject.toml", "pam_trex.py")
CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
PASSED = 42  # not what a mutant ends with that goes on where a child's end was
# How long the tests may take: for themselves, and then with a mutant, which may have them wait.
MOST_SECONDS, SPARE_SECONDS, TIMES = 300.0, 10.0, 3
# The module, what of it is left alone, and the tests that know it. What a module gains is broken
# without being listed; what is listed and gone is an error.
CORE = {
    "login/challenge": ((), ("unit/login/test_challenge", "unit/openpgp/test_prompt",
                            "unit/sms/test_sms")),
    "login/grace": ((), ("unit/login/test_gracefile",)),
    "login/gracefile": ((), ("unit/login/test_gracefile",)),
    "login/mistyped": ((), ("unit/login/test_options",)),
    "login/options": ((), ("unit/login/test_options",)),
    "login/origin": ((), ("unit/login/test_origin",)),
    "login/pam": (("FAIL_DELAY_US", "_refuse", "_tell", "_keep_libpython", "_frames"),
            ("unit/login/test_pam", "unit/login/test_authenticate")),
    "login/story": ((), ("unit/login/test_story",)),
    "login/witness": ((), ("unit/activation/test_witnesses",)),
    "system/privilege": (("ATTEMPTS", "native", "readable"), ("unit/system/test_privilege",)),
    "system/sigchld": ((), ("unit/system/test_sigchld",)),
    "recovery/codes": ((), ("unit/recovery/test_codes",)),
    "recovery/method": ((), ("unit/recovery/test_recovery",)),
    "recovery/notice": ((), ("unit/recovery/test_recovery",)),
    "totp/rules": ((), ("unit/totp/test_otp", "unit/totp/test_totp", "unit/totp/test_totp_overtaken")),
    "totp/method": (("prepare",), ("unit/totp/test_totp", "unit/totp/test_totp_overtaken")),
    "totp/fleet": (("read_fleet",), ("unit/totp/test_totp", "unit/totp/test_totp_overtaken")),
    "totp/state": ((), ("unit/totp/test_otp",)),
    "system/secretfile": ((), ("unit/system/test_secretfile",)),
    "system/rewriting": (("MOST", "PAUSE_SECONDS", "TRIES"), ("unit/system/test_rewriting", "unit/system/test_secretfile")),
    "openpgp/apart": ((), ("unit/openpgp/test_apart", "unit/openpgp/test_apart_messages")),
    "openpgp/record": (("_Line", "_quoted"), ("unit/openpgp/test_record",)),
    "system/safefile": (("_why_not_opened", "_os_message", "_kind"), ("unit/system/test_safefile",)),
    "openpgp/gpg": (("Gpg",), ("unit/openpgp/test_gpg",)),
    "openpgp/keyblock": ((), ("unit/openpgp/test_keyblock",)),
    "openpgp/recipients": ((), ("unit/openpgp/test_choosing", "unit/openpgp/test_diagnosis", "unit/openpgp/test_recipients")),
    "openpgp/hostkeys": ((), ("unit/openpgp/test_hostkeys",)),
    "openpgp/reminder": ((), ("unit/openpgp/test_reminders",)),
    "openpgp/standing": ((), ("unit/openpgp/test_standing",)),
    "system/servant": (("start", "have_done", "first_line", "MAX_STATE"), ("unit/page/test_confine",)),
    "page/terminal": ((), ("unit/page/test_terminal",)),
    "page/start": (("Page", "full_name", "FINGERPRINT_LENGTH"), ("unit/page/test_confine",)),
    "system/child": (("GRACE_MS",), ("unit/system/test_child",)),
    "totp/claim": ((), ("unit/sms/test_sms_programs",)),
    "sms/counts": ((), ("unit/sms/test_sms_counts",)),
    "sms/gateways/email": ((), ("unit/sms/test_gateways",)),
    "sms/fleet": ((), ("unit/sms/test_sms_counts", "system/sms/test_fleet_tls", "system/sms/test_sms_fleet")),
    "sms/gateways/free_mobile": ((), ("unit/sms/test_gateways",)),
    "sms/gateways/http": ((), ("unit/sms/test_sms", "unit/sms/test_gateways")),
    "sms/look": ((), ("unit/sms/test_sms_programs",)),
    "system/launch": ((), ("unit/sms/test_sms_programs",)),
    "system/program": ((), ("unit/system/test_program", "unit/sms/test_sms_programs")),
    "sms/reach": ((), ("unit/sms/test_sms_programs",)),
    "sms/send": ((), ("unit/sms/test_sms_counts", "unit/sms/test_gateways", "unit/sms/test_sms_programs")),
    "sms/settings": ((), ("unit/sms/test_sms",)),
    "sms/gateways/twilio": ((), ("unit/sms/test_gateways",)),
    "sms/gateways/web": ((), ("unit/sms/test_gateways",)),
    "page/port": ((), ("unit/page/test_port",)),
    "system/supervisor": ((), ("unit/system/test_supervisor",)),
    "cli/delegate": ((), ("unit/cli/test_delegate", "unit/cli/test_delegate_limits")),
    "cli/setup/recordfile": ((), ("unit/setup/test_recordfile", "unit/setup/test_recordfile_names")),
    "page/process/aside": ((), ("unit/page/test_page_document",)),
    "page/process/certificate": ((), ("unit/page/test_page_tls",)),
    "page/process/document": ((), ("unit/page/test_page_document",)),
    "page/process/drawing": ((), ("unit/page/test_page_document",)),
    "page/process/proof": ((), ("unit/page/test_page_tls",)),
    "page/process/main": ((), ("unit/page/test_page_program",)),
    "page/process/server": ((), ("unit/page/test_page_server", "unit/page/test_page_program", "unit/page/test_page_tls")),
    "page/process/settings": ((), ("unit/page/test_page_document",)),
}  # fmt: skip
OPPOSITES: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
    ast.GtE: ast.Gt, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.Mult: ast.Add, ast.LShift: ast.RShift,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: where, what it does, and the module's text with it."""

    module: str
    line: int
    change: str
    text: str


def mutants(module: str, left_out: tuple[str, ...]) -> Iterator[Mutant]:
    """Return every mutant of a module, but of what is left out. Raises LookupError, see `parts`."""
    tree = ast.parse((ROOT / f"trex/{module}.py").read_text(encoding="utf-8"))
    for part in parts(module, tree, left_out):
        for node in list(walk(part)):
            yield from _of_node(module, tree, node)


def parts(module: str, tree: ast.Module, left_out: tuple[str, ...]) -> list[ast.stmt]:
    """Return the functions, classes and constants at the top of a module, but those left out.

    Raises LookupError for a name in `left_out` that the module does not have.
    """
    named = [(_name(part), part) for part in tree.body]
    if unknown := set(left_out) - {name for name, _ in named}:
        raise LookupError(f"trex/{module}.py has no {', '.join(sorted(unknown))}")
    return [part for name, part in named if name and name not in left_out]


def _name(part: ast.stmt) -> str:
    match part:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case ast.Assign(targets=[ast.Name(id=name), *_]) if name != "TYPE_CHECKING":
            return name
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id=name), *_])]):
            return name
    return ""


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Return a node and what is in it, but for annotations."""
    yield node
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field not in ("annotation", "returns"):
                yield from walk(child)


def _of_node(module: str, tree: ast.Module, node: ast.AST) -> Iterator[Mutant]:
    """Change one node in place, write the module down, and put the node back."""
    if not hasattr(node, "lineno"):
        return
    before = copy.copy(node.__dict__)
    for change in _changes(node):
        for name, value in change.items():
            setattr(node, name, value)
        after = ast.unparse(ast.fix_missing_locations(tree))
        node.__dict__.update(before)
        told = ", ".join(f"{name} {_told(before[name], v)}" for name, v in change.items())
        yield Mutant(module, node.lineno, told, after)


def _told(before: object, after: object) -> str:
    if isinstance(before, list) and isinstance(after, list):
        gone, new = ([_text(one) for one in some if one not in other]
                     for some, other in ((before, after), (after, before)))  # fmt: skip
        return f"{'; '.join(gone)} -> {'; '.join(new) or 'nothing'}"
    return f"{_text(before)} -> {_text(after)}"


def _text(value: object) -> str:
    if isinstance(value, ast.AST):
        return ast.unparse(value)[:120] or type(value).__name__
    return repr(value)


def _changes(node: ast.AST) -> Iterator[dict[str, object]]:  # noqa: C901 (a case a kind)
    """Return what may be changed at a node: attributes and their new values."""
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                ops: list[object] = list(node.ops)
                ops[number] = OPPOSITES[type(operator)]()
                yield {"ops": ops}
        case ast.BoolOp():
            yield {"op": OPPOSITES[type(node.op)]()}
            if len(node.values) > 2:
                for number in range(len(node.values)):
                    yield {"values": node.values[:number] + node.values[number + 1 :]}
        case ast.BinOp(op=ast.BitOr()) | ast.Call():
            yield from _without_parts(node)
        case ast.BinOp() if type(node.op) in OPPOSITES:
            yield {"op": OPPOSITES[type(node.op)]()}
        case ast.UnaryOp(op=ast.Not()):
            yield {"op": ast.UAdd(), "operand": ast.Call(ast.Name("bool"), [node.operand], [])}
        case ast.Constant(value=bool()):
            yield {"value": not node.value}
        case ast.Constant(value=int(number)):
            yield {"value": number + 1}
        case ast.Return(value=ast.AST() as value) if ast.unparse(value) != "None":
            yield {"value": ast.Constant(None)}
        case _:
            yield from _without_statements(node)


def _without_parts(node: ast.BinOp | ast.Call) -> Iterator[dict[str, object]]:
    """Leave out each of two flags, or each argument that has a name."""
    if isinstance(node, ast.BinOp):
        yield {"left": ast.Constant(0)}
        yield {"right": ast.Constant(0)}
        return
    for number in range(len(node.keywords)):
        yield {"keywords": node.keywords[:number] + node.keywords[number + 1 :]}


def _without_statements(node: ast.AST) -> Iterator[dict[str, object]]:
    """Leave out each statement that does something by itself."""
    for field in ("body", "orelse", "finalbody"):
        body = getattr(node, field, [])
        for number, statement in enumerate(body if isinstance(body, list) else []):
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            acts = isinstance(statement, (ast.Expr, ast.Raise, ast.Return, ast.AugAssign))
            if (acts or _sets_a_property(statement)) and not is_text:
                yield {field: [*body[:number], ast.Pass(), *body[number + 1 :]]}


def _sets_a_property(statement: object) -> bool:
    """Tell whether a statement changes something that was there before, and names nothing new."""
    match statement:
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            return True
    return False


def survives(mutant: Mutant, tests: tuple[str, ...], place: Path, seconds: float) -> bool:
    """Run the tests with a mutant in place; tell whether they pass."""
    path = place / f"trex/{mutant.module}.py"
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.text, encoding="utf-8")
    try:
        child = os.fork()
        if child == 0:
            _test(tests, place)
        return _ends_well(child, seconds)
    finally:
        path.write_text(original, encoding="utf-8")


def _test(tests: tuple[str, ...], place: Path) -> NoReturn:
    """Run pytest in this process, forked so that it need not be loaded for each mutant."""
    try:
        sys.dont_write_bytecode = True  # two mutants may be of one size and second
        os.setsid()
        alone()
        os.chdir(place)
        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in range(3):
            os.dup2(null, descriptor)
        sys.path[0] = str(place)
        for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "trex")]:
            del sys.modules[name]
        code = pytest.main([
            "-x", "-q", "-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning",
            "-p", "no:cacheprovider", *map(path_of, tests),
        ])  # fmt: skip
        os._exit(PASSED if code == 0 else 1)
    finally:
        os._exit(1)


def alone() -> None:
    """Go on as a process that sees and reaches no other but its own: a mutant may end them all.

    What waits for it is the first process of a PID namespace (pid_namespaces(7)): nothing in there
    can signal that one, and with it all ends. It ends with this session. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWPID | CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "no PID namespace to be had")
    _fork_and_wait()
    libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)  # no mount point in a plain chroot
    if libc.mount(b"proc", b"/proc", b"proc", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "no /proc to be had")
    _fork_and_wait()


def _fork_and_wait() -> None:
    """Return in a child; here wait for it, reap what else there is, and end as it does."""
    child = os.fork()
    while child:
        ended, status = os.wait()
        if ended == child:
            os._exit(max(1, os.waitstatus_to_exitcode(status)))


def path_of(test: str) -> str:
    """Return the file of tests that CORE names, from `tests/` on."""
    return f"tests/{test}.py"


def _ends_well(child: int, seconds: float) -> bool:
    """Wait for a process in a session of its own, and end what is left there."""
    deadline = monotonic() + seconds
    pid, status = 0, 0
    try:
        while not pid and monotonic() < deadline:
            pid, status = os.waitpid(child, os.WNOHANG)
            sleep(0.02)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if not pid:
            os.waitpid(child, 0)
    return pid == child and os.waitstatus_to_exitcode(status) == PASSED


def main() -> int:
    """Run them all and print what survived."""
    parser = argparse.ArgumentParser(description="mutation testing of the security core")
    parser.add_argument("--only", choices=CORE, action="append")
    parser.add_argument("--workers", type=int, default=2)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trex-mutants-") as temporary:
        places = [
            copy_checkout(Path(temporary) / str(number), COPIED) for number in range(wanted.workers)
        ]
        with get_context("fork").Pool(wanted.workers) as pool:
            for module in wanted.only or CORE:
                left_out, tests = CORE[module]
                text = (ROOT / f"trex/{module}.py").read_text(encoding="utf-8")
                begun = monotonic()
                if not survives(Mutant(module, 0, "none", text), tests, places[0], MOST_SECONDS):
                    raise SystemExit(f"{module}: its tests fail by themselves")
                seconds = SPARE_SECONDS + TIMES * (monotonic() - begun)
                broken = list(mutants(module, left_out))
                shares = [
                    (broken[n :: len(places)], tests, place, seconds)
                    for n, place in enumerate(places)
                ]
                left = sorted(chain.from_iterable(pool.starmap(_survivors, shares, chunksize=1)))
                sys.stdout.write(f"{module}: {len(broken)} mutants, {len(left)} survived\n")
                for mutant in left:
                    sys.stdout.write(f"  trex/{module}.py:{mutant.line}: {mutant.change}\n")
                sys.stdout.flush()
    return 0


def _survivors(
    share: list[Mutant], tests: tuple[str, ...], place: Path, seconds: float
) -> list[Mutant]:
    return [mutant for mutant in share if survives(mutant, tests, place, seconds)]


if __name__ == "__main__":
    sys.exit(main())
