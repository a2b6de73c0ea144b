"""How Trex came to this host, as far as a message names a file or a command of that.

Debian's packages bring the documents; from a checkout they are where it is.
"""

from __future__ import annotations

import os

PACKAGED = "/usr/lib/trex-pam/debian"  # as in debian/rules
DOCUMENTS = "/usr/share/doc/libpam-trex"
REINSTALL = "apt install --reinstall libpam-trex"
OF_FILE = "from no repository: name its file, ./libpam-trex_VERSION.deb"
COMMAND = "/usr/bin/trex"


def is_of_a_package() -> bool:
    """Return whether Debian's package has brought the modules: script/install then refuses."""
    return os.path.isdir(PACKAGED)


def document(path: str) -> str:
    """Return where a document is: `path` is its name in the sources, such as `docs/sms.md`."""
    brought = os.path.join(DOCUMENTS, path)
    return brought if os.path.exists(brought) else path


def how_to_install(option: str = "") -> str:
    """Return the command that installs Trex, or what of it is missing."""
    return f"{REINSTALL}  # {OF_FILE}" if is_of_a_package() else f"sudo script/install{option}"


def how_to_install_command() -> str:
    """Return the command that installs the command, which libpam-trex does not bring."""
    return how_to_install().replace("libpam-trex", "trex")
