"""What is read from sshd's Match lines: criteria, examples of addresses, and what tells users apart."""

from __future__ import annotations

import pytest

from trex.cli.doctor.matching import address_of, matches_in, origins, traits


@pytest.mark.parametrize(
    ("pattern", "address"),
    [
        ("192.0.2.0/24", "192.0.2.1"), ("192.0.2.7", "192.0.2.7"), ("192.0.2.7/32", "192.0.2.7"),
        ("2001:db8::/32", "2001:db8::1"), ("10.*", "10.1.1.1"), ("10.2.?.*", "10.2.1.1"),
        ("*", "1.1.1.1"), ("2001:db8::*", "2001:db8::1"), ("*.example.org", None), ("", None),
    ],
)  # fmt: skip
def test_an_example_for_each_pattern(pattern: str, address: str | None) -> None:
    assert address_of(pattern) == address


@pytest.mark.parametrize(
    ("line", "patterns"),
    [
        ("Match User alice,!bob", {"user": ["alice", "!bob"]}),
        ('  match Group "domain users" # who', {"group": ["domain users"]}),
        ("Match user=alice Address 10.0.0.0/8",
         {"user": ["alice"], "address": ["10.0.0.0/8"]}),
        ("MATCH=all", {"all": []}),
        ("Match User", {"user": [""]}),
        ('Match User "alice', {}),
    ],
)  # fmt: skip
def test_criteria_of_a_line(line: str, patterns: dict[str, list[str]]) -> None:
    [match] = matches_in("sshd_config", ["", line])
    assert (match.line, match.patterns) == (2, patterns)


def test_only_match_lines_are_match_lines() -> None:
    assert matches_in("sshd_config", ["# Match all", "MatchAll", "PermitTTY no"]) == []


def test_users_are_told_apart_by_the_patterns_that_fit_them() -> None:
    matches = matches_in("c", ["Match User a*,!alex", "Match Group adm?n,[x]"])
    assert traits(matches, "alice", ["users"]) == traits(matches, "anna", [])
    assert traits(matches, "alex", []) != traits(matches, "anna", [])
    assert traits(matches, "bob", ["admin"]) != traits(matches, "bob", [])
    assert traits(matches, "bob", ["x"]) == traits(matches, "bob", [])


def test_without_match_lines_two_origins_are_enough() -> None:
    found, are_all = origins([], ["22"], [])
    assert [origin.address for origin in found] == ["127.0.0.1", "198.51.100.1"]
    assert are_all
