"""The directory of an account that keeps a file for each user, made where it is missing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trex.cli.delegate import hint_for
from trex.cli.errors import CommandError
from trex.cli.location import ROOT
from trex.errors import FileUnsafe, one_line
from trex.system.privilege import readable
from trex.system.safefile import check_directories

if TYPE_CHECKING:
    from trex.system.privilege import Account


def prepare_directory(path: str, keeper: Account, page: str) -> None:
    """Make the keeper's directory for `path`, mode 0700, in one that root alone can write.

    Raises CommandError, whose hint is the `page` that has the directories.
    """
    directory = os.path.dirname(path)
    if os.path.lexists(directory):
        return
    try:
        check_directories(os.path.dirname(directory), ROOT)
        os.mkdir(directory, 0o700)
        os.chown(directory, keeper.uid, keeper.gid, follow_symlinks=False)
    except FileUnsafe as error:
        raise CommandError(str(error), hint_for(error)) from None
    except OSError as error:
        raise CommandError(f"{one_line(readable(directory))}: {error.strerror}", page) from None
