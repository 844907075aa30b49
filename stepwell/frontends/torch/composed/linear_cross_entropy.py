"""Cross entropy of a linear layer's results: torch's own does it in chunks of the batch, which bound its memory."""

from typing import Any

import torch
from torch import Tensor

from stepwell.frontends.torch.compositions import composes


def _shares(logits: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return how much each class counts in each row's loss, and how much each row does in a mean."""
    classes = logits.shape[1]
    known = target != ignore_index
    weights = logits.new_ones(classes) if weight is None else weight.to(logits.dtype)
    chosen = torch.where(known, target, 0)
    counts = torch.where(known, weights.index_select(0, chosen), 0.0)
    hit = torch.arange(classes, device=logits.device) == chosen.unsqueeze(1)
    shares = torch.where(hit, counts.unsqueeze(1), 0.0)
    return shares, counts


@composes("torch_nn._linear_cross_entropy_batch_chunked.default")
def linear_cross_entropy(
    operand: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    linear_bias: Tensor | None,
    weight: Tensor | None,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
    chunk_size: int,
    accumulator: str,
    accumulator_dtype: torch.dtype,
    retain_graph: bool,
    for_operand: bool,
    for_weight: bool,
    for_bias: bool,
) -> Any:
    """The mean or sum of the losses, and its gradients where they are asked for."""
    if label_smoothing:
        return NotImplemented  # as torch's own op does
    dtype = operand.dtype
    logits = torch.nn.functional.linear(operand, linear_weight.to(dtype), _cast(linear_bias, dtype))
    logits = logits.to(torch.promote_types(dtype, torch.float32))
    shares, counts = _shares(logits, target, weight, ignore_index)
    if reduction == "mean":
        shares = shares / counts.sum()
    logarithms = torch.log_softmax(logits, 1)
    loss = -torch.where(shares != 0, shares * logarithms, 0.0).sum()
    change = (logarithms.exp() * shares.sum(1, keepdim=True) - shares).to(dtype)
    empty = operand.new_empty((0, 0))
    return (
        loss.to(dtype),
        change @ linear_weight.to(dtype) if for_operand else empty,
        change.t() @ operand if for_weight else empty.clone(),
        change.sum(0) if for_bias else operand.new_empty((0,)),
    )


@composes("torch_nn._linear_cross_entropy_batch_chunked_no_reduction.default")
def linear_cross_entropies(
    operand: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    linear_bias: Tensor | None,
    weight: Tensor | None,
    ignore_index: int,
    *chunks: Any,
) -> Tensor:
    """The loss of each row."""
    dtype = operand.dtype
    logits = torch.nn.functional.linear(operand, linear_weight.to(dtype), _cast(linear_bias, dtype))
    return torch.nn.functional.cross_entropy(
        logits, target, _cast(weight, dtype), ignore_index=ignore_index, reduction="none"
    )


def _cast(item: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if item is None else item.to(dtype)
