"""Each block of a page that is typed at a shell is run by a test, from the page, or it is said here why not."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
# What may stand before a program.
BEFORE = re.compile(r"^(?:\$ )?(?:(?:sudo |env |[A-Z_]+=(?:\"[^\"]*\"|\$\(.*?\)|\S+) )*)")
# First words that this machine may have as a program, and that are none where a page has them.
NO_PROGRAMS = {"file", "su", "key", "auth"}
# Programs that the machine of a test need not have.
PROGRAMS = {"trex", "trex-ssh", "sshd", "pipx", "for", "plink", "dbclient", "mosh", "autossh", "sshfs", "lftp",
            "ansible", "ansible-playbook", "sudo", "gpg", "ssh", "journalctl", "systemctl"}  # fmt: skip

CLIENT, INSTALL, SETUP = (f"tests/system/{name}/" for name in ("client", "install", "setup"))
TOOLS = f"{CLIENT}test_tools.py"
LISTED = "tests/system/accounts/listing/test_list_operations.py"
KEYS = f"{CLIENT}test_operations_of_keys.py"
LIVES = f"{INSTALL}test_page_lives.py"
PUBLISHED = f"{INSTALL}test_page_upgrade.py"
CODES = f"{INSTALL}test_page_codes.py"
HOME = f"{CLIENT}test_pages_at_home.py"
EXEMPTIONS = "tests/system/login/test_exemptions.py"
# Page and heading, and the tests that type the blocks below it, but for those in NOT_RUN.
RUN = {
    "README.md": {
        "Set up a server": "tests/system/activation/test_as_the_pages_say.py",
        "Enrol a user": KEYS,
        "Log in": HOME,
        "Central mode": f"{INSTALL}test_page_enrol.py",
    },
    "docs/client.md": {
        "trex ssh": HOME,
        "Names of a fleet": HOME,
        "A key on a card": f"{CLIENT}test_card_page.py",
        "Pins": HOME,
        "One key for both halves": f"{CLIENT}test_client_ssh.py",
        "Answering with gpg alone": HOME,
    },
    "docs/configuration.md": {"Signed challenges": PUBLISHED},
    "docs/grace.md": {"Set it up": "tests/system/accounts/test_grace_command.py"},
    "docs/installing.md": {"One file": HOME},
    "docs/operations.md": {
        "Switch it on": "tests/system/activation/test_as_the_pages_say.py",
        "Enrol many": f"{INSTALL}test_page_enrol.py",
        "Who is not enrolled yet": LISTED,
        "Machine accounts": "tests/system/login/test_machine_accounts.py",
        "Renew a key": KEYS,
        "A new laptop": KEYS,
        "A lost key": f"{SETUP}test_lost_key.py",
        "A stolen key": KEYS,
        "Somebody leaves": LIVES,
        "Rename an account": LIVES,
        "Restore a backup": LIVES,
        "Move to another host": LIVES,
        "Upgrade": PUBLISHED,
        "Uninstall": PUBLISHED,
        "Watch it": LISTED,
    },
    "docs/qr.md": {"Ask for it": f"{SETUP}test_page_modes.py"},
    "docs/recovery.md": {
        "Make the codes": f"{SETUP}test_recovery_command.py",
        "Central mode": f"{SETUP}test_lost_key.py",
    },
    "docs/sms.md": {"Try it, and begin anew": "tests/system/sms/test_sms_command.py"},
    "docs/stacks.md": {
        "Not in the LAN": EXEMPTIONS,
        "A break-glass account": EXEMPTIONS,
        "sudo with an ssh-agent": EXEMPTIONS,
        "Acknowledge it": EXEMPTIONS,
    },
    "docs/tools.md": {
        "Plain ssh": f"{CLIENT}test_tools_plain_ssh.py",
        "git": TOOLS, "rsync": TOOLS, "scp": TOOLS, "sftp": TOOLS, "sshfs": TOOLS, "mosh": TOOLS,
        "autossh": TOOLS, "lftp": TOOLS, "ProxyJump": TOOLS, "ControlMaster": TOOLS,
        "Ansible": f"{CLIENT}test_tools_ansible.py",
        "Ansible's become": f"{CLIENT}test_tools_ansible.py",
        "PuTTY": f"{CLIENT}test_tools_of_their_own.py",
        "Dropbear": f"{CLIENT}test_tools_of_their_own.py",
        "expect, and everything else": f"{CLIENT}test_tools_of_their_own.py",
    },
    "docs/two-people.md": {"Set it up": f"{SETUP}test_enroll_two_people.py"},
    "docs/totp.md": {
        "Setting up a user": f"{SETUP}test_totp_for_others.py {SETUP}test_totp_command.py",
        "The file": f"{SETUP}test_totp_central.py",
        "Rolling codes out": CODES,
        "Secrets that users cannot read": f"{SETUP}test_totp_central.py",
    },
    "docs/troubleshooting.md": {"Records, files and directories": f"{SETUP}test_page_modes.py"},
}  # fmt: skip
EXPERIMENT = "an experiment that takes minutes to hours; tests/system/proof runs a sample of it"
BUILT = "it builds what is released, in a clean Debian: script/release does so"
# Page and beginning of a block's first line, and why no test types it.
NOT_RUN = {
    ("CONTRIBUTING.md", "sudo script/bootstrap test"): "it is what the tests themselves are started with",
    ("CONTRIBUTING.md", "script/check"): "it is what the tests themselves are started with",
    ("CONTRIBUTING.md", "sudo /usr/bin/python3 -m pytest"): "it is what the tests themselves are started with",
    ("README.md", "$ ssh alice@server"): "shown for what it prints, which each test of a login compares",
    ("README.md", "sudo script/demo"): "tests/system/install/test_demo.py runs it with each option",
    ("README.md", "sudo script/bootstrap runtime"): "apt: debian/tests/checkout types both lines in a clean Debian",
    ("README.md", "sudo trex doctor"): "it asks this host's own journal; the tests of doctor and try have theirs",
    ("docs/attacks.md", "sudo python3 -m tests.proof."): EXPERIMENT,
    ("docs/attacks.md", "script/fuzz"): "script/test runs it for seconds where CI is set",
    ("docs/client.md", "trex copy-id"): "tests/system/client/test_copy_id.py, with hosts of its own",
    ("docs/client.md", "sudo trex enroll --central"): "docs/operations.md has it too, and that is run",
    ("docs/client.md", "$ trex respond"): "shown for what it prints; tests/system/client/test_client_respond.py",
    ("docs/client.md", "$ trex sudo whoami"): "shown for what it prints; tests/system/client/test_tools_sudo.py",
    ("docs/command.md", "$ sudo trex list"): "shown for what it prints, of hosts that are not there",
    ("docs/compatibility.md", "gpg --quick-generate-key"): "RSA keys take seconds to make; test_fips.py has one",
    ("docs/configuration.md", "sudo script/bootstrap native"): "apt; test_bootstrap.py with one that installs nothing",
    ("docs/configuration.md", "sudo SECURITY="): "the paths of a distribution that is not Debian; test_install.py",
    ("docs/configuration.md", "sudo sshd -t"): "it needs systemd; the lines above it are held by test_sshdfile.py",
    ("docs/configuration.md", "sudo cp contrib/fail2ban"): "it needs systemd; test_fail2ban.py takes the same files",
    ("docs/configuration.md", "trex enroll --central"): "docs/operations.md has it too, and that is run",
    ("docs/installing.md", "script/package"): BUILT,
    ("docs/installing.md", "sudo apt install"): "debian/tests installs the packages in clean Debians",
    ("docs/installing.md", "install -m 755 trex.pyz"): "tests/system/client/test_pyz.py, at a place of its own",
    ("docs/installing.md", "pipx install"): "it fetches from PyPI; test_libraries.py has what it brings",
    ("docs/page.md", "useradd"): "debian/sysusers.d makes the account; docs/totp.md's like it is run",
    ("docs/releasing.md", "script/release"): BUILT,
    ("docs/releasing.md", "git verify-tag"): BUILT,
    ("docs/releasing.md", "sudo script/screenshots"): "it takes pictures to look at; tests/unit/test_pictures.py has its parts",
    ("docs/releasing.md", "sudo apt install piuparts"): "it builds a Debian of its own, with packages of two versions",
    ("docs/releasing.md", "sudo apt install reprotest"): "it builds twice, and varies the machine's clock and kernel",
    ("docs/sms.md", "sudo script/install --sms"): "tests/system/install/test_install_sms.py",
    ("docs/sms.md", "sudo trex doctor --online"): "it asks gateways; test_doctor_gateways.py has one of its own",
    ("docs/tools.md", "trex setup"): "tests/support/session.py types it, with --yes",
    ("docs/tools.md", "gpgconf --list-dirs"): "test_tools_sudo.py does as much, with other paths",
    ("docs/tools.md", "trex ssh alice@server.example.org trex sudo"): "test_tools_sudo.py, with a port of its own",
    ("docs/two-people.md", "$ ssh root@server"): "shown for what it prints; test_two_people.py compares it",
    ("docs/troubleshooting.md", "journalctl"): "it asks this host's own journal",
}  # fmt: skip


class Block(NamedTuple):
    """A block that is typed: where it stands, and its lines."""

    page: str
    heading: str
    lines: list[str]

    @property
    def name(self) -> str:
        return f"{self.page}, {self.heading!r}: {self.lines[0]}"

    def reason(self) -> str:
        """Return why it is not run; "" if nothing is said."""
        found = [why for (page, start), why in NOT_RUN.items()
                 if page == self.page and self.lines[0].startswith(start)]  # fmt: skip
        return found[0] if found else ""

    def test(self) -> str:
        """Return the tests that run it; "" if there is none."""
        return "" if self.reason() else RUN.get(self.page, {}).get(self.heading, "")


def blocks() -> list[Block]:
    """Return all blocks of all pages, indented or fenced for a shell."""
    found = []
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        for section in re.split(r"^#+ ", page.read_text("utf-8"), flags=re.MULTILINE)[1:]:
            heading, _, text = section.partition("\n")
            shown = [
                one[1]
                for one in re.finditer(
                    r"(?<=\n\n)((?: {4}.*\n)(?:\n*(?: {4}.*\n))*)", f"\n{text}\n"
                )
            ]
            shown += re.findall(
                r"^```(?:sh|shell|bash|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE
            )
            found += [Block(name, heading, [line.strip() for line in one.splitlines() if line.strip()])
                      for one in shown if one.strip()]  # fmt: skip
    return found


def is_typed(block: Block) -> bool:
    """Return whether a block's first line begins with a program, and does not only show a help."""
    if block.lines[0].endswith("--help") or re.search(" [→/] ", block.lines[0]):
        return False
    words = BEFORE.sub("", block.lines[0]).split()
    word = words[0] if words else ""
    if word in NO_PROGRAMS:
        return False
    here = word.startswith("script/") and (ROOT / word).exists()
    return word in PROGRAMS or here or (word.isascii() and bool(shutil.which(word)))


def test_blocks_are_found() -> None:
    typed = [block for block in blocks() if is_typed(block)]
    assert len(typed) > 110
    assert len({block.page for block in typed}) > 12
    assert {"sudo trex confirm", "chmod go-w ~"} <= {block.lines[0] for block in typed}


def test_each_block_that_is_typed_is_run_or_it_is_said_why_not() -> None:
    """Name the test in RUN, or the reason in NOT_RUN."""
    left = [
        block.name for block in blocks() if is_typed(block) and not (block.test() or block.reason())
    ]
    assert left == []


def test_nothing_is_named_that_is_gone() -> None:
    typed = [block for block in blocks() if is_typed(block)]
    assert {(one.page, one.heading) for one in typed if one.test()} == {
        (page, heading) for page, headings in RUN.items() for heading in headings
    }
    unused = [start for page, start in NOT_RUN
              if not any(one.page == page and one.lines[0].startswith(start) for one in typed)]  # fmt: skip
    assert unused == []
    for why in NOT_RUN.values():
        for path in re.findall(r"\b(?:tests|script|debian)/[\w/.]*\w", why):
            assert (ROOT / path).exists(), path
        for name in re.findall(r"(?<!/)\btest_\w+\.py", why):
            assert list(ROOT.glob(f"tests/**/{name}")), name


def test_each_test_that_is_named_reads_the_page() -> None:
    """It, or what it has from tests/support, names the page and the heading."""
    for page, headings in RUN.items():
        for heading, test in [
            (head, one) for head, those in headings.items() for one in those.split()
        ]:
            text = (ROOT / test).read_text("utf-8")
            for module in re.findall(
                r"^from tests\.support(?:\.(\w+))? import (.*)$", text, re.MULTILINE
            ):
                for name in [module[0]] if module[0] else module[1].split(", "):
                    support = ROOT / f"tests/support/{name}.py"
                    text += support.read_text("utf-8") if support.exists() else ""
            assert page in text, f"{test}: {page}"
            assert heading in text, f"{test}: {page}, {heading}"
