"""What gpg starts ends with the login, also where /proc does not show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.mounts import mounted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked
    from tests.system.conftest import Keys


@pytest.fixture
def signer(alice: Account, holder: Holder, keys: Keys) -> Account:
    """alice, whose messages are signed, for which gpg starts an agent."""
    alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    return alice


@pytest.mark.parametrize("hidden", ["invisible", "ptraceable"])
def test_an_agent_that_proc_hides_ends_with_the_login(
    signer: Account, log_in: Callable[..., Asked], hidden: str
) -> None:
    """As hardened hosts mount it (proc(5), hidepid); Debian's gpg-agent cannot be traced."""
    with mounted(Path("/proc"), "-t", "proc", "-o", f"hidepid={hidden}", "proc"):
        assert log_in("alice").verdict == "PAM_SUCCESS"
