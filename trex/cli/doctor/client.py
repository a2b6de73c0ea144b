"""The user's own machine: what would keep ssh from answering a challenge."""

from __future__ import annotations

import glob
import os
import shlex
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from trex.cli.client.gpg import UserGpg
from trex.cli.client.handover import ASKPASS, FORCE, OWN_REQUIRE, REQUIRE, is_ours
from trex.cli.client.keyed import Keyed
from trex.cli.client.loginkeys import NOT_HERE, LoginKeys
from trex.cli.client.names import Names
from trex.cli.client.pins import Pins
from trex.cli.client.services import Services
from trex.cli.delegate import hint_for
from trex.cli.doctor.clientssh import SETUP, check_known_hosts, check_ssh, run_own
from trex.cli.doctor.doors import ENTRY
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.module import SECURITY
from trex.cli.doctor.remedy import by_hand
from trex.cli.doctor.stack import DIRECTORIES, MAX_SIZE
from trex.cli.programs import find_program
from trex.errors import OWNER, WRITABLE, FileUnsafe, TrexError, one_line
from trex.openpgp.keylist import DAY, NEVER, day, parse_listing
from trex.openpgp.renewal import commands, what_ends

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trex.openpgp.keylist import Key

WARN_DAYS = 30
HERE = ("", "+")  # `Subkey.secret` of a key whose secret part is in a file
PINENTRY = "pinentry"
PROGRAM_OK = 3  # index in a row of gpgconf --check-programs
MODULE = b"pam_trex"  # in a line for pam_python.so, or for pam_trex.so


def check_client() -> list[Finding]:
    """Return what is wrong with gpg, keys, ssh, our own files and the session."""
    return [
        *_check_files(),
        *_check_gpg(),
        *check_ssh(),
        *check_known_hosts(os.path.expanduser("~/.ssh/known_hosts")),
        *check_session(dict(os.environ)),
    ]


def is_server() -> bool:
    """Return whether the module is installed, or a PAM service names it."""
    if os.path.lexists(os.path.join(SECURITY, ENTRY)):
        return True
    for path in (path for where in DIRECTORIES for path in glob.glob(f"{where}/*")):
        with suppress(OSError), open(path, "rb") as file:
            if MODULE in file.read(MAX_SIZE):
                return True
    return False


def check_session(environment: dict[str, str]) -> list[Finding]:
    """Return whether each ssh of a session with this environment asks `trex-askpass`."""
    askpass, require = environment.get(ASKPASS, ""), environment.get(REQUIRE, "")
    if is_ours(askpass) and not os.access(askpass, os.X_OK):
        why = "ssh can ask nothing at all, not even for a password."
        return [Finding("client-askpass", ERROR, f"{askpass} cannot be run", why, SETUP)]
    if is_ours(askpass) and require.lower() == FORCE:
        return []
    if OWN_REQUIRE in environment and require == FORCE:
        what = f"trex setup set {REQUIRE}={FORCE}, and since then {ASKPASS} is {askpass or 'unset'}"
        why = "ssh asks that program everything, and no challenge is answered."
        return [Finding("client-askpass", ERROR, what, why, by_hand(f"remove what sets {ASKPASS}"))]
    what = f"in this session ssh does not ask trex-askpass ({ASKPASS} is {askpass or 'unset'})"
    why = "`trex ssh` answers challenges; ssh, git and scp by themselves do not."
    return [Finding("client-askpass", NOTE, what, why, f"{SETUP}  # and a new session")]


def _check_files() -> list[Finding]:
    """Return which of our own files cannot be used: then nothing is answered."""
    findings = []
    tables = (Names, Services, Pins, Keyed, lambda: LoginKeys(lambda _: None))
    for read_table in tables:
        try:
            read_table()
        except TrexError as error:
            why = "Nothing is answered while a file is damaged, or others can write it."
            fix = by_hand(getattr(error, "hint", "") or "correct that line")
            unsafe = error.__context__
            if isinstance(unsafe, FileUnsafe) and unsafe.kind in (OWNER, WRITABLE):
                fix = hint_for(unsafe)
            findings.append(Finding("client-file", ERROR, str(error), why, fix))
    return findings


def _check_gpg() -> list[Finding]:
    try:
        gpg = UserGpg()
        keys = parse_listing(gpg.listed(gpg.start_listing()))
    except TrexError as error:
        fix = by_hand(getattr(error, "hint", "") or "gpg --list-secret-keys says more")
        return [Finding("client-gpg", ERROR, str(error), "Nothing can be decrypted.", fix)]
    return [*_check_keys(keys), *_check_pinentry(), *_check_terminal(), *_check_pins()]


def _check_keys(keys: list[Key]) -> list[Finding]:
    able = [key for key in keys if key.lasts_until]
    if not able:
        what = "there is no secret key here that a challenge can be encrypted to"
        why = "No challenge can be answered on this machine."
        return [Finding("client-key", ERROR, what, why, "trex keygen  # or insert the card")]
    return [finding for key in able for finding in _check_key(key)]


def _check_key(key: Key) -> Iterable[Finding]:
    name = one_line(next(iter(key.user_ids), key.fingerprint))
    left = (key.lasts_until - time.time()) / DAY
    if key.lasts_until != NEVER and left < WARN_DAYS:
        what = f"the {what_ends(key)} {key.fingerprint} ({name}) expires on {day(key.lasts_until)}"
        why = "From then on every server refuses it."
        fix = f"{commands(key)}  # then trex copy-id to each server"
        yield Finding("client-expires", WARNING, what, why, fix)
    where = {one.secret for one in key.encrypting if one.usable}
    if where == {NOT_HERE}:
        what = f"the secret part of {key.fingerprint} ({name}) is not here"
        why = "Challenges for this key cannot be answered on this machine."
        yield Finding("client-absent", NOTE, what, why, by_hand("insert its card, if it is on one"))
    for card in sorted(where - {NOT_HERE, *HERE}):
        what = f"the key {key.fingerprint} ({name}) is on the card {card}"
        why = "It has to be in the reader when a challenge comes."
        yield Finding("client-card", NOTE, what, why, by_hand("nothing to do"))


def _check_pinentry() -> list[Finding]:
    """Return whether the agent and its pinentry, also the one that its file names, can be run."""
    gpgconf = find_program("gpgconf") or "gpgconf"
    rows = [line.split(":") for line in run_own([gpgconf, "--check-programs"]).splitlines()]
    programs = {row[0]: (row[2], row[PROGRAM_OK] == "1") for row in rows if len(row) > PROGRAM_OK}
    if path := _named_pinentry(_agent_conf()):
        programs[PINENTRY] = (path, os.access(path, os.X_OK))
    return [
        Finding("client-pinentry", ERROR, f"{name} cannot be run: {one_line(path)}",
                "No passphrase and no PIN can be asked for.",
                _runnable(name, path))
        for name, (path, works) in programs.items()
        if name in ("gpg-agent", PINENTRY) and not works
    ]  # fmt: skip


def _runnable(name: str, path: str) -> str:
    """Return the command that brings a program, or has gpg-agent forget the one it names."""
    conf = _agent_conf()
    if path and path == _named_pinentry(conf):
        script = f"s/^[[:blank:]]*{PINENTRY}-program/# &/"
        return f"sed -i {shlex.quote(script)} {shlex.quote(conf)}; gpgconf --reload gpg-agent"
    package = "pinentry-curses" if name == PINENTRY else name
    return f"sudo apt install {package}"


def _agent_conf() -> str:
    gpgconf = find_program("gpgconf") or "gpgconf"
    return f"{unquote(run_own([gpgconf, '--list-dirs', 'homedir']).strip())}/gpg-agent.conf"


def _check_terminal() -> list[Finding]:
    """Return whether a pinentry can use the terminal that it is told to use."""
    terminal = os.environ.get("GPG_TTY", "")
    if not terminal or os.access(terminal, os.R_OK | os.W_OK):
        return []
    what = f"GPG_TTY is {terminal}, which is no terminal that you can use"
    why = "A pinentry without a window cannot ask for a passphrase there."
    return [Finding("client-terminal", WARNING, what, why, "export GPG_TTY=$(tty)")]


def _named_pinentry(path: str) -> str:
    """Return the program that a gpg-agent.conf names, "" for none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            words = [line.split(maxsplit=1) for line in file]
    except OSError:
        return ""
    named = [line[1].strip() for line in words if line[:1] == [f"{PINENTRY}-program"] and line[1:]]
    return named[-1] if named else ""


def _check_pins() -> list[Finding]:
    """Return the pinned keys that are missing from the keyring, or can sign no more."""
    try:
        pins = Pins()
    except TrexError:
        return []  # told by _check_files
    listed = parse_listing(UserGpg().list_public(*pins.by_host.values())) if pins.by_host else []
    found = {key.fingerprint: key.validity for key in listed}
    findings = []
    for host, fingerprint in pins.by_host.items():
        validity = found.get(fingerprint)
        if validity is None or validity in "eri":
            state = "not in your keyring" if validity is None else "expired or revoked"
            what = f"the key that is pinned for {host} is {state}: {fingerprint}"
            why = "Its signatures cannot be checked, so no challenge of that host is answered."
            fix = f"gpg --import FILE  # FILE: the public key of {one_line(host)}"
            findings.append(Finding("client-pin", ERROR, what, why, fix))
    return findings
