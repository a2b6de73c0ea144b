"""`trex doctor` for method=totp and method=sms: real files, accounts, gateways, Redis, chrony."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox
from tests.command import trex
from tests.examination import SERVICE, examine, write_sshd
from tests.gateways import TOKEN, Authority, Gateway, Mailbox, RedisServer
from trex.sms.counts import SqliteCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sandbox import Account

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEE"  # noqa: S105 (a test's)
FILE = ".google_authenticator"
OPTIONS = '" RATE_LIMIT 3 30\n" WINDOW_SIZE 3\n" DISALLOW_REUSE\n" TOTP_AUTH\n'
CODES = [f"1234567{n}" for n in range(5)]
NUMBER = "+33612345678"
UNTRUSTED = "its certificate is not trusted, or not for this host"
PHONES, SETTINGS = Path("/etc/trex/phones"), Path("/etc/trex/sms.toml")
TREX = f"pam_python.so {sandbox.ENTRY}"


def write_stack(*lines: str) -> None:
    """Write the service; `{trex}` is the module."""
    text = "".join(f"auth {line.format(trex=TREX)}\n" for line in lines)
    SERVICE.write_text(f"{text}account required pam_permit.so\n")


def secret(options: str = OPTIONS, codes: int = 5) -> str:
    return "".join([f"{SECRET}\n", options, *(f"{code}\n" for code in CODES[:codes])])


def checks(*arguments: str, account: Account | None = None) -> list[tuple[str, str]]:
    """Return names and severities, without notes."""
    found = examine(*arguments, account=account)["findings"]
    return [(f["check"], f["severity"]) for f in found if f["severity"] != "note"]


def found(check: str, *arguments: str) -> dict[str, str]:
    """Return the finding of that name, if it is the only one of them."""
    findings = examine(*arguments)["findings"]
    [finding] = [finding for finding in findings if finding["check"] == check]
    report: dict[str, str] = finding
    return report


# ---------------------------------------------------------------------------- totp


@pytest.fixture
def coder(host: Account) -> Account:
    """A user with a code from a phone, on a host that is sound."""
    write_stack("required {trex} method=totp")
    host.write(secret(), FILE)
    return host


def test_a_sound_secret_has_no_findings_and_nothing_is_changed(coder: Account) -> None:
    before = sandbox.listing(coder.home)
    for arguments in ((), ("--user", "alice")):
        assert checks(*arguments) == []
    assert checks(account=coder) == []
    assert sandbox.listing(coder.home) == before


def _readable(user: Account) -> None:
    (user.home / FILE).chmod(0o644)


def _others(user: Account) -> None:
    os.chown(user.home / FILE, 0, -1)


def _open_home(user: Account) -> None:
    user.home.chmod(0o777)


def _link(user: Account) -> None:
    (user.home / FILE).rename(user.home / "elsewhere")
    (user.home / FILE).symlink_to("elsewhere")


def _gone(user: Account) -> None:
    (user.home / FILE).unlink()


def _step(user: Account) -> None:
    user.write(secret(OPTIONS + '" STEP_SIZE 61\n'), FILE)


def _no_secret(user: Account) -> None:
    user.write(f"1!\n{OPTIONS}", FILE)


def _used(user: Account) -> None:
    user.write(secret(OPTIONS.replace("REUSE", "REUSE 1x")), FILE)


@pytest.mark.parametrize(
    ("breaks", "check", "what"),
    [
        (_readable, "totp-FileUnsafe", "found mode 0644 and owner uid"),
        (_others, "totp-FileUnsafe", "found "),
        (_open_home, "totp-FileUnsafe", "/home/alice: found mode 0777"),
        (_link, "totp-FileUnsafe", "found a symbolic link"),
        (_gone, "totp-NoRecord", "no such file"),
        (_step, "totp-RecordError", f"{FILE}:6: found another STEP_SIZE"),
        (_no_secret, "totp-RecordError", f"{FILE}:1: found no secret"),
        (_used, "totp-RecordError", f"{FILE}:4: found another DISALLOW_REUSE"),
    ],
)  # fmt: skip
def test_a_secret_that_a_login_would_refuse(
    coder: Account, breaks: Callable[[Account], None], check: str, what: str,
    ask: Callable[..., sandbox.Asked],
) -> None:  # fmt: skip
    breaks(coder)
    finding = found(check, "--user", "alice")
    assert finding["severity"] == "error"
    assert what in finding["what"]
    assert finding["what"].startswith("alice: ")
    asked = ask("alice", "--answer", "000000", arguments=("method=totp",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL", "the login says the same"


def test_nullok_makes_a_missing_secret_a_warning(coder: Account) -> None:
    _gone(coder)
    write_stack("required {trex} method=totp nullok")
    assert checks("--user", "alice") == [("pam-nullok", "warning"), ("totp-NoRecord", "warning")]
    write_stack("required {trex} method=totp")
    assert checks() == [("totp-nobody", "error")]


def test_no_secret_is_ever_in_a_report(coder: Account) -> None:
    for text in (secret(codes=1), secret(OPTIONS + '" STEP_SIZE 99\n'), f"{SECRET}!\n{CODES[0]}\n"):
        coder.write(text, FILE)
        for arguments in ([], ["--json"]):
            done = trex("doctor", *arguments)
            assert done.returncode != 0
            assert not any(code in done.stdout + done.stderr for code in (SECRET, *CODES))


@pytest.mark.parametrize(("left", "says"), [(0, "no emergency codes left"), (1, "1 emergency code left"),
                                            (2, "2 emergency codes left")])  # fmt: skip
def test_emergency_codes_that_run_out(coder: Account, left: int, says: str) -> None:
    coder.write(secret(codes=left), FILE)
    finding = found("totp-emergency")
    assert finding["severity"] == "warning"
    assert finding["what"].endswith(says)
    coder.write(secret(codes=3), FILE)
    assert checks() == []


def test_the_rate_limit_is_reached_until_it_says(
    coder: Account, ask: Callable[..., sandbox.Asked]
) -> None:
    now = int(time.time())
    coder.write(secret(OPTIONS.replace("3 30", f"2 600 {now - 400} {now - 300}")), FILE)
    finding = found("totp-limit")
    assert finding["severity"] == "error"
    end = time.strftime("%H:%M:%S", time.localtime(now - 400 + 601))
    assert finding["what"].endswith(end) or end[:6] in finding["what"]
    asked = ask("alice", "--answer", CODES[0], arguments=("method=totp",))
    assert asked.verdict == "PAM_AUTHINFO_UNAVAIL"
    coder.write(secret(OPTIONS.replace("3 30", f"3 600 {now - 400} {now - 300}")), FILE)
    assert checks() == []
    coder.write(secret(OPTIONS.replace('" RATE_LIMIT 3 30\n', "")), FILE)
    assert checks() == [("totp-rate", "warning")]


def test_a_file_without_codes(coder: Account) -> None:
    coder.write(secret('" RATE_LIMIT 3 30\n'), FILE)
    assert ("totp-kind", "warning") in checks()
    coder.write(secret('" RATE_LIMIT 3 30\n', codes=0), FILE)
    assert ("totp-kind", "error") in checks()
    coder.write(secret('" RATE_LIMIT 3 30\n" HOTP_COUNTER 1\n'), FILE)
    assert checks() == []


@contextmanager
def mounted(path: Path, *options: str) -> Iterator[None]:
    subprocess.run(["mount", *options, str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(path)], check=True)


def test_a_home_in_which_the_file_could_not_be_rewritten(coder: Account) -> None:
    home = coder.home
    with mounted(home, "--bind", str(home)):
        subprocess.run(["mount", "-o", "remount,bind,ro", home], check=True)
        assert found("totp-room")["what"].endswith("could not be rewritten: Read-only file system")
    content = (home / FILE).read_text()
    with mounted(home, "-t", "tmpfs", "-o", "mode=755,size=64k", "full"):
        os.chown(home, coder.uid, coder.gid)
        coder.write(content, FILE)
        assert checks() == []
        fill = home / "fill"
        subprocess.run(["dd", "if=/dev/zero", f"of={fill}"], check=False, capture_output=True)
        assert found("totp-room")["what"].endswith("rewritten: No space left on device")
        fill.unlink()
        os.chown(home, 0, 0)
        assert found("totp-room")["what"].endswith("could not be rewritten: Permission denied")


def test_central_secrets(coder: Account, account: Callable[[str], Account], place: Path) -> None:
    servant = account("codes")
    directory = place / "totp"
    directory.mkdir(mode=0o700)
    servant.own(directory, 0o700)
    argument = f"method=totp secret={directory}/%u run_as=codes"
    write_stack(f"required {{trex}} {argument}")
    assert checks() == [("totp-nobody", "error")]
    path = directory / "alice"
    path.write_text(secret())
    servant.own(path, 0o600)
    assert checks() == []
    os.chown(path, coder.uid, -1)
    assert checks() == [("totp-FileUnsafe", "error")]
    report = examine(account=coder)
    told = [finding["what"] for finding in report["findings"]]
    assert "alice: the secret of run_as=codes: not looked at" in told
    assert {finding["severity"] for finding in report["findings"]} == {"note"}
    shutil.rmtree(directory)


def test_pyotp_that_is_missing(coder: Account, place: Path) -> None:
    empty = place / "no-pyotp"
    empty.mkdir()
    with mounted(Path("/usr/lib/python3/dist-packages/pyotp"), "--bind", str(empty)):
        # A directory without a module in it: Debian's package is broken, and pip's does not count.
        finding = found("totp-PackageMissing")
    assert "python3-pyotp is missing" in finding["what"]
    empty.rmdir()


# ---------------------------------------------------------------------------- the stack


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["sufficient {trex}", "required {trex} method=totp"], []),
        (["required {trex}", "required {trex} method=totp"], []),
        (["required {trex} method=totp", "required {trex} method=totp"], [("pam-twice", "warning")]),
        (["required {trex} method=totp use_first_pass"], [("pam-password", "error")]),
        (["requisite pam_unix.so", "required {trex} method=totp use_first_pass"], []),
        (["required {trex} method=totp forward_pass"], [("pam-password", "warning")]),
        (["requisite {trex} method=totp forward_pass", "required pam_unix.so use_first_pass"], []),
        (["sufficient {trex} method=totp", "required pam_deny.so"], [("pam-sufficient", "warning")]),
    ],
)  # fmt: skip
def test_lines_in_combination(
    coder: Account, lines: list[str], expected: list[tuple[str, str]]
) -> None:
    write_stack(*lines)
    assert [pair for pair in checks("--user", "alice") if pair[0].startswith("pam-")] == expected


def test_one_of_two_ways_is_enough(coder: Account) -> None:
    write_stack("sufficient {trex}", "required {trex} method=totp")
    assert checks("--user", "alice") == []
    coder.record.unlink()
    assert checks("--user", "alice") == [("record-NoRecord", "warning")]
    assert checks() == [("record-nobody", "warning")]
    (coder.home / FILE).unlink()
    assert checks("--user", "alice") == [("record-NoRecord", "error"), ("totp-NoRecord", "error")]
    assert checks() == [("record-nobody", "error"), ("totp-nobody", "error")]
    coder.write(secret(), FILE)
    write_stack("required {trex}", "required {trex} method=totp")
    assert checks("--user", "alice") == [("record-NoRecord", "error")]
    write_stack("sufficient {trex}", *["required {trex} method=totp"] * 2)
    assert ("record-NoRecord", "error") in checks("--user", "alice")


# ---------------------------------------------------------------------------- sms


@pytest.fixture(scope="module")
def authority(place: Path) -> Authority:
    return Authority(place / "doctor-authority")


@pytest.fixture
def gateway(authority: Authority, place: Path) -> Iterator[Gateway]:
    server = Gateway(authority, place / "last-message")
    yield server
    server.close()


@pytest.fixture
def configure(authority: Authority, place: Path) -> Callable[..., None]:
    def write(*gateways: str, before: str = "", state: str = "") -> None:
        state = state or f"sqlite:{place}/doctor-counts/counts"
        tables = [f'[[gateway]]\nca = "{authority.ca}"\n{text}\n' for text in gateways]
        SETTINGS.write_text(f'state = "{state}"\n{before}\n' + "\n".join(tables))
        SETTINGS.chmod(0o600)

    return write


def by_http(gateway: Gateway, host: str = "localhost") -> str:
    url = f"https://{host}:{gateway.port}/json?key={TOKEN}"
    headers = f'headers = {{ Authorization = "Bearer {TOKEN}" }}'
    return f'kind = "http"\nurl = "{url}"\n{headers}\nbody = \'{{"text": "{{text}}"}}\''


@pytest.fixture
def sender(
    host: Account, place: Path, configure: Callable[..., None], gateway: Gateway
) -> Iterator[Account]:
    """A user with a number on a host that can send."""
    subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "_trex-sms"],
                   check=True, capture_output=True)  # fmt: skip
    counts = place / "doctor-counts"
    subprocess.run(["install", "-d", "-m", "0700", "-o", "_trex-sms", counts], check=True)
    PHONES.parent.mkdir(exist_ok=True)
    PHONES.write_text(f"# whose is whose\nalice {NUMBER}\n")
    PHONES.chmod(0o644)
    configure(by_http(gateway))
    write_stack("requisite pam_unix.so", "required {trex} method=sms")
    yield host
    shutil.rmtree(counts)
    shutil.rmtree(PHONES.parent)
    subprocess.run(["userdel", "--force", "_trex-sms"], check=True, capture_output=True)


def counts_of(place: Path) -> Path:
    return place / "doctor-counts" / "counts"


def as_servant(*command: str) -> None:
    subprocess.run(["setpriv", "--reuid=_trex-sms", "--regid=_trex-sms", "--clear-groups", *command],
                   check=True)  # fmt: skip


def send(place: Path, user: str, messages: int) -> None:
    """Count as a login does, by the same code and the same account."""
    program = (f"import sys; sys.path.insert(0, {str(sandbox.MODULE)!r}); "
               "from trex.sms.counts import SqliteCounts; "
               f"SqliteCounts({str(counts_of(place))!r}).add({user!r}, 'h', {messages}, {{}})")  # fmt: skip
    as_servant("/usr/bin/python3", "-B", "-c", program)


def test_a_sound_sender_has_notes_only_and_nothing_is_sent_or_changed(
    sender: Account, gateway: Gateway, place: Path
) -> None:
    before = [sandbox.listing(path) for path in (Path("/etc/trex"), place / "doctor-counts")]
    report = examine()
    assert [(f["check"], f["severity"]) for f in report["findings"]] == [
        ("sms-online", "note"), ("sms-number", "note"),
    ]  # fmt: skip
    assert "was not tried" in report["findings"][0]["what"]
    assert report["findings"][1]["what"] == "alice: a PIN goes to ..78"
    assert report["status"] == (1 if report["status"] else 0), (
        "this machine's clock may be to blame"
    )
    assert [f["check"] for f in examine("--online")["findings"]] == ["sms-number"]
    send(place, "alice", 1)
    kept = counts_of(place).read_bytes()
    assert checks("--user", "alice") == []
    assert counts_of(place).read_bytes() == kept
    counts_of(place).unlink()
    after = [sandbox.listing(path) for path in (Path("/etc/trex"), place / "doctor-counts")]
    assert [{p: facts[:3] for p, facts in one.items()} for one in after] == [
        {p: facts[:3] for p, facts in one.items()} for one in before
    ]
    assert gateway.requests == []


def test_no_number_password_or_token_is_in_a_report(sender: Account, place: Path) -> None:
    send(place, "alice", 5)
    for arguments in ([], ["--json", "--online"]):
        done = trex("doctor", *arguments)
        assert done.returncode == 2
        assert not any(text in done.stdout + done.stderr for text in (TOKEN, NUMBER, "612345"))


def test_who_is_not_root_is_told_that_sms_is_root_s(sender: Account) -> None:
    report = examine(account=sender)
    assert [f["check"] for f in report["findings"]] == ["left-out", "left-out"]
    assert report["findings"][1]["what"].startswith("method=sms: /etc/trex/sms.toml")


def test_who_is_not_root_is_not_told_what_sshd_decides(sender: Account) -> None:
    write_stack("required {trex} method=sms")
    assert checks(account=sender) == []
    su = Path("/etc/pam.d/doctor-su")
    su.write_text(f"auth required {TREX} method=sms\n")
    assert checks("--service", "doctor-su", account=sender) == [("pam-sms-first", "warning")]
    su.unlink()


def _toml(place: Path) -> None:
    SETTINGS.write_text('state = "x"\nlimits = [\n')


def _unknown(place: Path) -> None:
    SETTINGS.write_text('[[gateway]]\nkind = "twilio"\ntoken = "x"\n')


def _mode(place: Path) -> None:
    SETTINGS.chmod(0o640)


def _no_settings(place: Path) -> None:
    SETTINGS.unlink()


def _no_gateway(place: Path) -> None:
    SETTINGS.write_text(f'state = "sqlite:{counts_of(place)}"\n')


def _map(place: Path) -> None:
    PHONES.write_text(f"alice {NUMBER}\nbob 0612\n")


def _map_mode(place: Path) -> None:
    PHONES.chmod(0o666)


def _no_map(place: Path) -> None:
    PHONES.unlink()


def _no_directory(place: Path) -> None:
    (place / "doctor-counts").rename(place / "doctor-gone")
    (place / "doctor-gone").rename(place / "doctor-counts")
    SETTINGS.write_text(SETTINGS.read_text().replace("doctor-counts", "doctor-nowhere"))


def _directory_of_root_s(place: Path) -> None:
    os.chown(place / "doctor-counts", 0, 0)


def _directory_of_all(place: Path) -> None:
    (place / "doctor-counts").chmod(0o777)


def _directory_seen(place: Path) -> None:
    (place / "doctor-counts").chmod(0o755)


def _counts_of_root_s(place: Path) -> None:
    SqliteCounts(str(counts_of(place))).add("alice", "h", 1, {})


def _no_database(place: Path) -> None:
    counts_of(place).write_text("this is no database" * 100)
    shutil.chown(counts_of(place), "_trex-sms")


def _authority_hidden(place: Path) -> None:
    hidden = PHONES.parent / "ca.pem"
    hidden.write_text("x")
    hidden.chmod(0o600)
    SETTINGS.write_text(re.sub('ca = ".*"', f'ca = "{hidden}"', SETTINGS.read_text()))


def _only_others(place: Path) -> None:
    SETTINGS.write_text(
        SETTINGS.read_text().replace('kind = "http"', 'kind = "http"\nonly = ["bob"]')
    )


@pytest.mark.parametrize(
    ("breaks", "check", "severity", "what", "mend"),
    [
        (_toml, "sms-settings", "error", r"sms.toml: .*\(at .*\)", "sudoedit /etc/trex/sms.toml"),
        (_unknown, "sms-settings", "error", r'\[\[gateway\]\] 1: unknown key "token"', "sudoedit"),
        (_mode, "sms-settings", "error", "sms.toml: found mode 0640; meant is mode 0600", "chmod 600"),
        (_no_settings, "sms-settings", "error", "found no file", "sudo script/install --sms"),
        (_no_gateway, "sms-gateway", "error", "found no gateway", "docs/sms.md"),
        (_map, "sms-phones", "error", "/etc/trex/phones:2: found another line", "sudoedit"),
        (_map_mode, "sms-phones", "error", "phones: found mode 0666", "chmod 644"),
        (_no_map, "sms-phones", "error", "found no file", "sudo script/install --sms"),
        (_no_directory, "sms-state", "error", "doctor-nowhere: No such file", "script/install --sms"),
        (_directory_of_root_s, "sms-state", "error", "(Permission denied|cannot be written)$", "install --sms"),
        (_directory_of_all, "sms-place", "warning", "found mode 0777", "install -d -m 0700"),
        (_directory_seen, "sms-place", "warning", "found mode 0755; meant is 0700", "chmod 700"),
        (_counts_of_root_s, "sms-state", "error", "counts cannot be written", "--sms"),
        (_no_database, "sms-state", "error", "file is not a database", "install --sms"),
        (_authority_hidden, "sms-ca", "error", "Permission denied, as _trex-sms", "chmod a.r"),
        (_only_others, "sms-gateway", "error", "alice: no gateway is for alice", "only"),
    ],
)  # fmt: skip
def test_what_would_keep_a_pin_from_being_sent(
    sender: Account, place: Path, breaks: Callable[[Path], None], check: str, severity: str,
    what: str, mend: str, ask: Callable[..., sandbox.Asked],
) -> None:  # fmt: skip
    breaks(place)
    finding = found(check)
    assert finding["severity"] == severity
    assert re.search(what, finding["what"])
    assert re.search(mend, finding["mend"])
    if severity == "error":
        asked = ask("alice", "--answer", "1", arguments=("method=sms",))
        assert asked.verdict == "PAM_AUTHINFO_UNAVAIL", "the login says the same"


@pytest.mark.parametrize(
    ("argument", "what"),
    [("sms_user=no-such", "sms_user=no-such: there is no such account"),
     ("sms_user=root", "without root's rights"), ("sms_user=alice", "is the account that logs in")],
)  # fmt: skip
def test_the_account_that_sends(sender: Account, argument: str, what: str) -> None:
    write_stack("requisite pam_unix.so", f"required {{trex}} method=sms {argument}")
    finding = found("sms-account")
    assert finding["severity"] == "error"
    assert what in finding["what"]


def test_numbers_and_users_without_one(sender: Account, account: Callable[[str], Account]) -> None:
    account("carol")
    assert found("sms-NoRecord", "--user", "carol")["severity"] == "error"
    PHONES.write_text(f"alice {NUMBER} +4930123499\nghost {NUMBER}\n")
    report = examine()
    said = [(f["severity"], f["what"]) for f in report["findings"] if f["check"] != "sms-online"]
    assert said == [
        ("warning", "/etc/trex/phones: ghost: there is no such account"),
        ("note", "alice: a PIN goes to ..78 and ..99"),
    ]
    PHONES.write_text("")
    assert checks() == [("sms-nobody", "error")]


def test_gecos_that_users_can_change(sender: Account) -> None:
    write_stack("requisite pam_unix.so", "required {trex} method=sms gecos_phone")
    subprocess.run(["usermod", "--comment", "Alice,,+4930123455,", "alice"], check=True)
    defs = Path("/etc/login.defs")
    kept = defs.read_text()
    try:
        for restrict, expected in (("rwh", ["sms-gecos"]), ("yes", ["sms-gecos"]), ("rh", [])):
            defs.write_text(re.sub(r"(?m)^CHFN_RESTRICT.*", f"CHFN_RESTRICT {restrict}", kept))
            assert [check for check, _ in checks()] == expected
    finally:
        defs.write_text(kept)
    assert found("sms-number")["what"] == "alice: a PIN goes to ..55"


def test_limits_that_are_reached(sender: Account, configure: Callable[..., None], gateway: Gateway,
                                 place: Path) -> None:  # fmt: skip
    configure(by_http(gateway), before="[limits]\nuser_hour = 2\nhost_day = 4\nhost_hour = 3")
    send(place, "alice", 1)
    assert checks() == []
    send(place, "alice", 1)
    with closing(sqlite3.connect(counts_of(place))) as database, database:
        database.execute("UPDATE message SET at = at - 1800")
    finding = found("sms-limit")
    assert "alice: the limit user_hour = 2 is reached, until " in finding["what"]
    assert said_end(finding["what"]) == pytest.approx(1800, abs=60)
    assert finding["severity"] == "error"
    send(place, "bob", 1)
    whats = [f["what"] for f in examine()["findings"] if f["check"] == "sms-limit"]
    assert [what.partition(" is ")[0] for what in whats] == [
        "this host: the limit host_hour = 3", "alice: the limit user_hour = 2",
    ]  # fmt: skip
    configure(by_http(gateway), before="[limits]\nuser_day = 0")
    assert found("sms-limit")["what"] == "alice: the limit user_day = 0 is reached, for ever"


def said_end(what: str) -> float:
    """Return in how many seconds a limit ends."""
    text = what.partition("until ")[2]
    if " " not in text:
        text = time.strftime("%Y-%m-%d ") + text
    return time.mktime(time.strptime(text, "%Y-%m-%d %H:%M:%S")) - time.time()


def test_limits_and_fleets_in_redis(
    sender: Account, configure: Callable[..., None], gateway: Gateway, tmp_path: Path
) -> None:
    server = RedisServer(tmp_path)
    configure(by_http(gateway), before="[limits]\nuser_hour = 2", state=server.url)
    from trex.sms.counts import open_counts

    try:
        assert checks() == []
        open_counts(server.url).add("alice", "another-host", 2, {})
        finding = found("sms-limit")
        assert "alice: the limit user_hour = 2 is reached, until " in finding["what"]
        assert said_end(finding["what"]) == pytest.approx(3600, abs=60)
        sender.write(secret(), FILE)
        write_stack("required {trex} method=totp fleet")
        assert checks() == []
    finally:
        server.close()
    finding = found("sms-state")
    assert finding["what"] == "state: Redis cannot be asked: ConnectionError"
    write_stack("requisite pam_unix.so", "required {trex} method=sms")
    assert found("sms-state")["severity"] == "error"
    assert TOKEN not in trex("doctor").stdout


def test_a_fleet_without_redis(sender: Account) -> None:
    sender.write(secret(), FILE)
    write_stack("required {trex} method=totp fleet")
    assert "with `fleet` a redis:// URL is meant" in found("totp-fleet")["what"]
    told = [f["what"] for f in examine(account=sender)["findings"]]
    assert "the Redis of the fleet: not looked at" in told


@pytest.mark.parametrize("package", ["requests", "redis"])
def test_packages_that_are_missing(
    sender: Account, configure: Callable[..., None], gateway: Gateway, place: Path, package: str
) -> None:
    configure(by_http(gateway), state="redis://127.0.0.1:1/")
    empty = place / "no-package"
    empty.mkdir()
    with mounted(Path("/usr/lib/python3/dist-packages", package), "--bind", str(empty)):
        finding = found("sms-package", "--online")
    assert finding["what"] == f"Debian's package python3-{package} is missing"
    empty.rmdir()


# ---------------------------------------------------------------------------- gateways


def test_gateways_that_can_be_reached_and_others(
    sender: Account, configure: Callable[..., None], gateway: Gateway, authority: Authority, place: Path
) -> None:  # fmt: skip
    down = Gateway(authority, place / "last-message")
    down.close()
    boxes = [Mailbox(authority, place / "last-message", kind) for kind in ("tls", "starttls")]
    mail = ('kind = "email"\nserver = "localhost"\nport = {}\ntls = "{}"\nfrom = "a@example.org"\n'
            'to = "{{number}}@example.net"\nuser = "trex"\npassword = "wrong"')  # fmt: skip
    free = (f'kind = "free-mobile"\nuser = "1"\npass = "{TOKEN}"\nonly = ["alice"]\n'
            f'url = "{gateway.url}/sendmsg"')  # fmt: skip
    twilio = (f'kind = "twilio"\naccount_sid = "AC1"\nauth_token = "{TOKEN}"\nfrom = "+1"\n'
              f'api = "{gateway.url}"')  # fmt: skip
    emails = [
        mail.format(box.port, kind) for box, kind in zip(boxes, ("tls", "starttls"), strict=True)
    ]
    try:
        configure(by_http(gateway), free, twilio, *emails)
        assert checks("--online") == []
        configure(by_http(down), by_http(gateway, "127.0.0.1"), *emails)
        report = examine("--online")
        lost = [(f["severity"], f["what"]) for f in report["findings"] if f["check"] == "sms-reach"]
        assert lost == [
            ("warning", f"{SETTINGS}: [[gateway]] 1, http: no connection (NewConnectionError)"),
            ("warning", f"{SETTINGS}: [[gateway]] 2, http: {UNTRUSTED}"),
        ]  # fmt: skip
        assert [box.mails for box in boxes] == [[], []]
        configure(by_http(down))
        assert found("sms-reach", "--online")["severity"] == "error"
        configure(mail.format(boxes[0].port, "tls"))
        untrusted = SETTINGS.read_text().replace(
            str(authority.ca), "/etc/ssl/certs/ca-certificates.crt"
        )
        SETTINGS.write_text(untrusted)
        assert "email: its certificate is not trusted" in found("sms-reach", "--online")["what"]
    finally:
        for box in boxes:
            box.close()
    assert gateway.requests == []


def test_a_gateway_that_does_not_answer_takes_ten_seconds(
    sender: Account, configure: Callable[..., None]
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        configure(f'kind = "http"\nurl = "https://localhost:{port}/"')
        started = time.monotonic()
        finding = found("sms-reach", "--online")
    assert time.monotonic() - started < 25
    assert "http: no answer in time" in finding["what"] or "Timeout" in finding["what"]


def test_a_pin_before_anything_else(sender: Account) -> None:
    stranger = ("pam-sms-first", "warning")
    for lines, expected in (
        (["required {trex} method=sms"], True),
        (["required pam_unix.so", "required {trex} method=sms"], True),
        (["sufficient {trex}", "required {trex} method=sms"], True),
        (["[success=1 default=ignore] pam_unix.so", "requisite pam_deny.so",
          "required {trex} method=sms"], False),
        (["requisite {trex}", "required {trex} method=sms"], False),
        (["requisite pam_unix.so", "required {trex} method=sms"], False),
    ):  # fmt: skip
        write_stack(*lines)
        assert stranger not in checks("--user", "alice"), "the SSH key comes first"
        write_sshd(AuthenticationMethods="keyboard-interactive:pam")
        assert (stranger in checks("--user", "alice")) is expected, lines
        write_sshd()


# ---------------------------------------------------------------------------- the clock

CHRONY = [Path("/"), sandbox.PROJECT / ".venv/chrony"]  # installed, or unpacked by script/bootstrap
NTP = """
import socket, struct, sys, time
port, ahead = int(sys.argv[1]), float(sys.argv[2])
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", port))
def stamp(seconds):
    seconds += 2208988800 + ahead
    return struct.pack("!II", int(seconds), int(seconds % 1 * 2**32))
while True:  # RFC 5905, section 7.3
    asked, client = server.recvfrom(512)
    now = time.time()
    head = struct.pack("!BBbb II4s", asked[0] & 0x38 | 4, 1, 6, -20, 0, 0, b"TEST")
    server.sendto(head + stamp(now - 1) + asked[40:48] + stamp(now) + stamp(time.time()), client)
"""


@pytest.fixture
def chrony(place: Path) -> Iterator[Callable[[str], None]]:
    """Run a real chronyd that leaves the clock alone (-x), with these lines of configuration."""
    there = [root for root in CHRONY if (root / "usr/sbin/chronyd").exists()]
    if not there:
        pytest.skip("no chrony: script/bootstrap test unpacks it")
    layers = place / "chrony-bin"
    for layer in ("upper", "work"):
        (layers / layer).mkdir(parents=True)
    options = f"lowerdir=/usr/bin,upperdir={layers}/upper,workdir={layers}/work"
    subprocess.run(["mount", "-t", "overlay", "trex", "-o", options, "/usr/bin"], check=True)
    if there[0] != Path("/"):
        shutil.copy(there[0] / "usr/bin/chronyc", "/usr/bin/chronyc")
    run = Path("/run/chrony")
    run.mkdir(mode=0o750)
    running: list[subprocess.Popen[bytes]] = []

    def start(*lines: str, ahead: float = 0.0) -> None:
        stop()
        running.append(subprocess.Popen([sys.executable, "-c", NTP, "11123", str(ahead)]))
        configuration = place / "chrony.conf"
        pid = run / "chronyd.pid"
        configuration.write_text(
            "\n".join([*lines, "port 0", f"pidfile {pid}", "maxdistance 999", ""])
        )
        running.append(subprocess.Popen(
            [there[0] / "usr/sbin/chronyd", "-x", "-d", "-u", "root", "-f", configuration],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ))  # fmt: skip
        deadline = time.monotonic() + 20
        while not (run / "chronyd.sock").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop() -> None:
        while running:
            process = running.pop()
            process.send_signal(signal.SIGTERM)
            process.wait(20)

    yield start
    stop()
    shutil.rmtree(run)
    subprocess.run(["umount", "--lazy", "/usr/bin"], check=True)
    shutil.rmtree(layers)


def clock_says() -> list[tuple[str, str, str]]:
    import json

    findings = json.loads(trex("doctor", "--json").stdout)["findings"]
    return [(f["check"], f["severity"], f["what"]) for f in findings
            if f["check"] in ("clock-offset", "clock-unknown")]  # fmt: skip


SOURCE = "server 127.0.0.1 port 11123 iburst minpoll -6 maxpoll -6"


def test_the_offset_as_a_real_chrony_says_it(coder: Account, chrony: Callable[..., None]) -> None:
    for ahead, severity, pattern in ((0.0, "note", r"0\.\d+ seconds (ahead|behind)"),
                                     (100.0, "warning", r"(99\.9|100\.0)\d+ seconds behind"),
                                     (-60.0, "warning", r"(59\.9|60\.0)\d+ seconds ahead")):  # fmt: skip
        chrony(SOURCE, ahead=ahead)
        deadline = time.monotonic() + 30
        while (said := clock_says())[0][0] == "clock-unknown" and time.monotonic() < deadline:
            time.sleep(0.5)
        [(check, found_severity, what)] = said
        assert (check, found_severity) == ("clock-offset", severity)
        assert re.search(f"^chrony says that the clock is {pattern}$", what)


def test_a_chrony_that_knows_no_better(coder: Account, chrony: Callable[..., None]) -> None:
    chrony()
    [(check, severity, what)] = clock_says()
    assert (check, severity) == ("clock-unknown", "warning")
    assert what.endswith("no source has answered")
    chrony("local stratum 8")
    assert clock_says()[0][2].endswith("it takes the local clock for the reference")


def test_without_a_time_service_it_says_so(coder: Account) -> None:
    [(check, severity, what)] = clock_says()
    assert (check, severity) == ("clock-unknown", "note")
    assert what.startswith("neither chrony nor systemd-timesyncd runs")
    write_stack("required {trex}")
    assert clock_says() == [], "keys do not go by seconds"
