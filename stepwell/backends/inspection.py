"""What a compilation leaves behind to look at: the IR at the end of each stage, and machine code."""

import os
from collections.abc import Callable, Mapping
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

from stepwell.backends.cpu.disassembly import disassemble
from stepwell.backends.nvidia.codegen import with_choice
from stepwell.dialects.context import make_context
from stepwell.passes.pipelines import Instrument, PassEvent, Pipeline
from stepwell.runtime.gpu_code import GpuCode
from stepwell.runtime.parts import Part
from stepwell.support.bindings import ir
from stepwell.support.errors import InvalidOptionError, StepwellError
from stepwell.support.stages import Stage
from stepwell.support.target import Target

DUMP_DIRECTORY = "STEPWELL_DUMP_DIR"
_VERIFIERS = {stage.verifier: stage for stage in Stage}
_programs = count()


class StageRecorder(Instrument):
    """Keeps the IR at the end of each stage of the whole program.

    Attributes:
        bytecode: stage -> MLIR bytecode, with locations.
    """

    every_pass = False

    def __init__(self) -> None:
        self.bytecode: dict[Stage, bytes] = {}

    def after(self, event: PassEvent) -> None:
        """Keep the IR where the pass is the verifier of a stage."""
        if event.name in _VERIFIERS and not event.anchors:
            stream = BytesIO()
            event.op.write_bytecode(stream)
            self.bytecode[_VERIFIERS[event.name]] = stream.getvalue()


class ProgramInspector:
    """Tells IR and machine code of a compiled program.

    Args:
        bytecode: the stages of the whole program.
        kernel_pipeline: what took each kernel further.
        objects: machine code by kernel name.
        target: what they are for.
        again: compiles a program, which it is given as bytecode, for another target.
    """

    def __init__(
        self,
        bytecode: Mapping[Stage, bytes],
        kernel_pipeline: Pipeline,
        objects: Mapping[str, bytes],
        target: Target,
        again: Callable[[bytes, Target], Part],
    ) -> None:
        self._bytecode = dict(bytecode)
        self._kernel_pipeline = kernel_pipeline
        self._objects = dict(objects)
        self._target = target
        self._again = again

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that ``ir`` can show, in order."""
        below = {Stage.SCHEDULED, Stage.TARGET} if Stage.KERNELS in self._bytecode else set()
        return tuple(stage for stage in Stage if stage in self._bytecode or stage in below)

    def ir(self, stage: str) -> str:
        """Return the IR at the end of ``stage`` as text.

        What the workers did is done again here for stages below ``kernels``.
        """
        try:
            wanted = Stage.from_label(stage)
        except KeyError as error:
            raise InvalidOptionError(error.args[0]) from None
        if wanted in self._bytecode:
            return _text(self._bytecode[wanted])
        if wanted not in (Stage.SCHEDULED, Stage.TARGET):
            raise StepwellError(f"the program did not pass stage '{stage}' when it was compiled")
        return _text(self._bytecode[Stage.KERNELS], lambda kernel: self._road(kernel).stop_after(wanted))

    def compile_for(self, target: Target) -> Part:
        """Compile the program for another target, from the first stage that was kept."""
        return self._again(next(iter(self._bytecode.values())), target)

    def _road(self, kernel: str) -> Pipeline:
        """Return what took a kernel further: that of the candidate which was chosen."""
        choice = 0 if self._target.kind == "cpu" else GpuCode.from_bytes(self._objects[kernel]).choice
        return with_choice(self._kernel_pipeline, choice) if choice else self._kernel_pipeline

    def asm(self, kernel: str) -> str:
        """Return the machine code of a kernel as text: the instructions of a CPU, the PTX of a GPU."""
        code = self._objects[kernel]
        return disassemble(code) if self._target.kind == "cpu" else GpuCode.from_bytes(code).ptx


def _text(bytecode: bytes, road: Callable[[str], Pipeline] | None = None) -> str:
    """Return a program as text, after the road of each of its kernels where ``road`` tells one."""
    with make_context() as context, ir.Location.unknown():
        module = ir.Module.parse(bytecode, context)
        if road is not None:
            for op in module.body.operations:
                if op.operation.name == "builtin.module":
                    name = op.operation.attributes["sym_name"].value
                    Pipeline(road(name), anchor="builtin.module").run(op.operation, reproducer=False)
        return str(module.operation)


def requested_dumps() -> list[Stage]:
    """Return the stages that ``STEPWELL_DUMP`` names; raises InvalidOptionError for an unknown one."""
    labels = [label for label in os.environ.get("STEPWELL_DUMP", "").split(",") if label.strip()]
    try:
        return [Stage.from_label(label.strip()) for label in labels]
    except KeyError as error:
        raise InvalidOptionError(f"STEPWELL_DUMP: {error.args[0]}") from None


def write_dumps(inspector: Any, stages: list[Stage]) -> list[Path]:
    """Write ``PROGRAM-STAGE-name.mlir`` files to ``$STEPWELL_DUMP_DIR`` (else the current directory)."""
    directory = Path(os.environ.get(DUMP_DIRECTORY, "."))
    program = next(_programs)
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for stage in stages:
            number = list(Stage).index(stage)
            path = directory / f"{program:02d}-{number}-{stage.label}.mlir"
            path.write_text(inspector.ir(stage.label))
            written.append(path)
    except OSError as error:
        raise InvalidOptionError(
            f"STEPWELL_DUMP: '{directory}' cannot be written: {error.strerror or error}",
            fix=f"set {DUMP_DIRECTORY} to a directory of your own",
        ) from error
    return written
