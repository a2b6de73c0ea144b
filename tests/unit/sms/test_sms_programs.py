"""The programs that count, send, spend and look for a login: with their own accounts and a pipe."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gateways import TOKEN, Authority, Gateway, RedisServer
from tests.support.readable import readable_package
from trex.errors import ProgramFailed
from trex.system import servant
from trex.system.child import Child, write_whole
from trex.system.privilege import find_account
from trex.system.program import STDIN_FD
from trex.system.servant import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

if os.geteuid() != 0:
    pytest.skip("only root gives them an account of their own", allow_module_level=True)

NOBODY = find_account("nobody")


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    with readable_package() as copy:
        yield copy


@pytest.fixture(scope="module")
def counts(package: Path) -> str:
    """A directory in which that account counts."""
    directory = package.parent / "counts"
    directory.mkdir(mode=0o700)
    os.chown(directory, NOBODY.uid, NOBODY.gid)
    return f"file:{directory}/counts"


def done(package: Path, program: str, **told: Any) -> tuple[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(servant, "PACKAGE", str(package))
        return servant.have_done(NOBODY, program, told)


def test_which_limits_are_reached(package: Path, counts: str) -> None:
    told = {
        "state": counts,
        "user": "bob",
        "host": "h",
        "messages": 1,
        "limits": {"user_hour": 0, "user_day": 1},
    }
    word, rest = done(package, "trex.sms.look", **told)
    assert (word, json.loads(rest)) == ("reached", {"user_hour": None})
    word, rest = done(package, "trex.sms.look", **{**told, "state": "file:/proc/x"})
    assert word == "failed"
    assert rest.startswith("/proc")


def test_a_code_is_spent_once(package: Path, tmp_path: Path) -> None:
    with closing(RedisServer(tmp_path)) as server:
        told = {"state": server.url, "name": "x", "token": "1", "release": False}
        assert done(package, "trex.totp.claim", **told) == ("claimed", "")
        assert done(package, "trex.totp.claim", **{**told, "token": "2"}) == ("spent", "")
        assert done(package, "trex.totp.claim", **{**told, "release": True}) == ("released", "")
        assert done(package, "trex.totp.claim", **{**told, "token": "2"}) == ("claimed", "")
    word, rest = done(package, "trex.totp.claim", **told)
    assert (word, rest) == ("failed", "Redis cannot be asked: ConnectionError")


@pytest.fixture
def gateway(package: Path, tmp_path: Path) -> Iterator[tuple[Gateway, dict[str, Any]]]:
    place = package.parent / f"authority-{tmp_path.name}"
    authority = Authority(place)
    with closing(Gateway(authority, tmp_path / "last")) as server:
        yield server, {"kind": "http", "url": f"{server.url}/json", "ca": str(authority.ca),
                       "headers": {"Authorization": TOKEN, "Content-Type": "application/json"},
                       "body": '{"text": "{text}"}'}  # fmt: skip


def test_a_gateway_can_be_reached_or_not(
    package: Path, gateway: tuple[Gateway, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, table = gateway
    assert done(package, "trex.sms.reach", gateway=table) == ("reached", "")
    wrong = {**table, "url": f"https://127.0.0.1:{server.port}/"}
    assert done(package, "trex.sms.reach", gateway=wrong)[0] == "failed"
    assert server.requests == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = {**table, "url": f"https://localhost:{silent.getsockname()[1]}/"}
        # Of 60 seconds it has two: all the others are for its report, on a busy machine.
        monkeypatch.setattr(servant, "SECONDS", 60)
        monkeypatch.setattr(servant, "SPARE_SECONDS", 58)
        assert done(package, "trex.sms.reach", gateway=slow) == ("failed", "no answer in time")


def test_a_pin_is_sent(package: Path, counts: str, gateway: tuple[Gateway, dict[str, Any]]) -> None:
    server, table = gateway
    told = {"user": "carol", "host": "h", "gateways": [table], "numbers": ["+1"], "text": "1234", "state": counts,
            "limits": {"user_hour": 1}}  # fmt: skip
    assert done(package, "trex.sms.send", **told) == ("sent", "by http")
    assert server.texts == ["1234"]
    word, rest = done(package, "trex.sms.send", **told)
    assert (word, rest) == ("failed", "nothing is sent: the limit user_hour = 1 is reached")
    assert server.texts == ["1234"]


def test_an_error_that_nobody_has_foreseen_is_told_by_its_kind_alone(package: Path) -> None:
    """Its message may contain a URL with a password."""
    assert done(package, "trex.sms.send", user="bob") == ("failed", "with an unforeseen KeyError")
    with pytest.raises(ProgramFailed, match="ended without an answer"):
        done(package, "trex.sms.none")


def test_no_other_process_of_its_account_can_look_into_the_one_that_sends(
    package: Path,
    counts: str,
    gateway: tuple[Gateway, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It knows the PIN, the number and the gateway's password."""
    monkeypatch.setattr(servant, "PACKAGE", str(package))
    server, table = gateway
    server.seconds = 1.0
    child = Child()
    try:
        reading, writing = child.pipe()
        servant.start(child, "trex.sms.send", NOBODY, {STDIN_FD: reading}, 1 << 20)
        told = {"user": "dave", "host": "h", "gateways": [table], "numbers": ["+1"], "text": "1234",
                "state": counts, "limits": {}, "deadline": time.monotonic() + 20}  # fmt: skip
        assert write_whole(writing, json.dumps(told).encode())
        child.close(writing)
        deadline = time.monotonic() + 20
        while not server.requests:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for name in ("environ", "mem", "maps", "fd/0"):
            looked = subprocess.run(
                ["cat", f"/proc/{child._pid}/{name}"], capture_output=True, check=False,
                user=NOBODY.uid, group=NOBODY.gid, extra_groups=[],
            )  # fmt: skip
            assert b"Permission denied" in looked.stderr, name
            assert looked.stdout == b""
        assert first_line(child, time.monotonic() + 20) == "sent by http"
    finally:
        child.end()


def test_a_program_finds_debian_s_packages_after_all_else_and_no_others(package: Path) -> None:
    """`-I` and `-S`: neither the directory nor the environment nor a user's packages count."""
    (package / "sms/spy.py").write_text(
        "import sys\n"
        "def main():\n"
        "    print(sys.path[-1], [p for p in sys.path if not p.startswith('/usr/lib/python3')])\n"
    )
    done_there = subprocess.run(
        ["/usr/bin/python3", "-I", "-S", "-B", package / "system/launch.py", "trex.sms.spy"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert re.fullmatch(
        rb"/usr/lib/python3/dist-packages \['/usr/lib/python\d+\.zip'\]\n|/usr/lib/python3/dist-packages \[\]\n",
        done_there.stdout,
    ), done_there.stdout
