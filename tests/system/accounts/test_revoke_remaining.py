"""What `trex revoke` says of who can still log in, and the end of open sessions."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.command import PYTHON, environment, trex
from tests.support.examination import write_sshd
from tests.support.owner import Owner, enrolled
from tests.support.recovery import CODES, FILE, text
from trex.cli.accounts.elsewhere import ways_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

IN, REFUSED = "PAM_SUCCESS", "PAM_AUTHINFO_UNAVAIL"


def revoke(owner: Owner, *options: str) -> str:
    done = trex("revoke", "--user", "alice", "--yes", *options, "-", stdin=owner.certificate())
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_same_key_in_sudo_s_record_is_named_and_the_command_printed_ends_it(
    host: Account, robbed: Account, owner: Owner, central: list[str],
    stack: Callable[..., Path], answer: Callable[..., str],
) -> None:  # fmt: skip
    """A key has to go everywhere: sshd's record in the home, and sudo's of root's."""
    stack("sudo", *central)
    users = enrolled(central, owner, "alice", f"{owner.stolen} trust nosign\n")
    said = revoke(owner)
    [line] = [line for line in said.splitlines() if "the same key" in line]
    assert re.match("  the same key, at sudo.*: trex revoke --central --auth-file ", line)
    command = line.partition(": trex ")[2].removesuffix("- < FILE").split()
    assert answer(*central) == IN
    done = trex(*command, "--yes", "-", stdin=owner.certificate())
    assert done.returncode == 0, done.stderr
    assert answer(*central) == REFUSED
    assert f"{users}/alice stays, and refuses every login" in done.stdout
    assert "the same key" not in trex(*command, "--yes", "-", stdin=owner.certificate()).stdout


def test_a_spare_key_that_is_left_still_logs_in_where_another_is_left_out(
    robbed: Account, owner: Owner, answer: Callable[..., str]
) -> None:
    """What a record leaves out does not refuse: the spare key can be in the thief's hands, too."""
    old = owner.make("old@example.org", expire="10d", at="20200101T000000")
    robbed.import_keys(owner.public(old))
    robbed.write(f"# trex: leave-out-unusable\n{owner.stolen},{old},{owner.spare} trust nosign\n")
    done = trex("revoke", "--user", "alice", "--yes", "-", stdin=owner.certificate())
    assert done.returncode == 0, done.stderr
    assert "refuses every login" not in done.stdout
    left = done.stdout.partition("What can still log in as alice:\n")[2]
    assert f"  {owner.spare}\n" in left
    assert f"  {old}\n" not in left
    assert answer() == "PAM_SUCCESS"


def test_another_user_s_record_in_a_home_is_named_with_its_command(
    robbed: Account, owner: Owner, bob: Account, answer: Callable[..., str]
) -> None:
    bob.import_keys(owner.public(owner.stolen))
    bob.write(f"{owner.stolen} trust nosign\n")
    said = revoke(owner)
    assert "bob has the same key in a record: trex revoke --user bob - < FILE" in said
    assert answer(user="bob") == IN
    assert "has the same key" not in trex(
        "revoke", "--user", "bob", "--yes", "-", stdin=owner.certificate()
    ).stdout.replace("alice has", "alice, whose record names the spare alone, has")
    assert answer(user="bob") == REFUSED


def test_users_are_told_of_their_own_codes_and_what_they_cannot_see(
    host: Account, robbed: Account, owner: Owner, stack: Callable[..., Path]
) -> None:
    """Whoever stole the laptop may have the sheet, too."""

    def said(key: str) -> str:
        done = trex("revoke", "--yes", key, account=robbed)
        assert done.returncode == 0, done.stderr
        return done.stdout

    stack("login", "method=recovery")
    stack("su", "method=totp", "secret=/var/lib/trex/totp/%u", "run_as=nobody")
    told = said(owner.stolen)
    assert "What can still log in as alice:" in told
    assert "method=recovery" not in told
    robbed.write(text(robbed.uid, CODES), FILE)
    told = said(owner.spare)
    assert re.search(r"(?m)^  a recovery code \(method=recovery\): .*\blogin\b", told)
    hidden = r"(?m)^  a code from a phone \(method=totp\), if root's files have any: .*\bsu\b"
    assert re.search(hidden, told)


def test_codes_and_ssh_keys_are_other_ways_and_are_told(
    host: Account, robbed: Account, owner: Owner, stack: Callable[..., Path]
) -> None:
    stack("login", "method=totp")
    assert "method=totp" not in revoke(owner)
    robbed.write("SECRET\n", ".google_authenticator")
    (robbed.home / ".ssh").mkdir(exist_ok=True)
    robbed.own(robbed.home / ".ssh", 0o700)
    robbed.write("# mine\nssh-ed25519 AAAA laptop\n", ".ssh/authorized_keys")
    write_sshd(AuthenticationMethods="publickey keyboard-interactive:pam")
    said = trex("revoke", "--user", "alice", "--yes", owner.spare).stdout
    assert re.search(r"(?m)^  a code from a phone \(method=totp\): .*\blogin\b", said)
    assert "  an SSH key alone: sshd\n" in said
    assert "  1 SSH key in ~/.ssh/authorized_keys, for what asks for one\n" in said


@pytest.mark.parametrize(
    ("methods", "ways"),
    [
        ("any", ["an SSH key alone: sshd"]),
        ("publickey,keyboard-interactive:pam", []),
        ("publickey,password keyboard-interactive", ["an SSH key and a password alone: sshd"]),
    ],
)
def test_ways_past_pam_are_those_of_sshd_s_settings(methods: str, ways: list[str]) -> None:
    settings = {"authenticationmethods": methods, "pubkeyauthentication": "yes",
                "passwordauthentication": "no"}  # fmt: skip
    assert ways_of(settings) == ways


# ------------------------------------------------------------------ sessions

STUBBORN = "trap '' TERM HUP; while :; do read line < /dev/zero; done"
SESSIONS = """
as() {{ setpriv --reuid {uid} --regid {gid} --clear-groups -- "$@" & }}
as sleep 600
as sh -c "{stubborn}"
as sleep 600; stopped=$!
as sleep 600
until [ "$(pgrep -c -u {uid} 'sleep|sh')" = 4 ]; do [ $((n+=1)) -lt 2000 ] || exit 9; done
kill -STOP $stopped
setpriv --reuid {other} --regid {other} --clear-groups sleep 600 &
{command}
status=$?
echo "left: $(pgrep -c -u {uid}), of others: $(pgrep -c -u {other} sleep)"
exit $status
"""


def in_a_pid_namespace(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script where no process is but its own: an account of the host may have the same uid."""
    return subprocess.run(
        ["unshare", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc", "bash", "-c",
         script], env=environment(None), capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip


def with_sessions(user: Account, other: Account, words: str) -> str:
    """Run `trex revoke` for alice, who has four processes, beside one of another user; return what it says."""
    command = " ".join([*PYTHON, f"revoke --user alice --yes {words}"])
    done = in_a_pid_namespace(SESSIONS.format(uid=user.uid, gid=user.gid, other=other.uid,
                                              stubborn=STUBBORN, command=command))  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_all_processes_of_the_user_are_ended_also_stopped_and_stubborn_ones(
    alice: Account, bob: Account
) -> None:
    told = with_sessions(alice, bob, "--end-sessions")
    assert "Ended: 4 processes (sh, sleep) of alice\n" in told
    assert "left: 0, of others: 1\n" in told


def test_open_sessions_are_told_and_stay_unless_they_are_to_end(
    robbed: Account, owner: Owner, bob: Account
) -> None:
    robbed.write(owner.certificate(), "alice.rev")
    told = with_sessions(robbed, bob, "/home/alice/alice.rev")
    assert "Open: 4 processes (sh, sleep) of alice. To end them:\n" in told
    assert "  sudo trex revoke --user alice --end-sessions\n" in told
    assert "left: 4, of others: 1\n" in told


def test_what_is_about_to_be_ended_is_not_advised(
    robbed: Account, owner: Owner, bob: Account
) -> None:
    robbed.write(owner.certificate(), "alice.rev")
    told = with_sessions(robbed, bob, "--end-sessions /home/alice/alice.rev")
    assert "Ended: 4 processes (sh, sleep) of alice\n" in told
    assert "To end them" not in told


def test_who_may_end_sessions_and_whose(alice: Account) -> None:
    """Without the check of root's this would end every process of the host that runs the tests."""
    root = " ".join([*PYTHON, "revoke --user root --end-sessions --yes"])
    done = in_a_pid_namespace(root)
    assert done.returncode == 1
    assert "root's sessions cannot be told from the system's own processes" in done.stderr
    own = " ".join([*PYTHON, "revoke --end-sessions --yes"])
    done = in_a_pid_namespace(
        f"setpriv --reuid {alice.uid} --regid {alice.gid} --clear-groups {own}"
    )
    assert done.returncode == 1
    assert "only root can end sessions" in done.stderr


def test_without_a_process_there_is_nothing_to_end(alice: Account) -> None:
    command = " ".join([*PYTHON, "revoke --user alice --end-sessions"])
    done = in_a_pid_namespace(command)
    assert (done.returncode, done.stdout) == (0, "alice has no processes: no session is open.\n")
