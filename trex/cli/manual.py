"""A man page for each command, and completion for each shell, from the commands themselves.

    python3 -m trex.cli.manual DIRECTORY

writes `man/trex*.1` and `completions/trex.bash`, `.zsh` and `.fish`.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile

import click
from click.shell_completion import get_completion_class

from trex.cli.completing import beginning, fixed
from trex.cli.errors import CommandError
from trex.cli.main import COMMANDS, trex
from trex.cli.manpage import PROGRAMS, write_file, write_pages
from trex.cli.programs import find_program
from trex.cli.terminal import answer

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
        directory = os.path.join(_data_home(), "man/man1")
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
            if "/" not in stem and os.path.exists(path):
                subprocess.run([man, path], check=False)  # noqa: S603 (a list)
                return
    raise CommandError(f"there is no page of the name {name!r}", "trex --help lists all commands")


def _data_home() -> str:
    """Return where a user's own data is: XDG Base Directory Specification.

    Root's environment may be that of whoever has typed sudo -E, and what is in their home too.
    """
    if os.geteuid() == 0:
        return os.path.join(pwd.getpwuid(0).pw_dir, ".local/share")
    return os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")


@click.command("completion", epilog=SHELLS_FILES, short_help="Print a shell's completion of trex.")
@click.argument("shell", type=click.Choice(SHELLS), shell_complete=fixed(*SHELLS))
def completion(shell: str) -> None:
    """Print what lets a shell complete trex. Debian's package brings it."""
    answer(_completion(shell).rstrip("\n"))


def write_completions(directory: str) -> None:
    """Write `trex.SHELL` for each shell that click knows: `trex`, and `trex-ssh` as ssh."""
    for shell in SHELLS:
        write_file(os.path.join(directory, f"trex.{shell}"), _completion(shell))


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


if __name__ == "__main__":
    write_pages(os.path.join(sys.argv[1], "man"))
    write_completions(os.path.join(sys.argv[1], "completions"))
