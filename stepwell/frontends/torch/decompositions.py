"""Which torch ops an exported program is decomposed into."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch._decomp import decomposition_table as decomposition_registry

from stepwell.frontends.torch import composed, special_functions  # noqa: F401 - registers its compositions
from stepwell.frontends.torch.complex_compositions import COMPLEX_COMPOSITIONS, takes_complex
from stepwell.frontends.torch.complex_values import COMPLEX_CONVERTERS
from stepwell.frontends.torch.compositions import COMPOSITIONS, PARTIAL_COMPOSITIONS
from stepwell.frontends.torch.registry import CONVERTERS, ImportRules

composed.register()

# Ops that torch can decompose and leaves whole by default.
_MORE = (
    "aten._addmm_activation.default",
    "aten._batch_norm_no_update.default",
    "aten._batch_norm_with_update.default",
    "aten._batch_norm_with_update_functional.default",
    "aten._safe_softmax.default",
    "aten.as_strided_copy.default",
    "aten.batch_norm_backward.default",
    "aten.cauchy.default",
    "aten.dist.default",
    "aten.grid_sampler_2d.default",
    "aten.ldexp.Tensor",
    "aten.linalg_vector_norm.default",
    "aten.native_batch_norm.default",
    "aten.log_normal.default",
    "aten.native_dropout.default",
    "aten.permute_copy.default",
    "aten.rrelu_with_noise_backward.default",
    "aten.tril_indices.default",
    "aten.triu_indices.default",
    "aten.unbind_copy.int",
    "aten.view_copy.default",
)


def overload_of(target: str) -> Any | None:
    """Return the op overload called ``target``, such as ``"aten.add.Tensor"``; None where this torch has none."""
    namespace, _, rest = target.partition(".")
    packet_name, _, overload = rest.rpartition(".")
    packet = getattr(getattr(torch.ops, namespace), packet_name, None)
    return getattr(packet, overload, None) if packet is not None else None


def decompositions_for(rules: ImportRules) -> Any:
    """Return the decompositions of one import: the caller's or ours, without the ops that the caller converts."""
    if rules.decompositions is None:
        # Torch may learn of more ops between two imports, and users may register converters.
        composites = torch._C._dispatch_get_registrations_for_dispatch_key("CompositeImplicitAutograd")
        rewrites = frozenset((overload_of(target), rewrite) for target, rewrite in COMPOSITIONS.items())
        table = dict(_own_table(len(composites), rewrites, frozenset(CONVERTERS)))
    else:
        table = dict(rules.decompositions)
    for target in rules.custom:
        table.pop(overload_of(target), None)
    return table


@lru_cache(1)
def _own_table(*_: Any) -> dict[Any, Callable[..., Any]]:
    """Return what ``default_decompositions`` returns, as long as what it depends on is the same."""
    return dict(default_decompositions())


def default_decompositions() -> Any:
    """Return how stepwell decomposes calls: a new dict of functions by overload, for ``run_decompositions``.

    The table is torch's core one without the ops that have a converter, which stay whole, and with stepwell's own
    compositions.  A changed copy is what ``from_exported_program(..., decompositions=)`` takes.
    """
    table = torch.export.default_decompositions()
    for target in CONVERTERS:
        overload = overload_of(target)
        if overload is not None:
            table.pop(overload, None)
    rewrites = {target: decomposition_registry.get(overload_of(target)) for target in _MORE} | COMPOSITIONS
    for target, rewrite in rewrites.items():
        overload = overload_of(target)
        if overload is not None and rewrite is not None and target not in CONVERTERS:
            table[overload] = rewrite
    for target, rewrite in PARTIAL_COMPOSITIONS.items():
        table[overload_of(target)] = rewrite
    _add_complex(table)
    return table


def _add_complex(table: Any) -> None:
    """Let calls with complex operands be rewritten; others go the way they went before."""
    kept = [target for target in CONVERTERS if target not in COMPLEX_CONVERTERS]
    for target in dict.fromkeys((*COMPLEX_COMPOSITIONS, *kept)):
        overload = overload_of(target)
        complex_rule = COMPLEX_COMPOSITIONS.get(target) or _decomposition_of(overload)
        if overload is None or complex_rule is None:
            continue
        real_rule = table[overload] if overload in table else None  # torch's table has no `get` of its own
        if real_rule is None and target not in CONVERTERS:
            real_rule = _decomposition_of(overload, composite_only=True)
        table[overload] = _by_dtype(complex_rule, real_rule)


def _by_dtype(complex_rule: Callable[..., Any], real_rule: Callable[..., Any] | None) -> Callable[..., Any]:
    def rewrite(*arguments: Any, **options: Any) -> Any:
        rule = complex_rule if takes_complex((*arguments, *options.values())) else real_rule
        return rule(*arguments, **options) if rule is not None else NotImplemented

    return rewrite


def _decomposition_of(overload: Any, *, composite_only: bool = False) -> Callable[..., Any] | None:
    """Return how torch decomposes an op; None where it does not."""
    if not isinstance(overload, torch._ops.OpOverload):
        return None
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    if overload.has_kernel_for_dispatch_key(composite):
        return lambda *arguments, **options: overload._op_dk(composite, *arguments, **options)
    return None if composite_only else decomposition_registry.get(overload)
