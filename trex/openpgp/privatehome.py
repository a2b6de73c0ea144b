"""A home directory for gpg for one login alone, so that no login waits for another's daemons.

gpg finds gpg-agent and keyboxd by its home directory (gpg(1), `--homedir`). With the account's own
one, two logins would share the daemons that one of them starts, and whoever can stop or freeze one
login would block both. So each login has a directory with only the account's keys. It is in memory,
on a mount that no other process sees (mount_namespaces(7)) and that ends with the login's last
process. If that is impossible, because the caller is not root or may not mount, it is a directory
with links in /tmp.
"""

import os
from contextlib import suppress

from trex.system.privilege import acting_as

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.system.privilege import Account

PLACE = "/run/trex-pam.home"  # the mount point; for all others it is empty, and it is never removed
TEMPORARY = "/tmp/trex-pam."  # noqa: S108 (created exclusively, with a random name)
# gpg looks for sockets below these, before its home (common/homedir.c in GnuPG's source).
RUNTIME = ("/run/gnupg", "/run")
AGENT = "S.gpg-agent"
PRIVATE, PUBLIC, DATABASE = "private-keys-v1.d", "public-keys.d", "pubring.db"
RINGS = ("pubring.kbx", "pubring.gpg", "common.conf")
OTHERS = ("trustdb.gpg", "gpg-agent.conf", "scdaemon.conf")
SIZE = 32 << 20  # bytes, of which a secret key needs less than 4096
MAX_KEY = 64 * 1024
BASE32 = "ybndrfg8ejkmcpqxot1uwisza345h769"  # zbase32, as in gpg

CLONE_NEWNS = 0x00020000  # <sched.h>
# <sys/mount.h>
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_BIND, MS_REC, MS_SLAVE = 0x1000, 0x4000, 0x80000


class PrivateHome:
    """One login's home for gpg, created in the child that will run gpg.

    It has the public keys of `home`, and with `secret` also the secret ones. `agent` is the socket
    of an agent that runs already and may know a passphrase. With `keyring`, OpenPGP key blocks, gpg
    finds only these public keys.
    """

    def __init__(
        self,
        home: str,
        account: "Account",
        agent: str = "",
        keyring: bytes | None = None,
        *,
        secret: bool = True,
    ) -> None:
        self._home = home
        self._account = account
        self._agent = agent
        self._keyring = keyring
        self._secret = secret
        self._path = ""

    def separate(self) -> None:
        """Mount it, if allowed: this process still has root's rights, and touches no user's file.

        The directories in which gpg would create its sockets are hidden.
        """
        if os.geteuid() != 0:
            return
        with suppress(OSError):
            with suppress(FileExistsError):
                os.mkdir(PLACE, 0o700)
            _call("unshare", CLONE_NEWNS)
            # Mounts made here stay invisible elsewhere, and unmounts elsewhere take effect here.
            _call("mount", b"none", b"/", None, MS_REC | MS_SLAVE, None)
            agent = self._open_agent()  # from this namespace, so that it can be bound
            for base in RUNTIME:
                if os.path.isdir(f"{base}/user"):
                    _mount(f"{base}/user", MS_RDONLY, "mode=0755,size=4k")
            owner = f"uid={self._account.uid},gid={self._account.gid}"
            _mount(PLACE, 0, f"mode=0700,{owner},size={SIZE}")
            if agent >= 0:
                _bind(agent, f"{PLACE}/{AGENT}")
            self._path = PLACE

    def _open_agent(self) -> int:
        """Return a descriptor that only names the agent's socket (O_PATH), or -1."""
        if self._agent:
            with suppress(OSError), acting_as(self._account):
                return os.open(self._agent, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        return -1

    def fill(self) -> None:
        """Put the account's keys there, with its rights, and change to it. Raises OSError."""
        is_mounted = self._path != ""
        if not is_mounted:
            self._path = TEMPORARY + os.urandom(16).hex()
            os.mkdir(self._path, 0o700)
        os.chdir(self._path)
        if self._agent and not is_mounted:
            self._link_agent()
        self._link(*OTHERS)
        if self._secret:
            self._take_secret_keys(copied=is_mounted)
        if self._keyring is None:
            self._link(*RINGS)
            if os.path.lexists(os.path.join(self._home, PUBLIC, DATABASE)):
                os.mkdir(PUBLIC, 0o700)
                self._link(f"{PUBLIC}/{DATABASE}")  # so that keyboxd's lock is in this directory
        else:
            _write("pubring.gpg", self._keyring)

    def _link_agent(self) -> None:
        """Link the agent that runs already to where gpg looks for this home's agent.

        If gpg has its sockets in /run, the directory for this home has to be created there.
        """
        runtime = runtime_directory(self._account)
        directory = self._path
        if runtime:
            directory = f"{runtime}/d.{_hashed(self._path)}"
            with suppress(OSError):
                os.mkdir(runtime, 0o700)
            with suppress(OSError):
                os.mkdir(directory, 0o700)
            if not _is_private(directory, self._account):
                directory = self._path
        with suppress(OSError):
            os.symlink(self._agent, f"{directory}/{AGENT}")

    def _link(self, *names: str) -> None:
        for name in names:
            if os.path.lexists(target := os.path.join(self._home, name)):
                os.symlink(target, name)

    def _take_secret_keys(self, *, copied: bool) -> None:
        """Copy them, because gpg-agent rewrites some at their first use, in several steps.

        They are never copied to a disk, where they might remain.
        """
        os.mkdir(PRIVATE, 0o700)
        with suppress(FileNotFoundError), os.scandir(os.path.join(self._home, PRIVATE)) as entries:
            for entry in entries:
                if not entry.name.endswith(".key") or not entry.is_file():
                    continue
                if copied:
                    with suppress(PermissionError):  # gpg-agent could not read it either
                        _write(f"{PRIVATE}/{entry.name}", _read(entry.path))
                else:
                    os.symlink(entry.path, f"{PRIVATE}/{entry.name}")

    def remove(self) -> None:
        """Remove it if it is not mounted, with the directory that gpg created for its sockets."""
        if self._path in ("", PLACE):
            return
        os.chdir("/")
        sockets = socket_directory(self._path, self._account)
        for directory in (f"{self._path}/{PRIVATE}", f"{self._path}/{PUBLIC}", sockets, self._path):
            with suppress(OSError):
                for name in os.listdir(directory):
                    with suppress(IsADirectoryError):
                        os.unlink(os.path.join(directory, name))
                os.rmdir(directory)


def find_socket(name: str, home: str, account: "Account") -> str:
    """Return the socket on which a daemon of this name listens for `home`, "" if none does."""
    import _socket

    path = os.path.join(socket_directory(home, account), name)
    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        with acting_as(account):
            client.settimeout(0)
            client.connect(path)
        return path
    except OSError:
        return ""
    finally:
        client.close()


def socket_directory(home: str, account: "Account") -> str:
    """Return the directory of gpg's sockets for a home directory."""
    if not (runtime := runtime_directory(account)):
        return home
    is_default = home == os.path.join(account.home, ".gnupg")
    directory = runtime if is_default else f"{runtime}/d.{_hashed(home)}"
    return directory if _is_private(directory, account) else home


def runtime_directory(account: "Account") -> str:
    """Return the account's runtime directory for gpg's sockets, "" if there is none."""
    for base in RUNTIME:
        if os.path.isdir(directory := f"{base}/user/{account.uid}"):
            return f"{directory}/gnupg"
    return ""


def _is_private(directory: str, account: "Account") -> bool:
    try:
        status = os.stat(directory)
    except OSError:
        return False
    return status.st_uid == account.uid and not status.st_mode & 0o077


def _hashed(home: str) -> str:
    from _sha1 import sha1  # type: ignore[import-not-found]  # built in; hashlib is slow to import

    number = int.from_bytes(sha1(os.fsencode(home)).digest()[:15], "big")
    return "".join(BASE32[number >> shift & 31] for shift in range(115, -1, -5))


def _mount(path: str, flags: int, options: str) -> None:
    flags |= MS_NOSUID | MS_NODEV | MS_NOEXEC
    _call("mount", b"tmpfs", path.encode(), b"tmpfs", flags, options.encode())


def _bind(descriptor: int, path: str) -> None:
    """Bind what a descriptor names to `path`."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    source = f"/proc/self/fd/{descriptor}"
    _call("mount", source.encode(), path.encode(), None, MS_BIND, None)


def _call(name: str, *arguments: int | bytes | None) -> None:
    """Call a function of libc that returns 0. Raises OSError."""
    from _ctypes import call_function, dlopen, dlsym

    if call_function(dlsym(dlopen("", 0), name), arguments) != 0:
        raise OSError(f"{name} failed")


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, MAX_KEY)
    finally:
        os.close(descriptor)


def _write(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
    finally:
        os.close(descriptor)
