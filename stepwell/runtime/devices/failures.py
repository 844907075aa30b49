"""What kernels report through their status slots, as errors."""

from collections.abc import Iterable, Mapping, Sequence

from stepwell.runtime.plan import KernelInfo, Launch, Program
from stepwell.support.errors import RuntimeFailure


def failure(
    program: Program,
    infos: Mapping[str, KernelInfo],
    checked: Sequence[int],
    failures: Iterable[tuple[int, int]],
) -> RuntimeFailure:
    """Return the error for (slot, status) pairs; ``checked`` holds the launch numbers of slots 1, 2, ..."""
    lines = []
    for slot, status in failures:
        launch = program.launches[checked[slot - 1]]
        messages = infos[launch.kernel].asserts
        message = messages[status - 1] if 0 < status <= len(messages) else f"status {status}"
        lines.append(f"{message} ({describe(launch)})")
    return RuntimeFailure("; ".join(lines))


def describe(launch: Launch) -> str:
    """Name a launch for an error."""
    return f"kernel '{launch.kernel}', from {', '.join(launch.source) or 'an unknown op'}"
