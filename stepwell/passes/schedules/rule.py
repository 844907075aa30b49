"""What a schedule is: a rule that says which kernels it takes, with which parameters and why, and builds them."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from stepwell.passes.schedules.kernel import Kernel
from stepwell.support.bindings import ir
from stepwell.support.target import Target


class Rule(ABC):
    """Schedules the kernels of one kind.

    Class attributes:
        name: what ``explain()`` calls it.
    """

    name: ClassVar[str]

    @abstractmethod
    def parameters(self, kernel: Kernel, target: Target) -> Any:
        """Choose the parameters for ``kernel``: a frozen dataclass with ``reasons``, a tuple of phrases.

        Raises Refusal, with the reason, where the kernel is not of this rule's kind; nothing has been changed then.
        """

    def candidates(self, kernel: Kernel, target: Target) -> Sequence[Any]:
        """Return several such parameters, the best first by the rule's own estimate; raises as ``parameters`` does.

        Code generators that can compare machine code compile the first few.  Parameters may have ``estimate``, the time
        in a unit of the rule's own, and ``registers``, how many of a thread that estimate counts on.
        """
        return [self.parameters(kernel, target)]

    @abstractmethod
    def build(self, kernel: Kernel, target: Target, parameters: Any) -> None:
        """Put the scheduled function in the kernel's place; raises Refusal, leaving the kernel as it was."""


def note_schedule(function: Any, schedule: str, reasons: Iterable[str]) -> None:
    """Record on a scheduled function by which rule it was built, and why so."""
    function.attributes["stepwell.schedule"] = ir.StringAttr.get(schedule)
    function.attributes["stepwell.reasons"] = ir.ArrayAttr.get([ir.StringAttr.get(text) for text in reasons])
