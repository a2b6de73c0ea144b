"""A host that sends PINs by SMS: its account, its settings, tables of gateways, a login."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.codes import write_altered_service
from tests.support.gateways import TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.gateways import Authority, Gateway
    from tests.support.sandbox import Asked, Log

NUMBER = "+33612345678"
PHONES, SETTINGS = Path("/etc/trex/phones"), Path("/etc/trex/sms.toml")
PIN = "grep -oE '[0-9]{6,10}' /run/trex/last-message | head -1"
LIMITS = {"user_hour": 7, "user_day": 9, "host_hour": 11, "host_day": 12}


@contextmanager
def sending_account(counts: Path) -> Iterator[str]:
    """Make the account that sends, the directory where it counts, and that of its settings."""
    name = "_trex-sms"
    subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", name],
                   check=True, capture_output=True)  # fmt: skip
    subprocess.run(["install", "-d", "-m", "0700", "-o", name, counts], check=True)
    PHONES.parent.mkdir(exist_ok=True)
    yield name
    shutil.rmtree(counts)
    shutil.rmtree(PHONES.parent)
    subprocess.run(["userdel", "--force", name], check=True, capture_output=True)


def write_settings(authority: Authority, counts: Path) -> Callable[..., None]:
    """Return what writes sms.toml: tables of gateways, and what stands before them."""

    def write(*gateways: str, before: str = "", state: str = "") -> None:
        state = state or f"file:{counts}"
        tables = [f'[[gateway]]\nca = "{authority.ca}"\n{text}\n' for text in gateways]
        SETTINGS.write_text(f'state = "{state}"\n{before}\n' + "\n".join(tables))
        SETTINGS.chmod(0o600)

    return write


def patient_service(seconds: int) -> str:
    """Write a service whose sender has so many seconds, and ten more for its report; once each."""
    return write_altered_service(
        f"sms-patient-{seconds}", "system/servant.py", "SPARE_SECONDS = 0.5",
        f"SECONDS, SPARE_SECONDS = {seconds + 10}.0, 10.0", "method=sms",
    )  # fmt: skip


def free_mobile(gateway: Gateway, *only: str) -> str:
    return (f'kind = "free-mobile"\nuser = "12345678"\npass = "{TOKEN}"\nurl = "{gateway.url}/sendmsg"\n'
            f"only = {list(only) or ['bob']}")  # fmt: skip


def twilio(gateway: Gateway) -> str:
    return (f'kind = "twilio"\naccount_sid = "AC1"\nauth_token = "{TOKEN}"\nfrom = "+15005550006"\n'
            f'api = "{gateway.url}"')  # fmt: skip


def by_http(gateway: Gateway, **changed: str) -> str:
    parts = {
        "url": f'"{gateway.url}/json?to={{number}}"',
        "headers": f'{{ Authorization = "Bearer {TOKEN}", Content-Type = "application/json" }}',
        "body": """'{"to": "{number}", "text": "{text}"}'""",
    } | changed
    return 'kind = "http"\n' + "\n".join(f"{name} = {value}" for name, value in parts.items())


class Sms:
    """Log in with the PIN that came, or as the options say; and what that goes through."""

    def __init__(
        self, ask: Callable[..., Asked], gateway: Gateway, configure: Callable[..., None], log: Log
    ) -> None:
        self._ask = ask
        self.gateway = gateway
        self.configure = configure
        self.log = log

    def __call__(self, *options: str, user: str = "bob", arguments: tuple[str, ...] = ()) -> Asked:
        options = options or ("--answer-with", PIN)
        return self._ask(user, *options, arguments=("method=sms", *arguments))
