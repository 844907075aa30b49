"""Sizes that a call needs to know: with ``dynamic=True`` the stride of a convolution is a symbol like any size.

A call that cannot be imported with symbols is tried again with the values that its integers have in the call that is
being compiled, then with those of its tensors' sizes.  Each is a guard of torch's: another value compiles anew.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import free_unbacked_symbols
from torch.utils import _pytree as pytree


def specialize(node: Any) -> bool:
    """Fix sizes that a call depends on; return whether there were any to fix."""
    sources = [source.meta.get("val") for source in node.all_input_nodes]
    numbers = [value for value in sources if isinstance(value, torch.SymInt)]
    return _fix(numbers) or _fix(_sizes([*sources, node.meta.get("val")]))


def _sizes(values: Any) -> Iterator[torch.SymInt]:
    for value in pytree.tree_leaves(values):
        if isinstance(value, torch.Tensor):
            yield from (size for size in value.shape if isinstance(size, torch.SymInt))


def _fix(sizes: Any) -> bool:
    open_sizes = [size for size in sizes if _is_open(size)]
    for size in open_sizes:
        # A guard on a product would leave its factors open.
        for symbol in sorted(size.node.expr.free_symbols, key=str):
            size.node.shape_env.evaluate_expr(symbol)
    return any(not _is_open(size) for size in open_sizes)


def _is_open(size: torch.SymInt) -> bool:
    """Tell whether a size is a symbol that may still be guarded on: those of backward graphs may come too late."""
    return bool(size.node.expr.free_symbols) and not free_unbacked_symbols(size) and not size.node.shape_env.frozen
