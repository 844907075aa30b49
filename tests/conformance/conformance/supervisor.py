"""Shares tasks out to child processes; the death or delay of a child costs the sample that causes it, not the run."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from conformance.database import chosen, samples
from conformance.verdicts import CRASHED, Tally, Verdict


@dataclass(frozen=True)
class Task:
    """Samples of one op with one dtype.

    Attributes:
        bound: how many samples at most; None for all.
        also: more samples, by index.
        elements: the largest sample to run; None for any.
        indices: these samples and no others.
    """

    op: str
    dtype: str
    seed: int
    target: str = "cpu"
    device: str = "cpu"
    bound: int | None = None
    also: tuple[int, ...] = ()
    elements: int | None = None
    indices: tuple[int, ...] | None = None


class ChildDiedError(Exception):
    """A child process ended, or was ended for its delay, before it answered."""


class Child:
    """One process, started by ``command``."""

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )

        assert self._process.stdout is not None
        # Else what keeps a child from starting would be put down to the samples.
        if not self._process.stdout.readline():
            raise RuntimeError(f"a child process did not start: status {self._process.wait()}")

    def ask(self, task: Task, seconds: float) -> dict[str, Any]:
        """Return the answer to a task; raises ChildDiedError, and the child is gone then."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(vars(task)).encode() + b"\n")
            self._process.stdin.flush()
            if not select.select([self._process.stdout], [], [], seconds)[0]:
                self.end()
                raise ChildDiedError(f"it ran longer than {seconds:g} s")
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            status = self._process.wait()
            name = signal.Signals(-status).name if status < 0 else f"status {status}"
            raise ChildDiedError(f"the process ended with {name}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self, patience: float = 0.0) -> None:
        """End the process, letting it finish by itself for so many seconds; its compile workers end with it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(patience)
        self._process.kill()
        self._process.wait()


class Supervisor:
    """Runs tasks in ``width`` children, side by side.

    Args:
        width: how many children.
        seconds: time limit of a task of one sample; more samples have more.
        report: called after each task with the task, its tally so far and the seconds by phase.
        command: what starts a child.

    Attributes:
        tallies: per op and dtype, what is known so far.
        notes: per op and dtype, why torch has no samples.
    """

    def __init__(
        self,
        width: int,
        seconds: float,
        report: Callable[[Task, Tally, dict[str, float]], None] = lambda *_: None,
        command: Sequence[str] = (sys.executable, "-m", "conformance.child"),
    ) -> None:
        self._command = command
        self._width = width
        self._seconds = seconds
        self._report = report
        self._lock = threading.Lock()
        self._queue: deque[Task] = deque()
        self.tallies: dict[tuple[str, str], Tally] = {}
        self._broken: list[BaseException] = []
        self.notes: dict[tuple[str, str], str] = {}

    def run(self, tasks: Iterable[Task]) -> dict[tuple[str, str], Tally]:
        """Return the tally of each (op, dtype)."""
        self._queue.extend(tasks)
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self._width)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self._broken:
            raise self._broken[0]
        return self.tallies

    def _work(self) -> None:
        try:
            self._serve(Child(self._command))
        except BaseException as error:
            self._broken.append(error)

    def _serve(self, child: Child) -> None:
        try:
            while (task := self._take()) is not None:
                try:
                    answer = child.ask(task, self._limit(task))
                except ChildDiedError as death:
                    child = Child(self._command)
                    answer = self._after_death(task, str(death))
                self._count(task, answer)
        finally:
            # What has ended by itself is counted in this process's account of its children's time.
            child.end(patience=10.0)

    def _limit(self, task: Task) -> float:
        return self._seconds * (4 if task.indices is None or len(task.indices) > 1 else 1)

    def _take(self) -> Task | None:
        with self._lock:
            return self._queue.popleft() if self._queue else None

    def _after_death(self, task: Task, death: str) -> dict[str, Any]:
        """Queue the samples of a task in smaller tasks; a single one is to blame."""
        if task.indices is not None and len(task.indices) == 1:
            return {"total": 0, "verdicts": [(task.indices[0], CRASHED, death)], "seconds": {}}
        indices = task.indices
        if indices is None:
            found = samples(task.op, task.dtype, task.seed)
            indices = tuple(chosen(found, task.bound, task.also, task.elements))
        half = max(1, len(indices) // 2)
        with self._lock:
            self._queue.extendleft(replace(task, indices=part) for part in (indices[half:], indices[:half]) if part)
        return {"total": 0, "verdicts": [], "seconds": {}}

    def _count(self, task: Task, answer: dict[str, Any]) -> None:
        with self._lock:
            tally = self.tallies.setdefault((task.op, task.dtype), Tally(0))
            tally.total = max(tally.total, answer["total"])
            tally.add((index, Verdict(kind, reason)) for index, kind, reason in answer["verdicts"])
            if note := answer.get("note"):
                self.notes[task.op, task.dtype] = note
            self._report(task, tally, answer["seconds"])
