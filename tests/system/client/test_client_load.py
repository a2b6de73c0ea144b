"""What `trex-ssh` and `trex-askpass` import: they start at each login, and imports are most of their time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.sandbox import MODULE, PROJECT

if TYPE_CHECKING:
    from tests.support.client import Client

# Of this package; the rest of an answer is gpg's work.
SSH = {
    "trex", "trex.cli", "trex.cli.client", "trex.cli.client.child", "trex.cli.client.connection",
    "trex.cli.client.handover", "trex.cli.client.launch", "trex.cli.client.openssh",
    "trex.cli.client.processes", "trex.cli.client.store", "trex.cli.client.words",
    "trex.cli.errors", "trex.cli.programs", "trex.cli.tell", "trex.errors",
}  # fmt: skip
ASKPASS = SSH - {"trex.cli.client.launch"} | {
    "trex.cli.client.answered", "trex.cli.client.answering", "trex.cli.client.armor",
    "trex.cli.client.askpass", "trex.cli.client.context", "trex.cli.client.keyed",
    "trex.cli.client.gpg", "trex.cli.client.hosts", "trex.cli.client.judge",
    "trex.cli.client.literal", "trex.cli.client.loginkeys", "trex.cli.client.message",
    "trex.cli.client.names", "trex.cli.client.packets",
    "trex.cli.client.pins", "trex.cli.client.runs", "trex.cli.client.services",
    "trex.cli.client.signature", "trex.cli.client.target",
    "trex.cli.client.waiting", "trex.login", "trex.login.challenge", "trex.openpgp", "trex.openpgp.hostkeys", "trex.openpgp.keyblock",
    "trex.openpgp.keylist", "trex.openpgp.prompt", "trex.openpgp.record", "trex.system",
    "trex.system.privilege", "trex.system.safefile",
}  # fmt: skip
# Of the standard library: small, or written in C. Others take 3 to 14 ms each.
SMALL = {
    "__future__", "__main__", "_abc", "_codecs", "_collections_abc", "_datetime", "_operator",
    "_sha2", "_sha256", "_signal", "_stat", "abc", "atexit", "binascii", "builtins", "datetime", "encodings.ascii",
    "errno", "fcntl", "genericpath", "math", "operator", "os", "os.path", "posixpath", "pwd", "select", "stat", "zlib",
}  # fmt: skip
SPY = """\
#!/usr/bin/python3 -BIS
import sys
before = set(sys.modules)
import atexit
sys.path.insert(0, {module!r})
atexit.register(lambda: open({report!r}, "w").write(" ".join(sorted(set(sys.modules) - before))))
from trex.cli.client.{name} import main
main()
"""


def test_an_answer_imports_no_more_than_it_needs(name: str, laptop: Client) -> None:
    """The module lists are held here: whoever adds to them makes every login slower."""
    bin_ = laptop.home / "bin"
    bin_.mkdir()
    laptop.account.own(bin_, 0o700)
    report = laptop.home / "loaded"
    spy = SPY.format(module=str(MODULE), report=str(report), name="askpass")
    laptop.account.write(spy, "bin/trex-askpass").chmod(0o700)
    start = SPY.format(module=str(MODULE), report="/dev/null", name="launch")
    laptop.account.write(start, "bin/trex-ssh").chmod(0o700)
    laptop.run(str(bin_ / "trex-ssh"), name, "true")  # which remembers the key
    done = laptop.run(str(bin_ / "trex-ssh"), name, "id", "-un")
    assert done.stdout == "alice\n", done.stderr
    loaded = set(report.read_text().split())
    assert {module for module in loaded if module.startswith("trex")} == ASKPASS
    assert loaded - ASKPASS - SMALL == set()


def test_trex_ssh_imports_no_more_than_it_needs(laptop: Client) -> None:
    program = (
        f"import sys; before = set(sys.modules); sys.path.insert(0, {str(MODULE)!r})\n"
        "import os; os.execve = lambda *_: print(' '.join(set(sys.modules) - before))\n"
        "sys.argv = ['/run/trex/client-bin/trex', 'ssh', 'x']; from trex.cli.start import main; main()"
    )
    done = laptop.run("/usr/bin/python3", "-BISc", program)
    loaded = set(done.stdout.split())
    assert {module for module in loaded if module.startswith("trex")} == SSH | {"trex.cli.start"}
    assert loaded - SSH - SMALL == {"trex.cli.start"}


def test_the_programs_start_without_site() -> None:
    """`site` takes as long as Python itself; none of the two needs what it finds."""
    for program in ("trex", "trex-ssh", "trex-askpass"):
        text = (PROJECT / "script" / program).read_text(encoding="utf-8")
        assert text.startswith("#!/usr/bin/python3 -IS\n"), program
