"""What the doctor prints on a user's own machine, typed as it stands by that user."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import sandbox
from tests.support.remedies import UNTYPABLE, Case, Stage, filled, runnable
from tests.support.session import in_session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.client import Client


def config(line: str) -> Callable[[Stage], object]:
    """Return what writes this into the user's ~/.ssh/config."""

    def breaks(stage: Stage) -> None:
        stage.user.write(f"Host *\n  {line}\n", ".ssh/config")

    breaks.__name__ = line
    return breaks


def _no_config(_stage: Stage) -> None:
    """The administrator's file says it, and the user has none."""
    (Path("/etc/ssh/ssh_config.d") / "trex.conf").write_text("BatchMode yes\n")


def _known_hosts(stage: Stage) -> None:
    stage.user.write("", ".ssh/known_hosts").chmod(0o666)


def _known_hosts_directory(stage: Stage) -> None:
    path = stage.user.home / ".ssh/known_hosts"
    path.unlink(missing_ok=True)
    path.symlink_to("known_hosts")


def _no_known_hosts(stage: Stage) -> None:
    (stage.user.home / ".ssh/known_hosts").unlink(missing_ok=True)


def _pins_of_all(stage: Stage) -> None:
    stage.user.write(f"server.example.org {'A' * 40}\n", ".config/trex/pins").chmod(0o666)


def _half_a_line(stage: Stage) -> None:
    stage.user.write("half a line\n", ".config/trex/names")


def _pinned(stage: Stage) -> None:
    stage.user.write(f"server.example.org {stage.keys['signing']}\n", ".config/trex/pins")


def _pinentry(stage: Stage) -> None:
    stage.user.write("pinentry-program /nowhere/pinentry\n", ".gnupg/gpg-agent.conf")
    stage.user.end_daemons()


def _no_secret_key(stage: Stage) -> None:
    stage.user.end_daemons()
    shutil.rmtree(stage.user.gnupg)
    stage.user.gnupg.mkdir(mode=0o700)
    stage.user.own(stage.user.gnupg, 0o700)


def _expires(stage: Stage) -> None:
    made = stage.holder.make("leaving@example.org", expire="20d")
    stage.user.import_keys(stage.holder.secret(made))


def _own_command(stage: Stage) -> None:
    stage.user.write("KnownHostsCommand /bin/true %f\n", ".ssh/config")


CASES = [
    *(Case("client-setting", config(line), host="laptop_account") for line in (
        "KbdInteractiveAuthentication no", "BatchMode yes", "NumberOfPasswordPrompts 0",
        "StrictHostKeyChecking no", "UserKnownHostsFile /dev/null",
        "PreferredAuthentications publickey,password",
    )),
    Case("client-setting", _no_config, host="laptop_account"),
    Case("client-hosts", _known_hosts, host="laptop_account"),
    Case("client-hosts", _known_hosts_directory, host="laptop_account",
         by_hand="why the file cannot be read has many causes"),
    Case("client-hosts", _no_known_hosts, host="laptop_account",
         by_hand="a note: the first login makes the file"),
    Case("client-file", _pins_of_all, host="laptop_account"),
    Case("client-file", _half_a_line, host="laptop_account",
         by_hand="only who wrote the line knows what it was to say"),
    Case("client-pin", _pinned, (), {"FILE": lambda stage: stage.export(stage.keys["signing"])},
         host="laptop_account"),
    Case("client-pinentry", _pinentry, host="laptop_account"),
    Case("client-gpg", by_hand="gpg itself says what is wrong, in many ways"),
    Case("client-key", _no_secret_key, host="laptop_account",
         unrun="it asks for a passphrase at a terminal: test_copy_id and trex keygen's tests have it"),
    Case("client-expires", _expires, host="laptop_account"),
    Case("client-recording", _own_command, host="laptop_account",
         unrun="a command of the user's own stays: trex setup says so, and how"),
    Case("client-askpass", unrun="trex setup needs a new session: test_setup has it"),
    Case("client-terminal", unrun="it is for one terminal: the test below has it"),
    Case("client-ssh", unrun="it would install a package on this machine"),
    Case("client-absent", by_hand="a card is put in by hand, or was lost"),
    Case("client-card", by_hand="a note: the card is in the reader"),
    Case("client-only", unrun="a note: on a server, other checks run"),
    Case("left-out", unrun="a note: it asks for root's rights"),
    Case("doctor-file", unrun="root's own: test_acknowledging has it"),
]  # fmt: skip


@pytest.fixture
def laptop_account(prepared: Client) -> Iterator[sandbox.Account]:
    """The user of a machine on which no PAM service names Trex."""
    kept = {path: path.read_bytes() for path in sandbox.PAM_SERVICES.iterdir()}
    for path, content in kept.items():
        if b"pam_trex" in content:
            path.unlink()
    prepared.account.write("", ".ssh/known_hosts")
    yield prepared.account
    for path, content in kept.items():
        path.write_bytes(content)
    for path in Path("/etc/ssh/ssh_config.d").glob("trex*"):
        path.unlink()


def found(client: Client, check: str) -> list[dict[str, Any]]:
    done = in_session(client, "trex doctor --json")
    report = json.loads(done.stdout)
    return [finding for finding in report["findings"] if finding["check"] == check]


@pytest.mark.parametrize("case", runnable(CASES))
def test_the_command_takes_the_finding_away(case: Case, stage: Stage, prepared: Client) -> None:
    assert case.breaks
    case.breaks(stage)
    findings = found(prepared, case.check)
    assert findings, f"{case.check} was not found"
    for finding in findings:
        fix = finding["fix"]
        assert not UNTYPABLE.search(fix), fix
        assert fix.startswith("#") == bool(case.by_hand), fix
        if not case.by_hand and not case.unrun:
            done = in_session(prepared, f"{{ {filled(case, stage, fix)}; }} && echo DONE")
            assert done.stdout.endswith("DONE\n"), (fix, done.stdout, done.stderr)
    if not case.by_hand and not case.unrun:
        assert found(prepared, case.check) == []


def test_the_terminal_is_named_again(prepared: Client) -> None:
    """For gpg's own pinentry: `export GPG_TTY=$(tty)`, which takes a terminal."""
    wrong = prepared.run("trex", "setup", "--check", environment={"GPG_TTY": "/dev/pts/none"})
    [line] = re.findall(r"fix: (export GPG_TTY.*)", wrong.stdout)
    told = prepared.run(
        "script", "-qec", f"bash -c '{line}; trex setup --check'", "/dev/null",
        environment={"GPG_TTY": "/dev/pts/none", "SHELL": "/bin/bash"},
    )  # fmt: skip
    assert "GPG_TTY is" not in told.stdout
    assert "ssh does not ask trex-askpass" in told.stdout
