"""Arguments that lie in memory in every way there is, results that do, and memory that is shared or changed."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.export import Dim

import stepwell as sw
from stepwell.support.errors import ArgumentError

SHAPE = (6, 10)


@pytest.fixture(autouse=True)
def seed(rng: np.random.Generator) -> None:
    """Draw all numbers of a test from its own seed."""
    number = int(rng.integers(1 << 31))
    torch.manual_seed(number)
    np.random.seed(number)


class Plain(torch.nn.Module):
    """Reads two matrices in several ways."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        return x * 2 + y, (x @ y.t()).sum(1), x.flatten() - y.reshape(-1)


@pytest.fixture(scope="module")
def plain() -> sw.Executable:
    dims = {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    exported = torch.export.export(Plain(), (torch.ones(*SHAPE), torch.ones(*SHAPE)), dynamic_shapes=(dims, dims))
    return sw.compile(exported, progress=False)


class Subclass(torch.Tensor):
    """A tensor of a class of its own."""


def _shifted() -> torch.Tensor:
    """Return a tensor four bytes behind an aligned address."""
    return torch.arange(61.0)[1:].reshape(SHAPE)


LAYOUTS: dict[str, Callable[[], torch.Tensor]] = {
    "contiguous": lambda: torch.randn(SHAPE),
    "transposed": lambda: torch.randn(SHAPE[::-1]).t(),
    "rows skipped": lambda: torch.randn(12, 10)[::2],
    "columns skipped": lambda: torch.randn(6, 30)[:, 1::3],
    "part": lambda: torch.randn(9, 17)[2:8, 3:13],
    "expanded": lambda: torch.randn(1, 10).expand(SHAPE),
    "expanded columns": lambda: torch.randn(6, 1).expand(SHAPE),
    "one element": lambda: torch.tensor(1.5).expand(SHAPE),
    "overlapping windows": lambda: torch.randn(15).unfold(0, 10, 1),
    "as_strided": lambda: torch.randn(40).as_strided(SHAPE, (3, 2), 1),
    "offset": _shifted,
    "gradients": lambda: torch.randn(SHAPE, requires_grad=True),
    "inside a graph": lambda: torch.randn(SHAPE, requires_grad=True) * 2,
    "parameter": lambda: torch.nn.Parameter(torch.randn(SHAPE)),
    "subclass": lambda: torch.randn(SHAPE).as_subclass(Subclass),
    "negative": lambda: torch.randn(SHAPE, dtype=torch.complex64).conj().imag,
    "empty": lambda: torch.randn(0, 10),
    "empty rows": lambda: torch.randn(10, 6)[:, 3:3].t()[:, :0],
    "row": lambda: torch.randn(10, 1).t(),
}


def check(executable: sw.Executable, module: Any, *tensors: torch.Tensor) -> None:
    """Compare a call with eager, and see that the arguments stay as they are."""
    before = [tensor.detach().clone() for tensor in tensors]
    found, wanted = executable(*tensors), module(*tensors)
    for got, want in zip(found, wanted, strict=True):
        torch.testing.assert_close(got, want.detach().as_subclass(torch.Tensor))
        assert not got.requires_grad
    assert all(torch.equal(old, new.detach()) for old, new in zip(before, tensors, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arguments_lie_as_they_like(plain: sw.Executable, layout: str) -> None:
    x = LAYOUTS[layout]()
    check(plain, Plain(), x, torch.randn(x.shape))
    check(plain, Plain(), torch.randn(x.shape), x)
    # The same tensor twice, and two that overlap.
    check(plain, Plain(), x, x)
    if x.shape[0] > 2:
        check(plain, Plain(), x[1:], x[:-1])


ARRAYS: dict[str, Callable[[], np.ndarray]] = {
    "reversed": lambda: np.random.rand(*SHAPE)[::-1, ::-1],
    "transposed": lambda: np.random.rand(10, 6).T,
    "column-major": lambda: np.asfortranarray(np.random.rand(*SHAPE)),
    "broadcast": lambda: np.broadcast_to(np.random.rand(10), SHAPE),
    "windows": lambda: np.lib.stride_tricks.sliding_window_view(np.random.rand(15), 10),
    "read-only": lambda: np.frombuffer(np.random.rand(*SHAPE).astype(np.float32).tobytes(), np.float32).reshape(SHAPE),
    "at an odd address": lambda: np.frombuffer(
        b"\0" + np.random.rand(*SHAPE).astype(np.float32).tobytes(), np.float32, offset=1
    ).reshape(SHAPE),
    "field of a record": lambda: np.zeros(SHAPE, [("a", "i1"), ("b", "f4")])["b"],
    "empty": lambda: np.random.rand(0, 10),
}


@pytest.mark.parametrize("layout", ARRAYS)
def test_numpy_arrays_lie_as_they_like(plain: sw.Executable, layout: str) -> None:
    x = ARRAYS[layout]()
    if x.dtype != np.float32:
        # A copy would lie in order.
        narrow = np.lib.stride_tricks.as_strided(x).astype(np.float32, order="K")
        x = narrow[::-1] if layout == "reversed" else narrow
    y = np.random.rand(*x.shape).astype(np.float32)
    for got, want in zip(plain(x, y), Plain()(torch.tensor(x.copy()), torch.from_numpy(y)), strict=True):
        assert isinstance(got, np.ndarray)
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-5, atol=1e-6)


def test_tensors_without_memory_are_refused(plain: sw.Executable) -> None:
    class Wrapper(torch.Tensor):
        @staticmethod
        def __new__(cls, inner: torch.Tensor) -> "Wrapper":
            return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)  # type: ignore[attr-defined]

        @classmethod
        def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            raise NotImplementedError

    x = torch.randn(SHAPE)
    with pytest.raises(ArgumentError, match="argument 'x' has no memory of its own: it is a Wrapper"):
        plain(Wrapper(x), x)


class Results(torch.nn.Module):
    """Results that eager mode gives as views, twice, from inside, or in an order of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.weight = torch.nn.Parameter(torch.randn(3, 2))
        self.register_buffer("count", torch.arange(6.0).reshape(2, 3))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, Any]:
        double, total = x.mul(2), y + 1
        self.count.add_(1)
        return {
            "convolution": self.convolution(x),
            "permuted": double.permute(0, 3, 1, 2),
            "transposed": total.t(),
            "transposed input": y.t(),
            "view of input": y.view(-1),
            "part of input": y[1:],
            "expanded": total.expand(2, -1, -1),
            "part": total[:, ::2],
            "twice": (total, [total]),
            "input": (x, y, x),
            "buffer": self.count,
            "buffer part": self.count[0],
            "weight": self.weight,
            "weight transposed": self.weight.t(),
            "constant": torch.full((2, 2), 3.0),
            "number": (x.shape[0] * 2 + 1, 7, None, "text"),
        }


@pytest.fixture(scope="module")
def results() -> tuple[Results, sw.Executable]:
    module = Results().eval()
    x = torch.randn(2, 3, 5, 6).to(memory_format=torch.channels_last)
    dims = ({0: Dim("batch"), 2: Dim("height", min=3)}, {0: Dim.DYNAMIC})
    exported = torch.export.export(copy.deepcopy(module), (x, torch.randn(4, 5)), dynamic_shapes=dims)
    return module, sw.compile(exported, progress=False)


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {key: leaf for name, part in value.items() for key, leaf in _flat(part, f"{path}.{name}").items()}
    if isinstance(value, tuple | list):
        return {key: leaf for i, part in enumerate(value) for key, leaf in _flat(part, f"{path}[{i}]").items()}
    return {path: value}


def _result_arguments(batch: int, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(batch, 3, 3 + batch, 6).to(memory_format=torch.channels_last), torch.randn(rows, 5)


# Dense in eager mode alone where they own what they show.
_WITH_GAPS = (".expanded", ".part")


def test_results_are_those_of_eager(results: tuple[Results, sw.Executable]) -> None:
    module, executable = results
    for batch, rows in ((2, 4), (5, 3), (1, 1)):
        x, y = _result_arguments(batch, rows)
        found = executable(x, y)
        wanted = module(x, y)
        flat = _flat(found)
        for path, want in _flat(wanted).items():
            got = flat[path]
            if not isinstance(want, torch.Tensor):
                assert got == want, path
                assert type(got) is type(want), path
                continue
            torch.testing.assert_close(got, want.detach(), msg=lambda text, path=path: f"{path}: {text}")
            if min(want.shape) > 1 and not path.startswith(_WITH_GAPS):
                assert got.stride() == want.stride(), path
        # Inputs come back themselves, and one value is one tensor; everything else is fresh.
        assert found["input"][0] is found["input"][2] is x
        assert found["input"][1] is y
        assert found["twice"][0] is found["twice"][1][0]
        owners = [value.untyped_storage().data_ptr() for path, value in flat.items() if isinstance(value, torch.Tensor)]
        assert len(set(owners)) == len(owners) - 2
        assert all(flat[path].is_contiguous() for path in (".expanded", ".part"))


def test_results_of_numpy_and_of_artifacts(results: tuple[Results, sw.Executable], tmp_path: Path) -> None:
    _, executable = results
    x, y = _result_arguments(2, 4)
    executable.save(tmp_path / "program.swx")
    loaded = sw.load(tmp_path / "program.swx")
    array = y.numpy()
    found = loaded(x.numpy(), array)
    assert found["transposed"].strides == (4, 20)
    assert found["convolution"].strides == tuple(4 * step for step in loaded(x, y)["convolution"].stride())
    assert found["input"][1] is array
    assert found["number"] == (5, 7, None, "text")


class Transposing(torch.nn.Module):
    """Results in an order of their own, beside what is no tensor."""

    def forward(self, x: torch.Tensor) -> Any:
        y = (x + 1).t()
        return y, y, x, x.shape[0]


def test_out_lies_as_the_result_does() -> None:
    exported = torch.export.export(Transposing(), (torch.ones(3, 4),), dynamic_shapes=({0: Dim.DYNAMIC},))
    executable = sw.compile(exported, progress=False)
    x = torch.randn(5, 4)
    out = torch.empty(5, 4).t()
    found = executable(x, out=(out, out, None, None))
    assert found[0] is found[1] is out
    assert found[2] is x
    assert found[3] == 5
    assert torch.equal(out, (x + 1).t())
    with pytest.raises(ArgumentError, match=r"'out\[0\]' .* shape \(4, 5\) whose dimensions lie in the order \(1, 0\)"):
        executable(x, out=(torch.empty(4, 5), None, None, None))
    with pytest.raises(ArgumentError, match=r"'out\[1\]' must be the tensor of 'out\[0\]'"):
        executable(x, out=(out, torch.empty(5, 4).t(), None, None))


class Changing(torch.nn.Module):
    """Changes its arguments and buffers, whole and in part, and returns some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("history", torch.zeros(3, 4))

    def forward(self, x: torch.Tensor, cache: torch.Tensor, weight: torch.Tensor) -> Any:
        before = cache.sum()
        x.mul_(2).add_(1)
        cache[:, 1:3] = x[:, :2]
        self.steps += 1
        self.history[1].copy_(x[0])
        old = weight.clone()
        weight.copy_(old * 0.5)
        return x, before, self.history, self.steps, old, cache[:, 1:].sum()


@pytest.fixture(scope="module")
def changing() -> sw.Executable:
    dims = ({0: Dim("n")}, {0: Dim("n")}, None)
    arguments = (torch.ones(3, 4), torch.ones(3, 5), torch.ones(2))
    return sw.compile(torch.export.export(Changing(), arguments, dynamic_shapes=dims), progress=False)


CHANGED: dict[str, Callable[[], torch.Tensor]] = {
    "contiguous": lambda: torch.randn(5, 4),
    "transposed": lambda: torch.randn(4, 5).t(),
    "part": lambda: torch.randn(8, 9)[1:6, 2:6],
    "skipping": lambda: torch.randn(10, 8)[::2, 1::2],
    "negative": lambda: torch.randn(5, 4, dtype=torch.complex64).conj().imag,
    "row": lambda: torch.randn(1, 4),
}


@pytest.mark.parametrize("layout", CHANGED)
def test_changed_arguments(changing: sw.Executable, layout: str) -> None:
    changing.load_state_dict({"steps": np.zeros((), np.int64), "history": np.zeros((3, 4), np.float32)})
    module = Changing()
    for _ in range(2):
        x = CHANGED[layout]()
        arguments = (x, torch.randn(x.shape[0], 10)[:, ::2], torch.randn(2))
        # A copy of the whole storage tells whether anything beside the view was written to.
        theirs = copy.deepcopy(arguments)
        found, wanted = changing(*arguments), module(*theirs)
        assert found[0] is x
        for got, want in zip((*found, *arguments), (*wanted, *theirs), strict=True):
            torch.testing.assert_close(got, want)
        # Buffers come back as copies.
        found[2].fill_(7)
        found[3].fill_(7)
    assert changing.state_dict()["steps"] == 2
    np.testing.assert_array_equal(changing.state_dict()["history"], module.history.numpy())


def test_memory_that_must_not_be_changed(changing: sw.Executable) -> None:
    x, cache, weight = torch.randn(4, 4), torch.randn(4, 5), torch.randn(2)
    together = torch.randn(4, 9)
    # Views beside each other share nothing.
    changing(together[:, :4], together[:, 4:], weight)
    wrong = {
        "argument 'x' is changed by the program, and shares memory with 'cache'": (cache[:, :4], cache, weight),
        "argument 'x' is changed by the program, and shares memory with 'weight'": (x, cache, x[2, 1:3]),
        "argument 'x' is changed by the program, and several of its elements": (x[:1].expand(4, 4), cache, weight),
        "argument 'cache' is changed by the program, and several": (x, torch.randn(8).unfold(0, 5, 1), weight),
    }
    for message, arguments in wrong.items():
        kept = [argument.clone() for argument in arguments]
        with pytest.raises(ArgumentError, match=message):
            changing(*arguments)
        assert all(map(torch.equal, kept, arguments))
    array = np.ones((4, 4), np.float32)
    array.flags.writeable = False
    with pytest.raises(ArgumentError, match="argument 'x' is changed by the program, and is read-only"):
        changing(array, cache, weight)


def test_programs_of_nothing() -> None:
    class Nothing(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> None:
            return None

    class Constant(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.arange(3.0))

        def forward(self) -> Any:
            return self.weight, self.weight, ()

    class Same(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    x = torch.ones(2)
    assert sw.compile(torch.export.export(Nothing(), (x,)), progress=False)(x) is None
    assert sw.compile(torch.export.export(Same(), (x,)), progress=False)(x) is x
    constant = sw.compile(torch.export.export(Constant(), ()), progress=False)
    first, second = constant(), constant()
    assert first[0] is first[1]
    assert isinstance(first[0], np.ndarray)
    # Writing to a result does not reach the program's own tensor.
    first[0][:] = 9
    np.testing.assert_array_equal(second[0], np.arange(3.0))
    np.testing.assert_array_equal(constant()[0], np.arange(3.0))


def test_results_of_another_shape_fill_an_argument() -> None:
    class Fills(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.arange(1, 13, out=x)

    x, wanted = torch.zeros(3, 4), torch.arange(1.0, 13).view(3, 4)
    found = sw.compile(torch.export.export(Fills(), (x.clone(),)), progress=False)(x)
    assert found is x and torch.equal(x, wanted)
