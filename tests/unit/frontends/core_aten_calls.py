"""A call of each op that torch tags core ATen: its positional arguments by overload, and its options."""

from typing import Any

import torch

X = torch.rand(3, 4) + 0.25
Y = torch.rand(3, 4) + 0.25
N = torch.arange(12).reshape(3, 4)
M = torch.arange(12).reshape(3, 4) % 5 + 1
B = X > 0.5
POSITION = torch.tensor([[0, 2, 1, 0]])
LINE = torch.rand(2, 3, 8)
IMAGE = torch.rand(2, 4, 8, 8)
VOLUME = torch.rand(2, 3, 4, 4, 4)
SQUARE = torch.rand(4, 4)
CHANNEL = torch.rand(4)
GROUPS = torch.rand(2, 2)
ROWS = torch.rand(3, 1)
WEIGHT = torch.rand(6, 4, 3, 3)
SPECTRUM = torch.rand(3, 5, dtype=torch.complex64)

_UNARY = (
    "abs acos acosh alias asin asinh atan atanh ceil clone cos cosh elu erf exp expm1 floor gelu hardtanh isinf isnan "
    "leaky_relu log log10 log1p log2 logical_not neg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt tan tanh "
    "trunc argmax argmin amax amin any mean prod nonzero sort _pdist_forward sym_numel sym_storage_offset _to_copy"
)
_BINARY = (
    "atan2.default atan2.out bitwise_and.Tensor bitwise_or.Tensor bitwise_xor.Tensor add.Tensor sub.Tensor mul.Tensor "
    "div.Tensor fmod.Tensor remainder.Tensor pow.Tensor_Tensor maximum.default minimum.default eq.Tensor ne.Tensor "
    "lt.Tensor le.Tensor gt.Tensor ge.Tensor logical_and.default logical_or.default logical_xor.default copy.default"
)
_SCALAR = (
    "add.Scalar sub.Scalar mul.Scalar div.Scalar fmod.Scalar remainder.Scalar pow.Tensor_Scalar bitwise_and.Scalar "
    "bitwise_or.Scalar bitwise_xor.Scalar eq.Scalar ne.Scalar lt.Scalar le.Scalar gt.Scalar ge.Scalar fill.Scalar"
)


def _elementwise() -> dict[str, tuple[Any, ...]]:
    calls: dict[str, tuple[Any, ...]] = {f"{name}.default": (X,) for name in _UNARY.split()}
    calls |= {name: (N, M) if "bitwise" in name else (X, Y) for name in _BINARY.split()}
    calls |= {name: (N, 2) if "bitwise" in name else (X, 2) for name in _SCALAR.split()}
    return calls | {
        "bitwise_not.default": (N,),
        "clamp.default": (X, 0.25, 0.5),
        "clamp.Tensor": (X, Y),
        "div.Scalar_mode": (X, 2),
        "div.Tensor_mode": (X, Y),
        "pow.Scalar": (2, X),
        "where.self": (B, X, Y),
    }


_REDUCTIONS: dict[str, tuple[Any, ...]] = {
    "any.dim": (B, 1),
    "any.dims": (B, [0, 1]),
    "cumsum.default": (X, 1),
    "max.dim": (X, 1),
    "mean.dim": (X, [1]),
    "min.dim": (X, 1),
    "prod.dim_int": (X, 1),
    "sum.dim_IntList": (X, [1]),
    "topk.default": (X, 2),
    "var.correction": (X, [1]),
    "var.dim": (X, [1]),
}
_SHAPES: dict[str, tuple[Any, ...]] = {
    "arange.start_step": (0, 6, 2),
    "as_strided.default": (X, [2, 2], [4, 1]),
    "cat.default": ([X, Y], 1),
    "constant_pad_nd.default": (X, [1, 2]),
    "diagonal.default": (X,),
    "empty.memory_format": ([3, 4],),
    "empty_strided.default": ([3, 4], [4, 1]),
    "expand.default": (ROWS, [3, 4]),
    "flip.default": (X, [1]),
    "full.default": ([3, 4], 1.5),
    "full_like.default": (X, 1.5),
    "permute.default": (X, [1, 0]),
    "repeat.default": (X, [2, 1]),
    "resize_.default": (X, [2, 3]),
    "scalar_tensor.default": (1.5,),
    "select.int": (X, 0, 1),
    "select_scatter.default": (X, CHANNEL, 0, 1),
    "slice.Tensor": (X, 1, 1, 3),
    "slice_scatter.default": (X, X[:, 1:3].clone(), 1, 1, 3),
    "split_with_sizes.default": (X, [1, 3], 1),
    "squeeze.dim": (ROWS, 1),
    "squeeze.dims": (ROWS, [1]),
    "unsqueeze.default": (X, 0),
    "view.default": (X, [4, 3]),
    "sym_is_contiguous.default": (X,),
    "sym_size.int": (X, 0),
    "sym_stride.int": (X, 0),
}
_INDEXING: dict[str, tuple[Any, ...]] = {
    "_embedding_bag.default": (X, torch.tensor([0, 2, 1]), torch.tensor([0, 2])),
    "embedding.default": (X, POSITION),
    "embedding_dense_backward.default": (torch.rand(1, 4, 4), POSITION, 3, -1, False),
    "gather.default": (X, 0, POSITION),
    "index.Tensor": (X, [torch.tensor([2, 0])]),
    "index_put.default": (X, [torch.tensor([2, 0])], torch.rand(2, 4)),
    "index_select.default": (X, 0, torch.tensor([2, 0])),
    "masked_scatter.default": (X, B, Y),
    "scatter.src": (X, 0, POSITION, Y),
    "scatter.value": (X, 0, POSITION, 1.5),
    "scatter_add.default": (X, 0, POSITION, Y),
    "scatter_reduce.two": (X, 0, POSITION, Y, "amax"),
}
_NETWORKS: dict[str, tuple[Any, ...]] = {
    "_adaptive_avg_pool2d.default": (IMAGE, [2, 2]),
    "_adaptive_avg_pool2d_backward.default": (torch.rand(2, 4, 2, 2), IMAGE),
    "_adaptive_avg_pool3d.default": (VOLUME, [2, 2, 2]),
    "_cdist_forward.default": (X, Y, 2.0, None),
    "_log_softmax.default": (X, 1, False),
    "_softmax.default": (X, 1, False),
    "_native_batch_norm_legit.default": (IMAGE, CHANNEL, CHANNEL, CHANNEL.clone(), CHANNEL.clone(), True, 0.1, 1e-5),
    "_native_batch_norm_legit.no_stats": (IMAGE, CHANNEL, CHANNEL, True, 0.1, 1e-5),
    "_native_batch_norm_legit_no_training.default": (IMAGE, CHANNEL, CHANNEL, CHANNEL, CHANNEL, 0.1, 1e-5),
    "adaptive_avg_pool1d.default": (LINE, [4]),
    "addmm.default": (SQUARE, SQUARE, SQUARE),
    "avg_pool1d.default": (LINE, [2]),
    "avg_pool2d.default": (IMAGE, [2, 2]),
    "avg_pool2d_backward.default": (torch.rand(2, 4, 4, 4), IMAGE, [2, 2], [2, 2], [0, 0], False, True, None),
    "avg_pool3d.default": (VOLUME, [2, 2, 2]),
    "bmm.default": (LINE, LINE.transpose(1, 2).contiguous()),
    "col2im.default": (torch.rand(2, 12, 16), [5, 5], [2, 2], [1, 1], [0, 0], [1, 1]),
    "convolution.default": (IMAGE, WEIGHT, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
    "convolution_backward.default": (
        *(torch.rand(2, 6, 8, 8), IMAGE, WEIGHT, [6], [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
        [True, True, True],
    ),
    "grid_sampler_2d.default": (IMAGE, torch.rand(2, 5, 5, 2), 0, 0, False),
    "max_pool2d_with_indices.default": (IMAGE, [2, 2]),
    "max_pool2d_with_indices_backward.default": (
        *(torch.rand(2, 4, 4, 4), IMAGE, [2, 2], [2, 2], [0, 0], [1, 1], False),
        torch.nn.functional.max_pool2d(IMAGE, 2, return_indices=True)[1],
    ),
    "max_pool3d_with_indices.default": (VOLUME, [2, 2, 2]),
    "mm.default": (SQUARE, SQUARE),
    "native_dropout.default": (X, 0.5, True),
    "native_group_norm.default": (IMAGE, CHANNEL, CHANNEL, 2, 4, 64, 2, 1e-5),
    "native_group_norm_backward.default": (
        *(IMAGE, IMAGE, GROUPS, GROUPS, CHANNEL, 2, 4, 64, 2),
        [True, True, True],
    ),
    "native_layer_norm.default": (X, [4], CHANNEL, CHANNEL, 1e-5),
    "native_layer_norm_backward.default": (X, X, [4], ROWS, ROWS, CHANNEL, CHANNEL, [True, True, True]),
    "reflection_pad1d.default": (LINE, [1, 2]),
    "reflection_pad2d.default": (IMAGE, [1, 2, 1, 2]),
    "reflection_pad3d.default": (VOLUME, [1, 1, 1, 1, 1, 1]),
    "replication_pad2d.default": (IMAGE, [1, 2, 1, 2]),
    "replication_pad3d.default": (VOLUME, [1, 1, 1, 1, 1, 1]),
    "upsample_bilinear2d.vec": (IMAGE, [12, 12], False, None),
    "upsample_nearest2d.vec": (IMAGE, [12, 12], None),
}
_OTHERS: dict[str, tuple[Any, ...]] = {
    "_fft_c2r.default": (SPECTRUM, [1], 0, 8),
    "_fft_r2c.default": (X, [1], 0, True),
    "_local_scalar_dense.default": (torch.tensor(2.5),),
    "rand.default": ([3, 4],),
    "randn.default": ([3, 4],),
    "randperm.default": (6,),
}

CALLS = {
    f"aten.{name}": arguments
    for group in (_elementwise(), _REDUCTIONS, _SHAPES, _INDEXING, _NETWORKS, _OTHERS)
    for name, arguments in group.items()
}
OPTIONS = {
    "aten.atan2.out": {"out": torch.empty(3, 4)},
    "aten.div.Scalar_mode": {"rounding_mode": "floor"},
    "aten.div.Tensor_mode": {"rounding_mode": "trunc"},
}
