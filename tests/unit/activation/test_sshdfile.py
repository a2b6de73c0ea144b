"""sshd's lines: those of the README where there is no file, and what is there already stays."""

from __future__ import annotations

import re
from pathlib import Path

from trex.cli.activation.sshdfile import ADVISED, COMMENT, NEEDED, with_settings

README = (Path(__file__).resolve().parents[3] / "docs/configuration.md").read_text("utf-8")


def settings(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_a_new_file_has_the_lines_of_the_page() -> None:
    block = re.search(r"`/etc/ssh/sshd_config.d/01-trex.conf`:\n\n((?:    .*\n)+)", README)
    assert block
    assert settings(with_settings(None)) == [line.strip() for line in block[1].splitlines()]


def test_a_file_that_has_everything_is_left_alone() -> None:
    text = "".join(f"{name.lower()} {value}\n" for name, value in {**NEEDED, **ADVISED}.items())
    assert with_settings(text) == text
    assert with_settings(with_settings(None)) == with_settings(None)


def test_what_the_administrator_knows_better_stays_and_the_rest_comes() -> None:
    text = "# ours\nMaxStartups 500:30:900\nPasswordAuthentication yes\n"
    found = with_settings(text)
    assert found.startswith("# ours\nMaxStartups 500:30:900\n" + COMMENT)
    assert "PasswordAuthentication yes" not in found
    assert "PasswordAuthentication no" in found
    assert found.count("MaxStartups") == len(["MaxStartups", "PerSourceMaxStartups"])


def test_a_match_block_stays_behind_the_settings_for_all() -> None:
    text = "UsePAM yes\n\nMatch User backup\n    AuthenticationMethods publickey\n"
    found = with_settings(text)
    before, match, after = found.partition("Match User backup\n")
    assert match
    assert after == "    AuthenticationMethods publickey\n"
    assert settings(before)[0] == "UsePAM yes"
    assert "AuthenticationMethods publickey,keyboard-interactive:pam" in settings(before)
