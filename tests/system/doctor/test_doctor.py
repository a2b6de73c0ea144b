"""`trex doctor`: a sound host without findings, and a broken one for each finding."""

from __future__ import annotations

import glob
import os
import random
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests import sandbox
from tests.command import trex
from tests.examination import SERVICE, SSHD, examine, only, write_service, write_sshd
from trex.doctor import clock
from trex.doctor.dispatch import lets_in
from trex.doctor.module import PAM_PYTHON
from trex.doctor.stack import read_stack

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.keys import Holder
    from tests.sandbox import Account
    from tests.system.conftest import Keys

# ------------------------------------------------------------------- a sound host


def test_a_sound_host_has_no_findings_and_nothing_is_changed(host: Account) -> None:
    places = [host.home, Path("/etc"), sandbox.MODULE]
    before = [sandbox.listing(place) for place in places]
    assert examine()["findings"] == []
    assert examine("--user", "alice")["findings"] == []
    assert [sandbox.listing(place) for place in places] == before


def test_what_is_printed_and_the_exit_status(host: Account) -> None:
    write_service("nullok")
    done = trex("doctor")
    assert done.returncode == 1
    assert "warning: /etc/pam.d/sshd:1: nullok\n  why:  A user whose" in done.stdout
    write_service("nulok")
    done = trex("doctor")
    assert done.returncode == 2
    assert 'error: /etc/pam.d/sshd:1: argument "nulok" is unknown, did you mean' in done.stdout
    assert "  mend: sudoedit /etc/pam.d/sshd, line 1\n" in done.stdout


def test_who_is_not_root_sees_what_can_be_seen(host: Account) -> None:
    """And what was not looked at: nothing is an error only because it could not be read."""
    before = sandbox.listing(host.home)
    report = examine(account=host)
    assert [(f["check"], f["severity"]) for f in report["findings"]] == [("left-out", "note")]
    assert report["findings"][0]["what"] == "sshd's settings: not looked at"
    assert sandbox.listing(host.home) == before
    host.record.chmod(0o666)
    checks = [finding["check"] for finding in examine(account=host)["findings"]]
    assert checks == ["left-out", "record-FileUnsafe"]
    done = trex("doctor", "--user", "root", account=host)
    assert done.returncode == 2
    assert "trex: hint: sudo trex doctor" in done.stderr


def test_sudo_and_central_mode_as_somebody_else_than_root(host: Account) -> None:
    service = Path("/etc/pam.d/sudo")
    kept = service.read_bytes()
    service.write_text(f"auth required pam_python.so {sandbox.ENTRY} run_as=nobody\n")
    try:
        found = examine("--service", "sudo", account=host)["findings"]
    finally:
        service.write_bytes(kept)
    assert [(f["check"], f["severity"]) for f in found] == [
        ("sudo-path", "note"), ("left-out", "note"),
    ]  # fmt: skip


# ------------------------------------------------------------------- the module's files


def test_files_that_others_may_write(host: Account) -> None:
    path = sandbox.MODULE / "trex/login.py"
    path.chmod(0o666)
    try:
        finding = only()
    finally:
        path.chmod(0o644)
    assert finding["check"] == "module-writable"
    assert f"chmod go-w {path}" in finding["mend"]
    os.chown(path, host.uid, -1)
    try:
        assert only()["check"] == "module-writable"
    finally:
        os.chown(path, 0, -1)


def test_a_module_that_is_not_there(host: Account) -> None:
    write_service(module=Path("/nowhere/pam_trex.py"))
    assert only()["check"] == "module-script"


def test_a_module_that_is_not_compiled(host: Account, place: Path) -> None:
    copy = place / "uncompiled"
    subprocess.run(["cp", "-a", sandbox.MODULE, copy], check=True)
    subprocess.run(["rm", "-r", copy / "trex/__pycache__"], check=True)
    write_service(module=copy / "pam_trex.py")
    assert only()["check"] == "module-compiled"
    subprocess.run(["rm", "-r", copy], check=True)


def test_pam_python_that_is_missing_or_linked_to_no_python(host: Account, place: Path) -> None:
    empty, broken = place / "empty", place / "broken"
    empty.mkdir()
    broken.mkdir()
    source = broken / "a.c"
    source.write_text("int nothing;\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", broken / "pam_python.so", source], check=True)
    # Debian 13 has it in the directory of the architecture.
    [library] = [path for pattern in PAM_PYTHON for path in glob.glob(pattern)]
    there = os.path.dirname(library)
    for directory, check in ((empty, "module-missing"), (broken, "module-python")):
        subprocess.run(["mount", "--bind", directory, there], check=True)
        try:
            assert only()["check"] == check
        finally:
            subprocess.run(["umount", there], check=True)


# ------------------------------------------------------------------- the stack


@pytest.mark.parametrize(
    ("lines", "check"),
    [
        ("auth optional {trex}", "pam-optional"),
        ("auth required {trex} timeout=0", "pam-arguments"),
        ("auth required {trex} run_as=nobody-there", "pam-arguments"),
        ("auth sufficient pam_unix.so\nauth required {trex}", "pam-around"),
        ("auth required {trex}\n@include nowhere", "pam-syntax"),
        ("@include common-auth", "pam-absent"),
    ],
)
def test_stacks_that_do_not_hold(host: Account, lines: str, check: str) -> None:
    SERVICE.write_text(lines.format(trex=f"pam_python.so {sandbox.ENTRY}") + "\n")
    assert check in [finding["check"] for finding in examine()["findings"]]
    assert examine()["status"] == 2


def test_sudo_without_secure_path(host: Account) -> None:
    service, sudoers = Path("/etc/pam.d/sudo"), Path("/etc/sudoers")
    kept = service.read_bytes(), sudoers.read_bytes()
    service.write_text(f"auth required pam_python.so {sandbox.ENTRY}\n")
    try:
        assert examine("--service", "sudo")["findings"] == []
        sudoers.write_bytes(kept[1].replace(b"secure_path", b"#secure_path"))
        assert only("--service", "sudo")["check"] == "sudo-path"
    finally:
        service.write_bytes(kept[0])
        sudoers.write_bytes(kept[1])


def test_the_stack_is_played_as_libpam_plays_it(client: Path) -> None:
    """pam-u2f #330: a stack that had worked was another one. Two hundred of them, asked for real."""
    draw = random.Random(4)  # noqa: S311 (the same stacks at each run)
    controls = ["required", "requisite", "sufficient", "optional", "[success=1 default=ignore]",
                "[success=2 default=bad]", "[default=1]", "[success=done default=die]",
                "[success=ok default=reset]", "[success=reset default=ok]",
                "[success=ignore default=bad]", "[success=bad default=done]", "[default=die]"]  # fmt: skip
    modules = {"pam_permit.so": "success", "pam_deny.so": "auth_err"}
    answers = set()
    for number in range(200):
        lines = [f"auth {draw.choice(controls)} {draw.choice([*modules])}"
                 for _ in range(draw.randint(1, 5))]  # fmt: skip
        if number % 3 == 0:
            sandbox.pam_service("trex-sub", *lines)
            lines = [f"auth {draw.choice(controls)} {draw.choice([*modules])}",
                     "auth substack trex-sub", f"auth {draw.choice(controls)} pam_permit.so"]  # fmt: skip
        name = sandbox.pam_service("trex-played", *lines)
        rules = read_stack(name).rules
        mine = lets_in(rules, [modules.get(rule.name, "success") for rule in rules])
        theirs = sandbox.ask_pam(client, name, "root").numbers("verdict") == [0]
        assert mine == theirs, [(rule.level, rule.control, rule.module) for rule in rules]
        answers.add(mine)
    assert answers == {True, False}


# ------------------------------------------------------------------- sshd


@pytest.mark.parametrize(
    ("setting", "value", "check", "status"),
    [
        ("UsePAM", "no", "sshd-usepam", 2),
        ("KbdInteractiveAuthentication", "no", "sshd-config", 2),
        ("PasswordAuthentication", "yes", "sshd-password", 1),
        ("AuthenticationMethods", "publickey", "sshd-methods", 2),
        ("AuthenticationMethods", "any", "sshd-methods", 1),
        ("AuthenticationMethods", "publickey publickey,keyboard-interactive", "sshd-methods", 1),
        ("AuthenticationMethods", "keyboard-interactive", "sshd-strangers", 1),
        ("LoginGraceTime", "120", "sshd-grace", 1),
        ("MaxAuthTries", "1", "sshd-tries", 1),
        ("UsePAM", "perhaps", "sshd-config", 2),
    ],
)
def test_settings_of_sshd(host: Account, setting: str, value: str, check: str, status: int) -> None:
    write_sshd(**{setting: value})
    report = examine()
    found = [finding["check"] for finding in report["findings"]]
    assert check in found
    assert report["status"] >= status
    assert [f["severity"] for f in report["findings"] if f["check"] == check] == [
        {1: "warning", 2: "error"}[status]
    ]


def test_no_questions(host: Account) -> None:
    write_sshd(KbdInteractiveAuthentication="no", AuthenticationMethods="any")
    found = {finding["check"] for finding in examine()["findings"]}
    assert found == {"sshd-kbdinteractiveauthentication", "sshd-methods"}


def test_a_match_block_counts_for_the_user_that_it_names(host: Account) -> None:
    SSHD.write_text(
        SSHD.read_text() + "Match User alice\n  AuthenticationMethods publickey\nMatch all\n"
    )
    finding = only("--user", "alice")
    assert (finding["check"], finding["severity"]) == ("sshd-methods", "error")


def test_root_over_ssh(host: Account, place: Path) -> None:
    report = examine("--user", "root")
    assert {"sshd-root", "record-NoRecord"} == {finding["check"] for finding in report["findings"]}


# ------------------------------------------------------------------- records and keys


def _mode(host: Account, *_: object) -> None:
    host.record.chmod(0o666)


def _home(host: Account, *_: object) -> None:
    host.home.chmod(0o777)


def _owner(host: Account, *_: object) -> None:
    os.chown(host.record, 1, -1)


def _gone(host: Account, *_: object) -> None:
    host.record.unlink()


def _spelling(host: Account, *_: object) -> None:
    host.write("alice@example.org truste nosign\n")


def _unknown_key(host: Account, *_: object) -> None:
    host.write("nobody@example.org trust nosign\n")


def _expired(host: Account, holder: Holder, *_: object) -> None:
    made = holder.make("doctor-old@example.org", expire="1d", at="20200101T000000")
    host.import_keys(holder.public(made))
    host.write(f"{made} trust nosign\n")


def _revoked(host: Account, holder: Holder, *_: object) -> None:
    made = holder.make("doctor-revoked@example.org")
    holder.revoke(made)
    host.import_keys(holder.public(made))
    host.write(f"{made} trust nosign\n")


def _signing_only(host: Account, holder: Holder, keys: Keys) -> None:
    host.import_keys(holder.public(keys["signing"]))
    host.write(f"{keys['signing']} trust nosign\n")


def _locked(host: Account, holder: Holder, keys: Keys) -> None:
    from tests.keys import Holder as Another

    other = Another(sandbox.PLACE / "doctor-locked")
    made = other.make("locked@example.org", "signing", passphrase="secret")  # noqa: S106
    exported = subprocess.run(
        ["gpg", "--homedir", other.home, "--batch", "--pinentry-mode", "loopback", "--passphrase",
         "secret", "--export-secret-keys", made], capture_output=True, check=True).stdout  # fmt: skip
    other.close()
    host.import_keys(exported)
    host.write(f"{keys['cv25519']} trust {made}\n")


def _not_trusted(host: Account, holder: Holder, keys: Keys) -> None:
    host.write(f"{keys['cv25519']} notrust nosign\n")


@pytest.mark.parametrize(
    ("breaks", "check"),
    [
        (_mode, "record-FileUnsafe"), (_home, "record-FileUnsafe"), (_owner, "record-FileUnsafe"),
        (_gone, "record-NoRecord"), (_spelling, "record-RecordError"),
        (_unknown_key, "record-KeyNotFound"), (_expired, "record-KeyExpired"),
        (_revoked, "record-KeyRevoked"), (_signing_only, "record-NoEncryptionSubkey"),
        (_locked, "record-SigningKeyLocked"), (_not_trusted, "record-KeyNotTrusted"),
    ],
)  # fmt: skip
def test_a_user_who_could_not_log_in(
    host: Account, holder: Holder, keys: Keys, breaks: Callable[..., None], check: str
) -> None:
    breaks(host, holder, keys)
    finding = only("--user", "alice")
    assert (finding["check"], finding["severity"]) == (check, "error")
    assert finding["what"].startswith("alice: ")


def test_the_key_expires_soon(host: Account, holder: Holder) -> None:
    for days, found in ((20, ["key-expires"]), (40, [])):
        made = holder.make(f"in-{days}@example.org", expire=f"{days}d")
        host.import_keys(holder.public(made))
        host.write(f"{made} trust nosign\n")
        assert [finding["check"] for finding in examine()["findings"]] == found


def test_an_address_that_two_keys_carry(host: Account, holder: Holder) -> None:
    for _ in range(2):
        host.import_keys(holder.public(holder.make("twice@example.org")))
    host.write("twice@example.org trust nosign\n")
    assert only()["check"] == "key-ambiguous"


def test_a_message_that_is_too_large_for_one_code(host: Account, holder: Holder) -> None:
    made = [holder.make(f"big-{i}@example.org", "rsa2048") for i in range(8)]
    host.import_keys(holder.public(*made))
    host.write(f"{','.join(made)} trust nosign webQrAuthTls\n")
    assert only()["check"] == "record-qr"


def test_odd_records_and_users(host: Account) -> None:
    host.write(host.record.read_text() * 2)
    assert only()["check"] == "record-odd"
    assert [finding["check"] for finding in examine("--user", "nobody-there")["findings"]] == [
        "user"
    ]
    host.record.unlink()
    assert only()["check"] == "record-nobody"


# ------------------------------------------------------------------- the page


def certificate(host: Account, name: str, days: int) -> str:
    """Write a TLS pair into the home; return the record's fields."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(named).issuer_name(named).serial_number(1)
        .public_key(key.public_key())
        .not_valid_before(today - timedelta(days=9)).not_valid_after(today + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    host.write(made.public_bytes(pem), "cert.pem")
    host.write(key.private_bytes(pem, serialization.PrivateFormat.PKCS8,
                                 serialization.NoEncryption()), "key.pem")  # fmt: skip
    return "webQrAuthTls key.pem cert.pem"


@pytest.mark.parametrize(
    ("name", "days", "found"),
    [
        ("login.example.org", 90, []),
        ("*.example.org", 90, []),
        ("other.example.org", 90, ["page-name"]),
        ("login.example.org", 10, ["page-expires"]),
        ("login.example.org", -1, ["page"]),
    ],
)
def test_certificates(host: Account, keys: Keys, name: str, days: int, found: list[str]) -> None:
    write_service("web_host=login.example.org", "web_bind=127.0.0.1")
    host.write(f"{keys['cv25519']} trust nosign {certificate(host, name, days)}\n")
    assert [finding["check"] for finding in examine()["findings"]] == found


def test_a_tls_pair_that_is_none_and_a_port_that_is_taken(host: Account, keys: Keys) -> None:
    fields = certificate(host, "login.example.org", 90)
    host.write(f"{keys['cv25519']} trust nosign {fields}\n")
    host.write("no key", "key.pem")
    assert only()["check"] == "page"
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        write_service("web_bind=127.0.0.1", f"web_ports={taken.getsockname()[1]}")
        host.write(f"{keys['cv25519']} trust nosign webQrAuthNoTls\n")
        assert "no free port" in only()["what"]


# ------------------------------------------------------------------- the clock


def test_a_clock_that_is_behind() -> None:
    now = time.time()
    assert [f.check for f in clock.judge(now - 86400, now, synchronized=True)] == ["clock-behind"]
    assert [f.check for f in clock.judge(now, now - 1, synchronized=False)] == ["clock-unsynchronized"]  # fmt: skip
    assert clock.judge(now, now - 1, synchronized=True) == []


def test_a_file_from_the_future(host: Account) -> None:
    path = sandbox.MODULE / "trex/cli/doctor.py"
    kept = path.stat().st_mtime
    os.utime(path, (time.time() + 86400,) * 2)
    try:
        assert "clock-behind" in trex("doctor", "--json").stdout
    finally:
        os.utime(path, (kept, kept))
