"""`/etc/trex/sms.toml`, the map of numbers, PINs, and gateways' responses."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trex.cli.doctor.gateways import _address_of
from trex.errors import FileUnsafe, NoRecord, TrexError
from trex.login.challenge import random_digits
from trex.sms.errors import NotSent, SettingsError
from trex.sms.gateways import http, twilio
from trex.sms.gateways.web import Reply, request
from trex.sms.phones import is_number, numbers_from_map
from trex.sms.settings import KINDS, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if os.geteuid() != 0:
    pytest.skip("these files are root's", allow_module_level=True)

HTTP = '[[gateway]]\nkind = "http"\nurl = "https://sms.example.org/"\n'
TWILIO = '[[gateway]]\nkind = "twilio"\naccount_sid = "AC1"\nauth_token = "s3cret"\nfrom = "+1"\n'
EMAIL = '[[gateway]]\nkind = "email"\nserver = "x"\nfrom = "a@b"\nto = "c@d"\n'


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str | bytes], str]:
    def write(content: str | bytes) -> str:
        path = tmp_path / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o600)
        return str(path)

    return write


def test_what_is_not_said_has_a_default(written: Callable[[str], str]) -> None:
    read = read_settings(written(HTTP))
    assert read["state"] == "file:/var/lib/trex/sms/counts"
    assert read["limits"] == {"user_hour": 5, "user_day": 10, "host_hour": 60, "host_day": 200}
    assert read["gateways"] == [{"kind": "http", "url": "https://sms.example.org/"}]


@pytest.mark.parametrize(
    "state",
    ["file:/x", "file:/a[b", "redis://x", "redis://:p@[::1]:6379/0", "rediss://x:1/2",
     "unix:///run/x", "unix://:p@/run/x?db=1", "unix://u:p@/run/x"],
)  # fmt: skip
def test_where_it_can_be_counted(written: Callable[[str], str], state: str) -> None:
    assert read_settings(written(f'state = "{state}"\n'))["state"] == state


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gateway = 1", "gateway: expected a list"),
        ("gateway = [1]", "[[gateway]] 1: expected a table"),
        (f"[limit]\n{HTTP}", 'unknown key "limit", did you mean "limits"?'),
        (f"[limits]\nuser_our = 5\n{HTTP}", '[limits] unknown key "user_our", did you mean "user_hour"?'),
        (f"[limits]\nuser_hour = -1\n{HTTP}", "[limits] user_hour: expected 0 to 1000000"),
        (f"[limits]\nuser_hour = 1000001\n{HTTP}", "[limits] user_hour: expected 0 to 1000000"),
        (f"[limits]\nuser_hour = true\n{HTTP}", "[limits] user_hour: expected a number"),
        *((f'state = "{state}"\n{HTTP}', "state: expected file:/path, redis://, rediss:// or unix:///path")
          for state in ("mysql://x", "file:x", "unix:/x", "unix://run/x", "unix://:s3cret@run/x",
                        "unix://", "unix:///", "redis://[x/0", "redis://:s3cret/3@x/0")),
        (HTTP.replace('"http"', '"htpp"'), "[[gateway]] 1: kind: expected one of"),
        (HTTP.replace("https:", "http:"), "[[gateway]] 1: url: expected https:// and a host"),
        (HTTP.replace("sms.", "[::1/sms."), "[[gateway]] 1: url: expected https:// and a host"),
        (HTTP.replace("org/", "org:abc/"), "[[gateway]] 1: url: expected https:// and a host"),
        (HTTP.replace("org/", "org:0/"), "[[gateway]] 1: url: expected https:// and a host"),
        (HTTP.replace("sms.example.org", ""), "[[gateway]] 1: url: expected https:// and a host"),
        (f'{HTTP}ca = ""', "[[gateway]] 1: ca: expected an absolute path"),
        (f'{HTTP}ca = "ca.pem"', "[[gateway]] 1: ca: expected an absolute path"),
        (f"{EMAIL}port = 70000", "[[gateway]] 1: port: expected 1 to 65535"),
        (f'{HTTP}method = "DELETE"', "[[gateway]] 1: method: expected one of GET, POST, PUT"),
        (f"{HTTP}expected = ['200']", "[[gateway]] 1: expected: expected HTTP status codes"),
        (f"{HTTP}headers = {{ x = 1 }}", "[[gateway]] 1: headers: expected strings"),
        (f'{HTTP}headers = {{ x = "a\\r\\nb" }}', "headers: expected HTTP field names and one-line values"),
        (f"{HTTP}headers = {{ 'a b' = 'x' }}", "headers: expected HTTP field names and one-line values"),
        (f"{HTTP}headers = {{ '' = 'x' }}", "headers: expected HTTP field names and one-line values"),
        ("[[gateway]]\nkind = []", "[[gateway]] 1: kind: expected one of"),
        ("x = " + "9" * 5000, "a number with too many digits"),
        ("x = " + "[" * 5000, "brackets nested too deeply"),
        ("k" * 2000 + " = 1", 'unknown key "' + "k" * 40 + '..."'),
        ("x = { " + "k" * 2000 + " = 1, " + "k" * 2000 + " = 1 }", "key '" + "k" * 172 + "..."),
        (r'"a\u001b" = 1', r'unknown key "a\x1b"'),
        (f"{HTTP}only = [1]", "[[gateway]] 1: only: expected user names"),
        (f"{HTTP}{TWILIO}token = 'x'", '[[gateway]] 2: unknown key "token"'),
        (f"{HTTP}{TWILIO}".replace("auth_token", "auth_tokn"), 'did you mean "auth_token"?'),
        (TWILIO.replace('"s3cret"', "5"), "[[gateway]] 1: auth_token: expected a string"),
        (TWILIO.replace('"s3cret"', '""'), "[[gateway]] 1: auth_token is missing"),
        (f'{TWILIO}api = "http://x"', "[[gateway]] 1: api: expected https:// and a host"),
        (f"{HTTP}x = \n", "(at line 4, column 5)"),
        ('[[gateway]]\nkind = "free-mobile"\nuser = "1"\npass = "2"', "only is missing"),
        ('[[gateway]]\nkind = "email"\nserver = "x"\nfrom = "a@b"\nto = "c@d"\ntls = "none"', "tls: expected one"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_settings_is_named_with_its_place(
    written: Callable[[str], str], text: str, reason: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(written(text))
    assert reason in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_authority_that_is_not_there_is_one_gateway_s_fault(tmp_path: Path) -> None:
    """The next gateway is tried then."""
    with pytest.raises(NotSent, match="ca cannot be read"):
        request({"ca": f"{tmp_path}/none"}, "GET", "https://localhost:9/")


def test_settings_that_are_missing_are_no_record_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileUnsafe, match="found no file"):
        read_settings(f"{tmp_path}/none")
    with pytest.raises(FileUnsafe, match="found no file"):
        numbers_from_map(f"{tmp_path}/none", "bob", 1001)


@pytest.mark.parametrize("mode", [0o601, 0o602, 0o604, 0o610, 0o620, 0o640])
def test_settings_that_others_may_use_are_refused(written: Callable[[str], str], mode: int) -> None:
    """They hold the passwords of gateways."""
    path = written(HTTP)
    os.chmod(path, mode)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileUnsafe, match=f"found mode {mode:04o}"):
        read_settings(path)
    assert os.listdir("/proc/self/fd") == before


def test_limits_and_headers_that_are_as_they_may_be(written: Callable[[str], str]) -> None:
    read = read_settings(
        written(
            "[limits]\nuser_hour = 0\nhost_day = 1000000\n" + HTTP + 'headers = { X-a = "b c" }\n'
        )
    )
    assert (read["limits"]["user_hour"], read["limits"]["host_day"]) == (0, 1_000_000)
    assert read["gateways"][0]["headers"] == {"X-a": "b c"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))
       | st.lists(st.sampled_from([HTTP, TWILIO, "[limits]\n", "user_hour = 1\n", 'state = "redis://x"\n',
                                   "x = [[1]]\n", '"\n'])).map("".join).map(str.encode))  # fmt: skip
def test_any_settings_are_read_or_refused(written: Callable[[bytes], str], content: bytes) -> None:
    try:
        read = read_settings(written(content))
    except TrexError:
        return
    assert all(gateway["kind"] in KINDS for gateway in read["gateways"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.binary(max_size=100)
)
def test_any_map_gives_numbers_or_an_error(written: Callable[[bytes], str], content: bytes) -> None:
    try:
        numbers = numbers_from_map(written(content), "bob", 1001)
    except (SettingsError, NoRecord):
        return
    assert all(map(is_number, numbers))


@given(st.binary(max_size=200))
def test_any_answer_of_twilio_s_has_a_code_or_none(body: bytes) -> None:
    code = twilio._code(Reply(400, body))
    assert code == "unknown" or code.isdigit()


def test_a_code_of_twilio_s() -> None:
    assert twilio._code(Reply(400, b'{"code": 21211, "message": "x"}')) == "21211"
    assert twilio._code(Reply(400, b'{"code": "<b>"}')) == "unknown"
    assert twilio._code(Reply(400, b'{"code": %s}' % (b"9" * 3000))) == "unknown"
    assert twilio._code(Reply(400, b'{"code": -1}')) == "unknown"


def test_what_is_filled_in_is_no_template_and_cannot_leave_its_place() -> None:
    assert http._fill("{number}/{text}", "{text}", "{number}", str) == "{text}/{number}"
    assert http._fill('{{"t": "{text}"}}', "", 'a"b\n', http._json) == '{{"t": "a\\"b\\n"}}'
    assert http._fill("?t={text}", "", "a&b=c d", http._percent) == "?t=a%26b%3Dc%20d"
    assert http._fill("/{text}/x", "", "a/b", http._percent) == "/a%2Fb/x"


def test_digits_of_pins_are_uniform() -> None:
    """Pearson's chi-square with 9 degrees of freedom: 45 is passed by chance once in 1e6 runs."""
    for place in zip(*(random_digits(8) for _ in range(20_000)), strict=True):
        seen = Counter(place)
        assert sum((seen[d] - 2000) ** 2 / 2000 for d in "0123456789") < 45


@pytest.mark.parametrize("length", [6, 8, 10])
def test_a_pin_s_length(length: int) -> None:
    assert all(len(random_digits(length)) == length for _ in range(200))


def test_who_reaches_a_gateway_learns_no_credentials() -> None:
    """`trex doctor --online`: the program is told only where a gateway is."""
    http_gateway = {
        "kind": "http", "url": "https://s3cret@sms.example.org:8443/s3cret?key=s3cret", "ca": "/ca",
        "headers": {"Authorization": "s3cret"}, "body": "s3cret",
    }  # fmt: skip
    told = {"kind": "http", "url": "https://sms.example.org:8443", "ca": "/ca"}
    assert _address_of(http_gateway) == told
    for kind, (needed, possible) in KINDS.items():
        secret = dict.fromkeys({**needed, **possible}, "https://s3cret@host/s3cret")
        place = _address_of({**secret, "kind": kind, "server": "host", "tls": "tls", "port": "465"})
        assert "s3cret" not in str(place)
