"""ONNX operators as functions of torch tensors, one file per family."""

import importlib
import pkgutil


def register() -> None:
    """Import every module of this package, which registers its operators."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
