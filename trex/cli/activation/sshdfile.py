"""The lines that sshd needs, in `/etc/ssh/sshd_config.d/01-trex.conf`, as README.md has them."""

from __future__ import annotations

from trex.cli.doctor.judging import PER_SOURCE, STARTUPS
from trex.cli.doctor.sshdfile import FILE

# What Trex cannot do without, whatever the file said before.
NEEDED = {
    "UsePAM": "yes",
    "KbdInteractiveAuthentication": "yes",
    "PasswordAuthentication": "no",
    "AuthenticationMethods": "publickey,keyboard-interactive:pam",
}
# What the administrator may know better: values that are there already stay.
ADVISED = {
    "LoginGraceTime": "600",
    "MaxStartups": STARTUPS,
    "PerSourceMaxStartups": str(PER_SOURCE),
}
COMMENT = "# Written by trex activate sshd; trex deactivate sshd takes it back."


def with_settings(text: str | None) -> str:
    """Return the file's text with every setting that is needed; `Match` blocks stay at its end."""
    if text is None:
        return "".join(f"{line}\n" for line in (COMMENT, *_said({**NEEDED, **ADVISED})))
    lines = text.split("\n")
    match = next((n for n, line in enumerate(lines) if _keyword(line) == "match"), len(lines))
    head, rest = lines[:match], lines[match:]
    values = {_keyword(line): _value(line) for line in head}
    wrong = {k: v for k, v in NEEDED.items() if values.get(k.lower(), "").lower() != v.lower()}
    lacking = wrong | {k: v for k, v in ADVISED.items() if k.lower() not in values}
    if not lacking:
        return text
    head = [line for line in head if _keyword(line) not in {name.lower() for name in wrong}]
    while head and not head[-1].strip():
        head.pop()
    return "\n".join([*head, COMMENT, *_said(lacking), *(rest or [""])])


def _said(settings: dict[str, str]) -> list[str]:
    return [f"{name} {value}" for name, value in settings.items()]


def _keyword(line: str) -> str:
    """Return a line's keyword in small letters, "" for a comment: sshd_config(5)."""
    words = line.strip().replace("=", " ", 1).split(None, 1)
    return words[0].lower() if words and not words[0].startswith("#") else ""


def _value(line: str) -> str:
    words = line.strip().replace("=", " ", 1).split(None, 1)
    return words[1].strip().strip('"') if len(words) > 1 else ""


PATH = FILE
