"""A prompt that is open, and the page that belongs to it, as a visitor sees them."""

from __future__ import annotations

import itertools
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

from tests.support.network import trusting
from tests.support.sandbox import PLACE, Asked, listening_ports, processes_here

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.keys import Holder

COUNTER = itertools.count()
UNAVAILABLE = "There is no page with a QR code: the system's log says why.\nYou have"
END_SECONDS = 20.0  # of ten minutes that a prompt holds; the machine may be busy
# Answers when there is something to answer, so that a test has all the time it wants.
WAIT = (
    "cat >/dev/null; until mv {answer} {answer}.taken 2>/dev/null; do sleep 0.02; done; "
    "cat {answer}.taken"
)


class Shown:
    """What a prompt says about its page."""

    def __init__(self, prompt: str) -> None:
        about = prompt.partition("-----END PGP MESSAGE-----\n")[2]
        message = re.search(
            r"^-----BEGIN.*-----END PGP MESSAGE-----$", prompt, re.DOTALL | re.MULTILINE
        )
        address = re.search(
            r"^The same as a QR code: ((https?)://(.+):(\d+)/)$", about, re.MULTILINE
        )
        login = re.search(r"^User name: (\w{10})  Password: (\w{10})$", about, re.MULTILINE)
        print_ = re.search(
            r"fingerprint of its certificate: ((?:[0-9A-F]{2}:){31}..)$", about, re.MULTILINE
        )
        assert message
        self.about = about
        self.message = message[0]
        self.url = address[1] if address else ""
        self.scheme = address[2] if address else ""
        self.host = address[3] if address else ""
        self.port = int(address[4]) if address else 0
        self.user_name, self.password = login.groups() if login else ("", "")
        self.fingerprint = print_[1] if print_ else ""

    def get(self, *options: str, path: str = "", known: bool = True) -> str:
        """Fetch with curl, which shows the headers too; the credentials come on standard input."""
        login = f'user = "{self.user_name}:{self.password}"\n' if self.user_name and known else ""
        return subprocess.run(
            ["curl", "--silent", "--show-error", "--insecure", "--include", "--http1.1",
             "--max-time", "20", "--globoff", "--config", "-", *options, self.url + path],
            input=login, capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def connect_tls(self, *, minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
                    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLSocket:  # fmt: skip
        """Open a connection with TLS; the certificate is not looked at."""
        context = trusting()
        context.minimum_version, context.maximum_version = minimum, maximum
        return context.wrap_socket(self.connect())


class OpenPrompt:
    """A login that waits for its answer."""

    def __init__(self, client: Path, service: str, user: str, *options: str) -> None:
        number = next(COUNTER)
        self._answer = PLACE / f"answer-{number}"
        self._prompt = PLACE / f"open-prompt-{number}"
        command = WAIT.format(answer=self._answer)
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [client, "--prompt-file", self._prompt, "--answer-with", command, *options,
             service, user],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            env={"PATH": "/usr/bin:/bin"}, start_new_session=True,
        )  # fmt: skip
        self.text = self._wait()
        self.shown = Shown(self.text)

    def _wait(self) -> str:
        deadline = time.monotonic() + 60
        while True:
            text = self._prompt.read_text(encoding="utf-8") if self._prompt.exists() else ""
            if text.endswith(("Response: ", "Both responses: ")):
                return text
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline, "no prompt"
            time.sleep(0.01)

    def page_process(self) -> int:
        """Return the id of the process that serves the page; without TLS it may still start."""
        deadline = time.monotonic() + 30
        while True:
            ours = [pid for pid in processes_here() if parent(pid) == self.process.pid]
            pages = [
                pid for pid in ours if "trex.page.process.main" in processes_here().get(pid, "")
            ]
            if len(pages) == 1:
                return pages[0]
            assert time.monotonic() < deadline, pages
            time.sleep(0.02)

    def answer(self, response: str) -> Asked:
        """Answer, and return what became of the login."""
        self.say(response)
        return Asked(self.process.communicate(timeout=60)[0], self.text)

    def say(self, response: str) -> None:
        """Answer, and do not wait."""
        draft = self._answer.with_suffix(".draft")
        draft.write_text(f"{response}\n", encoding="utf-8")
        draft.rename(self._answer)

    def kill(self) -> None:
        """End the application that asked, without warning."""
        self.process.kill()
        self.close()

    def close(self) -> None:
        """End what is left of the login."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(30)
        if self.process.stdout:
            self.process.stdout.close()
        for path in (
            self._answer,
            self._answer.with_name(f"{self._answer.name}.taken"),
            self._prompt,
        ):
            path.unlink(missing_ok=True)


def parent(pid: int) -> int:
    """Return a process's parent, 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def make_certificate(directory: Path, name: str = "page", *options: str) -> tuple[Path, Path]:
    """Make a key and a self-signed certificate with openssl; return their paths."""
    key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
    kind = options or ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
    subprocess.run(
        ["openssl", "req", "-x509", *kind, "-keyout", key, "-out", certificate,
         "-subj", "/CN=page.example.org", *(() if "-days" in kind else ("-days", "30"))],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, certificate


def fingerprint(certificate: Path) -> str:
    """Return a certificate's SHA-256 fingerprint, as openssl prints it."""
    printed = subprocess.run(
        ["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return printed.partition("=")[2].strip()


def answer_to(holder: Holder, prompt: OpenPrompt) -> str:
    return str(holder.decrypt(prompt.shown.message)).strip()


def wait_until_gone(port: int) -> float:
    """Return how long a port still listened."""
    begun = time.monotonic()
    while port in listening_ports():
        assert time.monotonic() < begun + END_SECONDS, "the port is still there"
        time.sleep(0.02)
    return time.monotonic() - begun
