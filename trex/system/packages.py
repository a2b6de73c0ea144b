"""Importing libraries from Debian's packages only."""

import sys

from trex.errors import TrexError

DEBIAN_PACKAGES = "/usr/lib/python3/dist-packages"


class PackageMissing(TrexError):
    """A library that a method needs is not installed."""


def from_debian(name: str, package: str) -> None:
    """Import `name` from Debian's `package`; `import` then finds it in every module.

    On sys.path /usr/local comes first, which the group `staff` can write and `pip` fills.
    Raises PackageMissing.
    """
    if name in sys.modules:
        return
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    spec = PathFinder.find_spec(name, [DEBIAN_PACKAGES])
    if spec is None or spec.loader is None:
        raise PackageMissing(f"Debian's package {package} is missing")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def is_packaged(name: str) -> bool:
    """Tell whether Debian's package with the module `name` is installed, without importing it."""
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(name, [DEBIAN_PACKAGES])
    return spec is not None and spec.loader is not None  # a directory alone is not a package
