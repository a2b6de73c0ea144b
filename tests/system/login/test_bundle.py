"""The modules of a login in one file: which these are, and a login where it cannot be used."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import MAGIC_NUMBER
from typing import TYPE_CHECKING

import pytest

from tests.support import native, sandbox
from tests.system.login.test_load import BUILT_IN, OWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log

# The helper, which tells at the prompt and at its end what it has loaded, and by which loader.
SPY = """\
import _socket, os, sys

def tell(when):
    with open({report!r}, "a", encoding="utf-8") as file:
        for name in set(sys.modules) - before:
            loader = getattr(sys.modules[name].__spec__, "loader", None)
            loader = getattr(loader, "__name__", type(loader).__name__)
            file.write(f"{{when}} {{name}} {{loader}}\\n")

class Door(_socket.socket):
    def send(self, frame):
        if frame[:1] in (b"p", b"e"):
            tell("prompt")
        return super().send(frame)

def end(status):
    tell("end")
    really_end(status)

before = set(sys.modules)
really_end, os._exit, _socket.socket = os._exit, end, Door
__file__ = {helper!r}
with open(__file__, encoding="utf-8") as source:
    exec(compile(source.read(), __file__, "exec"))
"""
HELPER = "trex/login/helper.py"
DOORS = pytest.mark.parametrize("entry", [HELPER, "pam_trex.py"])
BUNDLE = "trex/bundle.pyc"
MADE = {
    "trex",
    "trex.login",
    "trex.openpgp",
    "trex.page",
    "trex.recovery",
    "trex.sms",
    "trex.system",
    "trex.totp",
}


@pytest.fixture
def ask(alice: Account, client: Path, holder: Holder, place: Path) -> Callable[[Path], Asked]:
    """Log in as alice through pam_trex.so with this helper, or pam_python with this entry file."""

    def log_in(entry: Path) -> Asked:
        module = f"pam_python.so {entry}"
        if "helper" in entry.name:
            module = str(native.build(place / "pam_trex_bundle.so", entry))
        service = sandbox.pam_service("trex-bundle", f"auth required {module}")
        return sandbox.ask_pam(client, service, "alice", "--answer-with", holder.command())

    return log_in


@pytest.fixture
def copy(place: Path) -> Path:
    """Copy the module to change it."""
    made = place / "module-to-change"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(sandbox.MODULE, made)
    return made


def loaded(report: Path, when: str) -> dict[str, str]:
    lines = [line.split() for line in report.read_text(encoding="utf-8").splitlines()]
    return {name: loader for moment, name, loader in lines if moment == when}


def test_the_helper_takes_all_that_it_needs_from_the_bundle_and_nothing_else(
    ask: Callable[[Path], Asked], place: Path
) -> None:
    """No file of the standard library either: what it has besides is built into Python."""
    report, spy = place / "loaded-by-helper", place / "spy-helper.py"
    spy.write_text(SPY.format(report=str(report), helper=str(sandbox.MODULE / HELPER)))
    assert ask(spy).verdict == "PAM_SUCCESS"
    at_prompt = loaded(report, "prompt")
    bundled = {name for name, loader in at_prompt.items() if loader == "Bundle"}
    assert bundled == bundled_modules()
    assert bundled == (OWN - MADE - {"trex.bundle"}) | {"trex.login.door"}
    assert set(at_prompt) - bundled - BUILT_IN - {"_operator"} == MADE | {"trex.bundle"}
    after = set(loaded(report, "end")) - set(at_prompt) - BUILT_IN
    assert after == {"trex.openpgp.reminder", "trex.openpgp.renewal"}, "both may fail to load"


def bundled_modules() -> set[str]:
    """Return what `script/bundle` says that it puts there."""
    listed = (sandbox.PROJECT / "script/bundle").read_text(encoding="utf-8")
    names = listed.partition("MODULES = (")[2].partition(")  # fmt")[0]
    return set(re.findall(r'"(trex[\w.]+)"', names))


@DOORS
def test_a_login_works_without_the_bundle(
    copy: Path, ask: Callable[[Path], Asked], entry: str
) -> None:
    (copy / BUNDLE).unlink()
    assert ask(copy / entry).verdict == "PAM_SUCCESS"


@DOORS
def test_a_bundle_of_another_python_is_left_alone(
    copy: Path, ask: Callable[[Path], Asked], entry: str
) -> None:
    """A host is upgraded, and logs people in before Trex is installed again."""
    bundle = copy / BUNDLE
    content = bundle.read_bytes()
    assert content.startswith(MAGIC_NUMBER)
    bundle.write_bytes(b"\xcb\x0c\r\n" + b"no code of this Python's")
    assert ask(copy / entry).verdict == "PAM_SUCCESS"
    # And it is the bundle that counts where it can be used.
    bundle.write_bytes(content)
    (copy / "trex/login/pam.py").write_text("raise SystemExit\n", encoding="utf-8")
    shutil.rmtree(copy / "trex/login/__pycache__")
    assert ask(copy / entry).verdict == "PAM_SUCCESS"


@DOORS
@pytest.mark.parametrize("left", [0, 1, 12, 16, 17, 2000, -1])
def test_a_bundle_that_is_cut_or_torn_locks_nobody_out(
    copy: Path, ask: Callable[[Path], Asked], entry: str, left: int
) -> None:
    """By a file system that lost its end, or has zeros there; each module has its own file."""
    content = (copy / BUNDLE).read_bytes()
    (copy / BUNDLE).write_bytes(content[:left])
    assert ask(copy / entry).verdict == "PAM_SUCCESS"
    (copy / BUNDLE).write_bytes(content[:left].ljust(len(content), b"\0"))
    assert ask(copy / entry).verdict == "PAM_SUCCESS"


def test_an_error_is_logged_with_the_file_that_an_administrator_finds(
    copy: Path, ask: Callable[[Path], Asked], log: Log
) -> None:
    story = copy / "trex/login/story.py"
    story.write_text(
        story.read_text(encoding="utf-8").replace("parse_options(login", "missing(login")
    )
    subprocess.run([sandbox.PROJECT / "script/bundle", copy], check=True)
    assert ask(copy / HELPER).verdict == "PAM_SYSTEM_ERR"
    assert f"NameError at {copy}/trex/login/pam.py:" in log.everything()
    assert re.search(rf"{copy}/trex/login/story.py:\d+ in log_in", log.everything())
