"""sshd's settings by user and origin: the real sshd says them, and which Match block has set them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.sshd import version
from trex.cli.doctor.effective import Sshd
from trex.cli.doctor.matching import LOOPBACK, PUBLIC, Origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.sandbox import Account

    Write = Callable[..., Sshd]

HERE, AWAY = Origin(LOOPBACK), Origin(PUBLIC)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration with these lines, and included files by their names."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"],
                   check=True)  # fmt: skip

    def configure(*lines: str, **included: str) -> Sshd:
        for name, content in included.items():
            (tmp_path / name).write_text(content)
        config = tmp_path / "sshd_config"
        first = f"HostKey {tmp_path}/key\n"
        config.write_text(first + "".join(f"{line.format(here=tmp_path)}\n" for line in lines))
        return Sshd(str(config))

    return configure


def test_a_block_is_named_by_file_line_and_text(alice: Account, write: Write) -> None:
    sshd = write("Match User alice", "  AuthenticationMethods publickey")
    told = sshd.ask("alice", AWAY)
    assert told.get("authenticationmethods") == "publickey"
    assert told.block("authenticationmethods") == f"Match User alice ({sshd.config}:2)"
    assert sshd.ask("root", AWAY).get("authenticationmethods") == "any"
    assert sshd.ask("root", AWAY).block("authenticationmethods") == ""


def test_the_first_of_two_blocks_is_the_reason(alice: Account, write: Write) -> None:
    sshd = write("Match User alice", "MaxAuthTries 3", "Match User a*,root", "MaxAuthTries 4")
    assert sshd.ask("alice", HERE).get("maxauthtries") == "3"
    assert sshd.ask("alice", HERE).block("maxauthtries").endswith("sshd_config:2)")
    assert sshd.ask("root", HERE).block("maxauthtries").endswith("sshd_config:4)")


def test_a_block_may_be_in_an_included_file_or_around_its_include(
    alice: Account, write: Write
) -> None:
    sshd = write("Include {here}/first", "Match User alice", "  Include {here}/second",
                 first="Match Address 10.0.0.0/8\n  PermitTTY no\n",
                 second="PermitRootLogin no\n")  # fmt: skip
    told = sshd.ask("alice", Origin("10.1.2.3"))
    assert "Match Address 10.0.0.0/8 (" in told.block("permittty")
    assert told.block("permittty").endswith("first:1)")
    assert told.block("permitrootlogin").endswith("sshd_config:3)")
    assert [str(place) for place in told.places["permitrootlogin"]] == [f"{sshd.files[2]}:1"]


def test_all_that_a_match_line_may_ask_is_told(alice: Account, write: Write) -> None:
    """sshd refuses to answer where a Match line asks for what it was not told."""
    sshd = write("Match Host *.example.org LocalPort 2222", "  PermitTTY no",
                 "Match LocalAddress 192.0.2.7 RDomain vrf?", "  PermitTTY no",
                 'Match Group "alice" Address 192.0.2.0/24,2001:db8::/32', "  PermitTTY no")  # fmt: skip
    assert sshd.has_all_origins
    without = {origin for origin in sshd.origins
               if sshd.ask("alice", origin).block("permittty")}  # fmt: skip
    assert {"192.0.2.1", "2001:db8::1"} <= {origin.address for origin in without}
    assert any(origin.host == "x.example.org" and origin.local_port == "2222" for origin in without)
    assert any(origin.local_address == "192.0.2.7" and origin.routing_domain == "vrfx"
               for origin in without)  # fmt: skip
    assert not sshd.ask("root", AWAY).block("permittty")


def test_addresses_of_allow_users_are_asked_for_too(write: Write) -> None:
    sshd = write("AllowUsers bob@192.0.2.* carol@*.example.org")
    assert "192.0.2.1" in [origin.address for origin in sshd.origins]
    assert "x.example.org" in [origin.host for origin in sshd.origins]


def test_too_many_combinations_are_said(write: Write) -> None:
    sshd = write(*(f"Match LocalPort {port} Address 10.0.0.{port}" for port in range(1, 10)))
    assert not sshd.has_all_origins
    assert len(sshd.origins) == 64


def test_thousands_of_users_cost_no_more_than_match_lines_tell_apart(write: Write) -> None:
    sshd = write("Match User alice", "  PermitTTY no", "Match Group root,adm*", "  PermitTTY no")
    names = ["alice", "root", *(f"user{number}" for number in range(10_000))]
    told = [sshd.ask(name, HERE).get("permittty") for name in names]
    assert told == ["no", "no", *["yes"] * 10_000]
    assert len(sshd._answers) == 3


@pytest.mark.parametrize(
    ("origin", "criterion", "patterns", "fit"),
    [
        (HERE, "user", ["bob", "al*", "?lice", "ALICE"], ["al*", "?lice"]),
        (HERE, "user", ["alice@127.0.0.0/8", "alice@10.0.0.0/8", "*@127.*"],
         ["alice@127.0.0.0/8", "*@127.*"]),
        (Origin(PUBLIC, "x.example.org"), "user", ["alice@*.example.org", "bob@*.example.org"],
         ["alice@*.example.org"]),
        (HERE, "user", ["!bob", "alice,bob", "*,!bob"], []),
        (HERE, "group", ["alice", "root", "domain users"], ["alice"]),
        (HERE, "group", ["!root"], []),
    ],
)  # fmt: skip
def test_sshd_says_which_patterns_of_its_lists_fit(
    alice: Account, write: Write, origin: Origin, criterion: str, patterns: list[str],
    fit: list[str],
) -> None:  # fmt: skip
    """test_doctor_refusals.py has the same lists in sshd's own configuration, and logs in."""
    assert write("PermitTTY no").fitting("alice", origin, criterion, patterns) == fit


def test_lists_of_thousands_of_users_cost_no_more_than_patterns_tell_apart(write: Write) -> None:
    sshd = write("AllowGroups root")
    names = ["root", *(f"user{number}" for number in range(10_000))]
    fit = [bool(sshd.fitting(name, HERE, "user", ["root", "user1@10.0.0.0/8"])) for name in names]
    assert fit == [True, *[False] * 10_000]
    assert len(sshd._fitting) == 3


def test_what_sshd_does_not_read_is_raised_with_its_message(write: Write) -> None:
    sshd = write("Match User", "  PermitTTY no")
    with pytest.raises(ValueError, match="sshd_config"):
        sshd.ask("root", HERE)
    with pytest.raises(ValueError, match="named 'a,addr="):
        write("PermitTTY no").ask("a,addr=10.0.0.1", HERE)


def test_somebody_without_an_account_is_somebody_to_sshd_too(write: Write) -> None:
    if version() < (9, 9):  # it does not start with such a line
        with pytest.raises(ValueError, match="Invalid-User"):
            write("Match Invalid-User", "  MaxAuthTries 2").ask("", HERE)
        return
    sshd = write("Match Invalid-User", "  MaxAuthTries 2")
    assert sshd.ask("", HERE).get("maxauthtries") == "2"
    assert sshd.ask("root", HERE).get("maxauthtries") == "6"
