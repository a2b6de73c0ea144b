"""One finding, and what it means for the exit status."""

from __future__ import annotations

from dataclasses import dataclass

# ERROR: a login would fail, or somebody could get in without a right response.
# NOTE: something was not checked, or is good to know; nothing is wrong.
ERROR, WARNING, NOTE = "error", "warning", "note"
STATUS = {NOTE: 0, WARNING: 1, ERROR: 2}


@dataclass(frozen=True)
class Finding:
    """What was found, why it matters, and how to fix it.

    `check` is a name for programs, `subject` the user it is about, "" for the whole host. `fix` is
    for bash, as trex.cli.doctor.remedy has it. `line` is the text of the configuration that it is
    about: where there is one, it is acknowledged for this text alone.
    """

    check: str
    severity: str
    what: str
    why: str
    fix: str
    subject: str = ""
    line: str = ""

    @property
    def is_by_hand(self) -> bool:
        """Return whether no command fixes it: then `fix` is a comment."""
        return self.fix.startswith("#")


def status_of(findings: list[Finding]) -> int:
    """Return the exit status: 0, 1 for warnings, 2 for an error."""
    return max((STATUS[finding.severity] for finding in findings), default=0)
