"""What the documents say of arguments, verdicts and limits is what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support import tools
from trex import __version__
from trex.cli.delegate import END_SECONDS, FILE_SECONDS, KILL_SECONDS, WORK_SECONDS
from trex.cli.doctor.page import OPEN_SECONDS
from trex.cli.doctor.programs import BLIND
from trex.cli.doctor.sshd import PER_SOURCE, STARTUPS
from trex.cli.doctor.survey import MOST_SILENT
from trex.cli.doctor.survey import SECONDS as SURVEY_SECONDS
from trex.cli.main import COMMANDS, trex
from trex.cli.manual import _contexts, man_page
from trex.login.options import FLAGS, Options
from trex.login.pam import PAM_CODES
from trex.openpgp.record import MAX_RECIPIENTS, RECORD, WEB_QR_MODES
from trex.system.safefile import MAX_SIZE

ROOT = Path(__file__).resolve().parents[2]
IN_LETTERS = {3: "three", 7: "seven"}


IN_WORDS = {
    "run_as": "the user",
    "prompt": "the method's own",
    "web": "`on`",
    "web_bind": "all, IPv4 and IPv6",
    "web_ports": "any free one",
    "web_host": "the host's full name",
}


# Every page that people read.
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_table_of_arguments_has_every_argument_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)(=?)` \| (.*?) \|", text("docs/configuration.md"), re.MULTILINE)
    documented = {name: default for name, _, default in rows}
    assert list(documented) == list(Options.__annotations__)
    for name, default in documented.items():
        value = getattr(Options, name)
        in_words = IN_WORDS.get(name) or ("off" if name in FLAGS else f"`{value}`")
        assert default == in_words
    assert {name for name, equals, _ in rows if not equals} == set(FLAGS)


def test_every_code_that_a_login_can_end_with_is_in_the_table_of_verdicts() -> None:
    rows = re.findall(r"^\| .* \| `(PAM_\w+)` \|$", text("docs/configuration.md"), re.MULTILINE)
    assert set(rows) == set(PAM_CODES.values())


def test_the_record_s_form_is_given_as_the_messages_give_it() -> None:
    page = text("docs/auth_gpg.md")
    assert RECORD in page
    assert all(f"`{mode}`" in page for mode in WEB_QR_MODES)
    assert str(MAX_RECIPIENTS) in page
    assert f"{MAX_SIZE // 1024} KiB" in page


def test_the_values_for_sshd_are_those_that_the_doctor_advises() -> None:
    for name in ("README.md", "script/install"):
        assert f"    MaxStartups {STARTUPS}\n    PerSourceMaxStartups {PER_SOURCE}\n" in text(name)


def test_every_program_that_cannot_show_a_challenge_is_in_the_table() -> None:
    rows = re.findall(r"^\| (.*?) \| no \|", text("docs/programs.md"), re.MULTILINE)
    assert {name for row in rows for name in row.split(", ")} == set(BLIND)


def test_every_tool_on_its_page_is_run_by_a_test_or_the_page_says_that_it_is_not() -> None:
    tests = "".join(p.read_text("utf-8") for p in ROOT.glob("tests/system/client/test_tools*.py"))
    shown = {tool for tool in tools.SECTIONS if tools.blocks(tool)}
    run = {tool for tool in shown if re.search(rf"""(line|blocks)\(["']{tool}["']\)""", tests)}
    assert len(shown) > 15
    assert {tool for tool in shown - run if "\nNot tested: " not in tools.SECTIONS[tool]} == set()


def test_the_changelog_knows_this_version() -> None:
    assert f"[{__version__}]" in text("CHANGELOG.md")


def test_no_document_has_pip_install_into_debian_s_own_python() -> None:
    """PEP 668: Debian's pip refuses that since Debian 12 (`externally-managed-environment`)."""
    for document in PAGES:
        assert "`pip install" not in document.read_text(), document.name


def test_links_between_the_documents_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_headings_that_links_name_exist() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]*)\)", page.read_text("utf-8")):
            there = page if not target else page.parent / target
            headings = re.findall(r"^#+ (.*)$", there.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("name", ["respond", "ssh", "pin", "pins", "unpin"])
def test_the_client_s_page_has_the_help_as_the_command_gives_it(name: str) -> None:
    page = text("docs/client.md")
    arguments = [name, "--help"]
    shown = CliRunner().invoke(trex, arguments, prog_name="trex", terminal_width=98).output
    block = "".join(f"    {line}".rstrip() + "\n" for line in shown.splitlines())
    assert f"<!-- trex {name} --help -->\n\n{block}\n" in page


def shown_helps() -> dict[str, str]:
    """Return what the documents show as the output of `trex ... --help`, by command."""
    shown: dict[str, str] = {}
    for page in PAGES:
        blocks = re.findall(
            r"^    \$ trex ((?:\w+ )?)--help\n((?:    .*\n|\n)+)",
            page.read_text("utf-8"),
            re.MULTILINE,
        )
        shown |= {command.strip(): block for command, block in blocks}
    return shown


def test_the_documents_show_each_command_s_help() -> None:
    shown = shown_helps()
    assert set(shown) >= {"", "enroll", "show", "remove", "doctor", "try"}
    assert set(shown) <= {"", *COMMANDS}
    for command, block in shown.items():
        words = [command, "--help"] if command else ["--help"]
        told = CliRunner().invoke(trex, words, prog_name="trex", terminal_width=80)
        assert block.split() == told.output.split(), f"trex {command} --help"


def test_how_long_root_s_commands_wait_is_as_the_page_says() -> None:
    page = text("docs/security.md").partition("## What hangs")[2].partition("## The caller's")[0]
    for row in (
        f"| `remove`, and the record's file for `enroll` | {FILE_SECONDS:.0f} |",
        f"| `show` | {FILE_SECONDS:.0f}, and `gpg_timeout=` ({Options.gpg_timeout}) |",
        f"{OPEN_SECONDS:.0f} for a page, {FILE_SECONDS:.0f} for its certificate |",
        f"| {SURVEY_SECONDS:.0f} for each home that does not answer",
        f"| `enroll`, to import, to write, to ask a Web Key Directory | {WORK_SECONDS:.0f} |",
    ):
        assert row in page
    assert f"after {IN_LETTERS[MOST_SILENT]} such homes" in page
    assert f"Then {IN_LETTERS[int(END_SECONDS + KILL_SECONDS)]} seconds pass" in page


def test_a_man_page_offers_the_options_that_the_command_has() -> None:
    """`trex ssh -h` is ssh's own -h."""
    pages = {context.command_path: man_page(context) for context in _contexts()}
    helps = {name: ("\\-h, \\-\\-help" in page) for name, page in pages.items()}
    assert [name for name, with_h in helps.items() if not with_h] == ["trex ssh"]
    assert "\\-\\-help" in pages["trex ssh"]
