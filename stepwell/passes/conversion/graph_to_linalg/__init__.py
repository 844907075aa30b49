"""Lowerings of graph ops, one file per op family.  Importing this package registers all of them."""

import importlib
import pkgutil

from stepwell.passes.conversion.graph_to_linalg.lowering import LOWERINGS, Builder, Tensor

__all__ = ["LOWERINGS", "Builder", "Tensor"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
