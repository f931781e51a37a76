"""Packed symmetric matrices and named embeddings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asdcli.detection.bank import need, packed_trace_weights, symmetric_size, unpack_symmetric
from asdcli.errors import UserError


def symmetric(n: int, seed: int) -> np.ndarray:
    half = np.random.default_rng(seed).standard_normal((n, n))
    return half + half.T


@given(st.integers(1, 2000))
def test_the_size_of_a_packed_matrix(n: int) -> None:
    assert symmetric_size(n * (n + 1) // 2) == n


@given(st.integers(1, 12), st.integers(0, 99))
def test_unpacking_undoes_packing(n: int, seed: int) -> None:
    matrices = np.stack([symmetric(n, seed), symmetric(n, seed + 1)])
    packed = matrices[:, *np.triu_indices(n)]
    np.testing.assert_array_equal(unpack_symmetric(packed), matrices)
    np.testing.assert_array_equal(unpack_symmetric(packed[0]), matrices[0])


@given(st.integers(1, 12), st.integers(0, 99))
def test_trace_weights_give_the_trace_of_the_product(n: int, seed: int) -> None:
    matrix, moment = symmetric(n, seed), symmetric(n, seed + 1)
    packed = moment[np.triu_indices(n)]
    np.testing.assert_allclose(packed @ packed_trace_weights(matrix), np.trace(matrix @ moment), atol=1e-9)


def test_a_missing_embedding_names_who_needs_it_and_what_there_is() -> None:
    there = {"residual_mean": np.zeros((1, 3)), "residual_moment": np.zeros((1, 6))}
    assert need(there, "residual_mean", "mse") is there["residual_mean"]
    with pytest.raises(UserError, match=r"Detector knn needs the embedding 'embedding'.*: residual_mean, residual_mom"):
        need(there, "embedding", "knn")
