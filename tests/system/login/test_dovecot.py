"""dovecot: whatever PAM asks, it answers with the password that a mail program sent before."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.codes import FILE, text
from tests.support.servers import end, wait_for_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Log

pytestmark = pytest.mark.usefixtures("door")
SERVICE = sandbox.PAM_SERVICES / "dovecot"
CONFIG_2_3 = """\
base_dir = {directory}/run
protocols =
passdb {{
  driver = pam
}}
userdb {{
  driver = passwd
}}
"""
CONFIG_2_4 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {directory}/run
protocols =
passdb pam {{
}}
userdb passwd {{
}}
"""
REFUSED = 77  # sysexits.h, EX_NOPERM


@pytest.fixture
def dovecot(place: Path) -> Iterator[Callable[[str, str], int]]:
    """Run its authentication; `dovecot("bob", "a password")` is doveadm's exit status."""
    directory = place / "dovecot"
    directory.mkdir()
    config = directory / "dovecot.conf"
    version = subprocess.run(["dovecot", "--version"], capture_output=True, text=True, check=True)
    form = CONFIG_2_3 if version.stdout.startswith("2.3") else CONFIG_2_4
    config.write_text(form.format(directory=directory))
    process = subprocess.Popen(["dovecot", "-F", "-c", config], stdin=subprocess.DEVNULL)
    wait_for_socket(directory / "run/auth-client", process)

    def log_in(user: str, password: str) -> int:
        test = ["auth", "test", "-x", "service=imap", user, password]
        done = subprocess.run(
            ["doveadm", "-c", config, *test], check=False, capture_output=True, timeout=60
        )
        return done.returncode

    yield log_in
    end(process)
    subprocess.run(["rm", "-r", directory], check=True)


@pytest.fixture
def stack() -> Iterator[Callable[..., None]]:
    """Put Trex alone, with these arguments, into dovecot's service; dovecot reads it each time."""
    kept = SERVICE.read_bytes()

    def install(*arguments: str) -> None:
        sandbox.trex_service("dovecot", *arguments)

    yield install
    SERVICE.write_bytes(kept)


def test_a_code_is_what_dovecot_can_send(
    alice: Account, bob: Account, dovecot: Callable[[str, str], int],
    stack: Callable[..., None], log: Log,
) -> None:  # fmt: skip
    bob.write(text('" TOTP_AUTH', "12345678"), FILE)
    stack("method=totp")
    assert dovecot("bob", "12345678") == 0, log.everything()
    stack()
    assert dovecot("alice", "a password") == REFUSED
    assert len(log.trex(": accepted: user=bob service=dovecot ")) == 1
    assert len(log.trex(": wrong response: user=alice service=dovecot ")) == 1
