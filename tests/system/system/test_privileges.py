"""Ids, the environment, programs of a user: nothing becomes root again."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log
    from tests.system.conftest import Keys

pytestmark = pytest.mark.usefixtures("door")
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


# What keeps the module's gpg from looking for a key that its keyring does not have, whatever it is
# told to do: here the command that lists is made one that searches.
GUARDS = ("--no-auto-key-locate", "--disable-dirmngr", "--no-autostart")
WITHOUT = """\
#!/bin/sh
for word do
    shift
    case "$word" in --list-keys) word=--locate-keys ;; esac
    case " {left_out} " in *" $word "*) ;; *) set -- "$@" "$word" ;; esac
done
echo "$@" >>{ran}
exec /usr/bin/gpg --dirmngr-program {dirmngr} "$@"
"""


@pytest.mark.parametrize("kept", [*GUARDS, ""])
def test_a_key_that_is_not_there_is_looked_for_nowhere(
    alice: Account, client: Path, service: Callable[..., str], place: Path, kept: str
) -> None:
    """Otherwise the owner of the address's domain would choose the key: each guard is enough.

    Without all, the last case, it is looked for: else this test would show nothing.
    """
    ran, asked, wrapper, dirmngr = (
        place / f"{name}-{kept}" for name in ("ran", "asked", "wrapper", "dirmngr")
    )
    for path in (ran, asked):
        path.touch()
        path.chmod(0o666)
    dirmngr.write_text(f"#!/bin/sh\necho asked >>{asked}\nexit 1\n")
    left_out = " ".join(guard for guard in GUARDS if guard != kept)
    wrapper.write_text(WITHOUT.format(left_out=left_out, ran=ran, dirmngr=dirmngr))
    for path in (dirmngr, wrapper):
        path.chmod(0o755)
    alice.write("nobody-here@example.org trust nosign\n")
    asked_for = sandbox.ask_pam(client, service(f"gpg={wrapper}"), "alice")
    assert asked_for.verdict == "PAM_AUTHINFO_UNAVAIL"
    [told, *_] = [line for line in ran.read_text().splitlines() if "--locate-keys" in line]
    assert all((guard in told.split()) == (guard == kept) for guard in GUARDS)
    assert (asked.read_text() != "") == (not kept)


@pytest.mark.parametrize("option", ["agent-program", "dirmngr-program", "keyboxd-program"])
def test_programs_that_gpg_conf_names_do_not_run(
    alice: Account, log_in: Callable[..., Asked], spy: Path, report: Path, option: str
) -> None:
    """The C++ trex-pam dropped its ids with seteuid only, and these ran as root."""
    alice.write(f"{option} {spy}\nkeyserver-options auto-key-retrieve\nauto-key-locate wkd\n",
                ".gnupg/gpg.conf")  # fmt: skip
    assert log_in("alice").verdict == "PAM_SUCCESS"
    assert report.read_text() == "", "gpg.conf is not read at all"


def test_a_program_that_gpg_agent_conf_names_cannot_become_root(
    alice: Account, holder: Holder, keys: Keys, ask: Callable[..., Asked], spy: Path, report: Path
) -> None:
    """The agent that signs runs as the user, and so does all that it runs."""
    alice.run("gpg", "--batch", "--pinentry-mode", "loopback", "--passphrase", "secret",
              "--quick-gen-key", "Locked <locked@example.org>", "ed25519", "sign", "never")  # fmt: skip
    alice.end_daemons()
    alice.write(f"scdaemon-program {spy}\npinentry-program {spy}\n", ".gnupg/gpg-agent.conf")
    alice.write(f"{keys['cv25519']} trust locked@example.org\n")
    ask("alice")
    assert "BECAME ROOT" not in report.read_text()
    for ids in re.findall(r"^ids (.*)$", report.read_text(), flags=re.MULTILINE):
        assert ids.startswith(f"({alice.uid}, {alice.uid}, {alice.uid})")


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
    """As a screen locker does, which does not have root's rights."""
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


@pytest.mark.parametrize(
    ("capability", "reason"),
    [
        ("chown", "/usr/bin/gpg: give a pipe to alice (CAP_CHOWN): Operation not permitted"),
        ("setuid", "cannot act as alice: Operation not permitted"),
        ("setgid", "cannot act as alice: Operation not permitted"),
    ],
)
def test_a_capability_that_a_hardened_unit_lacks_is_named(
    alice: Account,
    client: Path,
    service: Callable[..., str],
    log: Log,
    capability: str,
    reason: str,
) -> None:
    """systemd.exec(5), CapabilityBoundingSet=: root in it may do less."""
    done = subprocess.run(
        ["setpriv", f"--bounding-set=-{capability}", client, service("nullok"), "alice"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert b"verdict 9 " in done.stdout, done
    assert log.verdict().endswith(f": {reason}")
