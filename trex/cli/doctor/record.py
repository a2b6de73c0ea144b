"""A user's record and keys: a challenge is made as for a login, and its problems reported."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from typing import TYPE_CHECKING, Any

from trex.cli.delegate import PATH, as_user, run_as
from trex.cli.doctor.enrolment import (
    enroll_again,
    evened,
    extended,
    extra_lines,
    fix_for,
    named_by_key,
    without,
)
from trex.cli.doctor.finding import ERROR, NOTE, WARNING, Finding
from trex.cli.doctor.home import check_keyring_home, examine_home
from trex.cli.doctor.hostkeys import named_keys
from trex.cli.doctor.remedy import by_hand
from trex.cli.errors import CommandError
from trex.cli.setup.keyring import copies_in
from trex.errors import NoRecord, OtherAccount, TrexError
from trex.login.method import is_absent
from trex.openpgp.keylist import DAY, NEVER, day, parse_listing
from trex.openpgp.keyring import Keyring
from trex.openpgp.method import challenge_for, gpg_for
from trex.openpgp.prompt import context, encoded
from trex.openpgp.recipients import ENCRYPT, SIGN, as_named, verdict
from trex.openpgp.record import check_account, is_file, parse_record
from trex.openpgp.renewal import commands as commands_for
from trex.openpgp.renewal import what_ends
from trex.system.privilege import readable
from trex.system.safefile import read_safely

if TYPE_CHECKING:
    from trex.cli.location import Location
    from trex.errors import OpenPGPError
    from trex.openpgp.record import AuthRecord

WARN_DAYS = 30
GNUPG = re.compile(r"gpg \(GnuPG\) \d")
VERSION_SECONDS = 5.0
MAX_NAME = 200
QR_BYTES = 2953  # ISO/IEC 18004, table 7: version 40, level L, bytes
OURS = "trex-doctor"  # the service in the doctor's messages, which no login takes an answer to
ADDRESS = len("255.255.255.255")  # the longest of IPv4
WHY = "Every login of this user by key is refused."
LAST = "From then on every login of this user by key is refused."
SPARE = "From then on it is left out."


class Examined:
    """The findings about a record, and what the check of the page needs."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.record: AuthRecord | None = None
        self.message = ""


def check_record(location: Location, service: str) -> Examined:
    """Return what refuses this user, or soon will; the message is as long as that service's."""
    examined = Examined()
    told = run_as(location.reader, lambda: _examine(location, service), location.seconds(runs=2))
    subject = location.user.name
    for warning in told["warnings"]:
        examined.findings.append(
            Finding("record-odd", WARNING, f"{subject}: {warning}",
                    "Part of the record has no effect.", evened(location, told["extra"]), subject)
        )  # fmt: skip
    if told["gpg"] and not GNUPG.match(told["gpg"]):
        examined.findings.append(_foreign(location.options.gpg, told["gpg"]))
        return examined
    examined.findings += (homes := check_keyring_home(location, told["home"]))
    if any(finding.severity == ERROR for finding in homes) and told["fault"]:
        return examined
    if told["fault"]:
        examined.findings.append(_fault(location, told["fault"]))
        return examined
    examined.record = parse_record(
        told["content"].encode(), location.record, readable(location.user.home)
    )
    examined.message = told["message"]
    if location.options.run_as and examined.record.uid is None:
        examined.findings.append(_unbound(location))
    spares = set(examined.record.recipients).intersection(told["listings"])
    is_spare = examined.record.leaves_out and len(spares) > examined.record.needed
    for reason, fix in told["left_out"]:
        why = "The record leaves it out, as long as another key can be used."
        examined.findings.append(
            Finding("key-left-out", WARNING, f"{subject}: {reason}", why, fix, subject)
        )
    for name, listing in told["listings"].items():
        is_signer = name == examined.record.sign_as and name not in examined.record.recipients
        then = SPARE if is_spare and not is_signer else LAST
        examined.findings += _check_key(
            location, examined.record, name, listing, then, is_signer=is_signer
        )
    examined.findings += [_copied(location, *copy) for copy in told["copies"]]
    if examined.record.web_qr and location.options.web and len(examined.message) > QR_BYTES:
        what = f"{subject}: a message of {len(examined.message)} bytes"
        why = f"One QR code takes {QR_BYTES}: the page shows the text alone."
        fix = by_hand("fewer or smaller keys: cv25519 instead of RSA")
        examined.findings.append(Finding("record-qr", WARNING, what, why, fix, subject))
    return examined


def _examine(location: Location, service: str) -> dict[str, Any]:
    """Do what a login does up to its prompt, in a process of the reader's."""
    told: dict[str, Any] = {"fault": None, "warnings": [], "listings": {}, "copies": [], "gpg": ""}
    told |= {"extra": [], "home": {}, "left_out": []}
    content = b""
    try:
        if is_absent(location.record, location.reader):
            raise NoRecord(f"{location.shown}: no such file")
        content = read_safely(location.record, location.reader)
        record = parse_record(content, location.record, readable(location.user.home))
        check_account(record, location.record, location.user)
        told["warnings"] = record.warnings
        told["extra"] = extra_lines(content.decode("utf-8", "replace"), record.line)
        told["content"] = content.decode()
        told["gpg"] = _first_words(location.options.gpg)
        if record.sign_as or not all(map(is_file, record.recipients)):
            told["home"] = examine_home(location.gnupg_home)
        told["message"], left_out = _message(location, record, service)
        left = [name for name in record.recipients if name not in left_out]
        told["left_out"] = [(str(why), without(location, why, left)) for why in left_out.values()]
        options = location.options
        with Keyring(
            options.gpg, location.reader, location.gnupg_home, options.gpg_timeout
        ) as keyring:
            for name in [*record.recipients, *filter(None, [record.sign_as])]:
                if name not in left_out:
                    told["listings"][name] = keyring.list_recipient(name)
        if record.sign_as or not all(map(is_file, record.recipients)):
            told["copies"] = copies_in(location.gnupg_home)
    except CommandError:  # about the host, not the record
        raise
    except TrexError as error:
        told["fault"] = {
            "check": f"record-{type(error).__name__}",
            "absent": isinstance(error, NoRecord),
            "text": str(error),
            "fix": fix_for(location, error, content),
        }
    return told


def _fault(location: Location, fault: dict[str, Any]) -> Finding:
    severity, why = ERROR, WHY
    if fault["check"] == f"record-{OtherAccount.__name__}":
        why += f" If this is the same person: {enroll_again(location)} --same-person"
    if fault["absent"] and location.options.nullok:
        severity, why = WARNING, "Because of nullok this user is not asked."
    name = location.user.name
    return Finding(fault["check"], severity, f"{name}: {fault['text']}", why, fault["fix"], name)


def _unbound(location: Location) -> Finding:
    name = location.user.name
    return Finding(
        "record-unbound", NOTE, f"{location.shown} does not say for which uid it was made",
        "If this account is deleted and the record stays, the next account of this name belongs to "
        "its key.",
        f"{enroll_again(location)} --same-person --yes", name,
    )  # fmt: skip


def _first_words(gpg: str) -> str:
    """Return the first line of a program's --version, "" where it has none."""
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
        "gpg-foreign", ERROR, f"{gpg}: expected GnuPG, found {name}",
        "It may ignore Trex's options, and make a message that nobody can answer: then every "
        "login is refused.",
        "apt-get remove gpg-from-sq  # if that replaced it; or gpg= with GnuPG's path",
    )  # fmt: skip


def _copied(location: Location, carrier: str, copy: str, owner: str, is_primary: bool) -> Finding:  # noqa: FBT001
    """Return the finding for a key in the keyring that carries a copy of another's key."""
    home = readable(location.gnupg_home)
    whose = (
        f"{carrier}; then enrol its owner again"
        if is_primary
        else f"{carrier}; was {owner} the copy, remove that, and enrol again"
    )
    delete = as_user(
        location.reader.name,
        f"gpg --homedir {shlex.quote(home)} --batch --yes --no-autostart --delete-keys {carrier}",
    )
    return Finding(
        "key-copied", ERROR if is_primary else WARNING,
        f"{home}: the key {carrier} carries {copy}, which is "
        + ("another person's key" if is_primary else f"also in {owner}"),
        "Anybody can put another's key into their own. Trex does not mistake one for the other; "
        "gpg does, and may refuse to import the owner's key.",
        f"{delete}  # removes {whose}",
    )  # fmt: skip


def purpose(user: str, service: str, seconds: int, keys: list[str]) -> str:
    """Return what the doctor's message says it is for: as long as at a login from an IPv4 address.

    A QR code may have room for one byte less than a login needs.
    """
    origin = "-" * (len(encoded(service)) + ADDRESS - len(OURS))
    return context(user, OURS, origin, seconds, keys)


def _message(
    location: Location, record: AuthRecord, service: str
) -> tuple[str, dict[str, OpenPGPError]]:
    """Return a login's message, and the keys that the record leaves out, with the reasons."""
    options = location.options
    told = purpose(location.user.name, service, options.timeout, named_keys(options))
    kind = gpg_for(record)
    with kind(options.gpg, location.reader, location.gnupg_home, options.gpg_timeout) as gpg:
        gpg.look_up(record)
        gpg.encrypt(challenge_for(record, options.timeout).plaintext, told)
        return gpg.message().armored, gpg.left_out


def _check_key(  # noqa: PLR0913 (what there is to know of a key)
    location: Location, record: AuthRecord, name: str, listing: str, then: str, *, is_signer: bool
) -> list[Finding]:
    findings = []
    keys = parse_listing(listing)
    if "@" in name and len(keys) > 1:
        findings.append(
            Finding("key-ambiguous", WARNING,
                    f"{location.user.name}: {len(keys)} keys carry the address {name}",
                    "gpg chooses one of them, perhaps a key that another person has added.",
                    f"{named_by_key(location, record, name, keys[0].fingerprint)}  "
                    "# if that is the right one of them",
                    location.user.name)
        )  # fmt: skip
    named, _ = verdict(name, keys, trust=True, use=SIGN if is_signer else ENCRYPT)
    for key in [as_named(name, named)] if named else []:
        until = key.lasts_until or key.expires  # a signing key need not encrypt
        left = (until - time.time()) / DAY
        if until != NEVER and left < WARN_DAYS:
            findings.append(
                Finding("key-expires", WARNING,
                        f"{location.user.name}: the {what_ends(key)} {key.fingerprint} expires on "
                        f"{day(until)}",
                        then,
                        extended(location, commands_for(key), key.fingerprint),
                        location.user.name)
            )  # fmt: skip
    return findings
