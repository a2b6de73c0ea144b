"""What has to be there for a process that shows a message: libraries, and an account for it."""

import os

from trex.errors import PageUnavailable, UserUnknown
from trex.system.packages import DEBIAN_PACKAGES
from trex.system.privilege import find_account
from trex.system.servant import PYTHON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.system.privilege import Account


def check_libraries(*names: str) -> None:
    """Check now that what the process imports later is installed. Raises PageUnavailable."""
    needed = {PYTHON: "python3"}
    for name in names:
        needed[f"{DEBIAN_PACKAGES}/{name}/__init__.py"] = f"python3-{name}"
    for path, package in needed.items():
        if not os.path.exists(path):
            raise PageUnavailable(f"Debian's package {package} is missing")


def serving_account(name: str, *others: "Account") -> "Account":
    """Return the account of `web_user=`, which is neither root nor one of `others`.

    Raises PageUnavailable, also where this process is not root's.
    """
    if os.geteuid() != 0:
        raise PageUnavailable("only root can give it an account of its own")
    try:
        server = find_account(name)
    except UserUnknown as error:
        raise PageUnavailable(f"web_user={name}: {error}") from None
    if server.uid in (0, *(other.uid for other in others)):
        raise PageUnavailable(
            f"web_user={server.name} must be neither root nor the user who logs in"
        )
    server.serves = True
    return server
