"""Where else a key, or its owner, can log in: other records, other methods, sshd without PAM."""

from __future__ import annotations

import os
import pwd
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from trex.cli.accounts.named import keys_named_in, parsed
from trex.cli.delegate import PATH, run_as
from trex.cli.doctor import recovery, sms, totp
from trex.cli.doctor.callers import lines_in_services
from trex.cli.doctor.service import options_of
from trex.cli.doctor.survey import survey_homes
from trex.cli.errors import CommandError
from trex.cli.location import location_of
from trex.cli.setup import recordfile
from trex.errors import FileUnsafe, OptionError, TrexError
from trex.login.method import is_absent
from trex.openpgp.keyring import read_key_file
from trex.openpgp.recipients import from_file, verdict
from trex.openpgp.record import is_file
from trex.sms.errors import SettingsError
from trex.system.privilege import acting_as, find_account, readable
from trex.system.safefile import read_safely

if TYPE_CHECKING:
    from trex.cli.accounts.named import Named
    from trex.cli.location import Location
    from trex.login.options import Options
    from trex.openpgp.keylist import Key
    from trex.system.privilege import Account

SSHD = "/usr/sbin/sshd"
SECONDS = 20
PLACES = ("auth_file", "gnupg_home", "run_as")  # options that say which record it is
METHODS = {"totp": "a code from a phone", "sms": "a PIN by SMS", "recovery": "a recovery code"}
# What sshd asks without PAM.
ALONE = {"publickey": "an SSH key", "password": "a password", "hostbased": "the host's key",
         "gssapi-with-mic": "a Kerberos ticket"}  # fmt: skip


def others_with(location: Location, key: Key, path: str = "") -> list[Location]:
    """Return the other accounts whose record, of the same kind, names a key. Root alone can.

    With `path`, those that name this file of a key.
    """
    options = location.options
    names = [readable(entry.pw_name) for entry in pwd.getpwall()]
    names = [name for name in names if name != location.user.name]
    found = survey_homes(names, lambda name: _names_key(name, options, key, path)).found
    return [location_of(name, options) for name in found]


def _names_key(user: str, options: Options, key: Key, path: str) -> bool:
    location = location_of(user, options)
    if is_absent(location.record, location.reader):
        return False
    with acting_as(location.reader):
        record = parsed(location, read_safely(location.record, location.reader))
    if path:
        return path in record.recipients
    return any(_is_named(name, key, location.reader) for name in record.recipients)


def _is_named(name: str, key: Key, reader: Account) -> bool:
    if not is_file(name):
        return verdict(name, [key], trust=True)[0] is not None
    with suppress(TrexError):
        return from_file(name, read_key_file(name, reader)).fingerprint == key.fingerprint
    return False


def lines_with_trex(user: str) -> tuple[list[tuple[str, Location]], list[str]]:
    """Return the user's other ways through PAM: records by service, and other methods in words."""
    records: dict[tuple[str, ...], tuple[list[str], Location]] = {}
    methods: dict[tuple[str, str], list[str]] = {}
    for line in lines_in_services():
        with suppress(OptionError, CommandError):
            options = options_of(line.rule)
            if options.method == "openpgp":
                place = tuple(getattr(options, name) for name in PLACES)
                records.setdefault(place, ([], location_of(user, options)))[0].extend(line.services)
            elif _is_hidden(options):
                perhaps = (options.method, ", if root's files have any")
                methods.setdefault(perhaps, []).extend(line.services)
            elif _is_set_up(user, options):
                methods.setdefault((options.method, ""), []).extend(line.services)
    told = [
        f"{METHODS.get(method, method)} (method={method}){known}: {', '.join(sorted(set(names)))}"
        for (method, known), names in methods.items()
    ]
    return [(", ".join(sorted(set(names))), where) for names, where in records.values()], told


def _is_hidden(options: Options) -> bool:
    """Tell whether only root can see who is set up for a method."""
    return os.geteuid() != 0 and (bool(options.run_as) or options.method == "sms")


def _is_set_up(user: str, options: Options) -> bool:
    """Tell whether a method can let the user in: root for anybody, users for themselves."""
    if options.method == "sms":
        with suppress(SettingsError, FileUnsafe):
            return user in sms.users(options)
        return False
    has_any = totp.has_secret if options.method == "totp" else recovery.has_codes
    if os.geteuid() != 0:
        return has_any(find_account(user), options)
    survey = survey_homes([user], lambda name: has_any(find_account(name), options))
    return survey.found == [user]


def still_takes(location: Location, ended: Named) -> bool:
    """Tell whether another record of the user lets a key in now."""
    try:
        content = recordfile.read_as(location.writer, location.record)
        if content is None:
            return False
        named = keys_named_in(location, parsed(location, content))
    except TrexError:  # then it lets nobody in
        return False
    return any(one.is_meant_by(ended.fingerprint) and not one.fault for one in named)


def sshd_alone(user: str) -> list[str]:
    """Return what sshd takes for this user without asking PAM; [] if that is unknown."""
    try:
        done = subprocess.run(  # noqa: S603 (an absolute path and a list)
            [SSHD, "-T", "-C", f"user={user},host=localhost,addr=127.0.0.1"], check=False,
            capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL,
            env={"PATH": PATH},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return []
    pairs = (line.partition(" ") for line in done.stdout.splitlines())
    settings = {name.lower(): value.strip() for name, _, value in pairs}
    return ways_of(settings) if settings else []


def ways_of(settings: dict[str, str]) -> list[str]:
    """Return the ways in sshd's settings that ask PAM nothing, in words."""
    written = settings.get("authenticationmethods", "any")
    if written == "any":
        enabled = {"publickey": settings.get("pubkeyauthentication"),
                   "password": settings.get("passwordauthentication")}  # fmt: skip
        return [f"{ALONE[way]} alone: sshd" for way, said in enabled.items() if said == "yes"]
    ways = [[part.partition(":")[0] for part in way.split(",")] for way in written.split()]
    return [
        " and ".join(ALONE.get(part, part) for part in way) + " alone: sshd"
        for way in ways
        if "keyboard-interactive" not in way
    ]


def ssh_keys(account: Account) -> int:
    """Return how many lines of ~/.ssh/authorized_keys let an SSH key in."""

    def count() -> int:
        path = os.path.join(account.home, ".ssh/authorized_keys")
        content = recordfile.read_existing(path) or b""
        lines = (line.strip() for line in content.splitlines())
        return sum(1 for line in lines if line and not line.startswith(b"#"))

    try:
        return int(run_as(account, count, SECONDS))
    except CommandError:
        return 0
