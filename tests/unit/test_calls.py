"""Compiled programs called as a user calls them: state, nesting, aliases, symbolic and empty sizes, threads."""

import collections
import copy
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stepwell as sw
from stepwell.runtime.executable import Executable
from stepwell.support.errors import ArgumentError

Pair = collections.namedtuple("Pair", ("first", "second"))


def close(got: Any, wanted: Any) -> bool:
    """Compare nested values; tensors to a few roundings, anything else exactly."""
    if isinstance(wanted, torch.Tensor):
        return got.dtype == wanted.dtype and torch.allclose(got, wanted, rtol=1e-5, atol=1e-5)
    if isinstance(wanted, dict):
        return list(got) == list(wanted) and all(close(got[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        return len(got) == len(wanted) and all(map(close, got, wanted))
    return type(got) is type(wanted) and got == wanted


# -- programs that keep state ------------------------------------------------------------------------------------------


class Counting(torch.nn.Module):
    """Changes a buffer of the state dict and one outside of it; has a parameter and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)
        self.register_buffer("total", torch.zeros(3))
        self.register_buffer("scratch", torch.full((3,), 2.0), persistent=False)
        self.offset = torch.full((3,), 5.0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.total.add_(x.sum(0))
        self.scratch.mul_(0.5)
        return self.layer(x) + self.offset + self.total, self.scratch


@pytest.fixture(scope="module")
def counting() -> tuple[Any, Callable[[], Executable]]:
    """An exported program, and a function that compiles it to a fresh executable."""
    exported = torch.export.export(Counting(), (torch.zeros(4, 3),))
    return exported, lambda: sw.compile(exported)


@torch.no_grad()
def test_changed_buffers_are_kept_and_written_back(counting: Any, tmp_path: Path) -> None:
    exported, compiled = counting
    # The module of an exported program changes the program's own tensors.
    model, exe = copy.deepcopy(exported).module(), compiled()
    before = {name: value.clone() for name, value in exported.state_dict.items()}
    for _ in range(3):
        x = torch.randn(4, 3)
        assert close(exe(x), model(x))
    state = exe.state_dict()
    assert sorted(state) == ["scratch", "total"]
    np.testing.assert_allclose(state["total"], model.total.numpy(), rtol=1e-5)
    # The executable has copies.
    assert all(torch.equal(value, before[name]) for name, value in exported.state_dict.items())
    exe.save(tmp_path / "counting.swx")
    again = sw.load(tmp_path / "counting.swx")
    x = torch.randn(4, 3)
    assert close(again(x), model(x))
    again.load_state_dict({"total": np.zeros(3, np.float32), "scratch": torch.full((3,), 2.0)})
    assert close(again(x), copy.deepcopy(exported).module()(x))


@torch.no_grad()
def test_detached_parameters_are_passed_and_changed(counting: Any) -> None:
    exported, _ = counting
    module, tensors = sw.detach_params(sw.from_exported_program(exported, keep_params_as_input=True))
    assert list(tensors) == ["layer.weight", "layer.bias", "total", "scratch", "offset"]
    exe = sw.compile(module)
    model, x = copy.deepcopy(exported).module(), torch.randn(4, 3)
    passed = [tensor.clone() for tensor in tensors.values()]
    assert close(exe(x, *passed), model(x))
    assert close(passed[2], model.total)
    assert close(passed[3], torch.full((3,), 1.0))
    assert exe.state_dict() == {}
    with pytest.raises(ArgumentError, match=r"expected 6 positional arguments \(x, layer.weight, .*, offset\), got 1"):
        exe(x)
    with pytest.raises(ArgumentError, match=r"argument 'layer.bias' must have size 3 in dimension 0, got 4"):
        exe(x, passed[0], torch.zeros(4), *passed[2:])


# -- nested arguments and results --------------------------------------------------------------------------------------


class Nested(torch.nn.Module):
    """Takes and gives dicts, lists, namedtuples, None, numbers and flags."""

    def forward(self, batch: Any, items: Any, pair: Any, mask: Any = None, *, scale: Any, flag: bool = True) -> Any:
        y = batch["x"] * scale + items[0]
        if flag:
            y = y + 1
        return {"y": (y, None, 3, "text"), "pair": Pair(pair.second + pair.first, pair.first), "n": y.shape[0]}


@pytest.fixture(scope="module")
def nested() -> tuple[torch.nn.Module, Executable, Any, Any]:
    model = Nested()
    args = ({"x": torch.randn(2, 3)}, [torch.randn(2, 3), torch.randn(4)], Pair(torch.randn(3), torch.randn(3)))
    kwargs = {"mask": None, "scale": torch.tensor(2.0), "flag": True}
    return model, sw.compile(torch.export.export(model, args, kwargs)), args, kwargs


def test_nested_values(nested: Any) -> None:
    model, exe, args, kwargs = nested
    got, wanted = exe(*args, **kwargs), model(*args, **kwargs)
    assert close(got, wanted)
    assert type(got["y"]) is tuple
    assert got["pair"]._fields == Pair._fields
    numpy = torch.utils._pytree.tree_map(lambda v: v.numpy() if isinstance(v, torch.Tensor) else v, (args, kwargs))
    arrays = exe(*numpy[0], **numpy[1])
    assert type(arrays["y"][0]) is np.ndarray
    np.testing.assert_array_equal(arrays["y"][0], got["y"][0].numpy())


def test_misfits_name_the_path(nested: Any) -> None:
    _, exe, (batch, items, pair), kwargs = nested
    wide = torch.zeros(2, 4)
    for args, options, text in (
        ((batch, items), kwargs, r"expected 3 positional arguments \(batch, items, pair\), got 2"),
        (({"y": wide}, items, pair), kwargs, r"argument 'batch' must be a dict with keys \['x'\], got \['y'\]"),
        ((wide, items, pair), kwargs, r"argument 'batch' must be a dict with keys \['x'\], got Tensor"),
        (({"x": wide}, items, pair), kwargs, r"argument 'batch\['x'\]' must have size 3 in dimension 1, got 4"),
        ((batch, items[:1], pair), kwargs, "argument 'items' must be a list of 2, got list of 1"),
        ((batch, [items[0], wide.long()], pair), kwargs, r"argument 'items\[1\]' must have dtype float32, got torch.i"),
        ((batch, items, Pair(wide[0, 0], pair[1])), kwargs, r"argument 'pair.first' must have 1 dimensions \(3,\)"),
        ((batch, items, pair), kwargs | {"flag": False}, "argument 'flag' was fixed to True at export, got False"),
        ((batch, items, pair), kwargs | {"mask": wide}, "argument 'mask' was fixed to None at export"),
        ((batch, items, pair), kwargs | {"bogus": 1}, "unexpected 'bogus'; the program takes mask, scale, flag"),
        ((batch, items, pair), {"flag": True, "mask": None}, "missing 'scale'"),
        ((batch, [items[0], items[1].to("meta")], pair), kwargs, r"argument 'items\[1\]' must be on device cpu, got m"),
    ):
        with pytest.raises(ArgumentError, match=text):
            exe(*args, **options)


def test_unit_tuples_are_unwrapped_on_request() -> None:
    class Unit(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
            return (x + 1,)

    x = torch.randn(3)
    exported = torch.export.export(Unit(), (x,))
    assert close(sw.compile(exported)(x), (x + 1,))
    assert close(sw.compile(sw.from_exported_program(exported, unwrap_unit_return_tuple=True))(x), x + 1)


# -- aliases -----------------------------------------------------------------------------------------------------------


class Aliases(torch.nn.Module):
    """Returns arguments, views of them and of a result, and changes its last argument."""

    def forward(self, x: torch.Tensor, y: torch.Tensor, z: torch.Tensor) -> Any:
        total = x + y
        z.mul_(2)
        return x, x.view(-1), total, y.t(), total[1:], total


@pytest.fixture(scope="module")
def aliases() -> Executable:
    return sw.compile(torch.export.export(Aliases(), tuple(torch.randn(3, 3) for _ in range(3))))


def test_outputs_never_alias(aliases: Executable) -> None:
    x, y, z = (torch.randn(3, 3) for _ in range(3))
    kept, model = x.clone(), Aliases()
    got, wanted = aliases(x, y, z.clone()), model(x, y, z.clone())
    assert close(got, wanted)
    # An argument that is returned is the very tensor, and so is a result that is returned twice; whatever else is
    # returned has memory of its own.
    others = [result for result in got if result is not x]
    assert len(others) == len(got) - 1
    for result in others:
        result.zero_()
    assert torch.equal(x, kept)
    assert got[5] is got[2]
    assert len({result.data_ptr() for result in got}) == len(got) - 1


def test_one_tensor_for_several_arguments(aliases: Executable) -> None:
    x, z = torch.randn(3, 3), torch.randn(3, 3)
    doubled = z * 2
    assert close(aliases(x, x, z), Aliases()(x, x, torch.zeros(3, 3)))
    assert torch.equal(z, doubled)
    # Nobody could say which value of it is read.
    both = x.clone()
    with pytest.raises(ArgumentError, match="argument 'z' is changed by the program, and shares memory with 'x'"):
        aliases(both, x, both)


def test_results_in_given_memory(aliases: Executable) -> None:
    x, y = torch.randn(3, 3), torch.randn(3, 3)
    wanted = Aliases()(x, y, torch.zeros(3, 3))
    out = tuple(torch.full_like(value, torch.nan) for value in wanted[:5])
    out = (*out, out[2])
    made = aliases(x, y, torch.zeros(3, 3), out=out)
    # An argument that is returned stays what it is.
    assert made[0] is x and all(ours is given for ours, given in zip(made[1:], out[1:], strict=True))
    assert close(made, wanted)
    arrays = tuple(np.empty_like(value.numpy()) for value in wanted[:5])
    arrays = (*arrays, arrays[2])
    aliases(x.numpy(), y.numpy(), np.zeros((3, 3), np.float32), out=arrays)
    assert close(tuple(map(torch.from_numpy, arrays[1:])), wanted[1:])
    with pytest.raises(ArgumentError, match=r"'out\[2\]' must be a contiguous float32 tensor of shape \(3, 3\)"):
        aliases(x, y, torch.zeros(3, 3), out=(*out[:2], torch.empty(2, 3), *out[3:]))


# -- sizes -------------------------------------------------------------------------------------------------------------


class Sizes(torch.nn.Module):
    """A size, twice that size, and a size of its own that may be 0."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        return torch.cat([x, y]).softmax(-1), y[::2] * x, x.sum(0), x.shape[0] + y.shape[0], x @ x.t()


@pytest.fixture(scope="module")
def sizes() -> Executable:
    n = torch.export.Dim("n", min=0, max=64)
    dims = {"x": {0: n}, "y": {0: 2 * n}}
    return sw.compile(torch.export.export(Sizes(), (torch.randn(4, 3), torch.randn(8, 3)), dynamic_shapes=dims))


def test_symbolic_sizes(sizes: Executable) -> None:
    for rows in (4, 1, 0, 7, 64, 33):
        x, y = torch.randn(rows, 3), torch.randn(2 * rows, 3)
        assert close(sizes(x, y), Sizes()(x, y))
    for rows, twice, text in (
        (3, 5, r"argument 'y' must have size 2\*n = 6 \(n = 3 from x.size\(0\)\) in dimension 0, got 5"),
        (65, 130, r"x.size\(0\) must be at most 64, got 65"),
    ):
        with pytest.raises(ArgumentError, match=text):
            sizes(torch.zeros(rows, 3), torch.zeros(twice, 3))


def test_threads_share_an_executable(sizes: Executable) -> None:
    inputs = [(torch.randn(rows, 3), torch.randn(2 * rows, 3)) for rows in (2, 9, 31, 64)]
    wrong: list[int] = []

    def work(x: torch.Tensor, y: torch.Tensor) -> None:
        wanted = Sizes()(x, y)
        wrong.extend(len(x) for _ in range(100) if not close(sizes(x, y), wanted))

    threads = [threading.Thread(target=work, args=pair) for pair in inputs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_empty_inputs_of_fixed_size() -> None:
    class Empty(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return x.sum(0), x @ torch.ones(3, 2), torch.cat([x, torch.ones(1, 3)]), x.amax(1)

    x = torch.zeros(0, 3)
    assert close(sw.compile(torch.export.export(Empty(), (x,)))(x), Empty()(x))
