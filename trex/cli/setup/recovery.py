"""`trex recovery`: make one-time codes for a lost key, and say how many are left."""

from __future__ import annotations

import os
import shlex
import signal
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import click

from trex.cli.completing import accounts
from trex.cli.delegate import FILE_SECONDS, run_as
from trex.cli.errors import CommandError
from trex.cli.location import HINT, NOBODY, ROOT, account_of, own_name
from trex.cli.setup.keptplace import prepare_directory
from trex.cli.setup.newfile import NewFile
from trex.cli.setup.questions import confirm
from trex.cli.setup.twopeople import warn_of_one
from trex.cli.terminal import answer, say
from trex.errors import OptionError, TrexError, one_line
from trex.login.method import expand_path, find_servant, is_absent
from trex.login.options import CENTRAL, CENTRAL_RECOVERY, Options, parse_options
from trex.recovery.codes import HOW_MANY, codes_for, in_groups, new_file, random_code
from trex.recovery.notice import make_command, moment
from trex.system.privilege import readable
from trex.system.rewriting import tries
from trex.system.safefile import check_directories
from trex.system.secretfile import (
    ChangedMeanwhile,
    StateNotWritten,
    create_secret,
    locked,
    read_secret,
    remove_secret,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trex.system.privilege import Account

EPILOG = """\b
Examples:
  trex recovery make
  trex recovery make --page codes.html
  sudo trex recovery make --central --user alice
  trex recovery show
  sudo trex recovery remove --user alice
"""


@dataclass(frozen=True)
class KeptCodes:
    """Whose codes, where they are, and which account reads and writes them, as in the module."""

    user: Account
    keeper: Account
    path: str
    options: Options

    @property
    def shown(self) -> str:
        """The file's path, for messages."""
        return one_line(readable(self.path))


@click.group(epilog=EPILOG, short_help="Make one-time codes for the day that a key is lost.")
def command() -> None:
    """Recovery codes: ten one-time codes for a lost key; make them, count them, remove them."""


def _place_options(function: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--run-as", metavar="NAME", help="As the module's run_as=."),
        click.option("--recovery-file", metavar="PATH", help="As the module's recovery_file=."),
        click.option("--central", is_flag=True, help="Central mode: codes that users cannot read."),
        click.option("--user", metavar="NAME", help="Whose codes; root may name anybody.",
                     shell_complete=accounts),
    ):  # fmt: skip
        function = option(function)
    return function


@command.command()
@_place_options
@click.option("--page", metavar="FILE", help="Also write the codes as an HTML page to print.")
@click.option("--yes", is_flag=True, help="Ask no questions.")
def make(page: str | None, *, yes: bool, **arguments: Any) -> None:
    """Make ten new codes. All codes from before are void then.

    They are shown once: only a hash of each is kept. Each lets its user in one time, where the PAM
    service has a line with method=recovery.
    """
    place = _find_place(**arguments)
    if place.options.run_as:
        prepare_directory(place.path, place.keeper, HINT)
    before = run_as(place.keeper, lambda: _before(place), FILE_SECONDS)
    if before and not yes:
        confirm(f"{place.user.name} has {before}. Replace them by new ones?")
    codes = [random_code() for _ in range(HOW_MANY)]
    content = new_file(codes, place.user.uid)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    with ExitStack() as made:
        if page:
            try:
                made.enter_context(_page(page, codes, place))
            except OSError as error:
                raise CommandError(f"{page}: {error.strerror}", "another --page FILE") from None
        run_as(place.keeper, lambda: _write(place, content), FILE_SECONDS)
    say(f"Written: {place.shown}")
    _say_which_are_asked(place)
    warn_of_one(place.user.name, "a recovery code")
    if page:
        say(f"Written: {page}, which has the codes: print it, and delete it")
    say(f"Recovery codes of {place.user.name} at {os.uname().nodename}. They are not shown again:")
    answer("\n".join(f"{n:4}  {in_groups(code)}" for n, code in enumerate(codes, start=1)))


def _say_which_are_asked(place: KeptCodes) -> None:
    """Say that codes in a home open nothing where logins ask for those that root keeps."""
    kept = os.path.dirname(CENTRAL_RECOVERY)
    if not place.options.run_as and os.path.isdir(kept):
        name = shlex.quote(place.user.name)
        say(
            f"Where this host asks for codes that root keeps ({kept}), these open nothing:\n"
            f"root makes those, by trex recovery make --central --user {name}"
        )


@command.command("show")
@_place_options
def show_number(**arguments: Any) -> None:
    """Say how many codes are left, and when the others were used. No code is shown."""
    place = _find_place(**arguments)
    told = run_as(place.keeper, lambda: _told(place), FILE_SECONDS)
    left, spent = told["left"], told["spent"]
    answer(f"{place.user.name}: {place.shown}")
    answer(f"Made on {moment(told['made'])}: {left} of {left + len(spent)} codes left")
    for at in spent:
        answer(f"Used on {moment(at)}")
    if not left:
        raise CommandError("no recovery code is left", _make_again(place))


@command.command("remove")
@_place_options
@click.option("--yes", is_flag=True, help="Ask no questions.")
def remove_codes(*, yes: bool, **arguments: Any) -> None:
    """Remove all codes, such as those of somebody who leaves. None of them is right any more.

    With --central also those of an account that is gone.
    """
    place = _find_place(gone=True, **arguments)
    is_kept = os.path.lexists(os.path.dirname(place.path)) or not place.options.run_as
    before = run_as(place.keeper, lambda: _before(place), FILE_SECONDS) if is_kept else ""
    if not before:
        say(f"{place.shown}: no codes, nothing to remove.")
        return
    if place.user.uid == NOBODY:
        say(f"There is no account {place.user.name}: only its codes are left.")
    if not yes:
        confirm(f"{place.user.name} has {before}. Remove them?")
    run_as(place.keeper, lambda: remove_secret(place.path, place.keeper), FILE_SECONDS)
    say(f"Removed: {place.shown}")


def _find_place(
    user: str | None,
    *,
    central: bool,
    recovery_file: str | None,
    run_as: str | None,
    gone: bool = False,
) -> KeptCodes:
    """Return whose codes and where. Raises CommandError for a user not to be acted for.

    With `gone` they may be those of an account that is gone, in central mode.
    """
    given = {"recovery_file": recovery_file, "run_as": run_as}
    usual = {"recovery_file": CENTRAL_RECOVERY, "run_as": CENTRAL["run_as"]} if central else {}
    chosen = usual | {name: value for name, value in given.items() if value}
    try:
        options = parse_options(
            ["method=recovery", *(f"{name}={value}" for name, value in chosen.items())]
        )
        account = account_of(user or own_name(), gone=gone and bool(options.run_as))
        keeper = find_servant("run_as", options.run_as) if options.run_as else account
        path = expand_path(options.recovery_file, account)
    except OptionError as error:
        hint = HINT if chosen.get("run_as") else ""
        raise CommandError(str(error), hint) from None
    writer = ROOT if options.run_as else account
    if os.geteuid() not in (0, writer.uid):
        others = f" or {writer.name}" if writer.uid else ""
        raise CommandError(f"only root{others} can do this", "sudo trex ...")
    return KeptCodes(account, keeper, path, options)


def _before(place: KeptCodes) -> str:
    """Return what new codes would replace, "" for nothing.

    Raises FileUnsafe for a file or directory that no login would take.
    """
    check_directories(os.path.dirname(place.path), place.keeper)
    if is_absent(place.path, place.keeper):
        return ""
    content = read_secret(place.path, place.keeper)
    if place.user.uid == NOBODY:
        return "recovery codes"
    try:
        left = len(codes_for(place.user, content, readable(place.path)).left)
    except TrexError as error:  # malformed, or of an account that is gone: new codes are the remedy
        return f"recovery codes that no login takes ({error})"
    return f"{left or 'no'} recovery code{'s' * (left != 1)} left"


def _write(place: KeptCodes, content: bytes) -> None:
    """Create or replace the file as a whole, in this command's turn among the logins."""
    if is_absent(place.path, place.keeper):
        create_secret(place.path, place.keeper, content)
        return
    for _ in tries():
        with locked(place.path, place.keeper) as file, suppress(ChangedMeanwhile):
            file.replace(content)
            return
    raise StateNotWritten(f"{place.shown} was changed by other logins")


def _told(place: KeptCodes) -> dict[str, Any]:
    if is_absent(place.path, place.keeper):
        raise CommandError(f"{place.shown}: no such file", _make_again(place))
    codes = codes_for(place.user, read_secret(place.path, place.keeper), readable(place.path))
    return {"left": len(codes.left), "spent": sorted(codes.spent.values()), "made": codes.made}


def _make_again(place: KeptCodes) -> str:
    """Return the command that makes new codes there."""
    own = os.geteuid() == place.user.uid and not place.options.run_as
    return make_command(place.options, "" if own else place.user.name)


def _page(path: str, codes: list[str], place: KeptCodes) -> NewFile:
    from trex.cli.setup.recoverypage import page_of

    return NewFile(path, page_of(codes, place.user.name, os.uname().nodename).encode("utf-8"))


def _stop(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt
