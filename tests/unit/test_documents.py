"""What the documents say of arguments, verdicts, limits, commands and files is what the code has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.support import tools
from trex import __version__
from trex.cli.accounts.gathering import CENTRAL_SECONDS, CHUNK, HOMES_SECONDS
from trex.cli.accounts.verdicts import SECONDS as LOG_SECONDS
from trex.cli.delegate import END_SECONDS, FILE_SECONDS, KILL_SECONDS, WORK_SECONDS
from trex.cli.doctor.asking import SECONDS as MODULES_SECONDS
from trex.cli.doctor.judging import PER_SOURCE, STARTUPS
from trex.cli.doctor.page import OPEN_SECONDS
from trex.cli.doctor.programs import BLIND
from trex.cli.doctor.survey import MOST_SILENT
from trex.cli.doctor.survey import SECONDS as SURVEY_SECONDS
from trex.cli.main import COMMANDS, trex
from trex.cli.manpage import contexts, man_page
from trex.errors import OptionError
from trex.login.mistyped import ELSEWHERE
from trex.login.options import FLAGS, METHODS, Options, parse_options
from trex.login.pam import FINAL, PAM_CODES
from trex.openpgp.record import MAX_RECIPIENTS, QR_MODES, RECORD
from trex.sms.send import GATEWAYS
from trex.sms.settings import KINDS
from trex.system.safefile import MAX_SIZE

ROOT = Path(__file__).resolve().parents[2]
IN_LETTERS = {3: "three", 7: "seven"}


IN_WORDS = {
    "run_as": "the user",
    "prompt": "the method's own",
    "host_keys": "`/etc/ssh/ssh_host_*_key.pub`",
    "qr_size": "`80x50`",
    "web": "`on`",
    "web_bind": "all, IPv4 and IPv6",
    "web_ports": "any free one",
    "web_host": "the host's full name",
}


SHORT = 9  # words of a sentence that says something

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
    assert set(rows) == {*PAM_CODES.values(), FINAL}


def test_the_record_s_form_is_given_as_the_messages_give_it() -> None:
    page = text("docs/auth_gpg.md")
    assert RECORD in page
    assert all(f"`{mode}`" in page for mode in QR_MODES)
    assert str(MAX_RECIPIENTS) in page
    assert f"{MAX_SIZE // 1024} KiB" in page


def test_the_values_for_sshd_are_those_that_the_doctor_advises() -> None:
    for name in ("docs/configuration.md", "script/install"):
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


@pytest.mark.parametrize(
    "name",
    [
        "respond",
        "ssh",
        "sudo",
        "pin",
        "pins",
        "unpin",
        "name",
        "names",
        "unname",
        "setup",
        "keygen",
        "renew",
        "copy-id",
    ],
)
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
    assert set(shown) >= {"", "enroll", "show", "remove", "revoke", "doctor", "try"}
    assert set(shown) <= {"", *COMMANDS}
    for command, block in shown.items():
        words = [command, "--help"] if command else ["--help"]
        told = CliRunner().invoke(trex, words, prog_name="trex", terminal_width=80)
        assert block.split() == told.output.split(), f"trex {command} --help"


def test_the_page_of_commands_has_or_names_each() -> None:
    page = text("docs/command.md")
    told = set(re.findall(r"`(?:trex )?([a-z-]+)`|^### trex ([a-z]+)$", page, re.MULTILINE))
    assert set(COMMANDS) - {name for pair in told for name in pair} == set()


def test_how_long_root_s_commands_wait_is_as_the_page_says() -> None:
    page = text("docs/security.md").partition("## What hangs")[2].partition("## The caller's")[0]
    for row in (
        f"| `remove`, and the record's file for `enroll` | {FILE_SECONDS:.0f} |",
        f"| `show` | {FILE_SECONDS:.0f}, and `gpg_timeout=` ({Options.gpg_timeout}) |",
        f"{OPEN_SECONDS:.0f} for a page, {FILE_SECONDS:.0f} for its certificate |",
        f"| {SURVEY_SECONDS:.0f} for each home that does not answer",
        f"{FILE_SECONDS:.0f} for SSH keys, {FILE_SECONDS:.0f} for a directory for chroot;",
        f"| `doctor`, for what other PAM modules say | {MODULES_SECONDS:.0f} for each phase",
        f"then {WORK_SECONDS:.0f} for {CHUNK} homes, where that fails",
        f"{FILE_SECONDS + 2 * Options.gpg_timeout:.0f} for each of them, and {HOMES_SECONDS} for",
        f"; {CENTRAL_SECONDS} for a central directory",
        f"{LOG_SECONDS:.0f} for the journal |",
        f"| `enroll`, to import, to write, to ask a Web Key Directory | {WORK_SECONDS:.0f} |",
    ):
        assert row in page
    assert f"after {IN_LETTERS[MOST_SILENT]} such homes" in page
    assert f"Then {IN_LETTERS[int(END_SECONDS + KILL_SECONDS)]} seconds pass" in page


def test_a_man_page_offers_the_options_that_the_command_has() -> None:
    """`trex ssh -h` is ssh's own -h, and `trex sudo -h` sudo's."""
    pages = {context.command_path: man_page(context) for context in contexts()}
    helps = {name: ("\\-h, \\-\\-help" in page) for name, page in pages.items()}
    assert [name for name, with_h in helps.items() if not with_h] == ["trex ssh", "trex sudo"]
    assert "\\-\\-help" in pages["trex ssh"]


def test_a_man_page_of_several_commands_has_these_with_their_options_and_no_others() -> None:
    for context in contexts():
        if isinstance(context.command, click.Group) and context.parent:
            page = man_page(context)
            for name, command in context.command.commands.items():
                assert f".SS {context.command_path} {name} " in page
                for option in command.params:
                    assert option.opts[0].replace("-", "\\-") in page
            assert "\n.B copy\\-id\n" not in page, "a command of trex itself"


def test_no_short_help_is_cut_off_in_a_list_of_commands() -> None:
    for context in contexts():
        if isinstance(context.command, click.Group):
            told = context.command.get_help(click.Context(context.command, terminal_width=80))
            assert "..." not in told.partition("Commands:")[2].partition("Examples:")[0]


def test_the_readme_is_short_and_its_contents_are_its_headings() -> None:
    page = text("README.md")
    assert len(page.encode()) < 14_000
    contents = re.findall(r"^- \[(.*)\]\(#.*\)$", page, re.MULTILINE)
    assert [*contents, "Licence"] == re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert not re.search(r"^\|", page, re.MULTILINE)  # tables have their own page, once


def test_every_page_is_in_the_index_which_the_readme_names() -> None:
    index = ROOT / "docs/README.md"
    targets = re.findall(r"\]\(([^)#\s]+)", index.read_text("utf-8"))
    listed = {(index.parent / target).resolve() for target in targets}
    assert [page.name for page in PAGES if page not in listed | {index}] == []
    assert "](docs/README.md)" in text("README.md").partition("## All documents")[2]
    assert "](SECURITY.md)" in text("README.md")


def test_no_sentence_is_on_two_pages() -> None:
    """Each fact has one page, and others have a link to it. Tables and blocks may have the same words."""
    places: dict[str, set[str]] = {}
    for page in set(PAGES) - {ROOT / "CHANGELOG.md"}:
        prose = re.sub(
            r"^(?:    |\||#).*$|<!--.*?-->|\]\([^)]*\)|[*\[\]]",
            "",
            page.read_text("utf-8"),
            flags=re.MULTILINE,
        )
        for paragraph in re.split(r"\n\s*\n|^- ", prose, flags=re.MULTILINE):
            for sentence in re.split(r"(?<=[.:?])\s", paragraph):
                if len(words := sentence.split()) >= SHORT:
                    places.setdefault(" ".join(words), set()).add(page.name)
    assert len(places) > 1000
    assert {sentence: there for sentence, there in places.items() if len(there) > 1} == {}


def test_su_and_sudo_are_never_shown_with_pam_python() -> None:
    for page in PAGES:
        for service in ("su", "sudo", "sudo-i", "common-auth"):
            for part in page.read_text("utf-8").split(f"`/etc/pam.d/{service}`")[1:]:
                shown = re.search(r"^    auth .*", part, re.MULTILINE)
                assert shown is None or "pam_trex.so" in shown[0], f"{page.name}: {service}"


def test_a_key_of_somebody_else_s_is_handed_over_and_not_named() -> None:
    """It is read as that user, or as the account of central mode: in a home neither finds it."""
    places = [*PAGES, *(ROOT / "trex").rglob("*.py")]
    for page in places:
        for command in re.findall(r"\btrex enroll .*", page.read_text("utf-8")):
            if "--user" in command and "--key" in command.split():
                assert "--key - <" in command, f"{page.name}: {command}"


def test_each_line_for_a_pam_service_has_arguments_that_the_module_takes() -> None:
    line = re.compile(
        r"^    auth .*?(?:pam_python\.so pam_trex\.py|pam_trex\.so)\b(.*?)(?:  #.*)?$", re.MULTILINE
    )
    lines = [found for page in PAGES for found in line.findall(page.read_text("utf-8"))]
    assert len(lines) > 15
    for line in lines:
        parse_options([one or more for one, more in re.findall(r"\[(.*?)\]|(\S+)", line)])


def commands() -> list[tuple[str, list[str]]]:
    """Return each run of `trex` that a document shows, with the page's name, as words."""
    found = []
    for page in PAGES:
        content = page.read_text("utf-8")
        shown = re.findall(
            r"^    (?:\$ )?(?:sudo )?(trex [a-z].*?)(?:  .*)?$", content, re.MULTILINE
        )
        inline = re.findall(r"`(?:sudo )?(trex [a-z][^`]*)`", content)
        for line in [*shown, *(" ".join(text.split()) for text in inline)]:
            words = re.split(r"[;|<>]", line.replace("'", ""), maxsplit=1)[0]
            found.append((page.name, shlex.split(words)[1:]))
    return found


def command_of(words: list[str]) -> click.Command:
    """Return the command that the words name: `totp enroll` is one. Raises KeyError."""
    command: click.Command = trex
    context = click.Context(trex)
    for word in words:
        inner = command.get_command(context, word) if isinstance(command, click.Group) else None
        if inner is None:
            if command is trex:
                raise KeyError(word)
            break
        command = inner
    return command


def test_each_command_that_is_shown_exists_and_takes_its_options() -> None:
    shown = commands()
    assert len(shown) > 60
    for page, words in shown:
        command = command_of(words)
        if words[0] == "ssh":  # its options are ssh's
            continue
        known = {
            name for option in command.params for name in (*option.opts, *option.secondary_opts)
        }
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given <= known | {"--help", "-h"}, f"{page}: trex {' '.join(words)}"


def test_each_script_that_is_shown_exists_and_takes_its_options() -> None:
    shown = [
        (page.name, *run)
        for page in PAGES
        for run in re.findall(r"\b(script/[\w-]+)((?: --[a-z]+)*)", page.read_text("utf-8"))
    ]
    assert len(shown) > 30
    for page, script, options in shown:
        assert (ROOT / script).is_file(), f"{page}: {script}"
        assert all(one in text(script) for one in options.split()), f"{page}: {script}{options}"


def test_the_paths_that_script_install_takes_are_the_same_on_the_page_and_in_its_help() -> None:
    script, page = text("script/install"), text("docs/configuration.md")
    rows = re.findall(r"^  '([A-Z]+)\|(.*?)\|(.*?)'$", script, re.MULTILINE)
    assert len(rows) == 4
    section = page.partition("\n### Without libpam-python\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^- `([A-Z]+)`: ", section, re.MULTILINE)) == {name for name, *_ in rows}
    for name, file, words in rows:
        assert f"\n#   {name}=/" in script
        found = re.findall(rf'^{re.escape(words)}"(/[^"]*)"', text(file), re.MULTILINE)
        assert len(found) == 1, f"{file} names {name}"
        assert name == "SECURITY" or f"`{found[0]}`" in section


def test_each_file_of_the_project_that_is_named_exists() -> None:
    """Where a path begins with one of its folders."""
    folders = "trex|tests|docs|script|fixtures|native|fuzz|benchmarks"
    named = {
        (page.name, path.rstrip("/."))
        for page in PAGES
        for path in re.findall(
            rf"[`\s]((?:{folders})/[\w./-]*\w/?)(?=[`:\s])", page.read_text("utf-8")
        )
    }
    assert len(named) > 100
    assert [one for one in sorted(named) if not (ROOT / one[1]).exists()] == []


def is_in_the_code(name: str) -> bool:
    """Return whether `trex.room.module`, or that with what it defines, is there."""
    words = name.split(".")
    for count in range(len(words), 1, -1):
        path = ROOT.joinpath(*words[:count])
        if path.is_dir() or path.with_suffix(".py").exists():
            inner = words[count:]
            code = "" if path.is_dir() else path.with_suffix(".py").read_text("utf-8")
            return all(
                re.search(rf"^ *((def|class) {one}\b|{one}\b.* = )", code, re.MULTILINE)
                for one in inner
            )
    return False


def test_each_module_that_is_named_exists_with_what_is_named_in_it() -> None:
    rooms = "|".join(path.stem for path in ROOT.glob("trex/[a-z]*"))
    found = {
        name
        for page in PAGES
        for name in re.findall(rf"\btrex\.(?:{rooms})\b(?:\.\w+)*", page.read_text("utf-8"))
    }
    assert len(found) > 100
    assert [name for name in sorted(found) if not is_in_the_code(name)] == []
    assert not is_in_the_code("trex.login.pamm")
    assert not is_in_the_code("trex.login.pam.authenticated")


def test_each_method_of_a_class_that_the_page_of_the_rooms_names_exists() -> None:
    code = "".join(path.read_text("utf-8") for path in ROOT.glob("trex/**/*.py"))
    named = set(re.findall(r"\b([A-Z]\w*[a-z])\.([a-z_]+)\b", text("docs/architecture.md")))
    assert len(named) > 5
    for owner, name in named:
        [body] = re.findall(rf"^class {owner}\b.*\n((?:    .*\n|\n)+)", code, re.MULTILINE)
        assert re.search(rf"^    def {name}\(", body, re.MULTILINE), f"{owner}.{name}"


def test_the_examples_for_contributors_are_the_code_as_it_is() -> None:
    examples = re.findall(r"```python\n(.*?)```", text("CONTRIBUTING.md"), re.DOTALL)
    code = [path.read_text("utf-8") for path in ROOT.glob("trex/**/*.py")]
    assert len(examples) == 3
    assert [example for example in examples if not any(example in one for one in code)] == []


def test_what_contributors_are_told_to_extend_is_there() -> None:
    page = text("CONTRIBUTING.md")
    table = page.partition("| what you add |")[2].partition("\n\n")[0]
    named = [
        (name, path)
        for names, path in re.findall(r"((?:`[A-Z]\w+`(?:, | and )?)+) of `([\w/]+\.py)`", table)
        for name in re.findall(r"`(\w+)`", names)
    ]
    assert len(named) >= 7
    for name, path in named:
        assert re.search(rf"^(class )?{name}\b", text(path), re.MULTILINE), f"{path}: {name}"
    [module] = re.findall(r"tests\.proof\.mutants --only ([\w/]+)", page)
    assert f'    "{module}": (' in text("tests/proof/mutants.py")
    [path, word] = re.search(r"pytest (tests/\S+) -k (\w+)", page).groups()  # type: ignore[union-attr]
    assert re.search(rf"def test_\w*{word}", text(path))


def test_shellcheck_reads_every_script_of_a_shell() -> None:
    scripts = {
        path.relative_to(ROOT).as_posix()
        for path in [*ROOT.glob("script/*"), *ROOT.glob(".ci/*")]
        if path.is_file()
        and re.match(r"#!/bin/(ba)?sh|# shellcheck shell", path.read_text("utf-8"))
    }
    [listed] = re.findall(
        r"shellcheck --external-sources script/\{(.*)\} (.*)", text("script/common.sh")
    )
    assert {*(f"script/{name}" for name in listed[0].split(",")), listed[1]} == scripts
    for lint in ("lint_shell", "lint_c"):
        assert all(lint in text(f"script/{name}") for name in ("check", "test"))


def test_each_program_of_python_s_that_is_shown_exists_and_takes_its_options() -> None:
    shown = [
        run
        for page in PAGES
        for run in re.findall(
            r"python3 -m ((?:tests|fuzz|benchmarks)[\w.]*)([^\n`]*)", page.read_text("utf-8")
        )
    ]
    assert len(shown) > 5
    for module, rest in shown:
        path = module.replace(".", "/")
        code = text(f"{path}.py" if (ROOT / f"{path}.py").exists() else f"{path}/__main__.py")
        assert all(f'"{one}"' in code for one in re.findall(r"--[a-z]+", rest)), f"{module}{rest}"


def test_the_tables_of_mutants_name_what_is_broken() -> None:
    told = text("docs/attacks.md").partition("\n## Mutation testing\n")[2].partition("\n## ")[0]
    table, _, survivors = told.partition("\nWhy each survivor may:\n")
    named = [
        name
        for row in re.findall(r"^\| (`.*?) \| \d+ \|", table, re.MULTILINE)
        for name in re.findall(r"`([\w/]+)`", row)
    ]
    why = [
        name
        for row in re.findall(r"^- (`.*?), \w", survivors, re.MULTILINE)
        for name in re.findall(r"`([\w/]+)`", row)
    ]
    core = set(re.findall(r'^    "([\w/]+)": \(', text("tests/proof/mutants.py"), re.MULTILINE))
    assert len(named) > 35
    assert {*named, *why} - core == set()
    assert [name for name in sorted(core - set(named)) if f"`{name}`" not in told] == []


def test_each_kind_of_gateway_is_in_the_table_with_its_keys() -> None:
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (`.*) \|$", text("docs/sms.md"), re.MULTILINE))
    assert set(rows) == set(GATEWAYS)
    for kind, (needed, possible) in KINDS.items():
        outside = re.sub(r"\(.*?\)", "", rows[kind])
        assert set(re.findall(r"`(\w+)`", outside.partition(":")[0])) >= set(needed), kind
        assert {key for key in possible if f"`{key}`" not in rows[kind]} == set(), kind


def test_each_argument_of_google_s_module_is_on_the_page_of_codes() -> None:
    table = (
        text("docs/totp.md")
        .partition("\n| pam_google_authenticator | Trex |\n")[2]
        .partition("\n\n")[0]
    )
    spelled = {name.replace("-", "_") for name in ELSEWHERE}
    assert spelled - set(re.findall(r"`(\w+)", table)) == set()


def test_people_are_they_and_faults_are_fixed() -> None:
    """In all code, and in the pages' prose: what they quote of the program is held to the program."""
    odd = re.compile(
        r"\b(he|his|him|himself|mend(s|ed|ing)?|(is|are|was) meant|dear(er)?)\b", re.IGNORECASE
    )
    found = []
    kinds = ("trex/**/*.py", "trex/**/*.html", "trex/**/*.css", "trex/**/*.js", "*.py", "native/*",
             "script/*", ".ci/*", "tests/**/*.py", "tests/**/*.c", "fuzz/*.py", "benchmarks/*.py")  # fmt: skip
    code = {path for kind in kinds for path in ROOT.glob(kind)}
    code -= {Path(__file__).resolve(), ROOT / "tests/support/hostile.py"}  # which has a letter
    for page in [*PAGES, *sorted(code)]:
        content = page.read_text("utf-8")
        prose = (
            re.sub(r"^    .*$|`[^`]*`", "", content, flags=re.MULTILINE)
            if page.suffix == ".md"
            else content
        )
        found += [f"{page.name}: {word[0]}" for word in odd.finditer(prose)]
    assert found == []


def test_files_are_as_editorconfig_has_editors_write_them() -> None:
    kinds = ("py", "c", "h", "toml", "css", "html", "js", "md", "sh")
    folders = ("trex", "tests", "docs", "script", "native", "fuzz", "benchmarks", ".ci")
    files = [
        path for folder in folders for kind in kinds for path in ROOT.glob(f"{folder}/**/*.{kind}")
    ]
    files += [
        *PAGES,
        *ROOT.glob("*.py"),
        ROOT / "pyproject.toml",
        ROOT / ".ci/run",
        ROOT / "script/test",
    ]
    assert len(files) > 400
    for path in files:
        content = path.read_bytes().decode("utf-8")
        assert "\r" not in content, path
        assert "\t" not in content, path
        assert content.endswith("\n") or not content, path
        assert path.suffix == ".md" or not re.search(r"[ \t]$", content, re.MULTILINE), path


def outside_code(page: Path) -> str:
    """Return a page without its blocks of code, which may look like anything."""
    without_fences = re.sub(
        r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return re.sub(r"^(?: {4}|\t).*$", "", without_fences, flags=re.MULTILINE)


def test_each_table_begins_with_its_headings_or_its_rows_are_shown_as_text() -> None:
    for page in PAGES:
        for table in re.findall(r"^\|.*\n(?:\|.*\n)*", outside_code(page), re.MULTILINE):
            assert re.search(r"\A.*\n\|[ :|-]+\|\n", table), f"{page.name}: {table[:80]}"


def test_no_paragraph_begins_with_a_blank() -> None:
    for page in PAGES:
        assert re.findall(r"^ \S.*", outside_code(page), re.MULTILINE) == [], page.name


def test_the_sum_of_what_was_fuzzed_is_that_of_the_table_which_has_each_target() -> None:
    page = text("docs/attacks.md").split("\n## Fuzzing\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| .*? \| ([\d ]+) \|", page, re.MULTILINE)
    total = sum(int(number.replace(" ", "")) for _, number in rows)
    assert f"That is {total:,} executions".replace(",", " ") in page
    targets = {
        path.stem
        for path in ROOT.glob("fuzz/*.[pc]*")
        if (ROOT / "fixtures/fuzz" / path.stem).is_dir()
    }
    assert {name for name, _ in rows} == targets


def test_each_argument_of_one_method_is_named_for_it() -> None:
    page = text("docs/configuration.md")
    line = re.search(r"^- method=openpgp alone: (.*?)\.$", page, re.MULTILINE | re.DOTALL)
    assert line
    others = {name for method in ("totp", "sms", "recovery") for name in METHODS[method]}
    alone = [name for name in METHODS["openpgp"] if name not in others]
    named = re.findall(r"`(\w+)=`", line[1])
    assert named == [name for name in alone if not name.startswith("web")]
    assert line[1].endswith("those that begin with `web`")


@pytest.mark.parametrize(
    "message",
    re.findall(r'^\| `(argument "[^`]*)` \|', text("docs/troubleshooting.md"), re.MULTILINE),
)
def test_each_message_about_an_argument_is_what_the_module_says(message: str) -> None:
    argument = re.match(r'argument "(.*?)"(?=:| is )', message)
    assert argument
    given = argument[1].replace("...", "\t")
    twice = message.endswith(" is given twice")
    with pytest.raises(OptionError) as refused:
        parse_options([given, given] if twice else [given])
    said = str(refused.value).replace("\t", "...")
    assert said.startswith(message[:-3]) if message.endswith("...") else said == message
