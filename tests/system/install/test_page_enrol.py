"""Central mode and enrolling many are as the pages say, typed line by line on a host with Trex."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support import sandbox
from tests.support.installation import install
from tests.support.mounts import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8"}


def blocks(page: str, heading: str) -> list[str]:
    """Return the indented blocks below a heading, as they are typed."""
    text = (sandbox.PROJECT / page).read_text("utf-8").partition(f"\n{heading}\n")[2]
    section = re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]
    found = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", section, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]


README = blocks("README.md", "### Central mode")
MANY = blocks("docs/operations.md", "## Enrol many")


def typed(block: str, where: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-c", block], capture_output=True, text=True, check=False, cwd=where,
        env=ENVIRONMENT, start_new_session=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def desk(usr: None, no_settings: None, var: None, tmp_path: Path) -> Iterator[Path]:
    """Where an administrator has collected keys, as root on a host where Trex is installed."""
    with mounted(Path("/root"), "-t", "tmpfs", "-o", "mode=700", "trex-root"):
        done = install()
        assert done.returncode == 0, done.stderr
        ready = typed(README[0], tmp_path)
        assert ready.returncode == 0, ready.stderr
        yield tmp_path
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


@pytest.fixture
def arguments() -> tuple[str, ...]:
    """The module's arguments, as README has them for sudo."""
    return tuple(README[2].split()[3:])


def test_an_administrator_finishes_the_readme_s_line_without_the_user_s_key(
    desk: Path, bob: Account, holder: Holder, keys: Keys, arguments: tuple[str, ...],
    log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    (desk / "bob-login.asc").write_bytes(holder.public(keys["cv25519"]))
    line = README[1].replace("alice", "bob")
    terminal = pexpect.spawn("bash", ["-c", line], cwd=str(desk), env=ENVIRONMENT,
                             encoding="utf-8", timeout=60, dimensions=(40, 120))  # fmt: skip
    terminal.expect("right fingerprint.*\\[y/N\\] ")
    assert keys["cv25519"] in terminal.before
    terminal.sendline("y")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert "Not proved" in terminal.before
    assert log_in("bob", arguments=arguments).verdict == "PAM_SUCCESS"


def test_many_are_enrolled_as_the_page_says(
    desk: Path, account: Callable[[str], Account], holder: Holder, keys: Keys,
    arguments: tuple[str, ...], log_in: Callable[..., Asked],
) -> None:  # fmt: skip
    commands, lines, table, from_table, one_field, _ = MANY
    for name, key in (("alice", "cv25519"), ("bob", "nistp256"), ("dave", "rsa2048")):
        account(name)
        (desk / f"{name}.asc").write_bytes(holder.public(keys[key]))
    done = typed(commands, desk)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 users: 3 enrolled, 0 changed, 0 renewed, 0 unchanged, 0 failed" in done.stdout
    for name in ("alice", "bob"):
        assert log_in(name, arguments=arguments).verdict == "PAM_SUCCESS"
    again = typed(commands, desk)
    assert "3 users: 0 enrolled, 0 changed, 0 renewed, 3 unchanged, 0 failed" in again.stdout
    Path("/root/login-keys/dave.asc").write_text("no key\n")
    failed = typed(commands.splitlines()[-1], desk)
    assert failed.returncode == 1
    shown = lines.splitlines()
    assert "\n".join(shown[4:6]) in failed.stdout
    assert re.sub(r"\d", "1", shown[-1]) == re.sub(r"\d", "1", failed.stdout.splitlines()[-1])
    names = {"alice": keys["cv25519"], "bob": keys["nistp256"]}
    both = holder.public(keys["nistp256"], keys["rsa2048"])
    Path("/root/login-keys/bob.asc").write_bytes(both)
    rows = re.sub(r"\b2DEA\w{36}", names["bob"], table).replace(
        re.findall(r"\b6F1C\w{36}", table)[0], keys["rsa2048"]
    )
    rows = re.sub(r"\bAE5C\w{36}", names["alice"], rows)
    Path("/root/login-keys/users.csv").write_text(rows)
    done = typed(from_table, desk)
    assert done.returncode == 0, done.stdout + done.stderr
    record = Path("/etc/trex/users/bob").read_text().splitlines()[-1]
    file = "/etc/trex/keys/bob.pgp"  # a key that the record names already keeps its name there
    assert record == f"{file},{keys['rsa2048']} trust nosign webQrAuthTls"
    page, none = one_field.splitlines()
    kept = Path("/etc/trex/users/alice").read_text()
    assert typed(page, desk).returncode == 0
    assert Path("/etc/trex/users/alice").read_text() == kept.rstrip("\n") + " webQrAuthTls\n"
    assert typed(none, desk).returncode == 0
    assert Path("/etc/trex/users/alice").read_text() == kept
    for name in names:
        assert log_in(name, arguments=arguments).verdict == "PAM_SUCCESS"
