"""The module's arguments in the PAM service file, read strictly."""

from trex.errors import MAX_PATH, OptionError, cut

MAX_TIMEOUT = 3600
MAX_GPG_TIMEOUT = 300
MAX_PROMPT = 200
MAX_GRACE = 7 * 24 * 3600
MAX_HOST = 253  # RFC 1035, section 2.3.4, as text
MAX_LABEL = 63
MAX_PORT = 65535
MAX_PAGES = 1000
QR_KINDS = {"record": "", "off": "", "terminal": "dark", "terminal-light": "light"}
# Without UTF-8, ssh writes twelve signs for each block: together less than the 128 KiB that an
# argument of trex-askpass may have (execve(2), MAX_ARG_STRLEN).
LEAST_QR, MOST_QR = (40, 20), (120, 64)


class Options:
    """One login's arguments; the class attributes are the defaults (docs/configuration.md)."""

    method: str = "openpgp"
    auth_file: str = "%h/.auth_gpg"
    gnupg_home: str = "%h/.gnupg"
    run_as: str = ""
    timeout: int = 600
    gpg_timeout: int = 15
    gpg: str = "/usr/bin/gpg"
    prompt: str = ""  # the method's own
    message: str = "prompt"  # or "info": PAM_TEXT_INFO before a short prompt
    host_keys: str = ""  # the files in /etc/ssh; or "none", or paths with commas between them
    qr: str = "record"  # what it says; or "off", or "terminal" or "terminal-light" for all
    qr_size: tuple[int, int] = (80, 50)  # columns and lines at most, with the rest of the prompt
    web: bool = True
    web_bind: str = ""  # all addresses, IPv4 and IPv6
    web_ports: tuple[int, int] = (0, 0)  # first and last; 0 lets the system choose
    web_host: str = ""  # the host's full name
    web_max: int = 32
    web_user: str = "nobody"
    secret: str = "%h/.google_authenticator"  # noqa: S105 (a path)
    echo: bool = False
    try_first_pass: bool = False
    use_first_pass: bool = False
    forward_pass: bool = False
    noskewadj: bool = False
    no_increment_hotp: bool = False
    fleet: bool = False
    recovery_file: str = "%h/.trex_recovery"
    digits: int = 8
    phones: str = "/etc/trex/phones"
    gecos_phone: bool = False
    sms_file: str = "/etc/trex/sms.toml"
    sms_user: str = "_trex-sms"
    nullok: bool = False
    one_try: bool = False
    grace_period: int = 0  # seconds; 0 asks at each login
    debug: bool = False


def parse_options(arguments: list[str]) -> Options:
    """Return the options that `arguments` (without the module's name) set.

    Raises OptionError for an unknown, repeated or malformed argument.
    """
    options = Options()
    seen = set()
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in seen:
            raise OptionError(f'argument "{cut(argument, MAX_PATH)}": {cut(name)} is given twice')
        seen.add(name)
        if argument in FLAGS:
            setattr(options, argument, True)
        elif equals and name in READERS:
            try:
                setattr(options, name, READERS[name](value))
            except ValueError as error:
                raise OptionError(f'argument "{cut(argument, MAX_PATH)}": {error}') from None
        else:
            from trex.login.mistyped import reason

            told = reason(name, FLAGS, list(READERS))
            raise OptionError(f'argument "{cut(argument, MAX_PATH)}" {told}')
    _check_method(options.method, seen)
    if options.grace_period and options.forward_pass:
        raise OptionError(
            "argument forward_pass: expected it without grace_period: whoever is not asked "
            "types no password to pass on"
        )
    return options


def _check_method(method: str, given: set[str]) -> None:
    """Refuse an argument of another method: the administrator expects it to have an effect."""
    others = {name for names in METHODS.values() for name in names} - set(METHODS[method])
    for name in sorted(given & others):
        owner = next(method for method, names in METHODS.items() if name in names)
        raise OptionError(
            f"argument {name} is unknown to method={method}, it is for method={owner}"
        )


def expand(template: str, *, user: str, home: str) -> str:
    """Return `template` with `%u`, `%h` and `%%` replaced.

    Raises OptionError for an account without a home.
    """
    if "%h" in template and not home.startswith("/"):
        shown = cut(template, MAX_PATH)
        raise OptionError(f'"{shown}" needs a home directory, and the account has none')
    path, rest = "", template
    while "%" in rest:
        before, _, rest = rest.partition("%")
        path += before + {"u": user, "h": home, "%": "%"}[rest[0]]
        rest = rest[1:]
    return path + rest


def _template(value: str) -> str:
    if "$" in value or value.startswith("~"):
        raise ValueError("write %u instead of ${USER}, and %h instead of ${HOME} or ~")
    rest = value.replace("%%", "").replace("%u", "").replace("%h", "")
    if "%" in rest:
        raise ValueError("% may be followed by u (user), h (home) or % only")
    if not value.startswith(("/", "%h")):
        raise ValueError("expected an absolute path, or one that starts with %h")
    return _printable(value)


def _method(value: str) -> str:
    if value not in METHODS:
        raise ValueError(f"expected one of {', '.join(METHODS)}")
    return value


def _absolute_path(value: str) -> str:
    if "$" in value:
        raise ValueError("expected a path without $: it is the same for all users")
    if not value.startswith("/"):
        raise ValueError("expected an absolute path")
    return _printable(value)


def _host_keys(value: str) -> str:
    if value != "none":
        for path in value.split(","):
            _absolute_path(path)
    return value


def _account_name(value: str) -> str:
    if not value or value.startswith(("-", ".")) or "/" in value:
        raise ValueError("expected the name of an account")
    return _printable(value)


def _prompt(value: str) -> str:
    if not value or len(value) > MAX_PROMPT:
        raise ValueError(f"expected a text of 1 to {MAX_PROMPT} characters")
    return _printable(value)


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("control characters are not allowed")
    return value


def _timeout(value: str) -> int:
    return _number(value, MAX_TIMEOUT, "seconds")


def _gpg_timeout(value: str) -> int:
    return _number(value, MAX_GPG_TIMEOUT, "seconds")


def _grace_period(value: str) -> int:
    return _number(value, MAX_GRACE, "seconds")


def _web_max(value: str) -> int:
    return _number(value, MAX_PAGES, "pages")


def _number(value: str, most: int, unit: str) -> int:
    # int() alone would take " 5", "+5", "5_0" and Arabic digits.
    plain = value.isascii() and value.isdigit() and len(value) <= len(str(most))
    if not plain or not 1 <= int(value) <= most:
        raise ValueError(f"expected {unit} from 1 to {most}")
    return int(value)


def _digits(value: str) -> int:
    if value not in ("6", "7", "8", "9", "10"):
        raise ValueError("expected 6 to 10")
    return int(value)


def _message(value: str) -> str:
    if value not in ("prompt", "info"):
        raise ValueError("expected prompt or info")
    return value


def _qr(value: str) -> str:
    if value not in QR_KINDS:
        raise ValueError(f"expected one of {', '.join(QR_KINDS)}")
    return value


def _qr_size(value: str) -> tuple[int, int]:
    columns, _, lines = value.partition("x")
    try:
        size = (_number(columns, MOST_QR[0], ""), _number(lines, MOST_QR[1], ""))
    except ValueError:
        size = (0, 0)
    if size[0] < LEAST_QR[0] or size[1] < LEAST_QR[1]:
        least, most = ("{}x{}".format(*limit) for limit in (LEAST_QR, MOST_QR))
        raise ValueError(f"expected columns and lines from {least} to {most}, such as 100x50")
    return size


def _web(value: str) -> bool:
    if value not in ("on", "off"):
        raise ValueError("expected on or off")
    return value == "on"


def _web_ports(value: str) -> tuple[int, int]:
    first, dash, last = value.partition("-")
    try:
        ports = (_number(first, MAX_PORT, ""), _number(last if dash else first, MAX_PORT, ""))
    except ValueError:
        ports = (1, 0)
    if ports[0] > ports[1]:
        raise ValueError(f"expected a port from 1 to {MAX_PORT}, or a range such as 8440-8449")
    return ports


def _web_bind(value: str) -> str:
    if not is_address(value):
        raise ValueError("expected an IPv4 or IPv6 address")
    return value


def _web_host(value: str) -> str:
    labels = value.removesuffix(".").split(".")
    is_name = len(value) <= MAX_HOST and all(map(_is_label, labels)) and not labels[-1].isdigit()
    if not is_name and not is_address(value):
        raise ValueError("expected a host's name or address")
    return value


def _is_label(label: str) -> bool:
    """Tell whether `label` may stand in a host's name (RFC 1123, section 2.1)."""
    plain = label.isascii() and label.replace("-", "a").replace("_", "a").isalnum()
    return plain and len(label) <= MAX_LABEL and label[0] != "-" != label[-1]


def is_address(text: str) -> bool:
    """Tell whether `text` is an IPv4 or IPv6 address."""
    import _socket  # built in; socket.py costs 3 ms

    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False


# The values for central mode (README.md).
CENTRAL = {
    "auth_file": "/etc/trex/users/%u",
    "gnupg_home": "/var/lib/trex/gnupg",
    "run_as": "_trex",
}
CENTRAL_TOTP = {"secret": "/var/lib/trex/totp/%u", "run_as": "_trex-totp"}  # an account of its own
CENTRAL_RECOVERY = "/var/lib/trex/recovery/%u"  # recovery_file=, with the same run_as=

# The methods, each with the arguments that only it uses; all methods share the others.
METHODS = {
    "openpgp": ("auth_file", "gnupg_home", "run_as", "gpg_timeout", "gpg", "message",
                "host_keys", "qr", "qr_size", "web", "web_bind", "web_ports", "web_host", "web_max",
                "web_user", "recovery_file"),
    "totp": ("secret", "run_as", "echo", "try_first_pass", "use_first_pass", "forward_pass",
             "noskewadj", "no_increment_hotp", "fleet", "sms_file", "sms_user", "recovery_file"),
    "sms": ("echo", "digits", "phones", "gecos_phone", "sms_file", "sms_user"),
    "recovery": ("recovery_file", "run_as", "echo"),
}  # fmt: skip
FLAGS = ("echo", "try_first_pass", "use_first_pass", "forward_pass", "noskewadj",
         "no_increment_hotp", "fleet", "gecos_phone", "nullok", "one_try", "debug")  # fmt: skip
READERS = {
    "method": _method,
    "auth_file": _template,
    "gnupg_home": _template,
    "run_as": _account_name,
    "timeout": _timeout,
    "gpg_timeout": _gpg_timeout,
    "gpg": _absolute_path,
    "grace_period": _grace_period,
    "prompt": _prompt,
    "message": _message,
    "host_keys": _host_keys,
    "qr": _qr,
    "qr_size": _qr_size,
    "web": _web,
    "web_bind": _web_bind,
    "web_ports": _web_ports,
    "web_host": _web_host,
    "web_max": _web_max,
    "web_user": _account_name,
    "secret": _template,
    "recovery_file": _template,
    "digits": _digits,
    "phones": _absolute_path,
    "sms_file": _absolute_path,
    "sms_user": _account_name,
}
