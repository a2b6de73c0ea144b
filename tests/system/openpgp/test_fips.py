"""libgcrypt in FIPS mode, as on a host that is booted with fips=1: which keys still answer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import trex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

SWITCH = Path("/etc/gcrypt/fips_enabled")  # the sandbox's own


@pytest.fixture
def fips(alice: Account, keys: Keys) -> Iterator[None]:
    """Switch it on, after the keys are made."""
    assert keys["nistp256"]
    assert keys["rsa2048"]
    SWITCH.parent.mkdir()
    SWITCH.touch()
    assert b"fips-mode:y:" in alice.run("gpgconf", "--show-versions")
    yield
    SWITCH.unlink()
    SWITCH.parent.rmdir()


@pytest.mark.parametrize("kind", ["rsa2048", "nistp256"])
def test_rsa_and_the_curves_of_nist_answer(
    alice: Account, fips: None, kind: str, keys: Keys, holder: Holder, log_in: Callable[..., Asked]
) -> None:
    alice.import_keys(holder.public(keys[kind]))
    alice.write(f"{keys[kind]} trust nosign\n")
    assert log_in("alice").verdict == "PAM_SUCCESS"


def test_curve25519_is_refused_and_the_reason_is_told(
    alice: Account, fips: None, keys: Keys, holder: Holder, log: Log, log_in: Callable[..., Asked]
) -> None:
    assert log_in("alice").verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "in FIPS mode it takes RSA and the curves of NIST alone" in log.verdict()
    alice.record.unlink()
    told = trex(
        "enroll", "--user", "alice", "--key", "-", "--yes", stdin=holder.public(keys["cv25519"])
    )
    assert (told.returncode, "in FIPS mode" in told.stderr) == (1, True), told.stderr
    assert not alice.record.exists()
