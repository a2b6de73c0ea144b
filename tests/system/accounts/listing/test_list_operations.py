"""docs/operations.md, "Who is not enrolled yet" and "Watch it": each command, typed as it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import environment
from tests.support.operations import blocks_of, commands_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.journal import Journal
    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log

NOT_ENROLLED, WATCH = "Who is not enrolled yet", "Watch it"
METRICS = Path("/var/lib/prometheus/node-exporter/trex.prom")
STATE = Path("/var/lib")
UNITS = Path("/etc/systemd/system")


@pytest.fixture
def programs(place: Path, host: Account, bob: Account) -> Iterator[Path]:
    """sudo and trex as programs on PATH; /var/lib is the sandbox's own, and empty."""
    made = place / "operations"
    made.mkdir()
    (made / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (made / "trex").write_text('#!/bin/sh\nexec /usr/bin/python3 -B -m trex.cli "$@"\n')
    for path in made.iterdir():
        path.chmod(0o755)
    subprocess.run(["mount", "-t", "tmpfs", "trex-test", STATE], check=True)
    service = sandbox.PAM_SERVICES / "sudo"
    kept = service.read_bytes()
    sandbox.trex_service("sudo")
    yield made
    service.write_bytes(kept)
    subprocess.run(["umount", STATE], check=True)
    subprocess.run(["rm", "-r", made], check=True)


def typed(command: str, programs: Path) -> subprocess.CompletedProcess[str]:
    """Type a command in a shell of root's."""
    made = environment(None)
    made["PATH"] = f"{programs}:{made['PATH']}"
    return subprocess.run(
        ["/bin/sh", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        env=made,
        timeout=60,
    )


def test_who_is_not_enrolled_is_found_as_the_page_says(programs: Path) -> None:
    plain, for_sudo, names = (typed(command, programs) for command in commands_of(NOT_ENROLLED))
    assert (plain.returncode, plain.stderr) == (1, "")
    assert re.search("^bob +not enrolled$", plain.stdout, re.MULTILINE)
    assert "alice" not in plain.stdout
    assert for_sudo.returncode == 1
    assert "bob" in for_sudo.stdout
    assert (names.stdout, names.stderr) == ("bob\n", "")


def test_it_is_watched_as_the_page_says(programs: Path, bob: Account, holder: Holder) -> None:
    made = holder.make("watch@example.org", expire="20d")
    bob.import_keys(holder.public(made))
    bob.write(f"{made} trust nosign\n")
    done = {command: typed(command, programs) for command in commands_of(WATCH)}
    status = {command: one.returncode for command, one in done.items() if " trex list" in command}
    assert status == {
        "sudo trex list": 1,
        "sudo trex list --expiring 30d": 1,
        "sudo trex list --long": 1,
        "sudo trex list --expiring 14d": 0,
        f"sudo trex list --prometheus {METRICS}": 1,
    }
    for command, one in done.items():
        if not command.startswith("journalctl"):
            assert one.stderr == "", command
    assert "trex_accounts_expiring 1\n" in METRICS.read_text()


def test_the_page_names_every_metric_and_no_other(programs: Path) -> None:
    typed(f"install -d {METRICS.parent}; trex list --prometheus {METRICS}", programs)
    page = Path(sandbox.PROJECT / "docs/operations.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(trex_\w+)", page, re.MULTILINE))
    written = set(re.findall(r"^# TYPE (\w+) gauge$", METRICS.read_text(), re.MULTILINE))
    assert named - written == {"trex_first_expiry_timestamp_seconds"}, "no key here has an end"
    assert written <= named


def test_the_units_are_as_systemd_has_them(programs: Path) -> None:
    service, timer = (block for block in blocks_of(WATCH) if block.startswith("[Unit]"))
    assert METRICS.as_posix() in service
    UNITS.mkdir(parents=True, exist_ok=True)
    paths = [UNITS / "trex-list.service", UNITS / "trex-list.timer"]
    # The sandbox has no /usr/bin/trex.
    for path, text in zip(paths, (service.replace("/usr/bin", str(programs)), timer), strict=True):
        path.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for path in paths:
        path.unlink()
    shutil.rmtree("/run/systemd", ignore_errors=True)  # it makes one


def test_refused_logins_are_found_in_the_journal_as_the_page_says(
    programs: Path, journal: Journal, log: Log, ask: Callable[..., Asked], alice: Account
) -> None:
    wrong, unchecked = (one for one in commands_of(WATCH) if one.startswith("journalctl"))
    ask("alice", "--answer", "wrong")
    journal.take(log.verdict())
    assert "wrong response: user=alice" in typed(wrong, programs).stdout
    assert "user=alice" not in typed(unchecked, programs).stdout
    log.clear()
    alice.record.write_text("nobody@example.org trust nosign\n")
    ask("alice")
    journal.take(log.verdict())
    assert "could not check: user=alice" in typed(unchecked, programs).stdout
