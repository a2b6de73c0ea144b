"""`trex doctor` where others than root can write what PAM reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.examination import SERVICE, checks, found

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sandbox import Account

INCLUDED = sandbox.PAM_SERVICES / "trex-included"


@pytest.fixture
def included(host: Account) -> Iterator[None]:
    """A service that includes another file, and a link to a directory."""
    INCLUDED.write_text("auth optional pam_faildelay.so\n")
    SERVICE.write_text(f"@include {INCLUDED.name}\n{SERVICE.read_text()}")
    mode = SERVICE.stat().st_mode
    yield
    SERVICE.chmod(mode)
    os.chown(SERVICE, 0, 0)
    sandbox.PAM_SERVICES.chmod(0o755)
    INCLUDED.unlink()


def test_files_of_root_s_alone_are_no_finding(included: None) -> None:
    assert checks() == []


@pytest.mark.parametrize(
    ("path", "mode"), [(SERVICE, 0o666), (INCLUDED, 0o646), (sandbox.PAM_SERVICES, 0o757)]
)
def test_a_stack_that_others_may_write(included: None, path: Path, mode: int) -> None:
    path.chmod(mode)
    finding = found("pam-writable")
    assert finding["severity"] == "error"
    assert finding["what"].startswith(f"{path}: expected writable by")
    assert f"chmod go-w {path}" in finding["mend"]


def test_a_stack_that_is_somebody_s(included: None, host: Account) -> None:
    os.chown(SERVICE, host.uid, 0)
    assert found("pam-writable")["what"].startswith(f"{SERVICE}: expected owned by root")
