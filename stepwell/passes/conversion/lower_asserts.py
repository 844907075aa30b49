"""Turn run-time checks into stores to the kernel's status slot.

Takes and gives stage ``scheduled``.  A ``cf.assert`` aborts the process; a kernel of ours reports and goes on with the
safe value it computed beside the check.  Check number i of the function's ``stepwell.asserts`` list stores i + 1.
Several threads may store at once: any of the numbers is a true report, so the store need not be atomic on a CPU.  A GPU
keeps the largest number (``atomic``), those of checks that schedules have written themselves too.

Refuses a check in a function whose last argument is not the status slot of kernel ABI v1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from stepwell.passes.base import Pass, fail, option, register_pass
from stepwell.support.bindings import arith, ir, llvm, memref, scf
from stepwell.support.stages import Stage

ASSERTS = "stepwell.asserts"


@register_pass
@dataclass(frozen=True)
class LowerAssertsPass(Pass):
    """Store the number of a failing cf.assert to the status slot.

    Before: ``cf.assert %ok, "index-out-of-range: embedding"``.
    After: ``scf.if %failed { memref.store %c1, %status[] }``, and the text in ``stepwell.asserts``.
    """

    name: ClassVar[str] = "lower-asserts"
    summary: ClassVar[str] = "report failing cf.assert through the status slot"
    stage: ClassVar[Stage | None] = Stage.SCHEDULED

    erase: bool = option(False, help="drop the checks, for functions without a status slot")
    atomic: bool = option(False, help="report by an atomic maximum, also where a schedule stores to the status slot")

    def apply(self, op: "ir.Operation") -> None:
        """Lower the checks of every function of the module."""
        if self.erase:
            for check in _asserts(op):
                check.erase()
            return
        work = [(function, _asserts(function)) for function in _functions(op)]
        for function, asserts in work:
            if asserts and _status(function) is None:
                fail(asserts[0], "expects the status slot as the last argument of its function")
        for function, asserts in work:
            lower_asserts(function, asserts)
        if self.atomic:
            for function, _ in work:
                make_reports_atomic(function)


def lower_asserts(function: Any, asserts: list[Any]) -> None:
    """Replace ``asserts``, all inside ``function``, and extend the function's list of messages."""
    if not asserts:
        return
    status = _status(function)
    known = function.attributes.get(ASSERTS, ())
    messages: list[str] = [message.value for message in known]
    for check in asserts:
        message = check.attributes["msg"].value
        if message not in messages:
            messages.append(message)
        with check.location, ir.InsertionPoint(check):
            bit = ir.IntegerType.get_signless(1)
            failed = arith.xori(check.operands[0], arith.constant(bit, 1))
            branch = scf.IfOp(failed)
            with ir.InsertionPoint(branch.then_block):
                code = arith.constant(ir.IntegerType.get_signless(32), messages.index(message) + 1)
                memref.store(code, status, [])
                scf.yield_([])
        check.erase()
    function.attributes[ASSERTS] = ir.ArrayAttr.get([ir.StringAttr.get(message) for message in messages])


def make_reports_atomic(function: Any) -> None:
    """Replace every store to the status slot by an atomic maximum."""
    status = _status(function)
    stores = [] if status is None else [use.owner for use in status.uses if use.owner.name == "memref.store"]
    for store in stores:
        with store.location, ir.InsertionPoint(store):
            memref.atomic_rmw(arith.AtomicRMWKind.maxs, store.operands[0], status, [])
        store.operation.erase()


def _functions(module: Any) -> list[Any]:
    operations = [op.operation for op in module.regions[0].blocks[0].operations]
    return [op for op in operations if op.name == "func.func" and list(op.regions[0].blocks)]


def _asserts(function: Any) -> list[Any]:
    found: list[Any] = []

    def visit(op: Any) -> Any:
        if op.name == "cf.assert":
            found.append(op)
        return ir.WalkResult.ADVANCE

    function.walk(visit)
    return found


def _status(function: Any) -> Any:
    # Only what the host makes for a GPU's accelerator stands behind it.
    arguments = [a for a in function.regions[0].blocks[0].arguments if not isinstance(a.type, llvm.PointerType)]
    slot = ir.MemRefType.get([], ir.IntegerType.get_signless(32))
    return arguments[-1] if arguments and arguments[-1].type == slot else None
