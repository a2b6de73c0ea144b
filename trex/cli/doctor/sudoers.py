"""What /etc/sudoers sets for everybody, and its exceptions (sudoers(5))."""

from __future__ import annotations

import os
import re
from contextlib import suppress

SUDOERS = ("/etc/sudoers", "/etc/sudoers.d")
SERVICES = ("sudo", "sudo-i")
QUOTED = re.compile(r'"[^"]*"')
COMMENT = re.compile("(?<![:,!>@])#.*")  # `Defaults:#1000` names a uid
Setting = tuple[str, str]  # a scope, `Defaults` or `Defaults:alice`; a setting, `!pam_silent`


def can_be_read() -> bool:
    """Return whether the caller may read /etc/sudoers."""
    return os.access(SUDOERS[0], os.R_OK)


def has_secure_path() -> bool:
    """Return whether sudo sets PATH for everybody, without exception; the last line decides."""
    said = [(scope, text) for scope, text in _settings() if _name(text) == "secure_path"]
    for_all = [text for scope, text in said if scope == "Defaults"]
    excepted = [scope for scope, text in said if scope != "Defaults" and text.startswith("!")]
    return bool(for_all) and not for_all[-1].startswith("!") and not excepted


def hides_prompts() -> bool:
    """Return whether sudo replaces PAM's prompts by its own, for any user."""
    said = [(scope, text) for scope, text in _settings() if _name(text) == "passprompt_override"]
    for_all = [text for scope, text in said if scope == "Defaults"]
    some = [scope for scope, text in said if scope != "Defaults" and not text.startswith("!")]
    return bool(some) or (bool(for_all) and not for_all[-1].startswith("!"))


def _name(setting: str) -> str:
    return re.split(r"[\s=+-]", setting.lstrip("! \t"), maxsplit=1)[0]


def _settings() -> list[Setting]:
    """Return each setting of each `Defaults`, in order."""
    found = []
    for line in "\n".join(_lines()).replace("\\\n", " ").splitlines():
        words = COMMENT.sub("", QUOTED.sub('""', line)).split(maxsplit=1)
        if len(words) > 1 and words[0].startswith("Defaults"):
            found += [(words[0], setting.strip()) for setting in words[1].split(",")]
    return found


def _lines() -> list[str]:
    """Return all lines; sudo ignores file names with a dot, or with a ~ at the end."""
    file, directory = SUDOERS
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    read = [name for name in names if "." not in name and not name.endswith("~")]
    lines: list[str] = []
    for path in [file, *(os.path.join(directory, name) for name in read)]:
        with suppress(OSError), open(path, encoding="utf-8", errors="replace") as text:
            lines += text.read().splitlines()
    return lines
