"""A lost key, as docs/operations.md and docs/recovery.md say: their lines, typed one after another."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import ACCOUNT_LINES
from tests.support.command import environment, finish, on_terminal, record_of, trex
from tests.support.mounts import overlaid
from tests.support.recovery import recovery_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

CODE = re.compile(r"^ *\d+  ([-0-9A-Z]{19})\r?$", re.MULTILINE)


def section(page: str, heading: str) -> list[list[str]]:
    """Return the blocks of a page's section, each as its lines."""
    text = (sandbox.PROJECT / page).read_text(encoding="utf-8")
    told = re.split(r"^##+ ", text.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[
        0
    ]
    blocks = re.findall(r"(?:^    .*\n)+", told, re.MULTILINE)
    return [[line.strip() for line in block.splitlines()] for block in blocks]


def stack(name: str, lines: list[str]) -> str:
    """Write a PAM service of the page's lines, with this module behind them."""
    door = re.compile(r"pam_python\.so pam_trex\.py|pam_trex\.so")
    return sandbox.pam_service(
        name, *(door.sub(sandbox.DOOR, line) for line in lines), *ACCOUNT_LINES
    )


OWN, CENTRAL, BY_ROOT, BEFORE = section("docs/operations.md", "A lost key")


@pytest.fixture
def typed(place: Path) -> Iterator[Callable[..., str]]:
    """Type a line as root, in a directory of root's; return what was printed."""
    here = place / "root-s"
    here.mkdir(mode=0o700)
    program = here / "trex"
    program.write_text('#!/bin/sh\nexec /usr/bin/python3 -B -m trex.cli "$@"\n')
    program.chmod(0o755)
    told = environment(None)

    def run(line: str, status: int = 0) -> str:
        done = subprocess.run(
            ["sh", "-c", line], cwd=here, env={**told, "PATH": f"{here}:{told['PATH']}"},
            capture_output=True, text=True, check=False, timeout=180, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        return done.stdout

    yield run
    shutil.rmtree(here)


@pytest.fixture
def new_key(holder: Holder, keys: Keys) -> bytes:
    """The key that takes the place of the lost one."""
    return holder.public(keys["cv25519-new"])


def verdict(client: Path, service: str, *options: str) -> str:
    """Log alice in; `options` say how the questions are answered."""
    return sandbox.ask_pam(client, service, "alice", *options).verdict


def by_code(client: Path, service: str, code: str) -> str:
    """Press Enter at the challenge, and type a code at the second question."""
    answer = f"grep -q BEGIN && echo || echo {code}"
    return verdict(client, service, "--answer-with", answer)


def test_the_owner_has_codes(
    alice: Account, holder: Holder, keys: Keys, client: Path, new_key: bytes
) -> None:
    service = stack("trex-lost", section("docs/recovery.md", "Set it up")[0])
    made = trex("recovery", "make", account=alice)
    codes = CODE.findall(made.stdout)
    assert by_code(client, service, codes[3]) == "PAM_SUCCESS"
    alice.write(new_key, "new.asc")
    enrol, again = (shlex.split(line)[1:] for line in OWN)
    terminal = on_terminal(*enrol, account=alice)
    terminal.expect("right fingerprint")
    terminal.sendline("y")
    terminal.expect("Response: ")
    terminal.sendline(str(holder.decrypt(terminal.before.replace("\r\n", "\n"))).strip())
    assert finish(terminal) == 0
    assert record_of(alice) == f"{keys['cv25519-new']} trust nosign", "and no more the lost one"
    terminal = on_terminal(*again, account=alice)
    terminal.expect_exact("alice has 9 recovery codes left. Replace them by new ones? [y/N] ")
    terminal.sendline("y")
    terminal.expect_exact("They are not shown again:")
    assert finish(terminal) == 0
    fresh = CODE.findall(terminal.before)
    assert re.findall("<li>(.*)</li>", (alice.home / "codes.html").read_text()) == fresh
    assert verdict(client, service, "--answer-with", holder.command()) == "PAM_SUCCESS"
    assert by_code(client, service, codes[0]) == "PAM_AUTH_ERR"
    assert by_code(client, service, fresh[0]) == "PAM_SUCCESS"


def test_in_central_mode(
    alice: Account, holder: Holder, keys: Keys, client: Path, new_key: bytes,
    typed: Callable[..., str], place: Path,
) -> None:  # fmt: skip
    key, codes = CENTRAL
    with overlaid(Path("/var/lib")):
        try:
            for line in section("README.md", "Central mode")[0]:
                typed(line)
            (place / "root-s/new.asc").write_bytes(holder.public(keys["cv25519"]))
            typed(key)
            [make] = [line for block in section("docs/recovery.md", "Central mode") for line in block
                      if "recovery make" in line]  # fmt: skip
            sheet = CODE.findall(typed(make.removeprefix("sudo ")))
            service = stack("trex-lost-central", section("docs/recovery.md", "Central mode")[0])
            (place / "root-s/alice.html").unlink()
            assert by_code(client, service, sheet[0]) == "PAM_SUCCESS"
            (place / "root-s/new.asc").write_bytes(new_key)
            typed(key)
            assert keys["cv25519-new"] in Path("/etc/trex/users/alice").read_text()
            assert keys["cv25519"] + " " not in Path("/etc/trex/users/alice").read_text()
            fresh = CODE.findall(typed(codes))
            asked = sandbox.ask_pam(client, service, "alice", "--answer-with", holder.command())
            assert asked.verdict == "PAM_SUCCESS"
            assert "recovery code" not in " ".join(asked.facts.get("say", [])), "new codes end it"
            assert by_code(client, service, sheet[1]) == "PAM_AUTH_ERR"
            assert by_code(client, service, fresh[1]) == "PAM_SUCCESS"
        finally:
            subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)
            shutil.rmtree("/etc/trex")


def test_the_owner_has_none_and_is_given_one(
    alice: Account, client: Path, typed: Callable[..., str]
) -> None:
    service = stack("trex-lost-none", section("docs/recovery.md", "Set it up")[0])
    [make] = BY_ROOT
    codes = CODE.findall(typed(make))
    assert recovery_file(alice).stat().st_uid == alice.uid
    assert by_code(client, service, codes[0]) == "PAM_SUCCESS"
    show, doctor = BEFORE
    assert "9 of 10 codes left\n" in typed(show)
    assert doctor == "trex doctor"


def test_every_stack_of_the_page_lets_a_code_in_and_no_stranger(
    alice: Account, client: Path
) -> None:
    stacks = section("docs/recovery.md", "Set it up")
    assert len(stacks) == 3
    codes = iter(CODE.findall(trex("recovery", "make", account=alice).stdout))
    try:
        for number, lines in enumerate(stacks):
            service = stack(f"trex-lost-{number}", lines)
            assert by_code(client, service, next(codes)) == "PAM_SUCCESS", lines
            assert by_code(client, service, "AAAA-AAAA-AAAA-AAAA") == "PAM_AUTH_ERR", lines
            assert verdict(client, service, "--answer", "") == "PAM_AUTH_ERR", lines
    finally:
        shutil.rmtree("/run/faillock", ignore_errors=True)
