"""Broken data made by the thousand, and what may come of it.

Every case is one broken file or list, drawn from a seed, put through the real data set and its
loading steps. It must end in one of two ways:

* a sample that keeps the promises of its loader (type, size, finite, labels in range), or
* an error of the kinds in ``ALLOWED`` whose message names the file.

Nothing outside the data root may be opened (an audit hook listens), no case may take more than
``LIMIT_S``, and data sets must hold one sample for every line, or say why not.

    python tests/reliability/fuzz.py SEED COUNT [CATEGORY ...]

prints one JSON line per category: cases, how many were accepted and refused, and the failures with
their seeds. The number of a case is written to stderr before it runs, so that a crash of the
interpreter can be traced to it.
"""

import contextlib
import faulthandler
import importlib.util
import io
import json
import logging
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import traceback
import warnings
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import h5py
import matplotlib
import numpy as np
import torch
from PIL import Image

from mango_mm.checkpoints import find_checkpoint, load_safely
from mango_mm.comparison.compare import Run, _check
from mango_mm.comparison.suite import load_suite
from mango_mm.datasets.mm_imdb import MMIMDbDataset
from mango_mm.datasets.multimodal_segmentation import MultimodalSegDataset
from mango_mm.datasets.taskonomy import TaskonomyDataset
from mango_mm.datasets.transforms import (
    LoadDepth,
    LoadDomains,
    LoadImage,
    LoadMovieFeatures,
    LoadPoster,
    LoadSegmentation,
)
from mango_mm.files import append_line, read_json_lines
from mango_mm.visualization.report import render_page, report_of

ALLOWED = (ValueError, FileNotFoundError, IsADirectoryError, PermissionError)
LIMIT_S = 20
SIZE = (9, 13)
NAMES = (
    'a', 'with space', 'ünï çödé', '日本語', "quo'te", 'dot.dot', 'semi;colon', 'tab\\t', '-rf',
    '$HOME', '%s', '{x}', 'a' * 200, '\u2028line', '\x85nel', '\u200fmirror', '🎬',
)  # fmt: skip
ESCAPES = ('../out', '/etc/passwd', 'a/../../out', '..', '.', '', '/', '~/.ssh/id', 'a\0b', '\\\\x')


class Refused(AssertionError):
    """What came of a case breaks a promise."""


# ---- files ----


def noise(rng, shape, kind='uint8'):
    values = np.random.default_rng(rng.getrandbits(32))
    if np.dtype(kind).kind == 'f':
        return values.normal(2, 1, shape).astype(kind)
    if np.dtype(kind).kind == 'b':
        return values.random(shape) < 0.5
    return values.integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)


def encode(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def mutate(rng, content):
    """Flipped, cut, doubled or foreign bytes."""
    data = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        kind, at = rng.randrange(6), rng.randrange(max(len(data), 1))
        if not data:
            return bytes(data)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.randrange(256)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randrange(64)]
        elif kind == 4:
            data[at : at + 4] = struct.pack('>I', rng.choice([0, 1, 2**31 - 1, 2**32 - 1, 70000]))
        else:
            data[at : at + rng.randrange(16)] = rng.randbytes(rng.randrange(16))
    return bytes(data)


def png_of(width, height, depth=8, colour=2, payload=b''):
    """A PNG that claims a size, whatever it holds."""

    def chunk(name, body):
        return (
            struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
        )

    header = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(payload)
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', data) + chunk(b'IEND', b'')
    )


def any_image(rng, size=SIZE):
    """An image file of some form and mode, healthy, odd or broken."""
    height, width = size if rng.random() < 0.8 else (rng.randint(1, 20), rng.randint(1, 20))
    kind = rng.randrange(10)
    if kind == 0:
        big = rng.choice([(0, 0), (0, 5), (60000, 60000), (2**31 - 1, 1), (200000, 1000)])
        return png_of(*big, depth=rng.choice([1, 8, 16]), colour=rng.choice([0, 2, 3, 4, 6]))
    if kind == 1:
        text = [
            b'',
            b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n',
            b'GIF89a',
            b'\0' * 100,
            b'<svg xmlns="http://www.w3.org/2000/svg"/>',
            b'#!/bin/sh\n',
            b'\xff\xd8\xff\xe0',
        ]
        return rng.choice(text) + rng.randbytes(rng.randrange(50))
    shape = (height, width)
    image = rng.choice([
        lambda: Image.fromarray(noise(rng, (*shape, 3))),
        lambda: Image.fromarray(noise(rng, shape)),
        lambda: Image.fromarray(noise(rng, shape, 'uint16')),
        lambda: Image.fromarray(noise(rng, shape, 'int32')),
        lambda: Image.fromarray(noise(rng, (*shape, 4))),
        lambda: Image.fromarray(noise(rng, (*shape, 3))).convert('P'),
        lambda: Image.fromarray(noise(rng, shape) % np.uint8(5)),
        lambda: Image.fromarray(noise(rng, shape)).convert('LA'),
        lambda: Image.fromarray(noise(rng, shape)).convert('1'),
        lambda: Image.fromarray(noise(rng, (*shape, 3))).convert('CMYK'),
        lambda: Image.fromarray(holes(rng, noise(rng, shape, 'float32'))),
    ])()  # fmt: skip
    for form in [*rng.sample(['PNG', 'JPEG', 'BMP', 'GIF', 'WEBP', 'PPM'], 6), 'TIFF']:
        with contextlib.suppress(OSError, ValueError, KeyError):
            content = encode(image, form)
            break
    return content if kind < 5 else mutate(rng, content)


def holes(rng, values):
    """NaN, infinities, negative and huge values here and there."""
    for bad in (np.nan, np.inf, -np.inf, -1.0, 1e38, 0.0):
        if rng.random() < 0.5:
            values[rng.randrange(values.shape[0]), rng.randrange(values.shape[1])] = bad
    return values


def any_npy(rng):
    shape = rng.choice([SIZE, SIZE, (*SIZE, 1), (*SIZE, 3), (0, 5), (), (5,), (3, 4)])
    kinds = ['float32', 'float64', 'float16', 'uint16', 'uint8', 'int64', 'bool', 'int32']
    values = noise(rng, shape, rng.choice(kinds))
    if values.dtype.kind == 'f' and values.ndim == 2 and values.size:
        values = holes(rng, values)
    extra = rng.randrange(8)
    if extra == 0:
        values = values.astype('complex64')
    elif extra == 1:
        values = values.astype('U4')
    elif extra == 2:
        values = np.array([{'a': 1}, None], dtype=object)
    elif extra == 3:
        values = np.zeros(shape, dtype=[('a', 'f4'), ('b', 'u2')])
    elif extra == 4:
        values = values.astype('>f4')
    elif extra == 5:
        values = np.zeros(shape, 'datetime64[s]')
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    content = buffer.getvalue()
    return content if rng.random() < 0.6 else mutate(rng, content)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return str(path)


# ---- promises ----


def need(condition, *said):
    if not condition:
        raise Refused(' '.join(map(str, said)))


def check_image(image):
    need(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3, image.shape)
    need(image.size, 'an empty image')


def check_depth(depth):
    need(depth.dtype == np.float32 and depth.ndim == 2, depth.dtype, depth.shape)
    need(np.isfinite(depth).all() and (depth >= 0).all(), 'depth', depth.min(), depth.max())


# ---- cases: each gets a random generator and an empty data root ----


def case_image(rng, root):
    path = write(root / f'{rng.choice(NAMES)}.png', any_image(rng))
    if rng.random() < 0.5:
        check_image(LoadImage()(dict(img_path=path))['img'])
    else:
        check_image(LoadPoster()(dict(img_path=path))['img'])


def case_depth(rng, root):
    npy = rng.random() < 0.4
    encoding = rng.choice(['metric', 'sun', 'relative', 'metres'])
    if rng.random() < 0.3:  # what the encoding asks for, with all that a sensor does
        npy = encoding == 'metres'
        buffer = io.BytesIO()
        np.save(buffer, holes(rng, noise(rng, SIZE, 'float64')))
        kind = 'uint8' if encoding == 'relative' else 'uint16'
        content = (
            buffer.getvalue() if npy else encode(Image.fromarray(noise(rng, SIZE, kind)), 'PNG')
        )
    else:
        content = any_npy(rng) if npy else any_image(rng)
    path = write(root / f'{rng.choice(NAMES)}{".npy" if npy else ".png"}', content)
    load = LoadDepth(encoding, scale=rng.choice([1000, 5000]), max_m=rng.choice([None, 10.0]))
    check_depth(load(dict(depth_path=path, ori_shape=SIZE))['depth'])


def case_label(rng, root):
    if rng.random() < 0.5:
        content = encode(
            Image.fromarray(noise(rng, SIZE) % np.uint8(rng.choice([5, 6, 7, 255]))), 'PNG'
        )
    else:
        content = any_image(rng)
    path = write(root / f'{rng.choice(NAMES)}.png', content)
    results = dict(seg_map_path=path, ori_shape=SIZE, reduce_zero_label=rng.random() < 0.5)
    label = LoadSegmentation(num_classes=6)(results)['gt_seg_map']
    need(label.dtype == np.uint8 and label.shape == SIZE, label.dtype, label.shape)
    need(((label < 6) | (label == 255)).all(), np.unique(label))


def case_domains(rng, root):
    paths = {}
    for domain in ('rgb', 'depth_euclidean'):
        content = any_image(rng) if rng.random() < 0.5 else healthy(domain, rng)
        paths[f'{domain}_path'] = write(root / domain / 'x.png', content)
    results = LoadDomains()({**paths, 'sources': ('rgb',), 'target': 'depth_euclidean'})
    for domain in ('rgb', 'depth_euclidean'):
        values = results[domain]
        need(values.dtype == np.float32 and np.isfinite(values).all(), domain)
        need((np.abs(values) <= 1).all() and results['masks'][domain].dtype == bool, domain)


def healthy(domain, rng):
    if domain == 'rgb':
        return encode(Image.fromarray(noise(rng, (*SIZE, 3))), 'PNG')
    return encode(Image.fromarray(noise(rng, SIZE, 'uint16')), 'PNG')


def any_lines(rng, lines):
    """A list as lists go wrong: endings, blanks, marks, bytes, paths that leave the root."""
    lines = list(lines)
    for _ in range(rng.randrange(3)):
        at, kind = rng.randrange(max(len(lines), 1)), rng.randrange(8)
        if not lines:
            break
        if kind == 0:
            lines[at] = rng.choice(ESCAPES)
        elif kind == 1:
            lines[at] = lines[at].replace(lines[at].split('\t')[0], rng.choice(ESCAPES))
        elif kind == 2:
            lines[at] = lines[at].replace('\t', rng.choice([' ', ',', '\t\t', '\t \t']))
        elif kind == 3:
            lines.append(lines[at])
        elif kind == 4:
            lines.insert(at, rng.choice(['', '   ', '\t', '# comment', '\ufeff']))
        elif kind == 5:
            lines[at] += rng.choice(['\t', ' ', '\textra', '\0'])
        elif kind == 6:
            del lines[at]
        else:
            lines[at] = ''.join(chr(rng.choice([9, 32, 65, 92, 0x85, 0x2028])) for _ in range(9))
    text = rng.choice(['\n', '\n', '\r\n', '\r']).join(lines) + rng.choice(['', '\n', '\n\n'])
    form = rng.choice(['utf-8'] * 6 + ['utf-8-sig'] * 2 + ['utf-16', 'latin-1'])
    content = text.encode(form, 'replace')
    return mutate(rng, content) if rng.random() < 0.2 else content


def lay_links(rng, root, files):
    """A loop, a link to nowhere, or a folder in the place of a file."""
    if rng.random() < 0.2 and files:
        path = Path(rng.choice(files))
        path.unlink()
        kind = rng.randrange(3)
        if kind == 0:
            path.symlink_to(path)
        elif kind == 1:
            path.symlink_to(root / 'nowhere')
        else:
            path.mkdir()


def usable_names(rng, count):
    """Names that a file system and a list with tabs can hold."""
    return rng.sample([n for n in NAMES if '\0' not in n], count)


def listed(content):
    """Lines that are not blank, as any reader of text would count them; None: no text."""
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError:
        return None
    return [x for x in text.replace('\r\n', '\n').replace('\r', '\n').split('\n') if x.strip()]


def case_tab_list(rng, root):
    lines, files = [], []
    for name in usable_names(rng, 3):
        parts = [f'{folder}/{name}.png' for folder in ('rgb', 'masks', 'depth')]
        files += [write(root / part, healthy('rgb', rng)) for part in parts]
        lines.append('\t'.join(parts))
    lay_links(rng, root, files)
    content = any_lines(rng, lines)
    write(root / 'train.txt', content)
    data = MultimodalSegDataset('train.txt', data_root=str(root), pipeline=[])
    need(len(data) == len(listed(content)), len(data), 'samples of', listed(content))
    for index in range(len(data)):
        sample = data.get_data_info(index)
        for key in ('img_path', 'seg_map_path', 'depth_path'):
            inside_root(root, sample[key])


def case_stem_list(rng, root):
    names = usable_names(rng, 3)
    files = []
    for name in names:
        for folder, end in (('RGB', 'jpg'), ('Label', 'png'), ('Depth', 'png')):
            files.append(write(root / folder / f'{name}.{end}', healthy('rgb', rng)))
    lay_links(rng, root, files)
    form = rng.choice(['{}', 'RGB/{}.jpg', 'RGB/{}.jpg Label/{}.png'])
    content = any_lines(rng, [form.replace('{}', name) for name in names])
    write(root / 'test.txt', content)
    data = MultimodalSegDataset('test.txt', layout='dformer', data_root=str(root), pipeline=[])
    need(len(data) == len(listed(content)), len(data), 'samples of', listed(content))
    for index in range(len(data)):
        inside_root(root, data.get_data_info(index)['img_path'])


def case_taskonomy_list(rng, root):
    layout = rng.choice(['lists', 'buildings'])
    files, lines = [], []
    for view in range(3):
        stem = f'point_{view}_view_1_domain_'
        if layout == 'lists':
            lines.append(f'{{domain}}/{stem}{{domain}}.png')
            places = {d: f'{d}/{stem}{d}.png' for d in ('rgb', 'depth_euclidean')}
        else:
            places = {'rgb': f'home/rgb/{stem}rgb.png',
                      'depth_euclidean': f'home/mist/{stem}depth_euclidean.png'}  # fmt: skip
            lines.append(f'home {view} 1')
        files += [write(root / p, healthy(d, rng)) for d, p in places.items()]
    if layout == 'buildings' and rng.random() < 0.4:
        lines = ['home']
    lay_links(rng, root, files)
    content = any_lines(rng, lines)
    write(root / 'train_domain.txt', content)
    data = TaskonomyDataset(
        ['rgb'], 'depth_euclidean', layout=layout, data_root=str(root), pipeline=[]
    )
    lines = listed(content)
    views = sum(3 if line.split() == ['home'] else 1 for line in lines)
    need(len(data) == views, len(data), 'samples of', lines)
    for index in range(len(data)):
        inside_root(root, data.get_data_info(index)['rgb_path'])


def any_value(rng):
    return rng.choice([
        None, 0, -1, 1.5, float('nan'), True, '', 'Drama', 'x' * 1000, [], {}, [[]], ['Drama', 3],
        [None], {'a': 1}, ['Drama', 'Drama'], ['News'], [''], 'ünï', ['a\0b'], 10**30,
    ])  # fmt: skip


def case_movie_json(rng, root):
    ids = ['tt1', 'tt2', 'tt3']
    for name in ids:
        movie = {'plot': ['a plot', 'a longer plot'], 'genres': ['Drama'], 'title': 'T'}
        for _ in range(rng.choice([0, 0, 0, 1, 2])):
            movie[rng.choice(['plot', 'genres', 'title', 'other'])] = any_value(rng)
        if rng.random() < 0.1:
            movie = any_value(rng)
        form = rng.choice(['utf-8'] * 8 + ['utf-16', 'latin-1'])
        content = json.dumps(movie, ensure_ascii=rng.random() < 0.5).encode(form, 'replace')
        write(
            root / f'dataset/{name}.json', mutate(rng, content) if rng.random() < 0.1 else content
        )
        poster = any_image(rng) if rng.random() < 0.2 else healthy('rgb', rng)
        write(root / f'dataset/{name}.jpeg', poster)
    if rng.random() < 0.1:
        Path(root / 'dataset/tt2.json').unlink()
    splits = {'train': list(ids)}
    for _ in range(rng.choice([0, 0, 1])):
        kind = rng.randrange(4)
        if kind == 0:
            splits['train'].append(rng.choice([*ESCAPES, *NAMES, 3, None, 'tt1', ['tt1']]))
        elif kind == 1:
            splits['train'] = any_value(rng)
        elif kind == 2:
            splits = any_value(rng)
        elif isinstance(splits, dict):
            splits['dev'] = any_value(rng)
    write(root / 'split.json', json.dumps(splits).encode())
    missing = rng.choice(['error', 'drop'])
    data = MMIMDbDataset('train', data_root=str(root), pipeline=[], missing=missing,
                         unknown_genres=rng.choice(['error', 'drop']))  # fmt: skip
    dropped = data.counts['listed, but not there']
    need(len(data) + dropped == len(splits['train']), len(data), dropped, splits)
    for index in range(len(data)):
        sample = data.get_data_info(index)
        need(isinstance(sample['text'], str), sample['text'])
        need(set(np.unique(sample['gt_label'])) <= {0.0, 1.0}, sample['gt_label'])
        inside_root(root, sample['img_path'] or root / 'x')
        check_image(LoadPoster()(sample)['img'])


def case_movie_hdf5(rng, root):
    path = root / 'multimodal_imdb.hdf5'
    root.mkdir(exist_ok=True)
    count = 4
    tables = {
        'genres': np.eye(count, 23, dtype='i4'),
        'images': noise(rng, (count, 3, 8, 5), 'uint8').astype('i4'),
        'features': noise(rng, (count, 300), 'float32'),
        'vgg_features': noise(rng, (count, 4096), 'float32'),
        'imdb_ids': np.array([f'tt{i}' for i in range(count)], dtype='S9'),
    }
    for _ in range(rng.randrange(3)):
        key, kind = rng.choice(sorted(tables)), rng.randrange(5)
        if kind == 0:
            tables.pop(key)
            break
        if kind == 1:
            tables[key] = tables[key][:2] if rng.random() < 0.5 else tables[key]
        elif kind == 2 and tables[key].dtype.kind == 'f' and tables[key].ndim == 2:
            tables[key][1, 3] = rng.choice([np.nan, np.inf])
        elif kind == 3:
            tables[key] = tables[key].ravel()
        elif tables[key].dtype.kind in 'if':
            tables[key] = tables[key].astype('S5')
    rows = np.array([(b'train', rng.choice([0, 0, 0, -1, 3]), rng.choice([4, 4, 4, 9, 0]))],
                    dtype=[('split', 'S5'), ('start', 'i8'), ('stop', 'i8')])  # fmt: skip
    with h5py.File(path, 'w') as file:
        for key, value in tables.items():
            file[key] = value
        names = rng.choice([json.dumps(genre_names()), '[]', 'no json', json.dumps('Drama'), '{}'])
        if 'genres' in file and rng.random() < 0.9:
            file['genres'].attrs['target_names'] = (
                names if rng.random() < 0.4 else json.dumps(genre_names())
            )
        if rng.random() < 0.9:
            file.attrs['split'] = rows
    if rng.random() < 0.2:
        path.write_bytes(mutate(rng, path.read_bytes()[:4096]) + path.read_bytes()[4096:])
    data = MMIMDbDataset('train', layout='hdf5', data_root=str(root), pipeline=[])
    need(len(data) == int(rows[0]['stop'] - rows[0]['start']), len(data), rows)
    for index in range(len(data)):
        sample = data.get_data_info(index)
        need(set(np.unique(sample['gt_label'])) <= {0.0, 1.0}, sample['gt_label'])
        check_image(LoadPoster()(dict(sample))['img'])
        loaded = LoadMovieFeatures()(dict(sample))
        for key, width in (('text', 300), ('image', 4096)):
            need(loaded[key].shape == (width,) and np.isfinite(loaded[key]).all(), key)


def genre_names():
    from mango_mm.datasets.mm_imdb import GENRES

    return list(GENRES)


def case_checkpoint(rng, root):
    path = root / 'iter_1.pth'
    root.mkdir(exist_ok=True)
    torch.save({'state_dict': {'w': torch.arange(12.0).view(3, 4)}, 'meta': {'iter': 1}}, path)
    kind = rng.randrange(4)
    if kind == 0:

        class Evil:
            def __reduce__(self):
                return rng.choice([os.system, eval, exec, open]), (f'touch {root}/evil',)

        torch.save({'state_dict': {}, 'meta': Evil()}, path)
    elif kind == 1:
        pointer = rng.choice([b'', b'\n', b'/etc/passwd', b'../x', b'iter_9.pth', b'\xff\xfe'])
        write(root / 'last_checkpoint', pointer)
        find_checkpoint(root)
        return
    else:
        path.write_bytes(mutate(rng, path.read_bytes()))
    loaded = load_safely(path)
    need(not (root / 'evil').exists(), 'code of a checkpoint ran')
    need(kind != 0, 'an object that runs code was loaded', loaded)


def case_suite(rng, root):
    config = write(root / 'c.py', b'model = dict()')
    text = (
        f'title: T\nseeds: [0, 1]\noptions: {{a: 1}}\nruns:\n  - {{name: A, config: {config}}}\n'
        f'  - {{name: B, config: {config}, after: [x], options: {{b: 2}}}}\n'
    ).encode()
    path = write(root / 's.yml', mutate(rng, text) if rng.random() < 0.6 else rng.choice([
        text, text, text, b'', b'[]', b'runs: 3', b'runs: [1]', b'\xff\xfe', b'runs: {a: b}',
        b'!!python/object/apply:os.system ["true"]', b'a: &a [*a]', b'name: [1, 2]\nruns: []',
    ]))  # fmt: skip
    load_suite(path)


def case_suite_aliases(rng, root):
    """Aliases within bounds are a convenience, beyond them a bomb."""
    config = write(root / 'c.py', b'model = dict()')
    depth, width = rng.randrange(1, 12), rng.randrange(1, 12)
    lines = ['title: T', 'options:', '  x0: &x0 [1, 2]']
    for level in range(1, depth):
        aliases = ', '.join([f'*x{level - 1}'] * width)
        lines.append(f'  x{level}: &x{level} [{aliases}]')
    if rng.random() < 0.1:
        lines.append(f'  x{depth}: &x{depth} [*x{depth}]')
    lines += ['runs:', f'  - {{name: A, config: {config}}}']
    suite = load_suite(write(root / 's.yml', '\n'.join(lines).encode()))
    need(sum(map(len, suite.options)) < 2**20, 'blown up')


def case_run_name(rng, root):
    config = write(root / 'c.py', b'model = dict()')
    name = rng.choice([*ESCAPES, *NAMES, '../../x', 'a/b', '/tmp/x', 'x' * 100, '~root', 3, 1.5])
    runs = json.dumps([{'name': name, 'config': str(config)}])
    suite = load_suite(write(root / 's.yml', f'title: T\nruns: {runs}'.encode()))
    (run,) = suite.runs
    inside_root(root, root / run.name)
    need((root / run.name).parent == root, run.name)


def case_hdf5_links(rng, root):
    """Tables that are somewhere else, or claim any size."""
    root.mkdir(exist_ok=True)
    path, other = root / 'multimodal_imdb.hdf5', root.parent / 'secret.hdf5'
    with h5py.File(other, 'w') as file:
        file['features'] = np.ones((4, 300), 'f4')
    (root.parent / 'secret.raw').write_bytes(bytes(4800))
    with h5py.File(path, 'w') as file:
        file['genres'] = np.eye(4, 23, dtype='i4')
        file['genres'].attrs['target_names'] = json.dumps(genre_names())
        file['images'] = noise(rng, (4, 3, 8, 5)).astype('i4')
        file['vgg_features'] = noise(rng, (4, 4096), 'float32')
        file.attrs['split'] = np.array(
            [(b'train', 0, 4)], dtype=[('split', 'S5'), ('start', 'i8'), ('stop', 'i8')]
        )
        kind = rng.randrange(8)
        if kind < 2:
            file['features'] = np.ones((4, 300), 'f4')
        elif kind == 2:
            file['features'] = h5py.ExternalLink(str(other), '/features')
        elif kind == 3:
            file['x'] = h5py.ExternalLink(str(other), '/')
            file['features'] = h5py.SoftLink('/x/features')
        elif kind == 4:
            raw = [(str(root.parent / 'secret.raw'), 0, 4800)]
            file.create_dataset('features', (4, 300), 'f4', external=raw)
        elif kind == 5:
            layout = h5py.VirtualLayout((4, 300), 'f4')
            layout[:] = h5py.VirtualSource(str(other), 'features', (4, 300))
            file.create_virtual_dataset('features', layout)
        elif kind == 6:
            size = 2 ** rng.randrange(29, 45)
            file.create_dataset('features', (4, size), 'f4', chunks=(1, 1024))
        else:
            file.create_group('features')
    data = MMIMDbDataset('train', layout='hdf5', data_root=str(root), pipeline=[])
    need(kind < 2, 'a table from outside, or of any size, was read', kind)
    LoadMovieFeatures()(dict(data.get_data_info(1)))


def case_report(rng, root):
    """A run's folder from a stranger."""
    run = root / '20260101_000000'
    scalars = [json.dumps({'step': i, 'loss': 1.0 / i, 'lr': 0.1, 'time': 0.1}) for i in (1, 2, 3)]
    scalars.append(json.dumps({'step': 3, 'mIoU': rng.choice([1.0, 'x', None, [1], 1e400])}))
    text = '\n'.join(scalars).encode()
    write(run / 'vis_data/scalars.json', mutate(rng, text) if rng.random() < 0.3 else text)
    secret = write(root.parent / 'secret.png', healthy('rgb', rng))
    for place in ('likelihood/map.png', f'{run.name}/panels/step_000003/a.png'):
        path = root / place
        if rng.random() < 0.7:
            write(path, healthy('rgb', rng))
        elif rng.random() < 0.3:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(secret)
        elif rng.random() < 0.5:
            write(path, b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n')
        else:
            write(path, any_image(rng))
    write(root / 'robustness/table.md', rng.choice([
        b'| a | b |\n|---|---|\n| <script>alert(1)</script> | 2 |', b'|', b'||||', b'| a\n|', b'',
    ]))  # fmt: skip
    config = root / 'config.py'
    if rng.random() < 0.1:
        config.symlink_to(secret)
    else:
        write(config, b'model = "</pre><script>x</script>"')
    before, tempfile.tempdir = tempfile.tempdir, str(root)  # curves are drawn in a folder there
    try:
        page = render_page(*report_of(root))
    finally:
        tempfile.tempdir = before
    need('<script' not in page, 'a script in the page')
    need('src="data:' in page or 'img' not in page, 'a picture from elsewhere')


def case_prepare(rng, root):
    """The tools that follow a list, with any list."""
    lines, files = [], []
    for name in usable_names(rng, 2):
        parts = [f'{folder}/{name}.png' for folder in ('rgb', 'masks', 'depth')]
        kinds = ('rgb', 'reshading', 'depth_euclidean')
        files += [write(root / p, healthy(k, rng)) for p, k in zip(parts, kinds)]
        lines.append('\t'.join(parts))
    lay_links(rng, root, files)
    write(root / 'train.txt', any_lines(rng, lines))
    if rng.random() < 0.2:
        (root / 'out').mkdir()
        write(root / 'out/photo.jpg', b'somebody else')
    tool = rng.choice([['shrink.py', '--short-side', '4'],
                       ['taskonomy_from_rgbd.py', '--lists', 'train.txt']])  # fmt: skip
    sys.argv = [tool[0], str(root), str(root / 'out'), *tool[1:]]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            tool_main(tool[0])
        except SystemExit as end:  # known errors of these tools
            raise ValueError(str(end.code)) from end
    need((root / 'out/complete.txt').is_file(), 'not complete')
    need(not (root / 'out/photo.jpg').exists(), 'another folder was taken')


def tool_main(name):
    path = Path(__file__).resolve().parents[2] / 'tools/prepare' / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main()


def case_results(rng, root):
    """What an interrupted comparison left behind."""
    lines = [json.dumps({'name': n, 'seed': s, 'options': [], 'config': 'c.py', 'seconds': 1.0,
                         'mIoU': 1.0}) for n in 'ab' for s in (0, 1)]  # fmt: skip
    if rng.random() < 0.2:
        lines.append(lines[0])
    content = '\n'.join(lines).encode() + rng.choice([b'', b'\n'])
    broken = rng.random()
    if broken < 0.3:
        content = content[: rng.randrange(len(content))]
    elif broken < 0.6:
        content = mutate(rng, content)
    write(root / 'results.jsonl', content)
    runs = [Run('a', 'c.py'), Run('b', 'c.py')]
    with contextlib.redirect_stdout(io.StringIO()):
        found, said = read_json_lines(root / 'results.jsonl')
    _check(runs, found, [], root / 'results.jsonl')
    need(len({(x['name'], x['seed']) for x in found}) == len(found), 'one run twice', found)
    need(all(str(root) in message for message in said), said)
    append_line(root / 'results.jsonl', lines[3])
    again, _ = read_json_lines(root / 'results.jsonl')
    need(len(again) == len(found) + 1, 'a line was lost')


def inside_root(root, path):
    need(os.path.normpath(path).startswith(f'{root}{os.sep}'), path, 'is outside of', root)


CASES = {
    name.removeprefix('case_'): case
    for name, case in dict(globals()).items()
    if name.startswith('case_')
}


# ---- running them ----


class Audit:
    """Files opened for reading outside the data root while a case runs."""

    def __init__(self):
        self.root, self.found = None, []
        self.code = (sys.prefix, sys.base_prefix, '/usr', '/proc', '/sys', '/dev', '/opt',
                     os.path.realpath(sys.prefix), matplotlib.get_cachedir(),
                     str(Path(__file__).resolve().parents[2]))  # fmt: skip
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.root is None:
            return
        if event == 'open' and isinstance(arguments[0], (str, bytes)):
            path = os.path.abspath(os.fsdecode(arguments[0]))
            if isinstance(arguments[1], str) and set(arguments[1]) & set('wax'):
                return  # the case itself lays out what must not be read
            if not path.startswith((self.root, *self.code)):
                self.found.append(path)
        elif event in ('subprocess.Popen', 'os.system', 'socket.connect', 'os.exec'):
            self.found.append(f'{event} {arguments}')


def too_slow(*_):
    raise Refused(f'took more than {LIMIT_S} s')


def run_case(category, seed, base, audit):
    """None if accepted, the error if refused properly; raises Refused otherwise."""
    rng = random.Random(f'{category}-{seed}')
    root = base / 'root'
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    refusal = None
    try:
        audit.root, audit.found = str(root), []
        CASES[category](rng, root)
    except ALLOWED as error:
        refusal = f'{type(error).__name__}: {error}'
        told = error.filename if isinstance(error, OSError) and error.filename else ''
        if str(base) not in f'{refusal} {told}':
            trace = ''.join(traceback.format_tb(error.__traceback__)[-2:])
            raise Refused(f'no file is named: {refusal}\n{trace}') from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        audit.root = None
    if audit.found:
        raise Refused(f'opened outside the root: {audit.found[:3]}')
    return refusal


def run_category(category, seed, count, audit):
    accepted, refused, failures = 0, 0, []
    for number in range(seed, seed + count):
        print(f'\r{category} {number}', end='', file=sys.stderr, flush=True)
        base = Path(tempfile.mkdtemp(prefix='fuzz-'))
        try:
            refusal = run_case(category, number, base, audit)
            accepted, refused = accepted + (refusal is None), refused + (refusal is not None)
        except BaseException as error:
            trace = ''.join(traceback.format_tb(error.__traceback__)[-3:])
            failures.append(f'{category} {number}: {type(error).__name__}: {error}\n{trace}')
        finally:
            shutil.rmtree(base, ignore_errors=True)
    return dict(
        category=category, cases=count, accepted=accepted, refused=refused, failures=failures
    )


def main():
    faulthandler.enable()
    warnings.simplefilter('ignore')
    logging.getLogger('mmengine').setLevel(logging.ERROR)
    signal.signal(signal.SIGALRM, too_slow)
    audit = Audit()
    seed, count, *categories = sys.argv[1:]
    for category in categories or CASES:
        print(json.dumps(run_category(category, int(seed), int(count), audit)), flush=True)


if __name__ == '__main__':
    main()
