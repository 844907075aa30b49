"""Random numbers: the generator's known answers, torch's CUDA stream, distributions, and the state between calls."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import stepwell as sw
from stepwell.dialects.graph.philox import philox, random_words


class Program(torch.nn.Module):
    """A program that calls a function."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: torch.Tensor) -> Any:
        return self.function(*args)


def compiled(function: Any, *args: torch.Tensor, train: bool = False, **options: Any) -> Any:
    return sw.compile(torch.export.export(Program(function).train(train), args), **options)


# From the authors' own test vectors (Random123, kat_vectors).
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_known_answers(counter: Any, key: Any, expected: Any) -> None:
    assert tuple(map(int, philox(map(np.uint64, counter), map(np.uint64, key)))) == expected


def test_streams_differ_by_element_and_position() -> None:
    words = random_words(7, 3, 5)
    assert words.shape == (5, 4) and len({int(word) for word in words.ravel()}) == 20
    assert not np.array_equal(words, random_words(7, 4, 5))
    assert random_words(7, 3, 0).shape == (0, 4)


@pytest.mark.parametrize(("target", "device"), [("cpu", None), ("cuda:sm_90a", "sim")])
def test_the_stream_is_that_of_torch_on_cuda(target: str, device: str | None) -> None:
    def both() -> Any:
        return torch.rand(10)

    def normal() -> Any:
        return torch.randn(10)

    # What torch.manual_seed(0) gives there, to four places.
    expected = {
        both: (0.3990, 0.5167, 0.0249, 0.9401, 0.9459, 0.7967, 0.4150, 0.8203, 0.2290, 0.9096),
        normal: (-0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797, -0.6229, -0.3284, -1.0745, -0.3631),
    }
    for function, values in expected.items():
        exe = compiled(function, target=target, device=device)
        exe.manual_seed(0)
        np.testing.assert_allclose(exe(), values, atol=6e-5)


def test_distributions() -> None:
    count = 200_000

    def draw(x: torch.Tensor) -> Any:
        p = x.new_full((count,), 0.25)
        return (
            torch.rand(count),
            torch.rand(count, dtype=torch.float64),
            torch.rand(count, dtype=torch.float16),
            torch.randn(count),
            torch.randn(count, dtype=torch.float64),
            torch.randn(count, dtype=torch.bfloat16),
            torch.empty(count).uniform_(-3.0, 5.0),
            torch.normal(p * 8, p * 12),
            torch.empty(count).exponential_(2.0),
            torch.empty(count).log_normal_(0.0, 0.25),
            torch.empty(count).geometric_(0.2),
            torch.bernoulli(p),
            torch.randint(-2, 3, (count,)),
            torch.randint(0, 1 << 40, (count,)),
        )

    exe = compiled(draw, torch.ones(1))
    exe.manual_seed(1234)
    drawn = exe(torch.ones(1))
    moments = [
        (0.5, 12**-0.5),
        (0.5, 12**-0.5),
        (0.5, 12**-0.5),
        (0, 1),
        (0, 1),
        (0, 1),
        (1, 8 * 12**-0.5),
        (2, 3),
        (0.5, 0.5),
        (1.03174, 0.26203),
        (5, 20**0.5),
        (0.25, 0.1875**0.5),
        (0, 2**0.5),
        (2.0**39, 2.0**40 * 12**-0.5),
    ]
    for number, (values, (mean, deviation)) in enumerate(zip(drawn, moments, strict=True)):
        wide = values.double()
        assert abs(wide.mean().item() - mean) < 6 * deviation / count**0.5, number
        assert abs(wide.std().item() / deviation - 1) < 0.03, number
    for values in drawn[:3]:
        assert values.min() >= 0 and values.max() < 1
        bins = torch.histc(values.float(), 64, 0, 1)
        # Chi squared of 63 degrees of freedom is above 130 once in a million times.
        assert ((bins - count / 64) ** 2 / (count / 64)).sum() < 130
    assert set(drawn[12].tolist()) == {-2, -1, 0, 1, 2}
    assert [values.dtype for values in drawn[1:3]] == [torch.float64, torch.float16]


def test_samples() -> None:
    weights = torch.tensor([[0.0, 1.0, 3.0, 0.0, 6.0], [1.0, 1.0, 1.0, 1.0, 1.0]])

    def draw(w: torch.Tensor) -> Any:
        return (
            torch.randperm(1000),
            torch.multinomial(w, 3),
            torch.multinomial(w[0], 20_000, replacement=True),
            torch.nn.functional.rrelu(w - 2, 0.1, 0.3, training=True),
        )

    order, without, with_replacement, leaky = compiled(draw, weights, train=True)(weights)
    assert torch.equal(order.sort()[0], torch.arange(1000)) and not torch.equal(order, torch.arange(1000))
    assert set(without[0].tolist()) == {1, 2, 4} and len(set(without[1].tolist())) == 3
    shares = torch.bincount(with_replacement, minlength=5) / 20_000
    torch.testing.assert_close(shares, weights[0] / 10, atol=0.02, rtol=0)
    slopes = (leaky / (weights - 2))[weights < 2]
    assert ((slopes >= 0.1) & (slopes <= 0.3)).all() and torch.equal(leaky[weights > 2], (weights - 2)[weights > 2])


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_dropout(p: float) -> None:
    x = torch.randn(200, 50)
    exe = compiled(lambda x: torch.nn.functional.dropout(x, p, training=True), x, train=True)
    y = exe(x)
    kept = y != 0
    assert abs(kept.double().mean().item() - (1 - p)) < 0.05
    torch.testing.assert_close(y[kept], (x / (1 - p))[kept] if p < 1 else y[kept])


def test_bernoulli_of_probabilities() -> None:
    shares = torch.tensor([0.0, 0.2, 0.5, 1.0])
    x = torch.zeros(20_000, 4, dtype=torch.int64)
    found = compiled(lambda x: x.bernoulli_(shares), x)(x)
    assert found is x and x.dtype is torch.int64
    torch.testing.assert_close(x.double().mean(0), shares.double(), atol=0.02, rtol=0)
    assert x[:, 0].sum() == 0 and x[:, 3].sum() == 20_000


@pytest.mark.parametrize("mask", ["causal", "bool", "float", ""])
def test_dropout_of_attention(mask: str) -> None:
    heads, groups = torch.randn(2, 4, 90, 8), torch.randn(2, 2, 70, 8)
    hidden = {"bool": torch.rand(90, 70) < 0.7, "float": torch.randn(2, 1, 90, 70)}.get(mask)

    def attend(p: float) -> Any:
        return lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(
            q, k, v, hidden, p, mask == "causal", scale=0.2, enable_gqa=True
        )

    # With values of the unit matrix, attention gives its weights.
    values = torch.eye(70).expand(2, 2, 70, 70)
    exe = compiled(attend(0.25), heads, groups, values)
    exact, found = attend(0.0)(heads, groups, values), exe(heads, groups, values)
    seen, kept = exact > 0, found > 0
    assert not (kept & ~seen).any() and abs(kept[seen].double().mean().item() - 0.75) < 0.02
    torch.testing.assert_close(found[kept], exact[kept] / 0.75)
    assert not torch.equal(exe(heads, groups, values) > 0, kept)


def test_the_state_between_calls(tmp_path: Path) -> None:
    def draw(x: torch.Tensor) -> Any:
        return torch.rand(x.shape) + x, torch.rand(x.shape) + x, torch.randn(0, 3)

    x = torch.zeros(3, 5)
    exe = compiled(draw, x)
    exe.manual_seed(-5)
    first, second, empty = exe(x)
    again, *_ = exe(x)
    assert empty.shape == (0, 3)
    assert not torch.equal(first, second) and not torch.equal(first, again)
    # Three ops of four words each, two calls.
    assert exe.state_dict()["generator"].tolist() == [-5, 24]
    exe.save(tmp_path / "draw.swx")
    third, *_ = exe(x)
    assert torch.equal(sw.load(tmp_path / "draw.swx")(x)[0], third)
    exe.manual_seed(-5)
    assert torch.equal(exe(x)[0], first)


def test_sizes_that_are_symbols() -> None:
    program = torch.export.export(
        Program(lambda x: torch.rand_like(x)), (torch.ones(4, 3),), dynamic_shapes=(((({0: torch.export.Dim.AUTO}),)),)
    )
    exe = sw.compile(program)
    exe.manual_seed(9)
    small = exe(torch.ones(2, 3))
    exe.manual_seed(9)
    # An element's number does not depend on the size.
    assert torch.equal(exe(torch.ones(7, 3))[:2], small)


def test_a_program_starts_from_the_seed_of_torch() -> None:
    before = torch.random.get_rng_state()
    try:
        torch.manual_seed(0)
        assert compiled(lambda: torch.rand(1))()[0] == pytest.approx(0.3990, abs=6e-5)
    finally:
        torch.random.set_rng_state(before)


def test_manual_seed_of_a_program_that_draws_nothing() -> None:
    compiled(lambda x: x + 1, torch.ones(2)).manual_seed(3)
