"""The patterns of ``graph-simplify``, one file per theme.  Importing this package registers all of them."""

import importlib
import pkgutil

from stepwell.passes.transforms.simplifications.patterns import PATTERNS, Rewrite

__all__ = ["PATTERNS", "Rewrite"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
