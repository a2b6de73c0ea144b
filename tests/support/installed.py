"""The sandbox on a host where Trex is installed: nothing of that is to be seen in it.

What tests make would be there already, or be configured otherwise: accounts, commands, counts of
messages, PAM services, sshd. Trex may be there whole or in part, by script/install, pip or the
README's lines.
"""

from __future__ import annotations

import glob
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Mount = Callable[..., None]

# Each of these directories gets an upper layer if one of the files is below it.
OURS = {
    "/usr/lib": ("trex-pam", "security/pam_trex*", "*/security/pam_trex*"),
    "/usr/bin": ("trex", "trex-ssh", "trex-askpass", "trex-sudo-askpass"),
    "/usr/share": (
        "bash-completion/completions/trex", "bash-completion/completions/trex-ssh", "zsh/vendor-completions/_trex",
        "fish/vendor_completions.d/trex.fish", "fish/vendor_completions.d/trex-ssh.fish",
        "man/man1/trex*",
    ),
    "/usr/local": ("bin/trex", "bin/trex-ssh", "bin/trex-askpass", "bin/trex-sudo-askpass", "share/man/man1/trex*"),
    "/var/lib": ("trex",),
}  # fmt: skip
# /etc is the sandbox's own.
SETTINGS = ("trex", "ssh/sshd_config.d/*", "ssh/ssh_config.d/*")
SSHD, DEBIAN_S_SSHD = Path("/etc/ssh/sshd_config"), Path("/usr/share/openssh/sshd_config")
ACCOUNT = re.compile(r"^(_trex[^:]*):", re.MULTILINE)
RULE = re.compile(r"^[^#\n]*pam_trex(_path)?\.(py|so).*\n?", re.MULTILINE)

# What another overlay over such a directory has to name as its lower layers: the kernel stacks no
# more than two overlays, and a test may need the second.
LOWER: dict[Path, str] = {}


def hide(layers: Path, mount: Mount) -> None:
    """Take what is installed out of sight, by overlays below `layers`. /etc has to be a copy."""
    for directory, patterns in OURS.items():
        if found := _found(directory, patterns):
            _cover(Path(directory), layers, mount)
            _remove(found)
    _remove(_found("/etc", SETTINGS))
    if DEBIAN_S_SSHD.exists():
        shutil.copy(DEBIAN_S_SSHD, SSHD)
    for name in ACCOUNT.findall(Path("/etc/passwd").read_text(encoding="utf-8")):
        subprocess.run(["userdel", "--force", name], check=True, capture_output=True)
    for service in filter(Path.is_file, Path("/etc/pam.d").iterdir()):
        text = service.read_text(encoding="utf-8")
        if RULE.search(text):
            service.write_text(RULE.sub("", text), encoding="utf-8")


def _found(directory: str, patterns: tuple[str, ...]) -> list[Path]:
    # Not by Path.glob, which leaves out links that lead nowhere.
    return [Path(path) for pattern in patterns for path in glob.glob(f"{directory}/{pattern}")]


def _cover(directory: Path, layers: Path, mount: Mount) -> None:
    layer = {
        name: layers / directory.relative_to("/") / name for name in ("lower", "upper", "work")
    }
    for path in layer.values():
        path.mkdir(parents=True)
    mount("--bind", directory, layer["lower"])
    options = ",".join(f"{name}dir={path}" for name, path in layer.items())
    mount("-t", "overlay", "trex", "-o", options, directory)
    LOWER[directory] = f"{layer['upper']}:{layer['lower']}"


def _remove(paths: list[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
