"""A man page for each command, from the commands themselves: man(7).

click-man leaves out the text after the options, where the examples are, and does not find commands
that are loaded on demand. A command of several, such as `trex totp`, has all of them in one page.
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, cast

import click

from trex import __date__, __version__
from trex.cli.main import trex

if TYPE_CHECKING:
    from collections.abc import Iterator

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
UNWRAPPED = "\b"  # click's mark for a paragraph whose lines stay as they are


def write_pages(directory: str) -> None:
    """Write `trex.1` and `trex-COMMAND.1`."""
    for context in contexts():
        name = context.command_path.replace(" ", "-")
        write_file(os.path.join(directory, f"{name}.1"), man_page(context))
    for name, summary, arguments, text in PROGRAMS:
        page = _page(name, summary, f"{name} {arguments}", text)
        write_file(os.path.join(directory, f"{name}.1"), "\n".join(page) + "\n")


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
    if command is trex:
        lines += [".SH COMMANDS", *_items(_commands(context))]
    elif isinstance(command, click.Group):
        lines += [".SH COMMANDS", *(line for child in _children(context) for line in _part(child))]
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


def contexts() -> Iterator[click.Context]:
    """Yield a context for the group, and for each of its commands."""
    root = click.Context(trex, info_name="trex", **trex.context_settings)
    yield root
    yield from _children(root)


def _children(context: click.Context) -> Iterator[click.Context]:
    group = cast("click.Group", context.command)
    for name in group.list_commands(context):
        if command := group.get_command(context, name):
            yield click.Context(command, info_name=name, parent=context, **command.context_settings)


def _part(context: click.Context) -> list[str]:
    """Return one command of several in a page: what it does, and its options."""
    synopsis = [context.command_path, *context.command.collect_usage_pieces(context)]
    options = [pair for pair in _options(context) if "--help" not in pair[0]]
    return [
        f".SS {_plain(' '.join(synopsis))}",
        *_paragraphs(inspect.cleandoc(context.command.help or ""))[1:],
        *_items(options),
    ]


def _options(context: click.Context) -> list[tuple[str, str]]:
    records = (option.get_help_record(context) for option in context.command.get_params(context))
    return [record for record in records if record]


def _commands(context: click.Context) -> list[tuple[str, str]]:
    return [
        (child.info_name or "", child.command.get_short_help_str(limit=200))
        for child in _children(context)
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
    others = [child.command_path.replace(" ", "-") for child in contexts()]
    listed = ", ".join(f"{_plain(other)}(1)" for other in others if other != name)
    return [
        ".SH SEE ALSO",
        f"{listed}, pam_trex(8), auth_gpg(5), gpg(1), sshd_config(5), pam.conf(5)",
    ]


def _plain(text: str) -> str:
    """Escape whatever roff would not read as plain text."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def write_file(path: str, text: str) -> None:
    """Write a file, and the directories above it."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
