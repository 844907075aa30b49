"""Views, concatenation, pads and the writing of parts, against torch."""

import torch
import torch.nn.functional as F
from harness import Case, Inputs, check_cases

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


def test_reshapes() -> None:
    draw = Inputs()
    x = draw.floats(3, 4, 6)
    cases = [
        Case("view", lambda x: (x.view(12, 6), x.view(2, 6, -1), x.view(3, 1, 4, 6, 1)), [x]),
        Case("reshape", lambda x: (x.reshape(-1), x.transpose(0, 1).reshape(4, 18), x.reshape(9, 8)), [x]),
        Case("flatten", lambda x: (x.flatten(), x.flatten(1), x.flatten(0, 1), x.unflatten(2, (2, 3))), [x]),
        Case("units", lambda x: (x.unsqueeze(0), x.unsqueeze(-1).squeeze(), x[None].squeeze(0), x.squeeze(1)), [x]),
        Case("squeeze-dims", lambda x: (x.squeeze((0, 2)), x.squeeze(0)), [draw.floats(1, 4, 1, 3)]),
        Case("copies", lambda x: (x.clone() + 0, x.contiguous() + 0, x.transpose(0, 2).contiguous()), [x]),
        Case("scalar", lambda x: (x.reshape(1, 1), x.expand(3), x.unsqueeze(0), x.t(), x.flip([])), [draw.floats()]),
        Case("empty", lambda x: (x.reshape(0, 24), x.view(6, 0), x.permute(2, 0, 1)), [draw.floats(0, 4, 6)]),
        Case("one", lambda x: (x.reshape(()), x.view(1, 1, 1), x.expand(2, 3)), [draw.floats(1, 1)]),
    ]
    check_cases("shape", cases)


def test_permutations_and_repetition() -> None:
    draw = Inputs()
    cases = []
    for dtype in (torch.float32, torch.bfloat16, torch.uint8, torch.bool):
        x = draw.like(dtype, 3, 5, 7)
        cases += [
            Case(f"permute-{dtype}", lambda x: (x.permute(2, 0, 1), x.transpose(0, -1), x.movedim(0, -1), x.mT), [x]),
            Case(f"expand-{dtype}", lambda x: (x[:1].expand(4, -1, 7), x[0, 0].expand(2, 3, 7)), [x]),
            Case(f"repeat-{dtype}", lambda x: (x.repeat(2, 1, 3), x.repeat(2, 1, 1, 1), x.tile(2)), [x]),
            Case(f"flip-{dtype}", lambda x: (x.flip(0), x.flip(1, -1), torch.rot90(x), torch.fliplr(x)), [x]),
            Case(f"roll-{dtype}", lambda x: (x.roll(2, 1), x.roll(-1), x.roll((1, -9), (0, 2)), x.roll(5, 1)), [x]),
        ]
    cases.append(Case("repeat-none", lambda x: x.repeat(0, 2), [draw.floats(3, 2)]))
    check_cases("shape", cases)


def test_slices() -> None:
    draw = Inputs()
    x = draw.floats(3, 8, 6)
    cases = [
        Case("slice", lambda x: (x[1:], x[:, -2:], x[:, ::2], x[:, 1:100:3], x[..., 3:1], x[:, -100:2]), [x]),
        Case(
            "select",
            lambda x: (x.select(1, -1), x[1, 2], x[1, 2, 3], x[:, -8], x.narrow(1, 1, 2), x.narrow_copy(1, -3, 2)),
            [x],
        ),
        Case("split", lambda x: (*x.split(3, 1), *x.chunk(2, 0), *x.split([1, 0, 7], 1), *x.unbind(2)), [x]),
        Case("tensor-split", lambda x: (*torch.tensor_split(x, 4, 1), *torch.hsplit(x, 2)), [x]),
        Case("nothing", lambda x: (x[3:], x[:0].flip(0), x[:, 5:5, None]), [x]),
        Case("windows", lambda x: (x.unfold(1, 3, 2), x.unfold(2, 6, 1), x.unfold(0, 1, 2)), [x]),
        Case("diagonal", lambda x: (x.diagonal(), x.diagonal(1, 1, 2), x.diagonal(-2, 0, 2), x.diagonal(9)), [x]),
        Case("strided-views", lambda x: (x[:, 1:3].as_strided((2, 2), (1, 2)), x[3:].as_strided((2,), (1,), 0)), [x]),
        Case("strided", lambda x: (x.as_strided((2, 3), (1, 2), 1), x.as_strided((2, 2, 2), (0, 3, 5))), [x]),
        Case("number", lambda x: (x[0, 0, 0].unfold(0, 0, 1), x[0, 0, 0].unfold(0, 1, 1)), [x]),
        Case("columns", lambda x: (F.unfold(x[None], 3), F.unfold(x[None], (2, 3), 2, 1, (1, 2))), [x]),
    ]
    check_cases("shape", cases)


def test_concatenation() -> None:
    draw = Inputs()
    cases = []
    for dtype in DTYPES:
        x, y = draw.like(dtype, 3, 4), draw.like(dtype, 3, 2)
        cases += [Case(f"cat-{dtype}", lambda x, y: (torch.cat([x, y], 1), torch.stack([x, x], -1)), [x, y])]
    x = draw.floats(3, 4)
    cases += [
        Case("many", lambda x: torch.cat([x + i for i in range(37)], -1), [x]),
        Case("promotes", lambda x, n: (torch.cat([x, n]), torch.stack([n, x])), [x, draw.integers(3, 4)]),
        Case("legacy-empty", lambda x, e: torch.cat([e, x, e]), [x, draw.floats(0)]),
        Case("no-elements", lambda x: (torch.cat([x[:0], x]), torch.cat([x[:, :0], x[:, :0]], 1)), [x]),
        Case("stacks", lambda x: (torch.hstack([x, x]), torch.vstack([x, x]), torch.dstack([x, x])), [x]),
        Case("scalars", lambda s: torch.stack([s, s + 1]), [draw.floats()]),
    ]
    check_cases("shape", cases)


def test_pads() -> None:
    draw = Inputs()
    x = draw.floats(2, 3, 4, 5)
    cases = [
        Case("constant", lambda x: (F.pad(x, (1, 2)), F.pad(x, (-1, 2, 0, -1), value=3.5), F.pad(x, (-2, -2))), [x]),
        Case("infinite", lambda x: F.pad(x, (0, 1), value=float("-inf")), [x]),
        Case("reflect", lambda x: (F.pad(x, (4, 1, 0, 3), mode="reflect"), F.pad(x[0], (1, 1), mode="reflect")), [x]),
        Case(
            "replicate",
            lambda x: (F.pad(x, (7, 1, -1, 3), mode="replicate"), F.pad(x[0], (0, 9), mode="replicate")),
            [x],
        ),
        Case("volume", lambda x: F.pad(x[None], (1, 1, 2, 0, 1, 2), mode="reflect"), [x]),
        Case("nothing", lambda x: (F.pad(x, (0, 0)), F.pad(x[:0], (1, 1)), F.pad(x[:, :, :0], (0, 0, 2, 1))), [x]),
    ]
    cases += [
        Case(f"constant-{dtype}", lambda x: F.pad(x, (1, 0, 0, 2), value=1), [draw.like(dtype, 3, 5)])
        for dtype in DTYPES[1:]
    ]
    check_cases("shape", cases)


def test_writing_parts() -> None:
    draw = Inputs()
    x, y = draw.floats(3, 4, 6), draw.floats(3, 2, 6)
    cases = [
        Case("slice", lambda x, y: (x.slice_scatter(y, 1, 0, 4, 2), x.slice_scatter(y, 1, -2)), [x, y]),
        Case("select", lambda x, y: x.select_scatter(y[:, 0], 1, -1), [x, y]),
        Case("diagonal", lambda x, y: x.diagonal_scatter(y, 1), [x, draw.floats(6, 3)]),
        Case("diagonal-below", lambda x, y: x.diagonal_scatter(y, -2, 0, 2), [x, draw.floats(4, 1)]),
        Case(
            "blocks", lambda x: (F.pixel_shuffle(x.view(1, 4, 3, 6), 2), F.pixel_unshuffle(x.view(1, 3, 4, 6), 2)), [x]
        ),
        Case("integers", lambda x, y: x.slice_scatter(y, 0, 1, 2), [draw.integers(3, 4), draw.integers(1, 4)]),
    ]

    def assign(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        z = x.clone()
        z[1] = y[0, 0]
        z[:, 1::2] += 1
        z[..., -1] = 0
        return z

    check_cases("shape", [*cases, Case("assignment", assign, [x, y])])


def test_symbolic_sizes() -> None:
    draw = Inputs()
    dynamic = {0: {0: "n>=5"}}
    x, longer = draw.floats(7, 4, 6), draw.floats(12, 4, 6)
    functions = {
        "view": lambda x: (x.view(x.shape[0], 24), x.reshape(-1), x.flatten(0, 1), x.reshape(x.shape[0] * 2, -1)),
        "permute": lambda x: (x.transpose(0, 1), x.permute(2, 0, 1).reshape(6, -1)),
        "slice": lambda x: (x[1:], x[:-1], x[-3:], x[::2], x[2:5], x[:, :3], x[-1]),
        "repeat": lambda x: (x.repeat(2, 1, 1), x.unsqueeze(0).expand(2, -1, -1, -1), x[:, :1].expand(-1, 3, 6)),
        "cat": lambda x: (torch.cat([x, x], 0), torch.stack([x, x], 1), torch.cat([x, x[:, :1]], 1)),
        "pad": lambda x: (
            F.pad(x, (0, 0, 0, 0, 1, 2)),
            F.pad(x, (0, 0, 0, 0, -1, 2)),
            F.pad(x, (1, 1), mode="reflect"),
        ),
        "flip": lambda x: (x.flip(0), x.roll(1, 0), x.roll(-2, 0), x.unfold(0, 2, 1), x[0].diagonal(), *x.chunk(2, 1)),
        "write": lambda x: (x.slice_scatter(x[:2] * 2, 0, 1, 3), x.select_scatter(x[1], 0, -1)),
    }
    cases = [Case(name, function, [x], dynamic, [longer]) for name, function in functions.items()]
    both = {0: {0: "n>=3", 1: "m>=3"}}
    cases += [
        Case(
            "two",
            lambda x: (x.flatten(), x.t().reshape(-1), x[:, 1:], x.flip(1)),
            [draw.floats(5, 4)],
            both,
            [draw.floats(3, 9)],
        ),
    ]
    check_cases("shape", cases)
