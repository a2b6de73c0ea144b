"""A man page for each command, and completion for each shell, from the commands themselves.

    python3 -m trex.cli.manual DIRECTORY

writes `man/trex*.1` and `completions/trex.bash`, `.zsh` and `.fish`. click-man leaves out the text
after the options, where the examples are, and does not find commands that are loaded on demand.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, cast

import click
from click.shell_completion import get_completion_class

from trex import __date__, __version__
from trex.cli.completing import beginning, fixed
from trex.cli.errors import CommandError
from trex.cli.main import COMMANDS, trex
from trex.cli.programs import find_program
from trex.cli.terminal import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = cast("click.Group", trex)  # the decorator's type does not say so
SHELLS = ("bash", "zsh", "fish")
# click before 8.1.4: if zsh loads the script at the first Tab, that Tab completes nothing.
ZSH_LATE = "\ncompdef _trex_completion trex;\n"
ZSH_AT_ONCE = """
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _trex_completion "$@"
else
    compdef _trex_completion trex
fi
"""
# `trex ssh` and `trex-ssh` are completed as the shell completes ssh, if it can.
AS_SSH = {
    "bash": """
_trex_as_ssh() {
    local offset=1
    if [[ ${COMP_WORDS[0]##*/} == trex-ssh ]]; then
        COMP_WORDS[0]=ssh offset=0
    elif ((COMP_CWORD < 2)) || [[ ${COMP_WORDS[1]} != ssh ]]; then
        _trex_completion "$@"
        return
    fi
    if declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset $offset
    elif declare -F _command_offset >/dev/null; then
        _command_offset $offset
    elif ((offset)); then
        _trex_completion "$@"
    fi
}
complete -o nosort -F _trex_as_ssh trex trex-ssh
""",
    "zsh": """
_trex_as_ssh() {
    if [[ $words[1] == (*/|)trex-ssh ]]; then
        words[1]=ssh
    elif (( CURRENT > 2 )) && [[ $words[2] == ssh ]]; then
        shift words
        (( CURRENT-- ))
    else
        _trex_completion "$@"
        return
    fi
    local service=ssh
    _ssh
}
""",
    "fish": """
function _trex_as_ssh
    set --local line (commandline --current-process --cut-at-cursor)
    if string match --quiet --regex '^\\s*\\S*trex\\s+ssh\\s' -- $line
        complete --do-complete (string replace --regex '^\\s*\\S*trex\\s+' '' -- $line)
    else
        _trex_completion
    end
end
complete --erase --command trex
complete --no-files --command trex --arguments "(_trex_as_ssh)"
complete --command trex-ssh --wraps ssh
""",
}
# Programs that others start: a name, what it does, its arguments, and what to know of it.
PROGRAMS = (
    (
        "trex-askpass", "answer the questions of ssh(1)", "PROMPT",
        """OpenSSH runs it where SSH_ASKPASS names it, and SSH_ASKPASS_REQUIRE is `force` or
`prefer`: `trex setup` and `trex ssh` see to both. It writes the response to a challenge of Trex's
on standard output, after the rules that trex-ssh(1) tells, and asks every other question as ssh
would.

It exits with 0 after an answer, with 1 without one, and says why on standard error.""",
    ),
    (
        "trex-sudo-askpass", "answer the questions of sudo(8)", "PROMPT",
        """sudo runs it with -A where SUDO_ASKPASS or `Path askpass` in sudo.conf(5) names it: `trex
sudo` sees to that. It answers a challenge for this user, this host and the service sudo, and asks
every other question at the terminal.

It exits with 0 after an answer, with 1 without one, and says why on standard error.""",
    ),
)  # fmt: skip
MANUAL_EXAMPLES = """\b
Examples:
  trex manual ssh
  trex manual --install
"""
SHELLS_FILES = """\b
Examples:
  mkdir -p ~/.local/share/bash-completion/completions
  trex completion bash >~/.local/share/bash-completion/completions/trex
  trex completion fish >~/.config/fish/completions/trex.fish
  trex completion zsh >_trex    in a directory of fpath
"""
UNWRAPPED = "\b"  # click's mark for a paragraph whose lines stay as they are


def _names(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return beginning([*COMMANDS, *(program[0] for program in PROGRAMS)], incomplete)


@click.command(
    "manual", epilog=MANUAL_EXAMPLES, short_help="Show a page of the manual, or install all."
)
@click.argument("name", default="", shell_complete=_names)
@click.option("--install", is_flag=True, help="Write the pages where man(1) finds them.")
def manual(name: str, *, install: bool) -> None:
    """Show the page of a command.

    Debian's package brings the pages; pip and trex.pyz do not. --install writes them below
    ~/.local/share/man, where man(1) looks if ~/.local/bin is on PATH.
    """
    if install:
        base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
        directory = os.path.join(base, "man/man1")
        write_pages(directory)
        answer(f"Written: {directory}/trex*.1")
        return
    man = find_program("man")
    if not man:
        raise CommandError("there is no man(1) on PATH", "trex --help")
    with tempfile.TemporaryDirectory() as directory:
        write_pages(directory)
        for stem in (name or "trex", f"trex-{name}"):
            path = os.path.join(directory, f"{stem}.1")
            if os.path.exists(path):
                subprocess.run([man, path], check=False)  # noqa: S603 (a list)
                return
    raise CommandError(f"there is no page of the name {name!r}", "trex --help lists all commands")


@click.command("completion", epilog=SHELLS_FILES, short_help="Print a shell's completion of trex.")
@click.argument("shell", type=click.Choice(SHELLS), shell_complete=fixed(*SHELLS))
def completion(shell: str) -> None:
    """Print what lets a shell complete trex. Debian's package brings it."""
    answer(_completion(shell).rstrip("\n"))


def write_pages(directory: str) -> None:
    """Write `trex.1` and `trex-COMMAND.1`."""
    for context in _contexts():
        name = context.command_path.replace(" ", "-")
        _write(os.path.join(directory, f"{name}.1"), man_page(context))
    for name, summary, arguments, text in PROGRAMS:
        page = _page(name, summary, f"{name} {arguments}", text)
        _write(os.path.join(directory, f"{name}.1"), "\n".join(page) + "\n")


def write_completions(directory: str) -> None:
    """Write `trex.SHELL` for each shell that click knows: `trex`, and `trex-ssh` as ssh."""
    for shell in SHELLS:
        _write(os.path.join(directory, f"trex.{shell}"), _completion(shell))


def _completion(shell: str) -> str:
    kind = get_completion_class(shell)
    if kind is None:
        raise LookupError(shell)
    script = kind(trex, {}, "trex", "_TREX_COMPLETE").source().rstrip() + "\n"
    if "loadautofunc" not in script:
        script = script.replace(ZSH_LATE, ZSH_AT_ONCE)
    if shell == "zsh":
        script = script.replace("#compdef trex\n", "#compdef trex trex-ssh\n")
        head, _, tail = script.rpartition("\nif [[ $zsh_eval_context")
        tail = tail.replace("_trex_completion trex", "_trex_completion trex trex-ssh")
        tail = tail.replace("_trex_completion", "_trex_as_ssh")
        return f"{head}{AS_SSH[shell]}\nif [[ $zsh_eval_context{tail}"
    return script + AS_SSH[shell]


def man_page(context: click.Context) -> str:
    """Return one command's page: man(7)."""
    command, name = context.command, context.command_path.replace(" ", "-")
    summary = command.get_short_help_str(limit=200).rstrip(".")
    synopsis = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    lines = [
        *_page(name, summary, synopsis, inspect.cleandoc(command.help or "")),
        ".SH OPTIONS",
        *_items(_options(context)),
    ]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS", *_items(_commands(context))]
    lines += _epilog(inspect.cleandoc(command.epilog or ""))
    return "\n".join([*lines, *_see_also(context)]) + "\n"


def _page(name: str, summary: str, synopsis: str, text: str) -> list[str]:
    """Return a page up to its description."""
    return [
        f'.TH {name.upper()} 1 "{__date__}" "Trex {__version__}" "Trex"',
        ".SH NAME",
        f"{_plain(name)} \\- {_plain(summary)}",
        ".SH SYNOPSIS",
        f".B {_plain(synopsis)}",
        ".SH DESCRIPTION",
        *_paragraphs(text)[1:],  # a paragraph begins there anyhow
    ]


def _contexts() -> Iterator[click.Context]:
    """Yield a context for the group, and for each of its commands."""
    root = click.Context(trex, info_name="trex", **trex.context_settings)
    yield root
    for name in GROUP.list_commands(root):
        if command := GROUP.get_command(root, name):
            yield click.Context(command, info_name=name, parent=root, **command.context_settings)


def _options(context: click.Context) -> list[tuple[str, str]]:
    records = (option.get_help_record(context) for option in context.command.get_params(context))
    return [record for record in records if record]


def _commands(context: click.Context) -> list[tuple[str, str]]:
    found = [child.command for child in _contexts() if child.parent]
    names = GROUP.list_commands(context)
    return [
        (name, command.get_short_help_str(limit=200))
        for name, command in zip(names, found, strict=True)
    ]


def _items(pairs: list[tuple[str, str]]) -> list[str]:
    return [line for term, text in pairs for line in (".TP", f".B {_plain(term)}", _plain(text))]


def _paragraphs(text: str) -> list[str]:
    lines = []
    for paragraph in text.split("\n\n"):
        kept = paragraph.removeprefix(f"{UNWRAPPED}\n")
        block = [_plain(line) for line in kept.split("\n")]
        lines += [".PP", *([".nf", *block, ".fi"] if kept != paragraph else block)]
    return lines


def _epilog(text: str) -> list[str]:
    """Make a section of each block that begins with `Title:`."""
    lines = []
    for block in filter(None, text.split(f"{UNWRAPPED}\n")):
        title, _, rest = block.strip("\n").partition("\n")
        if title.endswith(":"):
            body = [_plain(line.removeprefix("  ")) for line in rest.split("\n")]
            lines += [f".SH {title[:-1].upper()}", ".nf", *body, ".fi"]
        else:
            lines += [".SH NOTES", *_paragraphs(block.strip("\n"))]
    return lines


def _see_also(context: click.Context) -> list[str]:
    name = context.command_path.replace(" ", "-")
    others = [child.command_path.replace(" ", "-") for child in _contexts()]
    listed = ", ".join(f"{_plain(other)}(1)" for other in others if other != name)
    return [".SH SEE ALSO", f"{listed}, gpg(1), sshd_config(5), pam.conf(5)"]


def _plain(text: str) -> str:
    """Escape whatever roff would not read as plain text."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    write_pages(os.path.join(sys.argv[1], "man"))
    write_completions(os.path.join(sys.argv[1], "completions"))
