"""script/bootstrap and the machine's servers, with an apt that installs nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = Path("/usr/sbin/policy-rc.d")
SEEN = "seen-policy"
FOREIGN = "#!/bin/sh\nexit 101\n"


@pytest.fixture
def apt(place: Path) -> Iterator[Path]:
    """Every package is missing, and apt-get notes the policy that it would have to keep to."""
    layers, seen = place / "bootstrap", place / SEEN
    for name in ("upper", "work"):
        (layers / name).mkdir(parents=True)
    options = f"lowerdir=/usr/sbin,upperdir={layers}/upper,workdir={layers}/work"
    subprocess.run(["mount", "-t", "overlay", "trex", "-o", options, "/usr/sbin"], check=True)
    POLICY.unlink(missing_ok=True)
    words = f'printf "%s\\n" "$@" >> {seen}.words'
    programs = {
        "apt-get": f"cat {POLICY} >> {seen} 2>/dev/null; {words}", "dpkg-query": "exit 1",
    }  # fmt: skip
    for name, line in programs.items():
        program = layers / name
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
        subprocess.run(["mount", "--bind", program, f"/usr/bin/{name}"], check=True)
    yield seen
    for where in ("/usr/bin/apt-get", "/usr/bin/dpkg-query", "/usr/sbin"):
        subprocess.run(["umount", "--lazy", where], check=True)
    subprocess.run(["rm", "-rf", layers, seen, f"{seen}.words"], check=True)


def bootstrap(what: str = "demo") -> str:
    """Run it for the demo, which needs an SSH server; return what it has left as policy."""
    done = subprocess.run(
        [PROJECT / "script/bootstrap", what], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin"}, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return POLICY.read_text() if POLICY.exists() else ""


@pytest.mark.parametrize("what", ["demo", "suite"])
def test_no_server_starts_while_packages_come_in(apt: Path, what: str) -> None:
    assert bootstrap(what) == ""
    assert "\nexit 101\n" in apt.read_text()


def test_what_a_killed_run_has_left_goes_with_the_next(apt: Path) -> None:
    """Or no server would be started at any installation, for ever."""
    bootstrap()
    POLICY.write_text(apt.read_text().partition("exit 101\n")[0] + "exit 101\n")
    assert bootstrap() == ""


def test_a_policy_of_the_machine_s_own_stays(apt: Path) -> None:
    POLICY.write_text(FOREIGN)
    assert bootstrap() == FOREIGN


@pytest.mark.parametrize(
    ("what", "python", "compiler"),
    [("runtime", True, True), ("native", False, True), ("python", True, False),
     ("native-demo", False, True), ("demo", True, True)],
)  # fmt: skip
def test_each_door_has_what_it_needs_and_the_other_s_is_left_out(
    apt: Path, what: str, python: bool, compiler: bool
) -> None:
    bootstrap(what)
    words = Path(f"{apt}.words").read_text().split()
    assert ("libpam-python" in words) is python
    assert ("gcc" in words) is ("libpam0g-dev" in words) is compiler
    assert {"gnupg", "gpg-agent", "python3"} <= set(words)
