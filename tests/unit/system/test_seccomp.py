"""The filter's program: the numbers in it, and what it says to each call on each machine."""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import struct
import sys
from pathlib import Path

import pytest

from tests.support.forked import in_a_child
from trex.system import seccomp
from trex.system.prctl import address
from trex.system.seccomp import (
    ALLOW,
    CALLS,
    ENOSYS,
    EPERM,
    HAS_ANY,
    IS,
    KILL_PROCESS,
    MACHINES,
    POINTS_TO,
    assemble_filter,
    never,
    to_nobody_else,
)

INCLUDE = Path("/usr/include")
I386 = 0x40000003  # AUDIT_ARCH_I386
LOAD, EQUAL, LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # bpf(4) of BSD

needs_filters = pytest.mark.skipif(
    not seccomp.is_available(), reason="this kernel has no filters for system calls"
)


def run(program: bytes, number: int, *arguments: int, architecture: int) -> int:
    """Return what the kernel's machine would return (struct seccomp_data, little endian)."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    steps = list(struct.iter_unpack("<HBBI", program))
    register = place = 0
    while True:
        code, if_true, if_false, value = steps[place]
        place += 1
        if code == LOAD:
            (register,) = struct.unpack_from("<I", data, value)
        elif code == RETURN:
            return int(value)
        else:
            holds = {EQUAL: register == value, LEAST: register >= value,
                     ANY_BIT: bool(register & value)}[code]  # fmt: skip
            place += if_true if holds else if_false


def numbers(header: Path, prefix: str) -> dict[str, int]:
    found = re.findall(rf"^#define\s+{prefix}(\w+)\s+(\d+)\s*$", header.read_text(), re.MULTILINE)
    return {name: int(number) for name, number in found}


def test_the_numbers_are_the_kernel_s() -> None:
    generic = INCLUDE / "asm-generic/unistd.h"  # aarch64's
    arm = {**numbers(generic, "__NR3264_"), **numbers(generic, "__NR_")}
    assert {name: arm.get(name, -1) for name in CALLS} == {n: two[1] for n, two in CALLS.items()}
    intel = INCLUDE / "x86_64-linux-gnu/asm/unistd_64.h"
    if not intel.exists():
        pytest.skip("the headers of x86_64 are not on this machine; aarch64's numbers are right")
    known = numbers(intel, "__NR_")
    assert {name: known.get(name, -1) for name in CALLS} == {n: two[0] for n, two in CALLS.items()}


def test_the_number_of_seccomp_itself_is_the_kernel_s() -> None:
    assert numbers(INCLUDE / "asm-generic/unistd.h", "__NR_")["seccomp"] == MACHINES["aarch64"][1]
    if os.uname().machine == "x86_64":
        header = INCLUDE / "x86_64-linux-gnu/asm/unistd_64.h"
        assert numbers(header, "__NR_")["seccomp"] == MACHINES["x86_64"][1]


@pytest.mark.parametrize("machine", MACHINES)
def test_each_rule_is_about_its_call_and_no_other(machine: str) -> None:
    architecture, _, column = MACHINES[machine]
    denied = ("ptrace", "mount", "socket")
    program = assemble_filter([(name, (), EPERM) for name in denied], ALLOW, architecture, column)
    expected = {CALLS[name][column] for name in denied}
    found = {n for n in range(600) if run(program, n, architecture=architecture) == EPERM}
    assert found == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_calls_of_another_machine_end_the_process(machine: str) -> None:
    architecture, _, column = MACHINES[machine]
    program = assemble_filter(never(EPERM), ALLOW, architecture, column)
    other = {"x86_64": "aarch64", "aarch64": "x86_64"}[machine]
    getpid = CALLS["getpid"][column]
    for wrong in (I386, MACHINES[other][0], 0):
        assert run(program, getpid, architecture=wrong) == KILL_PROCESS
    assert run(program, 0x40000000 | 39, architecture=architecture) == KILL_PROCESS, "x32"
    assert run(program, getpid, architecture=architecture) == ALLOW


def test_rules_about_arguments() -> None:
    """The first that fits counts; of an int the upper half is not the kernel's business."""
    architecture, _, column = MACHINES["x86_64"]
    where = 0x7FFE_1234_5678
    program = assemble_filter(
        [
            ("socket", ((0, IS, 1),), ALLOW), ("socket", (), EPERM),
            ("setsockopt", ((1, IS, 6), (2, IS, 1)), ALLOW),
            ("mmap", ((2, HAS_ANY, 4),), EPERM), ("mmap", (), ALLOW),
            ("execve", ((0, POINTS_TO, where),), ALLOW),
            ("read", (), ALLOW),
        ],
        ENOSYS, architecture, column,
    )  # fmt: skip

    def said(name: str, *arguments: int) -> int:
        return run(program, CALLS[name][column], *arguments, architecture=architecture)

    assert said("socket", 1) == said("socket", 1 << 32 | 1) == ALLOW
    assert said("socket", 2) == EPERM
    assert said("setsockopt", 9, 6, 1) == ALLOW
    assert said("setsockopt", 9, 6, 2) == said("setsockopt", 9, 1, 1) == ENOSYS
    assert (said("mmap", 0, 9, 3), said("mmap", 0, 9, 7)) == (ALLOW, EPERM)
    assert said("execve", where) == ALLOW
    assert said("execve", where + 1) == said("execve", where & 0xFFFFFFFF) == ENOSYS
    assert said("execve", where + (1 << 32)) == ENOSYS
    assert said("read") == ALLOW, "after a rule that did not fit, the number is there again"
    assert said("write") == ENOSYS


def test_no_new_namespace_and_no_clone3_that_a_filter_cannot_read() -> None:
    for architecture, _, column in MACHINES.values():
        program = assemble_filter(never(EPERM), ALLOW, architecture, column)
        clone = CALLS["clone"][column]
        for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000,
                     0x40000000):  # fmt: skip
            assert run(program, clone, flag | 17, architecture=architecture) == EPERM
        assert run(program, clone, 0x01200011, architecture=architecture) == ALLOW, "a plain fork"
        assert run(program, CALLS["clone3"][column], architecture=architecture) == ENOSYS


def test_a_signal_to_oneself_alone() -> None:
    architecture, _, column = MACHINES["x86_64"]
    program = assemble_filter(to_nobody_else(), ALLOW, architecture, column)
    tgkill, kill = CALLS["tgkill"][column], CALLS["kill"][column]
    assert run(program, tgkill, os.getpid(), 1, 6, architecture=architecture) == ALLOW
    assert run(program, tgkill, 1, 1, 6, architecture=architecture) == EPERM
    assert run(program, kill, os.getpid(), 6, architecture=architecture) == EPERM


@needs_filters
def test_a_filter_cannot_be_taken_back_and_children_have_it() -> None:
    def tried() -> list[str]:
        seccomp.install([("kill", (), EPERM)], ALLOW)
        seccomp.install([("kill", (), ALLOW)], ALLOW)  # the strictest of all filters counts
        return [own(), in_a_child(own)]

    def own() -> str:
        try:
            os.kill(os.getpid(), 0)
        except PermissionError:
            return "denied"
        return "worked"

    assert in_a_child(own) == "worked"
    assert in_a_child(tried) == ["denied", "denied"]


@needs_filters
def test_a_filter_that_the_kernel_refuses_is_an_error() -> None:
    def tried() -> str:
        try:
            seccomp.install([("kill", (), ALLOW)] * 3000, ALLOW)  # over BPF_MAXINSNS
        except OSError as error:
            return str(error)
        return ""

    assert "does not accept the filter" in in_a_child(tried)


def test_there_is_none_on_other_machines_nor_for_32_bit_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uname = os.uname()
    made = os.uname_result((uname.sysname, uname.nodename, uname.release, uname.version, "sparc64"))
    monkeypatch.setattr(os, "uname", lambda: made)
    assert not seccomp.is_available()
    seccomp.install([("kill", (), EPERM)], EPERM)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    assert not seccomp.is_available()


@needs_filters
def test_aborting_still_works() -> None:
    child = os.fork()
    if child == 0:
        faulthandler.disable()  # pytest's
        seccomp.install(to_nobody_else(), ALLOW)
        os.abort()
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGABRT


def test_an_address_is_where_the_text_is() -> None:
    import ctypes

    text = b"some text of no importance"
    assert ctypes.string_at(address(text)) == text
