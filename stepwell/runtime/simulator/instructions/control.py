"""Instructions that order, wait or do nothing: fences, nanosleep and other hints.

Source: PTX ISA, "Parallel Synchronization and Communication Instructions": membar, fence; "Control Flow",
"Miscellaneous". All threads see one memory here, so a fence changes nothing by itself: observers hear of it.
"""

from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.ptx.module import Instruction

_SCOPES = ("cta", "cluster", "gpu", "sys", "gl")
_FENCES = {
    *(
        "sc",
        "acq_rel",
        "acquire",
        "release",
        "proxy",
        "mbarrier_init",
        "proxy::alias",
        "proxy::async",
        "alias",
        "async",
    ),
    *("tensormap::generic", "async::generic", "proxy::tensormap::generic", "sync_restrict::shared::cta"),
    *("async.global", "async::global", "async.shared::cta", "sync_restrict::shared::cluster", "tensormap", "generic"),
    *("global", "shared::cta", "shared::cluster", "shared", *_SCOPES),
}


@instruction("membar", "fence", group="fence")
def _fence(ins: Instruction, bind: Binder) -> Step:
    bind.only(*_FENCES)
    scope = {"gl": "gpu"}.get(ins.one_of(*_SCOPES), ins.one_of(*_SCOPES))
    proxy = ".".join(ins.modifiers[ins.modifiers.index("proxy") + 1 :]) if ins.has("proxy") else ""
    order = ins.one_of("sc", "acq_rel", "acquire", "release", default="sc" if ins.name == "membar" else "")

    def step(lanes: Lanes) -> None:
        lanes.batch.tell("fence", lanes, ins, scope=scope, order=order, proxy=proxy)

    return step


@instruction("nanosleep", "pmevent", group="other")
def _nothing(ins: Instruction, bind: Binder) -> Step:
    return lambda lanes: None


@instruction("brkpt", group="other")
def _breakpoint(ins: Instruction, bind: Binder) -> Step:
    bind.fail("there is no debugger to break to")
