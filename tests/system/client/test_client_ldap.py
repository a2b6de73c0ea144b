"""`trex ssh` to an account of a directory that takes names in any case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import ldap

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client
    from tests.support.keys import Holder
    from tests.support.sandbox import Log
    from tests.support.sshd import Sshd
    from tests.system.conftest import Keys


def test_a_name_in_another_case_is_answered_as_it_was_typed(
    laptop: Client, sshd: Callable[..., Sshd], keys: Keys, holder: Holder, log: Log
) -> None:
    person = ldap.Person(r"CORP\bert", 70001)
    with ldap.directory(person):
        person.import_keys(holder.public(keys["cv25519"]))
        person.write(f"{keys['cv25519']} trust nosign\n")
        server = sshd()
        name = laptop.knows(server, user="corp\\BERT")
        assert laptop.run("trex", "ssh", name, "id -un").stdout == "CORP\\bert\n"
    assert f"accepted: user={person.name} " in log.verdict()
