"""What docs/troubleshooting.md and docs/auth_gpg.md quote are messages that the code has."""

from __future__ import annotations

import ast
import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from trex import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
# What a row looks like: its first cell has what is quoted.
QUOTED = [
    quote
    for row in re.findall(r"^\| (.*?) \| ", PAGE, re.MULTILINE)
    for quote in re.findall(r"`([^`]+)`", row)
]
# And the second cell, on the page of the record.
ERRORS = (ROOT / "docs/auth_gpg.md").read_text(encoding="utf-8").partition("\n## Errors\n")[2]
QUOTED += re.findall(r"^\| .*? \| `([^`]+)`", ERRORS, re.MULTILINE)
# Words of the kernel's, of pam_python, libpam, doas, su, ssh, sshd and OpenSSL.
NOT_OURS = [
    *map(os.strerror, errno.errorcode),
    "Can not open module", "PAM unable to dlopen", "Module is unknown", "Authentication failed",
    "Connection reset", "Not allowed at this time", "drop connection", "certificate has expired",
    "certificate is not yet valid",
    "alice@example.org trust nosign webQrAuthTls key.pem cert.pem",  # a user's record
]  # fmt: skip
ENOUGH = 0.5  # of a quote's pairs of words: between some others a value stands in the code
LETTERS = 12  # of a message's own, for one that a quote has to be like


def said() -> Iterator[str]:
    for path in [*ROOT.glob("trex/**/*.py"), ROOT / "pam_trex.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value
    yield from re.findall(
        r'pam_syslog\(.*?"(.*?)"', (ROOT / "native/pam_trex.c").read_text("utf-8")
    )
    yield (ROOT / "script/install").read_text("utf-8")
    for path in ROOT.glob("trex/**/*.html"):
        yield " ".join(path.read_text(encoding="utf-8").split())


def forms() -> Iterator[re.Pattern[str]]:
    """Yield each message that is made from values, as what it looks like whatever they are."""
    for path in ROOT.glob("trex/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                own = [str(part.value) for part in node.values if isinstance(part, ast.Constant)]
                if sum(map(str.isalpha, "".join(own))) >= LETTERS:
                    yield re.compile("".join(map(shape, node.values)))


def shape(part: ast.expr) -> str:
    return re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+"


SAID = "\0".join(said())
FORMS = list(forms())


def pairs(quote: str) -> list[str]:
    """Return each two words that stand side by side in a quote, without names, paths and numbers."""
    for words in NOT_OURS:
        quote = quote.replace(words, " : ")
    parts = re.split(r"[^\w' -]+|\b(?:alice|nobody)\b|\S*[\d=_/]\S*|\b[A-Z]+\b", quote)
    return [" ".join(two) for part in parts for two in zip(*shifted(part.split()), strict=False)]


def shifted(words: list[str]) -> tuple[list[str], list[str]]:
    return words, words[1:]


@pytest.mark.parametrize("quote", sorted(set(QUOTED)))
def test_a_message_on_the_page_is_one_of_the_code_s(quote: str) -> None:
    two = pairs(quote)
    known = [pair for pair in two if pair in SAID]
    made = any(form.search(quote) for form in FORMS)
    assert made or len(known) >= ENOUGH * len(two), sorted(set(two) - set(known))


def test_most_quotes_have_words_to_look_for() -> None:
    assert len(QUOTED) > 120
    assert len([quote for quote in QUOTED if pairs(quote)]) > 100


def test_a_message_that_nobody_says_is_seen() -> None:
    two = pairs("/home/alice/.auth_gpg:1: the moon was found full")
    assert two == ["the moon", "moon was", "was found", "found full"]
    assert [pair for pair in two if pair in SAID and pair != "was found"] == []


def test_each_outcome_is_on_the_page_as_the_log_begins_with_it() -> None:
    outcomes = {value.text for value in vars(errors).values() if isinstance(value, errors.Outcome)}
    table = PAGE.partition("\n## Outcomes\n")[2].partition("\n\nThere is ")[0]
    assert set(re.findall(r"^\| `([^`:]+):", table, re.MULTILINE)) == outcomes
