"""What script/install, or pip on a client, brings for the `trex` command."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.installation import LIBRARY, install

if TYPE_CHECKING:
    from tests.support.sandbox import Account


def test_the_command_comes_and_goes_with_the_module(usr: None, alice: Account) -> None:
    install()
    shown = alice.run("trex", "show").decode()
    assert "Can answer: Test Key <cv25519@example.org>" in shown
    for name in commands():
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


def commands() -> list[str]:
    """Return the commands that the help lists."""
    text = subprocess.run(["trex", "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  (\w+)  ", text.partition("Commands:")[2], re.MULTILINE)


def test_a_trex_that_is_not_ours_is_left_alone(usr: None) -> None:
    foreign = Path("/usr/bin/trex")
    foreign.write_text("#!/bin/sh\n")
    done = install()
    assert done.returncode != 0
    assert "/usr/bin/trex is there already" in done.stderr
    assert not LIBRARY.exists()
    install("--uninstall", "--force")
    assert foreign.read_text() == "#!/bin/sh\n"


def test_bash_completes(usr: None) -> None:
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
def test_the_other_shells_completions(usr: None, shell: str) -> None:
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
        sandbox.PROJECT, source, ignore=shutil.ignore_patterns(".git", ".venv", "build", "*.pyc")
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
