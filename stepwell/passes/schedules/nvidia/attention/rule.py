"""Attentions of float16 and bfloat16 as one kernel."""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.schedules.abi import OpenKernel
from stepwell.passes.schedules.attention import Attention, attention_of, check_fused
from stepwell.passes.schedules.indexing import ZERO, Ranges, product
from stepwell.passes.schedules.kernel import Kernel, indexing_maps
from stepwell.passes.schedules.nvidia.attention.parameters import FlashParameters
from stepwell.passes.schedules.nvidia.attention.template import FlashTemplate, Heads
from stepwell.passes.schedules.nvidia.attention.tiles import Lines, source_of
from stepwell.passes.schedules.nvidia.pairs import pairs_fit
from stepwell.passes.schedules.rule import Rule
from stepwell.passes.schedules.steps import Indices, apply_map
from stepwell.support.bindings import ir
from stepwell.support.symbolic import Expr
from stepwell.support.target import Target

_WARPS, _COLUMNS = 4, 64


@dataclass(frozen=True)
class FlashSchedule:
    """What will be built, and why."""

    attention: Attention
    heads: Heads
    parameters: FlashParameters
    pairs: bool
    reasons: tuple[str, ...]


class AttentionRule(Rule):
    """Takes kernels that are one attention, with pointwise ops after it."""

    name: ClassVar[str] = "attention"

    def parameters(self, kernel: Kernel, target: Target) -> FlashSchedule:
        """Recognise the attention and describe its operands."""
        attention = attention_of(kernel)
        check_fused(kernel, attention)
        heads = heads_of(kernel, attention)
        chosen = FlashParameters(_WARPS, _COLUMNS, heads.queries.width, heads.values.width)
        by_elements = [
            name for name, source in zip(("queries", "keys", "values"), heads.sources, strict=True) if source is None
        ]
        reasons = [f"scores stay in registers: {chosen.describe()}"]
        if attention.causal:
            reasons.append("keys after a block's last query are not looked at")
        if by_elements:
            reasons.append(
                f"read element by element, as they do not lie in chunks of 16 bytes: {', '.join(by_elements)}"
            )
        return FlashSchedule(attention, heads, chosen, _pairs(kernel, attention), tuple(reasons))

    def build(self, kernel: Kernel, target: Target, parameters: FlashSchedule) -> None:
        """Write a launch for aligned tensors, and one for others."""
        opened = OpenKernel.begin(kernel)
        try:
            for when in ("aligned", "unaligned"):
                pairs = parameters.pairs and when == "aligned"
                FlashTemplate(
                    opened, parameters.attention, parameters.heads, parameters.parameters, when, pairs
                ).write()
        except BaseException:
            opened.abandon()
            raise
        heads = parameters.heads
        points = product(heads.batch) * heads.rows * heads.columns
        flops = 2 * points * (heads.queries.width + heads.values.width)
        opened.function.attributes["stepwell.flops"] = ir.StringAttr.get(str(flops))
        opened.close(self.name, parameters.reasons)


def heads_of(kernel: Kernel, attention: Attention) -> Heads:
    """Return the sizes and operands of an attention."""
    scores, output = attention.scores, attention.output
    *batch, rows, columns = kernel.shape(scores.results[0])
    width = kernel.shape(output.results[0])[-1].constant
    depth = kernel.shape(scores.operands[0])[-1].constant

    def lines(op: Any, number: int, count: Expr, size: int, loops: Any) -> Lines:
        def indices(at: Indices, line: Expr, place: Expr) -> Indices:
            return apply_map(indexing_maps(op)[number], (*at, *loops(line, place)), Ranges())

        return Lines(op.operands[number], indices, count, size)

    queries = lines(scores, 0, rows, depth, lambda line, place: (line, ZERO, place))
    keys = lines(scores, 1, columns, depth, lambda line, place: (ZERO, line, place))
    values = lines(output, 1, columns, width, lambda line, place: (ZERO, place, line))
    extents = tuple(batch)
    sources = (
        source_of(kernel, queries, extents),
        source_of(kernel, keys, extents),
        source_of(kernel, values, extents),
    )
    return Heads(extents, rows, columns, queries, keys, values, sources)


def _pairs(kernel: Kernel, attention: Attention) -> bool:
    ranges = Ranges()
    result = attention.output.results[0]
    indices = []
    for number, extent in enumerate(kernel.shape(result)):
        name = f"%p{number}_"
        ranges.limit(name, ZERO, extent)
        indices.append(Expr.symbol(name))
    return pairs_fit(kernel, ranges, result, tuple(indices), f"%p{len(indices) - 1}_")
