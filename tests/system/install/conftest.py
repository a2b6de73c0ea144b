"""A /usr and a /var/lib to install into, which vanish with the test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.mounts import mounted, overlaid
from tests.support.pins import PHONES
from tests.support.sandbox import PAM_SERVICES

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def usr(place: Path) -> Iterator[None]:
    """Let /usr be written to where script/install does, without a trace."""
    with overlaid(*(Path("/usr", name) for name in ("lib", "bin", "share"))):
        yield


@pytest.fixture
def no_settings(place: Path) -> Iterator[None]:
    """There is no /etc/trex yet: that of other tests comes back. /etc is the sandbox's own."""
    kept = PHONES.parent.with_name("trex-kept")
    if PHONES.parent.exists():
        PHONES.parent.rename(kept)
    yield
    shutil.rmtree(PHONES.parent, ignore_errors=True)
    if kept.exists():
        kept.rename(PHONES.parent)


@pytest.fixture
def var_lib(usr: None, no_settings: None) -> Iterator[Path]:
    """A /var/lib that is empty; yield where messages are counted. The account is gone after it."""
    with mounted(Path("/var/lib"), "-t", "tmpfs", "-o", "mode=755", "trex-var-lib"):
        yield Path("/var/lib/trex/sms")
    subprocess.run(["userdel", "--force", "_trex-sms"], check=False, capture_output=True)


@pytest.fixture
def var(place: Path) -> Iterator[None]:
    """A /var/lib with all that is there, and an empty /usr/local, to write to."""
    layers = place / "var-lib"
    for layer in ("upper", "work"):
        (layers / layer).mkdir(parents=True)
    over = f"lowerdir=/var/lib,upperdir={layers}/upper,workdir={layers}/work"
    with (
        mounted(Path("/var/lib"), "-t", "overlay", "trex", "-o", over),
        mounted(Path("/usr/local"), "-t", "tmpfs", "trex"),
    ):
        yield
    shutil.rmtree(layers)


@pytest.fixture
def no_service(place: Path) -> Iterator[None]:
    """No PAM service names the module: those of other tests come back."""
    kept = {
        path: path.read_text()
        for path in PAM_SERVICES.iterdir()
        if path.is_file() and "pam_trex" in path.read_text()
    }
    for path in kept:
        path.unlink()
    yield
    for path, text in kept.items():
        path.write_text(text)
