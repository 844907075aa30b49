"""A compiled program that can be called."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stepwell.runtime.devices.device import PLAIN, CallMode
from stepwell.runtime.devices.opening import open_device
from stepwell.runtime.parts import Part
from stepwell.runtime.plan import Plan
from stepwell.runtime.report import Report, Sample, explain, make_report
from stepwell.runtime.session import Session
from stepwell.support.errors import ArgumentError, InvalidOptionError, StepwellError
from stepwell.support.signature import GENERATOR, Signature
from stepwell.support.stages import Stage
from stepwell.support.target import PORTABLE_GPU, Target

if TYPE_CHECKING:
    from stepwell.runtime.devices.cuda_graph import CudaGraph, GraphedCalls


class Inspector(Protocol):
    """What the compiler can still tell of a program that it has just made."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that ``ir`` can show, in order."""

    def ir(self, stage: str) -> str:
        """Return the IR at the end of a stage; raises StepwellError for one that was not kept."""

    def asm(self, kernel: str) -> str:
        """Return the machine code of a kernel as text."""

    def compile_for(self, target: Target) -> Part:
        """Compile the program for another target."""


class Executable:
    """A program for one device, called like the module it was exported from.

    It takes torch tensors or numpy arrays in the exported structure, and returns what it was given: torch tensors where
    any argument was one, else numpy arrays.  Outputs are always fresh memory.  Calls from several threads run side by
    side; those of a program with buffers that change run one after the other.

    Args:
        plan: what to run.
        kernels: machine code by kernel name.
        constants: parameters, buffers and constants by name.
        target: what the code was made for.
        device: what to run it on: "cpu", "cuda", "sim" (a simulated GPU), or None for the target's own.
        inspector: tells IR and machine code; None for a loaded artifact.
        cuda_graphs: capture each set of shapes as a CUDA graph at its second call, and launch that from then on.
        copy: whether to copy the constants, so that later training of the same tensors does not reach in here.
            Tensors that calls change are always copied.

        parts: the same program for other targets too, which ``save`` writes; this one may be among them.

    Raises:
        ArtifactError: the code does not run on this machine.
        ArgumentError: a constant is missing or does not fit.
        DeviceError: ``device`` is a GPU that cannot be used; without ``device`` that shows at the first call.
    """

    def __init__(
        self,
        plan: Plan,
        kernels: Mapping[str, bytes],
        constants: Mapping[str, Any],
        *,
        target: str | Target = "cpu",
        device: str | None = None,
        inspector: Inspector | None = None,
        copy: bool = True,
        cuda_graphs: bool = False,
        parts: Sequence[Part] = (),
    ) -> None:
        self.plan = plan
        self.kernels = dict(kernels)
        self.target = Target.parse(target) if isinstance(target, str) else target
        self._inspector = inspector
        self._parts = tuple(parts)
        self.session = Session(plan, open_device(plan, self.kernels, self.target, device), constants, copy=copy)
        self._graphs = self._graphed_calls() if cuda_graphs else None
        self._samples: list[Sample] = []
        self._sizes: Mapping[str, int] = {}

    @property
    def signature(self) -> Signature:
        """What the program takes and gives."""
        return self.plan.signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program.

        Two keywords are for the call itself, where the program has no argument of that name.  ``out=`` gives tensors to
        write the results to, in the structure of the returned value; it is returned, with arguments that the program
        returns in their places.  ``check_errors=True`` waits for each kernel on a GPU, so that an error names the one
        that caused it.

        Raises:
            ArgumentError: an argument does not fit; the message names it.
            RuntimeFailure: a kernel found an error, such as an index out of range; on a GPU, maybe in an earlier call.
            DeviceError: the device cannot run the program.
        """
        out, mode = None, PLAIN
        if kwargs:
            known = self.session.arguments.keywords
            if "out" in kwargs and "out" not in known:
                out = kwargs.pop("out")
            if "check_errors" in kwargs and "check_errors" not in known:
                mode = CallMode(check_errors=bool(kwargs.pop("check_errors")))
        if self._graphs is not None and not mode.check_errors:
            return self._graphs.call(args, kwargs, out)
        return self.session.call(args, kwargs, out, mode)[0]

    def cuda_graph(self, *args: Any, **kwargs: Any) -> "CudaGraph":
        """Capture a call as a CUDA graph, which launches all kernels at once.

        The arguments give the shapes; the program runs on them once before it is captured.

        Raises:
            InvalidOptionError: the program does not run on an NVIDIA GPU, or needs the host in the middle.
            DeviceError: the driver does not capture it.
        """
        self._graphed_calls()
        from stepwell.runtime.devices.cuda_graph import CudaGraph

        return CudaGraph(self.session, args, kwargs)

    def _graphed_calls(self) -> "GraphedCalls":
        if self.session.device.name != "cuda":
            raise InvalidOptionError(f"device '{self.session.device.name}' has no CUDA graphs", fix="use device='cuda'")
        if not self.plan.main.is_straight:
            raise InvalidOptionError(
                "a CUDA graph cannot hold this program: the host reads what kernels computed in the middle of it",
                fix="call the program without cuda_graphs",
            )
        from stepwell.runtime.devices.cuda_graph import GraphedCalls

        return GraphedCalls(self.session)

    def synchronize(self) -> None:
        """Wait for all calls; raises RuntimeFailure where a kernel found an error, DeviceError where one broke."""
        self.session.device.synchronize()

    def profile(self, *args: Any, repeat: int = 10, **kwargs: Any) -> Report:
        """Run the program ``repeat`` times after one warm-up, measure each launch, and return the report."""
        self.session.call(args, kwargs)
        samples: list[Sample] = []
        for _ in range(max(repeat, 1)):
            self._sizes = self.session.call(args, kwargs, None, CallMode(samples))[1].sizes
        self._samples = samples
        return self.report()

    def report(self) -> Report:
        """Return what each launch moves and computes, and how long it took in the last ``profile``."""
        return make_report(self.plan, self._samples, self._sizes)

    def explain(self) -> str:
        """Return which schedule each kernel got, and why."""
        return explain(self.plan, self.kernels)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages whose IR ``ir`` can show; none for a loaded artifact."""
        return () if self._inspector is None else self._inspector.stages

    def ir(self, stage: str) -> str:
        """Return the IR at the end of ``stage``; raises StepwellError for a loaded artifact, which holds none."""
        return self._inspect().ir(stage)

    def asm(self, kernel: str) -> str:
        """Return the machine code of ``kernel`` as text; raises StepwellError for a loaded artifact."""
        if kernel not in self.plan.kernels:
            raise ArgumentError(f"there is no kernel '{kernel}'; there are {', '.join(self.plan.kernels) or 'none'}")
        return self._inspect().asm(kernel)

    def _inspect(self) -> Inspector:
        if self._inspector is None:
            raise StepwellError(
                "a loaded artifact holds machine code and its plan, neither IR nor a compiler to print it with",
                fix="call ir and asm on the executable that compile returns",
            )
        return self._inspector

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the buffers that calls change, by name, as numpy arrays."""
        return dict(self.session.state(self.session.outputs.changed))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Set the buffers that calls change; raises ArgumentError where names, shapes or dtypes differ."""
        names = self.session.outputs.changed
        if set(state) != set(names):
            raise ArgumentError(f"the state must hold exactly {sorted(names)}, got {sorted(state)}")
        self.session.load_state(state)

    def manual_seed(self, seed: int) -> None:
        """Start the program's random numbers anew from ``seed``; nothing happens where it draws none.

        A program starts from what ``torch.initial_seed()`` was when it was imported; each call goes on from the last.
        """
        wrapped = (seed + (1 << 63)) % (1 << 64) - (1 << 63)
        names = [spec.name for spec in self.signature.arguments if spec.kind == GENERATOR]
        if names:
            self.session.load_state({name: np.array([wrapped, 0]) for name in names})

    @property
    def parts(self) -> tuple[Part, ...]:
        """The program as it was compiled for each target, in the order in which ``save`` writes them."""
        session = self.session
        session.state(session.outputs.changed)
        constants = {name: session.constants.array(name) for name in session.constants.names}
        own = Part(self.target, self.plan, self.kernels, constants)
        if not any(part.target == self.target for part in self._parts):
            return (own, *self._parts)
        return tuple(own if part.target == self.target else part for part in self._parts)

    def save(self, path: str | Path, *, also: Sequence["Executable"] = (), portable: bool = False) -> None:
        """Write an artifact, which ``load`` runs without compiler or torch; changed buffers keep their values.

        Args:
            path: where to.
            also: executables of the same program for other targets: one file then serves several machines.
            portable: of a program for GPUs, add a part for sm_80, which GPUs of all later architectures run; it is
                compiled now where it is not among the parts.

        Raises:
            ArtifactError: the parts are not of one program, or the file cannot be written.
            StepwellError: there is no portable part, and the executable is a loaded artifact, which holds no compiler.
            InvalidOptionError: it is a program for a CPU, or was compiled by a pipeline of its own.
        """
        from stepwell.runtime.artifact import save_artifact

        parts = [*self.parts, *(part for other in also for part in other.parts)]
        if portable and not any(part.target.arch == PORTABLE_GPU for part in parts):
            parts.append(self._portable_part())
        save_artifact(parts, Path(path))

    def _portable_part(self) -> Part:
        if self.target.kind != "cuda":
            raise InvalidOptionError(f"code for {self.target} has no portable part", fix="leave out portable=True")
        if self._inspector is None:
            raise StepwellError(
                f"a loaded artifact holds no compiler that could make code for {PORTABLE_GPU}",
                fix="save with portable=True what compile returns",
            )
        return self._inspector.compile_for(Target("cuda", PORTABLE_GPU))
