"""Keys of people who do not use Trex: gpg's own verdict on each, and the module's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.proof.keyrings import DEBIAN, compare, keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account, Asked

KEYRING, MAINTAINERS, _ = DEBIAN


def test_gpg_and_the_module_agree_on_every_key_of_a_sample() -> None:
    """All of them: `python3 -m tests.proof.keyrings`."""
    compared = [one for path, every in ((KEYRING, 20), (MAINTAINERS, 4))
                for one in compare(keys_of(path, every))]  # fmt: skip
    assert [one for one in compared if one.gpg != one.trex] == []
    assert {one.gpg for one in compared} >= {"usable", "ended"}
    assert len(compared) > 80


def test_a_login_with_each_key_of_a_smaller_sample(
    alice: Account, ask: Callable[..., Asked]
) -> None:
    """There is a prompt just where gpg could encrypt."""
    keys = keys_of(MAINTAINERS, 20)
    (alice.gnupg / "pubring.kbx").unlink()
    (alice.gnupg / "pubring.gpg").write_bytes(b"".join(key.raw() for key in keys))
    alice.own(alice.gnupg / "pubring.gpg", 0o600)
    for one in compare(keys):
        alice.write(f"{one.fingerprint} trust nosign\n")
        asked = ask("alice", "--answer", "x")
        assert asked.verdict == (
            "PAM_AUTH_ERR" if one.gpg == "usable" else "PAM_AUTHINFO_UNAVAIL"
        ), one
