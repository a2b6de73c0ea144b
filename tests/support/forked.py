"""A function's result from a process of its own, which may give up root's rights for it."""

from __future__ import annotations

import os
import pickle
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def in_a_child(work: Callable[[], object]) -> Any:
    """Return what `work` returns there; what it raises there fails the test here."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(source)
            try:
                result = (True, work())
            except BaseException:  # noqa: BLE001 (it is told, whatever it is)
                result = (False, traceback.format_exc())
            with open(sink, "wb") as stream:
                pickle.dump(result, stream)
        finally:
            os._exit(0)
    os.close(sink)
    with open(source, "rb") as stream:
        content = stream.read()
    os.waitpid(child, 0)
    succeeded, result = pickle.loads(content)  # noqa: S301 (written above)
    assert succeeded, result
    return result
