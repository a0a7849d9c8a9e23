"""Training algorithms on segmentation and classification: what defines each of them."""

import copy
import time

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from rooms import RGBD

from mango_mm.models.algorithms.random_view import RandomView
from mango_mm.registry import MODELS
from mango_mm.structures import MultiLabelSample

MIT = dict(
    type='mmseg.MixVisionTransformer', embed_dims=8, num_stages=2, num_layers=[1, 1],
    num_heads=[1, 2], patch_sizes=[7, 3], strides=[4, 2], sr_ratios=[2, 1], out_indices=(0, 1),
    mlp_ratio=2,
)  # fmt: skip
HEAD = dict(
    type='mmseg.SegformerHead', in_channels=[8, 16], in_index=[0, 1], channels=8, num_classes=3,
    dropout_ratio=0.0, norm_cfg=dict(type='GN', num_groups=2), align_corners=False,
    loss_decode=dict(type='mmseg.CrossEntropyLoss'),
)  # fmt: skip
STREAMS = dict(
    type='mango_mm.MultiStreamBackbone',
    modalities=RGBD,
    backbone=MIT,
)
NECK = dict(type='mango_mm.FusionNeck', modalities=['rgb', 'depth'], in_channels=[8, 16],
            fusion=dict(type='ConcatFusion'))  # fmt: skip
ENCODERS = dict(
    image=dict(type='BackboneTokens', backbone=dict(type='ConvPyramid', channels=[8, 16]),
               out_dim=16),
    text=dict(type='WordTextEncoder', dim=8, num_heads=2, max_length=9, dropout=0.0,
              vocabulary=dict(size=30, min_count=1)),
)  # fmt: skip
TEXTS = ['a short plot', 'war and love and war', 'love in space', 'space']
TASKS = ('segmentation', 'classification')


def segmentor(head=None, neck=NECK, use=None):
    return dict(type='mango_mm.MultimodalEncoderDecoder', backbone=dict(STREAMS, use=use),
                neck=neck, decode_head=head or HEAD, train_cfg=dict(),
                test_cfg=dict(mode='whole'))  # fmt: skip


def classifier(**options):
    given = dict(fusion=dict(type='ConcatFusion', reduction='sequence'), encoders=ENCODERS)
    return dict(type='mango_mm.MultimodalClassifier', dim=8, num_classes=3, head=dict(),
                **{**given, **options})  # fmt: skip


def ensemble(combine, shared):
    return dict(type='mango_mm.EnsembleHead', head=HEAD, modalities=['rgb', 'depth'],
                combine=combine, shared=shared)  # fmt: skip


STUDENTS = {
    'segmentation': dict(
        fused=segmentor(),
        heads=segmentor(ensemble('fused', shared=False)),
        shared=segmentor(ensemble('entropy', shared=True), neck=None),
    ),
    'classification': dict(
        fused=classifier(),
        heads=classifier(unimodal_heads={}),
        shared=classifier(fusion=None, unimodal_heads=dict(combine='entropy', shared=True)),
    ),
}
NAMES = {'segmentation': ('rgb', 'depth'), 'classification': ('image', 'text')}


def unimodal(task, name):
    if task == 'segmentation':
        return segmentor(neck=None, use=[name])
    return classifier(fusion=None, encoders={name: ENCODERS[name]})


def build(config):
    config = ConfigDict(copy.deepcopy(config))
    init_default_scope('mmseg' if 'EncoderDecoder' in str(config) else 'mango_mm')
    model = MODELS.build(config)
    if 'WordTextEncoder' in str(config):
        model.fit_vocabulary(TEXTS)
    return model


def shake(model):
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.2 * torch.randn_like(p))
    return model


def teachers(task, folder, count=1):
    """Arguments of teachers of every modality, with checkpoints on disk."""
    specs = {}
    for name in NAMES[task]:
        specs[name] = []
        for i in range(count):
            model = shake(build(unimodal(task, name)))
            path = folder / f'{name}{i}.pth'
            torch.save({'state_dict': model.state_dict()}, path)
            specs[name].append(dict(config=unimodal(task, name), checkpoint=str(path)))
    return specs


def batch(task, count=4, present=None):
    generator = torch.Generator().manual_seed(1)
    samples = []
    for i in range(count):
        meta = {} if present is None else dict(present=present[i])
        if task == 'segmentation':
            sample = SegDataSample(metainfo=dict(img_shape=(32, 32), ori_shape=(32, 32), **meta))
            labels = torch.randint(0, 3, (1, 32, 32), generator=generator)
            sample.gt_sem_seg = PixelData(data=labels)
        else:
            sample = MultiLabelSample(metainfo=meta)
            sample.gt_label = torch.randint(0, 2, (3,), generator=generator).float()
        samples.append(sample)
    if task == 'segmentation':
        return torch.randn(count, 4, 32, 32, generator=generator), samples
    return {'image': torch.randn(count, 3, 8, 12, generator=generator), 'text': TEXTS}, samples


def make(kind, task, student='fused', **options):
    config = dict(type=f'mango_mm.{kind}', student=STUDENTS[task][student], **options)
    model = build(config)
    model.init_weights()
    return model


def first(specs):
    return {m: specs[m][0] for m in specs}


def encoders(task, model, name):
    """The parameters that only one modality has, found by name and not by the algorithms."""
    if task == 'segmentation':
        return dict(model.backbone.streams[name].named_parameters())
    return {**dict(model.encoders[name].named_parameters(prefix='encoder')),
            **dict(model.enter[name].named_parameters(prefix='enter'))}  # fmt: skip


def answers(task, model, inputs, samples):
    """Logits of a unimodal model, by the public interface of its toolbox."""
    if task == 'classification':
        return model(inputs, samples)
    return model.decode_head(model.backbone(inputs))


@pytest.mark.parametrize('task', TASKS)
def test_umt_matches_the_features_of_teachers_that_stay_as_they_are(task, tmp_path):
    specs = teachers(task, tmp_path)
    model = make('UMT', task, teachers=first(specs), distill_weight=0.5).train()
    inputs, samples = batch(task)
    losses = model(inputs, samples, mode='loss')
    for m in NAMES[task]:
        teacher = build(unimodal(task, m)).eval()
        teacher.load_state_dict(torch.load(specs[m][0]['checkpoint'])['state_dict'])
        assert not model.teachers[m].model.training
        if task == 'segmentation':
            own, wanted = model.student.backbone(inputs)[m], teacher.backbone(inputs)
            distance = sum(((a - b) ** 2).mean() for a, b in zip(own, wanted)) / len(wanted)
        else:
            (own, mask), (wanted, _) = (
                (x.encode(inputs, samples)[0][m], x.encode(inputs, samples)[1][m])
                for x in (model.student, teacher)
            )
            mean = [(t * mask[..., None]).sum(1) / mask.sum(1, keepdim=True) for t in (own, wanted)]
            distance = ((mean[0] - mean[1]) ** 2).mean()
        torch.testing.assert_close(losses[f'loss_distill_{m}'], 0.5 * distance)
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(p.grad is None for p in model.teachers.parameters())
    idle = [n for n, p in model.student.named_parameters() if p.grad is None]
    assert idle == []


@pytest.mark.parametrize('task', TASKS)
def test_the_probe_trains_only_what_fuses_frozen_encoders(task, tmp_path):
    specs = teachers(task, tmp_path)
    model = make('UnimodalProbe', task, teachers=first(specs)).train()
    wanted = {}
    for m in NAMES[task]:
        teacher = build(unimodal(task, m))
        teacher.load_state_dict(torch.load(specs[m][0]['checkpoint'])['state_dict'])
        wanted[m] = encoders(task, teacher, m)
    before = {n: p.detach().clone() for n, p in model.student.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    total, _ = model.parse_losses(model(*batch(task), mode='loss'))
    total.backward()
    optimizer.step()
    frozen = set()
    for m in NAMES[task]:
        own = encoders(task, model.student, m)
        assert own.keys() == wanted[m].keys()
        for name, p in own.items():
            torch.testing.assert_close(p, wanted[m][name])
            frozen.add(id(p))
    moved = [n for n, p in model.student.named_parameters() if not p.equal(before[n])]
    rest = [n for n, p in model.student.named_parameters() if id(p) not in frozen]
    assert moved == rest
    assert rest


@pytest.mark.parametrize('task', TASKS)
def test_mind_teaches_every_head_the_mean_of_its_ensemble(task, tmp_path):
    specs = teachers(task, tmp_path, count=2)
    name = NAMES[task][1]
    weights = {NAMES[task][0]: 2.0, name: 0.25}
    model = make('MIND', task, 'heads', teachers=specs, task_weight=weights,
                 distill_weight=3.0, temperature=2.0).eval()  # fmt: skip
    there = [{m: True for m in NAMES[task]} for _ in range(4)]
    there[1][name] = False
    inputs, samples = batch(task, present=there)
    losses = model(inputs, samples, mode='loss')
    plain = model.student(inputs, samples, mode='loss')
    key = 'decode.{}.loss_ce' if task == 'segmentation' else 'loss_cls_{}'
    for m in (*NAMES[task], 'fused'):
        wanted = weights.get(m, 1.0) * plain[key.format(m)]
        torch.testing.assert_close(losses[key.format(m)], wanted)
    ensemble_of = []
    for spec in specs[name]:
        teacher = build(unimodal(task, name)).eval()
        teacher.load_state_dict(torch.load(spec['checkpoint'])['state_dict'])
        ensemble_of.append(answers(task, teacher, inputs, samples))
    teacher = sum(ensemble_of) / 2
    if task == 'segmentation':
        own = model.student.decode_head.heads[name](model.student.backbone(inputs)[name])
        pair = [
            torch.distributions.Categorical(logits=x.movedim(1, -1) / 2) for x in (teacher, own)
        ]
        distance = torch.distributions.kl_divergence(*pair).mean((1, 2))
    else:
        own = model.student.classify(*model.student.encode(inputs, samples))[0][name]
        pair = [torch.distributions.Bernoulli(logits=x / 2) for x in (teacher, own)]
        distance = torch.distributions.kl_divergence(*pair).sum(1)
    distance[1] = 0.0  # this sample lacks the modality
    wanted = 3.0 * 4.0 * distance.mean()
    torch.testing.assert_close(losses[f'loss_distill_{name}'], wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('task', TASKS)
def test_mind_answers_without_a_modality_and_does_not_look_at_it(task, tmp_path):
    model = make('MIND', task, 'heads', teachers=teachers(task, tmp_path)).eval()
    first_name, second = NAMES[task]
    there = [{first_name: True, second: i % 2 == 0} for i in range(4)]
    inputs, samples = batch(task, present=there)

    def predict(given):
        out = model(given, copy.deepcopy(samples), mode='predict')
        field = 'seg_logits' if task == 'segmentation' else 'pred_score'
        return [getattr(s, field) if task == 'classification' else s.seg_logits.data for s in out]

    changed = copy.deepcopy(inputs)
    if task == 'segmentation':
        changed[1, 3] = 9.0
        changed[0, 3] = 9.0
    else:
        changed['text'] = ['war', 'war', *changed['text'][2:]]
    with torch.no_grad():
        a, b = predict(inputs), predict(changed)
    torch.testing.assert_close(a[1], b[1])  # lacks it: nothing changes
    assert not torch.allclose(a[0], b[0])  # has it


@pytest.fixture(autouse=True)
def start_of_training():
    """MLA's alpha follows the progress of the run; a run of another test may be at its end."""
    MessageHub.get_instance(f'test {time.monotonic()}')


class Watched(OptimWrapper):
    """Keeps a copy of a model before and after every step."""

    def __init__(self, model):
        super().__init__(torch.optim.SGD(model.parameters(), lr=0.1))
        self.model, self.before, self.after = model, [], []

    def step(self, **options):
        self.before.append(copy.deepcopy(self.model).state_dict())
        super().step(**options)
        self.after.append(copy.deepcopy(self.model).state_dict())


@pytest.mark.parametrize('task', TASKS)
def test_mla_takes_a_step_per_modality_projected_off_the_turns_before(task):
    model = make('MLA', task, 'shared').train()
    shake(model.student)
    names = NAMES[task]
    inputs, samples = batch(task)
    seen = []

    def note(_, given):
        x = given[0].detach()
        seen.append(x.mean((0, 2, 3)) if x.dim() == 4 else x.mean(0))

    model.task.last_layer(names[0]).register_forward_pre_hook(note)
    optimizer = Watched(model)
    logged = model.alternate(dict(inputs=inputs, data_samples=samples), optimizer, model)
    assert logged['loss'].isfinite()
    assert len(optimizer.after) == 2

    # The plain gradient of the second turn, at the weights with which it began.
    again = make('MLA', task, 'shared').train()
    again.load_state_dict(optimizer.before[1])
    total, _ = again.parse_losses(again(inputs, samples, mode='loss', only=names[1]))
    total.backward()
    layer = again.task.last_layer(names[1])
    gradient = layer.weight.grad.flatten(1)
    key = next(n for n, p in again.named_parameters() if p is layer.weight)
    change = (optimizer.after[1][key] - optimizer.before[1][key]).flatten(1)
    r = seen[0]
    p = torch.eye(len(r)) - torch.outer(r, r) / (0.1 + r @ r)  # alpha is .1 at the start
    torch.testing.assert_close(change, -0.1 * gradient @ p / p.norm(), rtol=1e-3, atol=1e-6)
    assert not torch.allclose(change, -0.1 * gradient, atol=1e-5)

    # Every turn moves its own encoder and not the other's.
    for turn, m in enumerate(names):
        for other in names:
            own = {id(p) for p in encoders(task, model.student, other).values()}
            keys = [n for n, p in model.named_parameters() if id(p) in own]
            assert keys
            moved = [
                n for n in keys if not optimizer.after[turn][n].equal(optimizer.before[turn][n])
            ]
            assert bool(moved) == (m == other)


@pytest.mark.parametrize('task', TASKS)
def test_mlas_first_turn_is_not_projected_and_it_does_not_accumulate(task):
    model = make('MLA', task, 'shared')
    torch.testing.assert_close(model.projection.matrix, torch.eye(len(model.projection.matrix)))
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=2)
    inputs, samples = batch(task)
    with pytest.raises(ValueError, match='accumulative_counts must be 1'):
        model.alternate(dict(inputs=inputs, data_samples=samples), optimizer, model)


@pytest.mark.parametrize('task', TASKS)
def test_mla_learns_nothing_of_a_sample_without_the_modality(task):
    first, second = NAMES[task]
    model = make('MLA', task, 'shared').train()
    shake(model.student)
    present = [{first: True, second: i != 1} for i in range(4)]
    inputs, samples = batch(task, present=present)
    _, others = batch(task, present=present)
    if task == 'segmentation':
        others[1].gt_sem_seg.data = (others[1].gt_sem_seg.data + 1) % 3
    else:
        others[1].gt_label = 1 - others[1].gt_label
    turns = {}
    for only in (first, second):
        for key, of in (('as it is', samples), ('other labels', others)):
            model.zero_grad()
            total, _ = model.parse_losses(model(inputs, of, mode='loss', only=only))
            total.backward()
            turns[only, key] = total.item(), model._mean_input
    assert turns[first, 'as it is'][0] != turns[first, 'other labels'][0]
    assert turns[second, 'as it is'][0] == turns[second, 'other labels'][0]
    three = [samples[i] for i in (0, 2, 3)]
    kept = inputs[[0, 2, 3]] if torch.is_tensor(inputs) else {
        'image': inputs['image'][[0, 2, 3]], 'text': [inputs['text'][i] for i in (0, 2, 3)]
    }  # fmt: skip
    total, _ = model.parse_losses(model(kept, three, mode='loss', only=second))
    assert total.item() == pytest.approx(turns[second, 'as it is'][0], rel=1e-5)
    torch.testing.assert_close(model._mean_input, turns[second, 'as it is'][1])
    none = batch(task, present=[{first: True, second: False}] * 4)[1]
    total, _ = model.parse_losses(model(inputs, none, mode='loss', only=second))
    assert total.item() == 0.0


@pytest.mark.parametrize('task', TASKS)
def test_umurl_teaches_the_encoders_alone_and_its_loss_falls(task):
    channels = dict(zip(NAMES[task], (16, 16) if task == 'segmentation' else (8, 8)))
    torch.manual_seed(0)
    model = make('UmURL', task, in_channels=channels, dim=8, num_heads=2, out_dim=6,
                 pool_first=task == 'classification').train()  # fmt: skip
    inputs, samples = batch(task)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    values = []
    for _ in range(30):
        total, _ = model.parse_losses(model(inputs, samples, mode='loss'))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        values.append(total.item())
    assert values[-1] < 0.8 * values[0]
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []
    trained = {id(p) for p in model.student.parameters() if p.requires_grad}
    wanted = {id(p) for m in NAMES[task] for p in encoders(task, model.student, m).values()}
    assert trained == wanted


@pytest.mark.parametrize('kind', ['UMT', 'UnimodalProbe', 'MIND', 'MLA', 'UmURL'])
def test_three_modalities_train(kind, tmp_path):
    names = ('rgb', 'depth', 'thermal')
    streams = dict(
        STREAMS,
        modalities=[*RGBD, dict(name='thermal', channels=1)],
    )
    neck = dict(NECK, modalities=list(names))

    def student(head, given=neck, use=None):
        return dict(segmentor(head, given), backbone=dict(streams, use=use))

    specs = {}
    for name in names:
        config = student(HEAD, None, [name])
        path = str(tmp_path / f'{name}.pth')
        torch.save({'state_dict': build(config).state_dict()}, path)
        specs[name] = dict(config=config, checkpoint=path)
    options = dict(
        UMT=dict(student=student(HEAD), teachers=specs),
        UnimodalProbe=dict(student=student(HEAD), teachers=specs),
        MIND=dict(
            student=student(dict(ensemble('fused', shared=False), modalities=list(names))),
            teachers={m: [spec] for m, spec in specs.items()},
        ),
        MLA=dict(
            student=student(dict(ensemble('entropy', shared=True), modalities=list(names)), None)
        ),
        UmURL=dict(student=student(HEAD), in_channels=16, dim=8, num_heads=2, out_dim=6),
    )[kind]
    model = build(dict(type=f'mango_mm.{kind}', **options))
    model.init_weights()
    model.train()
    _, samples = batch('segmentation')
    total, _ = model.parse_losses(model(torch.randn(4, 5, 32, 32), samples, mode='loss'))
    total.backward()
    assert total.isfinite()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert idle == []  # DDP would stop at one


def test_umurls_views_are_its_equations():
    model = make('UmURL', 'segmentation', in_channels=16, dim=8, num_heads=2, out_dim=6).eval()
    inputs, samples = batch('segmentation')
    views = iter([inputs.roll(k, 0) for k in range(3)])  # in the place of random ones
    model.draw_view = lambda given: next(views)
    alone, parts = model.views(inputs, samples)
    e = []
    for k in range(3):
        maps = model.student.backbone(inputs.roll(k, 0))
        tokens = {m: x[-1].flatten(2).transpose(1, 2) for m, x in maps.items()}
        e.append({m: model.embed[m](x) for m, x in tokens.items()})
    count = e[0]['rgb'].shape[1]
    p = torch.empty(count, 8)
    for n in range(count):
        for i in range(4):
            angle = torch.tensor(n / 10000 ** (2 * i / 8))
            p[n, 2 * i], p[n, 2 * i + 1] = angle.sin(), angle.cos()
    fused = model.shared(model.fuse((e[2]['rgb'] + e[2]['depth']) / 2) + p).max(dim=1).values
    for i, m in enumerate(('rgb', 'depth')):
        wanted = model.projectors[m](model.shared(e[i][m] + p).max(1).values)
        torch.testing.assert_close(alone[i], wanted, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(parts[i], model.projectors[m](fused), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('task', TASKS)
def test_umurl_compares_views_that_were_drawn_apart(task):
    options = dict(in_channels=dict(image=8, text=8), pool_first=True)
    options = options if task == 'classification' else dict(in_channels=16)
    model = make('UmURL', task, dim=8, num_heads=2, out_dim=6, **options).eval()
    inputs, samples = batch(task)
    seen, draw = [], model.draw_view

    def note(given):
        seen.append(draw(given))
        return seen[-1]

    model.draw_view = note
    model.views(inputs, samples)
    assert len(seen) == 3  # each modality alone, and the fused one
    flat = [x if isinstance(x, torch.Tensor) else x['image'] for x in seen]
    assert not any(torch.equal(a, b) for a, b in zip(flat, flat[1:] + flat[:1]))
    assert all(x.shape == flat[0].shape for x in flat)
    if task == 'classification':
        assert any(x['text'] != list(inputs['text']) for x in seen)


def test_a_random_view_moves_all_channels_alike_and_invents_no_value():
    torch.manual_seed(0)
    x = torch.rand(6, 1, 20, 30).add(1).repeat(1, 3, 1, 1)
    view = RandomView()(x)
    assert torch.equal(view[:, 0], view[:, 2])
    for sample, given in zip(view, x):
        assert torch.isin(sample[sample != 0], given).all()
        assert (sample == 0).float().mean() <= 0.2 + 0.05
    assert not torch.equal(view, x)


def test_pretrained_encoders_go_into_a_plain_model(tmp_path):
    model = make('UmURL', 'segmentation', in_channels=16, dim=8, num_heads=2, out_dim=6)
    shake(model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'umurl.pth')
    config = segmentor()
    config['backbone']['init_cfg'] = dict(
        type='Pretrained', checkpoint=str(tmp_path / 'umurl.pth'), prefix='student.backbone.'
    )
    plain = build(config)
    plain.init_weights()
    for name, p in plain.backbone.named_parameters():
        torch.testing.assert_close(p, model.student.backbone.get_parameter(name))


@pytest.mark.parametrize(
    ('kind', 'student', 'options', 'error', 'message'),
    [
        ('UMT', 'fused', dict(teachers={}), ValueError, r"some of \('rgb', 'depth'\); got \(\)"),
        ('UMT', 'fused', dict(teachers=dict(sound=None)), ValueError, r"got \('sound',\)"),
        ('UnimodalProbe', 'fused', dict(teachers=dict(rgb=None)), ValueError, 'one for each of'),
        ('MLA', 'fused', {}, ValueError, 'needs an EnsembleHead; got a SegformerHead'),
        ('MLA', 'heads', {}, ValueError, 'one head for all modalities: set shared=True'),
        ('UmURL', 'fused', dict(in_channels=dict(rgb=16)), ValueError, 'in_channels'),
    ],
)
def test_what_does_not_fit_is_named(kind, student, options, error, message):
    with pytest.raises(error, match=message):
        make(kind, 'segmentation', student, **options)


def test_teachers_that_are_missing_or_of_another_model_are_named(tmp_path):
    config = 'configs/unimodal/rgb_small_1xb8-600it_mini-rooms-72x96.py'
    missing = dict(rgb=dict(config=config, checkpoint=str(tmp_path / 'none.pth')))
    with pytest.raises(FileNotFoundError, match=rf'none.pth.*python tools/train.py {config}'):
        make('UMT', 'segmentation', teachers=missing)
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, tmp_path / 'other.pth')
    other = dict(rgb=dict(config=config, checkpoint=str(tmp_path / 'other.pth')))
    with pytest.raises(ValueError, match=r'other.pth is not of this'):
        make('UMT', 'segmentation', teachers=other)
    with pytest.raises(FileNotFoundError, match='no_such.py does not exist, and .* is neither in'):
        make('UMT', 'segmentation', teachers=dict(rgb=dict(config='no_such.py', checkpoint='x')))
    with pytest.raises(TypeError, match='a training algorithm needs a MultimodalEncoderDecoder or'):
        build(dict(type='mango_mm.UmURL', student=dict(type='ConvPyramid'), in_channels=3))


def test_a_student_with_other_features_than_its_teacher_is_refused(tmp_path):
    wide = copy.deepcopy(unimodal('segmentation', 'rgb'))
    wide['backbone']['backbone'] = dict(MIT, embed_dims=16)
    wide['decode_head'] = dict(HEAD, in_channels=[16, 32])
    torch.save({'state_dict': build(wide).state_dict()}, tmp_path / 'wide.pth')
    spec = dict(config=wide, checkpoint=str(tmp_path / 'wide.pth'))
    model = make('UMT', 'segmentation', teachers=dict(rgb=spec))
    with pytest.raises(ValueError, match="features of 'rgb' must have the shapes of its teacher"):
        model(*batch('segmentation'), mode='loss')
