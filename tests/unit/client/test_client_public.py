"""`trex.client`: what it names is public, and nothing else."""

from __future__ import annotations

import inspect

import pytest

import trex.client
from trex.client import ClientError, NoChallenge, respond


def test_nothing_is_public_but_what_it_names() -> None:
    """A name that `from trex.client import *` gives is one that programs come to depend on."""
    kinds = {"ClientError", "NoChallenge", "NoKey", "NotConfirmed", "Refused"}
    assert set(trex.client.__all__) == {*kinds, "respond"}
    open_names = {name for name in vars(trex.client) if not name.startswith("_")}
    assert open_names - {"annotations"} == set(trex.client.__all__)
    for name in kinds:
        assert issubclass(getattr(trex.client, name), ClientError)
    for name in trex.client.__all__:
        assert inspect.getdoc(getattr(trex.client, name)), name


def test_its_one_function_takes_where_by_name() -> None:
    told = str(inspect.signature(respond))
    assert told == (
        "(prompt: 'str', *, user: 'str', host: 'str', host_key: 'str | bytes | None' = None) -> 'str'"
    )


@pytest.mark.parametrize(("where", "error"), [
    ({"host": "a b"}, "'a b' is not a host name"),
    ({"user": ""}, "expected USER@HOST"),
    ({"host_key": "MD5:00:11"}, "expected the fingerprint of a host key, SHA256:"),
    ({"host_key": "SHA256:short"}, "expected the fingerprint of a host key, SHA256:"),
])  # fmt: skip
def test_a_mistake_in_where_is_an_error_before_anything_is_decrypted(
    where: dict[str, str], error: str
) -> None:
    """Otherwise the host key of the connection would not be compared, and nobody would see it."""
    begin = "-----BEGIN PGP MESSAGE-----\n"
    options = {"user": "alice", "host": "web.example.org", "host_key": "", **where}
    with pytest.raises(ClientError, match=error):
        respond(begin, **options)


def test_another_prompt_is_no_challenge() -> None:
    with pytest.raises(NoChallenge, match="no OpenPGP message"):
        respond("Password: ", user="alice", host="web.example.org")
