"""Find the pass that failed, and leave something that repeats it.

A segment of native passes fails as a whole, and its module is then anything.  The copy made before it is run again pass
by pass, until the one that fails, so that the report names it and holds the IR before it.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.passes.pipelines.pipeline import Pipeline
from stepwell.passes.pipelines.reproducer import Reproducer
from stepwell.passes.pipelines.steps import Nested, Step, leaves
from stepwell.support.diagnostics import Diagnostic, collect_diagnostics
from stepwell.support.errors import PassFailure, StepwellError
from stepwell.support.reproducer_files import write_reproducer

__all__ = ["FailedRun", "explain_failure"]


@dataclass(frozen=True)
class FailedRun:
    """The part of a pipeline that failed.

    Attributes:
        steps: the steps among which the failing one is.
        anchor: what the pipeline runs on.
        before: a copy of the module before them; used up by ``explain_failure``.
        verify_each: whether the IR was verified after each pass.
    """

    steps: tuple[Step, ...]
    anchor: str
    before: Any
    verify_each: bool


def explain_failure(failure: PassFailure, diagnostics: Sequence[Diagnostic], run: FailedRun, *, write: bool) -> None:
    """Complete ``failure``: which pass, the reports, the IR before it, and with ``write`` a file that repeats it."""
    guess = run.before.clone(ip=False)
    found = _replay(run)
    steps, before = found if found is not None else (run.steps, guess)
    failure.pass_name = failure.pass_name or next((step.name for _, step in leaves(steps)), "")
    failure.diagnostics = tuple(diagnostics)
    failure.ir_before = str(before)
    failure.pipeline = str(Pipeline(*steps, anchor=run.anchor))
    first = next(iter(diagnostics), None)
    if not failure.message:
        failure.message = f"pass '{failure.pass_name}' failed" + (f": {first.message}" if first is not None else "")
        failure.args = (failure.message,)
    if failure.location is None and first is not None:
        failure.location = first.location
    if write:
        _write(failure, Reproducer(failure.pipeline, run.verify_each), before.get_asm(enable_debug_info=True))


def _replay(run: FailedRun) -> tuple[tuple[Step, ...], Any] | None:
    """Run the steps pass by pass; return the one that fails, nested as it was, and the module before it."""
    from stepwell.passes.pipelines.runner import Execution, PassBroke

    module = run.before
    execution = Execution(verify_each=run.verify_each)
    with collect_diagnostics(module.context, quiet=True):
        for anchors, leaf in leaves(run.steps):
            step: Step = leaf
            for anchor in reversed(anchors):
                step = Nested(anchor, (step,))
            before = module.clone(ip=False)
            try:
                for node in execution.compile(Pipeline(step, anchor=run.anchor)):
                    execution.run_node(node, module)
            except (PassBroke, StepwellError):
                return (step,), before
    return None


def _write(failure: PassFailure, reproducer: Reproducer, ir_text: str) -> None:
    try:
        path = write_reproducer(failure.pass_name, ".mlir", reproducer.attach(ir_text))
    except OSError as error:
        # The failure itself matters more than the file about it.
        failure.fix = failure.fix or f"no reproducer was written: {error}"
        return
    if path is not None:
        failure.reproducer = str(path)
        failure.command = f"stepwell-opt --run-reproducer {shlex.quote(failure.reproducer)}"
