"""LSTM and GRU, by torch's own layers; ONNX orders the gates in another way."""

from typing import Any

import torch

from stepwell.frontends.onnx.registry import Call, operator
from stepwell.support.errors import ImportProgramError

# Where torch's gates stand among ONNX's.
_LSTM_GATES, _GRU_GATES = (0, 2, 3, 1), (1, 0, 2)


def _check(call: Call, lengths: Any, plain: list[str]) -> bool:
    """Return whether there are two directions; raises ImportProgramError for what torch's layers do not do."""
    direction, activations = call.get("direction", "forward"), call.get("activations")
    usual = activations is None or list(activations) == plain * (1 + (direction == "bidirectional"))
    if lengths is not None or not usual or direction == "reverse" or call.get("layout", 0) or call.get("clip"):
        raise ImportProgramError(
            f"node '{call.name}': {call.operator} with lengths, clipping, other activations, another layout or "
            "backwards is not supported"
        )
    return bool(direction == "bidirectional")


def _weights(order: tuple[int, ...], w: Any, r: Any, b: Any) -> list[Any]:
    """Return torch's flat weights: per direction input, recurrent, and their biases."""
    found: list[Any] = []
    for direction in range(w.shape[0]):
        hidden = r.shape[-1]
        bias = torch.zeros(2 * len(order) * hidden, dtype=w.dtype) if b is None else b[direction]
        for matrix in (w[direction], r[direction], *bias.chunk(2)):
            parts = matrix.split(hidden)
            found.append(torch.cat([parts[place] for place in order]))
    return found


@operator("LSTM")
def lstm(
    call: Call,
    x: Any,
    w: Any,
    r: Any,
    b: Any = None,
    lengths: Any = None,
    hidden: Any = None,
    cell: Any = None,
    peepholes: Any = None,
) -> Any:
    both = _check(call, lengths, ["Sigmoid", "Tanh", "Tanh"])
    if peepholes is not None:
        raise ImportProgramError(f"node '{call.name}': LSTM with peepholes is not supported")
    start = torch.zeros(w.shape[0], x.shape[1], r.shape[-1], dtype=x.dtype)
    states = [start if state is None else state for state in (hidden, cell)]
    y, h, c = torch.lstm(x, states, _weights(_LSTM_GATES, w, r, b), True, 1, 0.0, False, both, False)
    return _directions(y, w.shape[0]), h, c


@operator("GRU")
def gru(call: Call, x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, hidden: Any = None) -> Any:
    both = _check(call, lengths, ["Sigmoid", "Tanh"])
    if not call.get("linear_before_reset", 0):
        raise ImportProgramError(f"node '{call.name}': GRU that resets before its product is not supported")
    start = torch.zeros(w.shape[0], x.shape[1], r.shape[-1], dtype=x.dtype) if hidden is None else hidden
    y, h = torch.gru(x, start, _weights(_GRU_GATES, w, r, b), True, 1, 0.0, False, both, False)
    return _directions(y, w.shape[0]), h


def _directions(y: Any, count: int) -> Any:
    """Return [length, directions, batch, hidden] from [length, batch, directions * hidden]."""
    return y.reshape(y.shape[0], y.shape[1], count, -1).transpose(1, 2)
