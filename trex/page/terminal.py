"""The QR code in the prompt: a short-lived process makes it, this draws it with half blocks.

A process of its own, because the library is none of the login's: it is confined, it has the
encrypted message alone, and the login takes nothing but black and white from it.
"""

from time import monotonic

from trex.errors import NotStarted, PageUnavailable
from trex.page.needs import check_libraries, serving_account
from trex.page.process.matrix import DRAWN
from trex.system.child import Child, write_whole
from trex.system.program import STDIN_FD
from trex.system.servant import first_line, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from trex.login.method import Login
    from trex.login.options import Options
    from trex.system.privilege import Account

SECONDS = 5.0  # from the message on; on an overloaded host the login waits no longer
QUIET = 4  # modules on each side (ISO/IEC 18004)
LEAST_QUIET = 3  # left and right together: then 80 columns take what Debian's host keys need
BELOW = 3  # lines that have to be in sight with the code: what to do, how long, the question
SMALLEST, LARGEST, STEP = 21, 177, 4  # modules on a side, versions 1 to 40
HEXADECIMAL = frozenset("0123456789abcdef")
# An upper and a lower module in one character: drawn is what is dark, or else what is light.
BLOCKS = {"00": " ", "10": "\u2580", "01": "\u2584", "11": "\u2588"}
INVERTED = {"00": "\u2588", "10": "\u2584", "01": "\u2580", "11": " "}

LARGE = "There is no QR code: it takes"
UNAVAILABLE = "There is no QR code: the system's log says why.\n"
BEFORE = "The same as a QR code:\n"
AFTER = "No code, or signs such as \\342 instead? No UTF-8 here: use the text above.\n"


class TooLarge(PageUnavailable):
    """The code takes more columns or lines than there may be; `columns` and `lines` are its own."""

    def __init__(self, columns: int, lines: int, most: tuple[int, int]) -> None:
        self.columns = columns
        self.lines = lines
        taken, allowed = f"{columns} columns by {lines} lines", "{} by {}".format(*most)
        self.told = f"{LARGE} {taken}, of {allowed}.\n"
        super().__init__(f"it takes {taken}, of {allowed} (qr_size=)")


class TerminalCode:
    """One prompt's QR code. If there can be none, that is a warning in the log, not an error."""

    def __init__(self, login: "Login", options: "Options", background: str) -> None:
        """Take the terminal's background, "dark" or "light"."""
        self._login = login
        self._options = options
        self._background = background
        self._program = Child()
        self._message = -1

    def open(self, reader: "Account", user: "Account") -> None:
        """Start the process, before there is a message."""
        try:
            check_libraries("qrcode")
            account = serving_account(self._options.web_user, user, reader)
            reading, self._message = self._program.pipe()
            start(self._program, "trex.page.process.matrix", account, {STDIN_FD: reading})
        except (PageUnavailable, NotStarted) as error:
            self._give_up(str(error))
        except OSError as error:
            self._give_up(error.strerror or type(error).__name__)

    def show(self, message: str) -> str:
        """Return the prompt's lines with the code, or a line that says why there is none."""
        if self._message < 0:
            return UNAVAILABLE
        try:
            size, bits = modules_of(self._made(message))
            code = drawn(size, bits, self._background, self._options.qr_size)
        except TooLarge as error:
            self._give_up(str(error))
            return error.told
        except (PageUnavailable, NotStarted) as error:
            self._give_up(str(error))
            return UNAVAILABLE
        self.end()
        self._login.steps.append(f"a QR code in the prompt, {size} modules on a side")
        return f"{BEFORE}{code}{AFTER}"

    def end(self) -> None:
        """End the process, if it has not ended by itself."""
        self._message = -1
        self._program.end()

    def _give_up(self, reason: str) -> None:
        self._login.warnings.append(f"no QR code in the prompt: {reason}")
        self.end()

    def _made(self, message: str) -> str:
        """Return what the process reports of a message."""
        if not write_whole(self._message, message.encode("ascii")):
            raise PageUnavailable("its process does not read the message")
        self._program.close(self._message)
        try:
            return first_line(self._program, monotonic() + SECONDS)
        except TimeoutError:
            reason = f"its process was not ready in {SECONDS:.0f} seconds"
            raise PageUnavailable(reason) from None


def modules_of(report: str) -> tuple[int, str]:
    """Return how many modules a side has, and all of them: `1` is dark, `0` light.

    A code that is too large for a report has no modules. Raises PageUnavailable.
    """
    word, _, rest = report.partition(" ")
    number, _, digits = rest.partition(" ")
    if word != DRAWN:
        raise PageUnavailable(rest or "its process ended without one")
    size = int(number) if number.isascii() and number.isdigit() and len(number) <= len("177") else 0
    if number == "0":
        raise PageUnavailable("the message is too long for any")
    if size not in range(SMALLEST, LARGEST + 1, STEP):
        raise PageUnavailable("expected a code from its process, found something else")
    if digits == "0":
        return size, ""
    # The first module of every code is dark, so that no zero is missing before it.
    bits = f"{int(digits, 16):b}" if digits and HEXADECIMAL.issuperset(digits) else ""
    if len(bits) != size * size:
        raise PageUnavailable("expected a code from its process, found something else")
    return size, bits


def drawn(size: int, bits: str, background: str, most: tuple[int, int]) -> str:
    """Return lines of half blocks with a quiet zone, for a terminal with that background.

    On a light one what is dark is drawn, and the quiet zone is blanks. Above and below it is whole;
    on the sides a large code has less, of which scanners take no notice. `most` are columns and
    lines, with BELOW. Raises TooLarge.
    """
    room = min(2 * QUIET, most[0] - size)
    lines = (size + 2 * QUIET + 1) // 2
    if room < LEAST_QUIET or lines + BELOW > most[1] or not bits:
        raise TooLarge(size + LEAST_QUIET, lines + BELOW, most)
    right = room // 2
    blank, margin, edge = "0" * (size + room), "0" * (room - right), "0" * right
    inner = [margin + bits[at : at + size] + edge for at in range(0, size * size, size)]
    modules = [blank] * QUIET + inner + [blank] * (QUIET + 1)  # an odd number, and one to spare
    blocks = BLOCKS if background == "light" else INVERTED
    text = ["".join(map(blocks.__getitem__, map("".join, zip(*modules[at : at + 2], strict=True))))
            for at in range(0, 2 * lines, 2)]  # fmt: skip
    return "".join(f"{line.rstrip(' ')}\n" for line in text)
