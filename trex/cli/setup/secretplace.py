"""Whose secret for codes, where its file is, and which account keeps it, as in the module."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trex.cli.delegate import FILE_SECONDS, run_as
from trex.cli.errors import CommandError
from trex.cli.installed import document
from trex.cli.location import own_name
from trex.cli.setup.keptplace import prepare_directory
from trex.errors import OptionError, UserUnknown, one_line
from trex.login.method import expand_path, find_servant
from trex.login.options import CENTRAL_TOTP, parse_options
from trex.system.privilege import find_account, readable
from trex.system.rewriting import tries
from trex.system.safefile import check_directories
from trex.system.secretfile import ChangedMeanwhile, create_secret, locked, read_secret
from trex.totp.state import OtpState

if TYPE_CHECKING:
    from trex.system.privilege import Account

SETTINGS = (
    f"{document('docs/totp.md')}, secrets that users cannot read, has account and directories"
)


@dataclass(frozen=True)
class SecretPlace:
    """The user, the account that keeps the file, and its path, ready for `os` calls."""

    user: Account
    keeper: Account
    path: str

    @property
    def shown(self) -> str:
        """The path, for messages."""
        return one_line(readable(self.path))

    @property
    def is_kept_elsewhere(self) -> bool:
        """Whether the file is not the user's own: it then says for which uid it is."""
        return self.keeper.uid != self.user.uid

    def is_taken(self) -> bool:
        """Return whether there is a file. Raises CommandError where no login would take one."""
        taken: bool = run_as(self.keeper, self._look, FILE_SECONDS)
        return taken

    def prepare(self) -> None:
        """Make the directory of a keeper's, where it is missing. Raises CommandError."""
        if self.is_kept_elsewhere and os.geteuid() == 0:
            prepare_directory(self.path, self.keeper, SETTINGS)

    def read(self) -> OtpState:
        """Return what is in the file, read with the keeper's rights. Raises CommandError."""
        text = run_as(self.keeper, self._text, FILE_SECONDS)
        return OtpState(text.encode("latin-1"), self.shown)

    def replace_codes(self, codes: list[str]) -> None:
        """Replace the emergency codes, with the keeper's rights. Raises CommandError."""
        run_as(self.keeper, lambda: self._replace(codes))

    def create(self, content: bytes) -> None:
        """Create the file, mode 0600, with the keeper's rights. Raises CommandError."""
        run_as(self.keeper, lambda: create_secret(self.path, self.keeper, content), FILE_SECONDS)

    def _text(self) -> str:
        return read_secret(self.path, self.keeper).decode("latin-1")

    def _replace(self, codes: list[str]) -> None:
        for _ in tries():
            with locked(self.path, self.keeper) as file, suppress(ChangedMeanwhile):
                state = OtpState(file.content, self.shown)
                state.replace_emergency_codes(codes)
                file.replace(state.content)
                return
        raise CommandError(f"{self.shown}: logins have changed it meanwhile", "try again")

    def _look(self) -> bool:
        if os.path.lexists(self.path):
            return True
        directory = os.path.dirname(self.path)
        try:
            check_directories(directory, self.keeper)
        except OSError as error:
            told = f"{one_line(readable(directory))}: {error.strerror}"
            raise CommandError(told, "another --file or --secret") from None
        return False


def find_place(user: str | None, *, central: bool, **given: str | None) -> SecretPlace:
    """Return where the module looks for the secret of `user`, with `secret=` and `run_as=`.

    Raises CommandError for arguments that the module refuses, and for a user not to be acted for.
    """
    chosen = {**(CENTRAL_TOTP if central else {}), **{k: v for k, v in given.items() if v}}
    words = [f"{name}={value}" for name, value in chosen.items()]
    name = own_name() if user is None else user  # an empty one is no account's
    try:
        options = parse_options(["method=totp", *words])
        account = find_account(name)
        keeper = find_servant("run_as", options.run_as) if options.run_as else account
        path = expand_path(options.secret, account)
    except UserUnknown as error:
        raise CommandError(f"{name}: {error}", "expected a name that `id NAME` knows") from None
    except OptionError as error:
        raise CommandError(str(error), SETTINGS if chosen.get("run_as") else "") from None
    if os.geteuid() not in (0, keeper.uid):
        raise CommandError(f"only root or {keeper.name} can do this", "sudo trex ...")
    return SecretPlace(account, keeper, path)
