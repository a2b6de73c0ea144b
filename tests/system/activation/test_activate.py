"""`trex activate sshd` from a host as Debian has it to a confirmed one, and back by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.activation import DROP_IN, PAM, STATE, WITNESSES, run, until, watchers

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.activation import HostSshd
    from tests.support.sandbox import Account

ACTIVATE = ("trex", "activate", "sshd", "--yes", "--watcher-alone")


def test_a_login_that_trex_lets_in_confirms_it(
    machine: Account, server: HostSshd, responder: Path
) -> None:
    before = PAM.read_text()
    done = run(*ACTIVATE)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    assert "pam_trex.so" in PAM.read_text()
    login = server.log_in("alice", responder, "sudo trex confirm")
    print(login.stdout, login.stderr, server.log.read_text()[-3000:])
    assert login.returncode == 0
    until(lambda: not watchers())
    assert not WITNESSES.exists()
    done = run("trex", "deactivate", "sshd", "--yes")
    print(done.stdout, done.stderr)
    assert PAM.read_text() == before
    assert not DROP_IN.exists()
