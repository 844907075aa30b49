"""The tensors a program owns: parameters, buffers and constants that the user does not pass."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stepwell.runtime.memory import address_of, aligned_empty
from stepwell.runtime.tensors import Array, as_array
from stepwell.support.errors import ArgumentError
from stepwell.support.signature import ArgumentSpec, Signature


class Constants:
    """Own, aligned copies of a program's tensors.

    Args:
        signature: names, shapes and dtypes.
        passed: numbers of the arguments that the user passes.
        tensors: the others by name; more than needed may be there.
        copy: False where the memory is ours already, as that of a mapped artifact; tensors that calls change are
            copied all the same.

    Attributes:
        changed: names of tensors that calls change.

    Raises:
        ArgumentError: a tensor is missing or does not fit.
    """

    def __init__(
        self, signature: Signature, passed: Sequence[int], tensors: Mapping[str, Any], *, copy: bool = True
    ) -> None:
        skipped = frozenset(passed)
        self.changed = frozenset(result.target for result in signature.results if result.target)
        self._numbers: dict[str, int] = {}
        self._arrays: dict[str, Array] = {}
        self._addresses = [0] * len(signature.arguments)
        for number, spec in enumerate(signature.arguments):
            if number in skipped:
                continue
            if spec.name not in tensors:
                raise ArgumentError(f"{spec.kind} '{spec.name}' is missing")
            array = _checked(spec, tensors[spec.name])
            own = _aligned_copy(array) if copy or spec.name in self.changed else array
            self._numbers[spec.name] = number
            self._arrays[spec.name] = own
            self._addresses[number] = address_of(own)
        self._specs = {spec.name: spec for spec in signature.arguments}

    @property
    def names(self) -> list[str]:
        """Names of all tensors, in argument order."""
        return list(self._arrays)

    @property
    def numbers(self) -> Mapping[str, int]:
        """Argument number of each tensor."""
        return self._numbers

    def array(self, name: str) -> Array:
        """Return the tensor called ``name``, not a copy."""
        return self._arrays[name]

    def shapes(self) -> dict[int, tuple[int, ...]]:
        """Return the shapes by argument number."""
        return {number: self._arrays[name].shape for name, number in self._numbers.items()}

    def addresses(self) -> list[int]:
        """Return the address of each argument, for good; 0 for those that the user passes."""
        return self._addresses.copy()

    def replace(self, values: Mapping[str, Any]) -> None:
        """Overwrite the elements of tensors; all are checked before the first one changes."""
        checked = {name: _checked(self._specs[name], value) for name, value in values.items()}
        for name, array in checked.items():
            np.copyto(self._arrays[name], array)


def _checked(spec: ArgumentSpec, value: Any) -> Array:
    array = as_array(value, spec.name)
    shape = tuple(size.constant for size in spec.shape)
    if array.shape != shape or array.dtype != spec.dtype.numpy:
        raise ArgumentError(
            f"{spec.kind} '{spec.name}' must be {spec.dtype} of shape {shape}, got {array.dtype} of {array.shape}"
        )
    return array


def _aligned_copy(array: Array) -> Array:
    own = aligned_empty(array.nbytes).view(array.dtype).reshape(array.shape)
    np.copyto(own, array)
    return own
