"""Work as another account is bounded: its time, its memory, its report."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from trex.cli import delegate
from trex.cli.delegate import MAX_MEMORY, MAX_REPORT, run_as
from trex.cli.doctor.page import _read_certificate
from trex.cli.doctor.survey import MOST_SILENT, survey_homes
from trex.cli.errors import CommandError
from trex.errors import PageUnavailable
from trex.system.privilege import find_account
from trex.system.safefile import MAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trex.system.privilege import Account

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody else")


def as_nobody(work: Callable[[], Any], seconds: float = 60) -> Any:
    return run_as(find_account("nobody"), work, seconds)


def test_what_needs_too_much_memory_fails_there() -> None:
    with pytest.raises(CommandError, match="it needs more than 1024 MiB of memory"):
        as_nobody(lambda: len(bytearray(MAX_MEMORY + 1)))


def test_what_it_starts_has_the_same_limit_and_cannot_raise_it() -> None:
    def ask() -> str:
        return subprocess.run(["/bin/sh", "-c", "ulimit -S -d; ulimit -H -d"], capture_output=True,
                              text=True, check=True).stdout  # fmt: skip

    assert [int(limit) * 1024 for limit in as_nobody(ask).split()] == [MAX_MEMORY] * 2


def test_a_narrower_limit_stays() -> None:
    def ask() -> list[int]:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29))
        delegate._limit_memory()
        return list(resource.getrlimit(resource.RLIMIT_DATA))

    assert as_nobody(ask) == [1 << 29] * 2


def test_a_report_without_an_end_is_refused() -> None:
    with pytest.raises(CommandError, match="expected a report of at most 16 MiB"):
        as_nobody(lambda: "x" * (MAX_REPORT + 1))


def test_work_without_an_end_is_ended_and_told() -> None:
    begun = time.monotonic()
    with pytest.raises(CommandError) as caught:
        as_nobody(lambda: time.sleep(60), 0.2)
    assert time.monotonic() - begun < 30
    assert "on nobody's files did not finish in 0 seconds and was ended" in str(caught.value)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["fifo", "zero", "large", "directory", "empty", "text", "gone"])
def test_a_certificate_is_read_like_a_login_reads_it(kind: str, tmp_path: Path) -> None:
    """The path is the user's: a file swapped since the page was opened neither blocks nor grows."""
    path = tmp_path / "cert.pem"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "directory":
        path.mkdir()
    elif kind != "gone":
        path.write_bytes(b"x" * {"large": MAX_SIZE + 1, "empty": 0, "text": 10}[kind])
    with pytest.raises(PageUnavailable, match=str(path)):
        _read_certificate(str(path))


def test_a_survey_says_who_is_set_up_and_leaves_out_who_cannot_be_asked() -> None:
    def is_set_up(name: str) -> bool:
        if name == "odd":
            raise CommandError("no home")
        return name == "yes"

    survey = survey_homes(["yes", "odd", "no", "yes"], is_set_up)
    assert (survey.found, survey.silent, survey.left_out) == (["yes", "yes"], [], [])


def test_a_survey_goes_on_behind_who_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stops at the third: a dead server may hold a thousand homes.

    Its process is killed there, as at the end of its time, which is not waited for.
    """
    given = []

    def run(account: Account, work: Callable[[], Any], seconds: float) -> Any:
        given.append(seconds)
        return run_as(account, work, seconds)

    monkeypatch.setattr("trex.cli.doctor.survey.run_as", run)
    monkeypatch.setattr("trex.cli.doctor.survey.SECONDS", 60)

    def is_set_up(name: str) -> bool:
        if name.startswith("silent"):
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    names = ["a", "silent1", "b", "silent2", "silent3", "c", "silent4"]
    survey = survey_homes(names, is_set_up)
    assert survey.silent == ["silent1", "silent2", "silent3"]
    assert len(survey.silent) == MOST_SILENT
    assert survey.found == ["a", "b"]
    assert survey.left_out == ["c", "silent4"]
    assert set(given) == {60}


def test_where_no_process_can_be_had_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", fail)
    before = sorted(os.listdir("/proc/self/fd")), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(OSError, match="temporarily"):
        as_nobody(lambda: None)
    after = sorted(os.listdir("/proc/self/fd")), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert after == before
