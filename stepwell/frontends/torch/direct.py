"""Programs that can be imported as they were exported, without torch's decompositions.

Decomposing traces the whole program again, which takes torch seconds where importing takes a tenth of one.  It is not
needed where every op is functional and known, or is one of the few composites below with plain inference arguments.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.export.graph_signature import OutputKind

from stepwell.dialects.graph.base import normalize_dim
from stepwell.dialects.graph.shape import ReshapeOp
from stepwell.dialects.graph.types import meta_of
from stepwell.frontends.torch.complex_values import involves_complex
from stepwell.frontends.torch.compositions import PARTIAL_COMPOSITIONS
from stepwell.frontends.torch.converters.shape import expand, rank_of, split
from stepwell.frontends.torch.importer import Importer, Value
from stepwell.frontends.torch.in_place import functional_call
from stepwell.frontends.torch.registry import CONVERTERS, DEFAULT_RULES, DIRECT_CONVERTERS, ImportRules
from stepwell.frontends.torch.strided_views import needs_rewriting
from stepwell.frontends.torch.support_report import is_known


def is_direct(program: Any, rules: ImportRules = DEFAULT_RULES) -> bool:
    """Return whether every call of an exported program can be converted as it is, and nothing is changed in place."""
    if rules.decompositions is not None or any(
        spec.kind is not OutputKind.USER_OUTPUT for spec in program.graph_signature.output_specs
    ):
        return False
    if needs_rewriting(program):
        return False
    calls = [node for node in program.graph.nodes if node.op not in ("placeholder", "output")]
    return all(node.op == "call_function" and is_direct_call(node, rules) for node in calls)


def is_direct_call(node: Any, rules: ImportRules) -> bool:
    """Return whether a call can be converted as it is."""
    if involves_complex(node) and not isinstance(node.meta.get("val"), torch.SymInt):
        # What is computed with complex numbers is rewritten first; their sizes are sizes like others.
        return False
    target = str(node.target)
    partial = PARTIAL_COMPOSITIONS.get(target)
    if partial is not None and target not in rules.custom and partial.applies(*node.args, **node.kwargs):
        return False
    direct = rules.direct(target)
    if direct is not None:
        return direct[0](node)
    if isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable:
        return functional_call(node, rules) is not None
    return is_known(node, rules)


def _argument(node: Any, position: int, name: str) -> Any:
    return node.args[position] if position < len(node.args) else node.kwargs.get(name)


def _direct(target: str, accepts: Callable[[Any], bool] = lambda node: True) -> Callable[[Any], Any]:
    def register(function: Any) -> Any:
        DIRECT_CONVERTERS[target] = (accepts, function)
        return function

    return register


def _has_number_padding(node: Any) -> bool:
    return not isinstance(_argument(node, 4, "padding"), str)


@_direct("aten.conv1d.default", _has_number_padding)
@_direct("aten.conv2d.default", _has_number_padding)
@_direct("aten.conv3d.default", _has_number_padding)
def convert_conv(
    importer: Importer,
    node: Any,
    operand: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    """A convolution that is not transposed."""
    convert = CONVERTERS["aten.convolution.default"]
    return convert(importer, node, operand, weight, bias, stride, padding, dilation, False, [0], groups)


@_direct("aten.conv_transpose1d.default")
@_direct("aten.conv_transpose2d.input")
@_direct("aten.conv_transpose3d.input")
def convert_conv_transpose(
    importer: Importer,
    node: Any,
    operand: Value,
    weight: Value,
    bias: Value | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    """A transposed convolution."""
    convert = CONVERTERS["aten.convolution.default"]
    return convert(importer, node, operand, weight, bias, stride, padding, dilation, True, output_padding, groups)


@_direct("aten.batch_norm.default", lambda node: _argument(node, 5, "training") is False)
def convert_batch_norm(
    importer: Importer,
    node: Any,
    operand: Value,
    weight: Value | None,
    bias: Value | None,
    mean: Value,
    variance: Value,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Value:
    """Inference; while training, running statistics change."""
    convert = CONVERTERS["aten._native_batch_norm_legit_no_training.default"]
    return convert(importer, node, operand, weight, bias, mean, variance, momentum, eps)[0]


@_direct("aten.dropout.default", lambda node: _argument(node, 2, "train") is False)
@_direct("aten.dropout_.default", lambda node: _argument(node, 2, "train") is False)
def convert_dropout(importer: Importer, node: Any, operand: Value, p: float, train: bool) -> Value:
    """Inference: nothing is dropped."""
    return operand


@_direct("aten.flatten.using_ints")
@_direct("aten.reshape_as.default")
@_direct("aten.unflatten.int")
@_direct("aten.view_as.default")
def convert_flatten(importer: Importer, node: Any, operand: Value, *arguments: Any) -> Value:
    """Torch has computed the sizes."""
    sizes = importer.meta(node).shape
    return operand if meta_of(operand).shape == sizes else importer.emit(ReshapeOp, operand, sizes=sizes)


@_direct("aten.swapaxes.default")
@_direct("aten.swapdims.default")
def convert_swapaxes(importer: Importer, node: Any, operand: Value, dim0: int, dim1: int) -> Value:
    """Another name of ``transpose``."""
    return CONVERTERS["aten.transpose.int"](importer, node, operand, dim0, dim1)


@_direct("aten.expand_as.default")
def convert_expand_as(importer: Importer, node: Any, operand: Value, other: Value) -> Value:
    """Torch has found the sizes."""
    return expand(importer, operand, importer.meta(node).shape)


@_direct("aten.to.dtype")
@_direct("aten.to.dtype_layout")
@_direct("aten.to.device")
@_direct("aten.type_as.default")
def convert_to(importer: Importer, node: Any, operand: Value, *arguments: Any, **options: Any) -> Value:
    """A cast; devices and layouts have no meaning here."""
    return importer.convert(operand, importer.meta(node).dtype)


@_direct("aten.detach_.default")
def convert_detach(importer: Importer, node: Any, operand: Value) -> Value:
    """What torch does with constants; only gradients know of it."""
    return operand


@_direct("aten.max.other")
@_direct("aten.min.other")
def convert_extremum(importer: Importer, node: Any, lhs: Value, rhs: Value) -> Value:
    """Another name of ``maximum`` and ``minimum``."""
    name = "maximum" if str(node.target) == "aten.max.other" else "minimum"
    return CONVERTERS[f"aten.{name}.default"](importer, node, lhs, rhs)


@_direct("aten.where.Scalar")
@_direct("aten.where.ScalarOther")
@_direct("aten.where.ScalarSelf")
def convert_where(importer: Importer, node: Any, condition: Value, lhs: Any, rhs: Any) -> Value:
    """Numbers in place of tensors; torch has found the result's dtype."""
    return CONVERTERS["aten.where.self"](importer, node, condition, lhs, rhs)


@_direct("aten.chunk.default")
def convert_chunk(importer: Importer, node: Any, operand: Value, chunks: int, dim: int = 0) -> list[Value]:
    """Torch has found how large the parts are."""
    dim = normalize_dim(dim, rank_of(operand))
    return split(importer, operand, dim, [importer.tensor_meta(part).shape[dim] for part in node.meta["val"]])


@_direct("aten.pad.default", lambda node: (_argument(node, 2, "mode") or "constant") == "constant")
def convert_pad(
    importer: Importer, node: Any, operand: Value, pads: Any, mode: str = "constant", value: Any = None
) -> Value:
    """With a number."""
    return CONVERTERS["aten.constant_pad_nd.default"](importer, node, operand, pads, value or 0)
