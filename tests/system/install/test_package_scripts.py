"""What Debian's packages run as they go: on trees of their own, in a mount namespace."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

EMPTY = "for tree in /etc /var/lib /run; do mount -t tmpfs tmpfs $tree; done\n"
# The machine's own pam-auth-update with two profiles, of which that for passwords is chosen, and
# the package's files.
PROFILES = f"""
kept=$(mktemp -d)
cp /etc/debconf.conf /var/lib/dpkg/info/libpam-runtime.templates /usr/share/pam-configs/unix $kept
for tree in /etc /var/lib /var/cache /run; do mount -t tmpfs tmpfs $tree; done
mkdir /run/upper /run/work
mount -t overlay -o lowerdir=/usr,upperdir=/run/upper,workdir=/run/work trex /usr
mkdir -p /etc/pam.d /var/lib/pam /var/lib/dpkg/info /var/cache/debconf /usr/lib/trex-pam/debian
cp $kept/debconf.conf /etc
cp $kept/libpam-runtime.templates /var/lib/dpkg/info
rm /usr/share/pam-configs/*
cp $kept/unix {PROJECT}/debian/pam-configs/trex /usr/share/pam-configs
rm -r $kept
cp {PROJECT}/debian/sysusers.d/trex.conf /usr/lib/sysusers.d
cp {PROJECT}/debian/tmpfiles.d/trex.conf /usr/lib/tmpfiles.d
cp -r {PROJECT}/trex {PROJECT}/pam_trex.py {PROJECT}/script/bundle /usr/lib/trex-pam/debian
echo root:x:0:0::/root:/bin/sh >/etc/passwd
echo root:x:0: >/etc/group
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
pam-auth-update --force
"""
CHOOSE = "pam-auth-update --enable trex\n"
CHANGE = "sed -i '/pam_trex/s/$/ qr=terminal/' /usr/share/pam-configs/trex\n"
EDIT = "sed -i '/^# end of pam-auth-update/i auth optional pam_echo.so' /etc/pam.d/common-auth\n"
KEEP = "cp /etc/pam.d/common-auth /run/before\n"
SAME = "cmp /run/before /etc/pam.d/common-auth"


def run(
    before: str, script: str, action: str, after: str = "", trees: str = EMPTY
) -> subprocess.CompletedProcess[str]:
    """Run a maintainer script on trees of its own: an empty /etc, /var/lib and /run, or PROFILES."""
    work = f"{trees}{before}\nsh {PROJECT}/debian/{script} {action} || exit 1\n{after}"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-euc", work], capture_output=True, text=True, check=False
    )  # fmt: skip


def test_a_service_behind_a_link_is_named_before_the_module_goes() -> None:
    """Such links are those of authselect and of configuration management."""
    done = run(
        "mkdir -p /etc/pam.d /etc/kept; mkfifo /etc/pam.d/waits\n"
        "echo 'auth required pam_trex.so' >/etc/kept/sshd; ln -s ../kept/sshd /etc/pam.d/sshd\n"
        "echo 'auth required pam_python.so pam_trex.py' >/etc/pam.conf\n"
        "echo '# pam_trex.so' >/etc/pam.d/su; ln -s . /etc/pam.d/round",
        "libpam-trex.prerm", "remove",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "NOBODY CAN LOG IN" in done.stderr
    assert {"    /etc/pam.d/sshd", "    /etc/pam.conf"} <= set(done.stderr.splitlines())
    assert "/etc/pam.d/su\n" not in done.stderr


def test_purging_takes_what_is_empty_and_what_logins_have_left() -> None:
    done = run(
        "mkdir -p /var/lib/trex/gnupg /var/lib/trex/activation /var/lib/trex/totp /etc/trex/users\n"
        "mkdir -p /run/trex-pam.home /run/trex-pam.grace/1000 /run/trex-pam.activation/sshd\n"
        "touch /run/trex-pam.pages /run/trex-pam.grace/1000/x /var/lib/trex/activation/lock\n"
        "touch /run/trex-pam.activation/.since /run/trex-pam.activation/sshd/1.2\n"
        "head -c 32 /dev/zero >/var/lib/trex/gnupg/pubring.kbx",
        "libpam-trex.postrm", "purge", "find /var/lib /etc /run -mindepth 1",
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_purging_follows_no_link_and_leaves_what_somebody_has_put_there() -> None:
    done = run(
        "mkdir -p /var/lib/trex/gnupg /var/lib/kept/empty /etc/trex/users\n"
        "touch /var/lib/kept/pubring.kbx /var/lib/kept/file /etc/trex/users/alice\n"
        "ln -s ../../kept/pubring.kbx /var/lib/trex/gnupg/pubring.kbx\n"
        "ln -s ../kept/empty /var/lib/trex/totp; ln -s /var/lib/kept /run/trex-pam.grace\n"
        "ln -s /var/lib/kept /run/trex-pam.activation; ln -s /var/lib/kept/empty /run/trex-pam.home\n"
        "ln -s /var/lib/kept/file /run/trex-pam.pages; ln -s ../kept /var/lib/trex/activation\n"
        "ln -s /var/lib/kept/file /var/lib/kept/lock",
        "libpam-trex.postrm", "purge", "find /var/lib/kept /etc/trex -type f -o -type d -empty",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == [
        "/etc/trex/users/alice", "/var/lib/kept/empty", "/var/lib/kept/file",
        "/var/lib/kept/pubring.kbx",
    ]  # fmt: skip
    for left in ("/var/lib/trex/totp", "/var/lib/trex/activation", "/etc/trex/users"):
        assert f"Left there, because it is not empty: {left}\n" in done.stderr


def test_a_keyring_with_a_key_stays() -> None:
    done = run(
        "mkdir -p /var/lib/trex/gnupg; head -c 33 /dev/zero >/var/lib/trex/gnupg/pubring.kbx",
        "libpam-trex.postrm", "purge", "ls /var/lib/trex/gnupg",
    )  # fmt: skip
    assert done.stdout == "pubring.kbx\n"


def test_removing_without_purging_leaves_what_is_there() -> None:
    done = run(
        "mkdir -p /var/lib/trex/gnupg /etc/trex; touch /run/trex-pam.pages",
        "libpam-trex.postrm", "remove", "find /var/lib /etc /run -mindepth 1",
    )  # fmt: skip
    assert len(done.stdout.split()) == 4


@pytest.mark.parametrize(
    "action", ["abort-upgrade 1", "abort-remove", "abort-deconfigure", "triggered"]
)
def test_a_package_that_stays_after_all_has_its_bundle_again(action: str) -> None:
    """Its prerm has run, and removed that."""
    tree = "/usr/lib/trex-pam/debian"
    done = run(
        "mkdir /run/upper /run/work\n"
        "mount -t overlay -o lowerdir=/usr/lib,upperdir=/run/upper,workdir=/run/work trex /usr/lib\n"
        f"mkdir -p {tree}; cp -r {PROJECT}/trex {PROJECT}/pam_trex.py {PROJECT}/script/bundle {tree}\n"
        f"touch {tree}/trex/bundle.pyc; sh {PROJECT}/debian/libpam-trex.prerm upgrade\n"
        f"! test -e {tree}/trex/bundle.pyc",
        "libpam-trex.postinst", action, f"test -s {tree}/trex/bundle.pyc",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_changed_profile_arrives_where_it_was_chosen() -> None:
    done = run(
        CHOOSE + CHANGE, "libpam-trex.postinst", "configure 0.0.9",
        "cat /etc/pam.d/common-auth", PROFILES,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"^auth\s+required\s+pam_trex\.so qr=terminal\s*$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize(
    ("script", "action"),
    [("libpam-trex.postinst", "configure 0.0.9"), ("libpam-trex.prerm", "remove")],
)
def test_where_nobody_chose_the_profile_pam_stays_as_it_is(script: str, action: str) -> None:
    done = run(EDIT + KEEP + CHANGE, script, action, f"{SAME}; grep pam_ /run/before", PROFILES)
    assert done.returncode == 0, done.stderr
    assert "pam_echo" in done.stdout
    assert "pam_trex" not in done.stdout
    assert "Local modifications" not in done.stderr


@pytest.mark.parametrize(
    ("script", "action"),
    [("libpam-trex.postinst", "configure 0.0.9"), ("libpam-trex.prerm", "remove")],
)
def test_a_stack_that_was_edited_stays_and_nobody_is_asked_at_a_terminal(
    tmp_path: Path, script: str, action: str
) -> None:
    """debconf would ask whether to overwrite it."""
    at_terminal = tmp_path / "at-terminal"
    at_terminal.write_text(
        f"DEBIAN_FRONTEND=teletype script -qefc 'sh {PROJECT}/debian/{script} {action}' /dev/null"
    )
    done = run(
        f"{CHOOSE}{EDIT}{CHANGE}{KEEP}sh {at_terminal} </dev/null || exit 1",
        script, action, SAME, PROFILES,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Local modifications to /etc/pam.d/common-*, not updating" in done.stdout
    assert "Override local changes" not in done.stdout


def test_removing_the_package_removes_its_profile() -> None:
    done = run(CHOOSE, "libpam-trex.prerm", "remove", "cat /etc/pam.d/common-auth", PROFILES)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pam_unix" in done.stdout
    assert "pam_trex" not in done.stdout


def test_a_removal_that_fails_before_its_end_leaves_the_profile() -> None:
    """The package stays then, and nobody would know that its key is no longer asked for."""
    done = run(
        f"{CHOOSE}sed 's/^#DEBHELPER#/exit 1/' {PROJECT}/debian/libpam-trex.prerm >/run/prerm\n"
        "! sh /run/prerm remove || exit 1",
        "libpam-trex.postinst", "abort-remove", "cat /etc/pam.d/common-auth", PROFILES,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "pam_trex.so" in done.stdout
