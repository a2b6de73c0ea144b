"""Accounts for the functions that a test calls itself."""

from __future__ import annotations

import os
import pwd

from trex.system.privilege import Account, find_account

# Whose ids nobody else has: it is not in the database.
SOMEBODY = Account("somebody", 54321, 54322, "/nonexistent", [54322, 54323])


def own_account() -> Account:
    """Return the account that runs the tests."""
    return find_account(pwd.getpwuid(os.geteuid()).pw_name)
