"""The module's arguments in the PAM service file, read without guessing."""

from trex.errors import OptionError

MAX_TIMEOUT = 3600
MAX_GPG_TIMEOUT = 300
MAX_PROMPT = 200


class Options:
    """One login's arguments; the class attributes are the defaults (docs/configuration.md)."""

    auth_file: str = "%h/.auth_gpg"
    gnupg_home: str = "%h/.gnupg"
    run_as: str = ""
    timeout: int = 600
    gpg_timeout: int = 15
    gpg: str = "/usr/bin/gpg"
    prompt: str = "Response: "
    nullok: bool = False
    debug: bool = False


def parse_options(arguments: list[str]) -> "Options":
    """Return the options that `arguments` (without the module's name) spell.

    Raises OptionError for an unknown, repeated or malformed argument.
    """
    options = Options()
    seen = set()
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name in seen:
            raise OptionError(f'argument "{argument}": {name} is given twice')
        seen.add(name)
        if argument in FLAGS:
            setattr(options, argument, True)
        elif equals and name in READERS:
            try:
                setattr(options, name, READERS[name](value))
            except ValueError as error:
                raise OptionError(f'argument "{argument}": {error}') from None
        else:
            raise OptionError(f'argument "{argument}" is unknown{_suggestion(name)}')
    return options


def expand(template: str, *, user: str, home: str) -> str:
    """Return `template` with `%u`, `%h` and `%%` replaced.

    Raises OptionError for an account without a home.
    """
    if "%h" in template and not home.startswith("/"):
        raise OptionError(f'"{template}" needs a home directory, and the account has none')
    path, rest = "", template
    while "%" in rest:
        before, _, rest = rest.partition("%")
        path += before + {"u": user, "h": home, "%": "%"}[rest[0]]
        rest = rest[1:]
    return path + rest


def _template(value: str) -> str:
    rest = value.replace("%%", "").replace("%u", "").replace("%h", "")
    if "%" in rest:
        raise ValueError("% may be followed by u (user), h (home) or % only")
    if not value.startswith(("/", "%h")):
        raise ValueError("an absolute path is meant, or one that starts with %h")
    return _printable(value)


def _absolute_path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("an absolute path is meant")
    return _printable(value)


def _account_name(value: str) -> str:
    if not value or value.startswith(("-", ".")) or "/" in value:
        raise ValueError("the name of an account is meant")
    return _printable(value)


def _prompt(value: str) -> str:
    if not value or len(value) > MAX_PROMPT:
        raise ValueError(f"a text of 1 to {MAX_PROMPT} characters is meant")
    return _printable(value)


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("control characters are not allowed")
    return value


def _timeout(value: str) -> int:
    return _seconds(value, MAX_TIMEOUT)


def _gpg_timeout(value: str) -> int:
    return _seconds(value, MAX_GPG_TIMEOUT)


def _seconds(value: str, most: int) -> int:
    # int() alone would take " 5", "+5", "5_0" and Arabic digits.
    plain = value.isascii() and value.isdigit() and len(value) <= len(str(most))
    if not plain or not 1 <= int(value) <= most:
        raise ValueError(f"seconds from 1 to {most} are meant")
    return int(value)


FLAGS = ("nullok", "debug")
READERS = {
    "auth_file": _template,
    "gnupg_home": _template,
    "run_as": _account_name,
    "timeout": _timeout,
    "gpg_timeout": _gpg_timeout,
    "gpg": _absolute_path,
    "prompt": _prompt,
}


def _suggestion(name: str) -> str:
    from difflib import get_close_matches  # dear, and needed only for a mistake

    spelled = {**{flag: flag for flag in FLAGS}, **{reader: f"{reader}=" for reader in READERS}}
    close = get_close_matches(name.lower(), spelled, n=1)
    return f', did you mean "{spelled[close[0]]}"?' if close else ""
