"""Torch's OpInfo database: its ops, and their sample inputs, the same in every process for one seed."""

import copy
import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import mpmath
import numpy as np
import torch
from torch.testing._internal import common_methods_invocations as torchs_database
from torch.testing._internal import common_utils
from torch.testing._internal.opinfo import core as opinfo
from torch.utils import _pytree as pytree

# In this order a run takes them: what is quick comes last, so that no process waits long for another's last op.
DTYPES = ("float32", "float16", "bfloat16", "float64", "complex64", "int64", "bool")
DEFAULT_SEED = 2026
# How many samples of each op are run with a dtype where nobody says otherwise; None for all of them.
BOUNDS: dict[str, int | None] = {
    "float32": None,
    "float16": 2,
    "bfloat16": 2,
    "float64": 2,
    "int64": 2,
    "bool": 2,
    "complex64": 2,
}

# Their results are memory that nothing has written.
UNINITIALISED = {
    "empty",
    "empty_like",
    "empty_permuted",
    "empty_strided",
    "new_empty",
    "new_empty_strided",
    "resize_",
    "resize_as_",
}


def _second_kind(order: int, number: float) -> Any:
    if number > 0:
        return mpmath.bessely(order, number)
    return -mpmath.inf if number == 0 else mpmath.nan


def _polygamma(number: float, order: int) -> Any:
    if number <= 0 and number == int(number):
        return mpmath.nan
    return mpmath.psi(order, number)


# Functions of one number, and of a sample's whole numbers, that are exact where torch's own float64 is not: its Airy
# function is off by 3e-6, its Bessel functions by 1e-8, its trigamma by 1e-10 below zero.
EXACT: dict[str, Callable[..., Any]] = {
    "special.airy_ai": mpmath.airyai,
    "special.bessel_j0": mpmath.j0,
    "special.bessel_j1": mpmath.j1,
    "special.bessel_y0": partial(_second_kind, 0),
    "special.bessel_y1": partial(_second_kind, 1),
    "special.polygamma.special_polygamma_n_0": _polygamma,
    **{f"polygamma.polygamma_n_{n}": _polygamma for n in range(5)},
}

# Ops whose results in float64 lose digits in torch itself, where large numbers cancel: the entropy of a class that is
# nearly certain.  They are right within this much of each element.
CANCELLING = {"nn.functional.cross_entropy"}
CANCELLING_TOLERANCE = 1e-11

# Sums of terms of this size that cancel, where a result may be off by the rounding of a term: a short window of
# Nuttall's holds 0.3635819 - 0.4891775 + 0.1365995 - 0.0106411 = 0.0003628, and eager's sum is itself off by 3e-9.
TERMS = {"signal.windows.nuttall": 0.5}

# Sums of arguments, of which a sample may be one alone: where its terms cancel, the result may be off by roundings of
# the same sum of their sizes.
SUMS = {
    *("dot", "inner", "linalg.vecdot", "masked.mean", "masked.sum", "mean", "mv", "nanmean", "nansum", "std_mean"),
    *("std_mean.unbiased", "sum", "sum_to_size", "trace", "var_mean", "var_mean.unbiased", "vdot"),
}


@dataclass(frozen=True)
class Sample:
    """One call of an op.

    Attributes:
        index: its place among the op's samples.
        function: what is called.
        leaves: the flat arguments: tensors, numbers and whatever else the op takes.
        spec: how they are nested: ``(args, kwargs)``.
    """

    index: int
    function: Callable[..., Any]
    leaves: tuple[Any, ...]
    spec: Any

    @property
    def tensors(self) -> list[torch.Tensor]:
        """The arguments that are tensors."""
        return [leaf for leaf in self.leaves if isinstance(leaf, torch.Tensor)]

    @property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments as the op takes them, positional and by name."""
        args, kwargs = pytree.tree_unflatten(self.leaves, self.spec)
        return args, kwargs

    def call(self, tensors: Sequence[torch.Tensor]) -> Any:
        """Call the op with these tensors for its own."""
        given = iter(tensors)
        leaves = [next(given) if isinstance(leaf, torch.Tensor) else leaf for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        return self.function(*args, **kwargs)


@cache
def entries() -> dict[str, Any]:
    """Return torch's OpInfo by name; variants have theirs after a dot."""
    # Random ops would draw the same numbers whatever the seed.
    torchs_database.wrapper_set_seed = lambda op, *args, **kwargs: op(*args, **kwargs)
    # It looks for a test of unittest's among the callers, and reads all their source files for that.
    opinfo.extract_test_fn = common_utils.extract_test_fn = lambda: None
    return {
        f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name: op for op in torchs_database.op_db
    }


def names(dtype: str) -> list[str]:
    """Return the ops that take a dtype on the CPU."""
    return [name for name, op in entries().items() if op.supports_dtype(getattr(torch, dtype), "cpu")]


def samples(name: str, dtype: str, seed: int) -> list[Sample]:
    """Return all samples of an op; raises what torch's generator of samples raises."""
    op = entries()[name]
    start = int.from_bytes(hashlib.sha256(f"{seed} {name} {dtype}".encode()).digest()[:4])
    torch.manual_seed(start)
    np.random.seed(start)
    random.seed(start)
    found = []
    # Left to itself the database would draw each sample from one seed of its own.
    for index, sample in enumerate(op.sample_inputs("cpu", getattr(torch, dtype), set_seed=False)):
        leaves, spec = pytree.tree_flatten(((sample.input, *sample.args), sample.kwargs))
        plain = tuple(leaf.detach() if isinstance(leaf, torch.Tensor) else copy.copy(leaf) for leaf in leaves)
        found.append(Sample(index, op.op, plain, spec))
    return found


def chosen(
    found: Sequence[Sample], bound: int | None, also: Sequence[int] = (), elements: int | None = None
) -> list[int]:
    """Return the indices of the samples to run.

    Args:
        found: all samples of an op.
        bound: how many at most, at even distances, the first and the last too; None for all.
        also: indices of more.
        elements: leave out samples with more elements, but for the smallest one; None for none.
    """
    sizes = [sum(tensor.numel() for tensor in sample.tensors) for sample in found]
    small = [index for index, size in enumerate(sizes) if elements is None or size <= max(elements, min(sizes))]
    if bound is None or len(small) <= bound:
        return sorted({*small, *(index for index in also if index < len(found))})
    distance = (len(small) - 1) / max(1, bound - 1)
    even = {small[round(number * distance)] for number in range(bound)}
    return sorted(even | {index for index in also if index < len(found)})


def kind_of(sample: Sample) -> Any:
    """Return what a program made of a sample depends on: everything but the values of its tensors."""
    first: dict[int, int] = {}

    def leaf(number: int, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return type(value), repr(value)
        if value.layout is not torch.strided:
            return id(value)
        # Which tensors share memory.
        shared = first.setdefault(value.untyped_storage().data_ptr(), number) if value.numel() else number
        place = (value.stride(), value.storage_offset(), value.untyped_storage().nbytes(), shared)
        return value.dtype, value.shape, place, value.is_conj(), value.is_neg()

    return sample.function, str(sample.spec), tuple(leaf(number, value) for number, value in enumerate(sample.leaves))


def copy_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """Return a copy with the same strides, gaps and overlaps included."""
    if tensor.layout is not torch.strided or tensor.is_conj() or tensor.is_neg():
        return tensor.clone()
    storage = tensor.untyped_storage().clone()
    made = torch.empty(0, dtype=tensor.dtype)
    return made.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())
