"""The doctor's report, for people and for programs, and what is left out of it by intention."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING

from trex.cli.acknowledged import FILE, Ignored, add_ignored, read_acknowledged
from trex.cli.acknowledged import AcknowledgementError as BadFile
from trex.cli.doctor.finding import ERROR, NOTE, STATUS, Finding, status_of
from trex.cli.doctor.remedy import by_hand
from trex.cli.errors import CommandError
from trex.cli.terminal import answer
from trex.errors import one_line

if TYPE_CHECKING:
    Left = tuple[Finding, Ignored]

COLOURS = {ERROR: "red", NOTE: "cyan"}
ROOT_SHELL = 'What stands behind "fix:" is for a root shell; behind # it is for you to read.'
LISTED = "trex doctor --json"


class Report:
    """What is reported: `findings`, and `ignored`, each of which has its entry in the file."""

    def __init__(self, found: list[Finding]) -> None:
        self.findings: list[Finding] = []
        self.ignored: list[Left] = []
        try:
            known = read_acknowledged()
        except BadFile as error:
            why = "Nothing that it says counts: all findings are here."
            fix = error.hint if error.is_unsafe else by_hand("correct what the message says")
            self.findings = [Finding("doctor-file", ERROR, str(error), why, fix), *found]
            return
        for finding in found:
            entry = known.why_ignored(finding.check, finding.subject, finding.line)
            if entry:
                self.ignored.append((finding, entry))
            else:
                self.findings.append(finding)

    @property
    def status(self) -> int:
        """The exit status, which the ignored findings do not change."""
        return status_of(self.findings)

    def write(self, service: str, doors: list[tuple[str, str]]) -> None:
        """Print for people which door each line has, and the findings."""
        for where, door in doors:
            answer(f"{one_line(where)}: {one_line(service)} asks Trex through {door}")
        print_findings(self.findings, self.ignored)

    def write_json(self, service: str, doors: list[tuple[str, str]]) -> None:
        """Print an object for programs."""
        used = [{"where": where, "door": door} for where, door in doors]
        told = {
            "service": service,
            "lines": used,
            "status": self.status,
            "findings": [dataclasses.asdict(finding) for finding in self.findings],
            "ignored": [
                {**dataclasses.asdict(finding), "reason": entry.reason}
                for finding, entry in self.ignored
            ],
        }
        answer(json.dumps(told, indent=2))


def print_findings(findings: list[Finding], ignored: list[Left] | None = None) -> None:
    """Print findings for people, and which are left out for which reason."""
    for finding in findings:
        what = f"{finding.severity}: {one_line(finding.what)}"
        answer(what, COLOURS.get(finding.severity, "yellow"))
        answer(f"  why: {one_line(finding.why)}\n  fix: {one_line(finding.fix)}")
    if ignored:
        count = f"{len(ignored)} finding{'' if len(ignored) == 1 else 's'}"
        answer(f"note: {count} left out, as {FILE} has it", COLOURS[NOTE])
        for finding, entry in ignored:
            about = f"{finding.check} ({finding.severity}): {one_line(finding.what)}"
            answer(f"  {about}\n    reason: {one_line(entry.reason)}")
    if status_of(findings) == 0:
        answer("Nothing wrong was found." if findings or ignored else "Nothing was found.")
    elif os.geteuid() == 0 and not all(finding.is_by_hand for finding in findings):
        answer(ROOT_SHELL)


def acknowledge(checks: tuple[str, ...], reason: str, found: list[Finding], *, whose: bool) -> None:
    """Write entries for these checks, each of which has to be among the findings.

    With `whose`, an entry is for the users that the findings are about, else for all.
    Raises CommandError with nothing written.
    """
    for check in checks:
        if check not in [finding.check for finding in found]:
            raise _refusal(f'expected the name of a finding of this host, found "{check}"', LISTED)
    entries = [
        Ignored(finding.check, reason, finding.subject if whose else "", finding.line)
        for finding in found
        if finding.check in checks
    ]
    add_ignored(list(dict.fromkeys(entries)))


def check_words(checks: tuple[str, ...], reason: str) -> None:
    """Check what is asked for, before the host is. Raises CommandError."""
    if bool(checks) != bool(reason.strip()):
        raise _refusal(
            "--ignore and --reason go together", 'trex doctor --ignore CHECK --reason "..."'
        )
    if not reason.isprintable():
        raise _refusal("--reason: expected one line of text, found another", "")
    if checks and os.geteuid() != 0:
        raise _refusal(f"only root can write {FILE}", "sudo trex doctor --ignore ...")


def _refusal(message: str, hint: str) -> CommandError:
    error = CommandError(message, hint)
    error.exit_code = STATUS[ERROR]  # 1 would mean only warnings
    return error
