"""Real logins in a sandbox of their own: see tests/support/sandbox.py."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pexpect
import pytest

from tests.support import native, sandbox
from tests.support.codes import write_services
from tests.support.configuration import configuration, put_back
from tests.support.examination import (
    SERVICE,
    SSHD,
    write_public_keys,
    write_service,
    write_ssh_key,
    write_sshd,
)
from tests.support.gateways import Authority, Gateway, RedisServer
from tests.support.grace import PLACE as GRACE
from tests.support.keys import Holder
from tests.support.page import OpenPrompt
from tests.support.remedies import Stage
from tests.support.sshd import Sshd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.sandbox import Account, Asked, Log


@pytest.fixture(scope="session", autouse=True)
def place() -> Path:
    sandbox.enter()
    return sandbox.PLACE


@pytest.fixture(scope="session", autouse=True)
def patient_terminals() -> Iterator[None]:
    """Let a program at a terminal have the time that it needs to end when it is killed.

    pexpect raises an error a tenth of a second after SIGKILL.
    """
    terminal = pexpect.pty_spawn.ptyprocess.PtyProcess
    terminate = terminal.terminate

    def wait_for_the_end(self: Any, force: bool = False) -> bool:  # noqa: FBT002 (pexpect's)
        deadline = time.monotonic() + 30
        has_ended: bool = terminate(self, force)
        while force and not has_ended and time.monotonic() < deadline:
            time.sleep(0.02)
            has_ended = not self.isalive()
        return has_ended

    terminal.terminate = wait_for_the_end
    yield
    terminal.terminate = terminate


@pytest.fixture(scope="session")
def session_log(place: Path) -> Log:
    return sandbox.Log()


@pytest.fixture
def log(session_log: Log) -> Log:
    session_log.clear()
    return session_log


@pytest.fixture(scope="session")
def client(place: Path, session_log: Log) -> Path:
    return sandbox.build_pam_client(place)


@pytest.fixture(scope="session")
def holder(place: Path) -> Iterator[Holder]:
    """Hold the secret keys, as a user does at home."""
    holder = Holder(place / "holder")
    yield holder
    holder.close()


@pytest.fixture(scope="session")
def native_door(place: Path) -> Path:
    """Build pam_trex.so, with the module's copy behind it."""
    return native.build(place / "pam_trex.so", sandbox.MODULE / "trex/login/helper.py")


@pytest.fixture(params=["pam_python", "native"])
def door(
    request: pytest.FixtureRequest, native_door: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have the services of a test ask through either door, one after the other."""
    if request.param == "native":
        monkeypatch.setattr(sandbox, "DOOR", str(native_door))


class Keys(dict[str, str]):
    """Fingerprints by kind, each made when first asked for; the address is `<kind>@example.org`."""

    def __init__(self, holder: Holder) -> None:
        super().__init__()
        self.holder = holder

    def __missing__(self, kind: str) -> str:
        base = kind.split("-", maxsplit=1)[0]
        self[kind] = self.holder.make(f"{kind}@example.org", base)
        return self[kind]


@pytest.fixture(scope="session")
def keys(holder: Holder) -> Keys:
    return Keys(holder)


def assert_nothing_left(before: set[int], holder: Holder) -> None:
    """Wait a little for every process to end that is neither of before nor the holder's agent."""
    deadline = time.monotonic() + 60
    while True:
        left = {
            pid: name
            for pid, name in sandbox.processes_here().items()
            if pid not in before and str(holder.home) not in name
        }
        if not left:
            return
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def nothing_left(place: Path, holder: Holder) -> Iterator[None]:
    """Advisories CVE-2019-12210 and CVE-2018-9275: nothing survives a login, however it ends."""
    before = set(sandbox.processes_here()), sandbox.listening_ports(), sandbox.stray_files()
    settings = configuration()
    yield
    put_back(settings)
    shutil.rmtree(GRACE, ignore_errors=True)
    assert_nothing_left(before[0], holder)
    # The kernel closes the files of a process after it has taken it out of its namespaces.
    deadline = time.monotonic() + 30
    while ports := sandbox.listening_ports() - before[1]:
        assert time.monotonic() < deadline, f"left behind: {ports}"
        time.sleep(0.01)
    assert sandbox.stray_files() <= before[2]


@pytest.fixture
def account(place: Path, holder: Holder) -> Iterator[Callable[[str], Account]]:
    """Make accounts that are gone after the test."""
    made = []
    before = set(sandbox.processes_here())

    def make(name: str) -> Account:
        made.append(sandbox.Account(name))
        return made[-1]

    yield make
    # Before their homes are: a gpg-agent ends by itself when its home has gone.
    try:
        assert_nothing_left(before, holder)
    finally:
        for one in reversed(made):
            one.remove()


@pytest.fixture
def alice(account: Callable[[str], Account], holder: Holder, keys: Keys) -> Account:
    """A user who is set up: a cv25519 key, named by fingerprint, trusted by her record."""
    user = account("alice")
    user.import_keys(holder.public(keys["cv25519"]))
    user.write(f"{keys['cv25519']} trust nosign\n")
    return user


@pytest.fixture(scope="session")
def service(place: Path) -> Callable[..., str]:
    """Write a PAM service with these module arguments; return its name."""
    numbers = itertools.count()

    def write(*arguments: str, control: str = "required") -> str:
        return sandbox.trex_service(f"trex-test-{next(numbers)}", *arguments, control=control)

    return write


@pytest.fixture
def ask(client: Path, service: Callable[..., str]) -> Callable[..., Asked]:
    """Authenticate a user: `ask("alice", "--answer", "x", arguments=["debug"])`."""

    def ask_pam(user: str, *options: str, arguments: tuple[str, ...] = ()) -> Asked:
        return sandbox.ask_pam(client, service(*arguments), user, *options)

    return ask_pam


@pytest.fixture
def log_in(holder: Holder, ask: Callable[..., Asked]) -> Callable[..., Asked]:
    """Authenticate with the right response, brought by gpg and the holder's gpg-agent."""

    def answer(user: str, *options: str, arguments: tuple[str, ...] = ()) -> Asked:
        return ask(user, "--answer-with", holder.command(), *options, arguments=arguments)

    return answer


@pytest.fixture
def prompt(client: Path, service: Callable[..., str]) -> Iterator[Callable[..., OpenPrompt]]:
    """Begin a login that waits for its answer: `prompt("alice", arguments=["web_max=1"])`."""
    begun = []

    def begin(user: str, *options: str, arguments: tuple[str, ...] = ()) -> OpenPrompt:
        begun.append(OpenPrompt(client, service(*arguments), user, *options))
        return begun[-1]

    yield begin
    for one in begun:
        one.close()


@pytest.fixture
def with_page(alice: Account, keys: Keys) -> Callable[..., Account]:
    """Give alice's record a web-QR mode and what may follow it."""

    def write(mode: str, *fields: str) -> Account:
        alice.write(" ".join([keys["cv25519"], "trust", "nosign", mode, *fields]) + "\n")
        return alice

    return write


@pytest.fixture
def sshd(place: Path) -> Iterator[Callable[..., Sshd]]:
    """Start servers of Trex's, `sshd("timeout=5", methods=...)`, or of a `service` of the test's."""
    servers = []

    def start(
        *arguments: str, service: str = "", methods: str = "keyboard-interactive", port: int = 0
    ) -> Sshd:
        name = f"trex-sshd-{len(list(place.glob('sshd-*')))}"
        servers.append(Sshd(service or sandbox.trex_service(name, *arguments), methods, port=port))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def host(alice: Account) -> Iterator[Account]:
    """A sound host with one user; all of /etc is the sandbox's own."""
    assert os.path.ismount("/etc")
    kept = SERVICE.read_bytes()
    write_service()
    SSHD.parent.mkdir(exist_ok=True)
    write_sshd()
    made = write_public_keys()
    write_ssh_key(alice)
    yield alice
    SERVICE.write_bytes(kept)
    SSHD.unlink()
    for path in made:
        path.unlink()


@pytest.fixture
def stack() -> Iterator[Callable[..., Path]]:
    """Put Trex alone, with these arguments, into a program's PAM service."""
    kept: dict[Path, bytes | None] = {}

    def install(service: str, *arguments: str) -> Path:
        path = sandbox.PAM_SERVICES / service
        kept.setdefault(path, path.read_bytes() if path.exists() else None)
        sandbox.trex_service(service, *arguments)
        return path

    yield install
    for path, content in kept.items():
        path.unlink() if content is None else path.write_bytes(content)


@pytest.fixture
def bob(account: Callable[[str], Account]) -> Account:
    """A user who is not set up."""
    return account("bob")


@pytest.fixture
def carol(account: Callable[[str], Account]) -> Account:
    """Another."""
    return account("carol")


@pytest.fixture(scope="session")
def stacks(place: Path) -> dict[str, str]:
    """Name PAM services of Trex's and google-authenticator's: `trex`, `google forward`."""
    return write_services()


@pytest.fixture
def otp(client: Path, stacks: dict[str, str]) -> Callable[..., bool]:
    """Log in with a code, by the stack of that name; tell whether it was let in."""

    def log_in(stack: str, user: Account, answer: str) -> bool:
        asked = sandbox.ask_pam(client, stacks[stack], user.name, "--answer", answer)
        assert asked.verdict in ("PAM_SUCCESS", "PAM_AUTH_ERR", "PAM_AUTHINFO_UNAVAIL")
        return asked.verdict == "PAM_SUCCESS"

    return log_in


@pytest.fixture(scope="session")
def authority(place: Path) -> Authority:
    """Vouch for the gateways on loopback."""
    return Authority(place / "authority")


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis to count in; a test may close it before its own end."""
    server = RedisServer(tmp_path)
    yield server
    server.close()


@pytest.fixture
def gateway(authority: Authority, place: Path) -> Iterator[Gateway]:
    """Take messages; the last one is in a file that a login can be answered from."""
    server = Gateway(authority, place / "last-message")
    yield server
    server.close()


@pytest.fixture
def trex_otp(ask: Callable[..., Asked]) -> Callable[..., Asked]:
    """Log in with a code: `trex_otp("bob", "123456", "nullok")`."""

    def log_in(user: str, answer: str, *arguments: str) -> Asked:
        return ask(user, "--answer", answer, arguments=("method=totp", *arguments))

    return log_in


@pytest.fixture
def key_file(bob: Account, holder: Holder, keys: Keys) -> Path:
    """A public key in bob's home, to enrol bob with."""
    return bob.write(holder.public(keys["cv25519"]), "key.asc")


@pytest.fixture
def handed_in(place: Path, holder: Holder, keys: Keys) -> Iterator[Path]:
    """The same key as whoever runs the host got it, where central mode's account can read it."""
    path = place / "bob-login.asc"
    path.write_bytes(holder.public(keys["cv25519"]))
    yield path
    path.unlink()


@pytest.fixture
def central(place: Path) -> Iterator[list[str]]:
    """Central mode's account and directories; return the module's arguments."""
    subprocess.run(["useradd", "--system", "--user-group", "--home-dir", "/run/trex/central",
                    "--no-create-home", "--shell", "/usr/sbin/nologin", "_trex"], check=True)  # fmt: skip
    directory = place / "central"
    for name, group, mode in ((".", "root", "755"), ("users", "_trex", "750")):
        subprocess.run(["install", "-d", "-o", "root", "-g", group, "-m", mode, directory / name],
                       check=True)  # fmt: skip
    subprocess.run(["install", "-d", "-o", "_trex", "-g", "_trex", "-m", "700", directory / "gnupg"],
                   check=True)  # fmt: skip
    yield [f"auth_file={directory}/users/%u", f"gnupg_home={directory}/gnupg", "run_as=_trex"]
    subprocess.run(["rm", "-r", directory], check=True)
    subprocess.run(["userdel", "--force", "_trex"], check=True, capture_output=True)


@pytest.fixture
def stage(holder: Holder, keys: Keys, place: Path, request: pytest.FixtureRequest) -> Stage:
    """What a case of `tests.support.remedies` has to break, on the host that it names."""
    case = request.node.callspec.params["case"]
    user = request.getfixturevalue(case.host)
    return Stage(user, holder, keys, place, request.getfixturevalue)
