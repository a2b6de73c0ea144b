"""`trex doctor` about the host keys that challenges name."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.examination import HOST_KEYS, SSHD, examine, write_service

if TYPE_CHECKING:
    from tests.support.sandbox import Account

KEYS = Path("/etc/ssh")


def found(check: str) -> dict[str, str]:
    finding: dict[str, str]
    [finding] = [one for one in examine(with_host_keys=True)["findings"] if one["check"] == check]
    return finding


def test_it_says_which_host_keys_are_named(host: Account) -> None:
    note = found(HOST_KEYS)
    for path in KEYS.glob("ssh_host_*_key.pub"):
        printed = subprocess.run(["ssh-keygen", "-l", "-f", path], capture_output=True, text=True,
                                 check=True).stdout  # fmt: skip
        assert printed.split()[1][:23].replace("/", "_") in note["what"]
    assert note["severity"] == "note"


def test_without_root_it_says_the_same(host: Account) -> None:
    report = examine(account=host, with_host_keys=True)
    assert HOST_KEYS in [finding["check"] for finding in report["findings"]]


def test_where_none_can_be_read_there_is_a_warning(host: Account) -> None:
    for path in KEYS.glob("ssh_host_*_key.pub"):
        path.chmod(0o666)
    report = examine()
    assert {"hostkeys-none", "hostkeys-file"} == {one["check"] for one in report["findings"]}
    assert report["status"] == 1
    fix = next(one["fix"] for one in report["findings"] if one["check"] == "hostkeys-file")
    assert fix.startswith("chmod ")
    assert subprocess.run(["sh", "-c", fix], check=False).returncode == 0
    assert "hostkeys-none" not in [one["check"] for one in examine()["findings"]]


def test_that_none_are_to_be_named_is_a_note(host: Account) -> None:
    write_service("host_keys=none")
    assert found("hostkeys-none")["severity"] == "note"


def test_a_file_that_is_named_and_cannot_be_used_refuses_every_login(host: Account) -> None:
    write_service("host_keys=/etc/ssh/no.pub")
    error = found("hostkeys-file")
    assert error["severity"] == "error"
    assert error["what"] == "host_keys=/etc/ssh/no.pub: /etc/ssh/no.pub: no such file"


@pytest.mark.parametrize("with_public", [True, False])
def test_a_host_key_of_sshd_s_that_is_not_named_is_an_error(
    host: Account, tmp_path: Path, with_public: bool
) -> None:
    """Then trex ssh refuses the right server."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    if not with_public:
        (tmp_path / "key.pub").unlink()
    SSHD.write_text(f"{SSHD.read_text()}HostKey {key}\n")
    error = found("hostkeys-sshd")
    assert error["severity"] == "error"
    assert f"sshd has the host key {key} (SHA256:" in error["what"]
    assert f"{key}.pub" in error["fix"]
