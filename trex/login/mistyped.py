"""What to write in place of an argument that Trex does not have: only a mistake loads this."""

from difflib import get_close_matches

from trex.errors import cut

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# pam_google_authenticator's arguments that are different here (its manual page and parse_args).
ELSEWHERE = {
    "authtok_prompt": "write prompt= instead",
    "user": "write run_as= instead, with the name of an account other than root, and secret=",
    "echo_verification_code": "write echo instead",
    "echo-verification-code": "write echo instead",
    "no_strict_owner": "leave it out, and name the account that owns the secrets with run_as=",
    "allowed_perm": "leave it out, and give the secret mode 0600 or less",
    "allow_readonly": "write secret=/var/lib/trex/totp/%u run_as=_trex-totp instead",
}


def reason(name: str, flags: "Sequence[str]", readers: "Sequence[str]") -> str:
    """Return why an argument is refused; `readers` are those with a value."""
    if name in ELSEWHERE:
        return f"is pam_google_authenticator's: {ELSEWHERE[name]}"
    spelled = {**{flag: flag for flag in flags}, **{reader: f"{reader}=" for reader in readers}}
    close = get_close_matches(cut(name).lower(), spelled)
    hint = f', did you mean "{spelled[close[0]]}"?' if close else ""
    return f"is unknown{hint}"
