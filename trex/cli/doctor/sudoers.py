"""What /etc/sudoers sets for everybody, and its exceptions (sudoers(5))."""

from __future__ import annotations

import os
import re
from contextlib import suppress

SUDOERS = ("/etc/sudoers", "/etc/sudoers.d")
SERVICES = ("sudo", "sudo-i")
QUOTED = re.compile(r'"[^"]*"')
COMMENT = re.compile("(?<![:,!>@])#.*")  # `Defaults:#1000` names a uid
INCLUDE = re.compile(r'[ \t]*[@#]include(dir)?[ \t]+(?:"([^"]+)"|(\S+))')
MAX_FILES, MAX_SIZE = 128, 1 << 20  # sudo's own limit: 128 nested files
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
    """Return all lines, in the order in which sudo reads them.

    A file that does not include SUDOERS' directory is read as if it did at its end: a setting is
    rather found than overlooked.
    """
    file, directory = SUDOERS
    seen: list[str] = []
    lines = _read(file, seen)
    if not any(os.path.dirname(path) == directory for path in seen):
        lines += [line for path in _files_in(directory) for line in _read(path, seen)]
    return lines


def _read(path: str, seen: list[str]) -> list[str]:
    """Return a file's lines, with those of the files that it includes in their place."""
    lines: list[str] = []
    if path in seen or len(seen) >= MAX_FILES:
        return lines
    seen.append(path)
    with suppress(OSError), open(path, encoding="utf-8", errors="replace") as text:
        for line in text.read(MAX_SIZE).splitlines():
            found = INCLUDE.match(line)
            if not found:
                lines.append(line)
                continue
            named = (found[2] or found[3]).replace("%h", os.uname().nodename.partition(".")[0])
            named = os.path.join(os.path.dirname(path), named)
            for other in _files_in(named) if found[1] else [named]:
                lines += _read(other, seen)
    return lines


def _files_in(directory: str) -> list[str]:
    """Return the files of a directory; sudo ignores names with a dot, or with a ~ at the end."""
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    read = [name for name in names if "." not in name and not name.endswith("~")]
    return [os.path.join(directory, name) for name in read]
