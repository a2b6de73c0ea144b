"""The tests' own sandbox on a host where Trex is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.installation import DOOR, ENTRY, LIBRARY, has_sender, install
from tests.support.sandbox import PAM_SERVICES, PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

SSHD = Path("/etc/ssh/sshd_config.d/00-trex.conf")
# Where something of it is, as the README and script/install put it there.
TRACES = [
    LIBRARY, ENTRY, DOOR, SSHD,
    *(Path("/usr/bin", name) for name in ("trex", "trex-ssh", "trex-askpass", "trex-sudo-askpass")),
    *(Path(path) for path in ("/etc/trex/sms.toml", "/var/lib/trex/sms/counts",
                              "/usr/share/man/man1/trex.1", "/usr/share/zsh/vendor-completions/_trex")),
]  # fmt: skip
LOOK = f"""\
import subprocess
from pathlib import Path
from tests.support import sandbox

sandbox.enter()
for path in {[*map(str, TRACES)]}:
    if Path(path).is_symlink() or Path(path).exists():
        print(path)
print(Path("/etc/pam.d/trex-host").read_text(), end="")
for name in ("_trex", "_trex-sms"):
    subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", name], check=True)
"""


@pytest.fixture
def host(usr: None, var_lib: Path, no_service: None) -> Iterator[None]:
    """Install everything, and configure it."""
    done = install("--sms")
    assert done.returncode == 0, done.stderr
    subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "_trex"], check=True)
    (var_lib / "counts").touch()
    SSHD.write_text("AuthenticationMethods keyboard-interactive:pam\nLoginGraceTime 90\n")
    service = PAM_SERVICES / "trex-host"
    service.write_text(
        "auth  sufficient  pam_python.so pam_trex.py\n# pam_trex.py\nauth required x\n"
        "auth required pam_trex.so nullok\n"
    )
    yield
    service.unlink()
    SSHD.unlink()
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


def test_in_the_sandbox_nothing_of_an_installed_trex_is_to_be_seen(host: None) -> None:
    for path in TRACES:
        assert path.is_symlink() or path.exists(), path
    seen = subprocess.run(
        [sys.executable, "-B", "-c", LOOK], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout == "# pam_trex.py\nauth required x\n"
    for path in TRACES:
        assert path.is_symlink() or path.exists(), f"{path}: taken from the host"
    assert has_sender()
