"""What orders kernels, proxies and register use, and does nothing else in a simulated launch.

Source: PTX ISA, "griddepcontrol", "fence.proxy", "fence.mbarrier_init" and "setmaxnreg". Launches run one after the
other: a dependent launch finds the one before it complete. Fences are told to the observers.
"""

from stepwell.runtime.simulator.machine.binding import Binder
from stepwell.runtime.simulator.machine.lanes import Lanes
from stepwell.runtime.simulator.machine.registry import Step, instruction
from stepwell.runtime.simulator.ptx.module import Instruction

_SCOPES = ("cta", "cluster", "gpu", "sys")


@instruction("griddepcontrol", group="other")
def _griddepcontrol(ins: Instruction, bind: Binder) -> Step:
    bind.only("wait", "launch_dependents")
    action = ins.one_of("wait", "launch_dependents")

    def step(lanes: Lanes) -> None:
        lanes.batch.tell(f"griddepcontrol.{action}", lanes, ins)

    return step


@instruction("setmaxnreg", group="other", members="warp")
def _setmaxnreg(ins: Instruction, bind: Binder) -> Step:
    bind.only("inc", "dec", "sync", "aligned", "u32")
    count = bind.immediate(0)
    if not 24 <= count <= 256 or count % 8:
        bind.fail(f"{count} registers is not a multiple of 8 from 24 to 256")
    return lambda lanes: None


@instruction("fence.mbarrier_init", group="barrier")
def _fence_mbarrier_init(ins: Instruction, bind: Binder) -> Step:
    bind.only("mbarrier_init", "release", "cluster")
    return _telling(ins, "mbarrier_init", "shared", "cluster")


@instruction("fence.proxy", group="barrier")
def _fence_proxy(ins: Instruction, bind: Binder) -> Step:
    words = ("proxy", "alias", "async", "global", "shared::cta", "shared::cluster", "acquire", "release")
    bind.only(*words, "tensormap::generic", "async::generic", "sync_restrict::shared::cta", *_SCOPES)
    space = ins.one_of("shared::cta", "shared::cluster", "global", default="")
    kind = "proxy.tensormap" if ins.has("tensormap::generic") else f"proxy.{ins.one_of('alias', default='async')}"
    return _telling(ins, kind, space.partition("::")[0], ins.one_of(*_SCOPES, default="cta"))


def _telling(ins: Instruction, kind: str, space: str, scope: str) -> Step:
    """Return a step that tells of a fence."""

    def step(lanes: Lanes) -> None:
        lanes.batch.tell("fence", lanes, ins, kind=kind, space=space, scope=scope)

    return step
