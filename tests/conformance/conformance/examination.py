"""From samples of an op to verdicts: many samples are one program, which is taken apart where it fails."""

import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils import _pytree as pytree

import stepwell as sw
from conformance.database import (
    CANCELLING,
    CANCELLING_TOLERANCE,
    EXACT,
    SUMS,
    TERMS,
    UNINITIALISED,
    Sample,
    copy_tensor,
    kind_of,
)
from conformance.judgement import ROUNDINGS, difference, implausible, same, with_places_as_values
from conformance.verdicts import CRASHED, NOT_EXPORTED, REFUSED, RIGHT, WRONG, Verdict
from stepwell.frontends.torch import from_exported_program
from stepwell.support.errors import CompileError, PassFailure, RuntimeFailure, StepwellError, TypeMismatchError

_DRAWS = 24
_UNUSED = torch.zeros(1)
_TRIES = 8


class _Call(torch.nn.Module):
    """Calls one sample."""

    def __init__(self, sample: Sample) -> None:
        super().__init__()
        self.sample = sample

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.sample.call(tensors)


class _Program(torch.nn.Module):
    """Calls every sample in turn, and returns the list of results.

    Each call is a module of its own, which its nodes remember.  The first argument is not used: results are torch's
    tensors where an argument is one, and some ops take none.

    Attributes:
        current: which call runs; None before and after.
    """

    def __init__(self, samples: Sequence[Sample]) -> None:
        super().__init__()
        self.calls = torch.nn.ModuleList(map(_Call, samples))
        self.current: int | None = None

    def forward(self, _: torch.Tensor, *tensors: torch.Tensor) -> list[Any]:
        results, start = [], 0
        for number, call in enumerate(self.calls):
            self.current = number
            end = start + len(call.sample.tensors)
            results.append(call(*tensors[start:end]))
            start = end
        self.current = None
        return results


def _caller(node: Any) -> int | None:
    """Return which call of a program a node comes from."""
    paths = [path for path, _ in node.meta.get("nn_module_stack", {}).values()]
    numbers = [path.split(".")[1] for path in paths if path.startswith("calls.")]
    return int(numbers[0]) if numbers else None


@dataclass
class _Imported:
    samples: list[Sample]
    module: Any


@dataclass
class _Failed:
    """Why a program cannot be exported or imported.

    Attributes:
        verdict: on the whole.
        blamed: the calls that stand in its way, where known.
        current: the call at which exporting ended, where it was one.
    """

    verdict: Verdict
    blamed: dict[int, Verdict] = field(default_factory=dict)
    current: int | None = None


@dataclass
class Examination:
    """Examines samples of one op on one road.

    Attributes:
        name: the op.
        target: what to compile for.
        device: what runs it.
        seconds: time spent, by phase.
    """

    name: str
    target: str = "cpu"
    device: str = "cpu"
    seconds: dict[str, float] = field(default_factory=dict)
    _alike: dict[int, list[Sample]] = field(default_factory=dict)

    def verdicts(self, samples: Sequence[Sample]) -> dict[int, Verdict]:
        """Return a verdict for the index of each sample; samples that differ in values alone share a program's call."""
        found: dict[int, Verdict] = {}
        groups: dict[Any, list[Sample]] = defaultdict(list)
        for sample in samples:
            groups[kind_of(sample)].append(sample)
        self._alike = {group[0].index: group[1:] for group in groups.values()}
        for imported in self._import([group[0] for group in groups.values()], found):
            self._compile(imported, found)
        for first, others in self._alike.items():
            # Where there is no result, there is none for others of the kind.
            found |= {other.index: found[first] for other in others if other.index not in found}
        return found

    def _import(self, samples: list[Sample], found: dict[int, Verdict]) -> Iterator[_Imported]:
        """Yield programs of all samples that can be imported, as few as may be; the others get their verdicts."""
        if not samples:
            return
        whole = self._import_one(samples)
        if isinstance(whole, _Imported):
            yield whole
        elif len(samples) == 1:
            found[samples[0].index] = whole.verdict
        elif whole.blamed:
            found |= {samples[number].index: verdict for number, verdict in whole.blamed.items()}
            rest = [sample for number, sample in enumerate(samples) if number not in whole.blamed]
            yield from self._import(rest, found)
        elif whole.current is not None:
            yield from self._import(self._exportable(samples, whole, found), found)
        else:
            rest = self._without_failing(samples, whole, found)
            half = len(rest) // 2
            for part in (rest,) if len(rest) < len(samples) else (rest[:half], rest[half:]):
                yield from self._import(part, found)

    def _without_failing(self, samples: list[Sample], whole: _Failed, found: dict[int, Verdict]) -> list[Sample]:
        """Leave out samples that fail alone, with their verdicts: often the first ones of an op do, or all."""
        if whole.verdict.kind == NOT_EXPORTED:
            # Cheap to find out, and often every other one.
            outcomes = {sample.index: self._export([sample]) for sample in samples}
            found |= {index: failed.verdict for index, failed in outcomes.items() if isinstance(failed, _Failed)}
            return [sample for sample in samples if sample.index not in found]
        for number, sample in enumerate(samples):
            alone = self._import_one([sample])
            if isinstance(alone, _Imported):
                return samples[number:]
            found[sample.index] = alone.verdict
        return []

    def _exportable(self, samples: list[Sample], failed: _Failed, found: dict[int, Verdict]) -> list[Sample]:
        """Return the samples that torch exports, given where it ended with all; the others get their verdicts."""
        good: list[Sample] = []
        outcome: Any = failed
        while isinstance(outcome, _Failed) and outcome.current is not None:
            good += samples[: outcome.current]
            samples, verdict = samples[outcome.current :], outcome.verdict
            # What torch says of a call may depend on those before it; those behind it often share its fate.
            while samples and isinstance(alone := self._export(samples[:1]), _Failed):
                found[samples[0].index] = alone.verdict
                samples, verdict = samples[1:], None
            if samples and verdict is not None:
                found[samples[0].index] = verdict
                samples = samples[1:]
            outcome = self._export(samples) if samples else None
        return good + samples

    def _export(self, samples: list[Sample]) -> Any:
        """Return the exported program of samples, or why there is none."""
        tensors = (_UNUSED, *(tensor for sample in samples for tensor in sample.tensors))
        program = _Program(samples)
        with self._phase("export"):
            try:
                return torch.export.export(program, tensors)
            except Exception as error:  # whatever torch raises
                verdict = Verdict(NOT_EXPORTED, _first_line(f"{type(error).__name__}: {error}"))
                return _Failed(verdict, current=program.current)

    def _import_one(self, samples: list[Sample]) -> "_Imported | _Failed":
        program = self._export(samples)
        if isinstance(program, _Failed):
            return program
        with self._phase("import"):
            try:
                return _Imported(samples, from_exported_program(program))
            except Exception as error:
                return _Failed(_failure(error), _blamed(error))

    def _compile(self, imported: _Imported, found: dict[int, Verdict]) -> None:
        samples = imported.samples
        try:
            with self._phase("compile"):
                run = sw.compile(imported.module, target=self.target, device=self.device, progress=False)
            self._run(run, samples, found)
        except Exception as error:
            if len(samples) == 1:
                found[samples[0].index] = self._failure_alone(samples[0], error)
                return
            for half in (samples[: len(samples) // 2], samples[len(samples) // 2 :]):
                for part in self._import(half, found):
                    self._compile(part, found)

    def _failure_alone(self, sample: Sample, error: Exception) -> Verdict:
        """Return what an error of a sample's own program means: one that torch's program has too is of the export."""
        if isinstance(error, RuntimeFailure):
            program = self._export([sample])
            try:
                program.module()(_UNUSED, *map(copy_tensor, sample.tensors))
            except Exception as own:  # whatever torch raises
                return Verdict(NOT_EXPORTED, _first_line(f"torch's exported program: {type(own).__name__}: {own}"))
        return _failure(error)

    def _run(self, run: Any, samples: list[Sample], found: dict[int, Verdict]) -> None:
        """Run a program with the values of all samples that it is for."""
        alike = [[sample, *self._alike.get(sample.index, ())] for sample in samples]
        for turn in range(max(map(len, alike))):
            given = [group[min(turn, len(group) - 1)] for group in alike]
            with self._phase("run"):
                run.manual_seed(_DRAWS)
                copies = [[copy_tensor(tensor) for tensor in sample.tensors] for sample in given]
                results = run(_UNUSED, *(tensor for chunk in copies for tensor in chunk))
            with self._phase("judge"):
                for sample, group, result, after in zip(given, alike, results, copies, strict=True):
                    if turn < len(group):
                        found[sample.index] = self._judge(sample, result, after)

    def _judge(self, sample: Sample, result: Any, after: list[torch.Tensor]) -> Verdict:
        try:
            fault = _fault(self.name, sample, (result, after))
        except Exception as error:
            return Verdict(NOT_EXPORTED, _first_line(f"eager: {type(error).__name__}: {error}"))
        return Verdict(WRONG, fault) if fault else Verdict(RIGHT)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def _fault(name: str, sample: Sample, got: Any) -> str:
    """Return what is wrong with (result, arguments after the call), or ""."""
    eager = _call(sample, 1)
    if name in UNINITIALISED:
        return difference(got, eager, eager, values=False)
    # Two draws of a few numbers may be equal by chance.
    if _draws(sample) and not all(same(eager, _call(sample, seed)) for seed in range(2, 2 + _TRIES)):
        random = difference(got, eager, eager, values=False)
        return random or implausible(got, [_call(sample, seed) for seed in range(_DRAWS)])
    exact = _exact(name, sample, eager)
    fault = difference(got, eager, exact)
    if fault:
        args, kwargs = sample.arguments
        got, eager, exact = (
            (with_places_as_values(name, args, kwargs, result), after) for result, after in (got, eager, exact)
        )
        fault = difference(got, eager, exact) and fault
    fault = fault and _fault_of_rounded(sample, got, eager, fault)
    if not fault or difference(got, eager, exact, values=False):
        return fault
    return "" if _near(name, got[0], eager[0]) or _is_sum_within(name, sample, got[0], exact[0]) else fault


def _is_sum_within(name: str, sample: Sample, got: Any, exact: Any) -> bool:
    """Return whether a sum is off by no more than roundings of the sum of its terms' sizes."""
    leaves = pytree.tree_leaves(got)
    if name not in SUMS or not all(leaf.is_floating_point() or leaf.is_complex() for leaf in leaves):
        return False
    sizes, _ = _call(sample, 1, lambda tensor: tensor if tensor.dtype is torch.bool else _widened(tensor).abs())
    triples = zip(leaves, pytree.tree_leaves(exact), pytree.tree_leaves(sizes), strict=True)
    return all(
        bool(((y.to(best.dtype) - best).abs() <= ROUNDINGS * torch.finfo(y.dtype).eps * size).all())
        for y, best, size in triples
    )


def _fault_of_rounded(sample: Sample, got: Any, eager: Any, fault: str) -> str:
    """Return a fault that a rounding of each operand does not explain, where no wider dtype tells eager's own error."""
    if not any(tensor.dtype in (torch.float64, torch.complex128) for tensor in sample.tensors):
        return fault
    return difference(got, eager, _call(sample, 1, _rounded)) and fault


def _near(name: str, got: Any, eager: Any) -> bool:
    """Return whether results are as near as can be asked for where numbers cancel."""
    if name not in CANCELLING and name not in TERMS:
        return False
    relative = CANCELLING_TOLERANCE if name in CANCELLING else 0.0
    pairs = zip(pytree.tree_leaves(got), pytree.tree_leaves(eager), strict=True)
    return all(
        torch.allclose(a, b, relative, TERMS.get(name, 0.0) * torch.finfo(b.dtype).eps, equal_nan=True)
        for a, b in pairs
    )


def _call(sample: Sample, seed: int, change: Callable[[torch.Tensor], torch.Tensor] = copy_tensor) -> Any:
    """Return (result, arguments after the call) of eager torch."""
    # torch.manual_seed keeps a stack trace of each call for GPUs that come later.
    torch.default_generator.manual_seed(seed)
    tensors = [change(tensor) for tensor in sample.tensors]
    return sample.call(tensors), tensors


def _draws(sample: Sample) -> bool:
    """Return whether eager torch draws random numbers for a sample."""
    torch.default_generator.manual_seed(1)
    before = torch.default_generator.get_state()
    sample.call([copy_tensor(tensor) for tensor in sample.tensors])
    return not torch.equal(before, torch.default_generator.get_state())


def _exact(name: str, sample: Sample, eager: Any) -> Any:
    """Return what the sample gives in float64, or eager's where torch cannot."""
    if name in EXACT:
        (operand,) = sample.tensors
        orders = [leaf for leaf in sample.leaves if isinstance(leaf, int)]
        numbers = [float(EXACT[name](number, *orders)) for number in operand.flatten().tolist()]
        return torch.tensor(numbers, dtype=torch.float64).reshape(operand.shape), eager[1]
    try:
        exact = _call(sample, 1, _widened)
    except Exception:  # whatever torch raises for a mixture of dtypes
        return eager
    pairs = zip(pytree.tree_leaves(exact), pytree.tree_leaves(eager), strict=False)
    fits = all(
        not isinstance(b, torch.Tensor) or (isinstance(a, torch.Tensor) and a.shape == b.shape) for a, b in pairs
    )
    return exact if fits else eager


def _widened(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype.is_complex:
        return tensor.to(torch.complex128, copy=True)
    return tensor.to(torch.float64, copy=True) if tensor.dtype.is_floating_point else copy_tensor(tensor)


def _rounded(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor whose elements are off by a rounding, one up and one down."""
    copy = copy_tensor(tensor)
    if tensor.layout is not torch.strided or tensor.dtype not in (torch.float64, torch.complex128):
        return copy
    down = (torch.arange(tensor.numel(), dtype=torch.float64) % 2).view(tensor.shape)
    return copy * (1 + torch.finfo(tensor.dtype).eps * (1 - 2 * down))


def _failure(error: Exception) -> Verdict:
    """Return what an error at import, compile or run means."""
    if not isinstance(error, StepwellError):
        place = traceback.extract_tb(error.__traceback__)[-1]
        return Verdict(CRASHED, _first_line(f"{type(error).__name__} at {place.name}: {error}"))
    if refusals := getattr(error, "refusals", ()):
        return _refusal(refusals)
    broken = isinstance(error, TypeMismatchError) or (
        isinstance(error, CompileError) and not isinstance(error, PassFailure)
    )
    return Verdict(CRASHED if broken else REFUSED, _first_line(f"{type(error).__name__}: {error.message}"))


def _blamed(error: Exception) -> dict[int, Verdict]:
    """Return the verdict on each call of a program that holds refused nodes; nothing where a node is nobody's."""
    callers: dict[int | None, list[Any]] = {}
    for refusal in getattr(error, "refusals", ()):
        callers.setdefault(_caller(refusal.node), []).append(refusal)
    known = {number: _refusal(refusals) for number, refusals in callers.items() if number is not None}
    return known if len(known) == len(callers) else {}


def _refusal(refusals: Sequence[Any]) -> Verdict:
    """Return the verdict on a call whose nodes are refused: the ops and the reasons, without names of nodes."""
    if any(isinstance(refusal.error, TypeMismatchError) for refusal in refusals):
        return Verdict(CRASHED, _first_line(f"TypeMismatchError: {refusals[0].error.message}"))
    reasons = {
        f"{refusal.node.target}" + (f": {_first_line(refusal.error.message)}" if refusal.error.message else "")
        for refusal in refusals
    }
    return Verdict(REFUSED, "; ".join(sorted(reasons)))


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:240]
