"""Which files trex-confine leaves to gpg, by their names, and which places and sockets of others."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.proof.checkout import ROOT
from trex.system import landlock, seccomp

if TYPE_CHECKING:
    from collections.abc import Iterator

if os.geteuid() != 0:
    pytest.skip("root may open whatever Landlock does not deny", allow_module_level=True)
if landlock.version() == 0 or not seccomp.is_available():
    pytest.skip("this kernel has no Landlock", allow_module_level=True)

SYSTEM = [
    "/usr/bin/true", "/etc/ld.so.cache", "/etc/localtime", "/etc/nsswitch.conf", "/etc/passwd",
    "/dev/urandom", "/dev/random",
]  # fmt: skip
OPTIONAL = [
    "/proc/sys/crypto",
    "/etc/gnupg",
    "/etc/gcrypt",
    "/etc/crypto-policies",
]  # this host may have none
KEYRING = ["pubring.kbx", "pubring.gpg", "trustdb.gpg", "common.conf"]
OF_DAEMONS = [
    "public-keys.d", "public-keys.d/pubring.db", "public-keys.d/other", "gpg-agent.conf", "scdaemon.conf",
]  # fmt: skip
PREFIX = ["lib/a", "lib64/a", "libexec/a", "etc/gnupg/a", "bin/a"]
# Each argument is a letter and a path: to read, write, create, run or truncate it, to ask the device for
# how much it has, or (@) to connect.
SOURCE = """\
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(const char *path)
{
    int status = 0, child = fork();

    if (child == 0) {
        execl(path, path, NULL);
        _exit(errno);
    }
    waitpid(child, &status, 0);
    errno = WEXITSTATUS(status);
    return errno ? -1 : 0;
}

static int join(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path + 1, name);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, 3 + strlen(name));
}

int main(int argc, char **argv)
{
    int entropy;

    for (int i = 1; i < argc; i++) {
        const char *path = argv[i] + 1;
        int result = *argv[i] == 'r' ? open(path, O_RDONLY)
                   : *argv[i] == 'w' ? open(path, O_WRONLY)
                   : *argv[i] == 'c' ? open(path, O_WRONLY | O_CREAT | O_EXCL, 0600)
                   : *argv[i] == 'x' ? run(path)
                   : *argv[i] == 't' ? truncate(path, 0)
                   : *argv[i] == 'i' ? ioctl(open(path, O_RDONLY), _IOR('R', 0, int), &entropy) : join(path);
        printf("%s %s\\n", argv[i], result < 0 ? strerrorname_np(errno) : "works");
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def built() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="trex-files-") as made:
        path = Path(made)
        (path / "try.c").write_text(SOURCE)
        subprocess.run(["gcc", "-o", path / "try", path / "try.c"], check=True)
        subprocess.run([ROOT / "script/confine", path / "trex-confine"], check=True)
        yield path


@pytest.fixture
def home(built: Path) -> Iterator[Path]:
    made = built / "home"
    for name in [*KEYRING, *OF_DAEMONS[1:], "private-keys-v1.d/a"]:
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text("x")
    yield made
    shutil.rmtree(made)


def tried(
    built: Path, kind: str, home: Path, *what: str, place: str = "/", program: Path | None = None
) -> dict[str, str]:
    """Return what became of each attempt, made by a process that is where `place` says, or the program.

    The private home of a login is made in a /run of this process's own. Many descriptors are open, so
    that numbers of two digits are met.
    """
    enter = """
        mount -t tmpfs none /run; mkdir -p /run/trex-pam.home/below /run/trex-pam.away; cp /bin/true /run
        cd "$1"; shift; exec "$@" 3</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null 9</dev/null
        """
    command: list[str | Path] = [
        built / "trex-confine",
        kind,
        home,
        program or built / "try",
        *what,
    ]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-e", "-c", enter, "sh", place, *command], check=True,
        capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    lines = (line.rpartition(" ") for line in done.stdout.splitlines())
    return {attempt: result for attempt, _, result in lines}


PRIVATE = "/run/trex-pam.home"


@pytest.mark.parametrize("kind", ["alone", "daemons"])
def test_what_libraries_look_up_for_themselves_is_read_and_not_written(
    built: Path, home: Path, kind: str
) -> None:
    there = [*SYSTEM, *(path for path in OPTIONAL if Path(path).exists())]
    found = tried(
        built, kind, home, *(f"r{path}" for path in there), "w/etc/passwd", "w/usr/bin/true",
        "w/dev/null", place=PRIVATE,
    )  # fmt: skip
    assert found == {
        **dict.fromkeys((f"r{path}" for path in there), "works"),
        "w/etc/passwd": "EACCES", "w/usr/bin/true": "EACCES", "w/dev/null": "works",
    }  # fmt: skip


def test_gpg_alone_reads_the_public_keyring_and_nothing_of_the_daemons(
    built: Path, home: Path
) -> None:
    ring, other = ([f"r{home}/{name}" for name in names] for names in (KEYRING, OF_DAEMONS))
    written = [f"w{home}/{name}" for name in KEYRING]
    found = tried(built, "alone", home, *ring, *other, *written)
    assert found == {
        **dict.fromkeys(ring, "works"), **dict.fromkeys([*other, *written], "EACCES"),
    }  # fmt: skip


def test_daemons_read_settings_too_run_programs_and_write_in_the_login_s_home(
    built: Path, home: Path
) -> None:
    works = [*(f"r{home}/{name}" for name in [*KEYRING, *OF_DAEMONS]), "r/opt", "r/sys/kernel",
             "r/proc/version", "r/run", "r/etc/shells", "r/dev", "c./new", "w./new", "x/bin/true",
             "w/dev/zero", f"r{home}/private-keys-v1.d/a"]  # fmt: skip
    denied = [
        f"w{home}/pubring.kbx",
        f"c{home}/new",
        "c/run/new",
        "w/etc/shells",
        "r/root",
        "c/opt/new",
    ]
    assert tried(built, "daemons", home, *works, *denied, place=PRIVATE) == {
        **dict.fromkeys(works, "works"), **dict.fromkeys(denied, "EACCES"),
    }  # fmt: skip


def test_daemons_run_what_is_in_opt_and_nothing_that_is_in_run(built: Path, home: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="trex-try-", dir="/opt") as made:
        shutil.copy("/bin/true", f"{made}/true")
        found = tried(built, "daemons", home, f"x{made}/true", "x/run/true", place=PRIVATE)
    assert found == {f"x{made}/true": "works", "x/run/true": "EACCES"}


@pytest.mark.parametrize("place", ["/", f"{PRIVATE}/below", "/run/trex-pam.away"])
def test_daemons_in_another_directory_follow_links_to_the_account_s_files(
    built: Path, home: Path, place: str
) -> None:
    """That is where no file system can be mounted: gpg-agent rewrites what the links lead to."""
    attempt = f"c{home}/new"
    assert tried(built, "daemons", home, attempt, place=place) == {attempt: "works"}


@pytest.fixture
def prefixes(built: Path) -> Iterator[tuple[Path, Path]]:
    """A gpg with what is beside it, as /opt has it, and a profile that has a link to it."""
    made = built / "opt/gnupg", built / "opt/profile"
    for prefix in made:
        for name in [*PREFIX, "share/a"]:
            (prefix / name).parent.mkdir(parents=True, exist_ok=True)
            (prefix / name).write_text("x")
    shutil.copy(built / "try", made[0] / "bin/try")
    shutil.copy("/bin/true", made[0] / "libexec/true")
    (made[1] / "bin/try").symlink_to(made[0] / "bin/try")
    yield made
    shutil.rmtree(built / "opt")


@pytest.mark.parametrize("by_link", [False, True])
def test_a_gpg_of_its_own_prefix_has_what_is_beside_it_and_beside_a_link_to_it(
    built: Path, home: Path, prefixes: tuple[Path, Path], by_link: bool
) -> None:
    itself, profile = prefixes
    found = tried(
        built, "alone", home,
        *(f"r{prefix}/{name}" for prefix in prefixes for name in [*PREFIX, "share/a"]),
        program=(profile if by_link else itself) / "bin/try",
    )  # fmt: skip
    given = {True: "works", False: "EACCES"}
    assert found == {
        **{f"r{itself}/{name}": "works" for name in PREFIX}, f"r{itself}/share/a": "EACCES",
        **{f"r{profile}/{name}": given[by_link] for name in PREFIX}, f"r{profile}/share/a": "EACCES",
    }  # fmt: skip


def test_the_daemons_of_a_prefix_run(built: Path, home: Path, prefixes: tuple[Path, Path]) -> None:
    itself, _ = prefixes
    run = f"x{itself}/libexec/true"
    found = tried(built, "daemons", home, run, program=itself / "bin/try", place=PRIVATE)
    assert found == {run: "works"}


def test_what_is_a_link_in_the_keyring_is_read_where_it_is_by_its_name_alone(
    built: Path, home: Path
) -> None:
    away = built / "away"
    (away / "public-keys.d").mkdir(parents=True)
    for name in (
        "pubring.db",
        "other",
        "public-keys.d/pubring.db",
        "gpg-agent.conf",
        "scdaemon.conf",
    ):
        (away / name).write_text("x")
        if (home / name).is_file():
            (home / name).unlink()
            (home / name).symlink_to(away / name)
    reads = [
        f"r{home}/public-keys.d/pubring.db",
        f"r{home}/gpg-agent.conf",
        f"r{home}/scdaemon.conf",
    ]
    found = tried(built, "daemons", home, *reads, f"r{away}/other", place=PRIVATE)
    assert found == {**dict.fromkeys(reads, "works"), f"r{away}/other": "EACCES"}
    shutil.rmtree(home / "public-keys.d")
    (home / "public-keys.d").symlink_to(away / "public-keys.d")
    assert tried(built, "daemons", home, f"r{home}/public-keys.d", place=PRIVATE) == {
        f"r{home}/public-keys.d": "works"
    }
    shutil.rmtree(away)


def test_what_is_read_is_neither_cut_nor_asked_as_a_device_where_the_kernel_knows_how(
    built: Path, home: Path
) -> None:
    """Landlock knows truncate(2) since version 3, and ioctl(2) since 5."""
    ring = f"t{home}/pubring.kbx"
    assert tried(built, "alone", home, ring, "i/dev/urandom") == {
        ring: "EACCES" if landlock.version() >= 3 else "works",
        "i/dev/urandom": "EACCES" if landlock.version() >= 5 else "works",
    }


@pytest.mark.parametrize("kind", ["alone", "daemons"])
def test_no_abstract_socket_of_others_is_theirs_where_the_kernel_knows_how(
    built: Path, home: Path, kind: str
) -> None:
    """A desktop's bus may have one, and no directory's mode protects it."""
    name = f"trex-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        found = tried(built, kind, home, f"@{name}", place=PRIVATE)
    assert found == {f"@{name}": "EPERM" if landlock.version() >= 6 else "works"}


def test_a_path_that_is_too_long_is_none(built: Path) -> None:
    """And nothing is written past the end of what is there for one."""
    home = Path("/" + "a/" * 40_000 + "a")
    assert tried(built, "alone", home, "w/dev/null") == {"w/dev/null": "works"}
