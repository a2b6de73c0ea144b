"""The PAM stack as libpam reads it, and its verdict on its modules' results."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.cli.doctor import stack as stack_module
from trex.cli.doctor.dispatch import lets_in
from trex.cli.doctor.doors import NATIVE, PAM_PYTHON, asked_by, trex_rules
from trex.cli.doctor.remedy import line_of
from trex.cli.doctor.service import check_pam_service
from trex.cli.doctor.stack import Rule, assemble, parse_control, read_stack, tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TREX = "pam_python.so pam_trex.py"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr(stack_module, "DIRECTORIES", (str(tmp_path),))

    def write_file(name: str, *lines: str) -> None:
        (tmp_path / name).write_text("\n".join(lines) + "\n")

    return write_file


def checks(service: str) -> list[str]:
    return [finding.check for finding in check_pam_service(service, read_stack(service))]


def test_comments_and_continued_lines() -> None:
    content = "# a\n\n auth required \\\n  a.so # b\nauth\\\nx # \\\nlast"
    assert assemble(content) == [(3, "auth required  a.so"), (5, "auth x"), (7, "last")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("auth  required\ta.so", ["auth", "required", "a.so"]),
        ("auth [success=1 default=die] a.so", ["auth", "success=1 default=die", "a.so"]),
        ("a.so [prompt=Answer: ] b", ["a.so", "prompt=Answer: ", "b"]),
        (r"a.so [query=x[1\]] b", ["a.so", "query=x[1]", "b"]),
        ("[][]", ["", ""]),
        ("a]b c[d", ["a]b", "c[d"]),
        ("a\x0bb \u2003 c", ["a\x0bb", "\u2003", "c"]),
    ],
)
def test_words_and_brackets(text: str, words: list[str]) -> None:
    assert tokens(text) == words


def test_a_bracket_that_is_not_closed() -> None:
    with pytest.raises(ValueError, match="not closed"):
        tokens(r"auth [success=1 \] a.so")


@pytest.mark.parametrize("control", ["", "requird", "success", "success=maybe", "sucess=ok",
                                     "success=-1", "success=\u0661", "success= ok",
                                     "success=0", "success=00", "success=4294967297"])  # fmt: skip
def test_controls_that_libpam_does_not_know(control: str) -> None:
    with pytest.raises(ValueError, match=r"^expected "):
        parse_control(control)


def test_includes_stand_in_their_place_and_substacks_have_a_level(
    write: Callable[..., None],
) -> None:
    write("common", "auth required c.so", "account required no.so")
    write("sub", "auth required s.so")
    write("x", "@include common", "-auth include common", "AUTH substack sub", "auth optional z.so")
    stack = read_stack("x")
    assert [(rule.module, rule.level) for rule in stack.rules] == [
        ("c.so", 0), ("c.so", 0), ("sub", 0), ("s.so", 1), ("z.so", 0)]  # fmt: skip
    assert not stack.problems


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("auth", "a control and a module"),
        ("auth required", "a control and a module"),
        ("auht required a.so", "expected one of auth"),
        ("auth requird a.so", "expected result=action"),
        ("auth [success=1 a.so", "not closed"),
        ("@include nowhere", "no such file"),
        ("@include", "the name of a file"),
        ("@include /nowhere", "No such file"),
        ("auth substack nowhere", "no such file"),
        ("@include x", "more than 16 deep"),
    ],
)
def test_what_libpam_cannot_read_is_named_with_its_line(
    write: Callable[..., None], line: str, problem: str
) -> None:
    write("x", f"auth required {TREX}", line)
    stack = read_stack("x")
    assert problem in "".join(stack.problems)
    assert ":2: " in stack.problems[-1]
    assert "pam-syntax" in checks("x")


def test_the_first_default_counts() -> None:
    assert parse_control("default=ignore success=ok default=die")["default"] == "ignore"


def test_files_that_include_each_other_in_many_ways_come_to_an_end(
    write: Callable[..., None],
) -> None:
    write("x", f"auth required {TREX}", *["@include x"] * 5)
    stack = read_stack("x")
    assert "more than 64 files" in "".join(stack.problems)
    write("x", *["auth required pam_unix.so"] * 300)
    assert len(read_stack("x").rules) == 256
    assert read_stack("x").problems[0].endswith("x:257: more than 256 modules in all")


def test_a_service_without_a_file_is_other(write: Callable[..., None]) -> None:
    assert read_stack("none").problems
    write("other", "auth required pam_deny.so")
    assert [rule.module for rule in read_stack("none").rules] == ["pam_deny.so"]
    assert read_stack("../other").problems


@given(st.text(alphabet="auth required[]=\\#\n\t@includex1 -", max_size=200) | st.text(max_size=60))
def test_any_text_gives_rules_or_problems(content: str) -> None:
    for _, text in assemble(content):
        assert text.strip()
        try:
            words = tokens(text)
        except ValueError:
            continue
        for word in words:
            try:
                assert parse_control(word)
            except ValueError:
                pass


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["required", "requisite", "sufficient", "optional",
                             "success=1 default=ignore", "success=done default=die",
                             "success=ok default=reset", "default=9"]),
            st.sampled_from(["success", "auth_err", "ignore"]),
            st.integers(0, 2),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_nobody_gets_in_where_no_module_says_yes(rows: list[tuple[str, str, int]]) -> None:
    """pam-u2f #330: a check of a stack must read it as libpam does."""
    rules = [Rule("x", 1, control, parse_control(control), "m.so", [], level)
             for control, _, level in rows]  # fmt: skip
    results = [result for _, result, _ in rows]
    if lets_in(rules, results):
        assert "success" in results


@pytest.mark.parametrize("door", [TREX, "pam_trex.so"])
@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([f"auth required {TREX}"], []),
        ([f"auth requisite {TREX}", "auth required pam_unix.so"], []),
        (["auth required pam_unix.so", f"auth required {TREX}"], []),
        ([f"auth optional {TREX}"], ["pam-optional"]),
        ([f"auth sufficient {TREX}", "auth required pam_deny.so"], ["pam-sufficient"]),
        ([f"auth sufficient {TREX}", "auth required pam_unix.so"], ["pam-sufficient", "pam-around"]),
        (["auth sufficient pam_unix.so", f"auth required {TREX}"], ["pam-around"]),
        ([*["auth required pam_unix.so"] * 10, f"auth required {TREX}"], []),
        ([*["auth required pam_unix.so"] * 11, f"auth required {TREX}"], ["pam-long"]),
        (["auth [success=1 default=ignore] pam_unix.so", f"auth required {TREX}",
          "auth required pam_permit.so"], ["pam-around"]),
        (["auth sufficient pam_rootok.so", f"auth required {TREX}"], []),
        # docs/configuration.md, "With pam_faillock" and "While users are being enrolled"
        (["auth requisite pam_faillock.so preauth",
          f"auth [success=1 auth_err=bad default=die] {TREX}",
          "auth [default=die] pam_faillock.so authfail",
          "auth required pam_faillock.so authsucc"], []),
        ([f"auth [success=1 ignore=ignore default=die] {TREX} nullok",
          "auth requisite pam_unix.so", "auth required pam_permit.so"], ["pam-nullok"]),
        ([f"auth [success=1 default=die] {TREX}", "auth required pam_deny.so"], ["pam-closed"]),
        ([f"auth [success=5 default=die] {TREX}", "auth required pam_permit.so"], ["pam-closed"]),
        ([f"auth [default=ok] {TREX}", "auth required pam_permit.so"], []),
        ([f"auth [default=ignore] {TREX}", "auth required pam_permit.so"], ["pam-around"]),
        ([f"auth [default=ignore default=die] {TREX}", "auth required pam_permit.so"], ["pam-around"]),
        ([f"auth required {TREX}", f"auth required {TREX}"], ["pam-twice"]),
        ([f"auth required {TREX} timout=5"], ["pam-arguments"]),
        ([f"auth required {TREX} run_as=root"], ["pam-arguments"]),
        ([f"auth required {TREX} [prompt=Answer: ]"], []),
        # one_try: every refusal is maxtries
        ([f"auth [maxtries=ignore default=bad success=ok] {TREX} one_try",
          "auth required pam_permit.so"], ["pam-around"]),
        (["auth required pam_unix.so"], ["pam-absent"]),
        ([f"account required {TREX}"], ["pam-absent"]),
        (["@include common-auth"], ["pam-absent"]),
    ],
)  # fmt: skip
def test_stacks(write: Callable[..., None], door: str, lines: list[str], found: list[str]) -> None:
    write("common-auth", "auth required pam_unix.so")
    write("x", *(line.replace(TREX, door) for line in lines))
    assert checks("x") == found


def test_trex_is_found_behind_either_door_by_name_and_by_path(write: Callable[..., None]) -> None:
    write("x", "auth required /lib/security/pam_python.so /opt/trex/pam_trex.py nullok",
          "auth required pam_python.so other.py", "auth required pam_python.so",
          "auth required pam_trex.so", "auth required /opt/pam_trex.so timeout=5 [prompt=A: ]",
          "auth required pam_trex.py", "auth required pam_trex_path.so")  # fmt: skip
    rules = trex_rules(read_stack("x"))
    assert [(rule.line, asked_by(rule)) for rule in rules] == [
        (1, (PAM_PYTHON, ["nullok"])), (4, (NATIVE, [])), (5, (NATIVE, ["timeout=5", "prompt=A: "])),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("control", "arguments"),
    [
        ("required", ""), ("requisite", " timeout=5 nullok"), ("required", r" [prompt=An \[x\] : ]"),
        ("[success=1 default=die]", " prompt=A]"), ("required", " []"),
    ],
)  # fmt: skip
def test_the_line_for_pam_trex_so_says_the_same(
    write: Callable[..., None], control: str, arguments: str
) -> None:
    write("x", f"auth {control} {TREX}{arguments}")
    [old] = trex_rules(read_stack("x"))
    write("x", line_of(old, old.arguments[1:], NATIVE))
    [new] = trex_rules(read_stack("x"))
    assert (new.control, new.actions) == (old.control, old.actions)
    assert asked_by(new) == (NATIVE, old.arguments[1:])
