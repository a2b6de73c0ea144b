"""What messages name is there: in a checkout, and where Debian's packages put it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

from trex.cli import installed

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = re.compile(r"\b(?:docs/[\w-]+|README|SECURITY)\.md\b")


def named() -> list[tuple[str, bool]]:
    """Return each document that a text of the command names, and whether `document` finds it."""
    found = []
    for path in ROOT.glob("trex/cli/**/*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        told = {id(call.args[0]) for call in ast.walk(tree)
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "document"}  # fmt: skip
        doc = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in doc
            ):
                found += [(name, id(node) in told) for name in DOCUMENT.findall(node.value)]
    return found


def test_each_document_that_a_message_names_exists_and_is_found_by_one_function() -> None:
    documents = named()
    assert len(documents) > 5
    assert [name for name, is_told in documents if not is_told] == []
    assert [name for name, _ in documents if not (ROOT / name).is_file()] == []


def test_the_packages_bring_these_documents_as_they_are_named() -> None:
    """dh_installdocs keeps each one's path, and debhelper would compress them."""
    brought = (ROOT / "debian/libpam-trex.docs").read_text().split()
    assert {name.split("/")[0] for name, _ in named()} <= set(brought)
    assert "dh_compress -X.md" in (ROOT / "debian/rules").read_text()


def test_on_a_host_with_the_packages_messages_name_what_these_have_brought(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/sms.md").touch()
    monkeypatch.setattr(installed, "DOCUMENTS", str(tmp_path))
    monkeypatch.setattr(installed, "PACKAGED", str(tmp_path))
    assert installed.document("docs/sms.md") == f"{tmp_path}/docs/sms.md"
    assert installed.document("docs/totp.md") == "docs/totp.md"
    assert installed.how_to_install(" --sms").startswith("apt install --reinstall libpam-trex")
    monkeypatch.setattr(installed, "PACKAGED", str(tmp_path / "none"))
    assert installed.how_to_install(" --sms") == "sudo script/install --sms"
