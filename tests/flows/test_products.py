"""Triangular systems by products of matrices are solved like torch solves them."""

import pytest
import torch

from mango_mm.flows.triangular_attention.products import solve_by_products


@pytest.mark.parametrize('upper', [True, False])
@pytest.mark.parametrize('left', [True, False])
@pytest.mark.parametrize('unitriangular', [True, False])
@pytest.mark.parametrize('size', [1, 2, 7, 8, 9])
def test_products_solve_triangular_systems(upper, left, unitriangular, size):
    matrix = torch.randn(3, size, size, dtype=torch.float64) + 3 * torch.eye(size)
    right = torch.randn(3, *((size, 5) if left else (5, size)), dtype=torch.float64)
    options = dict(upper=upper, left=left, unitriangular=unitriangular)
    wanted = torch.linalg.solve_triangular(matrix, right, **options)
    torch.testing.assert_close(solve_by_products(matrix, right, **options), wanted)
