"""Every fusion keeps the contract of ``mango_mm.fusion.Fusion``.

To put a new fusion under test, add one line to ``ZOO``.
"""

import pytest
import torch

from mango_mm import fusion
from mango_mm.testing import assert_is_block_fusion, assert_is_fusion

D, E, GRID = 8, 6, (4, 6)

ZOO = {
    'concat': lambda m: fusion.ConcatFusion(m, D, E),
    'sum': lambda m: fusion.SumFusion(m, D, E),
    'cross-attention': lambda m: fusion.CrossAttentionFusion(m, D, E, num_heads=2),
    'CEN': lambda m: fusion.ChannelExchangeFusion(m, D, E),
    'CMX': lambda m: fusion.CMXFusion(m, D, E, num_heads=2),
    'DEQ': lambda m: fusion.DEQFusion(m, D, E),
    'MANGO, embedding': lambda m: fusion.MangoFusion(
        m, D, window=(4, 6), out_dim=E, depth=1, reduction='embed'
    ),
    'Gemini': lambda m: fusion.GeminiFusion(m, D, E, num_heads=2),
    'GMU': lambda m: fusion.GatedFusion(m, D, E),
    'MCMulT': lambda m: fusion.MCMulTFusion(m, D, E, num_heads=2),
    'U3M': lambda m: fusion.U3MFusion(m, D, E),
    'TokenFusion': lambda m: fusion.TokenFusion(m, D, E, threshold=0.5),
    'MANGO': lambda m: fusion.MangoFusion(m, D, 24, out_dim=E, depth=2),
    'MANGO, windows with padding': lambda m: fusion.MangoFusion(
        m, D, window=(3, 4), out_dim=E, depth=1, recipe='paper_cross_modal', with_cp=True
    ),
    'MANGO, detached, summed': lambda m: fusion.MangoFusion(
        m, D, 24, out_dim=E, depth=1, reduction='sum', detach_encoder=True, normalize=False
    ),
}


@pytest.fixture(params=ZOO.values(), ids=ZOO.keys())
def make(request):
    return request.param


@pytest.mark.parametrize('modalities', [('rgb', 'depth'), ('rgb', 'depth', 'hha')])
def test_it_is_a_fusion(make, modalities):
    output = assert_is_fusion(make(modalities), grid=GRID)
    assert set(output.latents) == set(modalities)


def test_wrong_tokens_are_named(make):
    model = make(('rgb', 'depth'))
    good = torch.randn(2, 24, D)
    with pytest.raises(ValueError, match=r"tokens \(B, N, 8\).*\(2, 24, 5\) for 'depth'"):
        model({'rgb': good, 'depth': torch.randn(2, 24, 5)}, grid=GRID)
    with pytest.raises(KeyError, match=r"the input lacks \['depth'\]"):
        model({'rgb': good}, grid=GRID)
    with pytest.raises(ValueError, match="mask of 'rgb' must be bool"):
        model({'rgb': good, 'depth': good}, masks={'rgb': torch.ones(2, 24)}, grid=GRID)


def test_masked_tokens_have_no_influence(make):
    model = make(('rgb', 'depth')).eval()
    features = {m: torch.randn(2, 24, D) for m in ('rgb', 'depth')}
    mask = torch.rand(2, 24) > 0.3
    other = {m: x.masked_fill(~mask[..., None], 50.0) for m, x in features.items()}
    masks = {m: mask for m in features}
    with torch.no_grad():
        a = model(features, masks=masks, grid=GRID)
        b = model(other, masks=masks, grid=GRID)
    torch.testing.assert_close(a.fused[mask], b.fused[mask], rtol=1e-5, atol=1e-5)
    if a.log_prob is not None:
        torch.testing.assert_close(a.log_prob, b.log_prob)


@pytest.mark.parametrize('content', [50.0, float('nan')])
def test_a_modality_that_a_sample_lacks_has_no_influence(make, content):
    model = make(('rgb', 'depth')).eval()
    features = {m: torch.randn(2, 24, D) for m in ('rgb', 'depth')}
    masks = {m: torch.ones(2, 24, dtype=torch.bool) for m in features}
    masks['depth'][0] = False
    other = {m: x.masked_fill(~masks[m][..., None], content) for m, x in features.items()}
    with torch.no_grad():
        a = model(features, masks=masks, grid=GRID)
        b = model(other, masks=masks, grid=GRID)
    real = slice(None) if a.mask is None else a.mask
    torch.testing.assert_close(a.fused[real], b.fused[real], rtol=1e-5, atol=1e-5)
    assert b.fused[real].isfinite().all()


def test_reset_restores_what_an_initialiser_overwrote(make):
    model = make(('rgb', 'depth'))
    zeros = {n for n, p in model.named_parameters() if not p.any()}
    gates = {n: p.clone() for n, p in model.named_parameters() if n.endswith('raw_gate')}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
    model.reset_parameters()
    assert {n for n, p in model.named_parameters() if not p.any()} == zeros
    for name, parameter in model.named_parameters():
        if name in gates:
            torch.testing.assert_close(parameter.data, gates[name])


def test_every_concrete_fusion_is_in_the_zoo():
    exported = {
        c
        for c in map(vars(fusion).get, fusion.__all__)
        if isinstance(c, type) and issubclass(c, fusion.Fusion)
    }
    built = {type(make(('rgb', 'depth'))) for make in ZOO.values()}
    assert exported - {fusion.Fusion} == built


BLOCKS = {
    'TokenFusion': lambda m: fusion.TokenExchange(m, D, threshold=0.5),
    'Gemini': lambda m: fusion.PixelwiseAttention(m, D, num_heads=2),
    'CEN': lambda m: fusion.ChannelExchange(m, D, threshold=0.5),
}


@pytest.mark.parametrize('modalities', [('rgb', 'depth'), ('rgb', 'depth', 'hha')])
@pytest.mark.parametrize('name', BLOCKS)
def test_it_is_a_block_fusion(name, modalities):
    assert_is_block_fusion(BLOCKS[name](modalities))


def test_the_check_of_block_fusions_finds_what_is_wrong():
    class Wrong(fusion.BlockFusion):
        def __init__(self, fault):
            super().__init__(('a', 'b'), D)
            self.fault = fault

        def forward(self, features, *, entered=None, scales=None, masks=None):
            out = [x + 1 for x in features]
            if self.fault == 'come out':
                out = out[:1]
            if self.fault == 'changed':
                features[0].data.add_(1)
            if self.fault == 'depends on its batch':
                out[0] = out[0] + features[0].mean()
            loss = features[0].sum() / (0 if self.fault == 'finite scalars' else 1)
            return out, {'loss': loss}

    for fault in ('come out', 'changed', 'depends on its batch', 'finite scalars'):
        with pytest.raises(AssertionError, match=fault):
            assert_is_block_fusion(Wrong(fault))
    with pytest.raises(ValueError, match='needs two modalities or more, each named once'):
        fusion.ChannelExchange(('a', 'a'), D)
