"""`trex setup --check`, and `trex doctor` on a user's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.session import in_session

if TYPE_CHECKING:
    from tests.support.client import Client
    from tests.support.sshd import Sshd


def test_the_check_says_what_keeps_ssh_from_answering(prepared: Client, server: Sshd) -> None:
    good = in_session(prepared, "trex setup --check")
    assert (good.returncode, good.stdout) == (0, "Nothing was found.\n"), good.stdout
    bare = prepared.run("trex", "setup", "--check")
    assert (bare.returncode, "trex setup  # and a new session" in bare.stdout) == (0, True)
    for session, told in (
        ({"SSH_ASKPASS": "/bin/mine"}, "since then SSH_ASKPASS is /bin/mine"),
        ({"SSH_ASKPASS": "/gone/trex-askpass"}, "/gone/trex-askpass cannot be run"),
    ):
        given = {"SSH_ASKPASS_REQUIRE": "force", "TREX_SSH_ASKPASS_REQUIRE": "", **session}
        found = prepared.run("trex", "setup", "--check", environment=given)
        assert found.returncode == 2
        assert told in found.stdout


def test_the_check_says_that_host_keys_are_not_compared(prepared: Client, server: Sshd) -> None:
    prepared.account.write("KnownHostsCommand /bin/true %f\n", ".ssh/config")
    found = in_session(prepared, "trex setup --check")
    assert found.returncode == 1
    assert "warning: plain ssh does not record the host keys" in found.stdout
    assert "a KnownHostsCommand of your own takes its place" in found.stdout


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("KbdInteractiveAuthentication no", "error"), ("BatchMode yes", "error"),
        ("NumberOfPasswordPrompts 0", "error"), ("StrictHostKeyChecking no", "warning"),
        ("UserKnownHostsFile /dev/null", "warning"),
        ("PreferredAuthentications publickey,password", "error"),
    ],
)  # fmt: skip
def test_the_check_reads_ssh_s_own_settings(
    prepared: Client, server: Sshd, line: str, severity: str
) -> None:
    prepared.account.write(f"Host *\n  {line}\n", ".ssh/config")
    found = in_session(prepared, "trex setup --check").stdout
    assert (
        f"{severity}: ssh's setting for every host: {line.split(maxsplit=1)[0].lower()} " in found
    )


def test_the_check_looks_at_keys_pins_and_files(prepared: Client, server: Sshd) -> None:
    account = prepared.account
    account.write(f"server.example.org {'A' * 40}\n", ".config/trex/pins")
    account.run("chmod", "666", ".ssh/known_hosts")
    account.write("pinentry-program /nowhere/pinentry\n", ".gnupg/gpg-agent.conf")
    account.end_daemons()
    found = in_session(prepared, "trex setup --check")
    assert found.returncode == 2
    for told in (
        "the key that is pinned for server.example.org is not in your keyring",
        "known_hosts can be written by others", "pinentry cannot be run: /nowhere/pinentry",
    ):  # fmt: skip
        assert told in found.stdout, found.stdout
    lost = prepared.run("trex", "setup", "--check", environment={"GPG_TTY": "/dev/pts/none"})
    assert "GPG_TTY is /dev/pts/none, which is no terminal that you can use" in lost.stdout
    account.write("half a line\n", ".config/trex/names")
    assert "names:1:" in in_session(prepared, "trex setup --check").stdout
    fresh = sandbox.PLACE / "no-keys"
    fresh.mkdir(mode=0o700)
    account.own(fresh, 0o700)
    done = prepared.run("trex", "setup", "--check", environment={"GNUPGHOME": str(fresh)})
    account.run("gpgconf", "--homedir", str(fresh), "--kill", "all")
    assert "there is no secret key here" in done.stdout


def test_the_doctor_on_a_user_s_machine_looks_at_what_ssh_needs(
    prepared: Client, server: Sshd
) -> None:
    services = {path: path.read_bytes() for path in sandbox.PAM_SERVICES.iterdir()}
    try:
        for path, content in services.items():
            if b"pam_trex" in content:
                path.unlink()
        done = in_session(prepared, "trex doctor")
        assert done.returncode == 0, done.stdout
        assert "so this is taken for a user's machine" in done.stdout
        assert "/etc/pam.d" not in done.stdout
        assert "does not ask trex-askpass" in prepared.run("trex", "doctor").stdout
    finally:
        for path, content in services.items():
            path.write_bytes(content)
    assert "sshd's settings" in in_session(prepared, "trex doctor").stdout
