"""pam_namespace, which gives each user a /tmp of their own: a login needs nothing that lies there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.sshd import answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys

CONFIG = Path("/etc/security/namespace.conf")
INSTANCES = sandbox.PLACE / "instances"


@pytest.fixture
def instances(place: Path) -> Iterator[None]:
    kept = CONFIG.read_text()
    INSTANCES.mkdir(mode=0)
    CONFIG.write_text(f"/tmp {INSTANCES}/ user root\n")
    yield
    CONFIG.write_text(kept)
    for instance in INSTANCES.iterdir():
        for path in instance.iterdir():
            path.unlink()
        instance.rmdir()
    INSTANCES.rmdir()


@pytest.fixture
def signed(alice: Account, holder: Holder, keys: Keys) -> Account:
    """Alice, whose challenges a key of hers signs, for which gpg-agent needs a home."""
    alice.import_keys(holder.secret(keys["cv25519-signer"]))
    alice.write(f"{keys['cv25519']} trust {keys['cv25519-signer']}\n")
    return alice


def test_sshd_opens_a_session_with_a_tmp_of_its_own(
    signed: Account, instances: None, sshd: Callable[..., Sshd], holder: Holder, tmp_path: Path
) -> None:
    service = sandbox.pam_service(
        "trex-instances", f"auth required {sandbox.DOOR}", "account required pam_permit.so",
        "session required pam_namespace.so",
    )  # fmt: skip
    askpass = answering(tmp_path, holder, tmp_path / "shown")
    done = sshd(service=service).log_in("alice", askpass, "touch /tmp/of-alice; ls -A /tmp")
    assert done.stdout == "of-alice\n", done.stderr
    assert not Path("/tmp/of-alice").exists()


@pytest.mark.usefixtures("door")
def test_a_program_in_such_a_session_asks_as_everywhere(
    signed: Account,
    client: Path,
    service: Callable[..., str],
    holder: Holder,
    log: Log,
    tmp_path: Path,
) -> None:
    """As su and sudo do there: with its own mounts, and nothing in /tmp."""
    program = tmp_path / "client"
    private = f'mount -t tmpfs none /tmp && exec {client} "$@"'
    program.write_text(f"#!/bin/sh\nexec unshare --mount sh -c '{private}' sh \"$@\"\n")
    program.chmod(0o755)
    asked = sandbox.ask_pam(program, service(), "alice", "--answer-with", holder.command())
    assert asked.verdict == "PAM_SUCCESS", log.everything()
