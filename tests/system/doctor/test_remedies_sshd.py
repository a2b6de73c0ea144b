"""What the doctor prints against sshd's settings and host keys, typed as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.examination import SSHD, write_service, write_sshd, write_stack
from tests.support.mounts import mounted
from tests.support.remedies import Case, Stage, runnable, see_it_gone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAIN = Path("/etc/ssh/sshd_config")
KEY = Path("/etc/ssh/ssh_host_ed25519_key")
OTHER = Path("/etc/ssh/other_key")
SOCKETS = Path("/run/sshd")


def version() -> tuple[int, ...]:
    told = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr
    return tuple(int(number) for number in re.findall(r"\d+", told)[:2])


def said(**settings: str) -> Callable[[Stage], object]:
    """Return what writes these settings of sshd's."""

    def breaks(_stage: Stage) -> None:
        write_sshd(**settings)

    breaks.__name__ = " ".join(f"{name} {value}" for name, value in settings.items())
    return breaks


def _elsewhere(_stage: Stage) -> None:
    """Another file's line comes first, and ends without a line end."""
    (SSHD.parent / "00-cloud.conf").write_text("# a cloud's\n  passwordauthentication=yes")


def _in_the_main_file(_stage: Stage) -> None:
    """The file of ours is empty, and the line is before what includes it."""
    write_sshd(UsePAM="yes")
    MAIN.write_text(f"UsePAM no\n{MAIN.read_text()}")


def _nothing_written(_stage: Stage) -> None:
    kept = [line for line in SSHD.read_text().splitlines() if "AuthenticationMethods" not in line]
    SSHD.write_text("\n".join(kept) + "\nMatch User bob\n    AuthenticationMethods publickey\n")


def _no_file_of_ours(_stage: Stage) -> None:
    lines = [line for line in SSHD.read_text().splitlines() if "Startups" not in line]
    SSHD.write_text("")
    MAIN.write_text("\n".join([*lines, MAIN.read_text()]))


def _nothing_included(_stage: Stage) -> None:
    lines = [line for line in SSHD.read_text().splitlines() if "Grace" not in line]
    MAIN.write_text("\n".join(lines) + "\n")


def _matched(_stage: Stage) -> None:
    SSHD.write_text(
        f"{SSHD.read_text()}Match User alice\n    AuthenticationMethods publickey\nMatch all\n"
    )


def _twice(_stage: Stage) -> None:
    """Of this setting, OpenSSH 9.2 takes the last line."""
    (SSHD.parent / "99-late.conf").write_text("MaxStartups 10:30:60\n")


def _root(stage: Stage) -> None:
    write_sshd(PermitRootLogin="prohibit-password")
    stage.fixture("root_s_record")


def _never(stage: Stage) -> None:
    write_sshd(PermitRootLogin="no")
    stage.fixture("root_s_record")


def _no_sockets(_stage: Stage) -> None:
    SOCKETS.rmdir()


def _writable(_stage: Stage) -> None:
    Path(f"{KEY}.pub").chmod(0o666)


def _of_another(_stage: Stage) -> None:
    os.chown(f"{KEY}.pub", 1, -1)


def _garbage(_stage: Stage) -> None:
    Path(f"{KEY}.pub").write_text("no key\n")


def _no_public_keys(_stage: Stage) -> None:
    for path in KEY.parent.glob("ssh_host_*.pub"):
        path.unlink()


def _none(_stage: Stage) -> None:
    write_service("host_keys=none")


def _wrong_path(_stage: Stage) -> None:
    write_service("timeout=600", "host_keys=/etc/ssh/no.pub")


def _one_missing(_stage: Stage) -> None:
    Path(f"{KEY}.pub").unlink()


def _replaced(_stage: Stage) -> None:
    """The public half that is there is of the key before."""
    KEY.unlink()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", OTHER], check=True)
    OTHER.rename(KEY)


def _elsewhere_too(_stage: Stage) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", OTHER], check=True)
    Path(f"{OTHER}.pub").unlink()
    SSHD.write_text(f"{SSHD.read_text()}HostKey {KEY}\nHostKey {OTHER}\n")


def _not_in_the_list(_stage: Stage) -> None:
    write_stack(f"required {{trex}} host_keys={KEY}.pub")


CASES = [
    Case("sshd-usepam", said(UsePAM="no")),
    Case("sshd-usepam", _in_the_main_file),
    Case("sshd-kbdinteractiveauthentication",
         said(KbdInteractiveAuthentication="no", AuthenticationMethods="any")),
    Case("sshd-service", said(PAMServiceName="other") if version() >= (9, 8) else None,
         unrun="OpenSSH before 9.8 does not start with PAMServiceName"),
    Case("sshd-password", said(PasswordAuthentication="yes")),
    Case("sshd-password", _elsewhere),
    Case("sshd-tries", said(MaxAuthTries="1")),
    Case("sshd-methods", said(AuthenticationMethods="publickey")),
    Case("sshd-methods", said(AuthenticationMethods="any")),
    Case("sshd-methods", said(AuthenticationMethods="publickey publickey,keyboard-interactive")),
    Case("sshd-methods", _nothing_written),
    Case("sshd-methods", _matched, ("--user", "alice")),
    Case("sshd-strangers", said(AuthenticationMethods="keyboard-interactive")),
    Case("sshd-grace", said(LoginGraceTime="120")),
    Case("sshd-grace", _nothing_included),
    Case("sshd-startups", said(MaxStartups="10:30:100")),
    Case("sshd-startups", _twice),
    Case("sshd-startups", _no_file_of_ours),
    Case("sshd-source", said(PerSourceMaxStartups="none")),
    Case("sshd-root", _root, ("--user", "root")),
    Case("sshd-root", _never, ("--user", "root"),
         by_hand="root's login over the network is closed by intention"),
    Case("sshd-absent", _no_sockets),
    Case("sshd-config", said(UsePAM="perhaps"),
         by_hand="only who wrote the line knows what it was to say"),
    Case("hostkeys", lambda _stage: None, by_hand="a note that is always there"),
    Case("hostkeys-none", _none),
    Case("hostkeys-none", _no_public_keys),
    Case("hostkeys-file", _wrong_path),
    Case("hostkeys-file", _writable),
    Case("hostkeys-file", _of_another),
    Case("hostkeys-file", _garbage),
    Case("hostkeys-sshd", _one_missing),
    Case("hostkeys-sshd", _replaced),
    Case("hostkeys-sshd", _elsewhere_too),
    Case("hostkeys-sshd", _not_in_the_list),
]  # fmt: skip


@pytest.fixture(autouse=True)
def kept(place: Path) -> Iterator[None]:
    """Put sshd's files back as they were."""
    copy = place / "ssh-kept"
    shutil.copytree("/etc/ssh", copy)
    yield
    for path in Path("/etc/ssh").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(copy, "/etc/ssh", dirs_exist_ok=True)
    shutil.rmtree(copy)
    SOCKETS.mkdir(mode=0o755, exist_ok=True)


@pytest.fixture
def root_s_record(stage: Stage) -> Iterator[Path]:
    record = Path("/root/.auth_gpg")
    with mounted(record.parent, "-t", "tmpfs", "-o", "mode=700", "trex-root"):
        record.write_text(f"{stage.keys['cv25519']} trust nosign\n")
        yield record


@pytest.mark.parametrize("case", runnable(CASES))
def test_the_command_takes_the_finding_away(case: Case, stage: Stage) -> None:
    see_it_gone(case, stage)
