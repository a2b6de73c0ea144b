"""The frames between pam_trex.so and its helper: one table, in C, in Python and in the document."""

from __future__ import annotations

import re
from pathlib import Path

from trex.login import door

ROOT = Path(__file__).resolve().parents[3]
HEADER = (ROOT / "native/frames.h").read_text("utf-8")
MODULE = (ROOT / "native/pam_trex.c").read_text("utf-8")
PAGE = (ROOT / "docs/architecture.md").read_text("utf-8")
SECTION = PAGE.partition("\n### pam_trex.so\n")[2].partition("\n## ")[0]
ROWS = re.findall(r"^\| ([A-Z_]+) \| `(.)` \| (\w+) \| (.*?) \| (\d+)(?: to (\d+))? \|",
                  SECTION, re.MULTILINE)  # fmt: skip


def limit(name: str, text: str) -> int:
    """Return a product of numbers that the C code gives to a name."""
    [found] = re.findall(rf"\b{name} (?:= )?([\dL *]+?)(?:,| /\*)", text)
    product = 1
    for factor in found.replace("L", "").split("*"):
        product *= int(factor)
    return product


def test_the_kinds_of_frames_are_the_same_in_all_three() -> None:
    in_c = dict(re.findall(r"\b([A-Z_]+) = '(.)'", HEADER))
    assert {name: byte for name, byte, *_ in ROWS} == in_c
    in_python = {name: getattr(door, name) for name in in_c if name != "FAILED"}
    assert in_python == {name: byte.encode() for name, byte in in_c.items() if name != "FAILED"}
    assert len(set(in_c.values())) == len(in_c) == 12


def test_the_verdicts_are_the_same_in_all_three() -> None:
    in_c = re.findall(r'\{"(\w+)", PAM_\w+\}', MODULE)
    [told] = [text for name, _, _, text, *_ in ROWS if name == "VERDICT"]
    assert set(re.findall(r"`(\w+)`", told)) == set(in_c)
    assert {verdict.decode() for verdict in door.VERDICTS.values()} == set(in_c)
    sizes = [(int(least), int(most)) for name, _, _, _, least, most in ROWS if name == "VERDICT"]
    assert sizes == [(min(map(len, in_c)) + 1, max(map(len, in_c)) + 1)]


def test_sizes_and_times_are_as_the_page_says() -> None:
    most = limit("MAX_FRAME", HEADER)
    assert most == door.MAX_FRAME
    assert {int(largest) for *_, largest in ROWS if largest and int(largest) > 100} == {most}
    assert f"at most {most} bytes" in SECTION
    assert f"more than {limit('MAX_FRAMES', HEADER)} frames" in SECTION
    assert f"{limit('SILENCE_MS', HEADER) // 1000} seconds without a frame" in SECTION
    assert f"{limit('END_MS', HEADER) // 1000} seconds from the verdict" in SECTION
    assert limit("SOCKET", HEADER) == door.SOCKET_FD


def test_the_shortest_login_has_the_least_bytes_of_the_table() -> None:
    shortest = b"L" + b"\0".join([b"0", b"1", b"0", b"", b"", b"", b"", b""]) + b"\0"
    assert [int(least) for name, *_, least, _ in ROWS if name == "LOGIN"] == [len(shortest)]
