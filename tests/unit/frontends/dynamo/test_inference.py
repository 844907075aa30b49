"""Models and functions compiled by ``torch.compile``: arguments, results, layouts, aliases, mutation, threads."""

import threading
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

Check = Callable[..., None]


class Counting(torch.nn.Module):
    """A buffer that changes, a parameter, an attribute that is no tensor, and a method of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(6, 4)
        self.register_buffer("calls", torch.zeros(3))
        self.power = 2

    def forward(self, x: torch.Tensor, *, bias: float = 0.0) -> dict[str, torch.Tensor]:
        self.calls.add_(1)
        return {"y": F.gelu(self.linear(x)) ** self.power + bias, "calls": self.calls * 2}

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x).softmax(-1)


def test_module(agree: Check) -> None:
    """Weights are read where they are: training them later is seen; buffers change in place."""
    model = Counting()
    compiled = torch.compile(model, backend="stepwell")
    x = torch.randn(5, 6)
    with torch.no_grad():
        for bias in (0.0, 0.5):
            found = compiled(x, bias=bias)
            assert model.calls.unique().numel() == 1
            model.calls.sub_(1)
            agree(found, model(x, bias=bias))
        model.linear.weight.mul_(3)
        agree(compiled(x)["y"], model(x)["y"])
    assert model.calls[0] == 4


def test_inference_mode_and_methods(agree: Check) -> None:
    """A method alone is compiled, and called in inference mode; modules are used again with other shapes."""
    model = Counting().eval()
    encode = torch.compile(model.encode, backend="stepwell")
    for rows in (3, 8, 5):
        x = torch.randn(rows, 6)
        with torch.inference_mode():
            agree(encode(x), model.encode(x))


def shapes(x: torch.Tensor, pair: tuple[torch.Tensor, int], *, keep: bool, more: dict[str, torch.Tensor]) -> Any:
    """Results of every layout: row-major, transposed, expanded, sliced, channels last; views and numbers too."""
    y = x * pair[0] + pair[1]
    image = torch.relu(more["image"])
    return {
        "plain": y,
        "transposed": (y - 1).t(),
        "expanded": (y.sum(0, keepdim=True) * 2).expand(4, 6),
        "sliced": (y * 3)[:, 1:3],
        "views": (x, x[1:], y.flatten()),
        "list": [part * 2 for part in y.split(2, dim=1)],
        "channels last": image,
        "sum": image.sum((2, 3)),
        "rows": more["image"].shape[0],
        "kept": keep,
        "nothing": None,
        "empty": y[:0] + 1,
        "made": torch.arange(3),
    }


def test_structures_and_layouts(agree: Check) -> None:
    """Nested arguments and results, numbers among them; results have torch's own strides."""
    x = torch.randn(4, 6)
    image = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    pair, more = (torch.randn(6), 3), {"image": image}
    compiled = torch.compile(shapes, backend="stepwell", fullgraph=True)
    found, wanted = (function(x, pair, keep=True, more=more) for function in (compiled, shapes))
    agree(found, wanted)
    # What is a view of an argument stays one.
    assert found["views"][0] is x
    assert found["views"][1].data_ptr() == x[1:].data_ptr()
    # Non-contiguous and overlapping arguments.
    wide = torch.randn(6, 1).t().expand(4, 6)
    agree(compiled(wide, pair, keep=True, more=more)["plain"], wide * pair[0] + 3)


def mutate(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Change one argument through a view, and read the other, which may be the same tensor."""
    x.view(-1)[1:3].mul_(2)
    x.add_(1)
    return x + y


def test_mutated_arguments(agree: Check) -> None:
    """Arguments change in place, also where the same tensor is passed twice or one is a view of the other."""
    compiled = torch.compile(mutate, backend="stepwell")
    for same in (False, True):
        x = torch.randn(2, 4)
        mine, theirs = x.clone(), x.clone()
        y = torch.randn(2, 4)
        found = compiled(mine, mine if same else y)
        agree((found, mine), (mutate(theirs, theirs if same else y), theirs))
    # Torch guards on overlapping arguments only where the first ones overlapped.
    torch.compiler.reset()
    whole = torch.randn(4, 4)
    copy = whole.clone()
    agree((compiled(whole[:2], whole[:2]), whole), (mutate(copy[:2], copy[:2]), copy))


def test_dtypes(agree: Check) -> None:
    """Every result has eager's dtype."""

    def function(i: torch.Tensor, h: torch.Tensor, d: torch.Tensor) -> Any:
        half = h @ h, (h.abs() * 2.5).sum()
        return *half, i.cumsum(0) // 3, d.exp() / 3, i.float() > 1, i / 2, torch.tensor([1.5, 2.5]) * d

    arguments = (torch.arange(4), torch.randn(3, 3).bfloat16(), torch.randn(2, dtype=torch.float64))
    agree(torch.compile(function, backend="stepwell", fullgraph=True)(*arguments), function(*arguments), 1e-2)


def test_programs_without_tensor_arguments(agree: Check) -> None:
    """Results are torch's tensors all the same, those of dtypes that numpy lacks too."""

    def function(size: int) -> Any:
        return torch.arange(size) * 2, torch.full((2, size), 0.5, dtype=torch.bfloat16)

    compiled = torch.compile(function, backend="stepwell")
    for size in (3, 4, 6):
        agree(compiled(size), function(size))


def test_attention(agree: Check) -> None:
    """What torch makes of attention while it traces has masks, causal ones too, and shared keys."""

    def function(q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor) -> Any:
        attend = F.scaled_dot_product_attention
        return (
            attend(q, q, q, is_causal=True),
            attend(q, k, k, mask, enable_gqa=True, scale=0.3),
            attend(q.transpose(1, 2), q.transpose(1, 2), q.transpose(1, 2)),
        )

    arguments = (torch.randn(2, 4, 5, 8), torch.randn(2, 2, 6, 8), torch.rand(5, 6) > 0.3)
    agree(torch.compile(function, backend="stepwell", fullgraph=True)(*arguments), function(*arguments))


def test_encoder_layers(agree: Check) -> None:
    """Without gradients torch calls a whole layer as one op."""
    model = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    x, hidden = torch.randn(2, 5, 16), torch.rand(2, 5) > 0.7
    hidden[:, 0] = False
    compiled = torch.compile(model, backend="stepwell", fullgraph=True)
    with torch.no_grad():
        agree(compiled(x, src_key_padding_mask=hidden), model(x, src_key_padding_mask=hidden))


def test_threads(agree: Check) -> None:
    """Several threads call the same compiled module, the first time too."""
    model = torch.nn.Sequential(torch.nn.Linear(7, 9), torch.nn.Tanh(), torch.nn.Linear(9, 2)).eval()
    compiled = torch.compile(model, backend="stepwell")
    inputs = [torch.randn(4, 7) for _ in range(4)]
    results: dict[int, torch.Tensor] = {}

    def work(number: int) -> None:
        with torch.no_grad():
            for _ in range(20):
                results[number] = compiled(inputs[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, x in enumerate(inputs):
        agree(results[number], model(x).detach())
