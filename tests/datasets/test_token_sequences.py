"""Token sequences: files, lengths, absent modalities, and the pickles of CMU-MOSI and MOSEI."""

import os
import pickle

import h5py
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from rooms import ROOT, run

from mango_mm.datasets import TokenSequenceDataset
from mango_mm.datasets.mini.sequences import MODALITIES, make_sequence
from mango_mm.datasets.mini.write_sequences import write_sequences
from mango_mm.datasets.multibench import read_pickle, tables_of
from mango_mm.datasets.skeletons import NTU_PARENTS, streams_of
from mango_mm.datasets.transforms import LoadTokens

RNG = np.random.default_rng(0)
TWO = [dict(name='text', channels=3), dict(name='audio', channels=2)]


def tables(count=4, **changes):
    made = dict(
        text=RNG.normal(size=(count, 5, 3)).astype(np.float32),
        audio=RNG.normal(size=(count, 7, 2)).astype(np.float32),
        text_length=np.array([5, 3, 0, 1][:count]), label=np.linspace(-3, 3, count),
    )  # fmt: skip
    return {k: v for k, v in {**made, **changes}.items() if v is not None}


def write(path, found):
    if path.suffix == '.npz':
        np.savez(path, **found)
    else:
        with h5py.File(path, 'w') as file:
            for name, values in found.items():
                file[name] = values
    return path


def dataset(path, **options):
    init_default_scope('mango_mm')
    pipeline = [
        dict(type='LoadTokens', modalities=TWO), dict(type='PackTokens', modalities=TWO),
    ]  # fmt: skip
    given = dict(ann_file=str(path), modalities=TWO, pipeline=pipeline)
    return TokenSequenceDataset(**{**given, **options})


@pytest.mark.parametrize('suffix', ['npz', 'h5'])
def test_samples_hold_what_the_file_holds(tmp_path, suffix):
    stored = tables(id=np.array(['a', 'b', 'c', 'd'], dtype='S1'))
    found = dataset(write(tmp_path / f'train.{suffix}', stored))
    assert len(found) == 4
    for i, length in enumerate((5, 3, 0, 1)):
        sample = found[i]
        tokens, mask = sample['inputs']['text']
        assert mask.tolist() == [True] * length + [False] * (5 - length)
        np.testing.assert_array_equal(tokens[:length].numpy(), stored['text'][i, :length])
        assert not tokens[length:].any()
        np.testing.assert_array_equal(sample['inputs']['audio'][0].numpy(), stored['audio'][i])
        assert sample['data_samples'].present == dict(text=length > 0, audio=True)
        assert sample['data_samples'].sample_id == 'abcd'[i]
        assert float(sample['data_samples'].gt_label) == pytest.approx(stored['label'][i])


def test_classes_and_labels(tmp_path):
    path = write(tmp_path / 'a.npz', tables(label=np.array([0, 2, 1, 2])))
    found = dataset(path, kind='multi_class', classes=['x', 'y', 'z'])
    assert [int(found[i]['data_samples'].gt_label) for i in range(4)] == [0, 2, 1, 2]
    path = write(tmp_path / 'b.npz', tables(label=np.eye(4)[:, :2]))
    found = dataset(path, kind='multi_label', classes=['x', 'y'])
    assert found[1]['data_samples'].gt_label.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ('changes', 'options', 'message'),
    [
        (dict(text=None), {}, r"must hold 'text'; it holds"),
        (dict(text=np.zeros((4, 5, 2))), {}, r"'text' must be \(4, T, 3\); got \(4, 5, 2\)"),
        (dict(label=None), {}, "must hold 'label'"),
        (dict(label=np.array([0, 1, np.nan, 2])), {}, 'must hold finite numbers'),
        (dict(text_length=np.array([6, 1, 1, 1])), {}, r'must be 4 numbers of 0\.\.5'),
        (dict(label=np.array([0, 3, 1, 2])), dict(kind='multi_class', classes=['a', 'b', 'c']),
         r'must be classes 0\.\.2'),
        (dict(label=np.zeros((4, 3))), dict(kind='multi_label', classes=['a']),
         r'must be \(N, 1\)'),
        (dict(audio_length=np.zeros(4, int)), {}, r"sample 2 has no token of \['text', 'audio'\]"),
        (dict(id=np.array(['a'])), {}, "'id' must name 4 samples; got 1"),
        ({}, dict(kind='ordinal'), 'kind must be one of'),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_named(tmp_path, changes, options, message):
    path = write(tmp_path / 'train.npz', tables(**changes))
    with pytest.raises(ValueError, match=message):
        dataset(path, **options)


def test_a_file_that_is_none_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none\.h5 does not exist'):
        dataset(tmp_path / 'none.h5')
    for name in ('junk.h5', 'junk.npz'):
        (tmp_path / name).write_bytes(b'junk')
        with pytest.raises(ValueError, match=name.replace('.', r'\.') + ' cannot be read'):
            dataset(tmp_path / name)


def test_a_longer_sequence_becomes_means_of_runs():
    tokens = np.arange(20, dtype=np.float32).reshape(10, 2)
    load = LoadTokens([dict(name='x', channels=2, tokens=4)])
    got = load(dict(x_tokens=tokens, present={'x': True}, lengths={'x': 8}))
    np.testing.assert_allclose(got['x_tokens'], tokens[:8].reshape(4, 2, 2).mean(axis=1))
    assert got['x_mask'].all()
    short = load(dict(x_tokens=tokens, present={'x': True}, lengths={'x': 3}))
    assert short['x_mask'].tolist() == [True, True, True, False]
    np.testing.assert_allclose(short['x_tokens'][:3], tokens[:3])
    tokens[0, 0] = -np.inf
    assert load(dict(x_tokens=tokens, present={'x': True}))['x_tokens'][0, 0] == 1  # of 0 and 2


def test_the_generated_label_needs_signal_and_text():
    made = [make_sequence(i) for i in range(400)]
    label = np.array([s.label for s in made])
    assert {m: made[0].tokens[m].shape for m in MODALITIES} == MODALITIES
    peak = np.array([s.tokens['signal'].max() for s in made])
    assert np.corrcoef(peak, np.abs(label))[0, 1] > 0.6  # the size is in the signal
    assert abs(np.corrcoef(peak, label)[0, 1]) < 0.15  # its sign is not
    image = np.array([s.tokens['image'].mean() for s in made])
    assert abs(np.corrcoef(image, label)[0, 1]) < 0.15
    assert len({s.lengths['signal'] for s in made}) > 5
    first, again = make_sequence(7), make_sequence(7)
    np.testing.assert_array_equal(first.tokens['text'], again.tokens['text'])


def test_it_is_written_once(tmp_path):
    root = write_sequences(tmp_path / 's', train=3, val=2, test=1)
    before = (root / 'train.npz').stat().st_mtime_ns
    assert write_sequences(tmp_path / 's', train=3, val=2, test=1) == root
    assert (root / 'train.npz').stat().st_mtime_ns == before
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/mine.txt').write_text('mine')
    with pytest.raises(ValueError, match='other'):
        write_sequences(tmp_path / 'other', train=4, val=2, test=1)
    with pytest.raises(ValueError, match='must be positive; got 0, 2, 1'):
        write_sequences(tmp_path / 'none', train=0, val=2, test=1)


# ---- MultiBench, MulT, MMSA ----


def mult(count=3):
    """MulT's: zeros in front, labels (N, 1, 1), ids of three columns, -inf in audio."""
    split = {}
    for m, (steps, channels) in dict(text=(6, 4), audio=(6, 2), vision=(6, 3)).items():
        values = RNG.normal(size=(count, steps, channels)).astype(
            np.float32 if m == 'text' else float
        )
        values[:, :2] = 0
        values[:, 3] = 0  # a word without an embedding, inside
        split[m] = values
    split['audio'][0, 4, 1] = -np.inf
    split['vision'][1] = 0
    split['labels'] = np.linspace(-3, 3, count).reshape(count, 1, 1)
    split['id'] = np.array([[b'a_1', b'0', b'1'], [b'b_2', b'0', b'1'], [b'c', b'0', b'1']])[:count]
    return split


def test_real_tokens_come_to_the_front_and_the_rest_is_counted():
    split = mult()
    found, odd = tables_of(split, 'here')
    assert found['text_length'].tolist() == [4, 4, 4]
    assert found['vision_length'].tolist() == [4, 0, 4]  # aligned: of all modalities together
    np.testing.assert_allclose(found['text'][:, :4], split['text'][:, 2:])
    assert not found['text'][:, 4:].any()
    assert found['audio'][0, 2, 1] == 0
    assert odd == {'values not finite': 1, 'without text': 0, 'without audio': 0,
                   'without vision': 1}  # fmt: skip
    assert found['id'] == ['a_1', 'b_2', 'c']
    np.testing.assert_allclose(found['label'], [-3, 0, 3])


def test_padding_at_the_end_by_the_lengths_given():
    split = mult()
    for m in ('text', 'audio', 'vision'):
        split[m] = np.where(np.isfinite(split[m]), split[m][:, ::-1], 0)
    split['audio'][:, 0] = 1.0
    split.pop('labels')
    split.update(regression_labels=np.zeros(3), audio_lengths=[5, 6, 1], id=['x$_$1', 'y', 'z'])
    found, _ = tables_of(split, 'here')
    assert found['audio_length'].tolist() == [5, 6, 1]
    assert found['text_length'].tolist() == [4, 4, 4]
    assert found['id'] == ['x$_$1', 'y', 'z']


def test_aligned_modalities_stay_aligned():
    """A first word without a face: its row of zeros belongs to the sequence."""
    steps = np.arange(1.0, 5.0)
    split = dict(labels=np.zeros((1, 1, 1)))
    for m, first in (('text', 1.0), ('audio', 1.0), ('vision', 0.0)):
        values = np.zeros((1, 6, 1))
        values[0, 2:, 0] = steps
        values[0, 2, 0] = first
        split[m] = values
    found, _ = tables_of(split, 'here')
    assert found['text'][0, :4, 0].tolist() == [1, 2, 3, 4]
    assert found['vision'][0, :4, 0].tolist() == [0, 2, 3, 4]
    assert found['vision_length'].tolist() == [4]
    split['audio_lengths'] = [5]
    split['audio'][0, :, 0] = [0, 1, 0, 2, 0, 0]
    found, _ = tables_of(split, 'here')
    assert found['audio_length'].tolist() == [5]
    assert found['audio'][0, :, 0].tolist() == [0, 1, 0, 2, 0, 0]


def test_the_tool_writes_what_the_data_set_reads(tmp_path):
    path = tmp_path / 'mosi_data.pkl'
    path.write_bytes(pickle.dumps({s: mult() for s in ('train', 'valid', 'test')}))
    out = tmp_path / 'mosi'
    said = run('', 'tools/prepare/multibench.py', path, '--out', out, cwd=ROOT, check=True)
    assert 'val: 3 samples, text (6, 4), audio (6, 2), vision (6, 3); 1 values not' in said.stdout
    init_default_scope('mango_mm')
    names = [dict(name='text', channels=4), dict(name='vision', channels=3)]
    pipeline = [
        dict(type='LoadTokens', modalities=names), dict(type='PackTokens', modalities=names),
    ]  # fmt: skip
    found = TokenSequenceDataset(str(out / 'val.h5'), names, pipeline=pipeline)
    assert [found[i]['data_samples'].present['vision'] for i in range(3)] == [True, False, True]
    assert found[0]['data_samples'].sample_id == 'a_1'


class Evil:
    def __reduce__(self):
        return os.system, ('touch /tmp/mango_mm_was_here',)


def test_a_pickle_that_would_run_something_is_refused(tmp_path):
    path = tmp_path / 'evil.pkl'
    path.write_bytes(pickle.dumps({'train': Evil(), 'valid': {}, 'test': {}}))
    with pytest.raises(ValueError, match=r'evil\.pkl cannot be read: it asks for posix\.system'):
        read_pickle(path)
    assert not os.path.exists('/tmp/mango_mm_was_here')
    path.write_bytes(pickle.dumps({'train': {}}))
    with pytest.raises(ValueError, match=r"must hold a dict with .* got \['train'\]"):
        read_pickle(path)
    with pytest.raises(ValueError, match=r"must hold \['audio', 'vision'\]"):
        tables_of({'text': np.zeros((1, 2, 3)), 'labels': [0]}, 'x')


def test_pickles_of_any_protocol_are_read(tmp_path):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / f'{protocol}.pkl'
        split = {**mult(), 'raw_text': np.array(['a', 'b', 'c'], dtype=object)}
        path.write_bytes(pickle.dumps({s: split for s in ('train', 'valid', 'test')}, protocol))
        np.testing.assert_array_equal(read_pickle(path)['test']['text'], split['text'])


# ---- Skeletons ----


def test_bones_and_motion_are_differences_of_joints():
    joints = RNG.normal(size=(3, 8, 25, 2)).astype(np.float32)
    joints[:, 6:] = 0
    found = streams_of(joints, 6)
    assert {m: x.shape for m, x in found.items()} == dict.fromkeys(
        ('joint', 'bone', 'motion'), (8, 150)
    )
    assert len(NTU_PARENTS) == 25
    at = found['joint'].reshape(8, 2, 25, 3)  # frame, person, joint, axis
    np.testing.assert_array_equal(at[4, 1, 7], joints[:, 4, 7, 1])
    bone = found['bone'].reshape(8, 2, 25, 3)
    np.testing.assert_allclose(bone[:, :, 0], at[:, :, 0] - at[:, :, 1], rtol=1e-6)
    assert not bone[:, :, 20].any()  # the root's
    motion = found['motion'].reshape(8, 2, 25, 3)
    np.testing.assert_allclose(motion[2], at[3] - at[2], rtol=1e-6)
    assert not motion[5:].any()
    with pytest.raises(ValueError, match=r'frames must be 1\.\.8; got 9'):
        streams_of(joints, 9)


def test_the_skeleton_tool_writes_three_sequences(tmp_path):
    source = tmp_path / 'xsub'
    source.mkdir()
    for split, count in (('train', 3), ('val', 2)):
        joints = RNG.normal(size=(count, 3, 8, 25, 2)).astype(np.float32)
        np.save(source / f'{split}_data_joint.npy', joints)
        np.save(source / f'{split}_num_frame.npy', np.full(count, 5))
        labels = ([f'S00{i}' for i in range(count)], list(range(count)))
        (source / f'{split}_label.pkl').write_bytes(pickle.dumps(labels))
    out = tmp_path / 'ntu'
    run('', 'tools/prepare/skeletons.py', source, '--out', out, cwd=ROOT, check=True)
    names = [dict(name=m, channels=150) for m in ('joint', 'bone', 'motion')]
    found = TokenSequenceDataset(
        str(out / 'train.h5'), names, kind='multi_class', classes=list('abc'), pipeline=[]
    )
    info = found.get_data_info(1)
    assert info['lengths'] == dict(joint=5, bone=5, motion=5)
    assert int(info['gt_label']) == 1
