"""One training gives a model that knows its sensors: the real Runner, on real files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from PIL import Image
from rooms import ROOT, SHORT, iterations, make_rooms, run

from mango_mm.analysis.calibrate_trust import calibrate_trust
from mango_mm.apis import load_config, train
from mango_mm.apis import test as evaluate
from mango_mm.apis.run import hold_out_for_trust
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.engine.hooks.trust_hook import _gather
from mango_mm.inferencers import MangoInferencer
from mango_mm.models.trusted_ensemble import TrustedEnsemble
from mango_mm.registry import DATASETS, MODELS

CONFIG = ROOT / 'configs/mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py'


def options(**more):
    known = {'True': True, 'False': False}
    pairs = dict(o.split('=') for o in [*SHORT, *iterations(4, 4)])
    short = {k: known.get(v, int(v) if v.isdigit() else v) for k, v in pairs.items()}
    hook = dict(type='mango_mm.TrustHook', hold_out=9, iterations=4, batch_size=4, samples=16)
    return {
        **short,
        'custom_hooks': [dict(type='mango_mm.RandomStateHook'), hook],
        'model.decode_head.trust.rate': 0.1,
        **more,
    }


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('trust')
    write_rooms(folder / 'rooms', train=15, val=3, size=(72, 96))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MANGO_MINI_ROOMS', str(folder / 'rooms'))
        runner = train(CONFIG, work_dir=folder / 'work', options=options())
    return folder, runner


@pytest.fixture
def _rooms(trained, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(trained[0] / 'rooms'))


@pytest.mark.slow
@pytest.mark.usefixtures('_rooms')
def test_it_is_in_the_checkpoint_and_what_it_calibrates_on_was_not_trained_on(trained):
    folder, runner = trained
    ensemble = runner.model.trusted_ensemble
    assert ensemble.trust.calibrated
    assert len(runner.train_dataloader.dataset) == 15 - 9
    kept = torch.load(folder / 'work/iter_4.pth', weights_only=False)['state_dict']
    for name, value in ensemble.state_dict().items():
        torch.testing.assert_close(kept[f'decode_head.ensemble.{name}'], value)
    assert kept['decode_head.ensemble.weights.weights'].sum(1).tolist() == pytest.approx([1] * 4)
    assert not torch.allclose(
        kept['decode_head.ensemble.weights.weights'][0], torch.full((3,), 1 / 3).double()
    )
    # The plain training images alone were shown, and in the order of the list.
    again = load_config(CONFIG, options=options())
    hold_out_for_trust(again)
    assert again.train_dataloader.dataset.part == (None, -9)


@pytest.mark.slow
@pytest.mark.usefixtures('_rooms')
def test_tests_and_inferencers_use_it(trained, tmp_path):
    folder, _ = trained
    found = evaluate(CONFIG, folder / 'work', work_dir=tmp_path, options=options(custom_hooks=[]))
    assert 0 <= found['mIoU'] <= 100
    infer = MangoInferencer(CONFIG, folder / 'work')
    rooms = folder / 'rooms'
    sample = {'rgb': rooms / 'rgb/000016.jpg', 'depth': rooms / 'depth/000016.png'}
    result = infer(sample, show_dir=tmp_path)
    assert set(result['trust']) == {'rgb', 'depth'}
    assert result['trust_map']['depth'].shape == (3, 4)
    assert isinstance(result['alarm'], bool)
    assert 'trust in depth' in result['pictures']
    assert (tmp_path / '000016.png').is_file()
    # A sensor that shows nothing but noise is the less trusted one, and NaN an alarm.
    noise = np.random.default_rng(0).integers(0, 255, (72, 96, 3), dtype=np.uint8)
    result = infer({**sample, 'rgb': noise})
    assert result['trust']['rgb'] < infer(sample)['trust']['rgb'] + 1e-6
    missing = infer({**sample, 'depth': None})
    assert missing['trust']['depth'] == 0


@pytest.mark.slow
@pytest.mark.usefixtures('_rooms')
def test_a_trust_of_other_encoders_is_refused(trained, tmp_path):
    folder, _ = trained
    kept = torch.load(folder / 'work/iter_4.pth', weights_only=False)
    name = next(k for k in kept['state_dict'] if k.startswith('backbone') and k.endswith('weight'))
    kept['state_dict'][name] += 0.01
    torch.save(kept, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'other\.pth: the trust was calibrated for encoders with'):
        MangoInferencer(CONFIG, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='calibrated for encoders'):
        evaluate(CONFIG, tmp_path / 'other.pth', work_dir=tmp_path, options=options())


@pytest.mark.slow
@pytest.mark.usefixtures('_rooms')
def test_a_trained_model_is_calibrated_again_as_the_hook_did(trained, tmp_path):
    folder, runner = trained
    expected = runner.model.trusted_ensemble.state_dict()
    again = calibrate_trust(CONFIG, folder / 'work', tmp_path / 'a.pth', options=options())
    for name, value in again.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)
    # Finer windows, by the tool; what it wrote is a whole model.
    keys = {'model.decode_head.trust.grid': '(6,8)', 'model.decode_head.trust.rate': '0.2'}
    done = run(
        folder / 'rooms', ROOT / 'tools/analyse/calibrate_trust.py', CONFIG, folder / 'work',
        '--out', tmp_path / 'b.pth', '--hold-out', 6, '--iterations', 3, '--samples', 12,
        '--cfg-options', *SHORT, *[f'{k}={v}' for k, v in keys.items()],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'false alarms on samples like those held out: at most 20%' in done.stdout
    assert 'rgb broken: rgb 0.000, depth 1.000, fused 0.000' in done.stdout
    config = load_config(CONFIG, options={'model.decode_head.trust.grid': (6, 8)})
    infer = MangoInferencer(config, tmp_path / 'b.pth')
    sample = {m: folder / f'rooms/{m}/000016.{e}' for m, e in (('rgb', 'jpg'), ('depth', 'png'))}
    assert infer(sample)['trust_map']['rgb'].shape == (6, 8)


@pytest.mark.slow
@pytest.mark.usefixtures('_rooms')
def test_what_cannot_be_calibrated_again_is_named(trained, tmp_path):
    folder, _ = trained
    plain = ROOT / 'configs/mango/mango-cross-modal-l1_small_1xb8-600it_mini-rooms-72x96.py'
    with pytest.raises(TypeError, match='EnsembleHead'):
        calibrate_trust(plain, folder / 'work', tmp_path / 'c.pth')
    kept = torch.load(folder / 'work/iter_4.pth', weights_only=False)['state_dict']
    fewer = {k: v for k, v in kept.items() if 'heads.fused' not in k}
    torch.save({'state_dict': fewer}, tmp_path / 'fewer.pth')
    with pytest.raises(
        ValueError, match=r"fewer\.pth is not of .* lacks \['decode_head.heads.fused"
    ):
        calibrate_trust(CONFIG, tmp_path / 'fewer.pth', tmp_path / 'c.pth', options=options())
    with pytest.raises(ValueError, match='takes 9 clean samples or more; got 5'):
        calibrate_trust(CONFIG, folder / 'work', tmp_path / 'c.pth', options=options(), hold_out=5)
    assert not (tmp_path / 'c.pth').exists()


@pytest.mark.slow
@pytest.mark.usefixtures('_rooms')
def test_a_resumed_training_calibrates_anew(trained, tmp_path):
    folder, _ = trained
    first = train(
        CONFIG, work_dir=tmp_path / 'work',
        options=options(**{'default_hooks.checkpoint.interval': 2, 'train_cfg.val_interval': 2}),
    )  # fmt: skip
    (tmp_path / 'work/iter_4.pth').unlink()
    (tmp_path / 'work/last_checkpoint').write_text(str(tmp_path / 'work/iter_2.pth'))
    kept = torch.load(tmp_path / 'work/iter_2.pth', weights_only=False)['state_dict']
    assert not kept['decode_head.ensemble.trust.calibrated']
    again = train(
        CONFIG, work_dir=tmp_path / 'work', resume=True,
        options=options(**{'default_hooks.checkpoint.interval': 2, 'train_cfg.val_interval': 2}),
    )  # fmt: skip
    expected = first.model.trusted_ensemble.state_dict()
    for name, value in again.model.trusted_ensemble.state_dict().items():
        torch.testing.assert_close(value, expected[name], msg=name)


@pytest.mark.slow
def test_the_protocols_run_on_it_and_name_every_rival(trained, tmp_path):
    folder, _ = trained
    config = tmp_path / 'config.py'
    config.write_text(
        f"_base_ = '{CONFIG}'\nmodel = dict(decode_head=dict(trust=dict(rate=0.1)))\n"
        "custom_hooks = [dict(type='mango_mm.TrustHook', hold_out=9)]\n"
    )
    done = run(
        folder / 'rooms', ROOT / 'tools/analyse/robustness.py', config, folder / 'work',
        '--out', tmp_path / 'out', '--protocol', 'emm', 'nm', 'part', 'kinds',
        '--kinds', 'rgb_noise:3', 'depth_frozen:3', '--cfg-options', *SHORT[3:7],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = json.loads((tmp_path / 'out/failures.json').read_text())
    rules = {line['rule'] for line in lines}
    assert {'trust', 'mean', 'fused', 'noisy-or', 'energy', 'temperature', 'mahalanobis'} <= rules
    assert {'evidence', 'co-belief', 'told', 'told, one frame', 'mean of all'} <= rules
    names = list(dict.fromkeys(line['name'] for line in lines))
    assert names == [
        'clean', 'no rgb', 'no depth', 'noise 0.1', 'noise 0.2', 'noise 0.5',
        'quarter of rgb', 'quarter of depth', 'rgb_noise:3', 'depth_frozen:3',
    ]  # fmt: skip
    by_cell = {(line['name'], line['rule']): line for line in lines}
    alone = by_cell['no depth', 'rgb']['metrics']['mIoU']
    assert by_cell['clean', 'rgb']['metrics']['mIoU'] == pytest.approx(alone)
    assert by_cell['no depth', 'told']['metrics']['mIoU'] == pytest.approx(alone)
    assert 0 <= by_cell['no depth', 'trust']['auroc'] <= 1
    assert 0 <= by_cell['quarter of depth', 'trust']['map_auroc'] <= 1
    assert 'expected, each missing at 10%' in (tmp_path / 'out/table.md').read_text()
    with Image.open(tmp_path / 'out/failures.png') as picture:
        assert picture.size[0] > 500
    with Image.open(tmp_path / 'out/calibration.png') as picture:
        assert picture.size[1] > 600  # clean ones, and failures
    average = ROOT / 'tools/analyse/average_failures.py'
    done = run('unused', average, tmp_path / 'out', tmp_path / 'out', '--out', tmp_path / 'both')
    assert done.returncode == 0, done.stderr[-2000:]
    assert '+0.00 [+0.00, +0.00]' in (tmp_path / 'both/table.md').read_text()


def test_a_training_that_could_not_calibrate_stops_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setenv('MANGO_MINI_ROOMS', str(make_rooms(tmp_path / 'rooms')))
    with pytest.raises(ValueError, match=r'part \(None, -9\) of 8 samples has none'):
        train(CONFIG, work_dir=tmp_path / 'work', options=options())
    config = load_config(CONFIG, work_dir=tmp_path / 'work', options=options())
    config.experiment_name = f'trust-{tmp_path.name}'
    with pytest.raises(ValueError, match='TrustHook calibrates on 9 samples that are not trained'):
        Runner.from_cfg(config).train()
    more = {'model.test_cfg': dict(mode='slide', crop_size=(48, 48), stride=(24, 24))}
    hook = dict(type='mango_mm.TrustHook', hold_out=3)
    with pytest.raises(ValueError, match='a trust is of whole images'):
        train(CONFIG, work_dir=tmp_path / 's', options=options(custom_hooks=[hook], **more))
    concat = ROOT / 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py'
    plain = {k: v for k, v in options().items() if 'trust' not in k}
    with pytest.raises(TypeError, match=r"needs an EnsembleHead\(combine='trust'\)"):
        train(concat, work_dir=tmp_path / 'concat', options={**plain, 'custom_hooks': [hook]})


MOVIES = ROOT / 'configs/mango/mango-l2_small_1xb32-600it_mini-movies-96x64.py'


@pytest.mark.slow
def test_movies_know_their_sensors_too(tmp_path, monkeypatch):
    write_movies(tmp_path / 'movies', train=40, dev=7, test=7)
    monkeypatch.setenv('MANGO_MINI_MOVIES', str(tmp_path / 'movies'))
    short = {k: v for k, v in options().items() if 'hooks' not in k and 'decode' not in k}
    hooks = [
        dict(type='mango_mm.VocabularyHook'),
        dict(type='mango_mm.TrustHook', hold_out=19, iterations=4, batch_size=4, samples=30),
        dict(type='mango_mm.ThresholdHook'),
    ]
    heads = dict(combine='trust', trust=dict(rate=0.05))
    more = {**short, 'custom_hooks': hooks, 'model.unimodal_heads': heads}
    runner = train(MOVIES, work_dir=tmp_path / 'work', options=more)
    ensemble = runner.model.trusted_ensemble
    assert ensemble.trust.calibrated
    assert len(runner.train_dataloader.dataset) == 21
    found = evaluate(MOVIES, tmp_path / 'work', work_dir=tmp_path / 'test', options=more)
    assert 0 <= found['macro_f1'] <= 100
    infer = MangoInferencer(load_config(MOVIES, options=more), tmp_path / 'work')
    poster = next((tmp_path / 'movies').rglob('*.jpeg'))
    result = infer({'image': poster, 'text': 'a ship in space'})
    assert set(result['trust']) == {'image', 'text'}
    assert isinstance(result['alarm'], bool)
    assert infer({'image': poster})['trust']['text'] == 0
    # The scores are the mixture of the three heads by the weights of the posterior, or of `ok` as
    # long as there is no alarm.
    item = infer.prepare({'image': poster, 'text': 'a ship in space'})
    with torch.no_grad():
        data = runner.model.data_preprocessor(pseudo_collate([item]), training=False)
        inputs, samples = data['inputs'], data['data_samples']
        tokens, masks = infer.model.encode(inputs, samples)
        logits, _, _ = infer.model.classify(tokens, masks)
        described, _ = infer.model.sensors_and_truth(inputs, samples, labelled=False)
    ensemble = infer.model.ensemble
    posterior = ensemble.trust(described).states
    works = torch.zeros_like(posterior)
    works[:, 0] = 1
    prior = ensemble.trust.prior.clone()
    found = {}
    for act, shift, states in (
        ('posterior', 0, posterior), ('alarm', 100, works), ('alarm', -100, None),
    ):  # fmt: skip
        ensemble.act = act
        ensemble.trust.prior.copy_(prior + shift)  # no alarm, or one whatever is seen
        if states is None:
            states = ensemble.trust(described).states
        assert bool(ensemble.trust(described).alarm) == (shift < 0) or act == 'posterior'
        weights = ensemble.weights(states)[0]
        mixed = sum(w * logits[n].sigmoid()[0] for w, n in zip(weights, ('image', 'text', 'fused')))
        (predicted,) = infer.run([item])
        torch.testing.assert_close(predicted.pred_score, mixed, atol=1e-5, rtol=1e-4)
        found[act, shift] = mixed
    assert not torch.allclose(found['alarm', 100], found['alarm', -100])
    with pytest.raises(ValueError, match="act must be one of .*; got 'never'"):
        TrustedEnsemble(('a', 'b'), 4, (1, 1), act='never')
    with pytest.raises(TypeError, match=r"unimodal_heads=dict\(combine='trust'\)"):
        build_plain().trusted_ensemble  # noqa: B018


def build_plain():
    config = load_config(MOVIES)
    init_default_scope('mango_mm')
    return MODELS.build(config.model)


@pytest.mark.slow
def test_two_processes_calibrate_alike(tmp_path):
    write_rooms(tmp_path / 'rooms', train=16, val=4, size=(72, 96))
    config = tmp_path / 'config.py'
    hook = dict(type='mango_mm.TrustHook', hold_out=9, iterations=4, batch_size=4, samples=16)
    config.write_text(
        f"_base_ = '{CONFIG}'\nmodel = dict(decode_head=dict(trust=dict(rate=0.1)))\n"
        f'custom_hooks = [{hook!r}]\n'
    )
    done = run(
        tmp_path / 'rooms', '-m', 'torch.distributed.run', '--nproc_per_node=2',
        ROOT / 'tools/train.py', config, '--launcher', 'pytorch', '--work-dir', tmp_path / 'work',
        '--cfg-options', *SHORT, *iterations(4, 4), timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    kept = torch.load(tmp_path / 'work/iter_4.pth', weights_only=False)['state_dict']
    assert kept['decode_head.ensemble.trust.calibrated']
    # Batch norms of two processes on a CPU differ, the trust does not: it is the first one's.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('MANGO_MINI_ROOMS', str(tmp_path / 'rooms'))
        found = evaluate(config, tmp_path / 'work', work_dir=tmp_path / 'test')
    assert 0 < found['mIoU'] < 100


def test_what_lacks_a_modality_is_not_what_is_usual_of_it(tmp_path, monkeypatch):
    write_movies(tmp_path / 'movies', train=12, dev=2, test=2)
    monkeypatch.setenv('MANGO_MINI_MOVIES', str(tmp_path / 'movies'))
    init_default_scope('mango_mm')
    options = {
        'model.unimodal_heads': dict(combine='trust', trust=dict(directions=4)),
        'train_dataloader.dataset.missing': 'drop',
    }
    config = load_config(MOVIES, options=options)
    model = MODELS.build(config.model).eval()
    loader = config.train_dataloader.to_dict()
    dataset = DATASETS.build(loader['dataset'])
    dataset.full_init()
    model.fit_vocabulary([dataset.get_data_info(i)['text'] for i in range(12)])
    whole, truth = _gather(model, loader, 'all', labelled=True)
    gone = [dataset.get_data_info(i)['img_path'] for i in (2, 9)]
    for path in gone:
        Path(path).unlink()
    found, known = _gather(model, loader, 'without two', labelled=True)
    kept = [i for i in range(12) if i not in (2, 9)]
    for m, windows in found.items():
        torch.testing.assert_close(windows, whole[m][kept])
    torch.testing.assert_close(known, truth.unflatten(0, (12, -1))[kept].flatten(0, 1))
    for i in kept:
        Path(dataset.get_data_info(i)['img_path']).unlink()
    with pytest.raises(ValueError, match="each of the 12 samples lacks one of .*'image'"):
        _gather(model, loader, 'none')
