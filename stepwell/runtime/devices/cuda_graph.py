"""Calls captured as CUDA graphs: the driver launches all kernels of a program at once, on memory that stays."""

import ctypes
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from stepwell.runtime.binding import BoundProgram, ResultPlace
from stepwell.runtime.devices.cuda_program import BoundCuda, CudaProgram
from stepwell.runtime.devices.device import Tensor
from stepwell.runtime.devices.staging import SCRATCH
from stepwell.runtime.driver.gpu import Block, Gpu, order
from stepwell.runtime.driver.queues import CudaQueue
from stepwell.runtime.driver.tensors import DeviceKind
from stepwell.runtime.session import Session
from stepwell.support.errors import ArgumentError

_NON_BLOCKING = 1
_THREAD_LOCAL = 1
_MOST = 64


class CudaGraph:
    """A program captured for one set of shapes.

    Calling it copies the arguments to where the captured kernels read them, launches them, and returns the captured
    results: tensors on the GPU are the same ones each time, so that the next call overwrites them.

    Args:
        session: the program.
        args, kwargs: arguments of the shapes to capture.
        warm: whether the kernels have run already; else the program runs on the arguments once.

    Raises:
        DeviceError: the driver captures no such graph; the program stays as usable as it was.
    """

    def __init__(
        self, session: Session, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, warm: bool = False
    ) -> None:
        self._session = session
        program = session.program()
        assert isinstance(program, CudaProgram)
        self._program = program
        self._gpu = program.gpu
        self._lock = threading.Lock()
        arguments, bound = session.accept(args, kwargs)
        assert isinstance(bound, BoundCuda)
        self._bound = bound
        results = session.outputs.make(arguments, bound, None)
        with self._gpu.current():
            self._inputs = [_Static.like(self._gpu, *argument) for argument in arguments]
            self._outputs = [
                _Static.result(self._gpu, *result, place) for result, place in zip(results, bound.results, strict=True)
            ]
            queue = CudaQueue(self._gpu, self._gpu.stream)
            self._stream = queue.stream
            # It holds the memory of intermediate results for good.
            self._frame = program.take_frame(bound, queue)
            self._fill(queue, arguments)
            addresses = [static.address for static in (*self._inputs, *self._outputs)]
            if not warm:
                # The first run of a kernel may make the driver do what it cannot do in a capture.
                program.enqueue(bound, queue, self._frame, addresses)
            queue.wait()
            self._graph = self._capture(addresses)
        weakref.finalize(self, _destroy, self._gpu, self._graph)

    def _capture(self, addresses: Sequence[int]) -> int:
        driver = self._gpu.driver
        # On a stream of its own nobody else's work gets captured.
        stream = driver.handle("cuStreamCreate", _NON_BLOCKING)
        try:
            driver.call("cuStreamBeginCapture_v2", stream, _THREAD_LOCAL, doing="a CUDA graph cannot be captured")
            graph = ctypes.c_size_t()
            try:
                queue = CudaQueue(self._gpu, stream)
                self._program.enqueue(self._bound, queue, self._frame, addresses, captured=True)
            except BaseException:
                driver.attempt("cuStreamEndCapture", stream, ctypes.byref(graph))
                if graph.value:
                    driver.attempt("cuGraphDestroy", graph.value)
                raise
            driver.call("cuStreamEndCapture", stream, ctypes.byref(graph), doing="a CUDA graph cannot be captured")
            try:
                return driver.handle("cuGraphInstantiateWithFlags", graph.value, 0, doing="a CUDA graph cannot be made")
            finally:
                driver.attempt("cuGraphDestroy", graph.value)
        finally:
            driver.attempt("cuStreamDestroy_v2", stream)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the captured program on other elements; raises ArgumentError where shapes differ."""
        arguments, bound = self._session.accept(args, kwargs)
        if bound is not self._bound and bound.sizes != self._bound.sizes:
            raise ArgumentError(
                f"the graph was captured for other sizes: {_text(self._bound.sizes)}, got {_text(bound.sizes)}",
                fix="capture one graph per set of sizes",
            )
        results = [static.tensor() for static in self._outputs]
        self.replay(arguments, results)
        return self._session.outputs.nest(results, arguments, bound)

    def replay(self, arguments: Sequence[Tensor], results: Sequence[Tensor]) -> None:
        """Run the captured program; put its results into ``results`` where they are other tensors than its own."""
        program = self._program
        program.report_failures()
        with self._lock, self._session.turn, self._gpu.current():
            queue = program.queue_for(arguments)
            # The last call may have been on another stream, and uses the same memory.
            order(self._gpu, before=self._stream, after=queue.stream)
            self._stream = queue.stream
            self._fill(queue, arguments)
            with program.turn_on(queue):
                self._gpu.driver.call(
                    "cuGraphLaunch", self._graph, queue.stream, doing="a CUDA graph cannot be launched"
                )
            for static in self._outputs:
                static.note(queue)
            waits = [static.give(queue, *result) for static, result in zip(self._outputs, results, strict=True)]
            if any(waits):
                queue.wait()
                program.report_failures()
            self._session.outputs.write_back(arguments, results)

    def _fill(self, queue: CudaQueue, arguments: Sequence[Tensor]) -> None:
        for static, (kind, value) in zip(self._inputs, arguments, strict=True):
            static.fill(queue, kind, value, self._gpu)


class _Static:
    """A tensor at an address that stays: a captured kernel's argument or result."""

    def __init__(self, address: int, nbytes: int, kind: Any, value: Any, owner: Any) -> None:
        self.address = address
        self._nbytes = nbytes
        self._kind = kind
        self._value = value
        self._owner = owner

    @classmethod
    def like(cls, gpu: Gpu, kind: Any, value: Any) -> "_Static":
        """Return the place of an argument."""
        dtype = kind.to_dtype(kind.dtype(value))
        nbytes = dtype.itemsize
        for size in value.shape:
            nbytes *= size
        block = Block(gpu, nbytes, "a captured argument")
        return cls(block.address, nbytes, kind, value, block)

    @classmethod
    def result(cls, gpu: Gpu, kind: Any, value: Any, place: ResultPlace) -> "_Static":
        """Return the place of a result: the tensor itself where it is on the GPU."""
        if kind is SCRATCH or kind.on_host:
            block = Block(gpu, place.size, "a captured result")
            return cls(block.address, place.size, kind, (place.shape, place.dtype), block)
        return cls(kind.address(value), place.size, kind, value, value)

    def tensor(self) -> Tensor:
        """Return what the caller sees of a result: the captured tensor, or a fresh one of the host."""
        if self._kind is not SCRATCH and self._kind.on_host:
            return self._kind, self._kind.empty(*self._value)
        return self._kind, self._value

    def fill(self, queue: CudaQueue, kind: Any, value: Any, gpu: Gpu) -> None:
        """Copy an argument here."""
        if not kind.is_contiguous(value):
            value = kind.pack(value)
        if kind.on_host:
            queue.upload(self.address, kind.view(value, kind.to_dtype(kind.dtype(value))))
            return
        if isinstance(kind, DeviceKind):
            value.use_on(queue.stream)
            gpu.borrow(queue.stream, [value])
        else:
            queue.borrow(value)
        queue.copy(self.address, kind.address(value), self._nbytes)

    def note(self, queue: CudaQueue) -> None:
        """Note on which stream a result appears."""
        if isinstance(self._kind, DeviceKind):
            self._value.use_on(queue.stream)

    def give(self, queue: CudaQueue, kind: Any, value: Any) -> bool:
        """Copy a result to a tensor; return whether the host has to wait for it."""
        if kind is SCRATCH or not self._nbytes:
            return False
        if kind.on_host:
            queue.download(kind.view(value, kind.to_dtype(kind.dtype(value))), self.address)
            return True
        if kind.address(value) != self.address:
            if isinstance(kind, DeviceKind):
                value.use_on(queue.stream)
            queue.copy(kind.address(value), self.address, self._nbytes)
        return False


class GraphedCalls:
    """Calls of a program by graphs, one per set of shapes, captured at the second call; results are fresh tensors."""

    def __init__(self, session: Session) -> None:
        self._session = session
        # By the bound program's identity, which holds while it is kept here.
        self._graphs: dict[int, tuple[BoundProgram | None, CudaGraph | None]] = {}
        self._lock = threading.Lock()

    def call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> Any:
        """Run the program once."""
        arguments, bound = self._session.accept(args, kwargs)
        with self._lock:
            seen, graph = self._graphs.get(id(bound), (None, None))
            if seen is not bound:
                if len(self._graphs) >= _MOST:
                    self._graphs.clear()
                self._graphs[id(bound)] = (bound, None)
                return self._session.call(args, kwargs, out)[0]
            if graph is None:
                graph = CudaGraph(self._session, args, kwargs, warm=True)
                self._graphs[id(bound)] = (bound, graph)
        results = self._session.outputs.make(arguments, bound, out)
        graph.replay(arguments, results)
        return self._session.outputs.nest(results, arguments, bound, out)


def _text(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in sizes.items()) or "none"


def _destroy(gpu: Gpu, graph: int) -> None:
    driver = gpu.driver
    if driver.attempt("cuCtxPushCurrent_v2", gpu.context) == 0:
        driver.attempt("cuCtxSynchronize")
        driver.attempt("cuGraphExecDestroy", graph)
        driver.attempt("cuCtxPopCurrent_v2", ctypes.byref(ctypes.c_size_t()))
