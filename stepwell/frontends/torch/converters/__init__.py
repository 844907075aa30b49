"""Converters from torch ops to graph ops, one file per op family."""

import importlib
import pkgutil


def register() -> None:
    """Import every family, which fills the table of converters."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
