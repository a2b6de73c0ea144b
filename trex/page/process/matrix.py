"""The program that makes a QR code for a prompt: a message in, its modules out, then it ends.

`trex.page.terminal` starts it and draws what it reports. It is confined as a page's process is.
"""

from trex.errors import PageUnavailable
from trex.page.process.settings import message_from_pipe
from trex.system.program import MAX_REPORT, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # see trex.system.child

SECONDS = 600  # the login's own deadlines are shorter; this is for one that is stopped
DRAWN = "drawn"


def main() -> None:
    """Read the message from standard input, and report `drawn SIZE DIGITS` (`told`)."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    from trex.page.process.confinement import confine_start

    try:
        confine_start()
    except (PageUnavailable, OSError) as error:
        report(f"unavailable {error}")
        return
    from trex.page.process.drawing import encode  # while gpg makes the message

    # Its last newline may be the one byte too much.
    report(told(encode(message_from_pipe().rstrip("\n"), border=0, shortest=True)))


def told(modules: list[list[bool]]) -> str:
    """Return the report: modules on a side, then all of them as bits, row by row, in hexadecimal.

    A code that is too large for a report says only how large it is, one that cannot be made 0.
    """
    size = len(modules)
    bits = "".join("1" if dark else "0" for row in modules for dark in row)
    line = f"{DRAWN} {size} {int(bits or '0', 2):x}"
    return line if len(line) < MAX_REPORT else f"{DRAWN} {size} 0"
