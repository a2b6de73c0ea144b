"""A host on which Trex is installed, and not switched on."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

from tests.support import activation
from tests.support.installation import install
from tests.support.installed import LOWER
from tests.support.mounts import mounted, overlaid
from tests.support.sshd import answering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

RULE = Path("/etc/sudoers.d/trex-activation")


@pytest.fixture(scope="module")
def installed(place: Path) -> Iterator[None]:
    """Install Trex as script/install does, for the tests of one file."""
    with overlaid(*(Path("/usr", name) for name in ("lib", "bin", "share"))):
        layer = Path(mkdtemp(prefix="state-", dir=place))
        upper, work = layer / "upper", layer / "work"
        upper.mkdir()
        work.mkdir()
        lower = LOWER.get(Path("/var/lib"), "/var/lib")
        layers = f"lowerdir={lower},upperdir={upper},workdir={work}"
        with mounted(Path("/var/lib"), "-t", "overlay", "trex-state", "-o", layers):
            done = install()
            assert done.returncode == 0, done.stderr
            yield


@pytest.fixture
def machine(installed: None, alice: Account) -> Iterator[Account]:
    """Debian's services, no activation yet, and alice, who may call sudo and is set up."""
    kept = {path: path.read_bytes() for path in map(Path, CHANGED) if path.exists()}
    RULE.write_text("alice ALL=(ALL) NOPASSWD: ALL\n")
    RULE.chmod(0o440)
    yield alice
    for path in activation.STATE.glob("*"):
        path.unlink(missing_ok=True)  # what waits may go by itself
    activation.until(lambda: not activation.watchers())
    shutil.rmtree(activation.WITNESSES, ignore_errors=True)
    for name in CHANGED:
        path = Path(name)
        for left in (
            path,
            path.with_name(f".{path.name}.trex-new"),
            path.with_name(f".{path.name}.trex-old"),
        ):
            left.unlink(missing_ok=True)
        if path in kept:
            path.write_bytes(kept[path])
    RULE.unlink()
    Path("/run/motd.dynamic").unlink(missing_ok=True)  # pam_motd's, of a login


CHANGED = (
    "/etc/pam.d/sshd", "/etc/pam.d/sudo", "/etc/pam.d/sudo-i", "/etc/pam.d/su", "/etc/pam.d/su-l",
    "/etc/pam.d/login", "/etc/login.defs", "/etc/ssh/sshd_config.d/01-trex.conf",
)  # fmt: skip


@pytest.fixture
def server(machine: Account) -> Iterator[activation.HostSshd]:
    """The host's sshd."""
    running = activation.HostSshd(machine)
    yield running
    running.close()


@pytest.fixture
def responder(server: activation.HostSshd, holder: Holder) -> Path:
    """A program that answers ssh's questions with alice's key."""
    return answering(server.directory, holder, server.directory / "shown")
