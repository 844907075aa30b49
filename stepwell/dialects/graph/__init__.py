"""Ops with torch's meaning.  Importing this package defines all of them, which loading the dialect needs."""

import importlib
import pkgutil

from stepwell.dialects.graph.dialect import Graph

__all__ = ["Graph"]

# Each file of this folder is an op family; a new one needs no entry anywhere else.
for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
