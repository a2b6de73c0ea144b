"""What `trex list` says, as its programs and people read it."""

from __future__ import annotations

import json
from typing import Any

from tests.support.command import trex


def listed(*options: str) -> dict[str, Any]:
    """Return the report; its status is the command's."""
    done = trex("list", "--json", *options)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == report["status"]
    return report


def account(report: dict[str, Any], user: str) -> dict[str, Any]:
    """Return what a report says about one account."""
    [found] = [line for line in report["accounts"] if line["user"] == user]
    told: dict[str, Any] = found
    return told


def states(report: dict[str, Any], *users: str) -> list[str]:
    """Return the states of some accounts; the machine itself may have others."""
    return [account(report, user)["state"] for user in users]
