"""`trex setup` and the user's files: shown, written in one step, and restored byte for byte."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pexpect
import pytest

from tests.support.session import set_up

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.client import Client

CONTENTS = {
    "usual": b"export A=1\n",
    "last line not ended": b"export A=1",
    "empty": b"",
    "an empty line": b"\n",
    "other line ends": b"# a comment\r\n",
    "not UTF-8": b"# \xe9t\xe9\n",
    "none": None,
}
FILES = (".profile", ".bashrc", ".zshenv")


def contents(home: Path) -> dict[str, tuple[bytes, int]]:
    """Return each file with its mode; Trex's own keyring and pins are not `trex setup`'s."""
    return {
        str(path.relative_to(home)): (path.read_bytes(), path.stat().st_mode)
        for path in home.rglob("*")
        if path.is_file() and ".gnupg" not in path.parts
    }


@pytest.mark.parametrize("content", CONTENTS.values(), ids=list(CONTENTS))
def test_undo_restores_each_file_byte_for_byte(laptop: Client, content: bytes | None) -> None:
    for name in FILES:
        (laptop.home / name).unlink(missing_ok=True)
        if content is not None:
            laptop.account.write(content, name)
    before = contents(laptop.home)
    assert set_up(laptop).returncode == 0
    assert contents(laptop.home) != before
    again = set_up(laptop)
    assert "nothing to change" in again.stderr
    assert again.stdout == ""
    assert set_up(laptop, "--undo").returncode == 0
    assert contents(laptop.home) == before
    assert "Nothing of trex setup is there" in set_up(laptop, "--undo").stderr


def test_it_is_shown_before_it_is_written(laptop: Client) -> None:
    before = contents(laptop.home)
    dry = laptop.run("trex", "setup", "--dry-run")
    assert dry.returncode == 0
    assert f"+++ {laptop.home}/.profile" in dry.stdout
    assert "+    SSH_ASKPASS_REQUIRE=force" in dry.stdout
    assert contents(laptop.home) == before
    terminal = laptop.type("trex", "setup")
    terminal.expect_exact("+    SSH_ASKPASS_REQUIRE=force")
    terminal.expect_exact("Shall this be written? [y/N] ")
    terminal.sendline("n")
    terminal.expect(pexpect.EOF)
    assert contents(laptop.home) == before
    alone = laptop.run("trex", "setup")
    assert (alone.returncode, contents(laptop.home)) == (1, before)


def test_a_link_is_followed_and_modes_stay(laptop: Client) -> None:
    """Many people keep their profiles in a repository."""
    dotfiles = laptop.home / "dotfiles"
    laptop.account.run("mkdir", "dotfiles")
    kept = laptop.account.write("export A=1\n", "dotfiles/profile")
    kept.chmod(0o640)
    (laptop.home / ".profile").unlink()
    laptop.account.run("ln", "-s", "dotfiles/profile", ".profile")
    laptop.account.run("setfacl", "-m", "u:daemon:r", str(kept)) if _has_acl(kept) else None
    access = laptop.account.run("stat", "-c", "%a %U %G", str(kept))
    set_up(laptop)
    assert (laptop.home / ".profile").is_symlink()
    assert b"trex/environment.sh" in kept.read_bytes()
    assert laptop.account.run("stat", "-c", "%a %U %G", str(kept)) == access
    set_up(laptop, "--undo")
    assert kept.read_text() == "export A=1\n"
    assert not list(dotfiles.glob(".trex*"))


def _has_acl(path: Path) -> bool:
    try:
        os.setxattr(path, "user.trex", b"1")
    except OSError:
        return False
    os.removexattr(path, "user.trex")
    return True


def test_what_cannot_be_replaced_is_refused_and_nothing_is_changed(laptop: Client) -> None:
    profile, rc = laptop.home / ".profile", laptop.home / ".bashrc"
    usual = profile.read_bytes()

    def dangling() -> None:
        rc.symlink_to("nowhere")

    def foreign() -> None:
        rc.write_bytes(b"")

    def linked() -> None:
        laptop.account.write("", "other")
        os.link(laptop.home / "other", rc)

    def directory() -> None:
        rc.mkdir()

    def damaged() -> None:
        laptop.account.write("# >>> trex setup >>>\nexport A=1\n", ".bashrc")

    for make, told in (
        (dangling, "No such file"), (foreign, "belongs to another user"),
        (linked, "2 hard links"), (directory, "is not a file"), (damaged, "by hand"),
    ):  # fmt: skip
        rc.unlink()
        make()
        done = set_up(laptop)
        assert done.returncode == 1
        assert told in done.stderr
        assert profile.read_bytes() == usual, told
        assert not (laptop.home / ".config/trex/environment.sh").exists()
        if make is directory:
            rc.rmdir()
            rc.touch()


def test_a_file_that_trex_did_not_write_is_left_alone(laptop: Client) -> None:
    laptop.account.run("mkdir", "-p", ".config/trex")
    mine = laptop.account.write("export MINE=1\n", ".config/trex/environment.sh")
    for options in ((), ("--undo",)):
        done = set_up(laptop, *options)
        assert "trex setup has not written it" in done.stderr
    assert mine.read_text() == "export MINE=1\n"


def test_what_the_user_writes_around_the_block_stays(laptop: Client) -> None:
    laptop.account.write("export A=1\n", ".profile")
    set_up(laptop)
    profile = laptop.home / ".profile"
    laptop.account.write(b"export B=2\n" + profile.read_bytes() + b"export C=3\n", ".profile")
    assert "nothing to change" in set_up(laptop).stderr
    set_up(laptop, "--undo")
    assert profile.read_text() == "export B=2\nexport A=1\nexport C=3\n"


def test_a_failure_leaves_every_file_as_it_was(laptop: Client) -> None:
    """A directory that cannot be written, after other files were."""
    repository = laptop.home / "repository"
    laptop.account.run("mkdir", "repository")
    laptop.account.write("export A=1\n", "repository/bashrc")
    (laptop.home / ".bashrc").unlink()
    laptop.account.run("ln", "-s", "repository/bashrc", ".bashrc")
    laptop.account.own(repository, 0o500)
    before = contents(laptop.home)
    done = set_up(laptop)
    assert done.returncode == 1
    assert "Permission denied" in done.stderr
    assert contents(laptop.home) == before
    laptop.account.own(repository, 0o700)


def test_another_user_s_home_is_not_touched(laptop: Client) -> None:
    """`sudo -E` keeps HOME."""
    done = laptop.run("trex", "setup", "--yes", environment={"HOME": "/root"})
    assert done.returncode == 1
    assert "run it without sudo" in done.stderr
