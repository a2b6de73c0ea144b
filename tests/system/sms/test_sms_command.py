"""`trex sms`: a real message through the configured gateways, and limits that begin anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.command import trex
from tests.support.gateways import TOKEN, Gateway, RedisServer
from tests.support.page_text import blocks
from tests.support.pins import NUMBER, PHONES, SETTINGS, Sms, by_http, free_mobile

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.sandbox import Account

TEST, RESET = (
    tuple(block.replace("alice", "bob").split()[1:])
    for block in blocks("docs/sms.md", "## Try it, and begin anew")
    if block.startswith("trex ")
)


def test_a_test_message_arrives_and_is_shown(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway))
    done = trex(*TEST)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "bob: a message to ..78 was taken by http\n"
    (text,) = sms.gateway.texts
    assert re.fullmatch(r"Test \d{4} from \S+: messages with PINs reach you\.", text)
    assert f'"{text}"' in done.stderr
    assert NUMBER not in done.stdout + done.stderr


def test_a_gateway_that_did_not_take_it_is_named_with_its_reason(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway, expected="[299]"), free_mobile(sms.gateway))
    done = trex(*TEST)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "bob: a message to ..78 was taken by free-mobile; after http: HTTP status 202"
    )
    sms.configure(by_http(sms.gateway, expected="[299]"))
    done = trex(*TEST)
    assert done.returncode == 1
    assert "error: http: HTTP status 202" in done.stderr
    assert TOKEN not in done.stderr


def test_a_test_message_counts_until_the_limits_are_reset(sms: Sms) -> None:
    sms.configure(by_http(sms.gateway), before="[limits]\nuser_hour = 2\nhost_hour = 3")
    assert [trex(*TEST).returncode for _ in range(2)] == [0, 0]
    refused = trex(*TEST)
    assert refused.returncode == 1
    assert "nothing is sent: the limit user_hour = 2 is reached" in refused.stderr
    assert sms().verdict == "PAM_AUTHINFO_UNAVAIL"
    done = trex(*RESET)
    assert done.stdout == "bob: 2 of the last day's messages no longer count for bob\n", done.stderr
    assert sms().verdict == "PAM_SUCCESS"
    assert "the limit host_hour = 3 is reached" in trex(*TEST).stderr, "the host's count stays"
    assert "bob: 1 of the last day's" in trex(*RESET).stdout
    assert "nothing to reset" in trex(*RESET).stderr
    assert len(sms.gateway.texts) == 3


def test_the_counts_of_others_stay(sms: Sms, account: Callable[[str], Account]) -> None:
    account("carol")
    sms.configure(by_http(sms.gateway), before="[limits]\nuser_hour = 1")
    assert trex("sms", "test", "--user", "carol").returncode == 0
    assert trex(*TEST).returncode == 0
    assert trex(*RESET).returncode == 0
    assert "user_hour = 1 is reached" in trex("sms", "test", "--user", "carol").stderr
    assert trex(*TEST).returncode == 0


def test_limits_of_a_fleet_are_reset_in_redis(sms: Sms, redis_server: RedisServer) -> None:
    sms.configure(by_http(sms.gateway), before="[limits]\nuser_hour = 1\nhost_hour = 2",
                  state=redis_server.url)  # fmt: skip
    assert trex(*TEST).returncode == 0
    assert "user_hour = 1 is reached" in trex(*TEST).stderr
    assert trex(*RESET).stdout == "bob: 1 of the last day's messages no longer count for bob\n"
    assert trex(*TEST).returncode == 0
    assert trex(*RESET).returncode == 0
    assert "host_hour = 2 is reached" in trex(*TEST).stderr
    redis_server.close()
    done = trex(*RESET)
    assert done.returncode == 1
    assert "Redis cannot be asked" in done.stderr


def test_limits_are_reset_for_an_account_that_is_gone(sms: Sms, bob: Account) -> None:
    sms.configure(by_http(sms.gateway))
    assert trex(*TEST).returncode == 0
    bob.leave()
    try:
        assert trex(*RESET).returncode == 0
    finally:
        bob.give_name_to(bob.uid)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("sms", "test", "--user", "nobody-here"), "expected a name that `id NAME` knows"),
        (("sms", "test", "--user", "daemon"), "no number for daemon"),
        (("sms", "reset", "--user", "a/b"), "expected the name of an account"),
        (("sms", "reset", "--user", "bob", "--sms-user", "root"), "an account other than root"),
        (("sms", "test", "--user", "bob", "--phones", "here"), "expected an absolute path"),
    ],
)
def test_what_cannot_be_done_is_said(sms: Sms, words: tuple[str, ...], told: str) -> None:
    sms.configure(by_http(sms.gateway))
    done = trex(*words)
    assert done.returncode == 1
    assert told in done.stderr
    assert sms.gateway.texts == []


def test_only_root_sends_and_resets(sms: Sms, bob: Account) -> None:
    sms.configure(by_http(sms.gateway))
    for words in (TEST, RESET):
        done = trex(*words, account=bob)
        assert done.returncode == 1
        assert "only root can do this" in done.stderr


def test_without_settings_nothing_is_sent(sms: Sms, gateway: Gateway) -> None:
    SETTINGS.unlink(missing_ok=True)
    assert PHONES.exists()
    done = trex(*TEST)
    assert done.returncode == 1
    assert "expected the settings of method=sms, found no file" in done.stderr
    assert not SETTINGS.exists()
