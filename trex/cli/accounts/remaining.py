"""What can still log in after a key has come to its end."""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from trex.cli.accounts import elsewhere, sessions
from trex.cli.accounts.ending import read_record
from trex.cli.terminal import answer, command_lines, folded

if TYPE_CHECKING:
    from trex.cli.accounts.ending import Record
    from trex.cli.accounts.named import Named
    from trex.cli.location import Location
    from trex.system.privilege import Account


def tell_what_is_left(location: Location, ended: list[Named], what: str) -> None:
    """Say what can still log in as this user, and with these keys; `what` was typed to end them."""
    record = read_record(location)
    faults = record.faults
    if faults:
        answer(folded(f"{location.shown} stays, and refuses every login: {'; '.join(faults)}."))
        answer(command_lines(f"trex enroll{location.typed} {_with(record)}", "With another key: "))
    ways = [] if faults else [one.described for one in record.named if not one.fault]
    if ways and record.needed > 1:
        listed = "\n".join(ways).replace("\n", "\n    ")
        ways = [f"two of these keys together:\n    {listed}"]
    ways += _other_ways(location, ended, what)
    if ways:
        answer(f"What can still log in as {location.user.name}:")
    for way in ways:
        answer(f"  {way}")
    if os.geteuid() == 0:
        _say_who_else(location, ended, what)


def _with(record: Record) -> str:
    if record.needed == 1:
        return "--key - < FILE"
    return "--two-people --fingerprint FPR --fingerprint FPR --key - < FILE"


def _other_ways(location: Location, ended: list[Named], what: str) -> list[str]:
    """Return the ways beside the record, in words: the same key elsewhere comes first."""
    user = location.user
    records, methods = elsewhere.lines_with_trex(user.name)
    ways = [
        f"the same key, at {services}: {_again(other, what)}"
        for services, other in records
        if other.record != location.record
        for one in ended
        if elsewhere.still_takes(other, one)
    ]
    ways += methods
    ways += elsewhere.sshd_alone(user.name) if os.geteuid() == 0 else []
    count = elsewhere.ssh_keys(user)
    if count:
        keys = "1 SSH key" if count == 1 else f"{count} SSH keys"
        ways.append(f"{keys} in ~/.ssh/authorized_keys, for what asks for one")
    return ways


def _say_who_else(location: Location, ended: list[Named], what: str) -> None:
    for one in ended:
        for other in elsewhere.others_with(location, one.key) if one.key else []:
            told = f"{other.user.name} has the same key in a record: "
            answer(command_lines(_again(other, what), told))


def _again(location: Location, what: str) -> str:
    """Return the command that does the same for another record."""
    typed = "- < FILE" if what == "-" else shlex.quote(what)
    return f"trex revoke{location.typed} {typed}"


def tell_what_is_open(user: Account) -> None:
    """Say which processes a user has, and how to end them."""
    running = sessions.processes_of(user)
    if running:
        answer(f"Open: {sessions.described(running)} of {user.name}. To end them:")
        answer(f"  sudo trex revoke --user {shlex.quote(user.name)} --end-sessions")
