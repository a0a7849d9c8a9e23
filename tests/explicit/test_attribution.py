"""Attributions against autograd, against sums that must hold, and against planted cues."""

import pytest
import torch

from mango_mm.analysis.fusion_recorder import FusionRecorder
from mango_mm.explicit.attribution import integrated_gradients, push_forward
from mango_mm.fusion import MangoFusion
from mango_mm.testing.planted_cues import planted_cues

LENGTHS, D = (3, 4), 4
RECIPES = ['paper', 'paper_cross_modal', 'glow', 'flow_plus_plus', 'attn_flow']


def shaken(recipe, lengths=LENGTHS):
    fusion = MangoFusion(
        ('a', 'b', 'c')[: len(lengths)], D, lengths, depth=2, recipe=recipe, normalize=False,
        reduction='sequence', out_dim=2,
    ).double().eval()  # fmt: skip
    with torch.no_grad():
        for p in fusion.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return fusion


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('recipe', RECIPES)
@pytest.mark.parametrize('lengths', [LENGTHS, (2, 3, 2)])
def test_a_push_forward_is_the_jacobian_times_the_modality(recipe, lengths, masked):
    flow, x = shaken(recipe, lengths).flow, torch.randn(1, 7, D).double()
    mask = torch.tensor([[1, 0, 1, 1, 1, 1, 0]]).bool() if masked else None
    kernels = [getattr(m, 'kernel', None) for m in flow.modules()]
    z, tangents = push_forward(flow, x, lengths, mask)
    jacobian = torch.autograd.functional.jacobian(lambda v: flow(v, mask=mask)[0], x)
    jacobian = jacobian.reshape(7 * D, 7 * D)
    start = 0
    for length, tangent in zip(lengths, tangents):
        alone = torch.zeros_like(x)
        alone[:, start : start + length] = x[:, start : start + length]
        torch.testing.assert_close(tangent.flatten(), jacobian @ alone.flatten())
        start += length
    torch.testing.assert_close(z, flow(x, mask=mask)[0])
    assert kernels == [getattr(m, 'kernel', None) for m in flow.modules()]


@pytest.mark.parametrize('recipe', RECIPES)
def test_contributions_add_up_to_the_change_of_the_score(recipe):
    fusion = shaken(recipe)
    tokens = {m: torch.randn(3, n, D).double() for m, n in zip(fusion.modalities, LENGTHS)}

    def score(given):
        return fusion(given).fused[:, :, 0].mul(0.05).sigmoid().sum(1)

    contributions, rest = integrated_gradients(score, tokens, steps=40)
    assert {m: c.shape for m, c in contributions.items()} == {'a': (3, 3), 'b': (3, 4)}
    whole = score(tokens) - score({m: torch.zeros_like(x) for m, x in tokens.items()})
    torch.testing.assert_close(sum(c.sum(1) for c in contributions.values()) + rest, whole)
    if recipe in ('glow', 'flow_plus_plus', 'attn_flow'):
        # The others normalise what conditions a layer, and near t = 0 that changes abruptly.
        assert (rest / whole).abs().max() < 0.01


@pytest.mark.parametrize('normalize', [True, False, 'restore'])
@pytest.mark.parametrize('masked', [False, True])
def test_the_model_that_is_explained_is_the_model(normalize, masked):
    fusion = MangoFusion(('a', 'b'), D, 5, depth=1, normalize=normalize).eval()
    tokens = {m: 2 + 3 * torch.randn(2, 5, D) for m in 'ab'}
    masks = {'b': torch.tensor([[1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]).bool()} if masked else None
    recorder = FusionRecorder(fusion)
    with torch.no_grad():
        with recorder.recording() as calls:
            wanted = fusion(tokens, masks=masks)
        with recorder.replacing(calls, [call.entered for call in calls]):
            found = fusion(tokens, masks=masks)
    torch.testing.assert_close(found.fused, wanted.fused)
    torch.testing.assert_close(found.log_prob, wanted.log_prob)


def test_a_linear_score_is_told_apart_exactly():
    tokens = {'a': torch.randn(2, 3, D), 'b': torch.randn(2, 4, D)}
    weight = torch.randn(D)
    contributions, rest = integrated_gradients(
        lambda t: (t['a'] @ weight).sum(1) + 0 * t['b'].sum((1, 2)), tokens, steps=1
    )
    torch.testing.assert_close(contributions['a'], tokens['a'] @ weight)
    assert contributions['b'].abs().max() == 0
    assert rest.abs().max() < 1e-5
    with pytest.raises(ValueError, match='steps must be positive; got 0'):
        integrated_gradients(lambda t: t['a'].sum((1, 2)), tokens, steps=0)


def test_planted_cues_are_found_and_noise_gets_nothing():
    found = planted_cues(iterations=100, recipe='paper_cross_modal')
    assert found['accuracy'] > 0.95
    assert found['cue_found'] > 0.95
    assert found['cue_found_by_chance'] < 0.1
    assert found['noise_share'] < 0.1
