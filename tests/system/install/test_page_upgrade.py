"""Upgrade and uninstall as docs/operations.md has them: what is said, and whether it works as typed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from tests.support.installation import ENTRY, LIBRARY, install
from tests.support.page_text import blocks, typed
from tests.support.sandbox import PAM_SERVICES, PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "docs/operations.md"
UPGRADE, BACK = blocks(PAGE, "## Upgrade")
UNINSTALL, HOOK_GONE, FOR_GOOD = blocks(PAGE, "## Uninstall")
HOOK = blocks(PAGE, "## Somebody leaves")[1]
SET_UP, *_ = blocks("README.md", "### Central mode")
CODES = blocks("docs/totp.md", "## Secrets that users cannot read")[1]
SIGNING, *_ = blocks("docs/configuration.md", "### Signed challenges")
SERVICES = ("trex-page-a", "trex-page-b")


@pytest.fixture
def checkout(place: Path) -> Iterator[Path]:
    """A checkout whose changelog a test may write."""
    path = place / "checkout"
    kept = shutil.ignore_patterns(".git", ".venv", "build", "__pycache__", "fixtures", ".*_cache")
    shutil.copytree(PROJECT, path, ignore=kept)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def services(no_service: None) -> Iterator[None]:
    """Two services that ask, each through another module."""
    sandbox.pam_service(
        SERVICES[0], "# auth required pam_trex.so", "auth required pam_python.so pam_trex.py"
    )
    sandbox.pam_service(
        SERVICES[1], "auth required pam_trex.so nullok", "auth required pam_trex.so method=totp"
    )
    yield
    for name in SERVICES:
        (PAM_SERVICES / name).unlink(missing_ok=True)


@pytest.fixture
def accounts() -> Iterator[None]:
    """Remove what a test has left of these accounts."""
    yield
    for name in ("_trex", "_trex-totp", "_trex-sms"):
        subprocess.run(["userdel", "--force", name], check=False, capture_output=True)


def installed_from(checkout: Path) -> str:
    return typed(UPGRADE.splitlines()[1], checkout)


def test_an_upgrade_says_what_is_new_and_who_asks_through_what(
    var_lib: Path, checkout: Path, services: None
) -> None:
    first = installed_from(checkout)
    assert "Until now" not in first
    assert f"    /etc/pam.d/{SERVICES[0]}   through pam_python.so pam_trex.py\n" in first
    assert f"    /etc/pam.d/{SERVICES[1]}   through pam_trex.so\n" in first
    assert "has nothing new since then" in installed_from(checkout)
    changes = checkout / "CHANGELOG.md"
    text = changes.read_text()
    more = "- Codes of `seven` digits are longer than those of six, and here is more text, so that\n  it is folded.\n"
    changes.write_text(text.replace("\n- ", f"\n{more}- ", 1))
    said = installed_from(checkout)
    assert re.search(
        r"^Until now it was 0\.\S+\. New since then:\n  - Codes of `seven` digits",
        said,
        re.MULTILINE,
    )
    assert said.count("\n  - ") == 1
    assert (
        max(map(len, said.partition("New since then:")[2].partition("PAM finds")[0].splitlines()))
        <= 80
    )
    many = "".join(f"- Change {n}.\n" for n in range(20))
    changes.write_text(text.replace("\n- ", f"\n{many}- ", 1))
    said = installed_from(checkout)
    assert said.count("\n  - Change ") == 12
    assert "\n  and 8 more: CHANGELOG.md\n" in said
    (LIBRARY / "current/CHANGELOG.md").unlink()
    assert "What is new: CHANGELOG.md" in installed_from(checkout), "an earlier one had none"


def test_the_version_from_before_is_used_again(var_lib: Path, checkout: Path) -> None:
    installed_from(checkout)
    before = (LIBRARY / "current").resolve()
    installed_from(checkout)
    assert (LIBRARY / "current").resolve() != before
    typed(BACK, checkout)
    assert (LIBRARY / "current").resolve() == before
    assert ENTRY.resolve() == before / "pam_trex.py"
    assert "trex" in typed("trex --version", checkout)


def test_removal_is_refused_as_long_as_a_service_names_it(
    var_lib: Path, checkout: Path, services: None
) -> None:
    installed_from(checkout)
    said = typed(UNINSTALL, checkout, 1)
    assert all(f"/etc/pam.d/{name}\n" in said for name in SERVICES)
    assert ENTRY.exists()


def test_what_stays_is_said_and_goes_by_the_commands_that_are_printed(
    var_lib: Path, checkout: Path, no_service: None, accounts: None
) -> None:
    """The agent of the key that signs still runs, and would keep its account."""
    assert install("--sms").returncode == 0
    typed(SET_UP, checkout)
    typed(CODES, checkout)
    typed(SIGNING.replace("runuser -u _trex -- gpgconf", "true"), checkout)
    for path in ("etc/trex/phones", "var/lib/trex/sms/counts", "var/lib/trex/totp/alice"):
        Path("/", path).write_text("x\n")
    said = typed(UNINSTALL, checkout)
    assert max(map(len, said.partition("This stays")[2].splitlines())) <= 80
    assert "~/.trex_recovery\n" in said
    for path in ("/etc/trex ", "/var/lib/trex/gnupg ", "/var/lib/trex/totp ", "/var/lib/trex/sms "):
        assert f"\n    {path}" in said
    assert re.search(r"\n    accounts +_trex", said)
    assert Path("/var/lib/trex/gnupg").exists()
    printed = re.sub("^    ", "", said.partition("as root:\n\n")[2], flags=re.MULTILINE)
    assert sorted(printed.splitlines()) == sorted(FOR_GOOD.splitlines())
    typed(printed.replace("userdel", "userdel --force"), checkout)  # others' tests use these uids
    assert not Path("/etc/trex").exists()
    assert not Path("/var/lib/trex").exists()
    assert "_trex" not in Path("/etc/passwd").read_text() + Path("/etc/group").read_text()


def test_the_page_s_hook_of_userdel_goes_by_its_line(checkout: Path) -> None:
    """Without trex it would say on each userdel that it is not found."""
    hook = Path("/etc/shadow-maint/userdel-post.d/trex")
    typed(HOOK, checkout)
    assert hook.exists()
    typed(HOOK_GONE, checkout)
    assert not hook.exists()


def test_where_nothing_stays_nothing_is_said(
    var_lib: Path, checkout: Path, no_service: None
) -> None:
    installed_from(checkout)
    assert typed(UNINSTALL, checkout) == "Trex was removed.\n"
