"""A user's record and keys: a challenge is made as for a login, and what nearly failed is told."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import PATH, hint_for, run_as
from trex.cli.doctor.finding import ERROR, WARNING, Finding
from trex.cli.setup.keyring import copies_in
from trex.errors import FileUnsafe, NoRecord, TrexError
from trex.login.challenge import RandomText
from trex.login.method import is_absent
from trex.openpgp.errors import KeyExpired, KeyUnusable
from trex.openpgp.gpg import Gpg
from trex.openpgp.keylist import DAY, NEVER, day, parse_listing
from trex.openpgp.keyring import Keyring
from trex.openpgp.prompt import context
from trex.openpgp.recipients import ENCRYPT, SIGN, as_named, verdict
from trex.openpgp.record import is_file, parse_record
from trex.openpgp.renewal import commands as commands_for
from trex.openpgp.renewal import what_ends
from trex.system.privilege import readable
from trex.system.safefile import read_safely

if TYPE_CHECKING:
    from trex.cli.place import Place
    from trex.openpgp.record import AuthRecord

WARN_DAYS = 30
GNUPG = re.compile(r"gpg \(GnuPG\) \d")
VERSION_SECONDS = 5.0
MAX_NAME = 200
QR_BYTES = 2953  # ISO/IEC 18004, table 7: version 40, level L, bytes
WHY = "Every login of this user is refused."
EXTEND = "where the secret key is, {commands}; then {enroll} --key FILE"
MENDS = {
    "KeyNotFound": "{enroll} --key FILE",
    "KeyExpired": EXTEND,
    "SubkeyExpired": EXTEND,
    "KeyRevoked": "make a new key; {enroll} --key FILE",
    "KeyNotTrusted": "gpg --check-trustdb as {reader}, or trust in the record",
    "NoEncryptionSubkey": "gpg --quick-add-key {key} cv25519 encr; then {enroll} --key FILE",
    "SigningKeyLocked": "an empty passphrase: gpg --passwd {key}, as {reader}",
    "SigningKeyUnusable": "{enroll} --from-keyring --sign-as KEY",
    "NotStarted": "apt install gnupg; or gpg= that names it",
    "GpgTimedOut": "gpg_timeout=; and how long does gpg --list-keys take, as {reader}?",
}


class Examined:
    """What a record's examination brought: findings, and what the page's examination needs."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.record: AuthRecord | None = None
        self.message = ""


def check_record(place: Place) -> Examined:
    """Return what would refuse this user, or soon will."""
    examined = Examined()
    told = run_as(place.reader, lambda: _examine(place), place.seconds(runs=2))
    subject = place.user.name
    for warning in told["warnings"]:
        examined.findings.append(
            Finding("record-odd", WARNING, f"{subject}: {warning}",
                    "The record does not say what somebody meant.", _enroll(place))
        )  # fmt: skip
    if told["gpg"] and not GNUPG.match(told["gpg"]):
        examined.findings.append(_foreign(place.options.gpg, told["gpg"]))
        return examined
    if told["fault"]:
        check, text, mend = told["fault"]
        severity, why = ERROR, WHY
        if check == f"record-{NoRecord.__name__}" and place.options.nullok:
            severity, why = WARNING, "Because of nullok this user is not asked."
        examined.findings.append(Finding(check, severity, f"{subject}: {text}", why, mend))
        return examined
    examined.record = parse_record(
        told["content"].encode(), place.record, readable(place.user.home)
    )
    examined.message = told["message"]
    for name, listing in told["listings"].items():
        is_signer = name == examined.record.sign_as and name not in examined.record.recipients
        examined.findings += _check_key(place, name, listing, is_signer=is_signer)
    examined.findings += [_copied(place, *copy) for copy in told["copies"]]
    if examined.record.web_qr and place.options.web and len(examined.message) > QR_BYTES:
        what = f"{subject}: a message of {len(examined.message)} bytes"
        why = f"One QR code takes {QR_BYTES}: the page shows the text alone."
        mend = "fewer or smaller keys: cv25519 instead of RSA"
        examined.findings.append(Finding("record-qr", WARNING, what, why, mend))
    return examined


def _examine(place: Place) -> dict[str, Any]:
    """Go the way of a login up to its prompt; in a process of the reader's."""
    told: dict[str, Any] = {"fault": None, "warnings": [], "listings": {}, "copies": [], "gpg": ""}
    try:
        if is_absent(place.record, place.reader):
            raise NoRecord(f"{place.shown}: no such file")
        content = read_safely(place.record, place.reader)
        record = parse_record(content, place.record, readable(place.user.home))
        told["warnings"] = record.warnings
        told["content"] = content.decode()
        told["gpg"] = _first_words(place.options.gpg)
        told["message"] = _message(place, record)
        options = place.options
        with Keyring(options.gpg, place.reader, place.gnupg_home, options.gpg_timeout) as keyring:
            for name in [*record.recipients, *filter(None, [record.sign_as])]:
                told["listings"][name] = keyring.list_recipient(name)
        if record.sign_as or not all(map(is_file, record.recipients)):
            told["copies"] = copies_in(place.gnupg_home)
    except TrexError as error:
        told["fault"] = [f"record-{type(error).__name__}", str(error), _mend(place, error)]
    return told


def _first_words(gpg: str) -> str:
    """Return how a program calls itself, "" where it does not say so."""
    try:
        done = subprocess.run(  # noqa: S603 (an absolute path, in the reader's process)
            [gpg, "--version"], capture_output=True, check=False, timeout=VERSION_SECONDS,
            stdin=subprocess.DEVNULL, env={"PATH": PATH},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout[:MAX_NAME].decode("utf-8", "replace").partition("\n")[0]


def _foreign(gpg: str, name: str) -> Finding:
    return Finding(
        "gpg-foreign", ERROR, f"{gpg}: this is not GnuPG: {name}",
        "It may ignore what Trex tells it, and make a message that nobody can answer: then every "
        "login is refused.",
        "apt-get remove gpg-from-sq, if that is what took its place; or gpg= with GnuPG's path",
    )  # fmt: skip


def _copied(place: Place, carrier: str, copy: str, owner: str, kind: str) -> Finding:
    """Name a key in the keyring that carries a copy of another's."""
    home = readable(place.gnupg_home)
    whose = f"{carrier}, and then enrol its owner anew" if kind else f"{carrier} or {owner}"
    delete = (
        f"gpg --homedir {shlex.quote(home)} --batch --yes --no-autostart --delete-keys {carrier}"
    )
    if os.geteuid() != place.reader.uid:
        delete = f"runuser -u {place.reader.name} -- {delete}"
    return Finding(
        "key-copied", ERROR if kind else WARNING,
        f"{home}: the key {carrier} carries {copy}, which is "
        + ("the key of somebody else" if kind else f"also in {owner}"),
        "Anybody can put another's key into their own. Trex takes none for the other; gpg does, "
        "and may refuse to import the owner's.",
        f"take out {whose}: {delete}",
    )  # fmt: skip


def _message(place: Place, record: AuthRecord) -> str:
    options = place.options
    told = context(place.user.name, "trex-doctor", "", options.timeout)
    with Gpg(options.gpg, place.reader, place.gnupg_home, options.gpg_timeout) as gpg:
        gpg.look_up(record)
        gpg.encrypt(RandomText(options.timeout).plaintext, told)
        return gpg.message().armored


def _mend(place: Place, error: TrexError) -> str:
    if isinstance(error, FileUnsafe):
        return hint_for(error)
    key = error.key if isinstance(error, KeyUnusable) else ""
    mend = MENDS.get(type(error).__name__, "{enroll}")
    commands = error.commands if isinstance(error, KeyExpired) else ""
    return mend.format(enroll=_enroll(place), reader=place.reader.name, key=key, commands=commands)


def _enroll(place: Place) -> str:
    central = " --central" if place.options.run_as else ""
    return f"trex enroll{central} --user {place.user.name}"


def _check_key(place: Place, name: str, listing: str, *, is_signer: bool) -> list[Finding]:
    findings = []
    keys = parse_listing(listing)
    if "@" in name and len(keys) > 1:
        findings.append(
            Finding("key-ambiguous", WARNING,
                    f"{place.user.name}: {len(keys)} keys carry the address {name}",
                    "One is chosen, and whoever can add a key to the keyring may be that one.",
                    f"the fingerprint in its place: {_enroll(place)} --from-keyring")
        )  # fmt: skip
    named, _ = verdict(name, keys, trust=True, use=SIGN if is_signer else ENCRYPT)
    for key in [as_named(name, named)] if named else []:
        until = key.lasts_until or key.expires  # a signing key need not encrypt
        left = (until - time.time()) / DAY
        if until != NEVER and left < WARN_DAYS:
            findings.append(
                Finding("key-expires", WARNING,
                        f"{place.user.name}: the {what_ends(key)} {key.fingerprint} expires on "
                        f"{day(until)}",
                        "From then on every login of this user is refused.",
                        EXTEND.format(commands=commands_for(key), enroll=_enroll(place)))
            )  # fmt: skip
    return findings
