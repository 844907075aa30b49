"""Where files go that repeat a failure."""

import os
import tempfile
from pathlib import Path

DIRECTORY_VARIABLE = "STEPWELL_REPRODUCERS"
"""Environment variable with the directory; empty means nowhere, unset the system's directory for temporary files."""


def write_reproducer(prefix: str, suffix: str, data: str | bytes) -> Path | None:
    """Write a new file; return its path, or None where none is wanted.

    Raises:
        OSError: the file cannot be written.
    """
    directory = os.environ.get(DIRECTORY_VARIABLE, tempfile.gettempdir())
    if not directory:
        return None
    Path(directory).mkdir(parents=True, exist_ok=True)
    handle, path = tempfile.mkstemp(prefix=f"stepwell-{prefix}-", suffix=suffix, dir=directory)
    with os.fdopen(handle, "wb") as file:
        file.write(data.encode() if isinstance(data, str) else data)
    return Path(path)
