"""The manual: pages for each command, for the module and for its files, that every man(1) can show."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from trex.cli.main import COMMANDS

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = {"pam_trex.8", "auth_gpg.5", "trex-sms.toml.5"}


@pytest.fixture(scope="module")
def pages(place: Path) -> list[Path]:
    """Make all pages, as a package has them."""
    made = place / "manual"
    subprocess.run([sandbox.PROJECT / "script/manual", made], check=True)
    subprocess.run(["/usr/bin/python3", "-B", "-m", "trex.cli.manual", made], check=True,
                   cwd=sandbox.PROJECT, env={"PATH": "/usr/bin:/bin"})  # fmt: skip
    return sorted(made.glob("man*/*"))


def test_there_is_a_page_for_each_command_and_file(pages: list[Path]) -> None:
    programs = {"trex.1", "trex-askpass.1", "trex-sudo-askpass.1"}
    assert {page.name for page in pages} == OTHERS | programs | {f"trex-{c}.1" for c in COMMANDS}


def test_no_formatter_warns(pages: list[Path]) -> None:
    told = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert told.stdout + told.stderr == ""
    for page in pages:
        told = subprocess.run(["groff", "-ww", "-man", "-t", "-z", "-Tutf8", page],
                              capture_output=True, text=True, check=True)  # fmt: skip
        assert told.stderr == "", page.name


def test_each_argument_of_the_module_is_on_its_page(pages: list[Path]) -> None:
    (page,) = (page for page in pages if page.name == "pam_trex.8")
    shown = subprocess.run(["mandoc", "-T", "ascii", page], capture_output=True, text=True,
                           check=True).stdout  # fmt: skip
    for argument in ("auth_file=", "run_as=", "nullok", "web_ports=", "fleet"):
        assert argument in shown
    assert "](" not in shown, "a link of the page in docs/"
    assert "record (auth_gpg(5))" in " ".join(shown.split()), "which a link in docs/ leads to"
    assert shown.count("(grace.md)") == 1, "where it is first named"


def test_each_name_with_an_underscore_has_it_on_its_page_too(pages: list[Path]) -> None:
    for name, source in (("pam_trex.8", "configuration"), ("auth_gpg.5", "auth_gpg"),
                         ("trex-sms.toml.5", "sms")):  # fmt: skip
        (page,) = (page for page in pages if page.name == name)
        shown = subprocess.run(["mandoc", "-T", "ascii", "-O", "width=500", page],
                               capture_output=True, text=True, check=True).stdout  # fmt: skip
        shown = re.sub(".\b", "", shown)
        text = (sandbox.PROJECT / "docs" / f"{source}.md").read_text("utf-8")
        text = re.sub(r"\]\([^)]*\)", "", text)
        for word in {"pam_trex(8)", "auth_gpg(5)", *re.findall(r"\b[a-z]+_[a-z]+\b", text)}:
            assert word in shown, f"{word} in {name}"
            assert word.replace("_", "") not in shown, f"{word} in {name}"


def test_whatis_finds_them(pages: list[Path], place: Path) -> None:
    base = place / "man"
    for page in pages:
        (base / page.parent.name).mkdir(parents=True, exist_ok=True)
        section = f"man{page.suffix[1:]}"
        (base / section).mkdir(exist_ok=True)
        (base / section / page.name).write_bytes(page.read_bytes())
    subprocess.run(["mandb", "--quiet", "--create", base], check=True, capture_output=True)
    for page in pages:
        told = subprocess.run(["whatis", "-M", base, page.stem], capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert f"{page.stem} ({page.suffix[1:]})" in told.stdout, told.stderr
    told = subprocess.run(["apropos", "-M", base, "OpenPGP"], capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert "pam_trex (8)" in told.stdout
