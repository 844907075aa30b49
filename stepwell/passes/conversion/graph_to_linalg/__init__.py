"""Lowerings of graph ops, one file per op family.  Importing this package registers all of them."""

from stepwell.passes.conversion.graph_to_linalg import contraction, creation, elementwise
from stepwell.passes.conversion.graph_to_linalg.lowering import LOWERINGS, Builder, Tensor

__all__ = ["LOWERINGS", "Builder", "Tensor", "contraction", "creation", "elementwise"]
