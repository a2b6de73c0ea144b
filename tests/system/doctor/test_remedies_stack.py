"""What the doctor prints against a stack that does not hold, typed as it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.command import options_of, trex
from tests.support.examination import SERVICE, write_stack
from tests.support.grace import DAY, PLACE
from tests.support.remedies import Case, Stage, runnable, see_it_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

SUDOERS = Path("/etc/sudoers")
OPEN = sandbox.PAM_SERVICES / "trex-open"  # before it nothing is asked, unlike with sshd


def written(*lines: str) -> Callable[[Stage], object]:
    """Return what writes these lines as the service's; `{trex}` is what asks Trex."""

    def breaks(_stage: Stage) -> None:
        write_stack(*lines)

    breaks.__name__ = " ".join(lines[:1])
    return breaks


def text(content: str, service: Path = SERVICE) -> Callable[[Stage], object]:
    """Return what writes a service's file as a whole."""

    def breaks(_stage: Stage) -> None:
        service.write_text(content.replace("{trex}", sandbox.DOOR))

    breaks.__name__ = content.split("\n", 1)[0]
    return breaks


def _sudo(stage: Stage) -> None:
    stage.fixture("central")
    stage.fixture("stack")("sudo", "timeout=300")


def _sudo_codes(stage: Stage) -> None:
    stage.fixture("central")
    stage.fixture("stack")("sudo", "method=totp", "nullok")


def _without_trex(stage: Stage) -> None:
    stage.fixture("stack")("sudo")
    (sandbox.PAM_SERVICES / "sudo").write_text("@include common-auth\n@include common-account\n")


def _prompt_of_sudo_s(stage: Stage) -> None:
    stage.fixture("stack")("sudo", "[prompt=in two words]")
    SUDOERS.write_text("Defaults passprompt_override\nroot ALL=(ALL:ALL) ALL\n")


def _blind(stage: Stage) -> None:
    stage.fixture("stack")("dovecot", "message=info")


def _locker(stage: Stage) -> None:
    stage.fixture("stack")("swaylock", *stage.fixture("central"), "timeout=300")


def _locker_by_common_auth(stage: Stage) -> None:
    """Debian's own file of i3lock's, and Trex in common-auth."""
    line = f"auth required {sandbox.DOOR} {' '.join(stage.fixture('central'))}\n"
    common = sandbox.PAM_SERVICES / "common-auth"
    common.write_text(line + common.read_text())
    sandbox.pam_service("i3lock", "auth include common-auth", "account include common-account")


def _give_grace_away(_stage: Stage) -> None:
    OPEN.write_text(f"auth required {sandbox.DOOR} {DAY}\nauth required pam_unix.so\n")
    PLACE.mkdir(mode=0o777, exist_ok=True)
    PLACE.chmod(0o777)


def _others_can_write(_stage: Stage) -> None:
    SERVICE.chmod(0o666)


def _many(_stage: Stage) -> None:
    write_stack("required {trex}", *["optional pam_env.so"] * 11)


def _shared(stage: Stage) -> None:
    stage.fixture("stack")("trex-shared")
    for name in ("one", "two"):
        sandbox.pam_service(f"trex-{name}", "auth include trex-shared")


def _lan(stage: Stage) -> None:
    """A file that permits whom it does not name, and so exempts everybody."""
    path = stage.place / "access-of-the-lan"
    path.write_text("+ : ALL : 192.0.2.0/24")
    write_stack(f"sufficient pam_access.so accessfile={path}", "required {trex}")


CASES = [
    Case("pam-optional", text("auth optional {trex} # ours\nauth required pam_permit.so\n")),
    Case("pam-sufficient", written("sufficient {trex} nullok", "required pam_deny.so")),
    Case("pam-sufficient", text("auth\tSUFFICIENT\t{trex}\nauth required pam_deny.so\n")),
    Case("pam-nullok", written("required {trex} nullok timeout=600", "required pam_unix.so")),
    Case("pam-one-try", written("[success=1 auth_err=bad default=die] {trex} one_try",
                                "[default=die] pam_faillock.so authfail",
                                "required pam_faillock.so authsucc")),
    Case("pam-twice", written(*["required {trex}"] * 2)),
    Case("pam-closed", text("auth [success=1 default=die] {trex}\nauth requisite pam_deny.so")),
    Case("pam-closed", written("required {trex}", "required pam_deny.so"),
         by_hand="pam_deny.so is there because somebody wanted this service closed"),
    Case("pam-around", written("sufficient pam_unix.so", "required {trex}")),
    Case("pam-around", written("[success=1 default=ignore] pam_unix.so", "required {trex}",
                               "required pam_permit.so")),
    Case("pam-around", written("optional pam_env.so", "sufficient pam_unix.so", "required {trex}")),
    Case("pam-around", text("@include common-auth\nauth sufficient {trex}\n")),
    Case("exempt-all", _lan),
    Case("exempt-own-keys",
         written("sufficient pam_ssh_agent_auth.so file=~/.ssh/authorized_keys", "required {trex}")),
    Case("pam-unasked", text("auth required {trex} nullok\nauth required pam_permit.so\n",
                             OPEN), ("--service", OPEN.name)),
    Case("pam-password", written("required {trex} method=totp use_first_pass"), host="coder"),
    Case("pam-password", written("required {trex} method=totp forward_pass"), host="coder"),
    Case("pam-sms-first", text("auth required {trex} method=sms\n", OPEN),
         ("--service", OPEN.name), host="sender"),
    Case("pam-grace", text("auth required {trex} grace_period=60\n", OPEN),
         ("--service", OPEN.name)),
    Case("pam-grace", text("auth sufficient {trex} grace_period=60\nauth required pam_unix.so\n",
                           OPEN), ("--service", OPEN.name)),
    Case("grace-place", _give_grace_away, ("--service", OPEN.name)),
    Case("pam-absent", text("#%PAM\n@include common-auth\n@include common-account\n")),
    Case("pam-absent", text("auth required pam_env.so\naccount required pam_permit.so\n")),
    Case("pam-absent", _without_trex, ("--service", "sudo")),
    Case("pam-writable", _others_can_write),
    Case("own-record", _sudo, ("--service", "sudo")),
    Case("own-record", _sudo_codes, ("--service", "sudo")),
    Case("locker-central", _locker),
    Case("locker-central", _locker_by_common_auth),
    Case("program-blind", _blind, ("--service", "dovecot")),
    Case("program-info", written("required {trex} message=info")),
    Case("sudo-prompt", _prompt_of_sudo_s, ("--service", "sudo")),
    Case("pam-syntax", text("auth required {trex}\nauth requird pam_env.so\n"),
         by_hand="only who wrote the line knows what it was to say"),
    Case("pam-arguments", written("required {trex} timeout=0"),
         by_hand="a wrong argument taken away could weaken the login: run_as=, for example"),
    Case("pam-missing", written("required pam_not_there.so", "required {trex}"),
         by_hand="the module may be a second factor: to take its line out could open the host"),
    Case("pam-long", _many, by_hand="which modules can go is the administrator's to say"),
    Case("pam-shared", _shared, by_hand="a note: a shared line may be what was wanted"),
    Case("pam-absent", text("", sandbox.PAM_SERVICES / "trex-none"), ("--service", "trex-no"),
         by_hand="there is no such service: the name was wrong"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def kept(place: Path) -> Iterator[None]:
    """Put the files back that a case has changed."""
    paths = [SUDOERS, *(path for path in sandbox.PAM_SERVICES.iterdir() if path.is_file())]
    before = {path: (path.read_bytes(), path.stat().st_mode) for path in paths}
    yield
    for path in sandbox.PAM_SERVICES.iterdir():
        if path.is_file() and path not in before:
            path.unlink()
    for path, (content, mode) in before.items():
        path.write_bytes(content)
        path.chmod(mode)


@pytest.mark.parametrize("case", runnable(CASES))
def test_the_command_takes_the_finding_away(case: Case, stage: Stage) -> None:
    see_it_gone(case, stage)


@pytest.mark.parametrize("with_central", [True, False])
def test_a_locker_that_runs_as_its_user_is_refused_in_central_mode_alone(
    alice: Account, holder: Holder, keys: Keys, central: list[str], client: Path, with_central: bool
) -> None:
    """What `locker-central` says is what libpam says, to a program of the user's."""
    arguments = central if with_central else []
    if with_central:
        words = ["--central", *options_of(central), "--user", "alice", "--key", "-", "--yes"]
        key = holder.public(keys["cv25519"])
        assert trex("enroll", *words, stdin=key).returncode == 0
    service = sandbox.trex_service("swaylock", *arguments)
    prompt = alice.write("", "prompt")
    asked = alice.run(
        str(client), "--prompt-file", str(prompt), "--answer-with", "cat >/dev/null; echo x",
        service, "alice", check=False,
    ).decode()  # fmt: skip
    assert ("BEGIN PGP MESSAGE" in prompt.read_text()) is not with_central, asked
