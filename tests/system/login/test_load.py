"""What a login loads, and what a process that authenticates many times keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import native, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account, Asked, Log

# What pam_python's interpreter has loaded itself is free; this is all that a login adds.
OWN = {
    "trex", "trex.bundle", "trex.login", "trex.openpgp", "trex.page", "trex.recovery", "trex.sms", "trex.system", "trex.totp", "trex.login.audit", "trex.openpgp.record", "trex.login.challenge", "trex.system.child", "trex.errors",
    "trex.login.story", "trex.login.method", "trex.openpgp.method", "trex.openpgp.gpg", "trex.login.options", "trex.login.pam", "trex.login.witness", "trex.system.privilege", "trex.openpgp.prompt",
    "trex.openpgp.hostkeys", "trex.openpgp.keyblock", "trex.openpgp.keylist", "trex.openpgp.keyring", "trex.openpgp.recipients", "trex.system.safefile",
    "trex.system.filter", "trex.system.program", "trex.openpgp.standing", "trex.system.sigchld",
}  # fmt: skip
BUILT_IN = {
    "_contextvars",
    "_sha1",
    "_sha2",
    "_sha256",
    "_signal",
    "_socket",
    "binascii",
    "errno",
    "fcntl",
    "gc",
    "pwd",
    "select",
}
SPY = """\
import sys
sys.path.insert(0, {checkout!r})
before = set(sys.modules)
import pam_trex

def pam_sm_authenticate(pamh, flags, argv):
    class Watched:
        def __getattr__(self, name):
            return getattr(pamh, name)
        def conversation(self, message):
            tell("prompt")
            return pamh.conversation(message)
    verdict = pam_trex.pam_sm_authenticate(Watched(), flags, argv)
    tell("end")
    return verdict

def tell(when):
    with open({report!r}, "a", encoding="utf-8") as file:
        file.write(when + " " + " ".join(sorted(set(sys.modules) - before)) + "\\n")
"""


def test_a_login_loads_no_module_that_it_can_do_without(
    alice: Account, client: Path, place: Path
) -> None:
    """What it needs after the prompt is loaded before: an upgrade may happen within ten minutes."""
    report = place / "loaded"
    (place / "spy.py").write_text(SPY.format(checkout=str(sandbox.MODULE), report=str(report)))
    name = sandbox.pam_service("trex-loaded", f"auth required pam_python.so {place}/spy.py")
    assert sandbox.ask_pam(client, name, "alice").verdict == "PAM_AUTH_ERR"
    at = {line.split()[0]: set(line.split()[1:]) for line in report.read_text().splitlines()}
    assert at["prompt"] >= OWN
    assert at["prompt"] - OWN - BUILT_IN == {"pam_trex", "encodings.utf_8"}
    assert at["end"] - at["prompt"] <= BUILT_IN, "built into the interpreter: no file to lose"


def test_a_login_with_a_key_loads_nothing_of_the_other_methods(
    alice: Account, holder: Holder, client: Path, place: Path
) -> None:
    """Nor any of their libraries: neither for the prompt nor for a success with its reminder."""
    report, spy = place / "loaded-openpgp", place / "spy-openpgp.py"
    spy.write_text(SPY.format(checkout=str(sandbox.MODULE), report=str(report)))
    name = sandbox.pam_service("trex-loaded-openpgp", f"auth required pam_python.so {spy}")
    asked = sandbox.ask_pam(client, name, "alice", "--answer-with", holder.command())
    assert asked.verdict == "PAM_SUCCESS"
    loaded = set(report.read_text().split()) - {"prompt", "end"}
    assert "trex.openpgp.method" in loaded
    others = ("trex.page.", "trex.recovery.", "trex.sms.", "trex.totp.", "trex.system.servant",
              "trex.system.packages", "pyotp", "requests", "redis", "sqlite3", "smtplib", "ssl",
              "tomllib", "json", "hashlib", "hmac")  # fmt: skip
    assert [module for module in loaded if module.startswith(others)] == []


def test_setcred_and_sessions_load_nothing(alice: Account, client: Path, place: Path) -> None:
    report = place / "loaded-setcred"
    spy = place / "spy-setcred.py"
    spy.write_text(
        SPY.format(checkout=str(sandbox.MODULE), report=str(report))
        + "\ndef pam_sm_setcred(pamh, flags, argv):\n"
        "    code = pam_trex.pam_sm_setcred(pamh, flags, argv)\n    tell('setcred')\n    return code\n"
    )
    name = sandbox.pam_service("trex-setcred", f"auth optional pam_python.so {spy}")
    # A module that never authenticates: setcred alone, as sshd has it in another process.
    spy.write_text(spy.read_text().replace("verdict = pam_trex", "return pamh.PAM_SUCCESS #"))
    asked = sandbox.ask_pam(client, name, "alice", "--setcred")
    assert asked.numbers("setcred") == [0]
    assert set(report.read_text().split()[1:]) == {"pam_trex", "gc", "encodings.utf_8"}


def test_many_authentications_in_one_process(
    alice: Account, client: Path, service: Callable[..., str], log: Log
) -> None:
    """pam_python unloads libpython after each login, which leaks 2 MB a time; see trex.login.pam."""
    asked = sandbox.ask_pam(client, service(), "alice", "--times", "300", "--memory",
                            "--descriptors", seconds=1200)  # fmt: skip
    assert asked.verdicts == ["PAM_AUTH_ERR"] * 300
    resident = asked.numbers("resident-kb")
    growth = (resident[-1] - resident[99]) / 200
    assert growth < 1000, f"{growth:.0f} kB a login"
    assert set(asked.facts["descriptors"][1:]) == {asked.facts["descriptors"][1]}


def test_the_caller_of_pam_trex_so_does_not_grow(
    alice: Account, client: Path, native_door: Path
) -> None:
    """`python3 -m benchmarks load` refuses 10,000 times."""
    service = native.service("trex-growth", native_door)
    asked = sandbox.ask_pam(client, service, "alice", "--times", "200", "--memory",
                            "--descriptors", seconds=600)  # fmt: skip
    assert asked.verdicts == ["PAM_AUTH_ERR"] * 200
    resident = asked.numbers("resident-kb")
    assert resident[-1] - resident[99] <= 100, "kB in all"
    assert set(asked.facts["descriptors"][1:]) == {asked.facts["descriptors"][1]}


def test_logins_of_two_users_in_one_process_do_not_mix(
    alice: Account, account: Callable[[str], Account], log_in: Callable[..., Asked], holder: Holder
) -> None:
    bob = account("bob")
    bob.import_keys(holder.public(holder.make("bob@example.org", "cv25519")))
    bob.write("bob@example.org trust nosign\n")
    first, second = log_in("alice"), log_in("bob")
    assert first.verdict == second.verdict == "PAM_SUCCESS"
    assert str(holder.decrypt(first.prompt)) != str(holder.decrypt(second.prompt))
