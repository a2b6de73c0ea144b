"""What `trex doctor` and script/install owe where stacks, files and servers are not the usual ones."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis

from tests import sandbox
from tests.codes import ACCOUNT_LINES, FILE, code, here, text
from tests.examination import SERVICE, examine, write_sshd
from tests.gateways import RedisServer
from trex.sms.counts import SqliteCounts, open_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sandbox import Account

NUMBER = "+33612345678"
PHONES, SETTINGS = Path("/etc/trex/phones"), Path("/etc/trex/sms.toml")
TREX = f"pam_python.so {sandbox.ENTRY}"
NOWHERE = 'kind = "http"\nurl = "https://localhost:1/"'
OPTIONS = ('" RATE_LIMIT 9 30', '" WINDOW_SIZE 3', '" DISALLOW_REUSE', '" TOTP_AUTH')
SPARE = [f"1234567{n}" for n in range(5)]


def write_stack(*lines: str) -> None:
    """Write the service; `{trex}` is the module."""
    auth = "".join(f"auth {line.format(trex=TREX)}\n" for line in lines)
    SERVICE.write_text(f"{auth}account required pam_permit.so\n")


def told(*arguments: str) -> list[dict[str, str]]:
    """Return the findings for alice, without notes."""
    findings: list[dict[str, str]] = examine("--user", "alice", *arguments)["findings"]
    return [finding for finding in findings if finding["severity"] != "note"]


def checks(*arguments: str) -> list[tuple[str, str]]:
    return [(finding["check"], finding["severity"]) for finding in told(*arguments)]


@pytest.fixture
def counts(place: Path) -> Path:
    return place / "findings-counts" / "counts"


@pytest.fixture
def sender(host: Account, counts: Path) -> Iterator[Account]:
    """A user with a number, on a host that can send: no gateway is asked."""
    subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "_trex-sms"],
                   check=True, capture_output=True)  # fmt: skip
    subprocess.run(["install", "-d", "-m", "0700", "-o", "_trex-sms", counts.parent], check=True)
    PHONES.parent.mkdir(exist_ok=True)
    PHONES.write_text(f"alice {NUMBER}\n")
    PHONES.chmod(0o600)
    configure(f"sqlite:{counts}")
    write_stack("requisite pam_unix.so", "required {trex} method=sms")
    yield host
    shutil.rmtree(counts.parent)
    shutil.rmtree(PHONES.parent)
    subprocess.run(["userdel", "--force", "_trex-sms"], check=True, capture_output=True)


def configure(state: str, gateway: str = NOWHERE) -> None:
    SETTINGS.write_text(f'state = "{state}"\n[[gateway]]\n{gateway}\n')
    SETTINGS.chmod(0o600)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    made = RedisServer(tmp_path)
    yield made
    made.close()


# ---------------------------------------------------------------------------- the stack

NOLOGIN = "requisite pam_nologin.so"
PREAUTH = "requisite pam_faillock.so preauth"
ONLY_SOME = "[success=ignore default=die] pam_succeed_if.so uid >= 1000"
PIN = "required {trex} method=sms"


@pytest.mark.parametrize("first", [NOLOGIN, PREAUTH, ONLY_SOME, "requisite pam_securetty.so",
                                   "requisite pam_access.so", "requisite pam_shells.so",
                                   "[success=1 default=ignore] pam_localuser.so",
                                   "requisite pam_exec.so quiet /bin/true"])  # fmt: skip
def test_who_is_asked_for_nothing_is_stopped_by_nothing(sender: Account, first: str) -> None:
    write_sshd(AuthenticationMethods="keyboard-interactive:pam")
    stranger = ("pam-sms-first", "warning")
    for lines in ([first, PIN], [first, "required pam_env.so", PIN],
                  [first, "sufficient pam_unix.so", PIN]):  # fmt: skip
        write_stack(*lines)
        assert stranger in checks(), lines
    write_stack("required pam_env.so", "requisite pam_unix.so", first, PIN)
    assert stranger not in checks()


def test_the_stack_of_the_readme_for_faillock_is_first(sender: Account) -> None:
    write_sshd(AuthenticationMethods="keyboard-interactive:pam")
    faillock = ("[default=die] pam_faillock.so authfail", "required pam_faillock.so authsucc")
    jump = "[success=1 auth_err=bad default=die]"
    write_stack(PREAUTH, f"{jump} {{trex}} method=sms", *faillock)
    assert ("pam-sms-first", "warning") in checks()
    write_stack(PREAUTH, f"{jump} pam_unix.so", *faillock, PIN)
    assert ("pam-sms-first", "warning") not in checks()


def test_a_stranger_is_asked_behind_pam_nologin(
    sender: Account, client: Path, counts: Path
) -> None:
    """As the finding says: the real stack, and a message is counted before it is sent."""
    trex = f"auth {PIN.format(trex=TREX)}"
    service = sandbox.pam_service("findings-nologin", f"auth {NOLOGIN}", trex, *ACCOUNT_LINES)
    sandbox.ask_pam(client, service, "alice", "--answer", "0")
    assert SqliteCounts(str(counts)).reached("alice", "h", 5, {"user_hour": 5})


def test_no_password_is_had_from_who_asks_for_none(host: Account) -> None:
    host.write(text(*OPTIONS, *SPARE), FILE)
    for first, expected in ((NOLOGIN, True), (PREAUTH, True), (ONLY_SOME, True),
                            ("requisite pam_exec.so expose_authtok /bin/true", False),
                            ("requisite pam_unix.so", False)):  # fmt: skip
        write_stack(first, "required {trex} method=totp use_first_pass")
        assert (("pam-password", "error") in checks()) is expected, first


# ---------------------------------------------------------------------------- files


def test_a_map_that_others_can_read(sender: Account) -> None:
    for mode, group, expected in ((0o600, 0, []), (0o640, 0, []), (0o644, 0, ["sms-readable"]),
                                  (0o640, sender.gid, ["sms-readable"])):  # fmt: skip
        PHONES.chmod(mode)
        os.chown(PHONES, 0, group)
        assert [finding["check"] for finding in told()] == expected
    [finding] = told()
    assert finding["severity"] == "warning"
    assert finding["what"] == "/etc/trex/phones: found mode 0640; meant is 0600"
    assert finding["mend"] == "chown root:root /etc/trex/phones; chmod 600 /etc/trex/phones"
    PHONES.write_text("")
    assert [finding["check"] for finding in told()] == ["sms-readable", "sms-NoRecord"]
    assert "sms-nobody" in [finding["check"] for finding in examine()["findings"]]
    PHONES.chmod(0o666)
    [finding] = [finding for finding in told() if finding["check"] == "sms-phones"]
    assert finding["mend"] == "chown root:root /etc/trex/phones; chmod 600 /etc/trex/phones"


def test_chfn_restrict_as_login_defs_has_it(sender: Account) -> None:
    write_stack("requisite pam_unix.so", "required {trex} method=sms gecos_phone")
    subprocess.run(["usermod", "--comment", "Alice,,+4930123455,", "alice"], check=True)
    defs = Path("/etc/login.defs")
    kept = defs.read_text()
    try:
        for said, warned in (("no", True), ("yes", True), ("w", True), ('"frwh"', True),
                             ("f", False), ("nof", False), ("rh", False)):  # fmt: skip
            defs.write_text(re.sub(r"(?m)^CHFN_RESTRICT.*", f"CHFN_RESTRICT {said}", kept))
            assert (("sms-gecos", "warning") in checks()) is warned, said
        defs.write_text(re.sub(r"(?m)^CHFN_RESTRICT.*", "", kept))
        assert checks() == []
    finally:
        defs.write_text(kept)


@pytest.fixture
def var_lib(place: Path) -> Iterator[Path]:
    """A /usr and a /var/lib that vanish with the test; /etc is the sandbox's own."""
    layers = place / "findings-layers"
    for name in ("lib", "bin", "share"):
        for layer in ("upper", "work"):
            (layers / name / layer).mkdir(parents=True)
        options = (
            f"lowerdir=/usr/{name},upperdir={layers}/{name}/upper,workdir={layers}/{name}/work"
        )
        subprocess.run(
            ["mount", "-t", "overlay", "trex", "-o", options, f"/usr/{name}"], check=True
        )
    (layers / "var").mkdir()
    subprocess.run(["mount", "--bind", layers / "var", "/var/lib"], check=True)
    for path in sandbox.PAM_SERVICES.iterdir():
        if path.is_file() and "pam_trex" in path.read_text():
            path.unlink()  # of other tests; this /etc is a copy
    yield Path("/var/lib/trex/sms")
    for mounted in ("/var/lib", "/usr/share", "/usr/bin", "/usr/lib"):
        subprocess.run(["umount", "--lazy", mounted], check=True)
    subprocess.run(["rm", "-r", "--one-file-system", layers], check=True)
    subprocess.run(["userdel", "--force", "_trex-sms"], check=False, capture_output=True)
    shutil.rmtree(PHONES.parent, ignore_errors=True)


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sandbox.PROJECT / "script/install", *arguments], capture_output=True, text=True,
        check=False, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_numbers_are_made_root_s_alone(var_lib: Path, host: Account) -> None:
    done = install("--sms")
    assert done.returncode == 0, done.stderr
    PHONES.write_text(f"bob {NUMBER}\n")
    reading = ["setpriv", f"--reuid={host.uid}", "--clear-groups", "cat", str(PHONES)]
    assert NUMBER not in subprocess.run(reading, capture_output=True, text=True, check=False).stdout
    for path in (PHONES, SETTINGS):
        path.chmod(0o644)
    assert install("--sms").returncode == 0
    assert (mode(PHONES), mode(SETTINGS)) == (0o600, 0o600)
    assert PHONES.read_text() == f"bob {NUMBER}\n"


def test_directories_of_root_s_are_not_opened(var_lib: Path) -> None:
    PHONES.parent.mkdir(mode=0o700)
    var_lib.parent.mkdir(mode=0o700)
    done = install("--sms")
    assert done.returncode == 0, done.stderr
    assert (mode(PHONES.parent), mode(var_lib.parent)) == (0o700, 0o700)
    assert "_trex-sms cannot count in /var/lib/trex/sms: see the modes above it" in done.stdout
    PHONES.parent.chmod(0o777)
    var_lib.parent.chmod(0o751)
    done = install("--sms")
    assert (mode(PHONES.parent), mode(var_lib.parent)) == (0o755, 0o751)
    assert "cannot count" not in done.stdout


def test_numbers_are_not_looked_for_where_a_link_leads(var_lib: Path, place: Path) -> None:
    PHONES.parent.mkdir()
    elsewhere = place / "findings-elsewhere"
    elsewhere.write_text("")
    PHONES.symlink_to(elsewhere)
    done = install("--sms")
    assert done.returncode != 0
    assert "/etc/trex/phones is a link: nothing is changed" in done.stderr
    assert mode(elsewhere) == 0o644
    elsewhere.unlink()


def test_counts_that_are_a_mount_are_not_emptied(var_lib: Path) -> None:
    assert install("--sms").returncode == 0
    for point in (var_lib, var_lib / "below"):
        point.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "counts", point], check=True)
        try:
            (point / "counts").write_text("counted")
            done = install("--uninstall", "--purge")
            assert done.returncode == 1
            assert f"{point} is a mount: unmount it first; nothing is changed" in done.stderr
            assert (point / "counts").read_text() == "counted"
            assert Path("/usr/lib/security/pam_trex.py").exists()
            assert SETTINGS.exists()
        finally:
            subprocess.run(["umount", point], check=True)
    assert install("--uninstall", "--purge").returncode == 0
    assert not var_lib.parent.exists()
    assert "_trex-sms" not in Path("/etc/passwd").read_text()


# ---------------------------------------------------------------------------- counts


def test_what_a_clock_far_ahead_has_counted_reaches_no_limit(sender: Account, counts: Path) -> None:
    adding = ("import sys; sys.path.insert(0, sys.argv[1]); from trex.sms.counts import SqliteCounts; "
              "SqliteCounts(sys.argv[2]).add('alice', 'h', 1, {})")  # fmt: skip
    subprocess.run(["setpriv", "--reuid=_trex-sms", "--regid=_trex-sms", "--clear-groups",
                    "/usr/bin/python3", "-B", "-c", adding, sandbox.MODULE, counts],
                   check=True)  # fmt: skip
    with closing(sqlite3.connect(counts)) as database, database:
        ahead = [(time.time() + 86400 * 365, "alice")] * 5
        database.executemany("INSERT INTO message VALUES (?, ?)", ahead)
    assert checks() == []
    SqliteCounts(str(counts)).add("alice", "h", 4, {"user_hour": 5})  # a login sends as well
    shutil.chown(counts, "_trex-sms")
    assert SqliteCounts(str(counts)).reached("alice", "h", 1, {"user_hour": 5})


def test_what_a_clock_far_ahead_has_counted_in_redis(server: RedisServer) -> None:
    ahead = {str(n): time.time() + 86400 * 365 for n in range(5)}
    redis.Redis.from_url(server.url).zadd("trex:sms:user:alice", ahead)
    counts = open_counts(server.url)
    assert counts.reached("alice", "h", 5, {"user_hour": 5}) == {}
    counts.add("alice", "h", 5, {"user_hour": 5})
    assert counts.reached("alice", "h", 1, {"user_hour": 5})


def test_a_redis_that_takes_nothing(sender: Account, server: RedisServer, client: Path) -> None:
    sender.write(text(*OPTIONS, *SPARE), FILE)
    configure(server.url)
    database = redis.Redis.from_url(server.url)
    stacks = [("requisite pam_unix.so", PIN), ("required {trex} method=totp fleet",)]
    for lines in stacks:
        write_stack(*lines)
        assert checks() == []
    assert database.ttl("trex:doctor") <= 1, "what was tried is gone at once"
    database.config_set("min-replicas-to-write", 1)
    for lines in stacks:
        write_stack(*lines)
        [finding] = [one for one in told() if one["check"] == "sms-state"]
        assert finding["severity"] == "error"
        assert finding["what"].startswith("state: Redis cannot be asked: ")
    trex = f"auth {stacks[1][0].format(trex=TREX)}"
    service = sandbox.pam_service("findings-fleet", trex, *ACCOUNT_LINES)
    asked = sandbox.ask_pam(client, service, "alice", "--answer", code(here()))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL", "the login says the same"


def connections(silent: socket.socket) -> int:
    count = 0
    try:
        while True:
            silent.accept()[0].close()
            count += 1
    except TimeoutError:
        return count


def test_a_redis_that_is_silent_is_waited_for_once(
    sender: Account, account: Callable[[str], Account]
) -> None:
    names = ["alice", "bob", "carol"]
    for name in names[1:]:
        account(name)
    PHONES.write_text("".join(f"{name} {NUMBER}\n" for name in names))
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.1)
        configure(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        for some in (names[:1], names):
            findings = examine(*(word for name in some for word in ("--user", name)))["findings"]
            found = [finding["check"] for finding in findings]
            assert (found.count("sms-state"), found.count("sms-number")) == (1, len(some))
            seen.append(connections(silent))
    assert seen[0] == seen[1] > 0


def test_a_password_that_the_next_module_takes_by_itself(host: Account, client: Path) -> None:
    host.write(text(*OPTIONS, *SPARE), FILE)
    for following, expected in (("pam_unix.so", []), ("pam_unix.so use_first_pass", []),
                                ("pam_sss.so", []), ("pam_unix.so nullok", []),
                                ("pam_sss.so prompt_always", ["pam-password"]),
                                ("pam_permit.so", ["pam-password"])):  # fmt: skip
        write_stack("requisite {trex} method=totp forward_pass", f"required {following}")
        found = [check for check, _ in checks() if check == "pam-password"]
        assert found == expected, following
    subprocess.run(["chpasswd"], input=b"alice:not the phone's\n", check=True)
    trex = f"auth requisite {TREX} method=totp forward_pass"
    service = sandbox.pam_service(
        "findings-forward", trex, "auth required pam_unix.so", *ACCOUNT_LINES
    )
    asked = sandbox.ask_pam(client, service, "alice", "--answer", f"not the phone's{code(here())}")
    assert asked.verdict == "PAM_SUCCESS"


def test_sshd_is_looked_at_also_where_trex_has_a_wrong_argument(host: Account) -> None:
    write_stack("required {trex} metod=totp")
    write_sshd(UsePAM="no")
    findings = examine("--user", "alice")["findings"]
    found = [finding["check"] for finding in findings]
    assert "pam-arguments" in found
    assert "sshd-usepam" in found
    assert "left-out" not in found


def test_nullok_makes_a_missing_record_a_warning(host: Account) -> None:
    host.record.unlink()
    write_stack("required {trex} nullok")
    assert checks() == [("pam-nullok", "warning"), ("record-NoRecord", "warning")]
    assert told()[1]["why"] == "Because of nullok this user is not asked."
    host.write("nonsense\n")
    [_, finding] = told()
    assert finding["severity"] == "error"


def test_no_code_is_spent_by_who_logs_in(
    sender: Account, account: Callable[[str], Account], server: RedisServer, client: Path
) -> None:
    """That process is told the Redis' URL, and with it whoever is the same account."""
    configure(server.url)
    for name in ("alice", "bob"):
        (sender if name == "alice" else account(name)).write(text(*OPTIONS, *SPARE), FILE)
    trex = f"auth required {TREX} method=totp fleet sms_user=alice"
    service = sandbox.pam_service("findings-servant", trex, *ACCOUNT_LINES)
    for name, verdict in (("alice", "PAM_AUTHINFO_UNAVAIL"), ("bob", "PAM_SUCCESS")):
        asked = sandbox.ask_pam(client, service, name, "--answer", code(here()))
        assert asked.verdict == verdict
    write_stack("required {trex} method=totp fleet sms_user=alice")
    findings = examine("--user", "alice", "--user", "bob")["findings"]
    [finding] = [finding for finding in findings if finding["severity"] != "note"]
    assert (finding["check"], finding["severity"]) == ("totp-fleet", "error")
    assert finding["what"] == "alice: sms_user= is the account that logs in"


# ---------------------------------------------------------------------------- gateways


def test_what_online_lacks_is_named(sender: Account, place: Path) -> None:
    empty = place / "findings-empty"
    empty.mkdir()
    requests = "/usr/lib/python3/dist-packages/requests"
    subprocess.run(["mount", "--bind", empty, requests], check=True)
    try:
        findings = examine("--user", "alice", "--online")["findings"]
    finally:
        subprocess.run(["umount", requests], check=True)
    empty.rmdir()
    [finding] = [finding for finding in findings if finding["check"] == "sms-online"]
    assert finding["what"].endswith(
        "could not be tried: Debian's package python3-requests is missing"
    )
    assert finding["mend"] == "apt install python3-requests; trex doctor --online"


def test_an_authority_that_is_a_directory(sender: Account, counts: Path, place: Path) -> None:
    mail = 'kind = "email"\nserver = "localhost"\nport = 1\nfrom = "a@b.c"\nto = "{number}@x.y"\n'
    configure(f"sqlite:{counts}", f'{mail}ca = "/etc/ssl/certs"')
    [finding] = told()
    assert (finding["check"], finding["severity"]) == ("sms-ca", "error")
    assert "ca: /etc/ssl/certs: found a directory; meant is a file" in finding["what"]
    assert "chmod" not in finding["mend"]
