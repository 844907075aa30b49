"""Runs an architecture through export and the compiler, and compares with eager."""

import copy
import time
from dataclasses import asdict, dataclass, field

import torch
from torch.export import ExportedProgram

import stepwell as sw
from architectures.architecture import OTHERS, TRACED, Architecture, Inputs, Sizes, Tensors

# k of the rule: a model is a long chain of ops, each of which may round differently from eager's.
_MODEL_FACTOR = 64

RIGHT, WRONG, REFUSED, CRASHED = "right", "wrong", "refused", "crashed"
# What torch or the library itself cannot do in this configuration.
NOT_BUILT, NOT_RUN, NOT_EXPORTED, FIXED = "not built", "not run by eager", "not exported", "fixed sizes"


@dataclass
class Verdict:
    """What became of one architecture.

    Attributes:
        kind: one of the words above.
        reason: of everything but "right".
        seconds: by phase.
        dynamic: which sizes were left open.
    """

    kind: str = RIGHT
    reason: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    dynamic: str = ""

    def to_json(self) -> dict[str, object]:
        return asdict(self)


class _Halt(Exception):
    def __init__(self, kind: str, error: object) -> None:
        super().__init__(f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error))
        self.kind = kind


def examine(
    architecture: Architecture,
    *,
    dynamic: bool = False,
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
    import_only: bool = False,
) -> Verdict:
    """Return the verdict about one architecture: at fixed sizes, or at several sizes of one program."""
    verdict = Verdict()
    try:
        _examine(verdict, architecture, dynamic, dtype, seed, import_only)
    except _Halt as halt:
        verdict.kind, verdict.reason = halt.kind, str(halt)
    return verdict


def _examine(
    verdict: Verdict, architecture: Architecture, dynamic: bool, dtype: torch.dtype, seed: int, import_only: bool
) -> None:
    with _Phase(verdict, "build", NOT_BUILT):
        model = architecture.model(seed, dtype)
    with _Phase(verdict, "eager", NOT_RUN), torch.no_grad():
        inputs = _of_type(architecture.inputs(TRACED), dtype)
        model(inputs)
    with _Phase(verdict, "export", NOT_EXPORTED), torch.no_grad():
        program = _exported(model, architecture, inputs, dynamic)
    batch, length = _open_sizes(architecture, program, inputs)
    verdict.dynamic = " and ".join(name for name, is_open in (("batch", batch), ("length", length)) if is_open)
    if dynamic and not verdict.dynamic:
        raise _Halt(FIXED, "the exported program has no open size")
    if import_only:
        with _Phase(verdict, "import", CRASHED):
            sw.lower(program, to="graph")
        return
    with _Phase(verdict, "compile", CRASHED):
        executable = sw.compile(program, target="cpu")
    with _Phase(verdict, "compare", CRASHED):
        sizes = (TRACED, *OTHERS) if dynamic else (TRACED,)
        _compare(executable, model, architecture, [_restricted(size, batch, length) for size in sizes], dtype)


def _exported(model: Tensors, architecture: Architecture, inputs: Inputs, dynamic: bool) -> ExportedProgram:
    if not dynamic:
        return torch.export.export(model, (inputs,))
    try:
        return torch.export.export(model, (inputs,), dynamic_shapes=architecture.dynamic_shapes(inputs))
    except Exception:
        # A model may branch on the length of its sequences, and still take any batch.
        shapes = architecture.dynamic_shapes(inputs, length=False)
        return torch.export.export(model, (inputs,), dynamic_shapes=shapes)


class _Phase:
    """Times a phase, and says what an error in it means."""

    def __init__(self, verdict: Verdict, name: str, kind: str) -> None:
        self._verdict, self._name, self._kind = verdict, name, kind

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._verdict.seconds[self._name] = round(time.monotonic() - self._start, 1)
        if isinstance(error, _Halt) or not isinstance(error, Exception):
            return
        refused = isinstance(error, sw.StepwellError) and self._name in ("import", "compile")
        raise _Halt(REFUSED if refused else self._kind, error) from error


def _open_sizes(architecture: Architecture, program: ExportedProgram, inputs: Inputs) -> tuple[bool, bool]:
    """Return whether all batches, and all lengths, are symbols."""
    nodes = [node for node in program.graph.nodes if node.op == "placeholder"]
    users = {spec.arg.name for spec in program.graph_signature.input_specs if spec.kind.name == "USER_INPUT"}
    values = dict(zip(inputs, (node.meta["val"] for node in nodes if node.name in users), strict=True))
    tensors = {name: value for name, value in values.items() if isinstance(value, torch.Tensor) and value.dim()}
    batch = all(_is_open(value.shape[0]) for value in tensors.values())
    lengths = [tensors[name].shape[axis] for name, axes in architecture.length.items() for axis in axes]
    return batch, bool(lengths) and all(map(_is_open, lengths))


def _is_open(size: int | torch.SymInt) -> bool:
    # A symbol that the model turned out to fix stays one in the graph.
    return isinstance(size, torch.SymInt) and size.node.maybe_as_int() is None


def _restricted(sizes: Sizes, batch: bool, length: bool) -> Sizes:
    return Sizes(sizes.batch if batch else TRACED.batch, sizes.length if length else TRACED.length)


def _of_type(inputs: Inputs, dtype: torch.dtype) -> Inputs:
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}


@torch.no_grad()
def _compare(
    executable: sw.Executable, model: Tensors, architecture: Architecture, sizes: list[Sizes], dtype: torch.dtype
) -> None:
    """Compare with eager's own error against float64: max|y - y64| <= 4 max|eager - y64| + k eps max|y64|."""
    double = copy.deepcopy(model).double()
    for size in dict.fromkeys(sizes):
        inputs = _of_type(architecture.inputs(size), dtype)
        ours, theirs = executable(inputs), model(inputs)
        try:
            exact = double(_of_type(inputs, torch.float64))
        except RuntimeError:
            # A library may fix a type somewhere inside.
            exact = theirs
        for number, triple in enumerate(zip(ours, theirs, exact, strict=True)):
            complaint = _difference(*triple)
            if complaint:
                raise _Halt(WRONG, f"result {number} at {size}: {complaint}")


def _difference(ours: torch.Tensor, theirs: torch.Tensor, exact: torch.Tensor) -> str:
    """Return what is wrong with a result, or ""."""
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return f"{ours.dtype} {list(ours.shape)}, not {theirs.dtype} {list(theirs.shape)}"
    if not ours.dtype.is_floating_point:
        return "" if torch.equal(ours, theirs) else f"{int((ours != theirs).sum())} of {ours.numel()} differ"
    if exact.dtype is theirs.dtype:
        return "" if torch.allclose(ours, theirs, rtol=1e-3, atol=1e-5, equal_nan=True) else "differs from eager"
    if not torch.equal(ours.isfinite(), theirs.isfinite()):
        return "other elements are finite than eager's"
    finite = theirs.isfinite() & exact.isfinite()
    y, reference, best = (value[finite].double() for value in (ours, theirs, exact))
    if not best.numel():
        return ""
    error, eager_error = (y - best).abs().max().item(), (reference - best).abs().max().item()
    allowed = 4 * eager_error + _MODEL_FACTOR * torch.finfo(ours.dtype).eps * best.abs().max().item()
    return "" if error <= allowed else f"error {error:.3g}, eager's {eager_error:.3g}, largest {best.abs().max():.3g}"
