"""The contractions that every machine's template is tested with: layouts, sizes, types, what comes before and after."""

from collections.abc import Iterator
from typing import Any

from contractions.text import Case


def matmul(m: int, n: int, k: int, layout: str = "m k, k n", **options: Any) -> Case:
    return Case(f"{layout} -> m n", {"m": m, "n": n, "k": k}, **options)


def convolution(text: str, **options: Any) -> Case:
    sizes = {name: options.pop(name) for name in list(options) if len(name) == 1}
    return Case(text, sizes, **options)


def cases() -> Iterator[tuple[str, Case]]:
    layouts = {"nn": "m k, k n", "nt": "m k, n k", "tn": "k m, k n", "tt": "k m, n k"}
    for (m, n, k), name in (
        ((37, 53, 71), "nt"), ((37, 53, 71), "tt"), ((129, 17, 600), "nn"), ((129, 17, 600), "tn"), ((5, 300, 1), "nn"),
        ((64, 1, 33), "nn"), ((1, 65, 100), "nt"), ((3, 130, 1040), "nn"), ((50, 40, 1030), "nt"), ((1, 700, 90), "nn"),
        ((260, 140, 20), "tt"),
    ):  # fmt: skip
        yield f"{name}-{m}x{n}x{k}", matmul(m, n, k, layouts[name])
    for zero in "mnk":
        sizes = {"m": 5, "n": 9, "k": 4} | {zero: 0}
        yield f"empty-{zero}", matmul(**sizes)
        yield f"empty-dynamic-{zero}", matmul(**sizes, dynamic="mnk")
    for dtype in ("f64", "f16", "bf16", "i32", "i64", "i8"):
        yield f"{dtype}-tiles", matmul(45, 43, 67, dtype=dtype)
        yield f"{dtype}-dot", matmul(2, 45, 67, layouts["nt"], dtype=dtype)
    yield "f32-times-i8", matmul(45, 43, 67, right="i8")
    for dynamic in ("m", "n", "k", "mnk"):
        yield f"dynamic-{dynamic}", matmul(200, 150, 31, dynamic=dynamic)
        yield f"dynamic-{dynamic}-nt", matmul(7, 37, 531, layouts["nt"], dynamic=dynamic)
    for after in ("bias", "row-bias", "residual", "two", "gelu"):
        yield f"after-{after}", matmul(37, 53, 71, after=after)
        yield f"after-{after}-dynamic-bf16", matmul(37, 53, 71, after=after, dtype="bf16", dynamic="mn")
        yield f"after-{after}-dot", matmul(2, 53, 71, layouts["nt"], after=after)
    yield "before-double", matmul(37, 53, 600, before="double")
    yield "before-double-dot", matmul(1, 53, 70, layouts["nt"], before="double")
    # Lanes past the end of the depth hold 1 / 0.
    yield "before-reciprocal-dot", matmul(1, 53, 70, layouts["nt"], before="reciprocal")
    yield "start", matmul(37, 53, 600, start=True)
    yield "start-residual-empty-depth", matmul(7, 9, 0, start=True, after="residual")
    yield from batched_cases()
    yield from convolution_cases()


def batched_cases() -> Iterator[tuple[str, Case]]:
    five = {"b": 3, "c": 2, "m": 17, "n": 21, "k": 19}
    yield "batch", Case("b m k, b k n -> b m n", {"b": 3, "m": 17, "n": 21, "k": 19}, dynamic="b")
    yield "batch-broadcast", Case("b m k, c k n -> b c m n", five)
    yield "heads-scores", Case("b q h d, b k h d -> b h q k", {"b": 2, "h": 3, "q": 19, "k": 23, "d": 16})
    yield "heads-values", Case("b h q k, b k h d -> b q h d", {"b": 2, "h": 3, "q": 19, "d": 24, "k": 23})
    yield "linear", Case("b s k, n k -> b s n", {"b": 3, "s": 15, "n": 40, "k": 50}, after="bias", dynamic="bs")
    yield "tensordot", Case("k a b l, l c k d -> a b c d", {"a": 5, "b": 7, "c": 6, "d": 9, "k": 4, "l": 3})
    yield "result-transposed", Case("m k, k n -> n m", {"m": 37, "n": 53, "k": 71})
    yield "batch-innermost", Case("m b k, k n b -> m n b", {"b": 5, "m": 7, "n": 9, "k": 11})
    yield "matrix-vector", Case("m k, k -> m", {"m": 133, "k": 77})
    yield "vector-matrix", Case("k, k n -> n", {"n": 133, "k": 77})


def convolution_cases() -> Iterator[tuple[str, Case]]:
    plane = "n c h*{s}+y*{d} w*{s}+x*{d}, o c y x -> n o h w"
    small = {"n": 2, "o": 7, "h": 9, "w": 11, "c": 5, "y": 3, "x": 3}
    for stride, dilation in ((1, 1), (2, 1), (3, 2), (1, 2)):
        text = plane.format(s=stride, d=dilation)
        yield f"convolution-s{stride}-d{dilation}", convolution(text, **small, after="residual")
        yield f"convolution-s{stride}-d{dilation}-dynamic", convolution(text, **small, dynamic="nhw")
    unit = plane.format(s=1, d=1)
    yield "convolution-blocks", convolution(unit, **(small | {"c": 70, "o": 20, "h": 30, "w": 30}))
    yield "convolution-f16", convolution(unit, **small, dtype="f16")
    yield "convolution-one-position", convolution(unit, **(small | {"n": 1, "h": 1, "w": 1}))
    yield "convolution-long-line", convolution(unit, **(small | {"h": 2, "w": 300}))
    yield "convolution-1x1-s2", convolution(plane.format(s=2, d=1), **(small | {"y": 1, "x": 1}))
    grouped = "n g c h*2+y w*2+x, g o c y x -> n g o h w"
    yield "convolution-groups", convolution(grouped, **({"n": 2, "g": 3} | small))
    yield "convolution-1d", Case("n c w*2+x, o c x -> n o w", {"n": 2, "o": 9, "w": 37, "c": 5, "x": 3})
    cube = {"n": 2, "o": 9, "d": 4, "h": 5, "w": 6, "c": 3, "u": 2, "y": 3, "x": 3}
    yield "convolution-3d", Case("n c d+u h*2+y w+x, o c u y x -> n o d h w", cube)
    last = {"n": 2, "h": 9, "w": 10, "o": 13, "y": 3, "x": 3, "c": 6}
    yield "convolution-channels-last", Case("n h+y w+x c, y x c o -> n h w o", last)
    phases = {"n": 2, "g": 2, "o": 5, "q": 6, "r": 2, "s": 7, "t": 2, "c": 4, "j": 2, "i": 2}
    yield "convolution-transposed", Case("n g c q+j s+i, g c o j r i t -> n g o q r s t", phases)
