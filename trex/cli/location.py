"""Whose record, where it is, and who may touch it, for every command about records."""

from __future__ import annotations

import os
import pwd
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from trex.cli.completing import accounts
from trex.cli.delegate import FILE_SECONDS
from trex.cli.directory import is_account_name
from trex.cli.errors import CommandError
from trex.cli.installed import document
from trex.errors import OptionError, UserUnknown, one_line
from trex.login.method import expand_path, find_servant
from trex.login.options import CENTRAL, CENTRAL_TOTP, Options, parse_options
from trex.system.privilege import Account, find_account, readable

if TYPE_CHECKING:
    from collections.abc import Callable

HINT = (
    f"{document('README.md')}, central mode: useradd --system --user-group ... and the directories"
)
NOBODY = 0xFFFFFFFF  # (uid_t) -1, which no account has
ROOT = Account("root", 0, 0, "/root", [0])


@dataclass(frozen=True)
class Location:
    """A user's record and keyring, with paths ready for `os` calls."""

    user: Account
    reader: Account  # reads the record and runs gpg, as in the module
    writer: Account  # owns the record
    record: str
    gnupg_home: str
    options: Options
    is_gone: bool = False  # there is no such account any more, only its record

    @property
    def mode(self) -> int:
        """The record's mode: a reader who is not the owner reads it as the group."""
        return 0o600 if self.reader.uid == self.writer.uid else 0o640

    @property
    def shares_keyring(self) -> bool:
        """Whether the keyring also holds other users' keys."""
        home = self.options.gnupg_home
        return bool(self.options.run_as) and "%u" not in home and "%h" not in home

    def seconds(self, runs: int = 1) -> float:
        """Return the time limit, in seconds, to read the record and run gpg `runs` times."""
        return FILE_SECONDS + runs * self.options.gpg_timeout

    @property
    def shown(self) -> str:
        """The record's path, for messages."""
        return one_line(readable(self.record))

    @property
    def typed(self) -> str:
        """The options that name this record for a command, each after a space."""
        user = f" --user {shlex.quote(self.user.name)}" if os.geteuid() != self.user.uid else ""
        return f"{words_of(self.options)}{user}"


def location_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name the record's user, and where the record is."""
    for option in (
        click.option("--run-as", metavar="NAME", help="As the module's run_as=."),
        click.option("--gnupg-home", metavar="PATH", help="As the module's gnupg_home=."),
        click.option("--auth-file", metavar="PATH", help="As the module's auth_file=."),
        click.option("--central", is_flag=True, help="Central mode: a record of root's."),
        click.option(
            "--user",
            metavar="NAME",
            help="Whose record; root may name anybody.",
            shell_complete=accounts,
        ),
    ):
        function = option(function)
    return function


def words_of(options: Options) -> str:
    """Return the command's options for a record where these arguments put it: "" for a home's."""
    usual = CENTRAL if options.run_as else {name: getattr(Options, name) for name in CENTRAL}
    given = {name: getattr(options, name) for name in CENTRAL}
    words = [" --central"] if options.run_as else []
    words += [
        f" --{name.replace('_', '-')} {shlex.quote(value)}"
        for name, value in given.items()
        if value != usual[name]
    ]
    return "".join(words)


def words_of_secret(options: Options) -> str:
    """Return the options of `trex totp` for a secret where these arguments put it."""
    usual = (
        CENTRAL_TOTP if options.run_as else {name: getattr(Options, name) for name in CENTRAL_TOTP}
    )
    words = [" --central"] if options.run_as else []
    for name, value in usual.items():
        if getattr(options, name) != value:
            words.append(f" --{name.replace('_', '-')} {shlex.quote(getattr(options, name))}")
    return "".join(words)


def find_location(
    user: str | None, *, central: bool, gone: bool = False, **arguments: str | None
) -> Location:
    """Return where `user`'s record is; `arguments` are the module's, None where not given.

    With `gone` it may be that of an account that is gone, in central mode.
    Raises CommandError for a user that this process may not act for.
    """
    chosen = {**(CENTRAL if central else {}), **{k: v for k, v in arguments.items() if v}}
    try:
        options = parse_options([f"{name}={value}" for name, value in chosen.items()])
        name = own_name() if user is None else user  # an empty one is no account's
        return location_of(name, options, gone=gone)
    except OptionError as error:
        raise CommandError(str(error), HINT if chosen.get("run_as") else "") from None


def location_of(user: str, options: Options, *, gone: bool = False) -> Location:
    """Return where the module looks for the record of `user`, and with whose rights.

    Raises OptionError, or CommandError for a user that this process may not act for.
    """
    account = account_of(user, gone=gone and bool(options.run_as))
    reader = find_servant("run_as", options.run_as) if options.run_as else account
    writer = ROOT if options.run_as else account
    if os.geteuid() not in (0, writer.uid):
        raise CommandError(f"only root or {writer.name} can do this", "sudo trex ...")
    record, home = expand_path(options.auth_file, account), expand_path(options.gnupg_home, account)
    return Location(account, reader, writer, record, home, options, account.uid == NOBODY)


def account_of(user: str, *, gone: bool) -> Account:
    """Return the account `user`; with `gone` one with the uid NOBODY if it is gone.

    Raises CommandError for a name that is no account's.
    """
    try:
        return find_account(user)
    except UserUnknown as error:
        if gone and is_account_name(user):
            return Account(user, NOBODY, NOBODY, "", [])
        raise CommandError(f"{user}: {error}", "expected a name that `id NAME` knows") from None


def own_name() -> str:
    """Return the account's name that runs this command. Raises CommandError if it has none."""
    try:
        return readable(pwd.getpwuid(os.geteuid()).pw_name)
    except KeyError:
        raise CommandError(f"there is no account for uid {os.geteuid()}", "--user NAME") from None
