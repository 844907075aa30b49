"""Convolutions to contractions whose operand map slides a window: ``x[n, c, o * stride + k * dilation]``."""

from collections.abc import Sequence
from typing import Any

from stepwell.dialects.graph.base import integers
from stepwell.dialects.graph.convolution import ConvolutionOp, TransposedConvolutionOp
from stepwell.dialects.graph.types import Shape, TensorMeta
from stepwell.passes.conversion.graph_to_linalg.contraction import contract, round_to
from stepwell.passes.conversion.graph_to_linalg.lowering import (
    Builder,
    Tensor,
    constant,
    element_type,
    loop_index,
    lowers,
    narrow,
    result_meta,
    widen,
)
from stepwell.support.bindings import arith, ir, tensor
from stepwell.support.symbolic import Expr


def add_channel_bias(
    build: Builder, item: Tensor, bias: Tensor | None, dims: Sequence[int], meta: TensorMeta
) -> Tensor:
    """Add a bias whose dimensions are ``dims`` of ``item``, and round to ``meta``'s dtype."""
    if bias is None:
        return round_to(build, item, meta.dtype)
    rank = item.meta.rank
    identity = ir.AffineMap.get_identity(rank)
    channel = ir.AffineMap.get(rank, 0, [ir.AffineDimExpr.get(dim) for dim in dims])
    output = build.empty(item.meta.shape, element_type(meta.dtype))
    add = arith.addf if meta.dtype.is_float else arith.addi

    def body(x: Any, b: Any, _: Any) -> Any:
        return narrow(add(x, widen(b)), meta.dtype)

    inputs = [(item.value, identity), (bias.value, channel)]
    (value,) = build.generic(inputs, [(output, identity)], ["parallel"] * rank, body)
    return Tensor(value, item.meta.with_dtype(meta.dtype))


def window_contraction(
    build: Builder,
    operand: Tensor,
    weight: Tensor,
    spatial: Shape,
    stride: Sequence[int],
    dilation: Sequence[int],
    *,
    grouped: bool,
    depthwise: bool,
) -> Tensor:
    """Contract a padded operand with a weight.

    Shapes: operand ``[N, (G,) C, *space]``, weight ``[(G,) O, C, *kernel]``, result ``[N, (G,) O, *spatial]``; with
    ``depthwise`` operand ``[N, C, *space]``, weight ``[C, 1, *kernel]``, result ``[N, C, *spatial]``.
    """
    dims = len(spatial)
    names = ["n", *(["g"] if grouped else []), "o", *[f"s{i}" for i in range(dims)]]
    parallel = len(names)
    names += [*([] if depthwise else ["c"]), *[f"k{i}" for i in range(dims)]]
    loop = {name: ir.AffineDimExpr.get(i) for i, name in enumerate(names)}
    slide = [loop[f"s{i}"] * stride[i] + loop[f"k{i}"] * dilation[i] for i in range(dims)]
    taps = [loop[f"k{i}"] for i in range(dims)]
    group = [loop["g"]] if grouped else []
    channel = loop["o"] if depthwise else loop["c"]
    inner = ir.AffineConstantExpr.get(0) if depthwise else loop["c"]
    exprs = [
        [loop["n"], *group, channel, *slide],
        [*group, loop["o"], inner, *taps],
        [loop["n"], *group, loop["o"], *[loop[f"s{i}"] for i in range(dims)]],
    ]
    maps = [ir.AffineMap.get(len(names), 0, part) for part in exprs]
    outputs = weight.meta.shape[: 2 if grouped else 1]
    iterators = ["parallel"] * parallel + ["reduction"] * (len(names) - parallel)
    return contract(build, operand, weight, (operand.meta.shape[0], *outputs, *spatial), maps, iterators)


def pad_spatial(
    build: Builder, operand: Tensor, low: Sequence[int], high: Sequence[int | Expr], value: float | int
) -> Tensor:
    """Pad the last dimensions of a tensor with a constant."""
    highs = [Expr.of(size) for size in high]
    if not any(low) and all(size == Expr.const(0) for size in highs):
        return operand
    leading = operand.meta.rank - len(low)
    shape = operand.meta.shape[:leading] + tuple(
        size + before + after for size, before, after in zip(operand.meta.shape[leading:], low, highs, strict=True)
    )
    meta = operand.meta.with_shape(shape)
    return Tensor(
        build.pad(operand.value, [0] * leading + list(low), [Expr.const(0)] * leading + highs, meta, value), meta
    )


@lowers(ConvolutionOp)
def lower_convolution(build: Builder, op: Any, operand: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    meta, groups = result_meta(op), ir.IntegerAttr(op.groups).value
    stride, padding, dilation = integers(op.stride), integers(op.padding), integers(op.dilation)
    spatial = meta.shape[2:]
    # A channel per group on both sides needs no group loop: the output channel is the input channel.
    depthwise = groups > 1 and weight.meta.shape[1] == Expr.const(1) and weight.meta.shape[0] == Expr.const(groups)
    grouped = groups > 1 and not depthwise
    if grouped:
        operand = split_channels(build, operand, 1, groups)
        weight = split_channels(build, weight, 0, groups)
        bias = split_channels(build, bias, 0, groups) if bias is not None else None
    padded = pad_spatial(build, operand, padding, padding, 0)
    product = window_contraction(build, padded, weight, spatial, stride, dilation, grouped=grouped, depthwise=depthwise)
    result = add_channel_bias(build, product, bias, (1, 2) if grouped else (1,), meta)
    return build.collapse_dim(result, 1, meta) if grouped else result


def split_channels(build: Builder, item: Tensor, dim: int, groups: int) -> Tensor:
    """Split dimension ``dim`` into ``groups`` and the rest."""
    shape = item.meta.shape
    split = (*shape[:dim], Expr.const(groups), shape[dim] // groups, *shape[dim + 1 :])
    return build.expand_dim(item, dim, item.meta.with_shape(split))


@lowers(TransposedConvolutionOp)
def lower_transposed_convolution(
    build: Builder, op: Any, operand: Tensor, weight: Tensor, bias: Tensor | None
) -> Tensor:
    """Gather form, without scattered writes and without multiplying by inserted zeros.

    Output position ``stride * q + r`` sees only the taps ``stride * j + r``, so each phase ``r`` is an ordinary
    convolution at step 1.  The kernel is regrouped once, ``[taps] -> [J, phases]`` and reversed along ``J`` (it depends
    on weights alone), all phases are computed by one contraction, and ``[q, r]`` merges to the output position by a
    reshape.  Padding of the original convolution is cropped at the end.
    """
    meta, groups = result_meta(op), ir.IntegerAttr(op.groups).value
    stride, padding, dilation = integers(op.stride), integers(op.padding), integers(op.dilation)
    dims = len(stride)
    taps = [dilation[i] * (weight.meta.shape[2 + i].constant - 1) + 1 for i in range(dims)]
    steps = [-(-taps[i] // stride[i]) for i in range(dims)]
    phases = _regroup_kernel(build, weight, groups, steps, stride, dilation)
    rows = [(meta.shape[2 + i] + padding[i] + stride[i] - 1) // stride[i] for i in range(dims)]
    split = split_channels(build, operand, 1, groups)
    low = [steps[i] - 1 for i in range(dims)]
    high = [Expr.max(rows[i] - operand.meta.shape[2 + i], 0) for i in range(dims)]
    padded = pad_spatial(build, split, low, high, 0)
    product = _phase_contraction(build, padded, phases, rows)
    shaped = split_channels(build, bias, 0, groups) if bias is not None else None
    item = add_channel_bias(build, product, shaped, (1, 2), meta)
    item = build.collapse_dim(item, 1, item.meta.with_shape((meta.shape[0], meta.shape[1], *item.meta.shape[3:])))
    for i in range(dims):
        shape = item.meta.shape
        merged = (*shape[: 2 + i], shape[2 + i] * shape[3 + i], *shape[4 + i :])
        item = build.collapse_dim(item, 2 + i, item.meta.with_shape(merged))
    if item.meta.shape == meta.shape and not any(padding):
        return item
    return Tensor(build.slice(item.value, [0, 0, *padding], meta), meta)


def _regroup_kernel(
    build: Builder, weight: Tensor, groups: int, steps: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Tensor:
    """Return ``[G, C, O, J0, R0, J1, R1, ...]`` with tap ``(J - 1 - j) * stride + r``, zero where there is none."""
    shape = weight.meta.shape
    dims = len(steps)
    phases = [Expr.const(size) for pair in zip(steps, stride, strict=True) for size in pair]
    meta = weight.meta.with_shape((Expr.const(groups), shape[0] // groups, shape[1], *phases))
    output = build.empty(meta.shape, element_type(meta.dtype))
    index = ir.IndexType.get()

    def body(_: Any) -> Any:
        group, channel, out = loop_index(0), loop_index(1), loop_index(2)
        row = arith.addi(arith.muli(group, build.size(meta.shape[1])), channel)
        valid, positions = None, []
        for i in range(dims):
            j, r = loop_index(3 + 2 * i), loop_index(4 + 2 * i)
            reverse = arith.subi(constant(steps[i] - 1, index), j)
            tap = arith.addi(arith.muli(reverse, constant(stride[i], index)), r)
            position = arith.divui(tap, constant(dilation[i], index))
            exact = arith.cmpi(arith.CmpIPredicate.eq, arith.muli(position, constant(dilation[i], index)), tap)
            last = constant(shape[2 + i].constant - 1, index)
            inside = arith.andi(exact, arith.cmpi(arith.CmpIPredicate.ule, position, last))
            valid = inside if valid is None else arith.andi(valid, inside)
            positions.append(arith.minui(position, last))
        value = tensor.extract(weight.value, [row, out, *positions])
        return arith.select(valid, value, constant(0, value.type))

    identity = ir.AffineMap.get_identity(meta.rank)
    (value,) = build.generic([], [(output, identity)], ["parallel"] * meta.rank, body)
    return Tensor(value, meta)


def _phase_contraction(build: Builder, operand: Tensor, weight: Tensor, rows: Sequence[Expr]) -> Tensor:
    """Contract ``[N, G, C, *space]`` with ``[G, C, O, J0, R0, ...]`` to ``[N, G, O, Q0, R0, Q1, R1, ...]``."""
    dims = len(rows)
    names = ["n", "g", "o", *[name for i in range(dims) for name in (f"q{i}", f"r{i}")]]
    parallel = len(names)
    names += ["c", *[f"j{i}" for i in range(dims)]]
    loop = {name: ir.AffineDimExpr.get(i) for i, name in enumerate(names)}
    exprs = [
        [loop["n"], loop["g"], loop["c"], *[loop[f"q{i}"] + loop[f"j{i}"] for i in range(dims)]],
        [loop["g"], loop["c"], loop["o"], *[loop[name] for i in range(dims) for name in (f"j{i}", f"r{i}")]],
        [loop[name] for name in names[:parallel]],
    ]
    maps = [ir.AffineMap.get(len(names), 0, part) for part in exprs]
    phases = [size for i in range(dims) for size in (rows[i], weight.meta.shape[4 + 2 * i])]
    shape = (operand.meta.shape[0], weight.meta.shape[0], weight.meta.shape[2], *phases)
    iterators = ["parallel"] * parallel + ["reduction"] * (len(names) - parallel)
    return contract(build, operand, weight, shape, maps, iterators)
