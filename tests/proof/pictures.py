"""The pictures in docs/images: a prompt, its page, `trex doctor` and `trex list`, of real logins.

    sudo script/screenshots [NAME]...

A small server is set up in the sandbox as its README says: script/install, an sshd, a few users.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import sandbox
from tests.support.drawn import Terminal
from tests.support.installation import install
from tests.support.keys import Holder
from tests.support.mounts import mounted, overlaid
from tests.support.page import Shown
from tests.support.sandbox import PLACE, PROJECT, Account
from tests.support.servers import end, wait_for_port

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = PROJECT / "docs/images"
HOST = "server.example.org"
SSHD = """\
UsePAM yes
KbdInteractiveAuthentication yes
PasswordAuthentication no
AuthenticationMethods publickey,keyboard-interactive:pam
LoginGraceTime 700
MaxStartups 100:30:200
PerSourceMaxStartups 20
PrintLastLog no
PrintMotd no
"""
PAM = ("auth required pam_trex.so", "account required pam_permit.so", "session required pam_permit.so")  # fmt: skip
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
PROMPT = r"alice@server:~\$ "


class Server:
    """A host with Trex, its users, and a user's laptop."""

    def __init__(self, undo: ExitStack) -> None:
        undo.enter_context(overlaid(*(Path("/usr", name) for name in ("lib", "bin", "share"))))
        undo.enter_context(mounted(Path("/var/lib"), "-t", "tmpfs", "-o", "mode=755", "trex-var"))
        self.log = sandbox.Log()
        done = install()
        assert done.returncode == 0, done.stderr
        hosts = Path("/etc/hosts")
        hosts.write_text(f"127.0.0.1 {HOST} server localhost\n")
        definitions = Path("/etc/login.defs")
        definitions.write_text(
            re.sub(r"^UID_MIN.*$", "UID_MIN 30000", definitions.read_text(), flags=re.MULTILINE)
        )
        self.holder = Holder(PLACE / "holder")
        undo.callback(self.holder.close)
        self.users = {name: Account(name) for name in ("alice", "bob", "carol", "dave")}
        self._enrol("alice", expire="2y")
        self._enrol("bob", expire="9d")
        self._enrol("carol", "--page", "webQrAuthTls", expire="2y")
        self._start_sshd(undo)
        self.laptop = Path(PLACE / "laptop")
        self._make_laptop()

    def _enrol(self, user: str, *options: str, expire: str) -> None:
        key = self.holder.make(f"{user}@example.org", expire=expire, name=user)
        exported = PLACE / f"{user}.asc"
        exported.write_bytes(self.holder.public(key))
        subprocess.run(["/usr/bin/trex", "enroll", "--user", user, "--key", exported, "--yes", *options],
                       check=True, capture_output=True, env={"PATH": PATH})  # fmt: skip

    def _start_sshd(self, undo: ExitStack) -> None:
        sandbox.pam_service("sshd", *PAM)
        for key in Path("/etc/ssh").glob("ssh_host_*"):
            key.unlink()
        subprocess.run(["ssh-keygen", "-q", "-A"], check=True)
        Path("/etc/ssh/sshd_config").write_text(SSHD)
        said = PLACE / "sshd.log"
        process = subprocess.Popen(["/usr/sbin/sshd", "-D", "-E", said])
        undo.callback(end, process)
        wait_for_port(22, process, said.read_text)

    def _make_laptop(self) -> None:
        """Make what `ssh` needs at home: a key of SSH's, and the host's key as known."""
        self.laptop.mkdir(mode=0o700)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.laptop / "id"], check=True)  # fmt: skip
        for user in self.users.values():
            (user.home / ".ssh").mkdir()
            user.own(user.home / ".ssh", 0o700)
            user.write((self.laptop / "id.pub").read_bytes(), ".ssh/authorized_keys")
        known = Path("/etc/ssh/ssh_host_ed25519_key.pub").read_text()
        (self.laptop / "known").write_text(f"{HOST} {known}")
        (self.laptop / "config").write_text(
            f"IdentityFile {self.laptop}/id\nIdentitiesOnly yes\nUserKnownHostsFile {self.laptop}/known\n"
        )
        # What is typed in the pictures is `ssh alice@...`, and nothing else.
        (self.laptop / "ssh").write_text(
            f'#!/bin/sh\nexec /usr/bin/ssh -F {self.laptop}/config "$@"\n'
        )
        (self.laptop / "ssh").chmod(0o755)

    def terminal(self, prompt: str, columns: int = 80) -> Terminal:
        """Open a shell that shows this prompt."""
        made = Terminal(
            ["/bin/bash", "--norc", "--noprofile"],
            {"PATH": f"{self.laptop}:{PATH}", "HOME": "/root", "LC_ALL": "C.UTF-8", "PS1": prompt},
            columns,
        )
        made.process.expect_exact(prompt)
        return made

    def response(self, prompt: str) -> str:
        """Decrypt what a prompt shows."""
        message = re.search(r"-----BEGIN.*-----END PGP MESSAGE-----", prompt, re.DOTALL)
        assert message, prompt
        return str(self.holder.decrypt(message[0].replace("\r", ""))).strip()


def prompt(server: Server) -> None:
    """Log in by ssh, and answer."""
    terminal = server.terminal("alice@laptop:~$ ")
    shown = terminal.type(f"ssh alice@{HOST}", "Response: ")
    terminal.type(server.response(shown), PROMPT)
    terminal.draw(IMAGES / "prompt.svg", "A login")
    terminal.close()


def doctor(server: Server) -> None:
    """Have a fault found: everybody can write bob's record."""
    server.users["bob"].record.chmod(0o666)
    terminal = server.terminal("root@server:~# ", columns=100)
    terminal.type("trex doctor", "root@server:~# ")
    server.users["bob"].record.chmod(0o600)
    terminal.draw(IMAGES / "doctor.svg", "trex doctor")
    terminal.close()


def listed(server: Server) -> None:
    """List who is enrolled, and who is not."""
    terminal = server.terminal("root@server:~# ")
    terminal.type("trex list", "root@server:~# ")
    terminal.draw(IMAGES / "list.svg", "trex list")
    terminal.close()


def page(server: Server) -> None:
    """Visit the page of an open prompt with a browser."""
    from tests.support.browser import Browser

    terminal = server.terminal("carol@laptop:~$ ")
    shown = terminal.type(f"ssh carol@{HOST}", "Response: ").replace("\r\n", "\n")
    browser = Browser(PLACE / "browser", width=1240, height=600, scale=2)
    browser.driver.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
    browser.visit(Shown(shown))
    # 32 colours are enough for text and squares.
    browser.screenshot().convert("RGB").quantize(32).save(IMAGES / "page.png", optimize=True)
    browser.close()
    terminal.close()


PICTURES: dict[str, Callable[[Server], None]] = {"prompt": prompt, "doctor": doctor, "list": listed, "page": page}  # fmt: skip


def main() -> None:
    """Take the pictures that are asked for, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", nargs="*", choices=[[], *PICTURES])
    asked = parser.parse_args().name or PICTURES
    IMAGES.mkdir(exist_ok=True)
    sandbox.enter()
    with ExitStack() as undo:
        server = Server(undo)
        for name in asked:
            PICTURES[name](server)


if __name__ == "__main__":
    main()
