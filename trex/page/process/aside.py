"""Work in a short-lived process beside: at the same time, and its memory is given back."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
else:
    import _signal as signal  # see trex.system.child

SECONDS = 30


class Aside:
    """One function's result, made in another process."""

    def __init__(self, work: "Callable[[], bytes]") -> None:
        """Begin. Where no process can be had there will be no result."""
        self._source, sink = os.pipe()
        try:
            self._process = os.fork()
        except OSError:
            self._process = -1
        if self._process == 0:
            try:
                signal.alarm(SECONDS)  # a deadline of its own: the login's lifeline is the other
                os.close(self._source)
                with open(sink, "wb") as stream:
                    stream.write(work())
                os._exit(0)
            finally:
                os._exit(1)
        os.close(sink)

    def result(self) -> bytes | None:
        """Wait for the end and return the result, None where the work failed."""
        with open(self._source, "rb") as stream:
            content = stream.read()
        if self._process < 0:
            return None
        _, status = os.waitpid(self._process, 0)
        return content if status == 0 else None
