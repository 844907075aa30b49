"""What must hold of a program's sizes: read from torch's guards, kept with plan and signature, checked at each call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stepwell.support.symbolic import Expr


@dataclass(frozen=True)
class SizeGuard:
    """What must hold of an expression over sizes.

    Attributes:
        expr: what is checked.
        minimum, maximum: inclusive bounds; None where there is none.
        divisor: what the value must be a multiple of; None where nothing.
        text: the expression as the user knows it, such as ``x.size(0)``; in error messages.
        excluded: what the value must differ from; None where nothing.
    """

    expr: Expr
    minimum: int | None = None
    maximum: int | None = None
    divisor: int | None = None
    text: str = ""
    excluded: int | None = None

    def holds(self, sizes: Mapping[str, int]) -> bool:
        """Return whether it holds of the sizes with these names."""
        try:
            value = self.expr.evaluate(sizes)
        except ZeroDivisionError:
            return False
        return (
            value != self.excluded
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.divisor is None or value % self.divisor == 0)
        )

    def to_json(self) -> list[Any]:
        """Return plain JSON data."""
        return [self.expr.to_json(), self.minimum, self.maximum, self.divisor, self.text, self.excluded]

    @classmethod
    def from_json(cls, data: list[Any]) -> "SizeGuard":
        """Read what ``to_json`` wrote."""
        expr, *rest = data
        return cls(Expr.from_json(expr), *rest)
