"""mbarrier objects: arrivals and transactions, phase by phase.

Source: PTX ISA, "mbarrier": contents of the mbarrier object, "Phase of the mbarrier object", "expect-tx operation",
"complete-tx operation" and "arrive-on operation", with the valid ranges that it states for the counts.
"""

from dataclasses import dataclass

from stepwell.support.errors import BarrierError

LIMIT = (1 << 20) - 1
"""Largest arrival count, and largest transaction count in either direction."""


@dataclass
class BarrierObject:
    """An mbarrier.

    Attributes:
        expected: arrivals of each phase.
        pending: arrivals that the current phase still lacks.
        transactions: the tx-count: bytes expected and not yet reported; negative while reports run ahead.
        phase: number of phases completed.
    """

    expected: int
    pending: int
    transactions: int = 0
    phase: int = 0

    @classmethod
    def with_count(cls, count: int) -> "BarrierObject":
        """Return what mbarrier.init makes; raises BarrierError for a count out of range."""
        if not 1 <= count <= LIMIT:
            raise BarrierError(f"an mbarrier is given a count of {count}, not of 1 to {LIMIT}")
        return cls(count, count)

    def arrive(self, count: int = 1, *, drop: bool = False) -> None:
        """Count arrivals; ``drop`` also takes them out of the following phases.

        Raises BarrierError where there are more than the phase lacks.
        """
        if not 1 <= count <= self.pending:
            raise BarrierError(
                f"{count} arrive at an mbarrier where {self.pending} of {self.expected} arrivals are pending"
            )
        self.pending -= count
        if drop:
            self.expected -= count
        self._complete()

    def promise(self) -> None:
        """Add an arrival to those that the current phase lacks, for one to come that was not counted on."""
        if self.pending == LIMIT:
            raise BarrierError(f"an mbarrier's pending count exceeds {LIMIT}")
        self.pending += 1

    def expect(self, transactions: int) -> None:
        """Raise the tx-count of the current phase; raises BarrierError where it leaves its range."""
        self._transact(transactions)
        self._complete()

    def report(self, transactions: int) -> None:
        """Lower the tx-count: asynchronous work is done; raises BarrierError where it leaves its range."""
        self._transact(-transactions)
        self._complete()

    def _transact(self, change: int) -> None:
        if not -LIMIT <= self.transactions + change <= LIMIT:
            raise BarrierError(
                f"an mbarrier's tx-count becomes {self.transactions + change}, beyond {LIMIT} in magnitude"
            )
        self.transactions += change

    def _complete(self) -> None:
        """Begin the next phase where nothing is pending."""
        if self.pending == 0 and self.transactions == 0:
            self.phase += 1
            self.pending = self.expected

    def passed(self, parity: int) -> bool:
        """Whether the phase of that parity is complete: it is the one before the current phase."""
        return self.phase % 2 != parity
