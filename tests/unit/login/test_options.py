"""The module's arguments."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trex.errors import MAX_PATH, OptionError
from trex.login.options import METHODS, Options, expand, parse_options

TREX = Path(__file__).resolve().parents[3] / "trex"
OTHER_THAN_DEFAULT = {
    "method": ("method=totp", "totp"),
    "auth_file": ("auth_file=/etc/trex/users/%u", "/etc/trex/users/%u"),
    "gnupg_home": ("gnupg_home=/var/lib/trex/gnupg", "/var/lib/trex/gnupg"),
    "run_as": ("run_as=_trex", "_trex"),
    "timeout": ("timeout=90", 90),
    "gpg_timeout": ("gpg_timeout=3", 3),
    "gpg": ("gpg=/opt/gnupg/bin/gpg", "/opt/gnupg/bin/gpg"),
    "prompt": ("prompt=Was steht darin? ", "Was steht darin? "),
    "message": ("message=info", "info"),
    "host_keys": ("host_keys=/srv/a.pub,/srv/b.pub", "/srv/a.pub,/srv/b.pub"),
    "qr": ("qr=terminal", "terminal"),
    "qr_size": ("qr_size=100x50", (100, 50)),
    "web": ("web=off", False),
    "web_bind": ("web_bind=192.0.2.1", "192.0.2.1"),
    "web_ports": ("web_ports=8440-8449", (8440, 8449)),
    "web_host": ("web_host=login.example.org", "login.example.org"),
    "web_max": ("web_max=8", 8),
    "web_user": ("web_user=_trex-web", "_trex-web"),
    "recovery_file": ("recovery_file=/var/lib/trex/recovery/%u", "/var/lib/trex/recovery/%u"),
    "secret": ("secret=/etc/trex/totp/%u", "/etc/trex/totp/%u"),
    "echo": ("echo", True),
    "try_first_pass": ("try_first_pass", True),
    "use_first_pass": ("use_first_pass", True),
    "forward_pass": ("forward_pass", True),
    "noskewadj": ("noskewadj", True),
    "no_increment_hotp": ("no_increment_hotp", True),
    "fleet": ("fleet", True),
    "digits": ("digits=6", 6),
    "phones": ("phones=/srv/phones", "/srv/phones"),
    "gecos_phone": ("gecos_phone", True),
    "sms_file": ("sms_file=/srv/sms.toml", "/srv/sms.toml"),
    "sms_user": ("sms_user=_sms", "_sms"),
    "nullok": ("nullok", True),
    "one_try": ("one_try", True),
    "grace_period": ("grace_period=604800", 604800),
    "debug": ("debug", True),
}


def test_every_option_is_flipped_below() -> None:
    assert set(OTHER_THAN_DEFAULT) == set(Options.__annotations__)


@pytest.mark.parametrize("option", OTHER_THAN_DEFAULT)
def test_an_argument_changes_its_option_and_no_other(option: str) -> None:
    argument, value = OTHER_THAN_DEFAULT[option]
    owners = [method for method, names in METHODS.items() if option in names]
    chosen = [f"method={owners[0]}"] if owners else []
    options = parse_options([argument, *chosen])
    assert getattr(Options, option) != value
    assert getattr(options, option) == value
    for other in OTHER_THAN_DEFAULT.keys() - {option, *(["method"] if chosen else [])}:
        assert getattr(options, other) == getattr(Options, other)


def test_one_login_s_options_are_not_another_s() -> None:
    parse_options(["nullok", "timeout=5"])
    assert parse_options([]).nullok is False
    assert parse_options([]).timeout == 600


def test_the_defaults_that_the_table_of_arguments_has_in_words() -> None:
    """tests/unit/test_documents.py holds the others to it."""
    assert (Options.qr_size, Options.web_ports) == ((80, 50), (0, 0))


@pytest.mark.parametrize(
    ("argument", "reason"),
    [
        ("nulok", 'unknown, did you mean "nullok"?'),
        ("timeot=5", 'unknown, did you mean "timeout="?'),
        ("NULLOK", 'unknown, did you mean "nullok"?'),
        ("nullok=yes", 'unknown, did you mean "nullok"?'),
        ("debug=1", 'unknown, did you mean "debug"?'),
        ("timeout", 'unknown, did you mean "timeout="?'),
        ("", "unknown"),
        ("xyzzy", "unknown"),
        ("timeout=", "seconds from 1 to 3600"),
        ("timeout=0", "seconds from 1 to 3600"),
        ("timeout=3601", "seconds from 1 to 3600"),
        ("timeout=-5", "seconds from 1 to 3600"),
        ("timeout=+5", "seconds from 1 to 3600"),
        ("timeout= 5", "seconds from 1 to 3600"),
        ("timeout=5_0", "seconds from 1 to 3600"),
        ("timeout=5.0", "seconds from 1 to 3600"),
        ("timeout=0x10", "seconds from 1 to 3600"),
        ("timeout=\u0665", "seconds from 1 to 3600"),
        ("timeout=" + "9" * 5000, "seconds from 1 to 3600"),
        ("gpg_timeout=301", "seconds from 1 to 300"),
        ("gpg=gpg", "an absolute path"),
        ("gpg=", "an absolute path"),
        ("host_keys=", "an absolute path"),
        ("host_keys=none,/etc/x.pub", "an absolute path"),
        ("host_keys=/etc/x.pub,", "an absolute path"),
        ("host_keys=/etc/$USER.pub", "a path without $"),
        ("auth_file=.auth_gpg", "an absolute path"),
        ("auth_file=%u", "an absolute path"),
        ("auth_file=/etc/%x", "% may be followed by"),
        ("auth_file=/etc/%", "% may be followed by"),
        ("auth_file=/etc/%%%", "% may be followed by"),
        ("gnupg_home=gnupg", "an absolute path"),
        ("secret=/etc/x/${USER}", "write %u instead of ${USER}"),
        ("secret=/etc/x/$USER", "write %u instead of ${USER}"),
        ("secret=${HOME}/x", "%h instead of ${HOME}"),
        ("secret=~/x", "%h instead of ${HOME} or ~"),
        ("auth_file=/etc/x/${USER}", "write %u instead of ${USER}"),
        ("gnupg_home=${HOME}/x", "%h instead of ${HOME}"),
        ("gpg=/opt/${USER}/gpg", "a path without $"),
        ("phones=/etc/$USER", "a path without $"),
        ("sms_file=${HOME}/sms.toml", "a path without $"),
        ("authtok_prompt=Code: ", "write prompt= instead"),
        ("user=totp", "write run_as= instead"),
        ("user=0", "write run_as= instead"),
        ("echo_verification_code", "write echo instead"),
        ("echo-verification-code", "write echo instead"),
        ("no_strict_owner", "leave it out"),
        ("allowed_perm=0400", "mode 0600 or less"),
        ("allow_readonly", "write secret="),
        ("run_as=", "the name of an account"),
        ("run_as=../root", "the name of an account"),
        ("run_as=-x", "the name of an account"),
        ("run_as=a/b", "the name of an account"),
        ("message=", "prompt or info"),
        ("message=page", "prompt or info"),
        ("prompt=", "a text of 1 to 200 characters"),
        ("prompt=" + "x" * 201, "a text of 1 to 200 characters"),
        ("prompt=a\nb", "control characters"),
        ("prompt=\x1b[31m", "control characters"),
        ("auth_file=/a\nb", "control characters"),
        ("qr=", "one of record, off, terminal, terminal-light"),
        ("qr=dark", "one of record, off, terminal, terminal-light"),
        ("qr_size=", "from 40x20 to 120x64, such as 100x50"),
        ("qr_size=100", "from 40x20 to 120x64, such as 100x50"),
        ("qr_size=39x50", "from 40x20 to 120x64, such as 100x50"),
        ("qr_size=100x19", "from 40x20 to 120x64, such as 100x50"),
        ("qr_size=121x50", "from 40x20 to 120x64, such as 100x50"),
        ("qr_size=100x65", "from 40x20 to 120x64, such as 100x50"),
        ("qr_size=100x50x2", "from 40x20 to 120x64, such as 100x50"),
        ("qr_size=100X50", "from 40x20 to 120x64, such as 100x50"),
        ("qr_size=\u0661\u0660\u0660x50", "from 40x20 to 120x64, such as 100x50"),
        ("web=no", "on or off"),
        ("web", 'unknown, did you mean "web="?'),
        ("web=", "on or off"),
        ("web_bind=", "an IPv4 or IPv6 address"),
        ("web_bind=localhost", "an IPv4 or IPv6 address"),
        ("web_bind=127.0.0.1:80", "an IPv4 or IPv6 address"),
        ("web_bind=127.0.0", "an IPv4 or IPv6 address"),
        ("web_bind=[::1]", "an IPv4 or IPv6 address"),
        ("web_bind=\u0661.0.0.1", "an IPv4 or IPv6 address"),
        ("web_bind=127.0.0.1\0", "an IPv4 or IPv6 address"),
        ("web_ports=", "a port from 1 to 65535"),
        ("web_ports=0", "a port from 1 to 65535"),
        ("web_ports=65536", "a port from 1 to 65535"),
        ("web_ports=8449-8440", "a port from 1 to 65535"),
        ("web_ports=8440-", "a port from 1 to 65535"),
        ("web_ports=-8440", "a port from 1 to 65535"),
        ("web_ports=8440-8445-8449", "a port from 1 to 65535"),
        ("web_ports=8440,8441", "a port from 1 to 65535"),
        ("web_host=", "a host's name or address"),
        ("web_host=a b", "a host's name or address"),
        ("web_host=a/b", "a host's name or address"),
        ("web_host=a:80", "a host's name or address"),
        ("web_host=user@a", "a host's name or address"),
        ("web_host=-a", "a host's name or address"),
        ("web_host=a..b", "a host's name or address"),
        ("web_host=" + "a" * 64, "a host's name or address"),
        ("web_host=" + "a." * 126 + "aa", "a host's name or address"),
        ("web_host=192.0.2.256", "a host's name or address"),
        ("web_host=\u00e9", "a host's name or address"),
        ("grace_period=0", "seconds from 1 to 604800"),
        ("grace_period=604801", "seconds from 1 to 604800"),
        ("grace_period", "did you mean"),
        ("web_max=0", "pages from 1 to 1000"),
        ("web_max=1001", "pages from 1 to 1000"),
        ("web_user=", "the name of an account"),
        ("digits=5", "6 to 10"),
        ("digits=11", "6 to 10"),
        ("digits=08", "6 to 10"),
        ("phones=phones", "an absolute path"),
        ("sms_file=", "an absolute path"),
        ("sms_user=-x", "the name of an account"),
    ],
)
def test_whatever_is_not_an_argument_is_refused_with_its_reason(argument: str, reason: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse_options([argument])
    assert argument[:MAX_PATH] in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "host", ["server", "server.example.org", "server.example.org.", "192.0.2.1", "2001:db8::1",
             "a" * 63 + ".example", "a." * 126 + "a", "xn--bcher-kva.example", "web_1.example"],
)  # fmt: skip
def test_a_page_s_host_is_a_name_or_an_address(host: str) -> None:
    assert parse_options([f"web_host={host}"]).web_host == host


@pytest.mark.parametrize("size", [(40, 20), (120, 64)])
def test_a_code_has_the_limits_themselves(size: tuple[int, int]) -> None:
    columns, lines = size
    assert parse_options([f"qr_size={columns}x{lines}"]).qr_size == size


def test_a_prompt_has_up_to_200_characters() -> None:
    assert parse_options(["prompt=" + "x" * 200]).prompt == "x" * 200


@pytest.mark.parametrize(
    ("ports", "both"), [("1", (1, 1)), ("443", (443, 443)), ("65000-65535", (65000, 65535))]
)
def test_a_page_s_port_is_one_or_a_range(ports: str, both: tuple[int, int]) -> None:
    assert parse_options([f"web_ports={ports}"]).web_ports == both


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["method=otp"], "one of openpgp, totp, sms, recovery"),
        (["method=sms", "recovery_file=/x"], "recovery_file is unknown to method=sms"),
        (
            ["method=recovery", "secret=/x"],
            "secret is unknown to method=recovery, it is for method=totp",
        ),
        (["method="], "one of openpgp, totp"),
        (["secret=/etc/x"], "secret is unknown to method=openpgp, it is for method=totp"),
        (["echo", "debug"], "echo is unknown to method=openpgp, it is for method=totp"),
        (["method=sms", "run_as=x"], "run_as is unknown to method=sms, it is for method=openpgp"),
        (["method=totp", "web=off"], "web is unknown to method=totp, it is for method=openpgp"),
        (["gpg=/usr/bin/gpg", "method=totp"], "gpg is unknown to method=totp"),
    ],
)
def test_what_is_of_another_method_is_refused(arguments: list[str], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        parse_options(arguments)


def test_every_method_has_a_module_and_every_module_is_listed() -> None:
    modules = {path.parent.name for path in TREX.glob("*/method.py")} - {"login"}
    assert modules == set(METHODS)


@pytest.mark.parametrize("twice", [["debug", "debug"], ["timeout=5", "timeout=6"]])
def test_an_argument_given_twice_is_refused(twice: list[str]) -> None:
    with pytest.raises(OptionError, match="given twice"):
        parse_options(twice)


@given(st.lists(st.text(max_size=30), max_size=5))
def test_any_arguments_give_options_or_an_option_error(arguments: list[str]) -> None:
    try:
        parse_options(arguments)
    except OptionError:
        pass


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("%h/.auth_gpg", "/home/alice/.auth_gpg"),
        ("/etc/trex/users/%u", "/etc/trex/users/alice"),
        ("/a/%%u/%u%u", "/a/%u/alicealice"),
        ("/a/%%%%h", "/a/%%h"),
    ],
)
def test_paths_are_expanded(template: str, path: str) -> None:
    assert parse_options([f"auth_file={template}"]).auth_file == template
    assert expand(template, user="alice", home="/home/alice") == path


def test_a_percent_sign_in_a_home_is_not_expanded_again() -> None:
    assert expand("%h/x", user="alice", home="/home/%u%h") == "/home/%u%h/x"


@pytest.mark.parametrize("home", ["", "home/alice", "."])
def test_an_account_without_an_absolute_home_is_an_error(home: str) -> None:
    with pytest.raises(OptionError, match="needs a home directory"):
        expand("%h/.auth_gpg", user="alice", home=home)


def test_a_password_that_nobody_types_is_not_passed_on() -> None:
    with pytest.raises(OptionError, match="forward_pass: expected it without grace_period"):
        parse_options(["method=totp", "forward_pass", "grace_period=60"])
