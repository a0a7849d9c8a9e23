"""The composed attention maps are the flow itself, where it is nothing but attention."""

import pytest
import torch

from mango_mm.explicit.attention_rollout import attention_rollout
from mango_mm.flows import (
    AffineCoupling,
    Chain,
    InvertibleCrossAttention,
    LearnableCrossAttention,
    TokenLinear,
    TokenPartition,
)
from mango_mm.flows.compose import Inverse, Sandwich
from mango_mm.fusion import MangoFusion

N, D = 7, 6


def shaken(flow):
    flow = flow.double()
    with torch.no_grad():
        for p in flow.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return flow


def applied(matrix, x, heads):
    """Each head's matrix on its own channels."""
    parts = x.unflatten(-1, (heads, -1)).transpose(1, 2)
    return (matrix @ parts).transpose(1, 2).flatten(2)


@pytest.mark.parametrize('heads', [1, 2])
@pytest.mark.parametrize('lengths', [(3, 4), (2, 2, 3)])
def test_attention_alone_is_the_product_of_its_maps(lengths, heads):
    steps = ['mmca', 'imca', 'lica']
    options = dict(num_heads=heads)
    fusion = MangoFusion(('a', 'b', 'c')[: len(lengths)], D, lengths, depth=2, recipe=steps,
                         reduction='sequence', layers=options)  # fmt: skip
    flow, x = shaken(fusion.flow), torch.randn(4, N, D).double()
    matrix = attention_rollout(flow, x)
    assert matrix.shape == (4, heads, N, N)
    torch.testing.assert_close(applied(matrix, x, heads), flow(x)[0])


def test_padding_takes_no_part():
    fusion = MangoFusion(('a', 'b'), D, (3, 4), depth=1, recipe=['mmca', 'imca', 'lica'],
                         reduction='sequence')  # fmt: skip
    flow, x = shaken(fusion.flow), torch.randn(2, N, D).double()
    mask = torch.tensor([[1, 1, 0, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1, 1]]).bool()
    matrix = attention_rollout(flow, x, mask)
    torch.testing.assert_close(applied(matrix, x, 1), flow(x, mask=mask)[0])
    real = mask[0]
    assert matrix[0, 0][real][:, ~real].abs().max() == 0
    assert matrix[0, 0][~real][:, real].abs().max() == 0


def test_other_layers_and_compositions():
    x = torch.randn(2, N, D).double()
    ica = InvertibleCrossAttention(D, TokenPartition.halves(N))
    for flow in (
        TokenLinear(N, permutation='flip'),
        Sandwich(TokenLinear(N, permutation='flip'), ica),
        Inverse(Chain(LearnableCrossAttention(D, N), ica)),
    ):
        shaken(flow)
        torch.testing.assert_close(applied(attention_rollout(flow, x), x, 1), flow(x)[0])
    coupling = shaken(AffineCoupling(D))
    assert torch.equal(attention_rollout(coupling, x)[0, 0], torch.eye(N).double())
