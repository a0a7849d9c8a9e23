"""Sequences through the model: heads, absent modalities, algorithms, training and inference."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from rooms import ROOT

from mango_mm import apis
from mango_mm.apis import load_config
from mango_mm.datasets.mini.sequences import make_sequence
from mango_mm.datasets.mini.write_sequences import write_sequences
from mango_mm.inferencers import MangoInferencer, SequenceInferencer
from mango_mm.models.algorithms.random_view import RandomView
from mango_mm.models.classifiers import SequenceDataPreprocessor, SequenceEncoder
from mango_mm.models.tasks import task_of
from mango_mm.registry import MODELS
from mango_mm.structures import SequenceSample

S = 'small_1xb32-600it_mini-sequences-24'
SIZES = dict(a=(5, 3), b=(4, 2))
FUSIONS = {
    'MangoFusion': dict(num_tokens=[5, 4], depth=1, reduction='sequence'),
    'MCMulTFusion': dict(reduction='sequence', num_heads=2),
    'ConcatFusion': {},
}


def classifier(head, fusion='ConcatFusion', **options):
    init_default_scope('mango_mm')
    torch.manual_seed(0)
    pool = 'after' if fusion != 'ConcatFusion' else 'before'
    model = MODELS.build(dict(
        type='MultimodalClassifier', dim=8, pool=pool,
        data_preprocessor=dict(
            type='SequenceDataPreprocessor',
            modalities=[dict(name=m, channels=c) for m, (_, c) in SIZES.items()],
        ),
        encoders=[
            dict(name=m, type='SequenceEncoder', in_channels=c, out_dim=8, num_heads=2)
            for m, (_, c) in SIZES.items()
        ],
        fusion=dict(type=fusion, **FUSIONS[fusion]), **head, **options,
    ))  # fmt: skip
    model.init_weights()
    return model


HEADS = {
    'regression': (dict(num_classes=1, head=dict(type='RegressionHead')), [[0.5], [-2.0], [3.0]]),
    'multi_class': (dict(num_classes=4, head=dict(type='MultiClassHead')), [0, 3, 1]),
    'multi_label': (dict(num_classes=2), [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]),
}


def batch(labels, lacking=()):
    rng = torch.Generator().manual_seed(0)
    inputs = {
        m: (
            [torch.randn(t, c, generator=rng) for _ in labels],
            [torch.ones(t).bool()] * len(labels),
        )
        for m, (t, c) in SIZES.items()
    }
    samples = []
    for i, label in enumerate(labels):
        sample = SequenceSample(metainfo=dict(sample_id=str(i)))
        if i in lacking:
            sample.set_metainfo(dict(present=dict(a=True, b=False)))
        sample.gt_label = torch.tensor(label)
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


@pytest.mark.parametrize('fusion', FUSIONS)
@pytest.mark.parametrize('kind', HEADS)
def test_every_head_with_every_kind_of_fusion(kind, fusion):
    head, labels = HEADS[kind]
    model = classifier(head, fusion)
    data = model.data_preprocessor(batch(labels, lacking=(1,)), True)
    losses = model(**data, mode='loss')
    total, _ = model.parse_losses(losses)
    total.backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    model.eval()
    field = 'pred_value' if kind == 'regression' else 'pred_score'
    with torch.no_grad():
        found = model.test_step(batch(labels, lacking=(1,)))
        logits = model(**model.data_preprocessor(batch(labels, lacking=(1,))), mode='tensor')
    for sample, raw in zip(found, logits):
        wanted = {
            'regression': raw, 'multi_class': raw.softmax(dim=0), 'multi_label': raw.sigmoid()
        }[kind]  # fmt: skip
        torch.testing.assert_close(sample.get(field), wanted)
    assert ('nll_per_dim' in found[0]) == (fusion == 'MangoFusion')


def test_losses_are_torchs():
    out = torch.randn(3, 4)
    head = MODELS.build(dict(type='mango_mm.MultiClassHead', in_channels=2, num_classes=4))
    labels = torch.tensor([0, 3, 1])
    wanted = torch.nn.functional.cross_entropy(out, labels)
    torch.testing.assert_close(head.loss(out, labels), wanted)
    for name, wanted in (('l1', torch.nn.L1Loss()), ('mse', torch.nn.MSELoss())):
        made = dict(type='mango_mm.RegressionHead', in_channels=2, num_classes=4, loss=name)
        head, target = MODELS.build(made), torch.randn(3, 4)
        torch.testing.assert_close(head.loss(out, target), wanted(out, target))
    with pytest.raises(ValueError, match="loss must be one of .* got 'l3'"):
        MODELS.build(dict(type='mango_mm.RegressionHead', in_channels=2, loss='l3'))
    with pytest.raises(ValueError, match='a regression has no entropy'):
        classifier(HEADS['regression'][0], unimodal_heads=dict(combine='entropy'))


def test_padding_and_what_is_absent_change_nothing():
    encoder = SequenceEncoder(3, 8, num_heads=2).eval()
    tokens, mask = torch.randn(2, 6, 3), torch.arange(6) < torch.tensor([[4], [6]])
    whole, _ = encoder((tokens, mask))
    other = tokens.clone()
    other[0, 4:] = 1e6
    torch.testing.assert_close(encoder((other, mask))[0], whole)
    assert not whole[0, 4:].any()
    short, _ = encoder((tokens[:1, :4], mask[:1, :4]))
    torch.testing.assert_close(short[0], whole[0, :4])
    none, _ = encoder((tokens, torch.zeros_like(mask)))
    assert torch.isfinite(none).all()
    with pytest.raises(ValueError, match='built for 512 tokens; got 513'):
        encoder((torch.zeros(1, 513, 3), torch.ones(1, 513).bool()))


def test_a_view_of_a_sequence_loses_a_run_of_tokens_and_entries():
    torch.manual_seed(0)
    tokens, mask = torch.ones(200, 10, 4), torch.ones(200, 10).bool()
    mask[:, 8:] = False
    seen, kept = RandomView(erase=0.5, drop=0.25)((tokens, mask))
    assert (kept & ~mask).sum() == 0
    lost = (mask & ~kept).sum(dim=1)
    assert lost.max() <= 4
    assert lost.max() > 1
    assert kept.any(dim=1).all()
    for row in (mask & ~kept)[lost > 1]:
        places = row.nonzero()[:, 0]
        assert places[-1] - places[0] == len(places) - 1  # in one run
    assert (seen == 0).float().mean() == pytest.approx(0.25, abs=0.03)


def test_statistics_by_channel_and_what_does_not_fit():
    made = SequenceDataPreprocessor([dict(name='x', channels=2, mean=[1.0, 2.0], std=2.0)])
    values = torch.tensor([[3.0, 2.0], [9.0, 9.0]])
    data = dict(inputs=dict(x=([values], [torch.tensor([True, False])])))
    tokens, mask = made(data)['inputs']['x']
    assert tokens[0].tolist() == [[1.0, 0.0], [0.0, 0.0]]
    with pytest.raises(ValueError, match='one for each of its 2 channels'):
        SequenceDataPreprocessor([dict(name='x', channels=2, std=[1.0, 2.0, 3.0])])
    with pytest.raises(ValueError, match=r'tokens \(T, 2\) of one length'):
        made(dict(inputs=dict(x=([torch.zeros(3, 1)], [torch.ones(3).bool()]))))


def test_it_trains_tests_and_infers(tmp_path, monkeypatch):
    write_sequences(tmp_path / 'data', train=64, val=32, test=32)
    monkeypatch.setenv('MANGO_MINI_SEQUENCES', str(tmp_path / 'data'))
    options = {
        'train_cfg.max_iters': 4, 'train_cfg.val_interval': 4,
        'default_hooks.checkpoint.interval': 4,
    }  # fmt: skip
    path = ROOT / f'configs/mango/mango-l2_{S}.py'
    config = load_config(path, work_dir=tmp_path / 'work', options=options)
    runner = apis.train(config)
    assert runner.model.data_preprocessor.known()
    checkpoint = tmp_path / 'work/iter_4.pth'
    scores = apis.test(config, checkpoint)
    assert {'mae', 'corr', 'acc_7', 'acc_2', 'f1', 'nll_per_dim'} <= set(scores)
    infer = MangoInferencer(config, checkpoint)
    assert isinstance(infer, SequenceInferencer)
    made = make_sequence(5)
    sample = {m: made.tokens[m][: made.lengths[m]] for m in made.tokens}
    np.save(tmp_path / 'signal.npy', sample['signal'])
    whole = infer(sample)
    assert whole['value'].shape == (1,)
    again = infer({**sample, 'signal': tmp_path / 'signal.npy'})
    np.testing.assert_array_equal(again['value'], whole['value'])
    without = infer({'signal': sample['signal'], 'text': None})
    assert without['value'] != whole['value']
    assert np.isfinite(without['nll_per_dim'])
    for bad, message in (
        ({'signal': None}, 'must have one of'),
        ({'signal': np.zeros((3, 7))}, r'signal must be tokens \(T, 6\); got \(3, 7\)'),
        ({'signal': 'none.npy'}, r'signal file none\.npy does not exist'),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            infer(bad)


def test_an_algorithm_and_its_student_are_given_the_same_statistics(tmp_path, monkeypatch):
    """mmengine hands the config's preprocessor to the algorithm; the student builds its own."""
    write_sequences(tmp_path / 'data', train=64, val=32, test=32)
    monkeypatch.setenv('MANGO_MINI_SEQUENCES', str(tmp_path / 'data'))
    options = {'train_cfg.max_iters': 2, 'default_hooks.checkpoint.interval': 2}
    path = ROOT / f'configs/umurl/umurl_{S}.py'
    runner = apis.train(load_config(path, work_dir=tmp_path / 'work', options=options))
    stored = torch.load(tmp_path / 'work/iter_2.pth', weights_only=True)['state_dict']
    found = {k: v for k, v in stored.items() if k.endswith('mean_text')}
    assert 'student.data_preprocessor.mean_text' in found
    for value in found.values():
        torch.testing.assert_close(value, runner.model.data_preprocessor.mean_text)
        assert value.abs().max() > 0


def test_the_task_distils_and_is_unsure_as_its_head_says():
    a, b = torch.randn(3, 1), torch.randn(3, 1)
    task = task_of(classifier(HEADS['regression'][0]))
    torch.testing.assert_close(task.distill(a, b, 1.0), (a - b).square()[:, 0])
    sample = SequenceSample()
    assert task.uncertainty(sample) == {}
    task = task_of(classifier(HEADS['multi_class'][0]))
    assert (task.distill(torch.randn(3, 4), torch.randn(3, 4), 2.0) > 0).all()
    sample.pred_score = torch.tensor([0.25] * 4)
    found = task.uncertainty(sample)
    assert found['entropy'] == pytest.approx(np.log(4))
    assert found['max_softmax'] == pytest.approx(0.75)
