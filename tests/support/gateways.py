"""Gateways on loopback with real TLS, a real SMTP server, and a real Redis."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import subprocess
import sys
import threading
from base64 import b64encode
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from tests.support.servers import START_SECONDS, end, free_port, wait_for_port

if TYPE_CHECKING:
    from pathlib import Path

    from aiosmtpd.smtp import SMTP, Envelope, Session

PATIENCE = 60  # seconds
TOKEN = "token-9f3c"  # noqa: S105 (the tests look for it where it must not be)


class Authority:
    """A certification authority of the tests', and a server certificate for localhost."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o755)
        self.ca, self.key, self.certificate = (
            directory / name for name in ("ca.pem", "key.pem", "certificate.pem")
        )
        ca_key, request = directory / "ca.key", directory / "request"
        extensions = directory / "extensions"
        extensions.write_text(
            "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n"
            "authorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
        )
        openssl = [
            "openssl",
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ]
        commands: list[list[str | Path]] = [
            [*openssl, "-x509", "-keyout", ca_key, "-out", self.ca, "-subj", "/CN=Test CA",
             "-addext", "keyUsage=critical,keyCertSign"],
            [*openssl, "-keyout", self.key, "-out", request, "-subj", "/CN=localhost"],
            ["openssl", "x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-days",
             "2", "-CAcreateserial", "-extfile", extensions, "-out", self.certificate],
        ]  # fmt: skip
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
        self.ca.chmod(0o644)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Server(http.server.ThreadingHTTPServer):
    """A server that can tell when all who came are served."""

    daemon_threads = True

    def __init__(self, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._changed = threading.Condition()
        self._came: list[object] = []
        self._open: dict[object, socket.socket] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note who came: in the order in which they did."""
        with self._changed:
            self._came.append(client_address)
            self._open[client_address] = request
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve, and note the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                del self._open[client_address]
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of half a handshake and half a message."""
        if not isinstance(sys.exc_info()[1], (OSError, ValueError)):
            super().handle_error(request, client_address)

    def settle(self) -> None:
        """Wait until everybody who has connected so far is served."""
        with socket.create_connection(("127.0.0.1", self.server_port)) as last:
            address = last.getsockname()
        with self._changed:
            assert self._changed.wait_for(
                lambda: address in self._came and not self._open, PATIENCE
            )
            self._came.clear()

    def end(self) -> None:
        """End, and see everybody hung up on: a thread that goes on would do so during other tests."""
        self.shutdown()
        with self._changed:
            for request in self._open.values():
                with suppress(OSError):
                    socket.socket.shutdown(request, socket.SHUT_RDWR)
            assert self._changed.wait_for(lambda: not self._open, PATIENCE)
        self.server_close()


class Gateway:
    """An HTTPS server that speaks Free's, Twilio's and another interface, and misbehaves on demand.

    `texts` are the messages that it took. The last one is in the file `last`, too.
    """

    def __init__(self, authority: Authority, last: Path) -> None:
        gateway = self
        self.texts: list[str] = []
        self.requests: list[tuple[str, str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.status = 0  # other than success
        self.code = 0  # Twilio's
        self.seconds = 0.0
        self.redirect = ""
        self.raw = b""  # sent in place of an answer
        self.closed = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                gateway.requests.append((self.command, self.path, body))
                gateway.headers.append(dict(self.headers))
                if gateway.closed.wait(gateway.seconds):
                    return
                if gateway.raw:
                    with suppress(OSError):
                        self.wfile.write(gateway.raw)
                    return
                status, said = gateway.take(self.path, body, self.headers.get("Authorization", ""))
                try:
                    self.send_response(status)
                    if gateway.redirect:
                        self.send_header("Location", gateway.redirect)
                    self.end_headers()
                    self.wfile.write(said.encode())
                except OSError:  # the client has gone
                    return

            do_GET = do_POST = do_PUT = answer  # noqa: N815 (http.server's names)

            def log_message(self, *_: object) -> None:
                return

        self.last = last
        self.server = Server(Handler)
        self.server.socket = authority.context().wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self.server.server_address[1]
        self.url = f"https://localhost:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def take(self, path: str, body: str, authorization: str) -> tuple[int, str]:
        """Return status and body, and keep the message if it is taken."""
        if self.redirect:
            return 302, ""
        if self.status:
            return self.status, json.dumps(
                {"code": self.code, "message": "no", "status": self.status}
            )
        target = urlsplit(path)
        form = {name: values[0] for name, values in parse_qs(target.query or body).items()}
        if target.path == "/sendmsg":
            return (200, "") if self.keep(form, "msg", form.get("pass") == TOKEN) else (403, "")
        if target.path.startswith("/2010-04-01/Accounts/AC1/Messages.json"):
            basic = "Basic " + b64encode(f"AC1:{TOKEN}".encode()).decode()
            taken = self.keep(form, "Body", authorization == basic)
            return (201, "{}") if taken else (401, '{"code": 20003}')
        if target.path == "/json":
            return (
                (202, "")
                if self.keep(json.loads(body), "text", TOKEN in authorization)
                else (401, "")
            )
        return (202, "") if self.keep(form, "text", TOKEN in authorization) else (401, "")

    def keep(self, form: dict[str, str], name: str, allowed: bool) -> bool:
        if allowed and name in form:
            self.texts.append(form[name])
            self.last.write_text(form[name])
        return allowed

    def settle(self) -> None:
        """Wait until `texts` has all that was sent before."""
        self.server.settle()

    def close(self) -> None:
        """End the server, and what it has not answered yet: nothing of that is taken."""
        self.closed.set()
        self.server.end()


class Mailbox:
    """A real SMTP server with TLS and authentication; it keeps what it takes."""

    def __init__(self, authority: Authority, last: Path, kind: str) -> None:
        self.mails: list[Envelope] = []
        self.logins: list[LoginPassword] = []
        self.last = last
        self.refuse = ""
        self.knows_nobody = False
        kinds: dict[str, dict[str, Any]] = {
            "tls": {"ssl_context": authority.context()},
            "starttls": {"tls_context": authority.context(), "require_starttls": True,
                         "authenticator": self.authenticate, "auth_required": True},
            "plain": {"authenticator": self.authenticate, "auth_require_tls": False},
        }  # fmt: skip
        self.controller = Controller(
            self,
            hostname="127.0.0.1",
            port=free_port(),
            server_hostname="localhost",
            ready_timeout=START_SECONDS,
            **kinds[kind],
        )
        self.controller.start()
        self.port: int = self.controller.port

    def authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str,
                     data: LoginPassword) -> AuthResult:  # fmt: skip
        self.logins.append(data)
        right = data == LoginPassword(b"trex", TOKEN.encode())
        return AuthResult(success=right, handled=False)

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:  # fmt: skip
        if self.knows_nobody:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.refuse:
            return self.refuse
        self.mails.append(envelope)
        content = envelope.content or b""
        self.last.write_bytes(content if isinstance(content, bytes) else content.encode())
        return "250 OK"

    def close(self) -> None:
        """End the server."""
        self.controller.stop()


class RedisServer:
    """A real Redis, or whatever Debian has in its place, with a password: on TCP and on a socket."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.socket = directory / "redis.sock"
        self.url = f"redis://:{TOKEN}@127.0.0.1:{self.port}/0"
        self.socket_url = f"unix://:{TOKEN}@{self.socket}"
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", "",
             "--appendonly", "no", "--requirepass", TOKEN, "--dir", directory,
             "--unixsocket", self.socket, "--unixsocketperm", "770"],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        wait_for_port(self.port, self.process)
        # It answers once it has its other socket, too, which comes after the port.
        with socket.create_connection(("127.0.0.1", self.port), START_SECONDS) as asking:
            asking.sendall(b"PING\r\n")
            assert asking.recv(64)

    def close(self) -> None:
        """End it."""
        end(self.process)
