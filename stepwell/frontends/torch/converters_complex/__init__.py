"""Converters of calls that take or give complex tensors, one file per theme; ``register`` imports them all."""

import importlib
import pkgutil


def register() -> None:
    """Import every module of this package, which registers its converters."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
