"""What the doctor's messages say they are for."""

from __future__ import annotations

import pytest

from trex.cli.doctor.record import OURS, purpose
from trex.openpgp.prompt import context

HOST_KEYS = ["mYk2cW0bPp7Zq1xA", "T+n5Jr8vLs3GdE_h", "7v+jyacHbj4+kQW3"]


@pytest.mark.parametrize(
    "service", ["sshd", "su", "systemd-user", "a name", pytest.param("x" * 300, id="long")]
)
@pytest.mark.parametrize("user", ["alice", pytest.param("a" * 200, id="long")])
def test_a_message_is_as_long_as_that_of_a_login_from_an_ipv4_address(
    service: str, user: str
) -> None:
    """Otherwise a QR code that the doctor has drawn is one byte too large for the prompt."""
    told = purpose(user, service, 600, HOST_KEYS)
    assert len(told) == len(context(user, service, "255.255.255.255", 600, HOST_KEYS))
    assert f" service={OURS} " in told, "no login takes its answer"
