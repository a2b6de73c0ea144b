"""script/install: the module, an upgrade, a packager's tree, and the way back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.installation import ENTRY, LIBRARY, has_sender, install, remove_compiler
from tests.support.mounts import mounted

if TYPE_CHECKING:
    from tests.support.keys import Holder
    from tests.support.sandbox import Account


def test_an_installed_module_is_found_by_its_bare_name(
    usr: None, alice: Account, client: Path, holder: Holder
) -> None:
    with mounted(sandbox.PAM_SERVICES, "--types", "tmpfs", "none"):  # nothing asks for it yet
        done = install()
    assert done.returncode == 0, done.stderr
    for line in ("auth  required  pam_python.so pam_trex.py", "KbdInteractiveAuthentication yes",
                 "AuthenticationMethods publickey,keyboard-interactive:pam", "LoginGraceTime 600",
                 "MaxStartups 100:30:200", "PerSourceMaxStartups 20"):  # fmt: skip
        assert line in done.stdout
    service = sandbox.pam_service("trex-installed", "auth required pam_python.so pam_trex.py")
    asked = sandbox.ask_pam(client, service, "alice", "--answer-with", holder.command())
    assert asked.verdict == "PAM_SUCCESS"
    version = ENTRY.resolve().parent
    assert version.parent == LIBRARY
    for path in [version, *version.rglob("*")]:
        status = path.stat()
        assert (status.st_uid, status.st_gid) == (0, 0)
        assert not status.st_mode & 0o022
    assert (version / "trex-confine").stat().st_mode & 0o777 == 0o755
    compiled, bundle = set(version.glob("trex/**/*.pyc")), version / "trex/bundle.pyc"
    assert bundle in compiled
    assert len(compiled - {bundle}) == len(list(version.glob("trex/**/*.py")))


def test_without_a_compiler_python_only_installs_and_says_that_gpg_is_not_confined(
    usr: None, place: Path
) -> None:
    remove_compiler()
    refused = install()
    assert refused.returncode != 0
    assert "sudo script/bootstrap native; or see --python-only" in refused.stderr
    with mounted(sandbox.PAM_SERVICES, "--types", "tmpfs", "none"):  # nothing asks for it
        done = install("--python-only")
    assert done.returncode == 0, done.stderr
    assert (
        "gpg will not be confined (docs/security.md): that takes gcc and libc6-dev.\n"
        in done.stdout
    )
    assert not (ENTRY.resolve().parent / "trex-confine").exists()


def test_one_compiler_builds_both_programs_and_cc_names_it(usr: None, place: Path) -> None:
    """Debian's gcc is one, and any other distribution's cc."""
    compiler, built = place / "a-compiler", place / "built"
    compiler.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>{built}\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    done = install(CC=str(compiler))
    assert done.returncode == 0, done.stderr
    sources = {Path(word).name for word in built.read_text().split() if word.endswith(".c")}
    assert sources == {"pam_trex.c", "trex-confine.c"}


def test_it_names_the_command_that_switches_it_on(usr: None) -> None:
    """What is typed by hand takes nothing back by itself."""
    with mounted(sandbox.PAM_SERVICES, "--types", "tmpfs", "none"):  # nothing asks for it yet
        told = install().stdout
    assert "\n    sudo trex activate sshd\n" in told
    assert told.index("sudo trex activate sshd") < told.index("keep a root shell open")


def test_after_an_upgrade_it_says_who_asks(usr: None, place: Path) -> None:
    install()
    name = sandbox.pam_service("trex-asking", "auth required pam_python.so pam_trex.py")
    upgraded = install().stdout
    assert "Nothing asks for it yet." not in upgraded
    line = f"    {sandbox.PAM_SERVICES}/{name}".ljust(28) + " through pam_python.so pam_trex.py\n"
    assert line in upgraded


def test_an_upgrade_is_one_step_and_a_login_in_progress_keeps_its_version(usr: None) -> None:
    install()
    first = ENTRY.resolve()
    install()
    second = ENTRY.resolve()
    assert first != second
    assert first.exists(), "somebody may be looking at its prompt"
    install()
    assert not first.exists()
    assert second.exists()


def test_uninstall_refuses_while_pam_names_the_module(
    usr: None, no_service: None, place: Path
) -> None:
    install()
    service = sandbox.PAM_SERVICES / "trex-in-use"
    service.write_text("auth required pam_python.so pam_trex.py\n")
    try:
        done = install("--uninstall")
        assert done.returncode != 0
        assert "trex-in-use" in done.stderr
        assert ENTRY.exists()
        elsewhere = place / "a-service"
        elsewhere.write_text(service.read_text())
        service.unlink()
        service.symlink_to(elsewhere)
        assert "trex-in-use" in install("--uninstall").stderr, "libpam follows a link"
        packaged = Path("/usr/lib/pam.d/trex-in-use-too")
        packaged.parent.mkdir(exist_ok=True)
        packaged.write_text(elsewhere.read_text())
        service.unlink()
        assert "trex-in-use-too" in install("--uninstall").stderr, "and reads what packages bring"
        packaged.unlink()
        assert ENTRY.exists()
    finally:
        service.unlink(missing_ok=True)
    Path("/run/trex-pam.pages").touch()
    Path("/run/trex-pam.home").mkdir(exist_ok=True)
    Path("/run/trex-pam.grace/1000").mkdir(parents=True, exist_ok=True)
    done = install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert not ENTRY.is_symlink()
    assert not LIBRARY.exists()
    assert list(Path("/run").glob("trex-pam.*")) == []


def test_a_packager_s_tree(place: Path) -> None:
    destination = place / "package"
    done = install(DESTDIR=str(destination))
    assert done.returncode == 0, done.stderr
    assert (destination / "usr/lib/security/pam_trex.py").is_symlink()
    assert list(destination.glob("usr/lib/trex-pam/*/trex/__pycache__/*.pyc"))
    [bundle] = {path.resolve() for path in destination.glob("usr/lib/trex-pam/*/trex/bundle.pyc")}
    content = bundle.read_bytes()
    assert b"/usr/lib/trex-pam/" in content
    assert str(destination).encode() not in content, "where it will lie is what tracebacks name"


@pytest.mark.parametrize("words", [["--uninstall", "--sms"], ["--purge"], ["--uninstall", "--native-only"],
                                   ["--native-only", "--python-only"], ["--sms", "--smss"]])  # fmt: skip
def test_words_that_do_not_go_together(usr: None, words: list[str]) -> None:
    done = install(*words)
    assert done.returncode != 0
    assert not LIBRARY.exists()
    assert not has_sender()


def test_an_installation_leaves_a_package_s_places_alone(usr: None) -> None:
    (LIBRARY / "debian").mkdir(parents=True)
    before = sandbox.listing(Path("/usr/lib"))
    for words in ([], ["--uninstall"], ["--uninstall", "--force"]):
        done = install(*words)
        assert done.returncode == 1
        assert "sudo apt remove libpam-trex trex" in done.stderr
    assert sandbox.listing(Path("/usr/lib")) == before
