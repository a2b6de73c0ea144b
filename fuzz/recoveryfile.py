"""The file of recovery codes, which its user can write, and a response to it."""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from unittest.mock import patch

from trex.errors import ACCEPTED, MISSING, WRONG, OtherAccount, RecordError
from trex.login.options import parse_options
from trex.recovery import method as recovery
from trex.recovery.codes import RecoveryCodes
from trex.system.privilege import Account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trex.errors import Outcome
    from trex.login.method import Login

PATH = "/home/alice/.trex_recovery"
NOW = 1_700_000_000
ALICE = Account("alice", 1000, 1000, "/home/alice", [])
ERROR = re.compile(
    rf"{PATH}:([0-9]+): expected (uid, made and salt once each, or a code|a line (uid|made|salt)|"
    r"a number|32 hex digits|64 hex digits, not twice, and after use a time), "
    r"found (another (line|uid|made|salt|code)|the end)"
)
OTHER = re.compile(
    rf"{PATH}: expected uid=1000, which is alice's, found uid=\d{{1,10}}: "
    "it was made for another account"
)
WORD = re.compile(rb"(?m)^code ([0-9a-f]{64})(?: ([0-9]{1,10}))?$")
SALT = re.compile(rb"(?m)^salt ([0-9a-f]{32})$")


class File:
    """The locked file; the next login reads what is written."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def replace(self, content: bytes) -> None:
        """Write."""
        self.content = content


def check(data: bytes) -> None:
    """A code is right once, and only its own line changes.

    `data` is a response, then from a NUL on the file.
    """
    response, _, content = data.partition(b"\0")
    try:
        codes = RecoveryCodes(content, PATH)
        assert codes.content == content.removesuffix(b"\n") + b"\n"
        assert repr(codes) == "<RecoveryCodes>"
        check_judging(content, response.decode("utf-8", "surrogateescape"))
    except RecordError as error:
        place = ERROR.fullmatch(str(error))
        assert place, "and nothing of the file"
        assert 1 <= int(place[1]) <= content.count(b"\n") + 1
    except OtherAccount as error:
        assert OTHER.fullmatch(str(error))


def check_judging(content: bytes, response: str) -> None:
    """Judge a response twice: the second time is after its use."""
    left = {word[1].decode() for word in WORD.finditer(content) if word[2] is None}
    [salt] = SALT.findall(content)
    own = as_it_is_made(response)
    offered = hashlib.sha256(bytes.fromhex(salt.decode()) + own).hexdigest()
    is_right = bool(own) and offered in left
    file = File(content)
    assert judge(file, response) is (ACCEPTED if is_right else WRONG if own else MISSING)
    if not is_right:
        assert file.content == content
        return
    used = f"code {offered} {NOW}".encode()
    before = content.removesuffix(b"\n").split(b"\n")
    assert file.content.removesuffix(b"\n").split(b"\n") == [
        used if line == f"code {offered}".encode() else line for line in before
    ]
    after = file.content
    assert judge(file, response) is WRONG
    assert file.content == after


def as_it_is_made(response: str) -> bytes:
    """Return what of a response counts, independently of the module."""
    kept = re.sub(r"[\W_]", "", response.upper())
    for letter, instead in ("O0", "I1", "L1", "UV"):
        kept = kept.replace(letter, instead)
    return kept.encode("utf-8", "surrogatepass")


def judge(file: File, response: str) -> Outcome:
    """Answer one login."""
    login = cast("Login", SimpleNamespace(steps=[], warnings=[], reminder=None))

    @contextmanager
    def locked(*_: object) -> Iterator[File]:
        yield file

    with (
        patch.object(recovery, "locked", locked),
        patch.object(recovery, "time", SimpleNamespace(time=lambda: NOW)),
        recovery.RecoveryCode(
            login, parse_options(["method=recovery"]), ALICE, ALICE, PATH
        ) as challenge,
    ):
        outcome = challenge.judge(response)
    told = " ".join([*login.steps, *login.warnings])
    assert len(response.strip()) < 6 or response.strip() not in told
    return outcome
