"""The modules of a login in one file: a cold start then opens one in place of twenty.

`script/bundle` compiles this module, and behind it `CODES.update(...)`, into `trex/bundle.pyc`.
Both doors import that; where there is none, as in a checkout, or one that is another Python's or is
cut, they import each module from its own file.
"""

import sys
from _frozen_importlib import ModuleSpec  # importlib.machinery's, which takes a file of its own
from marshal import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

CODES: dict[str, bytes] = {}  # a module's name, and its code as marshal writes it
ROOT = __file__.removesuffix("trex/bundle.pyc")


class Bundle:
    """Finds and loads these modules (importlib.abc.MetaPathFinder and Loader)."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:  # noqa: ARG004 (Python's)
        """Return a module's spec, or None for one that is not in the bundle."""
        return ModuleSpec(name, Bundle) if name in CODES else None  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: ModuleSpec) -> None:
        """Leave that to Python."""

    @staticmethod
    def exec_module(module: "ModuleType") -> None:
        """Run a module's code."""
        name = module.__name__
        module.__file__ = f"{ROOT}{name.replace('.', '/')}.py"
        exec(loads(CODES[name]), module.__dict__)  # noqa: S102, S302 (root's, as each .pyc is)


sys.meta_path.insert(0, Bundle)
