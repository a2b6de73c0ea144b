"""Stop a login by su at every step of it, and see that nobody else is kept out.

    sudo python3 -m tests.proof.stops [--variant NAME] [--sample N] [--part K/N]

mallory runs `su alice` under tests/proof/fault.c. At one system call of su's, or of a process that
it has caused, either su alone goes no further, as after mallory's SIGSTOP, or all of them, as in a
cgroup that mallory has frozen. Then alice and carol log in. Last, what was stopped goes on to its
end. It is good if alice and carol get in, and nothing that they have spent or counted comes back.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from tests.proof.faults import HERE, NEVER, system_calls
from tests.support import native, sandbox
from tests.support.codes import ACCOUNT_LINES, FILE, text
from tests.support.gateways import Authority, Gateway
from tests.support.keys import Holder
from tests.support.pins import NUMBER, PHONES, SETTINGS, by_http, sending_account
from tests.support.recovery import CODES, spent_in, write_codes
from tests.support.recovery import FILE as RECOVERY_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LOGIN, ALL = "login", "all"
KINDS = (LOGIN, ALL)
SECONDS = 60
MOST_OF_A_KIND = 12  # calls of one process, of one name, for one path


class Step(NamedTuple):
    """One system call of a login: whose, the how many-th, which, with what path."""

    role: str
    at: int
    name: str
    path: str


class Variant(ABC):
    """A way to log in, for alice and carol."""

    name = ""
    answer = "x"  # mallory's
    is_native = False  # whether through pam_trex.so

    def __init__(self, world: World) -> None:
        self.world = world
        self.entry = world.door if self.is_native else world.entry
        self.service = sandbox.pam_service(f"trex-stops-{self.name}", *self.lines())

    def lines(self) -> tuple[str, ...]:
        """Return the PAM service."""
        arguments = " ".join(self.arguments())
        module = self.entry if self.is_native else f"pam_python.so {self.entry}"
        return f"auth required {module} {arguments}", *ACCOUNT_LINES

    @abstractmethod
    def arguments(self) -> list[str]:
        """Return the module's."""

    def prepare(self) -> None:  # noqa: B027 (not every variant has something)
        """Make all as it is before a login."""

    @abstractmethod
    def log_in(self, name: str) -> str:
        """Log in while su is stopped, and return what is wrong."""

    def spoiled(self, *, accepted: bool) -> Iterator[str]:
        """Say what is wrong at the end, when su has let mallory in or not."""
        yield from ()

    def ask(self, name: str, *options: str, expected: str = "PAM_SUCCESS") -> str:
        """Log in with the PAM client."""
        asked = sandbox.ask_pam(self.world.client, self.service, name, *options)
        return "" if asked.verdict == expected else f"{name}: {asked.verdict}"


class Signed(Variant):
    """A challenge that the server signs, with one keyring for all."""

    name = "signed"

    def __init__(self, world: World) -> None:
        place = world.place / f"stops-{self.name}"
        place.mkdir(mode=0o755)
        self.home, self.records = place / "gnupg", place / "records"
        super().__init__(world)
        key = world.holder.make("stops@example.org")
        signer = world.holder.make("stops-signer@example.org", "signing")
        keeper = world.accounts["_stops"]
        self.home.mkdir(mode=0o700)
        keeper.own(self.home, 0o700)
        exported = world.holder.public(key) + world.holder.secret(signer)
        gpg = ["gpg", "--homedir", str(self.home), "--batch", "--quiet"]
        keeper.run(*gpg, "--import", stdin=exported)
        keeper.run("gpgconf", "--homedir", str(self.home), "--kill", "all")
        sandbox.wait_for_daemons(self.home)  # they remove their sockets as they end
        self.records.mkdir(mode=0o755)
        for name in ("alice", "carol"):
            (self.records / name).write_text(f"{key} trust {signer}\n")
        self._before = sandbox.listing(self.home)

    def arguments(self) -> list[str]:
        """See Variant."""
        return [f"auth_file={self.records}/%u", f"gnupg_home={self.home}", "run_as=_stops"]

    def log_in(self, name: str) -> str:
        """See Variant."""
        return self.ask(name, "--answer-with", self.world.holder.command())

    def spoiled(self, *, accepted: bool) -> Iterator[str]:
        """See Variant."""
        if sandbox.listing(self.home) != self._before:
            yield "the keyring's directory is another"
        if accepted:
            yield "su has accepted `x`"


class Pin(Variant):
    """A PIN by SMS, counted for the host."""

    name = "pin"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        counts = world.place / "stops-counts"
        world.until_closed.enter_context(sending_account(counts))
        authority = Authority(world.place / "stops-authority")
        self.counts = counts / "counts"
        self.gateways = {
            n: Gateway(authority, world.place / f"stops-{n}") for n in ("alice", "carol")
        }
        tables = ""
        for name, gateway in self.gateways.items():
            world.until_closed.callback(gateway.close)
            tables += f'[[gateway]]\nonly = ["{name}"]\nca = "{authority.ca}"\n{by_http(gateway)}\n'
        SETTINGS.write_text(f'state = "file:{self.counts}"\n[limits]\nuser_hour = 20\n{tables}')
        SETTINGS.chmod(0o600)
        PHONES.write_text(f"alice {NUMBER}\ncarol {NUMBER}\n")
        PHONES.chmod(0o600)

    def arguments(self) -> list[str]:
        """See Variant."""
        return ["method=sms"]

    def prepare(self) -> None:
        """See Variant."""
        self.counts.unlink(missing_ok=True)
        for gateway in self.gateways.values():
            gateway.texts.clear()

    def log_in(self, name: str) -> str:
        """See Variant."""
        if name == "alice":  # mallory's message may come at the same moment
            return self.ask(name, "--answer", "x", expected="PAM_AUTH_ERR")
        pin = f"grep -oE '[0-9]{{8}}' {self.gateways[name].last} | head -1"
        return self.ask(name, "--answer-with", pin)

    def spoiled(self, *, accepted: bool) -> Iterator[str]:
        """See Variant."""
        counted = len(self.counts.read_text().splitlines())
        sent = sum(len(gateway.texts) for gateway in self.gateways.values())
        if sent > counted or accepted:
            yield f"{sent} messages, {counted} counted"


class Code(Variant):
    """A code from a phone, with mallory knowing one of alice's."""

    name = "code"
    answer = "11111111"
    others = "22222222"

    def arguments(self) -> list[str]:
        """See Variant."""
        return ["method=totp"]

    def prepare(self) -> None:
        """See Variant."""
        lines = ('" RATE_LIMIT 9 3600', '" TOTP_AUTH', self.answer, self.others)
        for name in ("alice", "carol"):
            account = self.world.accounts[name]
            shutil.rmtree(account.home / f".{FILE}~", ignore_errors=True)
            account.write(text(*lines), FILE)

    def log_in(self, name: str) -> str:
        """See Variant."""
        return self.ask(name, "--answer", self.others)

    def spoiled(self, *, accepted: bool) -> Iterator[str]:
        """See Variant."""
        content = (self.world.accounts["alice"].home / FILE).read_text()
        if self.others in content:
            yield "a spent code is there again"
        if accepted and self.answer in content:
            yield "mallory's code was not spent"
        attempts = re.search(r"RATE_LIMIT 9 3600((?: \d+)*)", content)
        if not attempts or len(attempts[1].split()) < (2 if accepted else 1):
            yield f"attempts that do not count: {content}"
        if (left := sorted(p.name for p in self.world.accounts["alice"].home.glob(f"{FILE}*"))) != [
            FILE
        ]:
            yield f"left: {left}"


class Recovery(Variant):
    """A recovery code, with mallory knowing one of alice's."""

    name = "recovery"
    answer, others = CODES[0], CODES[1]

    def arguments(self) -> list[str]:
        """See Variant."""
        return ["method=recovery"]

    def prepare(self) -> None:
        """See Variant."""
        for name in ("alice", "carol"):
            account = self.world.accounts[name]
            shutil.rmtree(account.home / f".{RECOVERY_FILE}~", ignore_errors=True)
            write_codes(account)

    def log_in(self, name: str) -> str:
        """See Variant."""
        return self.ask(name, "--answer", self.others)

    def spoiled(self, *, accepted: bool) -> Iterator[str]:
        """See Variant."""
        home = self.world.accounts["alice"].home
        spent = spent_in(home / RECOVERY_FILE)
        if self.others not in spent:
            yield "a spent code is not spent any more"
        if accepted and self.answer not in spent:
            yield "mallory's code was not spent"
        left = sorted(path.name for path in home.glob(f"*{RECOVERY_FILE}*"))
        if left != [RECOVERY_FILE]:
            yield f"left: {left}"


class NativeSigned(Signed):
    """The same through pam_trex.so: the login is not in su's process."""

    name = "native-signed"
    is_native = True


class NativeCode(Code):
    """The same."""

    name = "native-code"
    is_native = True


VARIANTS: dict[str, type[Variant]] = {
    one.name: one for one in (Signed, Pin, Code, Recovery, NativeSigned, NativeCode)
}


class World:
    """Accounts, keys and all that the variants need."""

    def __init__(self, place: Path, client: Path | None = None) -> None:
        self.place = place
        self.until_closed = ExitStack()
        self.client = client or sandbox.build_pam_client(place)
        self.injector = place / "stop"
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self.injector,
                        HERE / "fault.c"], check=True)  # fmt: skip
        self.entry = _module_without_delay(place / "stops-module")
        self.door = native.build(place / "stops-module/pam_trex.so",
                                 place / "stops-module/trex/login/helper.py")  # fmt: skip
        self.names = system_calls()
        self._numbers = count()
        self._su = (sandbox.PAM_SERVICES / "su").read_text()
        self.until_closed.callback((sandbox.PAM_SERVICES / "su").write_text, self._su)
        self.accounts: dict[str, sandbox.Account] = {}
        for name in ("alice", "carol", "mallory", "_stops"):
            self.accounts[name] = sandbox.Account(name)
            self.until_closed.callback(self.accounts[name].remove)
        self.holder = Holder(place / "stops-holder")
        self.until_closed.callback(self.holder.close)
        self.variants = {name: kind(self) for name, kind in VARIANTS.items()}

    def steps(self, variant: Variant) -> list[Step]:
        """Return all system calls of a login by su that can be told apart."""
        rows = self._su_alice(variant, "", [])[0]
        found: list[Step] = []
        seen: Counter[tuple[str, str, str]] = Counter()
        for row in rows:
            word, role, at, number, path = (*row.split(" "), "", "", "", "")[:5]
            if word != "call" or role == "audit":
                continue
            step = Step(role, int(at), self.names.get(int(number), number), path)
            kind = step.role, step.name, re.sub("[0-9a-f]{32}|[0-9]+", "N", path)
            seen[kind] += 1
            if step.name not in NEVER and seen[kind] <= MOST_OF_A_KIND:
                found.append(step)
        assert len(found) > MOST_OF_A_KIND, rows
        return found

    def stop(self, variant: Variant, step: Step, kind: str) -> tuple[bool, list[str]]:
        """Stop a login there; tell whether it came to that, and what was wrong."""
        options = ["--role", step.role, "--at", str(step.at), "--halt", kind]
        lines, problems, code = self._su_alice(variant, kind, options)
        problems += [line for line in lines if line.startswith(("left", "late"))]
        if "halted" not in lines:  # that login made fewer calls, and so nobody has logged in beside
            return False, problems
        return True, [*problems, *variant.spoiled(accepted=code == 0)]

    def _su_alice(
        self, variant: Variant, kind: str, options: list[str]
    ) -> tuple[list[str], list[str], int]:
        report = self.place / f"stop-{next(self._numbers)}"
        sandbox.pam_service("su", *variant.lines())
        variant.prepare()
        su = ["/usr/bin/setpriv", "--reuid=mallory", "--regid=mallory", "--clear-groups",
              "/usr/bin/su", "-c", "true", "alice"]  # fmt: skip
        tracer = subprocess.Popen(
            [self.injector, "--begin", variant.entry, "--seconds", str(SECONDS), *options, report,
             *su], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/bin:/bin"},
        )  # fmt: skip
        assert tracer.stdin
        tracer.stdin.write(f"{variant.answer}\n".encode())
        tracer.stdin.close()

        def has_come() -> bool:
            is_halted = report.exists() and b"\nhalted\n" in report.read_bytes()
            return tracer.poll() is not None or is_halted

        problems = []
        try:
            wait_until(has_come, SECONDS)
            if kind and tracer.poll() is None:
                problems = [variant.log_in(name) for name in ("carol", "alice")]
        finally:
            deadline = time.monotonic() + 2 * SECONDS
            while tracer.poll() is None:
                tracer.send_signal(signal.SIGUSR1)
                time.sleep(0.01)
                assert time.monotonic() < deadline
        lines = report.read_text(encoding="ascii", errors="replace").splitlines()
        report.unlink()
        return lines, [problem for problem in problems if problem], tracer.returncode

    def close(self) -> None:
        """Take everything away."""
        self.until_closed.close()


def _module_without_delay(place: Path) -> Path:
    """Make a copy of the module in which no refusal takes two seconds; return its entry file."""
    shutil.copytree(sandbox.MODULE, place)
    source = place / "trex/login/pam.py"
    source.write_text(source.read_text().replace("FAIL_DELAY_US = 2_000_000", "FAIL_DELAY_US = 1"))
    sandbox.compile_module(place)
    return place / "pam_trex.py"


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.005)


def main() -> int:
    """Run the experiment; the exit status is 1 if anybody was kept out."""
    parser = argparse.ArgumentParser(description="logins that are stopped")
    parser.add_argument("--sample", type=int, help="so many steps a variant, by chance")
    parser.add_argument("--variant", choices=VARIANTS, action="append")
    parser.add_argument(
        "--part", default="0/1", help="K/N: the steps whose number leaves K when divided by N"
    )
    wanted = parser.parse_args()
    sandbox.enter()
    log = sandbox.Log()
    world = World(sandbox.PLACE)
    part, parts = map(int, wanted.part.split("/"))
    tried, bad = 0, 0
    for name in wanted.variant or VARIANTS:
        variant = world.variants[name]
        steps = world.steps(variant)
        steps = [step for step in steps if step.at % parts == part]
        stops = [(step, kind) for step in steps for kind in KINDS]
        if wanted.sample and wanted.sample < len(stops):
            stops = random.sample(stops, wanted.sample)
        sys.stdout.write(f"{name}: {len(steps)} steps, {len(stops)} stops\n")
        hits = 0
        for number, (step, kind) in enumerate(stops):
            if number % 100 == 0:
                sys.stdout.write(f"{name}: {number} tried, {bad} bad\n")
            hit, problems = world.stop(variant, step, kind)
            hits += hit
            bad += bool(problems)
            if problems:
                sys.stdout.write(f"BAD {name} {kind} {step}: {problems}\n")
            sys.stdout.flush()
            log.clear()
        tried += len(stops)
        sys.stdout.write(f"{name}: {hits} of {len(stops)} were reached\n")
    sys.stdout.write(f"{tried} stops, {bad} bad\n")
    world.close()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
