"""`trex doctor` about what confines gpg and the page's process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.support import sandbox
from tests.support.examination import examine, write_service
from trex.cli.doctor.confinement import check_confinement
from trex.login.options import Options
from trex.system import landlock, seccomp

if TYPE_CHECKING:
    import pytest

    from tests.support.sandbox import Account


def told() -> list[str]:
    report = examine("--user", "alice")
    return [one["what"] for one in report["findings"] if one["check"] == "confinement"]


def test_what_is_missing_is_a_note(host: Account) -> None:
    write_service()
    assert told() == []
    program = sandbox.MODULE / "trex-confine"
    aside = program.with_name("aside")
    program.rename(aside)
    try:
        [what] = told()
    finally:
        aside.rename(program)
    assert what.startswith(f"gpg is not confined: {program} is missing")


def test_a_script_in_gpg_s_place_is_a_note(host: Account) -> None:
    script = sandbox.PLACE / "gpg-script"
    script.write_text('#!/bin/sh\nexec /usr/bin/gpg "$@"\n')
    script.chmod(0o755)
    write_service(f"gpg={script}")
    assert told() == [f"gpg={script} is a script"]


def test_a_kernel_without_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "is_available", lambda: False)
    monkeypatch.setattr(landlock, "version", lambda: 0)
    [finding] = check_confinement([(None, Options()), (None, Options())])
    assert finding.what == (
        f"no filters for system calls (seccomp) on {os.uname().machine}; no Landlock in this kernel"
    )
    assert finding.severity == "note"
