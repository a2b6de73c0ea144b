"""What `trex doctor` finds in sshd's settings that an older sshd does not have."""

from __future__ import annotations

import pytest

from trex.cli.doctor.effective import Effective
from trex.cli.doctor.judging import judge_asking

ASKS = {"usepam": "yes", "kbdinteractiveauthentication": "yes", "passwordauthentication": "no"}


@pytest.mark.parametrize(
    ("service", "checks"),
    [({}, []), ({"pamservicename": "sshd"}, []), ({"pamservicename": "otp"}, ["sshd-service"])],
)
def test_another_service_than_the_one_that_is_looked_at(
    service: dict[str, str], checks: list[str]
) -> None:
    """OpenSSH has the setting from 9.8 on; tests/system asks the real one where it is there."""
    settings = Effective({name: [value] for name, value in {**ASKS, **service}.items()})
    assert [finding.check for finding in judge_asking(settings)] == checks
