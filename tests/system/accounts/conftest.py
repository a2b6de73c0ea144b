"""The owner of a key that is stolen, or that expires."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Asked


@pytest.fixture
def owner(place: Path) -> Iterator[Owner]:
    owner = Owner(place / "owner-of-keys")
    yield owner
    owner.remove()


@pytest.fixture
def answer(owner: Owner, ask: Callable[..., Asked]) -> Callable[..., str]:
    """Log alice in with whatever keys the owner has; return the verdict."""

    def log_in(*arguments: str, user: str = "alice") -> str:
        return ask(user, "--answer-with", owner.command(), arguments=arguments).verdict

    return log_in


@pytest.fixture
def robbed(alice: Account, owner: Owner) -> Account:
    """Alice, whose record names both keys of her own."""
    alice.import_keys(owner.public())
    alice.write(f"# mine\n{owner.stolen},{owner.spare} trust nosign\n")
    return alice
