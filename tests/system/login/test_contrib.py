"""contrib/pam.d: each example lets in whoever answers rightly as it stands, and nobody else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import sandbox
from trex.cli.doctor.stack import read_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.keys import Holder
    from tests.support.sandbox import Account
    from tests.system.conftest import Keys

EXAMPLES = sorted((sandbox.PROJECT / "contrib/pam.d").iterdir())
CENTRAL = ["auth_file=/etc/trex/users/%u", "gnupg_home=/var/lib/trex/gnupg", "run_as=_trex"]
MORE = {"sshd-key-then-password"}  # what asks for something else besides


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.name)
def example(
    request: pytest.FixtureRequest, native_door: Path, central: list[str], alice: Account,
    holder: Holder, keys: Keys,
) -> Iterator[str]:  # fmt: skip
    """Install an example as a service, with what it needs; yield its name."""
    key = keys["cv25519"]
    alice.write(f"{key} trust nosign\n")
    users = Path(central[0].partition("=")[2]).parent
    (users / "alice.pgp").write_bytes(holder.public(key))
    (users / "alice").write_text(f"{users}/alice.pgp trust nosign\n")
    text = request.param.read_text().replace("pam_trex.so", str(native_door))
    text = text.replace("pam_rootok.so", "pam_deny.so")  # the client is root
    for written, here in zip(CENTRAL, central, strict=True):
        text = text.replace(written, here)
    (sandbox.PAM_SERVICES / request.param.name).write_text(text)
    yield request.param.name
    shutil.rmtree("/run/faillock", ignore_errors=True)  # its counts


def test_whoever_answers_is_let_in(example: str, client: Path, holder: Holder) -> None:
    asked = sandbox.ask_pam(client, example, "alice", "--answer-with", holder.command())
    if example in MORE:
        assert asked.prompt == "Password: ", "the right response leads to it"
    else:
        assert "-----BEGIN PGP MESSAGE-----" in asked.prompt
        assert asked.verdict == "PAM_SUCCESS"


def test_another_answer_is_refused(example: str, client: Path) -> None:
    asked = sandbox.ask_pam(client, example, "alice", "--answer", "0123456789")
    assert asked.verdict != "PAM_SUCCESS"
    assert "Password" not in asked.prompt


def test_it_names_no_other_place_than_the_documents(example: str) -> None:
    """And PAM can read it."""
    rules = read_stack(example).rules
    assert any(rule.name == "pam_trex.so" for rule in rules)
    text = (sandbox.PROJECT / "contrib/pam.d" / example).read_text()
    if "auth_file=" in text:
        assert all(word in text for word in CENTRAL)
