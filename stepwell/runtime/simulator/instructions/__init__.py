"""What each instruction does: one file per family; importing a file registers its instructions."""

from importlib import import_module
from pkgutil import iter_modules


def register_all() -> None:
    """Import every family."""
    for found in iter_modules(__path__):
        import_module(f"{__name__}.{found.name}")
