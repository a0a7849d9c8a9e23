"""FusionNeck: any pyramid in, one pyramid out, identity start kept."""

import pytest
import torch
from mmengine.model import BaseModule

from mango_mm.models import FusionNeck

C = [8, 12]


def neck(**options):
    options.setdefault('fusion', dict(type='MangoFusion', window=2, depth=1))
    options.setdefault('stages', [1])
    return FusionNeck(['rgb', 'depth'], C, **options)


def pyramid(batch=2):
    return [torch.randn(batch, C[0], 6, 8), torch.randn(batch, C[1], 3, 4)]


def test_dicts_sequences_and_stacked_channels_mean_the_same():
    model, rgb, depth = neck().eval(), pyramid(), pyramid()
    expected = model({'rgb': rgb, 'depth': depth})
    assert [x.shape for x in expected] == [(2, 8, 6, 8), (2, 12, 3, 4)]
    stacked = [torch.cat(pair, 1) for pair in zip(rgb, depth)]
    for features in ((rgb, depth), stacked, {'depth': depth, 'rgb': rgb}):
        torch.testing.assert_close(model(features), expected)


def test_the_loss_is_the_weighted_nll_of_the_fused_stage():
    model, features = neck(nll_weight=0.5), (pyramid(), pyramid())
    result = model.fuse(features)
    nll = result.outputs[1].nll_per_dim().mean()
    torch.testing.assert_close(result.losses['loss_nll'], 0.5 * nll)
    torch.testing.assert_close(result.losses['nll_per_dim'], nll.detach())
    assert result.nll_per_dim.shape == (2,)


def test_a_fusion_without_a_density_adds_no_loss():
    result = neck(fusion=dict(type='ConcatFusion')).fuse((pyramid(), pyramid()))
    assert result.losses == {}
    assert result.nll_per_dim is None


def test_one_fusion_per_stage_and_a_token_width_of_its_own():
    model = neck(
        stages=[0, 1],
        fusion=[dict(type='SumFusion'), dict(type='MangoFusion', window=2, depth=1)],
        dim=4,
    )
    maps = model((pyramid(), pyramid()))
    assert [type(f).__name__ for f in model.fusions] == ['SumFusion', 'MangoFusion']
    assert [f.dim for f in model.fusions] == [4, 4]
    assert [x.shape[1] for x in maps] == C


def test_an_ancestors_init_cfg_does_not_move_a_flow_from_its_start():
    class Ancestor(BaseModule):
        def __init__(self):
            super().__init__(init_cfg=dict(type='TruncNormal', layer='Linear', std=0.1))
            self.neck = neck(fusion=dict(type='MangoFusion', window=2, depth=2))

    model = Ancestor()
    model.init_weights()
    flow = model.neck.fusions[1].flow
    zero = [n for n, p in flow.named_parameters() if n.endswith('conditioner.4.weight')]
    assert len(zero) == 2
    assert not any(dict(flow.named_parameters())[n].any() for n in zero)
    gates = torch.cat([m.gates() for m in flow.modules() if hasattr(m, 'gates')])
    torch.testing.assert_close(gates, torch.full_like(gates, 1 / 8))


@pytest.mark.parametrize(
    ('features', 'message'),
    [
        (lambda: {'rgb': pyramid()}, r"without \['depth'\]"),
        (lambda: (pyramid(),), "one pyramid for each of .*'depth'.*; got 1"),
        (lambda: ([torch.randn(1, 5, 4, 4)] * 2,) * 2, r'in_channels \(8, 12\).*\(5, 5\)'),
        (lambda: [torch.randn(1, 5, 4, 4)] * 2, r'\[16, 24\] .* got \[5, 5\]'),
    ],
)
def test_wrong_features_are_named(features, message):
    with pytest.raises((ValueError, KeyError), match=message):
        neck()(features())


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match=r'stages must lie in 0..1; got \(2,\)'):
        neck(stages=[2])
    with pytest.raises(ValueError, match='one per stage; got 2'):
        neck(fusion=[dict(type='SumFusion')] * 2)
    with pytest.raises(TypeError, match='must name its type'):
        neck(fusion=dict(depth=1))
    with pytest.raises(KeyError, match='NoFusion'):
        neck(fusion=dict(type='NoFusion'))
