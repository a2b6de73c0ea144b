"""Tables and pictures of what was measured, printed and written to docs/performance.md."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "performance.md"
BEGIN, END = "<!-- {}: begin -->\n", "<!-- {}: end -->\n"
VERSIONS = (
    ("Debian", ["cat", "/etc/debian_version"]),
    ("Python", ["/usr/bin/python3", "--version"]),
    ("GnuPG", ["/usr/bin/gpg", "--version"]),
    ("OpenSSH", ["/usr/sbin/sshd", "-V"]),
)


class Report:
    """What was measured of one part."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._pictures: list[tuple[str, str, Callable[[Axes], None]]] = []

    def table(self, title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table, and print it."""
        lines = [f"### {title}", "", _row(head), _row(["---"] * len(head)), *map(_row, rows), ""]
        self._add("\n".join(lines))

    def text(self, text: str) -> None:
        """Add a paragraph, and print it."""
        self._add(f"{text}\n")

    def picture(self, name: str, title: str, draw: Callable[[Axes], None]) -> None:
        """Add a plot, which is drawn where the report is written: `draw` gets its axes."""
        self._pictures.append((name, title, draw))
        self._parts.append(f"![{title}](performance-{name}.svg)\n")

    def _add(self, text: str) -> None:
        print(text)
        self._parts.append(text)

    def write(self, part: str) -> None:
        """Put everything between the part's marks in docs/performance.md, plots beside it."""
        for picture in self._pictures:
            _save(*picture)
        begin, end = BEGIN.format(part), END.format(part)
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
        _, _, after = rest.partition(end)
        measured = "\n".join([*self._parts, machine()])
        PAGE.write_text(f"{before}{begin}\n{measured}\n{end}{after}", encoding="utf-8")


def _save(name: str, title: str, draw: Callable[[Axes], None]) -> None:
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = name  # the same figures give the same file
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    draw(axes)
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(DOCS / f"performance-{name}.svg", metadata={"Date": None})
    plt.close(figure)


def machine() -> str:
    """Describe where this was measured: nothing that names the machine itself."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    facts = [f"{os.cpu_count()} processors ({cpu[1] if cpu else 'unknown'})"]
    for name, command in VERSIONS:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(r"\d+(\.\w+)+", done.stdout + done.stderr)
        facts.append(f"{name} {found[0] if found else '?'}")
    return "Measured on " + ", ".join(facts) + ".\n"


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Return the median, and the quartiles in brackets."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def quartile(values: Sequence[float]) -> float:
    """Return the first quartile, for ratios and limits: what else a machine does only adds."""
    return statistics.quantiles(values, n=4)[0]


def distribution(axes: Axes, figures: dict[str, list[float]], unit: str) -> None:
    """Draw how values are distributed: the share of rounds that took at most so long."""
    for name, values in figures.items():
        ordered = sorted(values)
        axes.plot(ordered, [(n + 1) / len(ordered) for n in range(len(ordered))], label=name)
    axes.set_xlabel(unit)
    axes.set_ylabel("share of rounds")
    axes.legend(fontsize="small", frameon=False)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
