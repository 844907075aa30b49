"""Run pipelines.

Native passes run in native pass managers, ours are called from here between them: an exception of ours never crosses
C++ frames, which would leave the context locked.  Nested passes of ours are run by walking the ops here, for a
native pass manager with a wrong anchor ends the process.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from stepwell.dialects.definition import verify as verify_definitions
from stepwell.passes.base import Pass, counting
from stepwell.passes.pipelines.instruments import Instrument, PassEvent, Statistic
from stepwell.passes.pipelines.native_statistics import captured_statistics
from stepwell.passes.pipelines.plan import Adaptor, Node, Python, compile_steps, manager_of
from stepwell.passes.pipelines.steps import ANY, NativePass
from stepwell.support.bindings import PassDisplayMode, ir
from stepwell.support.diagnostics import collect_diagnostics
from stepwell.support.errors import InvalidOptionError, PassFailure, StepwellError

if TYPE_CHECKING:
    from stepwell.passes.pipelines.pipeline import Pipeline

__all__ = ["Execution", "PassBroke", "run"]

# Ops of upstream that MLIR lets a pass run on when the anchor is "any"; the bindings cannot ask for the trait.
ISOLATED = frozenset(
    {
        "async.func",
        "builtin.module",
        "emitc.func",
        "func.func",
        "gpu.func",
        "gpu.module",
        "llvm.func",
        "ml_program.func",
        "spirv.func",
        "spirv.module",
    }
)


def run(
    pipeline: "Pipeline",
    module: Any,
    *,
    instruments: Sequence[Instrument] = (),
    verify_each: bool = True,
    reproducer: bool = True,
    forward_diagnostics: bool = False,
    quick: bool = False,
    nodes: Sequence[Node] | None = None,
) -> None:
    """Run ``pipeline`` on ``module`` in place; see ``Pipeline.run``.

    Args:
        pipeline, module, instruments, verify_each, reproducer: see there.
        forward_diagnostics: let the caller's own diagnostic handler see errors as they come.
        quick: check what MLIR itself checks after each pass, and keep no copies: an error says little, and whoever
            meets one runs a copy again to learn more.
        nodes: what ``Execution.compile`` gave for the pipeline in the module's context; None to do that now.
    """
    from stepwell.passes.pipelines.failures import FailedRun, explain_failure

    op = module.operation
    if pipeline.anchor not in (op.name, ANY):
        raise InvalidOptionError(
            f"a pipeline on '{pipeline.anchor}' cannot run on '{op.name}'", fix=f"wrap it: {op.name}({pipeline})"
        )
    with op.context, ir.Location.unknown():
        execution = Execution(tuple(instruments), verify_each, quick)
        for node in nodes if nodes is not None else execution.compile(pipeline):
            # Without ip=False the copy would go where the caller happens to insert.
            before = None if quick else op.clone(ip=False)
            with collect_diagnostics(op.context, forward=forward_diagnostics) as diagnostics:
                try:
                    execution.run_node(node, op, ())
                    continue
                except PassBroke as broke:
                    failure = broke.failure
            if before is None:
                raise failure from failure.__cause__
            failed = FailedRun(node.steps, pipeline.anchor, before, verify_each)
            explain_failure(failure, diagnostics, failed, write=reproducer)
            raise failure from failure.__cause__


class PassBroke(Exception):
    """A pass failed by itself, as opposed to an instrument that raises about it."""

    def __init__(self, failure: PassFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True)
class Level:
    """One level of nesting: the kind of op, where in the level above, and the kinds visited together with it."""

    anchor: str
    position: int
    group: tuple[str, ...]


@dataclass(frozen=True)
class Execution:
    """How passes are run: what watches them, and how the IR is verified after each."""

    instruments: tuple[Instrument, ...] = ()
    verify_each: bool = True
    quick: bool = False

    def compile(self, pipeline: "Pipeline") -> tuple[Node, ...]:
        """Return what to run; refuses bad options of native passes."""
        every_pass = any(instrument.every_pass for instrument in self.instruments)
        return compile_steps(pipeline.steps, pipeline.anchor, every_pass=every_pass)

    def run_node(self, node: Node, op: Any, outer: tuple[Level, ...] = ()) -> None:
        """Run one node on ``op``, inside the nesting ``outer``; raises PassBroke."""
        if isinstance(node, Adaptor):
            for child in list(_children(op)):
                anchor = child.name if child.name in node.nodes else ANY
                if anchor in node.nodes and (anchor != ANY or child.name in ISOLATED):
                    for inner in node.nodes[anchor]:
                        self.run_node(inner, child, (*outer, Level(anchor, node.position, tuple(sorted(node.nodes)))))
        elif isinstance(node, Python):
            for target in list(_targets(op, node.step.anchor)):
                self._watched(
                    node.step, _event(node.step, target, outer, node.position), partial(_apply, node.step, target)
                )
        elif node.step is None:
            self._run_native(node.manager, op)
        else:
            # A manager adds up statistics over its runs, so each run of a counted pass has its own.
            manager = manager_of(node.anchor, node.steps) if self._wants_statistics else node.manager
            self._watched(
                node.step, _event(node.step, op, outer, node.position), partial(self._run_native, manager, op)
            )

    @property
    def _wants_statistics(self) -> bool:
        return any(instrument.statistics for instrument in self.instruments)

    def _watched(self, step: Pass | NativePass, event: PassEvent, act: Callable[[], None]) -> None:
        watching = [i for i in self.instruments if i.every_pass or isinstance(step, Pass)]
        for instrument in watching:
            instrument.before(event)
        try:
            statistics = self._counted(step, act)
        except (PassBroke, StepwellError) as error:
            if isinstance(error, PassBroke):
                error.failure.pass_name = step.name
            for instrument in reversed(watching):
                instrument.failed(event)
            raise
        event = replace(event, statistics=statistics)
        for instrument in reversed(watching):
            instrument.after(event)
        if isinstance(step, Pass) and self.verify_each:
            _verify(event.op, step.name, quick=self.quick)

    def _counted(self, step: Pass | NativePass, act: Callable[[], None]) -> dict[str, Statistic]:
        if not self._wants_statistics:
            act()
            return {}
        if isinstance(step, NativePass):
            return captured_statistics(act)
        with counting() as counted:
            act()
        return {name: Statistic(value, description) for name, (value, description) in counted.items()}

    def _run_native(self, manager: Any, op: Any) -> None:
        manager.enable_verifier(self.verify_each)
        if self._wants_statistics:
            manager.enable_statistics(PassDisplayMode.PIPELINE)
        try:
            manager.run(op)
        except ir.MLIRError as error:
            # Which pass it was, and why, is found out afterwards.
            failure = PassFailure("")
            failure.__cause__ = error
            raise PassBroke(failure) from error


def _event(step: Pass | NativePass, op: Any, outer: Sequence[Level], position: int) -> PassEvent:
    return PassEvent(
        step,
        op,
        anchors=tuple(level.anchor for level in outer),
        groups=tuple(level.group for level in outer),
        position=(*(level.position for level in outer), position),
    )


def _children(op: Any) -> Iterator[Any]:
    for region in op.regions:
        for block in region.blocks:
            for child in block.operations:
                yield child.operation


def _targets(op: Any, anchor: str) -> Iterator[Any]:
    """Yield ``op`` where it is of kind ``anchor``, else the outermost ops of that kind inside it."""
    if op.name == anchor:
        yield op
        return
    for child in _children(op):
        yield from _targets(child, anchor)


def _apply(step: Pass, op: Any) -> None:
    try:
        step.apply(op)
        return
    except PassFailure as error:
        failure = error
    except StepwellError:
        raise
    except ir.MLIRError as error:
        failure = PassFailure(f"pass '{step.name}' failed in MLIR: {error}")
        failure.__cause__ = error
    except Exception as error:
        op.location.emit_error(f"pass '{step.name}' raised {type(error).__name__}: {error}")
        failure = PassFailure(
            f"pass '{step.name}' raised {type(error).__name__}: {error}", fix="this is a bug of the pass"
        )
        failure.__cause__ = error
    raise PassBroke(failure)


def _verify(op: Any, name: str, *, quick: bool) -> None:
    try:
        op.verify()
        # The end of each stage asks for these too.
        faults = 0 if quick else verify_definitions(op)
    except ir.MLIRError:
        faults = 1
    if faults:
        failure = PassFailure(f"pass '{name}' left invalid IR", fix="this is a bug of the pass")
        failure.pass_name = name
        raise PassBroke(failure)
