"""contrib/ansible: the role installs Trex and enrols users, on a host that has neither."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

CONTRIB = sandbox.PROJECT / "contrib/ansible"
PAGE = (sandbox.PROJECT / "docs/operations.md").read_text("utf-8")
LINE = next(line for line in PAGE.splitlines() if line.startswith("    ansible-playbook"))
SOURCES = ("pam_trex.py", "CHANGELOG.md", "trex", "native", "script")
CENTRAL = ("auth_file=/etc/trex/users/%u", "gnupg_home=/var/lib/trex/gnupg", "run_as=_trex")


@pytest.fixture
def checkout(place: Path) -> Iterator[Path]:
    """A checkout on the controller, which here is the host as well."""
    directory = place / "checkout"
    shutil.copytree(CONTRIB, directory / "contrib/ansible")
    for name in SOURCES:
        source = sandbox.PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, directory / name)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def collected(place: Path, holder: Holder, keys: Keys) -> Iterator[Path]:
    """What the controller has: a key for each user, and files that are none."""
    directory = place / "collected"
    directory.mkdir()
    (directory / "bob.asc").write_bytes(holder.public(keys["cv25519"]))
    (directory / "carol.asc").write_bytes(holder.public(keys["nistp256"]))
    (directory / "README.md").write_text("keys\n")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def play(
    usr: None, no_settings: None, var: None, checkout: Path, collected: Path
) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Run the playbook on this host, as the page has it."""
    (checkout / "hosts").write_text(
        "localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"
    )

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*shlex.split(LINE.replace("/path/to/login-keys", str(collected))), *options],
            capture_output=True, text=True, check=False, timeout=300, cwd=checkout,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/run/trex/ansible", "LC_ALL": "C.UTF-8",
                 "ANSIBLE_LOCAL_TEMP": "/run/trex/ansible", "ANSIBLE_REMOTE_TEMP": "/run/trex/ansible"},
        )  # fmt: skip

    yield run
    subprocess.run(["userdel", "--force", "_trex"], check=False, capture_output=True)
    shutil.rmtree("/run/trex/ansible", ignore_errors=True)


def recap(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """Return the numbers of the last line."""
    found = re.search(r"^localhost +: (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", found[1])}


def test_a_new_host_gets_all_of_it_and_the_second_run_changes_nothing(
    bob: Account, carol: Account, play: Callable[..., subprocess.CompletedProcess[str]],
    collected: Path, holder: Holder, keys: Keys, log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    trial = play("--check")
    assert recap(trial)["failed"] == 0, trial.stdout
    assert recap(trial)["changed"] > 0
    assert not Path("/usr/bin/trex").exists()
    assert not Path("/etc/trex").exists()
    first = play()
    assert recap(first)["failed"] == 0, first.stdout
    for name in ("bob", "carol"):
        assert log_in(name, arguments=CENTRAL).verdict == "PAM_SUCCESS"
    for options in ([], ["--check"], ["--extra-vars", "trex_checkout="]):
        again = play(*options)
        assert (recap(again)["failed"], recap(again)["changed"]) == (0, 0), again.stdout
    (collected / "carol.asc").unlink()
    (collected / "bob.asc").write_bytes(holder.public(keys["rsa2048"]))
    assert recap(play("--check"))["changed"] > 0
    changed = play()
    assert recap(changed)["changed"] == 3, changed.stdout  # a key copied, one removed, one enrolled
    assert {path.name for path in Path("/etc/trex/enrol").iterdir()} == {"bob.asc"}
    assert log_in("bob", arguments=CENTRAL).verdict == "PAM_SUCCESS"
    (collected / "nobody-there.asc").write_bytes(holder.public(keys["cv25519"]))
    failed = play()
    assert recap(failed)["failed"] == 1
    assert "there is no such account" in failed.stdout
    assert log_in("bob", arguments=CENTRAL).verdict == "PAM_SUCCESS"
