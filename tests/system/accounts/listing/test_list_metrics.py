"""`trex list --prometheus`: a text file that is whole at every moment."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.command import trex

if TYPE_CHECKING:
    from tests.support.keys import Holder
    from tests.support.sandbox import Account

# https://prometheus.io/docs/instrumenting/exposition_formats/
HELP = r"# HELP (trex_[a-z_]+) [^\n\\]+\n# TYPE \1 gauge\n"
SAMPLES = r'(?:\1(?:\{kind="[a-z_]+"\})? \d+\n)+'


def values(text: str) -> dict[str, int]:
    rows = [row.rpartition(" ") for row in text.splitlines() if not row.startswith("#")]
    return {name: int(value) for name, _, value in rows}


def test_the_metrics_count_what_the_list_shows(
    host: Account, bob: Account, carol: Account, holder: Holder
) -> None:
    soon = holder.make("metric@example.org", expire="10d")
    carol.import_keys(holder.public(soon))
    carol.write(f"{soon} trust nosign\n")
    done = trex("list", "--prometheus")
    assert done.returncode == 1
    assert re.fullmatch(f"(?:{HELP}{SAMPLES})+".replace(r"\1", r"(?:trex_[a-z_]+)"), done.stdout)
    for family in done.stdout.split("# HELP ")[1:]:
        assert re.fullmatch(HELP + SAMPLES, f"# HELP {family}"), family
    told = values(done.stdout)
    assert told["trex_accounts_enrolled"] == 2
    assert told["trex_accounts_not_enrolled"] == 1
    assert told["trex_accounts_expiring"] == 1
    assert told["trex_accounts_unusable"] == 0
    assert told['trex_orphans{kind="record"}'] == 0
    assert told["trex_list_status"] == 1
    assert told["trex_first_expiry_timestamp_seconds"] > 1_700_000_000
    for name in ("alice", "bob", "carol"):
        assert name not in done.stdout
    carol.write(f"{'C' * 40} trust nosign\n")
    told = values(trex("list", "--prometheus").stdout)
    assert (told["trex_accounts_unusable"], told["trex_list_status"]) == (1, 2)
    assert "trex_first_expiry_timestamp_seconds" not in told


def test_the_file_is_replaced_as_a_whole(host: Account, bob: Account, tmp_path: Path) -> None:
    """node_exporter reads what ends in .prom, at any moment."""
    directory = Path("/var/log/node-exporter")
    directory.mkdir()
    os.chown(directory, bob.uid, bob.gid)  # as Debian's package has it: not root's
    path = directory / "trex.prom"
    kept = Path("/var/log/kept")
    kept.write_text("kept")
    path.symlink_to(kept)
    done = trex("list", "--prometheus", str(path))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert [entry.name for entry in directory.iterdir()] == ["trex.prom"]
    assert kept.read_text() == "kept", "a link of that account's leads root nowhere"
    status = path.lstat()
    assert (stat.S_ISREG(status.st_mode), stat.S_IMODE(status.st_mode)) == (True, 0o644)
    assert values(path.read_text())["trex_accounts_enrolled"] == 1
    before = path.read_text()
    bob.write("x", "nothing")
    done = trex("list", "--prometheus", "/var/log/no-such/trex.prom")
    assert done.returncode == 3
    assert "install -d /var/log/no-such" in done.stderr
    done = trex("list", "--prometheus", "/var/log/node-exporter")
    assert done.returncode == 3
    assert path.read_text() == before
    assert {entry.name for entry in Path("/var/log").iterdir()} >= {"node-exporter", "kept"}
    assert not [entry for entry in Path("/var/log").iterdir() if ".new" in entry.name]
    subprocess.run(["rm", "-r", directory, kept], check=True)
