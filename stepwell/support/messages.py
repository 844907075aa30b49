"""Messages between processes: JSON and raw bytes, length first, over pipes.  Nothing in them is code."""

import json
import os
import select
import struct
import time
from typing import Any

_LENGTHS = struct.Struct("<II")
_MAX_HEADER = 1 << 28


class ConnectionClosedError(Exception):
    """The other side has gone, at a message's end or in its middle."""


class DeadlineError(Exception):
    """Time ran out before the whole message was there."""


def send(descriptor: int, header: dict[str, Any], body: bytes = b"") -> None:
    """Write one message; raises ConnectionClosedError."""
    text = json.dumps(header).encode()
    data = memoryview(_LENGTHS.pack(len(text), len(body)) + text + body)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError as error:
        raise ConnectionClosedError(str(error)) from error


def receive(descriptor: int, seconds: float | None = None) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    Args:
        descriptor: a pipe's reading end.
        seconds: how long to wait for the whole of it; None for ever.

    Raises:
        ConnectionClosedError: the writer has gone.
        DeadlineError: it did not come in time.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    header, body = _LENGTHS.unpack(_read(descriptor, _LENGTHS.size, deadline))
    if header > _MAX_HEADER:
        raise ConnectionClosedError("the stream holds no message")
    return json.loads(_read(descriptor, header, deadline)), _read(descriptor, body, deadline)


def _read(descriptor: int, size: int, deadline: float | None) -> bytes:
    data = bytearray()
    while len(data) < size:
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise DeadlineError
        try:
            chunk = os.read(descriptor, min(size - len(data), 1 << 20))
        except OSError as error:
            raise ConnectionClosedError(str(error)) from error
        if not chunk:
            raise ConnectionClosedError("end of stream")
        data += chunk
    return bytes(data)
