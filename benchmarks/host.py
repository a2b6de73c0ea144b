"""A host to measure on: users of every kind, in a sandbox of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import native, sandbox
from tests.support.keys import Holder
from tests.support.page import make_certificate

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

# User: kind of key, and what follows the fingerprint in the record.
USERS = {
    "cv25519": ("cv25519", "trust nosign"),
    "rsa4096": ("rsa4096", "trust nosign"),
    "signed": ("cv25519", "trust {signer}"),
    "page-plain": ("cv25519", "trust nosign webQrNoAuthNoTls"),
    "page-files": ("cv25519", "trust nosign webQrAuthTls page.key page.pem"),
    "page-made": ("cv25519", "trust nosign webQrAuthTls"),
}
SESSION = ("account required pam_permit.so", "session required pam_permit.so")
BARE = """\
def pam_sm_authenticate(pamh, flags, argv):
    pamh.conversation(pamh.Message(pamh.PAM_PROMPT_ECHO_ON, "Response: "))
    return pamh.PAM_AUTH_ERR
"""
# The least that a module in Python could do; no record, no checks, no deadline.
LEAST = """\
import os

def pam_sm_authenticate(pamh, flags, argv):
    uid, gid, home, key = int(argv[1]), int(argv[2]), argv[3], argv[4]
    plaintext, sink = os.pipe()
    source, message = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        os.dup2(plaintext, 0)
        os.dup2(message, 1)
        os.execve("/usr/bin/gpg", ["gpg", "--batch", "--quiet", "--homedir", home, "--trust-model",
            "always", "--armor", "--encrypt", "--recipient", key], {})
    os.close(plaintext)
    os.close(message)
    os.write(sink, b"abcdefghij\\n")
    os.close(sink)
    text = os.read(source, 4096)
    os.close(source)
    os.waitpid(child, 0)
    pamh.conversation(pamh.Message(pamh.PAM_PROMPT_ECHO_ON, text.decode() + "Response: "))
    return pamh.PAM_AUTH_ERR
"""
# The same for a helper of pam_trex.so: no package, nothing but Python's start and gpg.
LEAST_HELPER = """\
import _socket, posix

door = _socket.socket(fileno=3)
uid, gid, home, key = door.recv(65536).split(b"\\0")[8:12]
uid, gid = int(uid), int(gid)
plaintext, sink = posix.pipe()
source, message = posix.pipe()
child = posix.fork()
if child == 0:
    posix.setgroups([])
    posix.setresgid(gid, gid, gid)
    posix.setresuid(uid, uid, uid)
    posix.dup2(plaintext, 0)
    posix.dup2(message, 1)
    posix.execve("/usr/bin/gpg", [b"gpg", b"--batch", b"--quiet", b"--homedir", home,
        b"--trust-model", b"always", b"--armor", b"--encrypt", b"--recipient", key], {})
posix.close(plaintext)
posix.close(message)
posix.write(sink, b"abcdefghij\\n")
posix.close(sink)
text = b""
while piece := posix.read(source, 4096):
    text += piece
posix.waitpid(child, 0)
door.send(b"e\\n" + text + b"Response: ")
right = door.recv(65536).endswith(b"abcdefghij")
door.send(b"vsuccess" if right else b"vauth_err")
posix._exit(0)
"""
CODE_FILE = """\
JBSWY3DPEHPK3PXPJBSWY3DPEE
" TOTP_AUTH
" WINDOW_SIZE 3
"""


class Host:
    """Accounts, keys and PAM services, and the client that asks."""

    def __enter__(self) -> Self:
        """Make everything; it vanishes with the process."""
        sandbox.enter()
        self.place = sandbox.PLACE
        self.log = sandbox.Log()
        self.client = sandbox.build_pam_client(self.place)
        self.holder = Holder(self.place / "holder")
        self.keys = {kind: self.holder.make(f"{kind}@example.org", kind)
                     for kind in ("cv25519", "rsa4096", "signing")}  # fmt: skip
        self.accounts = {name: self._make(name, *what) for name, what in USERS.items()}
        self._module("bare", BARE)
        account = self.accounts["cv25519"]
        told = (str(account.uid), str(account.gid), str(account.gnupg), self.keys["cv25519"])
        self._module("least", LEAST, *told)
        sandbox.pam_service("bench-permit", "auth required pam_permit.so", *SESSION)
        sandbox.pam_service("bench-code", "auth required pam_google_authenticator.so", *SESSION)
        sandbox.trex_service("bench-trex", "web_host=localhost")
        helper = self.place / "least_helper.py"
        helper.write_text(LEAST_HELPER, encoding="utf-8")
        self._native("least", helper, *told)
        self._native("trex", sandbox.MODULE / "trex/login/helper.py", "web_host=localhost")
        self.accounts["cv25519"].write(CODE_FILE, ".google_authenticator").chmod(0o400)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the agent; the rest goes with the namespace."""
        self.holder.close()

    def _module(self, name: str, code: str, *arguments: str) -> None:
        (self.place / f"{name}.py").write_text(code, encoding="utf-8")
        line = " ".join(["auth required pam_python.so", f"{self.place}/{name}.py", *arguments])
        sandbox.pam_service(f"bench-{name}", line)

    def _native(self, name: str, helper: Path, *arguments: str) -> None:
        """Write a PAM service with pam_trex.so and this helper."""
        module = native.build(self.place / f"{name}.so", helper)
        line = " ".join(["auth required", str(module), *arguments])
        sandbox.pam_service(f"bench-{name}-native", line, *SESSION)

    def _make(self, name: str, kind: str, rest: str) -> sandbox.Account:
        account = sandbox.Account(name)
        account.import_keys(self.holder.public(self.keys[kind]))
        if "{signer}" in rest:
            account.import_keys(self.holder.secret(self.keys["signing"]))
        if "page.key" in rest:
            for path in make_certificate(account.home):
                account.own(path, 0o600)
        signer = self.keys["signing"]
        account.write(f"{self.keys[kind]} {rest.format(signer=signer)}\n")
        return account

    def ask(
        self, service: str, user: str, *options: str, then: tuple[str, ...] = ()
    ) -> sandbox.Asked:
        """Authenticate once, with a wrong answer."""
        return sandbox.ask_pam(self.client, service, user, *options, then=then)
