"""Ops with torch's meaning.  Importing this package defines all of them, which loading the dialect needs."""

from stepwell.dialects.graph import contraction, creation, elementwise
from stepwell.dialects.graph.dialect import Graph

__all__ = ["Graph", "contraction", "creation", "elementwise"]
