"""The ways on which sshd lets a user in, and which of them ask Trex.

A way is a list of methods that all have to succeed. Source: sshd_config(5), AuthenticationMethods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trex.cli.doctor.effective import Effective

KEY, INTERACTIVE, PASSWORD = "publickey", "keyboard-interactive", "password"
# By method, the setting that enables it.
ENABLED_BY = {
    KEY: "pubkeyauthentication",
    PASSWORD: "passwordauthentication",
    INTERACTIVE: "kbdinteractiveauthentication",
    "hostbased": "hostbasedauthentication",
    "gssapi-with-mic": "gssapiauthentication",
}
NOT_FOR_ROOT: dict[
    str, frozenset[str]
] = {  # by PermitRootLogin: the methods with which root does not get in
    "no": frozenset(ENABLED_BY),
    "without-password": frozenset((PASSWORD, INTERACTIVE)),
    "prohibit-password": frozenset((PASSWORD, INTERACTIVE)),
    "forced-commands-only": frozenset(ENABLED_BY) - {KEY},
}


def ways(effective: Effective, uid: int) -> list[list[str]]:
    """Return the ways on which an account with this uid can get in."""
    written = effective.get("authenticationmethods", "any")
    named = [[name] for name in ENABLED_BY] if written == "any" else _named(written)
    permitted = "" if uid else effective.get("permitrootlogin")
    forbidden = NOT_FOR_ROOT.get(permitted, frozenset())
    return [way for way in named if not any(_is_out(name, effective, forbidden) for name in way)]


def _named(written: str) -> list[list[str]]:
    return [way.split(",") for way in written.split()]


def _is_out(method: str, effective: Effective, forbidden: frozenset[str]) -> bool:
    name = method.partition(":")[0]
    enabled = effective.get(ENABLED_BY.get(name, ""), "no")
    return name in forbidden or enabled == "no"


def asks_trex(way: list[str], effective: Effective) -> bool:
    """Return whether PAM has a say on this way; a password goes through the same PAM service."""
    if effective.get("usepam") != "yes":
        return False
    return any(method in (INTERACTIVE, f"{INTERACTIVE}:pam", PASSWORD) for method in way)


def ways_around(effective: Effective, uid: int) -> list[list[str]]:
    """Return the ways on which nothing of Trex's is asked."""
    return [way for way in ways(effective, uid) if not asks_trex(way, effective)]
