"""Ways around Trex in a stack: who is named, and what an acknowledgement is bound to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trex.cli.acknowledged import Ignored
from trex.cli.doctor import stack as pam
from trex.cli.doctor.around import check_ways_around
from trex.cli.doctor.doors import trex_rules
from trex.cli.doctor.exempting import check_exempting
from trex.cli.doctor.stack import read_stack

if TYPE_CHECKING:
    from pathlib import Path

    from trex.cli.doctor.finding import Finding

TREX = "required pam_trex.so"
LAN = "sufficient pam_access.so accessfile={}"


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pam, "DIRECTORIES", (str(tmp_path),))
    (tmp_path / "access").write_text("+ : ALL : 192.0.2.0/24\n- : ALL : ALL\n")
    return tmp_path


def found(directory: Path, *lines: str, service: str = "sshd") -> list[Finding]:
    text = "".join(f"auth {line}\n".format(directory / "access") for line in lines)
    (directory / service).write_text(text)
    stack = read_stack(service)
    return check_ways_around(service, stack, trex_rules(stack))


def line(directory: Path, *lines: str, service: str = "sshd") -> str:
    [finding] = found(directory, *lines, service=service)
    return finding.line


def named(findings: list[Finding]) -> list[str]:
    return [one.what.partition("around Trex: ")[2] for one in findings]


def test_each_way_is_a_finding_of_its_own(directory: Path) -> None:
    findings = found(directory, LAN, "sufficient pam_unix.so", TREX)
    assert [one.split()[0] for one in named(findings)] == ["pam_access.so", "pam_unix.so"]
    assert len({one.line for one in findings}) == 2
    assert found(directory, "required pam_unix.so", TREX) == []


@pytest.mark.parametrize(
    ("lines", "who"),
    [
        ([LAN, TREX], "pam_access.so at {}/sshd:1: whom these permit: {}/access:1: + : ALL : 192.0.2.0/24"),
        (["[success=1 default=ignore] pam_succeed_if.so quiet user ingroup ops", TREX,
          "required pam_permit.so"], "pam_succeed_if.so at {}/sshd:1: if user ingroup ops"),
        # Only a group is asked.
        (["[success=ignore default=1] pam_succeed_if.so user ingroup ops", TREX,
          "required pam_permit.so"], "pam_succeed_if.so at {}/sshd:1: not (user ingroup ops)"),
        (["required pam_unix.so", LAN, TREX],
         "pam_access.so at {}/sshd:2: whom these permit: {}/access:1: + : ALL : 192.0.2.0/24"),
        (["sufficient libpam_rssh.so", TREX],
         "libpam_rssh.so at {}/sshd:1: whose ssh-agent has a key of ~/.ssh/authorized_keys"),
        (["sufficient pam_listfile.so item=user sense=allow file=/etc/ops", TREX],
         "pam_listfile.so at {}/sshd:1: whom /etc/ops does let pass"),
        # A condition for everybody exempts nobody: it is the password that lets in.
        (["required pam_succeed_if.so uid >= 1000", "sufficient pam_unix.so", TREX],
         "pam_unix.so at {}/sshd:2"),
    ],
)  # fmt: skip
def test_the_line_that_decides_who_takes_it_is_named_with_whom(
    directory: Path, lines: list[str], who: str
) -> None:
    assert named(found(directory, *lines)) == [who.replace("{}", str(directory))]


def test_what_asks_those_who_are_exempt_is_named(directory: Path) -> None:
    [finding] = found(
        directory, "[success=ignore default=1] pam_succeed_if.so user = glass",
        "[success=done default=die] pam_unix.so", TREX,
    )  # fmt: skip
    assert "without a right response, by the answer to pam_unix.so alone." in finding.why


@pytest.mark.parametrize(
    "changed",
    [
        [LAN.replace("sufficient", "[success=done default=ignore]"), TREX],
        [f"{LAN} nodefgroup", TREX],
        ["optional pam_env.so", LAN, TREX],
    ],
)
def test_another_line_is_not_acknowledged(directory: Path, changed: list[str]) -> None:
    before = line(directory, LAN, TREX)
    assert line(directory, *changed) != before


def test_what_does_not_matter_changes_no_acknowledgement(directory: Path) -> None:
    before = line(directory, LAN, TREX)
    assert (
        line(directory, LAN.replace(" ", "\t"), f"{TREX} timeout=60", "optional pam_env.so")
        == before
    )
    (directory / "access").write_text("# LAN\n\n+  : ALL :  192.0.2.0/24\n- : ALL : ALL\n")
    assert line(directory, LAN, TREX) == before


def test_another_network_or_another_service_is_not_acknowledged(directory: Path) -> None:
    before = line(directory, LAN, TREX)
    assert line(directory, LAN, TREX, service="login") != before
    (directory / "access").write_text("+ : ALL : ALL\n")
    assert line(directory, LAN, TREX) != before


def test_a_second_answer_for_those_who_are_exempt_is_not_acknowledged(directory: Path) -> None:
    gate = "[success=ignore default=2] pam_succeed_if.so user = glass"
    one = [gate, "[success=done default=ignore] pam_unix.so", "[default=1] pam_env.so",
           "[success=done default=die] pam_trex.so"]  # fmt: skip
    before = line(directory, *one, "requisite pam_deny.so")
    assert line(directory, *one, "sufficient pam_rhosts.so", "requisite pam_deny.so") != before


def test_a_long_one_is_told_by_its_digest(directory: Path) -> None:
    many = ", ".join(f"192.0.2.{n}" for n in range(250))
    (directory / "access").write_text(f"+ : ALL : {many}\n- : ALL : ALL\n")
    before = line(directory, LAN, TREX)
    assert len(before) < 500
    (directory / "access").write_text(f"+ : ALL : {many}, 10.0.0.0/8\n- : ALL : ALL\n")
    assert line(directory, LAN, TREX) != before


def test_an_entry_covers_its_own_line_alone() -> None:
    entry = Ignored("pam-around", "x", line="sshd: a")
    assert entry.covers("pam-around", "", "sshd: a")
    assert not entry.covers("pam-around", "", "sshd: b")
    assert not entry.covers("pam-around", "", "")
    assert not Ignored("pam-around", "x").covers("pam-around", "", "sshd: a")


@pytest.mark.parametrize(
    ("module", "is_own"),
    [
        ("pam_ssh_agent_auth.so", False),
        ("pam_ssh_agent_auth.so file=/etc/security/agent_keys/%u", False),
        ("pam_ssh_agent_auth.so file=%h/.ssh/authorized_keys", True),
        ("libpam_rssh.so", True),
        ("pam_rssh.so auth_key_file=/etc/keys", False),
        ("pam_rssh.so auth_key_file=${{HOME}}/keys", True),
    ],
)
def test_keys_of_an_agent_in_a_home_are_an_error(
    directory: Path, module: str, is_own: bool
) -> None:
    """pam_rssh is in no release of Debian's: its lines are recognised by their names alone."""
    found(directory, f"sufficient {module}", TREX, service="sudo")
    findings = check_exempting("sudo", read_stack("sudo").rules, as_root=False)
    assert [one.check for one in findings] == ["exempt-own-keys"] * is_own
