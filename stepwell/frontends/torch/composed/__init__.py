"""Compositions by theme: gradients, and the ops of torch that are best said in other torch ops.

See ``frontends.torch.compositions`` for what a composition is.
"""

import importlib
import pkgutil


def register() -> None:
    """Import every module of this package, which registers its compositions."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
