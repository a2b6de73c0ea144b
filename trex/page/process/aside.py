"""Work in a short-lived child process: in parallel, and its memory is freed afterwards."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal  # see trex.system.child

SECONDS = 30


class Aside:
    """The result of a function that runs in a child process."""

    def __init__(self, work: "Callable[[], bytes]") -> None:
        """Start the child process. If that fails, the result is None."""
        self._source, sink = os.pipe()
        try:
            self._process = os.fork()
        except OSError:
            self._process = -1
        if self._process == 0:
            try:
                signal.alarm(SECONDS)  # its own deadline; the login's lifeline ends it, too
                os.close(self._source)
                with open(sink, "wb") as stream:
                    stream.write(work())
                os._exit(0)
            finally:
                os._exit(1)
        os.close(sink)

    def result(self) -> bytes | None:
        """Wait for the end and return the result, None if the work failed."""
        with open(self._source, "rb") as stream:
            content = stream.read()
        if self._process < 0:
            return None
        _, status = os.waitpid(self._process, 0)
        return content if status == 0 else None
