"""An ONNX file as a program: its operators become functions of torch tensors, which torch exports.

Types, shapes and symbolic sizes are then torch's own, and everything below is the road of exported programs.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from stepwell.frontends.onnx import operators
from stepwell.frontends.onnx.dtypes import torch_dtype
from stepwell.frontends.onnx.registry import OPERATORS, Call
from stepwell.frontends.onnx.values import MAX_HOST_ELEMENTS, as_tensor, host
from stepwell.frontends.torch.program import from_exported_program
from stepwell.support.errors import (
    ImportProgramError,
    InvalidInputFileError,
    MissingDependencyError,
    UnsupportedOpError,
)
from stepwell.support.module import Module

if TYPE_CHECKING:
    import onnx

operators.register()

# Domains whose operators are those of the standard.
_STANDARD = ("", "ai.onnx")
# What a symbolic size is while torch traces: a number that nothing else in a model is.
_FIRST_EXAMPLE = 5


def from_onnx(
    model: "str | Path | onnx.ModelProto",
    *,
    sizes: Mapping[str, int] | None = None,
    examples: Mapping[str, int] | None = None,
) -> Module:
    """Import an ONNX model.

    Args:
        model: a file, or what ``onnx.load`` returned.
        sizes: values for symbolic sizes, by name, which are then fixed.
        examples: for symbolic sizes that stay symbolic: values for which the model makes sense, by name, where small
            ones do not, such as the side of an image that is halved five times.

    Returns:
        A module at stage ``graph`` whose arguments are the inputs in order; it returns a tuple of the outputs.

    Raises:
        UnsupportedOpError: it holds operators that have no function here; the message lists all of them.
        ImportProgramError: an operator is used in a way that is not supported, or torch refuses the program.
        InvalidInputFileError: the file cannot be read.
        MissingDependencyError: the ``onnx`` package is not installed.
    """
    proto = _load(model)
    _check_operators(proto.graph)
    arguments, shapes = _arguments(proto.graph, dict(sizes or {}), dict(examples or {}))
    try:
        exported = torch.export.export(_module(proto), tuple(arguments), dynamic_shapes=tuple(shapes))
    except ImportProgramError:
        raise
    except Exception as error:  # torch raises whatever its tracing meets
        raise ImportProgramError(f"torch does not export the model: {error}") from error
    return from_exported_program(exported)


def _load(model: Any) -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            "the Python package 'onnx' is not installed", fix="pip install 'stepwell[onnx]'"
        ) from error
    if isinstance(model, onnx.ModelProto):
        return model
    if not Path(model).is_file():
        raise InvalidInputFileError(f"there is no file '{model}'")
    try:
        return onnx.load(str(model))
    except Exception as error:  # protobuf raises errors of its own
        raise InvalidInputFileError(f"'{model}' is no ONNX model: {error}") from error


def _check_operators(graph: Any) -> None:
    """Refuse a model with unknown operators, naming all of them."""
    missing: dict[str, list[str]] = {}
    for node in graph.node:
        if node.op_type != "Constant" and (node.op_type not in OPERATORS or node.domain not in _STANDARD):
            name = f"{node.domain}.{node.op_type}" if node.domain not in _STANDARD else node.op_type
            missing.setdefault(name, []).append(node.name or node.output[0])
    if missing:
        lines = [
            f"  {name} x{len(nodes)}: {', '.join(map(repr, nodes[:5]))}" + (", ..." if len(nodes) > 5 else "")
            for name, nodes in sorted(missing.items())
        ]
        raise UnsupportedOpError("the model holds unsupported ONNX operators:\n" + "\n".join(lines))


def _arguments(graph: Any, sizes: dict[str, int], examples: dict[str, int]) -> tuple[list[Any], list[Any]]:
    """Return an example tensor per input, and which of its dimensions are symbolic."""
    known = {initializer.name for initializer in graph.initializer}
    chosen: dict[str, int] = dict(examples)
    tensors, shapes = [], []
    for value in graph.input:
        if value.name in known:
            continue
        kind = value.type.tensor_type
        extents, symbolic = [], {}
        for dim, size in enumerate(kind.shape.dim):
            name = size.dim_param or f"{value.name}.{dim}"
            if size.HasField("dim_value") or name in sizes:
                extents.append(size.dim_value if size.HasField("dim_value") else sizes[name])
                continue
            chosen.setdefault(name, _FIRST_EXAMPLE + len(chosen))
            extents.append(chosen[name])
            symbolic[dim] = torch.export.Dim.AUTO
        tensors.append(torch.zeros(extents, dtype=torch_dtype(kind.elem_type)))
        shapes.append(symbolic or None)
    return tensors, shapes


class _Model(torch.nn.Module):
    """Runs the operators' functions in the order of the model."""

    def __init__(self, proto: Any) -> None:
        from onnx import numpy_helper

        super().__init__()
        graph = proto.graph
        self._version = next((each.version for each in proto.opset_import if each.domain in _STANDARD), 1)
        self._constants: dict[str, Any] = {"": None}
        self._small: dict[str, Any] = {}
        for item in graph.initializer:
            self._add_constant(item.name, numpy_helper.to_array(item))
        self._inputs = [value.name for value in graph.input if value.name not in self._constants]
        self._outputs = [value.name for value in graph.output]
        self._calls = [call for node in graph.node if (call := self._call(node)) is not None]

    def run(self, *inputs: Any) -> tuple[Any, ...]:
        """Return the model's outputs."""
        values = dict(zip(self._inputs, inputs, strict=True))
        for name, constant in self._constants.items():
            values[name] = getattr(self, constant) if isinstance(constant, str) else constant
        for call, taken, given in self._calls:
            made = OPERATORS[call.operator](call, *(values[name] for name in taken))
            results = made if isinstance(made, tuple) else (made,)
            values.update(zip(given, results, strict=False))
        return tuple(as_tensor(values[name]) for name in self._outputs)

    def _add_constant(self, name: str, array: Any) -> None:
        if array.size <= MAX_HOST_ELEMENTS:
            self._small[name] = array
        if array.dtype == np.int64 and array.size <= MAX_HOST_ELEMENTS:
            # It may be a size or a position; it becomes a tensor where an operator wants one.
            self._constants[name] = host(array.tolist())
            return
        attribute = f"constant_{len(self._constants)}_{_identifier(name)}"
        self.register_buffer(attribute, torch.from_numpy(np.array(array)))
        self._constants[name] = attribute

    def _call(self, node: Any) -> tuple[Call, list[str], list[str]] | None:
        attributes = {each.name: _attribute(each) for each in node.attribute}
        if node.op_type == "Constant":
            self._add_constant(node.output[0], _constant_array(attributes))
            return None
        used = len([name for name in node.output if name])
        small = {place: self._small[name] for place, name in enumerate(node.input) if name in self._small}
        call = Call(node.name or node.output[0], node.op_type, attributes, self._version, used, small)
        return call, list(node.input), list(node.output)


def _module(proto: Any) -> torch.nn.Module:
    """Return a module whose ``forward`` takes arguments of the inputs' names."""
    model = _Model(proto)

    def forward(self: _Model, *inputs: Any) -> tuple[Any, ...]:
        return self.run(*inputs)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = ["self", *(_identifier(name) for name in model._inputs)]
    forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in names]
    )
    model.__class__ = type("OnnxModel", (_Model,), {"forward": forward})
    return model


def _attribute(attribute: Any) -> Any:
    from onnx import AttributeProto, helper, numpy_helper

    if attribute.type == AttributeProto.TENSOR:
        return numpy_helper.to_array(attribute.t)
    value = helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else list(value) if not isinstance(value, int | float) else value


def _constant_array(attributes: Mapping[str, Any]) -> Any:
    if "value" in attributes:
        return attributes["value"]
    for name, dtype in (("value_int", np.int64), ("value_ints", np.int64), ("value_float", np.float32)):
        if name in attributes:
            return np.array(attributes[name], dtype=dtype)
    if "value_floats" in attributes:
        return np.array(attributes["value_floats"], dtype=np.float32)
    raise ImportProgramError(f"a Constant of kind {', '.join(attributes)} is not supported")


def _identifier(name: str) -> str:
    text = "".join(letter if letter.isalnum() else "_" for letter in name)
    return text if text.isidentifier() else f"_{text}"
