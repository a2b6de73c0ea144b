"""One HTTPS request to a gateway: verified certificate, no redirect, no detail in an error."""

from __future__ import annotations

import os
import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from trex.sms.errors import NotSent

if TYPE_CHECKING:
    from trex.sms.settings import Table

MAX_ANSWER = 64 * 1024
HTTPS = 443
UNTRUSTED = "its certificate is not trusted, or not for this host"
SECONDS = 10  # between two bytes; `trex.sms.send` sets the deadline for all


class Reply:
    """A gateway's response: HTTP status, and the start of the body."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.body = body


class _Session(requests.Session):  # type: ignore[misc]  # it has no types
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target. Even unfollowed, `requests` would read body and Location.

        A malformed Location raises an error there, and leaves the connection open.
        """


def request(gateway: Table, method: str, url: str, **parts: object) -> Reply:
    """Send one request; `parts` are those of `requests.request`.

    Raises NotSent with only the kind of failure: the library's message contains the URL.
    """
    with _Session() as session:
        session.trust_env = False  # no proxy and no ~/.netrc
        session.verify = gateway.get("ca", True)
        session.headers["Accept-Encoding"] = "identity"
        try:
            with session.request(
                method,
                url,
                timeout=SECONDS,
                allow_redirects=False,
                stream=True,
                **parts,
            ) as answer:
                # Compressed, it could be a thousand times larger; the request asks for identity.
                packed = answer.headers.get("Content-Encoding", "identity").lower() != "identity"
                body = b"" if packed else next(answer.iter_content(MAX_ANSWER), b"")
                return Reply(answer.status_code, body)
        except requests.exceptions.SSLError:
            raise NotSent(UNTRUSTED) from None
        # ValueError: not a possible host name.
        except (requests.exceptions.RequestException, ValueError) as error:
            raise NotSent(f"no connection ({type(error).__name__})") from None
        except OSError as error:
            raise NotSent(f"ca cannot be read ({type(error).__name__})") from None


def connect(gateway: Table, url: str) -> None:
    """Connect to the host of `url`, verify the certificate as `request` does, and disconnect.

    Raises NotSent with the same messages.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or HTTPS
    try:
        context = _trusting(gateway.get("ca", requests.certs.where()))
        with (
            socket.create_connection((host, port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            pass
    except ssl.SSLError:
        raise NotSent(UNTRUSTED) from None
    except (OSError, ValueError) as error:  # ValueError: not a possible host name
        raise NotSent(f"no connection ({type(error).__name__})") from None


def _trusting(authority: str) -> ssl.SSLContext:
    """Return a client's context that trusts only a file or a directory (c_rehash(1))."""
    if os.path.isdir(authority):
        return ssl.create_default_context(capath=authority)
    return ssl.create_default_context(cafile=authority)


def explain(answer: Reply, meanings: dict[int, str]) -> NotSent:
    """Return the error for a status that does not mean success."""
    if answer.status // 100 == 3:  # noqa: PLR2004 (RFC 9110, 15.4)
        return NotSent(f"HTTP status {answer.status}, a redirection, which is not followed")
    meaning = meanings.get(answer.status)
    return NotSent(f"HTTP status {answer.status}" + (f", {meaning}" if meaning else ""))
