"""Run one target with atheris: `python -m fuzz.run TARGET [option of libFuzzer or corpus]...`."""

from __future__ import annotations

import importlib
import sys

import atheris


def main() -> None:
    """Instrument what the target imports, then run it."""
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["trex", "fuzz", "tornado", "tomllib", "smtplib"]):
        target = importlib.import_module(f"fuzz.{name}")
    atheris.Setup(sys.argv, target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
