"""Why ops are refused by name, where there is more to say than that no converter exists."""

_LAPACK = "torch computes it by LAPACK, which has no counterpart here"
_SPARSE = "sparse tensors are not supported"
_DEGREES = "its recurrence takes as many steps as a tensor of degrees says; pass the degree as a number"

_FACTORISATIONS = (
    "cholesky",
    "cholesky_inverse",
    "cholesky_solve",
    "geqrf",
    "linalg_cholesky_ex",
    "linalg_eig",
    "linalg_householder_product",
    "linalg_inv_ex",
    "linalg_ldl_factor_ex",
    "linalg_ldl_solve",
    "linalg_lstsq",
    "linalg_lu",
    "linalg_lu_factor_ex",
    "linalg_lu_solve",
    "linalg_matrix_exp",
    "linalg_qr",
    "linalg_solve_triangular",
    "lu_unpack",
    "ormqr",
    "triangular_solve",
    "_linalg_det",
    "_linalg_eigh",
    "_linalg_eigvals",
    "_linalg_slogdet",
    "_linalg_solve_ex",
    "_linalg_svd",
)
_SPARSE_OPS = ("_sparse_mm_reduce_impl", "_to_dense", "_to_sparse", "sparse_mask", "sparse_sampled_addmm")
_POLYNOMIALS = ("hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l", "legendre_polynomial_p")

REASONS = {
    **{f"aten.{name}.default": _LAPACK for name in _FACTORISATIONS},
    "aten.linalg_pinv.atol_rtol_tensor": _LAPACK,
    **{f"aten.{name}.default": _SPARSE for name in _SPARSE_OPS},
    "aten._to_sparse.sparse_dim": _SPARSE,
    **{f"aten.special_{name}.{overload}": _DEGREES for name in _POLYNOMIALS for overload in ("default", "x_scalar")},
    "associative_scan": "only combine_mode='generic' is supported, which torch unrolls",
}
