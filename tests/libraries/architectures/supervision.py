"""Examines each architecture in a process of its own, whose death or delay is a verdict."""

import multiprocessing
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from architectures.architecture import Architecture
from architectures.examination import CRASHED, Verdict, examine

_FORKED = multiprocessing.get_context("fork")


def supervised(architecture: Callable[[], Architecture], options: Mapping[str, Any], seconds: float) -> Verdict:
    """Return the verdict of a child process, which has so many seconds; ``options`` are those of ``examine``."""
    receiver, sender = _FORKED.Pipe(duplex=False)
    child = _FORKED.Process(target=_serve, args=(sender, architecture, options))
    child.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            return Verdict(CRASHED, f"it ran longer than {seconds:g} s")
        verdict: Verdict = receiver.recv()
        return verdict
    except EOFError:
        child.join()
        return Verdict(CRASHED, f"the process ended with status {child.exitcode}")
    finally:
        child.kill()
        child.join()


def _serve(sender: Connection, architecture: Callable[[], Architecture], options: Mapping[str, Any]) -> None:
    try:
        verdict = examine(architecture(), **options)
    except Exception:
        verdict = Verdict(CRASHED, traceback.format_exc(limit=-3))
    sender.send(verdict)
