"""Ids, descriptors, the environment, programs that misbehave: everything around the child."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.keys import Holder
    from tests.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

# What a program that a user smuggled in would try: become root again, and tell what it holds.
SPY = r"""#!/usr/bin/python3 -I
import os, sys
report = [f"ids {os.getresuid()} {os.getresgid()} {sorted(os.getgroups())}"]
for attempt in (lambda: os.setresuid(0, 0, 0), lambda: os.seteuid(0), lambda: os.setgroups([0])):
    try:
        attempt()
        report.append("BECAME ROOT")
    except PermissionError:
        report.append("refused")
for name in sorted(os.listdir("/proc/self/fd"), key=int):
    try:
        report.append(f"fd {name} {os.readlink('/proc/self/fd/' + name)}")
    except FileNotFoundError:
        pass
report.append(f"environment {dict(os.environ)}")
report.append(f"session {os.getsid(0) == os.getpid()} cwd {os.getcwd()}")
report.append(f"arguments {sys.argv[1:]}")
with open("@REPORT@", "a") as file:
    file.write("\n".join(report) + "\n")
"""


@pytest.fixture
def report(alice: Account) -> Path:
    path = alice.write("", "report")
    path.chmod(0o666)
    return path


@pytest.fixture
def spy(place: Path, report: Path) -> Path:
    path = place / "spy"
    path.write_text(SPY.replace("@REPORT@", str(report)))
    path.chmod(0o755)
    return path


def test_the_child_has_dropped_everything_for_good(
    alice: Account, ask: Callable[..., Asked], spy: Path, report: Path, keys: Keys
) -> None:
    subprocess.run(["usermod", "-a", "-G", "games", "alice"], check=True)
    asked = ask("alice", arguments=(f"gpg={spy}",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    told = report.read_text()
    u, g = alice.uid, alice.gid
    assert f"ids ({u}, {u}, {u}) ({g}, {g}, {g}) [60, {g}]" in told or f"[{g}, 60]" in told
    assert "BECAME ROOT" not in told
    assert told.count("refused\n") >= 3
    assert "environment {'LC_ALL': 'C', 'PATH': '/usr/bin:/bin'}" in told or (
        "environment {'PATH': '/usr/bin:/bin', 'LC_ALL': 'C'}" in told
    )
    descriptors = dict(re.findall(r"^fd (\d+) (.*)$", told, flags=re.MULTILINE))
    # Python, the spy's interpreter, has its own script or directory open beside these six.
    assert all(descriptors[str(fd)].startswith("pipe:") for fd in (0, 1, 3, 4, 5))
    assert descriptors["2"] == "/dev/null"
    assert all("socket" not in name and "log" not in name for name in descriptors.values())
    assert "session True cwd /" in told


def test_no_secret_is_in_the_argument_list(
    alice: Account, holder: Holder, client: Path, place: Path, service: Callable[..., str]
) -> None:
    seen = place / "arguments"
    wrapper = place / "wrapper"
    seen.touch()
    seen.chmod(0o666)
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {seen}\nenv >> {seen}\nexec /usr/bin/gpg "$@"\n')
    wrapper.chmod(0o755)
    asked = sandbox.ask_pam(client, service(f"gpg={wrapper}"), "alice",
                            "--answer-with", holder.command())  # fmt: skip
    assert asked.verdict == "PAM_SUCCESS"
    challenge = str(holder.decrypt(asked.prompt)).strip()
    assert challenge not in seen.read_text()
    assert "--encrypt" in seen.read_text()


@pytest.mark.parametrize("option", ["agent-program", "dirmngr-program", "keyboxd-program"])
def test_programs_that_gpg_conf_names_do_not_run(
    alice: Account, log_in: Callable[..., Asked], spy: Path, report: Path, option: str
) -> None:
    """The C++ trex-pam dropped its ids with seteuid only, and these ran as root."""
    alice.write(f"{option} {spy}\nkeyserver-options auto-key-retrieve\nauto-key-locate wkd\n",
                ".gnupg/gpg.conf")  # fmt: skip
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert report.read_text() == "", "gpg.conf is not read at all"


def test_a_broken_gpg_conf_locks_nobody_out(alice: Account, log_in: Callable[..., Asked]) -> None:
    alice.write("no-such-option\n", ".gnupg/gpg.conf")
    assert log_in("alice").verdict == "PAM_SUCCESS"
    (alice.gnupg / "gpg.conf").unlink()
    (alice.gnupg / "gpg.conf").mkdir()
    assert log_in("alice").verdict == "PAM_SUCCESS"


def test_a_program_that_gpg_agent_conf_names_cannot_become_root(
    alice: Account, holder: Holder, keys: Keys, ask: Callable[..., Asked], spy: Path, report: Path
) -> None:
    """The agent that signs runs as the user, and so does all that it runs."""
    alice.run("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "secret",
              "--quick-gen-key", "Locked <locked@example.org>", "ed25519", "sign", "never")  # fmt: skip
    alice.run("gpgconf", "--kill", "all")
    alice.write(f"scdaemon-program {spy}\npinentry-program {spy}\n", ".gnupg/gpg-agent.conf")
    alice.write(f"{keys['cv25519']} trust locked@example.org\n")
    ask("alice")
    assert "BECAME ROOT" not in report.read_text()
    for ids in re.findall(r"^ids (.*)$", report.read_text(), flags=re.MULTILINE):
        assert ids.startswith(f"({alice.uid}, {alice.uid}, {alice.uid})")


@pytest.mark.parametrize("kind", ["unsigned", "signed", "refused"])
def test_nothing_in_the_home_changes(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], kind: str
) -> None:
    """Advisory CVE-2024-47191, google-authenticator-libpam #13: no file made, none rewritten.

    Where gpg-agent signs, it makes its sockets in one directory and removes them, and sets the
    mode of another anew.
    """
    if kind == "signed":
        alice.import_keys(holder.secret(keys["signing"]))
        alice.write(f"{keys['cv25519']} trust signing@example.org\n")
        log_in("alice")
    if kind == "refused":
        alice.write("nobody@example.org trust nosign\n")
    planted = alice.gnupg / ".#lk0x1.host.1"
    planted.symlink_to("/etc/shadow")
    (alice.gnupg / "pubring.kbx.lock").write_text("         1\n")
    leave_out = (".gnupg", "private-keys-v1.d") if kind == "signed" else ()
    before = sandbox.listing(alice.home, *leave_out)
    log_in("alice")
    assert sandbox.listing(alice.home, *leave_out) == before
    assert all(
        entry[1] != 0 for name, entry in before.items() if "lk" not in name and "lock" not in name
    )


def test_a_stale_lock_keeps_nobody_out(alice: Account, log_in: Callable[..., Asked]) -> None:
    (alice.gnupg / "pubring.kbx.lock").write_text(f"{os.getpid():10d}\nsomewhere\n")
    started = time.monotonic()
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert time.monotonic() - started < 10


def test_no_descriptor_is_left_in_the_caller(
    alice: Account, client: Path, service: Callable[..., str]
) -> None:
    """Advisory CVE-2018-9275."""
    for arguments in (("debug",), ("gpg=/nonexistent",), ("bogus",)):
        asked = sandbox.ask_pam(
            client, service(*arguments), "alice", "--descriptors", "--times", "3"
        )
        assert all(len(set(fact.split())) == 1 for fact in asked.facts["descriptors"])


def test_a_caller_that_ignores_its_children_is_no_problem_and_goes_on_to(
    alice: Account, log_in: Callable[..., Asked]
) -> None:
    asked = log_in("alice", "--ignore-sigchld")
    assert asked.verdict == "PAM_SUCCESS"
    assert asked.facts["sigchld"] == ["ignored"]


def test_a_message_that_gpg_does_not_stand_by_is_not_shown(
    alice: Account, ask: Callable[..., Asked], place: Path
) -> None:
    text = """#!/bin/sh
cat >/dev/null
echo '[GNUPG:] END_ENCRYPTION' >&3
printf -- '-----BEGIN PGP MESSAGE-----\\n\\nBODY\\n-----END PGP MESSAGE-----\\n'
exit $STATUS
"""
    for status, body, verdict in (
        ("0", "x", "PAM_AUTH_ERR"),
        ("2", "x", "PAM_AUTHINFO_UNAVAIL"),
        ("0", "\\033[31m", "PAM_AUTHINFO_UNAVAIL"),
        ("0", "\\303\\244", "PAM_AUTHINFO_UNAVAIL"),
    ):
        script = text.replace("$STATUS", status).replace("BODY", body)
        argument = program(place, f"gpg-{status}", script)
        assert ask("alice", arguments=(argument,)).verdict == verdict


def test_a_child_that_fails_early_writes_to_no_descriptor_of_the_caller_s(
    alice: Account, client: Path, service: Callable[..., str], place: Path
) -> None:
    """Where its pipes could not be put in place, 3 is still the caller's own."""
    precious = place / "precious"
    name = service()
    for limit in range(8, 24):
        precious.write_text("precious")
        subprocess.run(
            ["sh", "-c", f'exec 3>>{precious}; exec prlimit --nofile={limit} "$@"', "sh",
             client, name, "alice"], capture_output=True, check=False,
        )  # fmt: skip
        assert precious.read_text() == "precious"


@pytest.mark.parametrize("signed", [False, True])
def test_a_caller_whose_handler_reaps_all_children(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked], signed: bool
) -> None:
    if signed:
        alice.import_keys(holder.secret(keys["signing"]))
        alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    assert log_in("alice", "--reap-sigchld").verdict == "PAM_SUCCESS"


def test_a_lock_on_the_keyring_s_directory_keeps_nobody_out(
    alice: Account, holder: Holder, keys: Keys, log_in: Callable[..., Asked]
) -> None:
    """Any local user can hold one on a directory that he may open."""
    alice.import_keys(holder.secret(keys["signing"]))
    alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    alice.gnupg.chmod(0o755)
    blocker = subprocess.Popen(["flock", alice.gnupg, "sleep", "60"], start_new_session=True)
    try:
        assert log_in("alice", arguments=("gpg_timeout=5",)).verdict == "PAM_SUCCESS"
    finally:
        os.killpg(blocker.pid, signal.SIGKILL)
        blocker.wait()


HOSTILE = {
    "PYTHONPATH": "{here}", "PYTHONHOME": "{here}", "PYTHONSTARTUP": "{here}/canary.py",
    "PYTHONINSPECT": "1", "PYTHONUSERBASE": "{here}", "PYTHONWARNINGS": "error",
    "PYTHONBREAKPOINT": "canary.run", "PATH": "{here}", "HOME": "{here}", "GNUPGHOME": "{here}",
    "LD_PRELOAD": "{here}/canary.so", "LD_LIBRARY_PATH": "{here}", "TMPDIR": "{here}",
    "GPG_AGENT_INFO": "{here}/S.gpg-agent:1:1", "GCONV_PATH": "{here}", "LOCPATH": "{here}",
    "IFS": "/", "BASH_ENV": "{here}/canary.sh", "ENV": "{here}/canary.sh",
}  # fmt: skip


def test_the_environment_of_a_setuid_caller_reaches_neither_interpreter_nor_child(
    alice: Account, account: Callable[[str], Account], client: Path, holder: Holder,
    service: Callable[..., str], place: Path,
) -> None:  # fmt: skip
    """Advisories CVE-2019-16729, CVE-2026-48980 and CVE-2026-44709: a canary never fires."""
    mallory = account("mallory")
    here, fired = mallory.home, mallory.home / "fired"
    canary = f"import os\nopen({str(fired)!r}, 'a').write('python')\n"
    for name in ("canary", "os", "re", "site", "sitecustomize", "usercustomize", "fcntl", "trex"):
        mallory.write(canary, f"{name}.py")
    (here / "canary.c").write_text(
        "#include <stdio.h>\n__attribute__((constructor)) static void fire(void)"
        f'{{ FILE *f = fopen("{fired}", "a"); if (f) fputs("preload", f); }}\n'
    )
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", here / "canary.so", here / "canary.c"], check=True
    )
    for name in ("gpg", "gpg-agent", "id", "sh"):
        mallory.write(f"#!/bin/sh\necho {name} >> {fired}\n", name).chmod(0o755)
    setuid = place / "setuid-client"
    setuid.write_bytes(client.read_bytes())
    setuid.chmod(0o4755)
    answers = place / "answer.sh"
    answers.write_text(
        f"#!/bin/sh -p\nexec /usr/bin/env -i PATH=/usr/bin:/bin sh -c {shlex.quote(holder.command())}\n"
    )
    answers.chmod(0o755)
    environment = {name: value.format(here=here) for name, value in HOSTILE.items()}
    environment.pop("BASH_ENV"), environment.pop("ENV"), environment.pop("IFS")
    mount = subprocess.run(
        ["findmnt", "-no", "OPTIONS", "--target", setuid], capture_output=True, check=True
    )
    assert b"nosuid" not in mount.stdout
    done = subprocess.run(
        [setuid, "--answer-with", str(answers), service(), "alice"], check=False, capture_output=True,
        user=mallory.uid, group=mallory.gid, extra_groups=[], env=environment, cwd=here,
    )  # fmt: skip
    assert b"verdict 0 " in done.stdout, done
    assert not fired.exists()
    control = subprocess.run(["/bin/true"], env=environment, user=mallory.uid, check=False)
    assert control.returncode == 0
    assert fired.read_text() == "preload", "the canary sings where nothing stops it"


def as_account(account: Account, client: Path, *arguments: str) -> bytes:
    return subprocess.run(
        [client, *arguments], capture_output=True, check=False, user=account.uid, group=account.gid,
        extra_groups=[], env={"PATH": "/usr/bin:/bin"}, cwd="/",
    ).stdout  # fmt: skip


def test_a_caller_that_is_the_user_works_for_that_user_and_for_no_other(
    alice: Account, account: Callable[[str], Account], client: Path, service: Callable[..., str],
    place: Path, log: Log,
) -> None:  # fmt: skip
    """As a screen locker does, which has no root's rights."""
    mallory = account("mallory")
    name = service()
    prompt = place / "locker"
    prompt.touch()
    prompt.chmod(0o666)
    told = as_account(alice, client, "--prompt-file", str(prompt), name, "alice")
    assert b"prompt-us" in told
    assert b"verdict 7 " in told
    assert "BEGIN PGP MESSAGE" in prompt.read_text()
    log.clear()
    told = as_account(mallory, client, name, "alice")
    assert b"verdict 9 " in told
    assert b"prompt-us" not in told
    assert f"the caller, uid {mallory.uid}, is neither root nor alice" in log.verdict()


def program(place: Path, name: str, text: str) -> str:
    path = place / name
    path.write_text(text)
    path.chmod(0o755)
    return f"gpg={path}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\nexec sleep 1000\n", "gpg did not finish in time and was ended"),
        ("#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done\n", "did not finish in time"),
        ("#!/bin/sh\nsleep 1000 & exec 1>&- 3>&-\nwait\n", "did not finish in time"),
        ("#!/bin/sh\nexit 0\n", "gpg made no message"),
        ("#!/bin/sh\nexit 2\n", "gpg made no message"),
        ("#!/bin/sh\nkill -9 $$\n", "gpg made no message"),
        ("#!/bin/sh\nexec 0<&-\nexit 2\n", "gpg made no message"),
        ("#!/bin/sh\nyes >&3\n", "gpg wrote more than 262144 bytes and was ended"),
        ("#!/bin/sh\nyes\n", "gpg wrote more than 262144 bytes and was ended"),
        ("#!/bin/sh\ncat <&0 >/dev/null; printf -- '-----BEGIN PGP MESSAGE-----\\n'\n", "gpg made no message"),
        ("#!/bin/sh\nprintf -- '-----BEGIN PGP MESSAGE-----\\n\\nx\\n-----END PGP MESSAGE-----\\n'\n",
         "gpg made no message"),
        ("#!/bin/sh\nhead -c 1000 /dev/urandom >&3\n", "gpg made no message"),
        ("#!/nonexistent/interpreter\n", "run: No such file or directory"),
        ("", "run: Exec format error"),
    ],
)  # fmt: skip
def test_a_gpg_that_misbehaves(
    alice: Account, ask: Callable[..., Asked], log: Log, place: Path, text: str, reason: str
) -> None:
    """Advisory CVE-2025-23013: whatever fails, never SUCCESS and never IGNORE, and in time."""
    started = time.monotonic()
    asked = ask("alice", arguments=(program(place, "bad-gpg", text), "gpg_timeout=1", "nullok"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert "prompt-us" not in asked.facts
    assert reason in log.verdict()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("gpg", "reason"),
    [
        ("/nonexistent/gpg", "/nonexistent/gpg: run: No such file or directory"),
        ("/etc/passwd", "/etc/passwd: run: Permission denied"),
        ("/etc", "/etc: run: Permission denied"),
    ],
)
def test_a_gpg_that_cannot_be_run(
    alice: Account, ask: Callable[..., Asked], log: Log, gpg: str, reason: str
) -> None:
    asked = ask("alice", arguments=(f"gpg={gpg}", "nullok"))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    assert reason in log.verdict()


@pytest.mark.parametrize("signed", [False, True])
def test_gpg_ends_with_its_login_however_that_ends(
    alice: Account, holder: Holder, keys: Keys, client: Path, service: Callable[..., str],
    place: Path, signed: bool,
) -> None:  # fmt: skip
    """Every child an end: the caller is killed with -9 while gpg hangs."""
    if signed:
        alice.import_keys(holder.secret(keys["signing"]))
        alice.write(f"{keys['cv25519']} trust signing@example.org\n")
    argument = program(place, "slow-gpg", "#!/bin/sh\nexec sleep 4242\n")
    caller = subprocess.Popen([client, service(argument, "gpg_timeout=300"), "alice"],
                              stdout=subprocess.DEVNULL, env={"PATH": "/usr/bin:/bin"})  # fmt: skip

    def hanging() -> list[int]:
        return [pid for pid, name in sandbox.processes_here().items() if "sleep 4242" in name]

    wait_until(lambda: bool(hanging()))
    time.sleep(0.2)  # with signing, the second gpg
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    wait_until(lambda: not hanging(), seconds=2)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def test_a_full_process_table_is_refused(
    alice: Account, client: Path, service: Callable[..., str], log: Log
) -> None:
    done = subprocess.run(
        ["setpriv", "--reuid=alice", "--regid=alice", "--clear-groups", "prlimit", "--nproc=0",
         client, service("nullok"), "alice"], capture_output=True, check=False,
    )  # fmt: skip
    assert b"verdict 9 " in done.stdout
    assert "Resource temporarily unavailable" in log.verdict()


def test_a_root_that_may_not_change_its_ids_is_refused(
    alice: Account, client: Path, service: Callable[..., str], log: Log
) -> None:
    """As in a container without these capabilities: nothing is read as root instead."""
    done = subprocess.run(
        ["setpriv", "--bounding-set=-setuid,-setgid", client, service("nullok"), "alice"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert b"verdict 9 " in done.stdout
    assert "cannot act as alice: Operation not permitted" in log.verdict()


def test_no_free_descriptors_are_refused(
    alice: Account, client: Path, service: Callable[..., str]
) -> None:
    verdicts = set()
    for limit in range(4, 24):
        done = subprocess.run(["prlimit", f"--nofile={limit}", client, service("nullok"), "alice"],
                              capture_output=True, check=False)  # fmt: skip
        verdicts |= set(re.findall(rb"verdict (\d+)", done.stdout))
    assert b"0" not in verdicts
    assert b"25" not in verdicts
    assert b"7" in verdicts, "with enough of them there is a prompt"
