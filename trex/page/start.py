"""The page with the QR code, seen from the login: start it early, pass the message, end it in time.

The page itself is the program `trex.page.process` (see `trex.system.servant`).
"""

import os
import stat
from time import monotonic

from trex.errors import (
    MAX_PATH,
    FileUnsafe,
    NotStarted,
    PageUnavailable,
    PrivilegeError,
    cut,
    one_line,
)
from trex.login.challenge import random_text
from trex.page.needs import check_libraries, serving_account
from trex.page.port import listen, take_slot
from trex.page.process.settings import CERTIFICATE_FD, KEY_FD, LISTENER_FD
from trex.system.child import Child, close_surely, write_whole
from trex.system.privilege import acting_as, native
from trex.system.program import STDIN_FD
from trex.system.safefile import MAX_SIZE, check_writers
from trex.system.servant import first_line, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from trex.login.method import Login
    from trex.login.options import Options
    from trex.system.privilege import Account

    class Protection(Protocol):
        """How a page is protected."""

        authentication: bool
        tls: bool

    class PageFields(Protocol):
        """The fields of a record that ask for a page (docs/auth_gpg.md)."""

        @property
        def web_qr(self) -> Protection | None:
            """None for no page."""

        @property
        def tls_key(self) -> str:
            """A path, or "" for a certificate made for this login."""

        @property
        def tls_certificate(self) -> str:
            """A path, or ""."""


READY = "ready"
FINGERPRINT_LENGTH = 95  # 32 pairs of hexadecimal digits, with colons between them
FINGERPRINT_SIGNS = frozenset("0123456789ABCDEF:")
REPORT_SECONDS = 5.0  # on an overloaded host the login does not wait longer for a page
HOSTS = "/etc/hosts"
UNAVAILABLE = "There is no page with a QR code: the system's log says why.\n"


class Page:
    """One login's page. If it cannot be shown, that is a warning in the log, not an error."""

    def __init__(self, login: "Login", options: "Options", record: "PageFields") -> None:
        self._login = login
        self._options = options
        self._record = record
        self._has_tls = bool(record.web_qr and record.web_qr.tls)
        self._is_made = self._has_tls and not record.tls_key
        self._server = Child()
        self._descriptors: list[int] = []  # open as long as the page
        self._deadline = monotonic()
        self._available = False
        self._address = ""
        self._credentials: tuple[str, str] | tuple[()] = ()

    def __enter__(self) -> "Page":
        """Return the page, not yet started; it ends with the block at the latest."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End the page's process, which closes its port."""
        self.end()

    def open(self, reader: "Account", user: "Account", deadline: float) -> None:
        """Start the page's process, before there is a message.

        `reader` reads the TLS files; `deadline` is the challenge's.
        Raises PrivilegeError, because the login must not continue with unknown rights.
        """
        self._deadline = monotonic() + REPORT_SECONDS
        try:
            self._start(reader, user, deadline)
            self._available = True
        except PrivilegeError:
            raise
        except (PageUnavailable, FileUnsafe, NotStarted) as error:
            self._give_up(str(error))
        except OSError as error:
            self._give_up(error.strerror or type(error).__name__)

    def show(self, message: str) -> str:
        """Pass the message on, and return the prompt's lines about the page."""
        if not self._available:
            return UNAVAILABLE
        try:
            self._hand_over(message)
            fingerprint = self._fingerprint()
        except (PageUnavailable, NotStarted) as error:
            self._give_up(str(error))
            return UNAVAILABLE
        self._login.steps.append(f"page at {self._address}")
        return self._announcement(fingerprint)

    def end(self) -> None:
        """End the page's process, if there is one, which closes its port."""
        self._available = False
        try:
            self._server.end()
        finally:
            while self._descriptors:
                close_surely(self._descriptors.pop())

    def _give_up(self, reason: str) -> None:
        self._login.warnings.append(f"no page with a QR code: {reason}")
        self.end()

    def _start(self, reader: "Account", user: "Account", deadline: float) -> None:
        made = ["cryptography"] if self._is_made else []
        check_libraries("tornado", "qrcode", *made)
        server = serving_account(self._options.web_user, user, reader)
        inherited = {}
        if self._record.tls_key:
            inherited[KEY_FD] = self._piped(self._record.tls_key, reader)
            inherited[CERTIFICATE_FD] = self._piped(self._record.tls_certificate, reader)
        self._descriptors.append(take_slot(self._options.web_max))
        listener, port = listen(self._options)
        inherited[LISTENER_FD] = listener.fileno()
        try:
            inherited[STDIN_FD], self._settings = self._server.pipe()
            start(self._server, "trex.page.process.main", server, inherited, file_size=MAX_SIZE)
        finally:
            listener.close()  # only the page's process has it now, so the port closes with it
        if not write_whole(self._settings, self._tell(user, deadline, port)):
            raise PageUnavailable("its process does not accept its settings")

    def _tell(self, user: "Account", deadline: float, port: int) -> bytes:
        """Return the settings for `trex.page.process.settings`: lines, the last one empty."""
        host = self._options.web_host or full_name()
        mode = self._record.web_qr
        lines = [f"deadline {deadline}", f"host {host.removesuffix('.')}"]
        if self._has_tls:
            lines.append("tls made" if self._is_made else "tls files")
        if mode and mode.authentication:
            self._credentials = random_text(), random_text()
            lines += ["credentials {} {}".format(*self._credentials)]
            lines += [f"login {one_line(user.name)}", f"service {one_line(self._login.service)}"]
            lines += [f"from {one_line(self._login.remote_host)}"]
            lines += [f"server {one_line(os.uname().nodename)}"]
        scheme = "https" if self._has_tls else "http"
        bracketed = f"[{host}]" if ":" in host else host
        self._address = f"{scheme}://{bracketed}:{port}/"
        return "".join(f"{line}\n" for line in [*lines, ""]).encode("utf-8", "backslashreplace")

    def _hand_over(self, message: str) -> None:
        if not write_whole(self._settings, message.encode("ascii")):
            raise PageUnavailable("its process does not read the message")
        self._server.close(self._settings)

    def _fingerprint(self) -> str:
        """Wait until the page's process has checked its TLS files, and return the fingerprint.

        Without TLS there is nothing to wait for: return "".
        """
        if not self._has_tls:
            return ""
        try:
            word, _, rest = first_line(self._server, self._deadline).partition(" ")
        except TimeoutError:
            reason = f"its process was not ready in {REPORT_SECONDS:.0f} seconds"
            raise PageUnavailable(reason) from None
        if word != READY:
            raise PageUnavailable(rest or "its process did not get ready")
        if len(rest) != FINGERPRINT_LENGTH or not FINGERPRINT_SIGNS.issuperset(rest):
            raise PageUnavailable("expected a fingerprint from its process, found something else")
        return rest

    def _announcement(self, fingerprint: str) -> str:
        lines = [f"The same as a QR code: {self._address}"]
        if self._credentials:
            lines.append("User name: {}  Password: {}".format(*self._credentials))
        if fingerprint:
            lines.append(f"SHA-256 fingerprint of its certificate: {fingerprint}")
        return "".join(f"{line}\n" for line in lines)

    def _piped(self, path: str, reader: "Account") -> int:
        """Return the reading end of a pipe with the content of `path`, read as `reader`.

        Links are followed, because certbot uses them. It is a pipe of root's, because other
        processes of the page's account cannot open it through /proc. They could open a memory
        file, until the page's process is no longer dumpable.
        """
        shown = cut(path, MAX_PATH)
        with acting_as(reader):
            try:
                check_writers(native(path), reader)
                content, mode = read_pem(path)
            except OSError as error:
                raise PageUnavailable(f"{shown}: {error.strerror}") from None
        if path == self._record.tls_key and mode & stat.S_IROTH:
            self._login.warnings.append(f"{shown}: this TLS key can be read by everyone")
        source, sink = self._server.pipe()
        if not write_whole(sink, content):
            raise PageUnavailable(f"{shown}: it could not be passed on")
        self._server.close(sink)
        return source


def full_name() -> str:
    """Return the host's full name, as far as it is known without the network.

    A name server that does not answer would delay the login: a name that only DNS has is set with
    `web_host=`. Debian's installer writes the full name into /etc/hosts.
    """
    short = os.uname().nodename
    if "." in short:
        return short
    try:
        with open(HOSTS, encoding="utf-8", errors="replace") as file:
            for line in file:
                _, *names = line.partition("#")[0].split() or [""]
                if short in names and "." in names[0]:
                    return names[0]
    except OSError:
        pass
    return short


def read_pem(path: str) -> tuple[bytes, int]:
    """Return a regular file's content and mode; never wait for a FIFO or a device.

    Raises PageUnavailable, OSError.
    """
    shown = cut(path, MAX_PATH)
    descriptor = os.open(native(path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:  # files in /proc have size 0
            raise PageUnavailable(f"{shown}: expected a regular file that is not empty")
        content = os.read(descriptor, MAX_SIZE + 1)
    finally:
        os.close(descriptor)
    if len(content) > MAX_SIZE:
        raise PageUnavailable(f"{shown}: expected at most {MAX_SIZE // 1024} KiB")
    return content, status.st_mode
