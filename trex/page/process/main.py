"""The program that serves one login's page. `trex.page.start` passes it the descriptors.

`trex.system.launch` calls its `main`. Imports come late, so that the first report comes early.
"""

import os
import sys

from trex.errors import PageUnavailable
from trex.page.process.settings import (
    CERTIFICATE_FD,
    KEY_FD,
    Settings,
    message_from_pipe,
    settings_from_pipe,
)
from trex.system.program import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.page.process.aside import Aside

BEGIN_KEY = b"-----BEGIN PRIVATE KEY-----"


def main() -> None:
    """Get ready, report it in one line, read the message, and serve it until the deadline."""
    settings = settings_from_pipe()
    settings.end_at_deadline()
    pair = None
    # It asks the kernel for this host's addresses, which is denied later. Up to here, everything
    # that this process has read is the login's.
    made = start_making(settings) if settings.tls == "made" else None
    from trex.page.process.confinement import confine_start

    try:
        confine_start()
        if settings.tls:
            from trex.page.process.proof import prove

            pair = key_and_certificate(made)
            report(f"ready {prove(*pair)}")
    except (PageUnavailable, OSError) as error:
        report(f"unavailable {error}")
        return
    message = message_from_pipe()

    from trex.page.process.aside import Aside

    def draw_message() -> bytes:
        from trex.page.process.drawing import draw

        return draw(message)

    drawing = Aside(draw_message)  # while the server's library is imported
    spare_memory()
    from trex.page.process.document import Document
    from trex.page.process.server import make_context, serve

    context = make_context(*pair) if pair else None
    serve(Document(settings, message, drawing.result()), settings, context)


def start_making(settings: Settings) -> "Aside":
    """Have a certificate made in a child process, which frees the memory of `cryptography`."""
    from trex.page.process.aside import Aside

    def make() -> bytes:
        from trex.page.process.certificate import make_certificate

        return make_certificate(settings.host, settings.seconds_left)

    return Aside(make)


def key_and_certificate(made: "Aside | None") -> tuple[bytes, bytes]:
    """Return the pair that was made, or else the user's, as PEM. Raises PageUnavailable."""
    if made is None:
        with open(KEY_FD, "rb") as key, open(CERTIFICATE_FD, "rb") as certificate:
            return key.read(), certificate.read()
    certificate_pem, begin, key_pem = (made.result() or b"").partition(BEGIN_KEY)
    if not begin:
        raise PageUnavailable("no certificate could be made; is python3-cryptography installed?")
    return begin + key_pem, certificate_pem


def spare_memory() -> None:
    """Keep Tornado from importing 1.5 MB that nothing here uses.

    None in `sys.modules` makes an import fail (Python's import system).
    """
    os.environ["SSL_CERT_FILE"] = os.devnull  # every authority's certificate, for a TLS client
    for colours_of_its_log in ("curses", "colorama"):
        sys.modules[colours_of_its_log] = None  # type: ignore[assignment]
