"""Whatever refuses a login beside Trex: the real sshd refuses, the doctor says why and what helps."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.examination import (
    SERVICE,
    SSHD,
    checks,
    defects,
    examine,
    found,
    write_ssh_key,
)
from tests.support.hostsshd import HostSshd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account

FILES = ("shells", "hosts.allow", "hosts.deny", "security/access.conf", "security/time.conf")
JAIL = sandbox.PLACE / "jail"


@pytest.fixture
def server(host: Account, holder: Holder) -> Iterator[HostSshd]:
    """The host's sshd, which lets alice in; what a test changes in /etc is put back."""
    kept = {path: path.read_bytes() for name in FILES if (path := Path("/etc") / name).exists()}
    server = HostSshd(holder)
    server.give_key(host)
    yield server
    for name in FILES:
        path = Path("/etc") / name
        if path in kept:
            path.write_bytes(kept[path])
        else:
            path.unlink(missing_ok=True)
    for left in (Path("/etc/nologin"), Path("/run/nologin"), Path("/etc/doctor-list")):
        left.unlink(missing_ok=True)
    shutil.rmtree("/run/faillock", ignore_errors=True)
    shutil.rmtree(JAIL, ignore_errors=True)


def bash(*commands: str) -> None:
    for command in commands:
        subprocess.run(["bash", "-ec", command], check=True, capture_output=True, cwd="/")


def configure(*lines: str) -> None:
    """Add lines to sshd's configuration."""
    SSHD.write_text(SSHD.read_text() + "".join(f"{line}\n" for line in lines))


def stack(*lines: str) -> None:
    """Write the service with Trex, and these lines."""
    rest = (
        ""
        if any(line.startswith("account") for line in lines)
        else "account required pam_permit.so\n"
    )
    SERVICE.write_text(
        f"auth required {sandbox.DOOR}\n{rest}" + "".join(f"{line}\n" for line in lines)
    )


def cured(server: HostSshd, alice: Account, check: str, severity: str = "error") -> str:
    """See the refusal, the finding, and that its command takes both away; return what was found."""
    assert not server.lets_in(alice)
    finding = found(check)
    assert finding["severity"] == severity
    bash(finding["fix"].replace(" FILE", f" {server.key}.pub"))
    assert server.lets_in(alice)
    assert check not in [finding["check"] for finding in examine()["findings"]]
    return finding["what"]


@pytest.mark.parametrize(
    ("lines", "check", "what"),
    [
        (["DenyUsers bob alice"], "sshd-denyusers", "alice: DenyUsers has alice"),
        (["DenyUsers a*"], "sshd-denyusers", "alice: DenyUsers has a*"),
        (["DenyUsers alice@127.0.0.0/8 alice"], "sshd-denyusers", "DenyUsers has alice"),
        (['DenyUsers="al*" ?lice bob@10.0.0.0/8'], "sshd-denyusers", "DenyUsers has al*, ?lice"),
        (["AllowUsers bob"], "sshd-allowusers", "alice: is not in AllowUsers"),
        (["AllowUsers bob", "AllowUsers carol"], "sshd-allowusers", "is not in AllowUsers"),
        (["DenyGroups staff alice"], "sshd-denygroups", "alice: DenyGroups has alice"),
        (["AllowGroups staff"], "sshd-allowgroups", "alice: is not in AllowGroups"),
        (["Match User alice", "  DenyUsers al*"], "sshd-denyusers",
         f"alice: DenyUsers has al*, by Match User alice ({SSHD}:8)"),
        (["Match User alice", "  PubkeyAuthentication no"], "sshd-disabled",
         f"PubkeyAuthentication no, by Match User alice ({SSHD}:8)"),
        (["RevokedKeys /etc/ssh/revoked"], "sshd-revoked", "RevokedKeys /etc/ssh/revoked: no such"),
    ],
)  # fmt: skip
def test_what_sshd_is_told_to_refuse(
    server: HostSshd, host: Account, lines: list[str], check: str, what: str
) -> None:
    configure(*lines)
    assert what in cured(server, host, check)
    assert checks() == []


@pytest.mark.parametrize(
    ("lines", "check"),
    [
        (["AllowUsers alice@10.0.0.0/8"], "sshd-allowusers"),
        (["DenyUsers alice@127.0.0.*"], "sshd-denyusers"),
        (["Match Address 127.0.0.0/8", "  DenyUsers alice"], "sshd-denyusers"),
    ],
)
def test_who_is_refused_from_some_addresses_only_is_a_note(
    server: HostSshd, host: Account, lines: list[str], check: str
) -> None:
    configure(*lines)
    assert "from 127.0.0.1" in cured(server, host, check, "note")
    assert checks() == []


@pytest.mark.parametrize(
    ("command", "check"),
    [
        ("usermod --shell /bin/not-there alice", "sshd-shell"),
        ("usermod --shell /etc/passwd alice", "sshd-shell"),
        ("rm /home/alice/.ssh/authorized_keys", "sshd-key"),
        ("rm -r /home/alice/.ssh", "sshd-key"),
        ("echo '# none yet' > /home/alice/.ssh/authorized_keys", "sshd-key"),
        ("chmod 0777 /home/alice/.ssh", "sshd-key-unsafe"),
        ("chown nobody /home/alice/.ssh/authorized_keys; chmod 0644 /home/alice/.ssh/authorized_keys",
         "sshd-key-unsafe"),
    ],
)  # fmt: skip
def test_what_sshd_refuses_of_an_account(
    server: HostSshd, host: Account, command: str, check: str
) -> None:
    assert server.lets_in(host)
    bash(command)
    cured(server, host, check)
    assert checks() == []


def test_a_program_that_names_keys_has_to_be_root_s(server: HostSshd, host: Account) -> None:
    program = Path("/etc/ssh/doctor-keys")
    program.write_text(f"#!/bin/sh\necho '{server.public.strip()}'\n")
    program.chmod(0o777)
    bash("rm /home/alice/.ssh/authorized_keys")
    configure(f"AuthorizedKeysCommand {program}", "AuthorizedKeysCommandUser nobody")
    try:
        assert str(program) in cured(server, host, "sshd-keys-command")
    finally:
        program.unlink()


def test_a_directory_for_chroot_has_to_be_root_s(server: HostSshd, host: Account) -> None:
    for name in ("bin", "lib", "lib64", "usr"):
        (JAIL / name).mkdir(parents=True)
        bash(f"mount --rbind /{name} {JAIL}/{name}")
    (JAIL / "dev").mkdir()
    configure("Match User alice", f"  ChrootDirectory {JAIL.parent}/%%u/../jail")
    configure(f"  ChrootDirectory {JAIL}")
    SSHD.write_text(SSHD.read_text().replace(f"  ChrootDirectory {JAIL.parent}/%%u/../jail\n", ""))
    try:
        assert server.lets_in(host)
        JAIL.chmod(0o777)
        cured(server, host, "sshd-chroot")
    finally:
        for name in ("bin", "lib", "lib64", "usr"):
            bash(f"umount -l {JAIL}/{name}")


@pytest.mark.parametrize(
    ("lines", "command", "check"),
    [
        (["@include common-account"], "chage --expiredate 1 alice", "account-expired"),
        (["account required pam_unix.so"], "chage --expiredate 1 alice", "account-expired"),
        (["@include common-account"], "chage --lastday 0 alice", "account-password"),
        (["account required pam_unix.so"], "chage --lastday 1 --maxdays 2 --inactive 3 alice",
         "account-password"),
        (["account required pam_nologin.so", "@include common-account"], "touch /etc/nologin",
         "account-nologin"),
        (["account required pam_nologin.so", "@include common-account"],
         "echo soon > /run/nologin; touch /etc/nologin", "account-nologin"),
        (["auth requisite pam_nologin.so"], "touch /run/nologin", "account-nologin"),
        (["account required pam_access.so"], "echo '-:ALL EXCEPT root:ALL' > /etc/security/access.conf",
         "account-refused"),
        (["account required pam_time.so"],
         ("printf 'login;*;alice;!Al0000-2400\\n*;*;bob;Al\\nsshd;*;al*;!Al0000-2400\\n' "
         "> /etc/security/time.conf"), "account-refused"),
        (["account required pam_listfile.so item=user sense=deny file=/etc/doctor-list onerr=fail"],
         "printf 'bob\\nalice\\n' > /etc/doctor-list", "account-refused"),
        (["auth required pam_listfile.so item=user sense=allow file=/etc/doctor-list onerr=fail"],
         "echo bob > /etc/doctor-list; chmod 600 /etc/doctor-list", "account-refused"),
        (["account required pam_shells.so"], "sed -i /bash/d /etc/shells", "account-refused"),
        (["account required pam_succeed_if.so user ingroup staff"], ":", "account-refused"),
        (["account required pam_succeed_if.so quiet user notingroup staff"],
         "gpasswd --add alice staff", "account-refused"),
    ],
)  # fmt: skip
def test_what_pam_modules_refuse(
    server: HostSshd, host: Account, lines: list[str], command: str, check: str
) -> None:
    stack(*lines)
    bash(command)
    assert cured(server, host, check).startswith("alice: refused by pam_")
    assert checks() == []


def test_an_account_that_failures_have_locked(
    server: HostSshd, host: Account, client: Path
) -> None:
    """And looking changes nothing: in the account phase the module itself forgets all failures."""
    stack("auth requisite pam_faillock.so preauth deny=2", "account required pam_faillock.so")
    fails = sandbox.pam_service("doctor-fails", "auth required pam_faillock.so authfail deny=2")
    sandbox.ask_pam(client, fails, "alice")
    tally = Path("/run/faillock/alice").read_bytes()
    assert checks() == []
    assert Path("/run/faillock/alice").read_bytes() == tally
    stack("auth optional pam_faillock.so authfail", "auth optional pam_faillock.so authsucc")
    assert checks() == []
    assert Path("/run/faillock/alice").read_bytes() == tally
    stack("auth requisite pam_faillock.so preauth deny=2", "account required pam_faillock.so")
    sandbox.ask_pam(client, fails, "alice")
    assert "too many failures" in cured(server, host, "account-locked")


@pytest.mark.parametrize("deny", ["sshd: ALL", "ALL: ALL"])
def test_hosts_that_hosts_deny_names(server: HostSshd, host: Account, deny: str) -> None:
    Path("/etc/hosts.deny").write_text(f"{deny}\n")
    cured(server, host, "sshd-wrappers")
    Path("/etc/hosts.allow").unlink()
    Path("/etc/hosts.deny").write_text("sshd: 127.0.0.0/255.0.0.0\n")
    assert "from 127.0.0.1" in cured(server, host, "sshd-wrappers", "note")


def test_commands_of_hosts_deny_are_not_run(host: Account, server: HostSshd) -> None:
    made = sandbox.PLACE / "spawned"
    Path("/etc/hosts.deny").write_text(f"sshd: ALL: spawn (touch {made})\n")
    assert found("sshd-wrappers")["severity"] == "error"
    assert not made.exists()


def test_a_module_that_may_change_something_is_not_asked(server: HostSshd, host: Account) -> None:
    made = sandbox.PLACE / "executed"
    stack(f"account required pam_exec.so /usr/bin/touch {made}", "account required pam_unix.so")
    finding = found("account-unasked")
    assert (finding["severity"], made.exists()) == ("note", False)
    assert "pam_exec.so was not asked" in finding["what"]
    assert checks() == []
    assert server.lets_in(host)
    assert made.exists()
    made.unlink()


def test_an_account_phase_that_lets_nobody_in(server: HostSshd, host: Account) -> None:
    stack("account required pam_deny.so")
    assert not server.lets_in(host)
    assert checks() == [("account-closed", "error")]
    stack("account required pam_not_there.so")
    assert not server.lets_in(host)
    assert checks() == [("pam-missing", "error")]
    stack("account requird pam_permit.so")
    assert not server.lets_in(host)
    assert checks() == [("pam-syntax", "error")]


def test_several_modules_that_refuse_are_all_named(server: HostSshd, host: Account) -> None:
    stack("account required pam_nologin.so", "@include common-account")
    bash("touch /etc/nologin; chage --expiredate 1 alice")
    found = [f for f in defects() if f["check"].startswith("account-")]
    assert {f["check"] for f in found} == {"account-nologin", "account-expired"}
    for finding in found:
        bash(finding["fix"])
    assert server.lets_in(host)
    assert checks() == []


def test_a_user_who_is_asked_for_is_checked_although_not_set_up(
    server: HostSshd, host: Account, bob: Account
) -> None:
    write_ssh_key(bob, server.public)
    configure("DenyUsers bob")
    assert checks() == []
    assert ("sshd-denyusers", "error") in checks("--user", "bob")


@pytest.mark.parametrize(
    "lines",
    [["DenyUsers bob alice"], ["DenyGroups alice", "DenyUsers alice", "DenyUsers bob"],
     ["AllowUsers carol", "AllowGroups staff"]],
)  # fmt: skip
def test_commands_for_several_users_are_typed_one_after_the_other(
    server: HostSshd, host: Account, bob: Account, lines: list[str]
) -> None:
    server.give_key(bob)
    configure(*lines)
    found = [f for f in defects("--user", "alice", "--user", "bob") if "sshd-" in f["check"]]
    assert {f["subject"] for f in found} == {"alice", "bob"}
    for finding in found:
        bash(finding["fix"])
    assert not [f for f in defects("--user", "alice", "--user", "bob") if "sshd-" in f["check"]]
    assert server.lets_in(host)


def test_debian_s_own_service_with_trex_in_it_has_no_findings(
    server: HostSshd, host: Account
) -> None:
    """README.md, step 4: all lines but the one of common-auth stay."""
    stack("account required pam_nologin.so", "@include common-account",
          "session required pam_loginuid.so", "@include common-session",
          "session required pam_limits.so", "@include common-password")  # fmt: skip
    assert examine()["findings"] == []
