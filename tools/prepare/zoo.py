"""Make the checkpoints of the model zoo: train on generated data, round to float16, score, list.

A checkpoint that is in the work dir already is not trained again. Weights are rounded to float16
and the score is taken of what was rounded, by the config's own test. A trust is signed anew for
the rounded encoders: what was usual before rounding by a thousandth is usual after it.

Example:
    python tools/prepare/zoo.py mango-trust-rooms --work-dirs work_dirs/zoo
"""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file

from mango_mm.apis import open_model, test, train
from mango_mm.apis.command import Parser, run_tool
from mango_mm.checkpoints import find_checkpoint
from mango_mm.datasets.mini.write_movies import write_movies
from mango_mm.datasets.mini.write_rooms import write_rooms
from mango_mm.datasets.mini.write_sequences import write_sequences
from mango_mm.models.trusted_ensemble import trusted_of
from mango_mm.zoo import FOLDER

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 4 << 20  # bytes of a file


class Recipe(NamedTuple):
    """One entry of the zoo, and how to make it."""

    task: str
    config: str
    data: str
    metric: str
    write: Callable[[Path], Any]
    variable: str  # of the environment, which names the data to the config
    summary: str


def rooms(folder: Path) -> Path:
    # Of another seed than those of tools/prepare/mini_rooms.py: what a user shows to a model of the
    # zoo must not be what it was trained on.
    return write_rooms(folder, train=300, val=60, seed=11)


ROOMS = 'rooms of seed 11: 300 to train, 60 to test, 72 x 96 pixels'
MOVIES = 'movies: 1,200 to train, 200 to validate, 200 to test'
RECIPES = {
    'mango-trust-rooms': Recipe(
        'segmentation', 'configs/mango/mango-trust-l1_small_1xb8-600it_mini-rooms-72x96.py', ROOMS,
        'mIoU', rooms, 'MANGO_MINI_ROOMS',
        'RGB-D segmentation that notices a broken sensor and predicts without it',
    ),
    'mango-rooms': Recipe(
        'segmentation', 'configs/mango/mango-cross-modal-l1_small_1xb8-600it_mini-rooms-72x96.py',
        ROOMS, 'mIoU', rooms, 'MANGO_MINI_ROOMS', 'RGB-D segmentation by the flow alone',
    ),
    'concat-rooms': Recipe(
        'segmentation', 'configs/concat/concat_small_1xb8-600it_mini-rooms-72x96.py', ROOMS,
        'mIoU', rooms, 'MANGO_MINI_ROOMS', 'RGB-D segmentation by concatenation, to compare with',
    ),
    'mango-trust-movies': Recipe(
        'movies', 'configs/mango/mango-trust-l2_small_1xb32-600it_mini-movies-96x64.py', MOVIES,
        'macro_f1_tuned', write_movies, 'MANGO_MINI_MOVIES',
        'genres from poster and plot, and whom of them to believe',
    ),
    'concat-movies': Recipe(
        'movies', 'configs/concat/concat_small_1xb32-600it_mini-movies-96x64.py', MOVIES,
        'macro_f1_tuned', write_movies, 'MANGO_MINI_MOVIES',
        'genres from poster and plot by concatenation, to compare with',
    ),
    'mango-sequences': Recipe(
        'sequences', 'configs/mango/mango-cross-modal-l1_small_1xb32-600it_mini-sequences-24.py',
        'sequences: 2,000 to train, 500 to test', 'mae', write_sequences, 'MANGO_MINI_SEQUENCES',
        'sentiment from generated text, sound and face sequences',
    ),
}  # fmt: skip


def round_weights(config: Path, checkpoint: str) -> dict[str, torch.Tensor]:
    """All of a model's state, floats as float16."""
    _, model = open_model(config, checkpoint)
    trusted = trusted_of(model)
    kept = (
        {id(v) for v in trusted.state_dict(keep_vars=True).values()} if trusted is not None else {}
    )
    with torch.no_grad():
        for value in model.state_dict(keep_vars=True).values():
            if value.is_floating_point() and id(value) not in kept:
                value.copy_(value.half().to(value.dtype))
        if trusted is not None:
            trusted.sign(model.sensors_hash())
    return {
        name: (value.half() if value.is_floating_point() and id(value) not in kept else value)
        .detach()
        .clone()
        .contiguous()
        for name, value in model.state_dict(keep_vars=True).items()
    }


def publish(name: str, recipe: Recipe, work_dirs: Path, data: Path) -> dict[str, Any]:
    """Train unless that was done, round, score; the entry of the zoo."""
    config, work_dir = ROOT / recipe.config, work_dirs / name
    recipe.write(data)
    os.environ[recipe.variable] = str(data)
    if not (work_dir / 'last_checkpoint').is_file():
        train(config, work_dir=work_dir)
    weights = round_weights(config, find_checkpoint(work_dir))
    path = FOLDER / f'{name}.safetensors'
    save_file(weights, path, metadata={'format': 'pt', 'config': recipe.config})
    path.chmod(0o644)
    if path.stat().st_size > LARGEST:
        raise ValueError(f'{path} has {path.stat().st_size:,} bytes; at most {LARGEST:,} may ship.')
    metrics = test(config, path, work_dir=work_dir / 'test')
    if recipe.metric not in metrics:
        raise KeyError(f'{name} is scored by {recipe.metric!r}; its test gave {sorted(metrics)}.')
    return {
        'task': recipe.task,
        'config': recipe.config,
        'data': recipe.data,
        'metric': recipe.metric,
        'score': round(float(metrics[recipe.metric]), 4),
        'sha256': hashlib.sha256(path.read_bytes()).hexdigest(),
        'summary': recipe.summary,
    }


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('names', nargs='*', choices=[*RECIPES, []], default=[], metavar='NAME')
    parser.add_argument('--work-dirs', type=Path, default=Path('work_dirs/zoo'))
    parser.add_argument('--data', type=Path, default=Path('data/zoo'))
    args = parser.parse_args()
    index = FOLDER / 'zoo.json'
    listed = json.loads(index.read_text()) if index.is_file() else {}
    for name in args.names or RECIPES:
        recipe = RECIPES[name]
        listed[name] = publish(name, recipe, args.work_dirs, args.data / recipe.task)
        print(f'{name}: {listed[name]["metric"]} {listed[name]["score"]}')
        index.write_text(json.dumps(dict(sorted(listed.items())), indent=1) + '\n')


if __name__ == '__main__':
    run_tool(main)
