"""The secrets and recovery codes of many accounts, read with each reader's rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trex.cli.accounts.enrolment import Enrolled
from trex.cli.accounts.people import whole
from trex.errors import FileUnsafe, NoRecord, OtherAccount, TrexError
from trex.login.method import expand_path
from trex.recovery.codes import codes_for
from trex.recovery.errors import NoCodeLeft
from trex.system.privilege import native, readable
from trex.system.secretfile import read_secret
from trex.totp.method import check_uid
from trex.totp.state import OtpState

if TYPE_CHECKING:
    from trex.login.options import Options
    from trex.system.privilege import Account

TEMPLATES = {"totp": "secret", "recovery": "recovery_file"}  # the argument with the file's path


def read_secrets(
    accounts: list[Account], options: Options, servant: Account | None
) -> dict[str, Any]:
    """Return the enrolments of those accounts that have a file, as JSON data."""
    told = {}
    for account in accounts:
        enrolment = Enrolled(options.method, "")
        try:
            path = expand_path(getattr(options, TEMPLATES[options.method]), account)
            enrolment.place = readable(path)
            _check(_content(path, account, servant), account, enrolment)
        except NoRecord:
            continue
        except TrexError as error:
            enrolment.inherited = isinstance(error, OtherAccount)
            enrolment.refuse(str(error))
        told[account.name] = enrolment.packed()
    return {"enrolments": told, "unnamed": [], "files": []}


def _check(content: bytes, account: Account, enrolment: Enrolled) -> None:
    """Read a file's content as a login does. Raises a TrexError for what refuses one."""
    if enrolment.method == "totp":
        check_uid(OtpState(content, enrolment.place), native(enrolment.place), account)
    elif not codes_for(account, content, enrolment.place).left:
        raise NoCodeLeft(f"{enrolment.place}: no recovery code is left")


def _content(path: str, account: Account, servant: Account | None) -> bytes:
    """Read a file, once more with all groups where those of the database are not enough."""
    try:
        return read_secret(path, servant or account)
    except FileUnsafe:
        if servant:
            raise
    return read_secret(path, whole(account))
