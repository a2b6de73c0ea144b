"""A place of its own for real logins: accounts, PAM services and a log that vanish with it.

The process moves to a private mount namespace (unshare(2)) in which /etc is a copy and /home, /run,
/dev and the logs are new. So accounts and PAM services are real for every program started from
here, and the machine itself never sees them, even if the process is killed. Its network is a
loopback interface of its own: what is served there is seen by nobody else, and every port is ours.
"""

from __future__ import annotations

import atexit
import compileall
import ctypes
import itertools
import os
import py_compile
import re
import shutil
import socket
import stat
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import installed

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = Path(__file__).resolve().parents[2]
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
LISTENING = "0A"  # proc(5), /proc/net/tcp
PLACE = Path("/run/trex")
MODULE = PLACE / "module"
ENTRY = MODULE / "pam_trex.py"
DOOR = f"pam_python.so {ENTRY}"  # what a PAM service says to have this module
MOUNTED: list[str | Path] = []
STAYING = {
    "/run/trex-pam.pages",
    "/run/trex-pam.home",
    "/run/trex-pam.grace",
}  # one of each for the host, and empty
PAM_SERVICES = Path("/etc/pam.d")
# What gpg-agent and keyboxd remove only as they end.
ENDING = "S.gpg-agent*", "S.keyboxd", "public-keys.d/*.lock", "public-keys.d/.#lk*"
PAM_CODES = {
    0: "PAM_SUCCESS", 1: "PAM_OPEN_ERR", 2: "PAM_SYMBOL_ERR", 3: "PAM_SERVICE_ERR",
    4: "PAM_SYSTEM_ERR", 5: "PAM_BUF_ERR", 6: "PAM_PERM_DENIED",
    7: "PAM_AUTH_ERR", 9: "PAM_AUTHINFO_UNAVAIL", 10: "PAM_USER_UNKNOWN", 11: "PAM_MAXTRIES", 19: "PAM_CONV_ERR",
    25: "PAM_IGNORE",
}  # fmt: skip


def mount(*arguments: str | Path) -> None:
    """Attach a file system or a directory; the last argument says where."""
    subprocess.run(["mount", *map(str, arguments)], check=True)
    MOUNTED.append(arguments[-1])


def unmount_all() -> None:
    """Take the mounts away again, those in a plain chroot included."""
    for place in reversed(MOUNTED):
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def enter() -> None:
    """Move this process into its own mount namespace. Needs root and CAP_SYS_ADMIN."""
    if os.geteuid() != 0:
        raise PermissionError("the system tests make accounts and PAM services: run them as root")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no private mount and network namespaces to be had")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with suppress(OSError):  # it is read only in some containers
        # Of the ten lines that the kernel keeps, a busy machine may read the first too late.
        Path("/proc/sys/net/unix/max_dgram_qlen").write_text("1000", encoding="ascii")
    # In a plain chroot "/" is no mount point: what is mounted there may be seen outside until the
    # end, when it is taken away in any case.
    subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True)
    atexit.register(unmount_all)
    mount("-t", "tmpfs", "-o", "mode=755", "trex-run", "/run")
    PLACE.mkdir()
    for directory in ("/home", "/var/log", "/var/mail"):
        mount("-t", "tmpfs", "-o", "mode=755", "trex-test", directory)
    shutil.copytree("/etc", PLACE / "etc", symlinks=True)
    _keep_owners(Path("/etc"), PLACE / "etc")
    mount("--bind", PLACE / "etc", "/etc")
    _private_devices()
    for directory in ("/run/sshd", "/run/lock", "/run/sudo"):
        Path(directory).mkdir(mode=0o755)
    (PLACE / "etc/nologin").unlink(missing_ok=True)
    for key in (PLACE / "etc/ssh").glob("ssh_host_*.pub"):
        key.unlink()  # the tests' servers have other host keys, so challenges would name wrong ones
    installed.hide(PLACE / "installed", mount)
    install_module()


def install_module() -> None:
    """Put the module where every account can read it, compiled."""
    shutil.copytree(PROJECT / "trex", MODULE / "trex", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pam_trex.py", MODULE)
    compile_module(MODULE)


def compile_module(module: Path) -> None:
    """Make a copy of the module what script/install makes of it."""
    for path in [module, *module.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    subprocess.run([PROJECT / "script/confine", module / "trex-confine"], check=True)
    compileall.compile_dir(module / "trex", quiet=1, invalidation_mode=unchecked)
    if (module / "trex/system/bundle.py").exists():  # not in an earlier commit
        subprocess.run([PROJECT / "script/bundle", module], check=True)


def _keep_owners(source: Path, copy: Path) -> None:
    for original in source.rglob("*"):
        status = original.lstat()
        if status.st_uid or status.st_gid:
            twin = copy / original.relative_to(source)
            os.chown(twin, status.st_uid, status.st_gid, follow_symlinks=False)
            if not original.is_symlink():
                twin.chmod(stat.S_IMODE(status.st_mode))


def _private_devices() -> None:
    """Make a /dev whose /dev/log is ours alone."""
    devices = PLACE / "dev"
    devices.mkdir()
    mount("-t", "tmpfs", "-o", "mode=755", "trex-dev", devices)
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (devices / name).touch()
        mount("--bind", f"/dev/{name}", devices / name)
    (devices / "pts").mkdir()
    (devices / "shm").mkdir()
    (devices / "shm").chmod(0o1777)  # mkdir(2) heeds the umask
    mount("--bind", "/dev/pts", devices / "pts")
    make_device(devices / "ptmx", 5, 2)  # /dev/pts/ptmx may be for nobody
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        (devices / name).symlink_to(target)
    mount("--move", devices, "/dev")


def make_device(path: Path, major: int, minor: int) -> None:
    """Make a character device that every account may open: mknod(2)."""
    os.mknod(path, stat.S_IFCHR, os.makedev(major, minor))
    path.chmod(0o666)


class Log:
    """What the programs in the sandbox send to syslog."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("/dev/log")
        Path("/dev/log").chmod(0o666)
        self.lines: list[str] = []
        self._marks = itertools.count()
        threading.Thread(target=self._collect, daemon=True).start()

    def _collect(self) -> None:
        while True:
            self.lines.append(self._socket.recv(65536).decode("utf-8", "replace"))

    def clear(self) -> None:
        """Forget what was logged so far."""
        self._settle()
        self.lines.clear()

    def trex(self, containing: str = "") -> list[str]:
        """Return the module's lines, `<priority>` and all."""
        self._settle()
        return [line for line in self.lines if "pam_trex" in line and containing in line]

    def verdict(self) -> str:
        """Return the one line of the one login since `clear`."""
        verdicts = [line for line in self.trex() if re.search(r" ms=\d+", line)]
        assert len(verdicts) == 1, f"one line a login: {verdicts}"
        return verdicts[0]

    def everything(self) -> str:
        """Return all that was logged by anything."""
        self._settle()
        return "\n".join(self.lines)

    def _settle(self) -> None:
        """Wait until what was sent has arrived: a mark of our own comes behind it."""
        mark = f"<7>mark {next(self._marks)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(mark.encode(), "/dev/log")
        deadline = time.monotonic() + 30
        while mark not in self.lines:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        self.lines.remove(mark)


class Account:
    """A throwaway account with a home."""

    def __init__(self, name: str) -> None:
        subprocess.run(["useradd", "--create-home", "--user-group", "--shell", "/bin/bash", name],
                       check=True, capture_output=True)  # fmt: skip
        self.name = name
        self.home = Path("/home") / name
        self.uid = self.home.stat().st_uid
        self.gid = self.home.stat().st_gid
        self.record = self.home / ".auth_gpg"
        self.gnupg = self.home / ".gnupg"

    def own(self, path: Path, mode: int) -> Path:
        """Give `path` to the account."""
        os.chown(path, self.uid, self.gid)
        path.chmod(mode)
        return path

    def write(self, content: str | bytes, name: str = ".auth_gpg") -> Path:
        """Write a file of the account's, mode 0600."""
        path = self.home / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.own(path, 0o600)

    def run(self, *arguments: str, stdin: bytes = b"", check: bool = True) -> bytes:
        """Run a program as the account, in its home, and return its standard output."""
        done = subprocess.run(
            arguments, input=stdin, capture_output=True, check=False, cwd=self.home,
            user=self.uid, group=self.gid, extra_groups=[],
            env={"HOME": str(self.home), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"},
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{arguments}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def import_keys(self, exported: bytes) -> None:
        """Import public (or secret) keys into the account's own keyring."""
        self.gnupg.mkdir(mode=0o700, exist_ok=True)
        self.own(self.gnupg, 0o700)
        self.run("gpg", "--batch", "--quiet", "--import", stdin=exported)
        self.run("gpgconf", "--kill", "all")
        deadline = time.monotonic() + 30
        while any(path for name in ENDING for path in self.gnupg.glob(name)):
            assert time.monotonic() < deadline, "the agent or keyboxd has not ended"
            time.sleep(0.01)

    def end_daemons(self) -> None:
        """End the daemons of the account's own keyring, and see them end."""
        self.run("gpgconf", "--kill", "all")
        wait_for_daemons(self.gnupg)

    def leave(self) -> None:
        """Delete the account; its home stays, and whatever was made for it elsewhere."""
        subprocess.run(["userdel", "--force", self.name], check=True, capture_output=True)

    def give_name_to(self, uid: int) -> int:
        """Delete the account, and make another of its name, with its home; return `uid`."""
        subprocess.run(["userdel", "--force", self.name], check=False, capture_output=True)
        subprocess.run(["useradd", "--no-create-home", "--uid", str(uid), "--user-group",
                        "--home-dir", self.home, self.name], check=True, capture_output=True)  # fmt: skip
        return uid

    def remove(self) -> None:
        """Delete the account and its home."""
        subprocess.run(["userdel", "--remove", "--force", self.name],
                       check=True, capture_output=True)  # fmt: skip


def pam_service(name: str, *lines: str) -> str:
    """Write a PAM service; return its name."""
    (PAM_SERVICES / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return name


def trex_service(name: str, *arguments: str, control: str = "required") -> str:
    """Write a PAM service that logs in with this module alone."""
    module = " ".join(["auth", control, DOOR, *arguments])
    return pam_service(name, module, "account required pam_permit.so",
                       "session required pam_permit.so", "password required pam_deny.so")  # fmt: skip


def build_pam_client(directory: Path) -> Path:
    """Compile the PAM client in C."""
    client = directory / "pam_client"
    source = PROJECT / "tests/support/pam_client.c"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", client, source, "-lpam"],
                   check=True)  # fmt: skip
    return client


class Asked:
    """What the PAM client reported: one list of facts for each key, see pam_client.c."""

    def __init__(self, output: str, prompt: str) -> None:
        self.output = output
        self.prompt = prompt
        self.facts: dict[str, list[str]] = {}
        for line in output.splitlines():
            key, _, rest = line.partition(" ")
            self.facts.setdefault(key, []).append(rest)

    @property
    def verdicts(self) -> list[str]:
        """Return the PAM codes by name."""
        return [PAM_CODES[int(fact.split()[0])] for fact in self.facts["verdict"]]

    @property
    def verdict(self) -> str:
        """Return the only verdict."""
        assert len(self.verdicts) == 1
        return self.verdicts[0]

    def numbers(self, key: str) -> list[int]:
        """Return the first number of each fact of that key."""
        return [int(fact.split()[0]) for fact in self.facts.get(key, [])]


def ask_pam(
    client: Path, service: str, user: str, *options: str, seconds: float = 180,
    then: Sequence[str] = (), stdin: bytes = b"ABCDEFGHIJ\n",
) -> Asked:  # fmt: skip
    """Authenticate with the PAM client, run `then` from it, and return what it saw."""
    prompt = PLACE / f"prompt-{os.getpid()}-{threading.get_ident()}"
    prompt.write_text("")
    prompt.chmod(0o666)  # pam_google_authenticator asks with the user's rights
    done = subprocess.run(
        [client, "--prompt-file", prompt, *options, service, user, *then],
        capture_output=True, timeout=seconds, check=False, input=stdin,
        env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode in (0, 1), done
    return Asked(done.stdout.decode(errors="replace"), prompt.read_text(encoding="utf-8"))


def processes_here() -> dict[int, str]:
    """Return the living processes of this sandbox: whatever a test has left is among them.

    By their network: a login may have a mount namespace of its own.
    """
    here = os.stat("/proc/self/ns/net").st_ino
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.stat(entry / "ns/net").st_ino == here:
                name = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                found[int(entry.name)] = name or (entry / "comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def wait_for_daemons(home: Path) -> None:
    """Wait until GnuPG's daemons of a home have ended: they answer first, and remove files then."""
    deadline = time.monotonic() + 60
    while left := [name for name in processes_here().values() if f"--homedir {home} " in name]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def listening_ports() -> set[int]:
    """Return the TCP ports that anything in this network namespace listens on."""
    ports = set()
    for table in ("tcp", "tcp6"):
        path = Path("/proc/self/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            _, local, _, state, *_ = line.split()
            if state == LISTENING:
                ports.add(int(local.rpartition(":")[2], 16))
    return ports


def stray_files() -> set[str]:
    """Return what lies where temporary files lie."""
    places = [Path("/run"), Path("/run/lock"), Path("/dev/shm"), Path("/dev/mqueue")]
    found = {str(path) for place in places if place.exists() for path in place.iterdir()}
    return found - STAYING


def listing(root: Path, *leaving_out: str) -> dict[str, tuple[object, ...]]:
    """Return everything about every file under `root` that a login might change, but atime."""
    seen: dict[str, tuple[object, ...]] = {}
    for path in [root, *sorted(root.rglob("*"))]:
        status = path.lstat()
        if path.name not in leaving_out:
            seen[str(path)] = (status.st_mode, status.st_uid, status.st_gid, status.st_size,
                               status.st_mtime_ns, status.st_ctime_ns, status.st_ino)  # fmt: skip
    return seen
