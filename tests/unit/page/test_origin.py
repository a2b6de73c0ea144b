"""The origin of a visitor of the page, by which connections are counted."""

from __future__ import annotations

import pytest

from trex.page.process.server import _origin


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.255.3.9", True),
        ("127.0.0.1", "::1", True),
        ("::ffff:127.0.0.1", "127.0.0.2", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "127.0.0.1", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%lo", "fe80::2%lo", True),
        ("::2", "::1", False),
    ],
)
def test_which_addresses_are_one_visitor(one: str, other: str, same: bool) -> None:
    assert (_origin(one) == _origin(other)) is same
