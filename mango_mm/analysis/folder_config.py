"""A first config for a folder of somebody's data: commented, to be read before it is used."""

from __future__ import annotations

import os.path as osp
from pathlib import Path

from mango_mm.analysis.look_at_folder import FolderFound
from mango_mm.shipped import shipped

__all__ = ['write_config']

CROP = 512  # larger images are cropped for training


def write_config(found: FolderFound, path: str | Path, *, val: float = 0.2) -> None:
    """Write a commented config, and beside it the lists of a split.

    Every k-th name is validated on, so that frames of one sequence are spread over both; a split by
    scene or patient is better where names tell it: edit the lists.

    Args:
        found: Of :func:`look_at_folder`.
        path: The config; ``<stem>_train.txt`` and ``<stem>_val.txt`` go beside it.
        val: Share of the samples to validate on.

    Raises:
        ValueError: If there are no label maps, or fewer than two samples.
    """
    path = Path(path)
    if found.labels is None or len(found.names) < 2:
        raise ValueError(
            f'{found.root}: a config needs label maps and two samples or more; found '
            f'{found.labels} and {len(found.names)}.'
        )
    every = max(2, round(1 / val))
    lists = {
        'val': [n for i, n in enumerate(found.names) if i % every == every - 1] or found.names[-1:],
    }
    lists['train'] = [n for n in found.names if n not in set(lists['val'])]
    path.parent.mkdir(parents=True, exist_ok=True)
    for split, names in lists.items():
        target = path.with_name(f'{path.stem}_{split}.txt')
        target.write_text('\n'.join(names) + '\n')
    path.write_text(_config(found, path))


def _config(found: FolderFound, path: Path) -> str:
    stored = sorted(v for v in found.label_counts if v != 255)
    height, width = found.modalities[0].size
    crop = (min(height, CROP), min(width, CROP))
    configs = shipped('configs')
    specs, places = [], []
    for m in found.modalities:
        how = '' if m.is_rgb else f", dtype='{m.dtype}', missing=0.0"
        if m.is_rgb and m.name != 'rgb':
            how = ", loader=dict(type='mango_mm.LoadImage')"
        specs.append(
            f"    dict(name='{m.name}', channels={m.channels}, mean={m.mean}, std={m.std}"
            f'{how}),  # {m.dtype}, {m.low:g} to {m.high:g}'
        )
        places.append(f"    dict(name='{m.name}', folder='{m.folder}', suffix='{m.suffix}'),")
    absent = any(set(found.names) - m.names for m in found.modalities)
    table = '\n'.join(f'    [{value}, {index}],' for index, value in enumerate(stored))
    root = osp.abspath(found.root)
    relative = osp.relpath(path.parent.resolve(), root)
    sizes = {m.size for m in found.modalities}
    resample = '' if len(sizes) == 1 else ', resample=True'
    return TEMPLATE.format(
        root=root, name=found.root.name, specs='\n'.join(specs), places='\n'.join(places),
        resample=resample, crop=crop, count=len(stored), table=table,
        classes=[f'class_{v}' for v in stored], labels=found.labels[0] if found.labels else '',
        suffix=found.labels[1] if found.labels else '', configs=configs,
        missing='absent' if absent else 'error', train=f'{relative}/{path.stem}_train.txt',
        val=f'{relative}/{path.stem}_val.txt', samples=len(found.names),
        oddities='\n'.join(f'#   {x}' for x in found.oddities) or '#   nothing odd was seen',
    )  # fmt: skip


TEMPLATE = """# {name}: {samples} samples; written by tools/prepare/from_folder.py. Look at:
{oddities}
_base_ = [
    '{configs}/_base_/models/segmentor_small.py',
    '{configs}/_base_/schedules/scratch_600it.py',
    '{configs}/_base_/default_runtime.py',
]
data_root = '{root}'
# In the order of the stack. Means and deviations are of up to 50 files each.
modalities = [
{specs}
]
folders = [
{places}
]
# Name the classes; a stored value without a row is ignored.
classes = {classes}
label_map = [
{table}
]
num_classes = {count}
crop_size = {crop}
# Each spec above says how its modality is loaded: see docs/your_data.md.
load = [dict(type='mango_mm.LoadModalities', modalities=modalities{resample})]
labels = dict(type='mango_mm.LoadSegmentation', num_classes=num_classes)
pack = [
    dict(type='mango_mm.StackModalities', modalities=modalities),
    dict(type='PackSegInputs'),
]
train_pipeline = [
    *load,
    labels,
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    *pack,
]
test_pipeline = [*load, labels, *pack]
common = dict(
    type='mango_mm.MultimodalFolderDataset',
    data_root=data_root,
    modalities=folders,
    labels=dict(folder='{labels}', suffix='{suffix}'),
    metainfo=dict(classes=classes),
    label_map=label_map,
    missing='{missing}',  # 'error': every file must exist; 'absent': a sample may lack a modality
)
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='mango_mm.SeededSampler', shuffle=True),
    dataset=dict(**common, ann_file='{train}', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**common, ann_file='{val}', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mango_mm.MultimodalIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
model = dict(
    data_preprocessor=dict(
        type='mango_mm.MultimodalSegDataPreProcessor', modalities=modalities, size=crop_size
    ),
    backbone=dict(modalities=modalities),
    neck=dict(modalities=modalities, fusion=dict(type='MangoFusion', window=8, depth=2)),
    decode_head=dict(num_classes=num_classes),
)
"""
