"""What the doctor prints as a fix, typed into a shell as it stands: the table's form, and the run.

Each case breaks a sound host in one way. The finding of that name has to be there, its `fix` is
run by bash, and afterwards it has to be gone. A fix that is by hand has a written reason.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.client import install_commands
from tests.support.examination import examine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

PLACES = re.compile(r"\b(FILE|FPR1|FPR2|KEY|NAME|NUMBER|TREX)\b")  # what a reader fills in
# What cannot be typed as it stands, wherever it is read.
UNTYPABLE = re.compile(r"docs/|README|(?<!TREX && )script/|(?<!\w)sudoedit|timedatectl set-ntp")


@dataclass
class Stage:
    """A sound host with a user, and whoever holds the secret keys."""

    user: Account
    holder: Holder
    keys: Keys
    place: Path
    fixture: Callable[[str], Any]

    def export(self, *names: str) -> str:
        """Write public keys where everybody can read them; return the path."""
        path = self.place / "handed-in.pgp"
        path.write_bytes(self.holder.public(*names))
        path.chmod(0o644)
        return str(path)


@dataclass(frozen=True)
class Case:
    """How to break the host, and what the reader of the fix knows: the words in capitals.

    `fill` has a word's value, or how it comes about on the stage. `by_hand` is the reason why no
    command can do it; `unrun` the reason why the command cannot be run here. One of both may
    stand alone, without a way to break the host.
    """

    check: str
    breaks: Callable[[Stage], object] | None = None
    words: tuple[str, ...] = ()
    fill: Mapping[str, str | Callable[[Stage], str]] = field(default_factory=dict)
    host: str = "host"
    by_hand: str = ""
    unrun: str = ""
    before: Callable[[Stage, str], object] | None = None  # with the fix: what is done elsewhere
    then: str = ""  # the finding of that name that is next to be fixed, as a regular expression

    @property
    def title(self) -> str:
        """The test's name."""
        return f"{self.check}-{self.breaks.__name__.strip('_') if self.breaks else 'reason'}"


def named(check: str, words: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the findings of that name."""
    report = examine(*words, with_host_keys=True, with_clock=True)
    return [finding for finding in report["findings"] if finding["check"] == check]


def filled(case: Case, stage: Stage, fix: str) -> str:
    """Return the fix as its reader types it."""
    for word, value in case.fill.items():
        text = value if isinstance(value, str) else value(stage)
        fix = text.join(re.split(rf"\b{word}\b", fix))
    command = fix.partition("  # ")[0]
    assert not PLACES.search(command), command
    return command


def type_in(command: str) -> None:
    """Have bash run a command in a root shell."""
    bin_directory = install_commands()
    done = subprocess.run(
        ["/bin/bash", "-c", command], capture_output=True, text=True, check=False, cwd="/",
        stdin=subprocess.DEVNULL, timeout=300, start_new_session=True,
        env={"PATH": f"{bin_directory}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root",
             "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout, done.stderr)


def see_it_gone(case: Case, stage: Stage) -> None:
    """Break the host, type the fix, and see that the finding has gone."""
    assert case.breaks
    case.breaks(stage)
    found = named(case.check, case.words)
    assert found, f"{case.check} was not found"
    for finding in found:
        assert not UNTYPABLE.search(finding["fix"]), finding["fix"]
    if case.by_hand or case.unrun:
        assert all(one["fix"].startswith("#") == bool(case.by_hand) for one in found), found
        return
    for finding in found:
        fix = finding["fix"]
        assert not fix.startswith("#"), fix
        if case.before:
            case.before(stage, fix)
        type_in(filled(case, stage, fix))
    told = [finding["what"] for finding in named(case.check, case.words)]
    if case.then:
        assert [bool(re.search(case.then, what)) for what in told] == [True], told
    else:
        assert told == []


def runnable(cases: list[Case]) -> list[Any]:
    """Return the cases with a way to break the host, for pytest.mark.parametrize."""
    import pytest

    return [pytest.param(case, id=case.title) for case in cases if case.breaks]
