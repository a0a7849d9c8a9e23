"""A modality that is missing: masked out of the flow exactly, or inferred by it."""

import pytest
import torch

from mango_mm import fusion as fusions
from mango_mm.flows import gaussian_log_prob
from mango_mm.fusion import Fusion, MangoFusion

LENGTHS, D = (3, 5), 4
RECIPES = ['paper', 'cross_modal', 'glow', 'flow_plus_plus', 'attn_flow']


def trained(missing, recipe='paper', noise=0.2, **options):
    fusion = MangoFusion(
        ('rgb', 'depth'), D, LENGTHS, depth=2, recipe=recipe, reduction='sequence',
        missing=missing, **options,
    ).double()  # fmt: skip
    with torch.no_grad():
        for p in fusion.parameters():
            p.add_(noise * torch.randn_like(p))
    return fusion.eval()


def batch():
    """Two samples, of which the first has no depth."""
    features = {m: torch.randn(2, n, D).double() for m, n in zip(('rgb', 'depth'), LENGTHS)}
    masks = {m: torch.ones(2, n, dtype=torch.bool) for m, n in zip(('rgb', 'depth'), LENGTHS)}
    masks['depth'][0] = False
    return features, masks


@pytest.mark.parametrize('recipe', RECIPES)
@pytest.mark.parametrize('missing', ['mask', 'impute'])
def test_what_is_missing_has_no_influence_and_others_keep_theirs(missing, recipe):
    fusion, (features, masks) = trained(missing, recipe), batch()
    out = fusion(features, masks=masks)
    other = {**features, 'depth': features['depth'].clone()}
    other['depth'][0] = 1e3 * torch.randn(5, D)
    again = fusion(other, masks=masks)
    shown = slice(0, LENGTHS[0] if missing == 'mask' else None)
    torch.testing.assert_close(again.fused[0, shown], out.fused[0, shown])
    torch.testing.assert_close(again.log_prob, out.log_prob)
    whole = fusion(features)
    torch.testing.assert_close(out.fused[1], whole.fused[1])
    torch.testing.assert_close(out.log_prob[1], whole.log_prob[1])


@pytest.mark.parametrize('recipe', RECIPES)
def test_masked_the_density_is_that_of_the_tokens_there_are(recipe):
    fusion, (features, masks) = trained('mask', recipe, normalize=False), batch()
    out = fusion(features, masks=masks)
    rgb, depth = features['rgb'][:1], features['depth'][:1]
    joint = torch.cat([masks['rgb'], masks['depth']], dim=1)[:1]

    def seen(x):
        z, _ = fusion.flow(torch.cat([x, depth], dim=1), mask=joint)
        return z[:, : LENGTHS[0]]

    jacobian = torch.autograd.functional.jacobian(seen, rgb).reshape(12, 12)
    wanted = gaussian_log_prob(seen(rgb)) + jacobian.slogdet()[1]
    torch.testing.assert_close(out.log_prob[:1], wanted)
    assert out.num_dims.tolist() == [12, 32]


@pytest.mark.parametrize('recipe', RECIPES)
def test_imputed_tokens_are_mapped_to_the_centre_beside_the_observed_ones(recipe):
    fusion, (features, masks) = trained('impute', recipe, noise=0.05, impute_steps=40), batch()
    out = fusion(features, masks=masks)
    residual = out.latents['depth'][0].square().mean().sqrt()
    torch.testing.assert_close(out.impute_residual, residual.detach())
    assert out.latents['depth'][0].abs().max() < 1e-6
    assert out.latents['depth'][1].abs().max() > 0.1
    # Undone, it is a sample whose RGB is the one that came and whose depth the flow made up.
    completed = fusion.decode(out.latents)
    rgb = torch.nn.functional.layer_norm(features['rgb'], (D,))
    torch.testing.assert_close(completed['rgb'], rgb)
    plain = MangoFusion(
        ('rgb', 'depth'), D, LENGTHS, depth=2, recipe=recipe, reduction='sequence', normalize=False
    )
    plain.double().eval().flow.load_state_dict(fusion.flow.state_dict())
    torch.testing.assert_close(plain(completed).log_prob, out.log_prob)
    assert out.num_dims.tolist() == [32, 32]


def test_imputing_in_windows_with_padding_and_its_shares():
    fusion = MangoFusion(
        ('rgb', 'depth', 'hha'), D, window=(2, 3), depth=1, missing='impute', impute_steps=40
    ).double()
    with torch.no_grad():
        for p in fusion.parameters():
            p.add_(0.1 * torch.randn_like(p))
    features = {m: torch.randn(2, 12, D).double() for m in fusion.modalities}
    masks = {'hha': torch.ones(2, 12, dtype=torch.bool)}
    masks['hha'][1] = False
    out = fusion(features, masks=masks, grid=(3, 4))  # 3 x 4 in windows of 2 x 3
    assert out.latents['hha'][1].abs().max() < 1e-8
    terms = fusion.log_prob_terms(features, masks=masks, grid=(3, 4))
    torch.testing.assert_close(sum(t.sum(1) for t in terms.values()), out.log_prob)


@pytest.mark.parametrize('missing', ['mask', 'impute'])
def test_a_step_with_missing_modalities_trains_every_parameter(missing):
    fusion, (features, masks) = trained(missing), batch()
    fusion.train()
    out = fusion(features, masks=masks)
    (out.fused[out.mask].square().sum() - out.log_prob.sum()).backward()
    for name, p in fusion.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name


@pytest.mark.parametrize('options', [dict(missing='guess'), dict(missing='impute', impute_steps=0)])
def test_wrong_options_are_named(options):
    with pytest.raises(ValueError, match=r"missing must be one of \('mask', 'impute'\)"):
        MangoFusion(('rgb', 'depth'), D, LENGTHS, **options)


ALL = sorted(
    name for name, found in vars(fusions).items()
    if isinstance(found, type) and issubclass(found, Fusion) and found is not Fusion
)  # fmt: skip


@pytest.mark.parametrize('name', ALL)
def test_a_modality_masked_as_a_whole_gives_finite_features_and_gradients(name):
    sizes = {'window': (2, 3), 'depth': 1} if name == 'MangoFusion' else {}
    fusion = getattr(fusions, name)(('a', 'b'), 8, out_dim=8, **sizes)
    features = {m: torch.randn(2, 6, 8, requires_grad=True) for m in 'ab'}
    masks = {'b': torch.tensor([[False] * 6, [True] * 6])}
    zeroed = {'a': features['a'], 'b': features['b'].masked_fill(~masks['b'][..., None], 0.0)}
    out = fusion(zeroed, masks=masks, grid=(2, 3))
    assert out.fused.isfinite().all()
    out.fused.square().sum().backward()
    for x in features.values():
        assert x.grad.isfinite().all()


def test_imputing_leaves_the_gradient_of_what_is_there():
    """Of the other samples and modalities too: the encoders learn from every real token."""
    fusion, (features, masks) = trained('impute'), batch()
    leaves = {m: x.clone().requires_grad_() for m, x in features.items()}
    out = fusion(leaves, masks=masks)
    (out.fused.square().sum() - out.log_prob.sum()).backward()
    norms = {m: x.grad.norm(dim=2) for m, x in leaves.items()}
    assert (norms['rgb'] > 1e-3).all()
    assert (norms['depth'][1] > 1e-3).all()
    assert (norms['depth'][0] == 0).all()
    whole = {m: x.clone().requires_grad_() for m, x in features.items()}
    alone = fusion({m: x[1:] for m, x in whole.items()})
    (alone.fused.square().sum() - alone.log_prob.sum()).backward()
    for m, x in whole.items():  # the second sample lacks nothing
        torch.testing.assert_close(leaves[m].grad[1], x.grad[1])


@pytest.mark.parametrize('reduction', ['concat', 'sum', 'sequence', 'embed'])
def test_a_reduction_sees_nothing_of_what_is_missing(reduction):
    fusion = MangoFusion(('rgb', 'depth'), D, 6, reduction=reduction).eval()
    features = {m: torch.randn(2, 6, D) for m in fusion.modalities}
    masks = {'depth': torch.tensor([[False] * 6, [True] * 6])}
    out = fusion(features, masks=masks, grid=(2, 3))
    for content in (1e3, float('nan')):
        other = {**features, 'depth': features['depth'].clone()}
        other['depth'][0] = content
        again = fusion(other, masks=masks, grid=(2, 3))
        shown = slice(None) if reduction != 'sequence' else slice(0, 6)
        torch.testing.assert_close(again.fused[0, shown], out.fused[0, shown])
        torch.testing.assert_close(again.fused[1], out.fused[1])
