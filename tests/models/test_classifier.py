"""The classifier of movies: padding, missing modalities, late fusion, losses, the Runner."""

import copy
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.registry import init_default_scope

from mango_mm.models.classifiers import MovieDataPreprocessor
from mango_mm.models.losses import AsymmetricLoss, MultiLabelBCELoss
from mango_mm.registry import MODELS
from mango_mm.structures import MultiLabelSample

MODEL = dict(
    type='mango_mm.MultimodalClassifier',
    encoders=dict(
        image=dict(type='BackboneTokens', backbone=dict(type='ConvPyramid', channels=[8, 16]),
                   out_dim=16),
        text=dict(type='WordTextEncoder', dim=8, num_heads=2, max_length=9, dropout=0.0,
                  vocabulary=dict(size=30, min_count=1)),
    ),
    dim=8, num_classes=3, head=dict(hidden_channels=8),
    fusion=dict(type='MangoFusion', num_tokens=[6, 9], depth=1, reduction='sequence'),
)  # fmt: skip
TEXTS = ['a short plot', 'war and love and war and love again', '', 'space']
FUSIONS = {
    'MANGO': {},
    'MANGO, cross-modal': dict(
        fusion=dict(type='MangoFusion', num_tokens=[6, 9], depth=1, recipe='cross_modal',
                    reduction='sequence')),
    'concat': dict(fusion=dict(type='ConcatFusion', reduction='sequence')),
    'cross-attention': dict(
        fusion=dict(type='CrossAttentionFusion', reduction='sequence', num_heads=2)),
    'GMU': dict(fusion=dict(type='GatedFusion'), pool='before'),
    'DEQ': dict(fusion=dict(type='DEQFusion', max_iter=20), pool='before', dim=32),
    'late': dict(fusion=None),
}  # fmt: skip


def build(**changes):
    init_default_scope('mango_mm')
    model = MODELS.build({**copy.deepcopy(MODEL), **changes})
    model.init_weights()
    model.fit_vocabulary(TEXTS)
    return model


def batch(count=4, present=None):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 3, 8, 12, generator=generator)
    samples = []
    for i in range(count):
        there = {'image': True, 'text': bool(TEXTS[i])} if present is None else present[i]
        sample = MultiLabelSample(metainfo=dict(present=there))
        sample.gt_label = torch.randint(0, 2, (3,), generator=generator).float()
        samples.append(sample)
    return {'image': images, 'text': TEXTS[:count]}, samples


@pytest.mark.parametrize('changes', FUSIONS.values(), ids=FUSIONS)
@pytest.mark.parametrize(('kind', 'tolerance'), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_a_movie_does_not_depend_on_the_batch_it_comes_in(changes, kind, tolerance):
    if changes is FUSIONS['DEQ'] and kind is torch.float32:
        pytest.skip('its untrained solver does not converge, and grows rounding: see deq.py')
    model = build(**changes).to(kind).eval()
    with torch.no_grad():
        for p in model.parameters():  # away from the identity, or nothing would mix
            p.add_(0.1 * torch.randn_like(p))
    inputs, samples = batch()
    inputs['image'] = inputs['image'].to(kind)
    together = model(inputs, samples, mode='predict')
    for i in range(4):
        one = {'image': inputs['image'][i : i + 1], 'text': inputs['text'][i : i + 1]}
        alone = model(one, [samples[i].new()], mode='predict')[0]
        torch.testing.assert_close(
            alone.pred_score, together[i].pred_score, rtol=tolerance, atol=tolerance
        )
        if 'nll_per_dim' in together[i]:
            torch.testing.assert_close(
                alone.nll_per_dim, together[i].nll_per_dim, rtol=tolerance, atol=tolerance
            )


@pytest.mark.parametrize('changes', FUSIONS.values(), ids=FUSIONS)
def test_more_padding_changes_nothing(changes):
    model = build(**changes).double().eval()
    inputs, samples = batch()
    inputs['image'] = inputs['image'].double()
    with torch.no_grad():
        tokens, masks = model.encode(inputs, samples)
        logits, _, nll = model.classify(tokens, masks)
        more = 9 - tokens['text'].shape[1]
        assert more > 0
        width = tokens['text'].shape[2]
        noise = torch.full((4, more, width), 1e3, dtype=torch.float64)
        tokens['text'] = torch.cat([tokens['text'], noise], 1)
        masks['text'] = torch.cat([masks['text'], torch.zeros(4, more, dtype=torch.bool)], 1)
        padded, _, padded_nll = model.classify(tokens, masks)
    for name, value in logits.items():
        torch.testing.assert_close(padded[name], value, rtol=1e-10, atol=1e-10)
    if nll is not None:
        torch.testing.assert_close(padded_nll, nll, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('changes', FUSIONS.values(), ids=FUSIONS)
def test_a_missing_modality_has_no_influence_and_every_weight_learns(changes):
    model = build(**changes)
    present = [dict(image=True, text=True), dict(image=False, text=True),
               dict(image=True, text=False), dict(image=False, text=False)]  # fmt: skip
    inputs, samples = batch(present=present)
    losses = model(inputs, samples, mode='loss')
    total, _ = model.parse_losses(losses)
    assert total.isfinite()
    total.backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []
    assert all(p.grad.isfinite().all() for p in model.parameters())
    model.eval()
    first = model(inputs, samples, mode='predict')
    scores = [s.pred_score.detach().clone() for s in first]
    changed = {'image': inputs['image'].clone(), 'text': list(inputs['text'])}
    changed['image'][1] = 7.0
    changed['text'][2] = 'love love love'
    again = model(changed, samples, mode='predict')
    for i in (1, 2):
        torch.testing.assert_close(again[i].pred_score, scores[i])


def test_late_fusion_averages_the_heads_of_what_a_sample_has_and_they_learn_alone():
    model = build(fusion=None).eval()
    inputs, samples = batch()
    tokens, masks = model.encode(inputs, samples)
    logits, _, _ = model.classify(tokens, masks)
    wanted = (logits['image'] + logits['text']) / 2
    wanted[2] = logits['image'][2]  # its plot is empty
    predicted = model(inputs, samples, mode='predict')
    torch.testing.assert_close(torch.stack([s.pred_score for s in predicted]), wanted.sigmoid())
    losses = model(inputs, samples, mode='loss')
    assert set(losses) == {'loss_cls_image', 'loss_cls_text'}
    losses['loss_cls_text'].backward()
    assert all(p.grad is None for p in model.heads['image'].parameters())


def test_one_modality_is_the_unimodal_baseline():
    model = build(encoders=dict(image=MODEL['encoders']['image']), fusion=None)
    inputs, samples = batch()
    assert set(model(inputs, samples, mode='loss')) == {'loss_cls'}


def test_modes_thresholds_and_missing_inputs():
    model = build().eval()
    inputs, samples = batch()
    logits = model(inputs)
    assert logits.shape == (4, 3)
    model.head.thresholds.fill_(0.3)
    sample = model(inputs, samples, mode='predict')[0]
    torch.testing.assert_close(sample.thresholds, torch.full((3,), 0.3))
    with pytest.raises(KeyError, match=r"lacks \['text'\]"):
        model({'image': inputs['image']})
    with pytest.raises(ValueError, match="got 'guess'"):
        model(inputs, samples, mode='guess')
    with pytest.raises(ValueError, match='pool must be'):
        build(pool='never')
    with pytest.raises(ValueError, match='at least one modality'):
        build(encoders={})
    with pytest.raises(ValueError, match=r"built for 4 tokens of 'image'; .* delivers 6"):
        build(fusion=dict(type='MangoFusion', num_tokens=[4, 9], depth=1))(inputs)


@given(seed=st.integers(0, 99))
def test_asymmetric_loss_is_its_formula_and_cross_entropy_without_focus(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 4 * torch.randn(5, 3, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (5, 3), generator=generator).double()
    plain = AsymmetricLoss(gamma_pos=0, gamma_neg=0, margin=0)(logits, labels)
    torch.testing.assert_close(plain, MultiLabelBCELoss()(logits, labels), rtol=1e-6, atol=1e-8)
    got = AsymmetricLoss(gamma_pos=1, gamma_neg=4, margin=0.05)(logits, labels)
    p = logits.sigmoid()
    m = (p - 0.05).clamp(min=0)
    wanted = -(labels * (1 - p) * p.log() + (1 - labels) * m**4 * (1 - m).log()).mean()
    torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-9)


def test_losses_stay_finite_where_the_model_is_certain_and_wrong():
    logits = torch.tensor([[200.0, -200.0]], requires_grad=True)
    for loss in (AsymmetricLoss(), AsymmetricLoss(margin=0), MultiLabelBCELoss([2.0, 3.0])):
        value = loss(logits, torch.tensor([[0.0, 1.0]]))
        (gradient,) = torch.autograd.grad(value, logits)
        assert value.isfinite()
        assert gradient.isfinite().all()
    weighted = MultiLabelBCELoss([2.0, 3.0])(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    torch.testing.assert_close(weighted, torch.tensor((2 + 1) * 0.6931472 / 2))


def test_images_are_normalised_and_texts_left_alone():
    preprocess = MovieDataPreprocessor(mean=[0, 0, 0], std=[255, 255, 255])
    image = torch.full((3, 2, 2), 255, dtype=torch.uint8)
    data = {'inputs': {'image': [image, image], 'text': ['a', 'b']}, 'data_samples': []}
    batched = preprocess(data)['inputs']
    torch.testing.assert_close(batched['image'], torch.ones(2, 3, 2, 2))
    assert batched['text'] == ['a', 'b']
    data['inputs']['image'][1] = image[:, :1]
    with pytest.raises(ValueError, match='images of a batch must have one size'):
        preprocess(data)


BLOCKED = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('mmseg', 'mmagic', 'mmpretrain', 'mmdet', 'transformers'):
            raise ImportError(f'{name} is blocked')

sys.meta_path.insert(0, Block())
sys.argv = ['train.py', *sys.argv[1:]]
import runpy
runpy.run_path('tools/train.py', run_name='__main__')
"""


@pytest.mark.slow
def test_it_trains_where_no_toolbox_is_installed(tmp_path):
    from rooms import ROOT, SHORT, environment, iterations

    from mango_mm.datasets.mini.write_movies import write_movies

    movies = write_movies(tmp_path / 'movies', train=4, dev=3, test=3)
    config = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'
    env = {**environment('unused'), 'MANGO_MINI_MOVIES': str(movies)}
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', BLOCKED, str(config), '--work-dir',
         str(tmp_path / 'work'), '--cfg-options', *SHORT, *iterations(2, 2)],
        capture_output=True, text=True, check=False, env=env, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / 'work/iter_2.pth').is_file()


def test_heads_for_every_modality_beside_the_fused_one():
    model = build(unimodal_heads={}).eval()
    inputs, samples = batch()
    logits, _, _ = model.classify(*model.encode(inputs, samples))
    assert list(logits) == ['image', 'text', 'fused']
    wanted = logits['fused'].clone()
    wanted[2] = logits['image'][2]  # it has no plot, so that its poster decides
    scores = torch.stack([s.pred_score for s in model(inputs, samples, mode='predict')])
    torch.testing.assert_close(scores, wanted.sigmoid())
    losses = model(inputs, samples, mode='loss')
    assert {'loss_cls_image', 'loss_cls_text', 'loss_cls_fused'} <= set(losses)
    labels = torch.stack([s.gt_label for s in samples])
    seen = torch.tensor([True, True, False, True])
    text = torch.nn.functional.binary_cross_entropy_with_logits(logits['text'][seen], labels[seen])
    torch.testing.assert_close(losses['loss_cls_text'], 0.75 * text)


def test_entropy_weights_the_surer_modality_and_a_head_can_be_shared():
    model = build(fusion=None, unimodal_heads=dict(combine='entropy', shared=True)).eval()
    assert list(model.heads) == ['shared']
    inputs, samples = batch(present=[dict(image=True, text=True)] * 4)
    logits, _, _ = model.classify(*model.encode(inputs, samples))
    entropies = {
        m: torch.distributions.Bernoulli(logits=x).entropy().sum(1) for m, x in logits.items()
    }
    most = torch.maximum(*entropies.values())
    weights = {m: torch.exp(most - h)[:, None] for m, h in entropies.items()}
    wanted = sum(weights[m] * x for m, x in logits.items()) / sum(weights.values())
    torch.testing.assert_close(model(inputs, samples), wanted)
    with pytest.raises(ValueError, match='unimodal_heads takes combine'):
        build(unimodal_heads=dict(combine='product'))


def test_use_leaves_an_encoder_out():
    model = build(use=['text'], fusion=None)
    assert model.modalities == ('text',)
    inputs, samples = batch()
    assert set(model(inputs, samples, mode='loss')) == {'loss_cls'}
    for wrong in (['sound'], []):
        with pytest.raises(ValueError, match='use must name some of'):
            build(use=wrong)


def test_a_frozen_encoder_gives_one_normalised_token_and_takes_it_from_a_cache():
    encoders = copy.deepcopy(MODEL['encoders'])
    frozen = {m: dict(type='FrozenEncoder', encoder=e) for m, e in encoders.items()}
    model = build(encoders=frozen, fusion=dict(type='ConcatFusion'), pool='before').train()
    assert model.encoders.text.words('war and space')
    assert not any(p.requires_grad for p in model.encoders.parameters())
    assert not any(m.training for e in model.encoders.values() for m in e.modules())
    inputs, samples = batch()
    features = model.frozen_features(inputs, samples)
    tokens, mask = features['text']
    assert tokens.shape == (4, 1, 8)
    assert mask.squeeze(1).tolist() == [bool(text) for text in TEXTS]
    every, real = model.encoders.text.encoder(inputs['text'])
    mean = every[1][real[1]].mean(dim=0)
    torch.testing.assert_close(tokens[1, 0], mean)
    given, _ = model.encoders.text(inputs['text'])
    torch.testing.assert_close(given[1, 0], (mean - mean.mean()) / mean.std(unbiased=False),
                               rtol=1e-3, atol=1e-3)  # fmt: skip
    model.eval()
    torch.testing.assert_close(model(features, samples), model(inputs, samples))
    plain = build(encoders={**frozen, 'text': encoders['text']}, fusion=None)
    with pytest.raises(ValueError, match=r"those of \['text'\] are trained"):
        plain.frozen_weights()
    other = build(encoders={**frozen, 'text': {**frozen['text'], 'pool': None}}, fusion=None)
    other.load_state_dict(model.state_dict(), strict=False)
    same, changed = model.frozen_weights(), other.frozen_weights()
    assert same['image'] == changed['image']
    assert same['text'] != changed['text']  # the same weights, other features
    with pytest.raises(ValueError, match="pool must be 'mean' or None"):
        build(encoders={**frozen, 'text': {**frozen['text'], 'pool': 'max'}})


def test_frozen_tokens_lose_channels_in_training_alone():
    frozen = {
        m: dict(type='FrozenEncoder', encoder=e, dropout=0.25)
        for m, e in copy.deepcopy(MODEL['encoders']).items()
    }
    model = build(encoders=frozen, fusion=dict(type='ConcatFusion'), pool='before')
    inputs, _ = batch()
    encoder = model.eval().encoders.text
    clean, mask = encoder(inputs['text'])
    torch.testing.assert_close(encoder(inputs['text'])[0], clean, rtol=0, atol=0)
    model.train()
    assert not encoder.training  # what is frozen moves no statistics
    seen = torch.stack([encoder(inputs['text'])[0] for _ in range(400)])
    kept = seen != 0
    torch.testing.assert_close(seen[kept], (clean / 0.75).expand_as(seen)[kept])
    assert abs(kept[:, mask].float().mean() - 0.75) < 0.02
    cached = model.frozen_features(inputs)['text']
    torch.testing.assert_close(cached[0], model.frozen_features(inputs)['text'][0])
    plain = build(encoders={m: {**e, 'dropout': 0.0} for m, e in frozen.items()}, fusion=None)
    plain.load_state_dict(model.state_dict(), strict=False)
    assert plain.frozen_weights() == model.frozen_weights()  # a cache comes before it
    with pytest.raises(ValueError, match='dropout must be 0 or more and below 1'):
        build(encoders={**frozen, 'text': {**frozen['text'], 'dropout': 1.0}})
