"""script/install --sms: the account that sends, where it counts, numbers that are root's alone."""

from __future__ import annotations

import pwd
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.installation import ENTRY, LIBRARY, described, has_sender, install, mode
from tests.support.mounts import mounted
from tests.support.pins import NUMBER, PHONES, SETTINGS

if TYPE_CHECKING:
    from tests.support.sandbox import Account


def test_what_sms_needs_is_made_by_one_command_and_stays_as_it_is(var_lib: Path) -> None:
    assert install().returncode == 0
    assert not has_sender()
    assert not var_lib.exists()
    assert not PHONES.parent.exists()
    done = install("--sms")
    assert done.returncode == 0, done.stderr
    assert described(var_lib) == ("_trex-sms", "_trex-sms", 0o700)
    assert described(var_lib.parent) == ("root", "root", 0o755)
    assert described(SETTINGS) == ("root", "root", 0o600)
    entry = pwd.getpwnam("_trex-sms")
    assert 0 < entry.pw_uid < 1000
    assert (entry.pw_dir, entry.pw_shell) == ("/nonexistent", "/usr/sbin/nologin")
    SETTINGS.write_text("# mine\n")
    PHONES.write_text(f"alice {NUMBER}\n")
    (var_lib / "counts").write_text("counted")
    var_lib.chmod(0o755)
    assert install("--sms").returncode == 0
    assert mode(var_lib) == 0o700
    assert pwd.getpwnam("_trex-sms").pw_uid == entry.pw_uid
    assert (var_lib / "counts").read_text() == "counted"
    assert SETTINGS.read_text() == "# mine\n"
    assert PHONES.read_text() == f"alice {NUMBER}\n"


def test_an_account_that_was_made_by_hand_stays(var_lib: Path, no_service: None) -> None:
    subprocess.run(["useradd", "--system", "_trex-sms"], check=True)
    install()
    assert install("--uninstall").returncode == 0
    assert has_sender()


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
    elsewhere = place / "elsewhere"
    elsewhere.write_text("")
    PHONES.symlink_to(elsewhere)
    done = install("--sms")
    assert done.returncode != 0
    assert "/etc/trex/phones is a link: nothing is changed" in done.stderr
    assert mode(elsewhere) == 0o644
    elsewhere.unlink()


def test_sms_goes_nowhere_where_a_link_leads(var_lib: Path, place: Path) -> None:
    elsewhere = place / "elsewhere"
    elsewhere.mkdir()
    var_lib.parent.symlink_to(elsewhere)
    done = install("--sms")
    assert done.returncode != 0
    assert "/var/lib/trex is a link: nothing is changed" in done.stderr
    assert not LIBRARY.exists()
    assert list(elsewhere.iterdir()) == []
    elsewhere.rmdir()


def test_uninstall_keeps_counts_until_it_is_told_otherwise(var_lib: Path, no_service: None) -> None:
    install("--sms")
    (var_lib / "counts").write_text("counted")
    SETTINGS.write_text('state = "x"\n')
    done = install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert "Left there: the counts of messages in /var/lib/trex/sms" in done.stdout
    assert "--uninstall --purge" in done.stdout
    assert "Left there: /etc/trex/sms.toml" in done.stdout
    assert (var_lib / "counts").read_text() == "counted"
    assert has_sender()
    done = install("--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert not var_lib.parent.exists()
    assert not has_sender()
    assert SETTINGS.read_text() == 'state = "x"\n'


def test_uninstall_undoes_what_nobody_has_used(var_lib: Path, no_service: None) -> None:
    install("--sms")
    done = install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert "Left there" not in done.stdout
    assert not has_sender()
    assert not var_lib.parent.exists()
    assert not PHONES.parent.exists()


def test_counts_that_are_a_mount_are_not_emptied(var_lib: Path, no_service: None) -> None:
    assert install("--sms").returncode == 0
    for point in (var_lib, var_lib / "below"):
        point.mkdir(exist_ok=True)
        with mounted(point, "-t", "tmpfs", "counts"):
            (point / "counts").write_text("counted")
            done = install("--uninstall", "--purge")
            assert done.returncode == 1
            assert f"{point} is a mount: unmount it first; nothing is changed" in done.stderr
            assert (point / "counts").read_text() == "counted"
            assert ENTRY.exists()
            assert SETTINGS.exists()
    assert install("--uninstall", "--purge").returncode == 0
    assert not var_lib.parent.exists()
    assert not has_sender()


def test_a_packager_s_tree_makes_no_account(place: Path) -> None:
    done = install("--sms", DESTDIR=str(place / "package-sms"))
    assert done.returncode != 0
    assert "--sms makes an account" in done.stderr
    assert not has_sender()
