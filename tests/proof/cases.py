"""The logins of tests/proof/faults.py: what each needs before, and what must be whole afterwards."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import ExitStack, contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

from tests.support import native
from tests.support.codes import FILE, otp_file, text
from tests.support.gateways import Authority, Gateway
from tests.support.grace import DAY, HOME, only_file
from tests.support.grace import PLACE as GRACE
from tests.support.keys import Holder
from tests.support.page import make_certificate
from tests.support.pins import NUMBER, PHONES, SETTINGS, by_http, free_mobile, sending_account
from tests.support.recovery import CODES, hashed, recovery_file, write_codes
from tests.support.recovery import text as recovery_text
from tests.support.sandbox import MODULE, Account, Asked, ask_pam, trex_service
from trex.errors import FileUnsafe, TrexError
from trex.login.gracefile import parse, write_state
from trex.sms.counts import FileCounts
from trex.system.rewriting import name_beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WITH_KEY = ("plain", "made", "files", "drawn", "signed", "two", "native")
# A PIN is sent; and none is, because the limit is reached.
WITH_PIN = ("pin", "limit")
# A success is remembered; and an earlier one spares the question. So through `pam_trex.so`.
NATIVE_GRACE = ("native-grace", "native-unasked")
WITH_GRACE = ("grace", "unasked", *NATIVE_GRACE)
NATIVE = ("native", *NATIVE_GRACE)
VARIANTS = (*WITH_KEY, *WITH_GRACE, "code", "recovery", *WITH_PIN)
WRONG = "--answer AAAAAAAAAA"
EMERGENCY = "12345678"
BEFORE, AFTER = (text('" RATE_LIMIT 3 30', '" TOTP_AUTH', *codes) for codes in ([EMERGENCY], []))
LIMIT = 3  # messages in an hour: after one, both gateways may still be tried
SENT_BEFORE = {"pin": 1, "limit": LIMIT}
PINS_AT_ONCE = 4  # workers


class Case:
    """A service, a user, how to answer, and the verdict where nothing fails."""

    alone = False  # whether one login must end before the next begins
    verdict = "PAM_SUCCESS"
    options: tuple[str, ...] = ()  # of the PAM client's

    def __init__(self, service: str, user: Account, right: str, wrong: str) -> None:
        """Take the options of the PAM client that answer rightly or wrongly, each with a value."""
        self.service = service
        self.user = user
        self.answers = {True: right.split(" ", 1), False: wrong.split(" ", 1)}

    def prepare(self, *, right: bool) -> None:
        """Make what the login reads and writes as it is before each."""

    def spoiled(self, asked: Asked, verdict: str, *, right: bool) -> list[str]:
        """Return what must not have become of what the login writes."""
        return []

    def is_whole(self, asked: Asked) -> bool:
        """Tell whether a login in which nothing failed did all that this case is for."""
        return asked.verdict == self.verdict

    def needs(self, role: str, place: str) -> bool:
        """Tell whether the login may be refused for a call that fails once, after path `place`."""
        return True

    def is_own(self, role: str, name: str, path: str) -> bool:
        """Tell whether a call of a child's program, after `path`, is Trex's own at its work."""
        return False


class NativeCase(Case):
    """A login through `pam_trex.so`, whose helper is a child's program and the login itself."""

    options: tuple[str, ...] = ("--log",)  # pam_syslog(3) leaves libc's socket open

    def is_own(self, role: str, name: str, path: str) -> bool:
        """Leave out gpg, and what it takes to start Python and to import."""
        if role != HELPER:
            return not role.endswith("x")  # a child that becomes gpg
        return name not in IMPORTING or path.startswith("/home/")


class GraceCase(Case):
    """A login with a grace period, after a success or without one.

    Where the answer will be wrong, that success was another record's.
    """

    alone = True
    options: tuple[str, ...] = ("--rhost", HOME)

    def __init__(
        self, service: str, user: Account, right: str, client: Path, *, asks: bool
    ) -> None:
        """Log in once, so that there is a success to remember."""
        super().__init__(service, user, right, WRONG)
        self._asks = asks
        done = ask_pam(client, service, user.name, *self.options, *self.answers[True])
        assert done.verdict == "PAM_SUCCESS"
        self._file = only_file(user)
        self._earlier = self._file.read_bytes()
        self._before = b""

    def prepare(self, *, right: bool) -> None:
        """Have a success remembered, or none."""
        shutil.rmtree(GRACE, ignore_errors=True)
        if self._asks:
            return
        for directory in (GRACE, self._file.parent):
            directory.mkdir(0o700)
        proof = self._earlier if right else re.sub(rb"(?m)^proof .*$", OTHER_PROOF, self._earlier)
        self._file.write_bytes(proof)
        self._file.chmod(0o600)
        self._before = proof

    def spoiled(self, asked: Asked, verdict: str, *, right: bool) -> list[str]:
        """Nobody else was let in unasked or is remembered, and what is remembered is whole."""
        was_asked = "prompt-us" in asked.facts
        problems = []
        if verdict == "PAM_SUCCESS" and not was_asked and (self._asks or not right):
            problems.append("let in unasked")
        problems += [f"{path} stays" for path in self._others(verdict)]
        if self._content() != self._before:
            problems += (
                self._written() if right and was_asked else ["another success is remembered"]
            )
        return problems

    def is_whole(self, asked: Asked) -> bool:
        """See Case: it was asked and is remembered, or neither."""
        was_asked, is_written = "prompt-us" in asked.facts, self._content() != self._before
        return super().is_whole(asked) and self._asks == was_asked == is_written

    def needs(self, role: str, place: str) -> bool:
        """Whatever fails there has only this success forgotten, or the question asked."""
        return role != "login" or not place.startswith(str(GRACE))

    def _others(self, verdict: str) -> list[Path]:
        there = list(self._file.parent.iterdir()) if self._file.parent.exists() else []
        return [path for path in there if path != self._file]

    def _content(self) -> bytes:
        return self._file.read_bytes() if self._file.exists() else b""

    def _written(self) -> list[str]:
        status = self._file.stat()
        try:
            parse(self._content(), str(self._file))
        except FileUnsafe as error:
            return [str(error)]
        own = (status.st_mode & 0o7777, status.st_uid) == (0o600, 0)
        return [] if own else [f"{status} is not root's alone"]


class NativeGraceCase(GraceCase, NativeCase):
    """The same through `pam_trex.so`: the helper reads and writes what is remembered."""

    options = (*GraceCase.options, *NativeCase.options)

    def needs(self, role: str, place: str) -> bool:
        """See GraceCase."""
        return role != HELPER or not place.startswith(str(GRACE))

    def _others(self, verdict: str) -> list[Path]:
        """Return what still stays after a next success, if the helper was killed and a minute is over."""
        there = super()._others(verdict)
        if verdict != "PAM_SYSTEM_ERR" or not there:
            return there
        for path in there:
            os.utime(path, (1, 1))
        write_state(self.user.uid, "next", parse(self._earlier, ""))
        self._file.with_name("next").unlink()
        return super()._others(verdict)

    def is_own(self, role: str, name: str, path: str) -> bool:
        """See NativeCase; what is remembered is the helper's work, too."""
        is_remembered = role == HELPER and path.startswith(str(GRACE))
        return is_remembered or super().is_own(role, name, path)


class CodeCase(Case):
    """An emergency code, which a login takes out of the user's file."""

    alone = True

    def __init__(self, user: Account) -> None:
        service = trex_service("trex-faults-code", "method=totp", "nullok")
        super().__init__(service, user, f"--answer {EMERGENCY}", "--answer 87654321")

    def prepare(self, *, right: bool) -> None:
        self.user.write(BEFORE, FILE)

    def spoiled(self, asked: Asked, verdict: str, *, right: bool) -> list[str]:
        """Whole is a file with the code, or without: it must be without after a success."""
        path = otp_file(self.user)
        content = re.sub(r'(" RATE_LIMIT 3 30)[ 0-9]*', r"\1", path.read_text())
        whole = {AFTER} if verdict == "PAM_SUCCESS" else {BEFORE, AFTER}
        shutil.rmtree(path.with_name(name_beside(FILE)), ignore_errors=True)
        return [] if content in whole else [f"the file holds {content!r}"]


class RecoveryCase(Case):
    """A recovery code, which a login marks as spent in the user's file."""

    alone = True

    def __init__(self, user: Account) -> None:
        service = trex_service("trex-faults-recovery", "method=recovery", "nullok")
        super().__init__(service, user, f"--answer {CODES[0]}", "--answer AAAA-AAAA-AAAA-AAAA")

    def prepare(self, *, right: bool) -> None:
        """See Case."""
        write_codes(self.user)

    def spoiled(self, asked: Asked, verdict: str, *, right: bool) -> list[str]:
        """Whole is a file with the code spent, or not: it must be spent after a success."""
        path = recovery_file(self.user)
        content = re.sub(r"(?m)^(code \w{64}) \d{10}$", r"\1 spent", path.read_text())
        before = recovery_text(self.user.uid)
        after = before.replace(hashed(CODES[0]), f"{hashed(CODES[0])} spent")
        whole = {after} if verdict == "PAM_SUCCESS" else {before, after}
        shutil.rmtree(path.with_name(name_beside(path.name)), ignore_errors=True)
        return [] if content in whole else [f"the file holds {content!r}"]


class PinCase(Case):
    """A PIN by SMS, with two gateways and counts of its own: each message is one login's."""

    alone = True

    def __init__(self, user: Account, authority: Authority, place: Path, sent_before: int) -> None:
        settings = SETTINGS.with_name(f"{place.name}.toml")
        self._last = place.with_name(f"{place.name}.last")
        service = trex_service(f"trex-faults-{place.name}", "method=sms", f"sms_file={settings}",
                               "nullok")  # fmt: skip
        answer = f"--answer-with grep -oE '[0-9]{{8}}' {self._last} | head -1"
        super().__init__(service, user, answer, "--answer 00000000")
        self.gateway = Gateway(authority, self._last)
        self._place, self._counts = place, place / "counts"
        self._sent_before = sent_before
        if sent_before == LIMIT:
            self.verdict = "PAM_AUTHINFO_UNAVAIL"
        self._owner = place.parent.stat().st_uid
        place.mkdir(mode=0o700)
        os.chown(place, self._owner, -1)
        tables = [f'[[gateway]]\nca = "{authority.ca}"\n{table}\n'
                  for table in (by_http(self.gateway), free_mobile(self.gateway, user.name))]  # fmt: skip
        settings.write_text(f'state = "file:{self._counts}"\n[limits]\nuser_hour = {LIMIT}\n'
                            + "".join(tables))  # fmt: skip
        settings.chmod(0o600)

    def prepare(self, *, right: bool) -> None:
        for old in self._place.iterdir():
            old.unlink()
        self._last.unlink(missing_ok=True)
        self.gateway.texts.clear()
        self._count(self.user.name, self._sent_before)
        os.chown(self._counts, self._owner, -1)

    def spoiled(self, asked: Asked, verdict: str, *, right: bool) -> list[str]:
        """No message went out uncounted or over the limit, and the next login can count."""
        self.gateway.settle()
        received = len(self.gateway.texts)
        try:
            counted = len(self._counts.read_text().splitlines())
            self._count("another", 1)  # and with that, what a process that was killed has left goes
        except (OSError, TrexError) as error:
            return [f"the counts cannot be used: {error}"]
        problems = [f"{path} stays" for path in self._place.iterdir() if path != self._counts]
        if self._sent_before + received > counted or counted > LIMIT:
            before = f"{self._sent_before} before"
            problems.append(f"{received} messages received, {counted} counted, {before}")
        if verdict == "PAM_SUCCESS" and not received:
            problems.append("let in without a message")
        return problems

    def _count(self, user: str, messages: int) -> None:
        FileCounts(str(self._counts)).add(user, "", messages, {})

    def is_own(self, role: str, name: str, path: str) -> bool:
        """Leave out what it takes to start Python and to import; counts and authority are ours."""
        return name not in IMPORTING or "/fault-" in path

    def close(self) -> None:
        """End the gateway."""
        self.gateway.close()


OTHER_PROOF = b"proof " + b"0" * 64
HELPER = "1.1x"  # of the keeper, which runs no program

# What libpython calls for each module that a program imports.
IMPORTING = frozenset((
    "openat", "newfstatat", "fstat", "read", "lseek", "ioctl", "mmap", "mprotect", "close",
    "getdents64", "readlink", "getcwd", "access", "execve", "pread64",
))  # fmt: skip


class Cases:
    """All of them, each taken by one worker at a time where it must be."""

    def __init__(self, place: Path, client: Path) -> None:
        self._until_closed = ExitStack()
        self._free: dict[str, SimpleQueue[Case]] = {variant: SimpleQueue() for variant in VARIANTS}
        self.users: dict[str, Account] = {}
        for variant in VARIANTS:
            self.users[variant] = Account(f"fault-{variant}")
            self._until_closed.callback(self.users[variant].remove)
        self._until_closed.callback(shutil.rmtree, GRACE, ignore_errors=True)
        self._add_keys(place, client)
        self._free["code"].put(CodeCase(self.users["code"]))
        self._free["recovery"].put(RecoveryCase(self.users["recovery"]))
        self._add_pins(place)

    def _add_keys(self, place: Path, client: Path) -> None:
        holder = Holder(place / "fault-holder")
        self._until_closed.callback(holder.close)
        service = trex_service("trex-faults", "gpg_timeout=5", "nullok")
        key = holder.make("fault@example.org")
        second = holder.make("second@example.org")
        signer = holder.make("signer@example.org", "signing")
        self.users["signed"].import_keys(holder.secret(signer))
        for path in make_certificate(self.users["files"].home):
            self.users["files"].own(path, 0o600)
        fields = {"made": "nosign webQrAuthTls", "files": "nosign webQrAuthTls page.key page.pem",
                  "drawn": "nosign qrTerminal", "signed": signer}  # fmt: skip
        door = native.build(place / "pam_trex.so", MODULE / "trex/login/helper.py")
        # Long, as a loaded host must not refuse a right answer that `needs` says is not to be refused.
        grace = (DAY, "gpg_timeout=20", "nullok")
        services = {
            "native": native.service("trex-faults-native", door, "gpg_timeout=5", "nullok"),
            **dict.fromkeys(NATIVE_GRACE, native.service("trex-faults-native-grace", door, *grace)),
            **dict.fromkeys(("grace", "unasked"), trex_service("trex-faults-grace", *grace)),
        }
        for variant in (*WITH_KEY, *WITH_GRACE):
            user = self.users[variant]
            user.import_keys(holder.public(key))
            right = f"--answer-with {holder.command()}"
            recipients = key
            if variant == "two":
                user.import_keys(holder.public(second))
                recipients = f"2of:{key},{second}"
                right = f"--answer-with {holder.command_for_two()}"
            user.write(f"{recipients} trust {fields.get(variant, 'nosign')}\n")
            if variant in WITH_GRACE:
                of_door = NativeGraceCase if variant in NATIVE else GraceCase
                asks = variant.endswith("grace")
                self._free[variant].put(of_door(services[variant], user, right, client, asks=asks))
                continue
            kind = NativeCase if variant in NATIVE else Case
            case = kind(services.get(variant, service), user, right, WRONG)
            self._free[variant].put(case)

    def _add_pins(self, place: Path) -> None:
        counts = place / "fault-counts"
        self._until_closed.enter_context(sending_account(counts))
        authority = Authority(place / "fault-authority")
        PHONES.write_text("".join(f"{self.users[name].name} {NUMBER}\n" for name in WITH_PIN))
        PHONES.chmod(0o600)
        for variant in WITH_PIN:
            for number in range(PINS_AT_ONCE):
                case = PinCase(self.users[variant], authority, counts / f"{variant}-{number}",
                               SENT_BEFORE[variant])  # fmt: skip
                self._until_closed.callback(case.close)
                self._free[variant].put(case)

    @contextmanager
    def take(self, variant: str) -> Iterator[Case]:
        """Lend a case for one login."""
        case = self._free[variant].get()
        if not case.alone:
            self._free[variant].put(case)
        try:
            yield case
        finally:
            if case.alone:
                self._free[variant].put(case)

    def close(self) -> None:
        """Take the accounts away, and end what was started."""
        self._until_closed.close()
