"""The program that serves a page, as a login starts it: its reports, and what it hides."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.forked import in_a_child
from tests.support.network import read_all, trusting
from tests.support.page import fingerprint, make_certificate
from tests.support.readable import readable_package
from trex.page.process import main
from trex.page.process.settings import CERTIFICATE_FD, KEY_FD, LISTENER_FD
from trex.page.start import FINGERPRINT_LENGTH
from trex.system import servant
from trex.system.child import Child, write_whole
from trex.system.privilege import find_account
from trex.system.program import STDIN_FD
from trex.system.safefile import MAX_SIZE
from trex.system.servant import first_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if os.geteuid() != 0:
    pytest.skip("only root gives it an account of its own", allow_module_level=True)

MESSAGE = b"-----BEGIN PGP MESSAGE-----\n\nhF4D\n-----END PGP MESSAGE-----\n"
NOBODY = "nobody"


@pytest.fixture(scope="module")
def package() -> Iterator[Path]:
    with readable_package() as copy:
        yield copy


class Page:
    """A page's process, with the same input as from `trex.page.start`."""

    def __init__(self, package: Path, *lines: str, seconds: float = 60,
                 files: tuple[Path, Path] | tuple[()] = ()) -> None:  # fmt: skip
        self.child = Child()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        inherited = {LISTENER_FD: listener.fileno()}
        for descriptor, path in zip((KEY_FD, CERTIFICATE_FD), files, strict=False):
            inherited[descriptor], sink = self.child.pipe()
            assert write_whole(sink, path.read_bytes())
            self.child.close(sink)
        inherited[STDIN_FD], self._told = self.child.pipe()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(servant, "PACKAGE", str(package))
            program, account = "trex.page.process.main", find_account(NOBODY)
            servant.start(self.child, program, account, inherited, file_size=MAX_SIZE)
        listener.close()
        deadline = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
        text = "".join(
            f"{line}\n" for line in (f"deadline {deadline}", "host localhost", *lines, "")
        )
        assert write_whole(self._told, text.encode())

    @property
    def process(self) -> Path:
        return Path(f"/proc/{self.child._pid}")

    def says(self) -> str:
        return first_line(self.child, time.monotonic() + 20)

    def show(self, message: bytes = MESSAGE) -> None:
        assert write_whole(self._told, message)
        self.child.close(self._told)

    def ask(self, *, tls: bool) -> tuple[bytes, bytes]:
        """Return the certificate that is served, and the answer."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as plain:
            visitor = trusting().wrap_socket(plain) if tls else plain
            with visitor:
                der = b""
                if isinstance(visitor, ssl.SSLSocket):
                    der = visitor.getpeercert(binary_form=True) or b""
                visitor.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                answer = read_all(visitor)
        return der, answer


@pytest.fixture
def begin(package: Path) -> Iterator[Callable[..., Page]]:
    begun = []

    def start_page(*lines: str, **options: object) -> Page:
        begun.append(Page(package, *lines, **options))  # type: ignore[arg-type]
        return begun[-1]

    yield start_page
    for one in begun:
        one.child.end()


def test_it_makes_a_certificate_says_its_fingerprint_and_serves_it(
    begin: Callable[..., Page],
) -> None:
    page = begin("tls made")
    word, _, told = page.says().partition(" ")
    assert (word, len(told)) == ("ready", FINGERPRINT_LENGTH)
    page.show()
    der, answer = page.ask(tls=True)
    served = subprocess.run(
        ["openssl", "x509", "-inform", "der", "-noout", "-fingerprint", "-sha256"],
        input=der, capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    assert served.strip().endswith(f"={told}")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b"<svg" in answer
    assert b"hF4D" in answer


def test_it_serves_the_user_s_own_certificate(begin: Callable[..., Page], tmp_path: Path) -> None:
    files = make_certificate(tmp_path)
    page = begin("tls files", files=files)
    assert page.says() == f"ready {fingerprint(files[1])}"
    page.show()
    der, answer = page.ask(tls=True)
    assert der == ssl.PEM_cert_to_DER_cert(files[1].read_text())
    assert answer.startswith(b"HTTP/1.1 200 OK")


def test_it_says_why_there_is_none_and_serves_nothing(
    begin: Callable[..., Page], tmp_path: Path
) -> None:
    key, _ = make_certificate(tmp_path)
    _, other = make_certificate(tmp_path, "other")
    page = begin("tls files", files=(key, other))
    assert page.says() == "unavailable the TLS key does not belong to the TLS certificate"
    ended = select.poll()
    ended.register(page.child.pidfd, select.POLLIN)
    assert ended.poll(20_000), "it waits for no message"
    with pytest.raises(ConnectionRefusedError):
        page.ask(tls=False)


def test_without_tls_it_says_nothing_and_serves(begin: Callable[..., Page]) -> None:
    page = begin()
    page.show()
    assert page.ask(tls=False)[1].startswith(b"HTTP/1.1 200 OK")
    assert "/_curses." not in (page.process / "maps").read_text(), "which it has no use for"


def test_a_long_message_has_no_code(begin: Callable[..., Page]) -> None:
    page = begin()
    page.show(MESSAGE + b"x" * 3000)
    assert b"This message is too long for one QR code." in page.ask(tls=False)[1]


def test_no_other_process_of_its_account_can_look_into_it(
    begin: Callable[..., Page], tmp_path: Path
) -> None:
    """Otherwise another service with this account could read keys and passwords here."""
    page = begin("tls files", "credentials user word", files=make_certificate(tmp_path))
    assert page.says().startswith("ready ")
    account = find_account(NOBODY)
    for name in ("environ", "mem", "fd/0", "maps"):
        done = subprocess.run(
            ["cat", page.process / name], capture_output=True, check=False,
            user=account.uid, group=account.gid, extra_groups=[],
        )  # fmt: skip
        assert b"Permission denied" in done.stderr, name
        assert done.stdout == b""


def test_it_ends_at_the_deadline_though_no_message_comes(begin: Callable[..., Page]) -> None:
    page = begin(seconds=0.5)
    ended = select.poll()
    ended.register(page.child.pidfd, select.POLLIN)
    assert ended.poll(20_000)


def test_where_no_certificate_can_be_made_it_says_what_is_missing() -> None:
    def try_to() -> str:
        from trex.errors import PageUnavailable
        from trex.page.process import certificate
        from trex.page.process.settings import Settings

        certificate.make_certificate = lambda *_: b"no certificate"
        try:
            made = main.start_making(Settings(["deadline 0", "host x", "tls made"]))
            main.key_and_certificate(made)
        except PageUnavailable as error:
            return str(error)
        return ""

    assert in_a_child(try_to) == "no certificate could be made; is python3-cryptography installed?"


def test_the_server_s_library_is_loaded_without_what_nobody_uses() -> None:
    def load() -> list[object]:
        import sys

        main.spare_memory()
        import tornado.httpserver  # noqa: F401

        loaded = [name for name in ("curses", "colorama") if sys.modules.get(name)]
        return [os.environ["SSL_CERT_FILE"], loaded]

    assert in_a_child(load) == ["/dev/null", []]
