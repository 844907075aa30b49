"""Why ops are refused by name, where there is more to say than that no converter exists."""

_LAPACK = "torch computes it by LAPACK, which has no counterpart here"
_SPARSE = "sparse tensors are not supported"

_FACTORISATIONS = (
    "linalg_eig",
    "linalg_ldl_factor_ex",
    "linalg_ldl_solve",
    "linalg_lstsq",
    "_linalg_eigh",
    "_linalg_eigvals",
    "_linalg_svd",
)
_SPARSE_OPS = ("_sparse_mm_reduce_impl", "_to_dense", "_to_sparse", "sparse_mask", "sparse_sampled_addmm")

REASONS = {
    **{f"aten.{name}.default": _LAPACK for name in _FACTORISATIONS},
    "aten.linalg_pinv.atol_rtol_tensor": _LAPACK,
    **{f"aten.{name}.default": _SPARSE for name in _SPARSE_OPS},
    "aten._to_sparse.sparse_dim": _SPARSE,
    "aten.hash_tensor.default": "it gives uint64, a dtype that is not supported",
    "associative_scan": "only combine_mode='generic' is supported, which torch unrolls",
}
