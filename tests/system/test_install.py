"""script/install, in an overlay of /usr/lib that vanishes with the test."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.keys import Holder
    from tests.sandbox import Account

LIBRARY = Path("/usr/lib/trex-pam")
ENTRY = Path("/lib/security/pam_trex.py")


@pytest.fixture
def usr_lib(place: Path) -> Iterator[None]:
    """Let /usr be written to where script/install does, without a trace."""
    layers = place / "usr"
    for name in ("lib", "bin", "share"):
        for layer in ("upper", "work"):
            (layers / name / layer).mkdir(parents=True, exist_ok=True)
        options = (
            f"lowerdir=/usr/{name},upperdir={layers}/{name}/upper,workdir={layers}/{name}/work"
        )
        subprocess.run(
            ["mount", "-t", "overlay", "trex", "-o", options, f"/usr/{name}"], check=True
        )
    yield
    for name in ("lib", "bin", "share"):
        subprocess.run(["umount", "--lazy", f"/usr/{name}"], check=True)
    subprocess.run(["rm", "-r", layers], check=True)


def install(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sandbox.PROJECT / "script/install", *arguments], capture_output=True, text=True,
        check=False, env={"PATH": os.environ["PATH"], **environment},
    )  # fmt: skip


def test_an_installed_module_is_found_by_its_bare_name(
    usr_lib: None, alice: Account, client: Path, holder: Holder
) -> None:
    done = install()
    assert done.returncode == 0, done.stderr
    for line in ("auth  required  pam_python.so pam_trex.py", "KbdInteractiveAuthentication yes",
                 "AuthenticationMethods publickey,keyboard-interactive:pam", "LoginGraceTime 600"):  # fmt: skip
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
    assert len(list(version.glob("trex/__pycache__/*.pyc"))) == len(list(version.glob("trex/*.py")))


def test_the_guard_for_su_is_installed_where_it_is_asked_for(
    usr_lib: None, alice: Account, client: Path
) -> None:
    guard = Path("/lib/security/pam_trex_path.so")
    install()
    assert not guard.exists()
    done = install("--su")
    assert done.returncode == 0, done.stderr
    service = sandbox.pam_service(
        "trex-guarded", "auth requisite pam_trex_path.so", "auth required pam_python.so pam_trex.py"
    )
    assert sandbox.ask_pam(client, service, "alice").verdict == "PAM_AUTH_ERR"
    assert install("--uninstall").returncode != 0
    assert guard.exists()
    install("--uninstall", "--force")
    assert not guard.exists()


def test_an_upgrade_is_one_step_and_a_login_in_progress_keeps_its_version(usr_lib: None) -> None:
    install()
    first = ENTRY.resolve()
    install()
    second = ENTRY.resolve()
    assert first != second
    assert first.exists(), "somebody may be looking at its prompt"
    install()
    assert not first.exists()
    assert second.exists()


def test_uninstall_refuses_while_pam_names_the_module(usr_lib: None, place: Path) -> None:
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
    others = [path for path in sandbox.PAM_SERVICES.iterdir() if path.is_file()
              and re.search("pam_trex", path.read_text())]  # fmt: skip
    for path in others:
        path.unlink()  # of other tests; this /etc is a copy
    done = install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert not ENTRY.is_symlink()
    assert not LIBRARY.exists()


def test_the_command_comes_and_goes_with_the_module(usr_lib: None, alice: Account) -> None:
    install()
    shown = alice.run("trex", "show").decode()
    assert "Can answer: Test Key <cv25519@example.org>" in shown
    for name in subprocess_lines("trex", "--help"):
        page = Path(f"/usr/share/man/man1/trex-{name}.1")
        assert page.is_file()
        text = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True,
                              check=True, env={"PATH": "/usr/bin:/bin", "MANWIDTH": "80"})  # fmt: skip
        assert text.stderr == ""
        assert f"trex-{name}" in text.stdout
        assert "EXAMPLES" in text.stdout
    linked = [path for path in Path("/usr/share").rglob("*trex*") if path.is_symlink()]
    assert len(linked) > 5
    install("--uninstall", "--force")
    assert not any(path.is_symlink() for path in [*linked, Path("/usr/bin/trex")])


def subprocess_lines(*command: str) -> list[str]:
    """Return the commands that the help lists."""
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  (\w+)  ", text.partition("Commands:")[2], re.MULTILINE)


def test_a_trex_that_is_not_ours_is_left_alone(usr_lib: None) -> None:
    foreign = Path("/usr/bin/trex")
    foreign.write_text("#!/bin/sh\n")
    done = install()
    assert done.returncode != 0
    assert "/usr/bin/trex is there already" in done.stderr
    assert not LIBRARY.exists()
    install("--uninstall", "--force")
    assert foreign.read_text() == "#!/bin/sh\n"


def test_bash_completes(usr_lib: None) -> None:
    install()
    script = (
        "source /usr/share/bash-completion/completions/trex; COMP_WORDS=(trex {words}); "
        "COMP_CWORD=$(({count}-1)); _trex_completion trex; echo ${{COMPREPLY[@]}}"
    )
    for words, wanted in (("enr", "enroll"), ("enroll --from", "--from-keyring")):
        text = script.format(words=words, count=len(words.split()) + 1)
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
        assert done.stdout.split() == [wanted], done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_completions(usr_lib: None, shell: str) -> None:
    install()
    script = LIBRARY / "current/completions" / f"trex.{shell}"
    flag = {"zsh": "-n", "fish": "--no-execute"}[shell]
    done = subprocess.run([shell, flag, script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    if shell == "fish":
        asked = "complete -C 'trex enr'"
        done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; {asked}"],
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert done.stdout.split()[0] == "enroll"
    else:
        answer = subprocess.run(
            ["trex"], capture_output=True, text=True, check=True,
            env={"_TREX_COMPLETE": "zsh_complete", "COMP_WORDS": "trex enr", "COMP_CWORD": "1",
                 "PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert answer.stdout.split("\n")[:2] == ["plain", "enroll"]


def test_a_client_without_pam_installs_the_command_with_pip(place: Path) -> None:
    """Without the network: what it depends on are the system's packages."""
    source, made = place / "source", place / "venv"
    shutil.copytree(
        sandbox.PROJECT, source, ignore=shutil.ignore_patterns(".git", ".venv", "*.pyc")
    )
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--system-site-packages", made], check=True)
    subprocess.run(
        [made / "bin/pip", "install", "--quiet", "--no-index", "--no-build-isolation", source],
        check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(place),
                         "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )  # fmt: skip
    for command in (["--version"], ["enroll", "--help"], ["show", "--help"], ["doctor", "--help"]):
        done = subprocess.run([made / "bin/trex", *command], capture_output=True, text=True,
                              check=True, cwd="/", env={"PATH": "/usr/bin:/bin"})  # fmt: skip
        assert done.stdout.startswith(("trex ", "Usage: trex "))
    for directory in (source, made):
        shutil.rmtree(directory)


def test_a_packager_s_tree(place: Path) -> None:
    destination = place / "package"
    done = install(DESTDIR=str(destination))
    assert done.returncode == 0, done.stderr
    assert (destination / "usr/lib/security/pam_trex.py").is_symlink()
    assert list(destination.glob("usr/lib/trex-pam/*/trex/__pycache__/*.pyc"))


@pytest.fixture
def var_lib(place: Path, usr_lib: None) -> Iterator[Path]:
    """A /var/lib that vanishes with the test; /etc is the sandbox's own."""
    layer = place / "var-lib"
    layer.mkdir()
    subprocess.run(["mount", "--bind", layer, "/var/lib"], check=True)
    yield Path("/var/lib/trex/sms")
    subprocess.run(["umount", "--lazy", "/var/lib"], check=True)
    subprocess.run(["rm", "-r", layer], check=True)
    subprocess.run(["userdel", "--force", "_trex-sms"], check=False, capture_output=True)
    shutil.rmtree("/etc/trex", ignore_errors=True)


def no_service() -> None:
    for path in sandbox.PAM_SERVICES.iterdir():
        if path.is_file() and "pam_trex" in path.read_text():
            path.unlink()  # of other tests; this /etc is a copy


def described(path: str | Path) -> tuple[str, str, int]:
    status = Path(path).stat()
    return Path(path).owner(), Path(path).group(), status.st_mode & 0o7777


def has_sender() -> bool:
    return "_trex-sms:" in Path("/etc/passwd").read_text()


def test_what_sms_needs_is_made_by_one_command_and_stays_as_it_is(var_lib: Path) -> None:
    assert install().returncode == 0
    assert not has_sender()
    assert not var_lib.exists()
    assert not Path("/etc/trex").exists()
    done = install("--sms")
    assert done.returncode == 0, done.stderr
    assert described(var_lib) == ("_trex-sms", "_trex-sms", 0o700)
    assert described(var_lib.parent) == ("root", "root", 0o755)
    assert described("/etc/trex/sms.toml") == ("root", "root", 0o600)
    entry = pwd.getpwnam("_trex-sms")
    assert 0 < entry.pw_uid < 1000
    assert (entry.pw_dir, entry.pw_shell) == ("/nonexistent", "/usr/sbin/nologin")
    Path("/etc/trex/sms.toml").write_text("# mine\n")
    Path("/etc/trex/phones").write_text("alice +33612345678\n")
    (var_lib / "counts").write_text("counted")
    var_lib.chmod(0o755)
    assert install("--sms").returncode == 0
    assert described(var_lib)[2] == 0o700
    assert pwd.getpwnam("_trex-sms").pw_uid == entry.pw_uid
    assert (var_lib / "counts").read_text() == "counted"
    assert Path("/etc/trex/sms.toml").read_text() == "# mine\n"
    assert Path("/etc/trex/phones").read_text() == "alice +33612345678\n"


def test_uninstall_keeps_counts_until_it_is_told_otherwise(var_lib: Path) -> None:
    no_service()
    install("--sms")
    (var_lib / "counts").write_text("counted")
    Path("/etc/trex/sms.toml").write_text('state = "x"\n')
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
    assert Path("/etc/trex/sms.toml").read_text() == 'state = "x"\n'


def test_uninstall_undoes_what_nobody_has_used(var_lib: Path) -> None:
    no_service()
    install("--sms")
    done = install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert "Left there" not in done.stdout
    assert not has_sender()
    assert not var_lib.parent.exists()
    assert not Path("/etc/trex").exists()


def test_an_account_that_was_made_by_hand_stays(var_lib: Path) -> None:
    no_service()
    subprocess.run(["useradd", "--system", "_trex-sms"], check=True)
    install()
    assert install("--uninstall").returncode == 0
    assert has_sender()


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


@pytest.mark.parametrize("words", [["--uninstall", "--sms"], ["--purge"], ["--sms", "--smss"]])
def test_words_that_do_not_go_together(usr_lib: None, words: list[str]) -> None:
    done = install(*words)
    assert done.returncode != 0
    assert not LIBRARY.exists()
    assert not has_sender()


def test_a_packager_s_tree_makes_no_account(place: Path) -> None:
    done = install("--sms", DESTDIR=str(place / "package-sms"))
    assert done.returncode != 0
    assert "--sms makes an account" in done.stderr
    assert not has_sender()
