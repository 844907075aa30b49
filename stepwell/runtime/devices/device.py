"""What an executable needs of the machine that its kernels run on.

A ``Device`` belongs to one executable.  It knows which tensors callers may pass, keeps the program's own tensors
where kernels reach them, and makes a ``LoadedProgram`` of ``main`` and one of ``prepare``.  That is bound to a set
of sizes once, and then called with tensors again and again, from several threads if need be.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from stepwell.runtime.binding import Bases, BoundProgram, ResultPlace
from stepwell.runtime.constants import Constants
from stepwell.runtime.plan import Program
from stepwell.runtime.report import Sample
from stepwell.runtime.tensors import TensorKind

# (library, tensor)
Tensor = tuple[TensorKind, Any]


@dataclass(frozen=True)
class CallMode:
    """What a call does beside computing.

    Attributes:
        samples: where to put a sample of each launch; None not to measure.
        check_errors: wait for each kernel, and raise what it reports at once.
    """

    samples: list[Sample] | None = None
    check_errors: bool = False


PLAIN = CallMode()


class Results(list[Tensor]):
    """The results of a call, where the program finds out some of their sizes itself: these are made on the way.

    Args:
        tensors: the results; what stands in the place of one that is not made yet means nothing.
        maker: makes such a one, by its number.
    """

    def __init__(self, tensors: Iterable[Tensor], maker: Callable[[int, ResultPlace], Tensor]) -> None:
        super().__init__(tensors)
        self._maker = maker

    def make(self, number: int, place: ResultPlace) -> Tensor:
        """Return result ``number``, now that its sizes are known."""
        self[number] = self._maker(number, place)
        return self[number]


class LoadedProgram(Protocol):
    """A program whose kernels are loaded."""

    def bind(self, sizes: Mapping[str, int]) -> BoundProgram:
        """Return the program for these sizes."""

    def prepare(self, bound: Any) -> list[int]:
        """Run a program that takes nothing; return the addresses of its results, which live as long as this object."""

    def call(self, bound: Any, arguments: Sequence[Tensor], results: Sequence[Tensor], mode: CallMode) -> None:
        """Run the program on tensors; those that the host sees are ready when it returns.

        Raises:
            RuntimeFailure: a kernel found an error; all launches ran to their end.
            DeviceError: the device cannot run it.
        """


class Device(Protocol):
    """A machine, with the code of one executable.

    Attributes:
        name: "cpu", "cuda" or "sim".
        scratch: makes what a program writes for itself during a call.
    """

    name: str
    scratch: TensorKind

    def recognise(self, value: Any, path: str) -> Tensor:
        """Return an argument with its kind; raises ArgumentError for what this device cannot read."""

    def result_kind(self, kinds: Sequence[TensorKind]) -> TensorKind:
        """Return the kind of the results of a call with such arguments."""

    def place(self, constants: Constants) -> list[int]:
        """Put the program's own tensors where kernels reach them; return an address per argument number."""

    def load(self, program: Program, bases: Bases, targets: Sequence[tuple[int, int]] = ()) -> LoadedProgram:
        """Return ``program``; ``targets`` are the (result, argument) numbers of the own tensors that it changes."""

    def fetch(self, constants: Constants, names: Sequence[str]) -> None:
        """Bring the host's copies of own tensors up to date."""

    def store(self, constants: Constants, names: Sequence[str]) -> None:
        """Bring the device's copies of own tensors up to date."""

    def synchronize(self) -> None:
        """Wait for all calls; raises what their kernels reported."""
