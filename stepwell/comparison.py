"""Compare a compiled program with torch's eager mode, call by call, on the user's own inputs.

The program is compiled with the result of every call as one more output.  Each of them is compared with what torch
makes of the values that the compiled program had there, so that one wrong call does not make all that follow look
wrong.  What the program gives without those outputs, where calls are fused into kernels, is compared with them at the
end.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepwell.driver import compile
from stepwell.support.errors import SourceLocation

if TYPE_CHECKING:
    import torch

    from stepwell.frontends.torch.program import OpenedProgram
    from stepwell.frontends.torch.registry import Converter

_OWN_ERRORS = 4
"""How much larger the error may be than eager's own, both measured against float64."""
_EPSILONS = 16
"""Errors of so many units in the last place of the largest element are allowed in any case."""


@dataclass(frozen=True)
class CallComparison:
    """What one call, or one output of the program, gave.

    Attributes:
        kind: "right", "differs" or "not compared".
        node: name of the call in the decomposed program.
        op: its overload.
        dtype, shape: of the result, as torch has them.
        error: largest difference to what torch computes in float64, or in the same dtype where it cannot; None where
            nothing was compared.  For integers and bools, how many elements differ.
        allowed: the largest error that is right.
        reason: why it was not compared, or what differs beside values.
        location: the user's line, where it is known.
    """

    kind: str
    node: str
    op: str
    dtype: str
    shape: tuple[int, ...]
    error: float | None = None
    allowed: float = 0.0
    reason: str = ""
    location: SourceLocation | None = None

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape)) or "0-d"
        error = "" if self.error is None else f" error {self.error:.3g}, allowed {self.allowed:.3g}"
        place = f" at {self.location}" if self.location is not None else ""
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.kind:12} {self.node} = {self.op} {self.dtype}[{size}]{error}{reason}{place}"


@dataclass(frozen=True)
class CorrectnessReport:
    """What ``compare_with_eager`` found: all calls in the order of the program, then its outputs as it gives them."""

    calls: tuple[CallComparison, ...]
    outputs: tuple[CallComparison, ...]

    @property
    def first_difference(self) -> CallComparison | None:
        """The first call, or else output, that is not what torch gives."""
        return next((each for each in (*self.calls, *self.outputs) if each.kind == "differs"), None)

    @property
    def is_right(self) -> bool:
        """Whether nothing differs."""
        return self.first_difference is None

    def __str__(self) -> str:
        every = (*self.calls, *self.outputs)
        counts = ", ".join(
            f"{sum(each.kind == kind for each in every)} {kind}" for kind in ("right", "differs", "not compared")
        )
        first = self.first_difference
        verdict = "nothing differs from eager" if first is None else f"the first to differ: {first}"
        return "\n".join([*map(str, every), f"{len(self.calls)} calls, {len(self.outputs)} outputs: {counts}", verdict])


def compare_with_eager(
    program: "torch.export.ExportedProgram | str | Path",
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "cpu",
    device: str | None = None,
    custom_converters: "Mapping[Any, Converter] | None" = None,
    decompositions: Mapping[Any, Callable[..., Any]] | None = None,
) -> CorrectnessReport:
    """Run a program compiled and by torch, and compare the results of all of its calls.

    Where torch leaves a choice, such as which of two equal elements ``topk`` finds, the report shows another one as a
    difference.  Random calls are not compared.

    Args:
        program: an ExportedProgram, or the path of a ``.pt2`` file.
        args, kwargs: what to call it with: torch tensors.
        target, device: as for ``compile``.
        custom_converters, decompositions: as for ``from_exported_program``.

    Raises:
        ImportProgramError: the program cannot be imported.
        CompileError: it cannot be compiled.
        ArgumentError: the arguments do not fit.
    """
    from stepwell.frontends.torch.program import import_opened, open_program
    from stepwell.frontends.torch.registry import ImportRules

    opened = open_program(program, ImportRules.of(custom_converters, decompositions))
    module = import_opened(opened)
    fused = compile(module, target=target, device=device)
    watched = opened.with_every_result()
    every = compile(import_opened(watched), target=target, device=device)
    given = every(*_copied(args), **_copied(kwargs or {}))
    values = {result.value: value for result, value in zip(watched.results, given, strict=True)}
    calls = list(_Calls(opened, values, module.parameters, (_copied(args), _copied(kwargs or {}))))
    outputs = fused.signature.outputs.flatten(fused(*_copied(args), **_copied(kwargs or {})))
    pairs = [(opened.results[number].value, value) for number, _, value in outputs]
    ends = [
        replace(_compare(value, values[node], None), node=f"output {number}", op=f"'{node.name}'")
        for number, (node, value) in enumerate(pairs)
        if node in values
    ]
    return CorrectnessReport(tuple(calls), tuple(ends))


def _copied(value: Any) -> Any:
    """Return nested arguments with copies of the tensors, which the program may change."""
    from torch.utils import _pytree as pytree

    return pytree.tree_map(lambda leaf: leaf.clone() if hasattr(leaf, "clone") else leaf, value)


class _Calls:
    """Goes through a graph's calls and compares each.

    Args:
        opened: the program.
        values: what the compiled program had, by node.
        parameters: the program's own tensors by name.
        inputs: the user's ``(args, kwargs)``.
    """

    def __init__(
        self, opened: "OpenedProgram", values: Mapping[Any, Any], parameters: Mapping[str, Any], inputs: Any
    ) -> None:
        self._opened = opened
        self._values = dict(values)
        # What torch makes of the compiled program's values; sizes are nowhere else.
        self._expected: dict[Any, Any] = {}
        interface = opened.interface
        user = {number: value for number, _, value in interface.inputs.flatten(inputs)}
        for number, argument in enumerate(interface.arguments):
            self._values[argument.node] = user[number] if number in user else parameters[argument.name]
        arguments = [self._values[argument.node] for argument in interface.arguments]
        self._sizes = {
            symbol.name: _size(arguments[symbol.argument], symbol.dim) for symbol in opened.importer.sizes.symbols
        }

    def __iter__(self) -> Iterator[CallComparison]:
        for node in self._opened.decomposed.graph.nodes:
            if node.op != "call_function":
                continue
            reason, expected, exact = "", None, None
            try:
                expected, exact = self._evaluate(node)
            except Exception as error:  # torch raises anything
                reason = f"torch does not run it by itself: {type(error).__name__}: {error}"
            self._expected[node] = expected
            if node in self._values:
                yield self._compared(node, expected, exact, reason)

    def _compared(self, node: Any, expected: Any, exact: Any, reason: str) -> CallComparison:
        if reason or expected is None:
            found = CallComparison("not compared", "", "", "", (), reason=reason)
        else:
            found = _compare(self._values[node], expected, exact)
        value = node.meta["val"]
        return replace(
            found,
            node=node.name,
            op=_op(node),
            dtype=str(value.dtype).removeprefix("torch."),
            shape=tuple(self._values[node].shape),
            location=self._opened.importer.source(node),
        )

    def _evaluate(self, node: Any) -> tuple[Any, Any]:
        """Return what torch makes of a call, and in float64; the latter None where it is no other."""
        import torch

        if node.target is operator.getitem:
            source, index = node.args
            return self._expected[source][index], None
        if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
            return None, None
        if isinstance(node.target, torch._ops.HigherOrderOperator):
            return None, None
        changes = isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
        args, kwargs = self._map(node.args, False, changes), self._map(node.kwargs, False, changes)
        expected = node.target(*args, **kwargs)
        exact = None
        if isinstance(expected, torch.Tensor) and expected.dtype.is_floating_point:
            try:
                exact = node.target(*self._map(node.args, True), **self._map(node.kwargs, True))
            except RuntimeError:
                # Some calls take one dtype alone.
                exact = None
        return expected, exact

    def _map(self, value: Any, wide: bool, changes: bool = False) -> Any:
        import torch
        from torch.fx.node import map_aggregate

        def read(node: Any) -> Any:
            if isinstance(node, torch.SymInt):
                return self._opened.importer.sizes.expr(node).evaluate(self._sizes)
            if not isinstance(node, torch.fx.Node):
                return node
            found = self._values[node] if node in self._values else self._expected.get(node, node.meta.get("val"))
            if not isinstance(found, torch.Tensor):
                return found
            if wide and found.dtype.is_floating_point:
                return found.double()
            return found.clone() if changes else found

        return map_aggregate(value, read)


def _size(argument: Any, dim: int) -> int:
    """Return a dimension of a tensor; of an integer itself."""
    return argument if isinstance(argument, int) else int(argument.shape[dim])


def _op(node: Any) -> str:
    if node.target is operator.getitem:
        return f"{node.args[0].target}[{node.args[1]}]"
    return str(node.target)


def _compare(ours: Any, expected: Any, exact: Any) -> CallComparison:
    """Compare two tensors; ``exact`` is the result in float64, or None."""
    import torch

    dtype, shape = str(expected.dtype).removeprefix("torch."), tuple(expected.shape)
    blank = CallComparison("differs", "", "", dtype, shape)
    if ours.dtype != expected.dtype or tuple(ours.shape) != shape:
        return replace(blank, reason=f"it has dtype {ours.dtype} and shape {tuple(ours.shape)}")
    if not (expected.dtype.is_floating_point or expected.dtype.is_complex):
        wrong = int((ours != expected).sum())
        return replace(blank, kind="differs" if wrong else "right", error=float(wrong))
    wide = torch.complex128 if expected.dtype.is_complex else torch.float64
    ours, eager = ours.to(wide), expected.to(wide)
    reference = eager if exact is None else exact.to(wide)
    finite = torch.isfinite(reference) & torch.isfinite(eager)
    special = ~finite & ~((ours == eager) | (ours.isnan() & eager.isnan()))
    scale = _largest(reference[finite].abs())
    error = _largest((ours - reference)[finite].abs())
    allowed = _OWN_ERRORS * _largest((eager - reference)[finite].abs())
    allowed += _EPSILONS * torch.finfo(expected.dtype).eps * scale
    if bool(special.any()):
        return replace(blank, error=error, allowed=allowed, reason=f"{int(special.sum())} infinities or NaNs differ")
    right = error <= allowed and bool(torch.isfinite(ours[finite]).all())
    return replace(blank, kind="right" if right else "differs", error=error, allowed=allowed)


def _largest(values: Any) -> float:
    return float(values.max()) if values.numel() else 0.0
