"""Property tests judge by what comes out: how long it takes says more about the machine.

Their inputs are the same each time, so that no run fails by chance. With EXPLORE set in the
environment they are new ones; an input that breaks a promise becomes an `@example`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "no-clock",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=not os.environ.get("EXPLORE"),
    database=None,
)
settings.load_profile("no-clock")
