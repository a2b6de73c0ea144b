"""The program that serves one login's page. `trex.webqr` says what it finds at which descriptor.

It runs isolated and without site-packages: what it imports is the package that it belongs to, the
standard library, and Debian's packages.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl

    from trex.page.settings import Settings

STATUS_FD = 3


def main() -> None:
    """Get ready, say so in one line, take the message, serve it until the deadline."""
    from trex.errors import PageUnavailable
    from trex.page.settings import read_message, read_settings
    from trex.prctl import SET_DUMPABLE, prctl

    prctl(SET_DUMPABLE, 0)  # other processes of this account cannot look into this one
    settings = read_settings()
    settings.end_at_deadline()
    try:
        context, fingerprint = secured(settings)
    except PageUnavailable as error:
        report(f"unavailable {error}")
        return
    report(f"ready {fingerprint}")
    message = read_message()

    from trex.page.aside import Aside

    def draw_message() -> bytes:
        from trex.page.drawing import draw

        return draw(message)

    drawing = Aside(draw_message)  # while the server's library is imported
    from trex.page.document import Document
    from trex.page.server import serve

    serve(Document(settings, message, drawing.result()), settings, context)


def secured(settings: "Settings") -> "tuple[ssl.SSLContext | None, str]":
    """Return the server's TLS context and its certificate's fingerprint, or None and ""."""
    if not settings.tls:
        return None, ""
    if settings.tls == "files":
        from trex.page.tls import user_context

        return user_context()
    from trex.page.aside import Aside

    def make() -> bytes:
        from trex.page.certificate import make_certificate

        return make_certificate(settings.host, settings.seconds_left)

    made = Aside(make)  # beside, because `cryptography` takes 10 MB and as long as `ssl` does
    from trex.page.tls import own_context

    return own_context(made)


def report(line: str) -> None:
    """Tell the login, once, how it stands."""
    os.write(STATUS_FD, f"{line}\n".encode("utf-8", "backslashreplace"))
    os.close(STATUS_FD)


if __name__ == "__main__":
    sys.path.append("/usr/lib/python3/dist-packages")  # Debian's packages
    package = sys.modules["trex"] = type(sys)("trex")  # not along sys.path: see pam_trex.py
    package.__path__ = [os.path.dirname(os.path.dirname(os.path.realpath(__file__)))]
    main()
