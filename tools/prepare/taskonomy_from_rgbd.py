r"""Make Taskonomy's domains from RGB-D frames: normals, shading, edges, distances.

Reads a tab list (``rgb/X.jpg<TAB>masks/X.png<TAB>depth/X.png``, depth in 16 bits) and writes
``OUT/{domain}/point_N_view_L_domain_{domain}.png``, L the number of the list, with
``OUT/{train,val}_domain.txt``.
They are estimates from a sensor: see mango_mm/datasets/rgbd_domains.py. An interrupted run goes
on with the same options; OUT is there when it is whole.

Example:
    python tools/prepare/taskonomy_from_rgbd.py data/nyuv2 data/taskonomy-nyuv2
"""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mango_mm.apis.command import Parser, positive_float, run_tool
from mango_mm.datasets.rgbd_domains import DOMAINS_OF_FRAME, Camera, domains_of_frame
from mango_mm.files import inside, is_made, made_whole, read_image, read_lines

TEMPLATE = '{{domain}}/point_{number}_view_{view}_domain_{{domain}}.png'


def convert(rgb_path: Path, depth_path: Path, scale: float, out: Path, template: str) -> None:
    """Write every domain of one frame that is not there yet, each file whole or not at all."""
    if all((out / template.format(domain=domain)).is_file() for domain in DOMAINS_OF_FRAME):
        return
    rgb = np.asarray(read_image(rgb_path, 'RGB').convert('RGB'))
    stored = np.asarray(read_image(depth_path, 'depth'))
    if stored.ndim != 2 or stored.dtype.kind not in 'iu' or stored.dtype.itemsize < 2:
        raise SystemExit(
            f'{depth_path} must be a 16-bit grey image; got {stored.shape} {stored.dtype}.'
        )
    if stored.shape != rgb.shape[:2]:
        raise SystemExit(f'{depth_path} is {stored.shape}, but {rgb_path} is {rgb.shape[:2]}.')
    camera = Camera.nyu(*stored.shape)
    for domain, image in domains_of_frame(rgb, stored / scale, camera).items():
        path = out / template.format(domain=domain)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f'.{path.name}')
        Image.fromarray(image).save(unfinished)
        unfinished.replace(path)


def convert_list(source: Path, name: str, scale: float, out: Path, view: int) -> None:
    """Write all frames of one list, and the list of what was written."""
    path = Path(inside(source, name, '--lists'))
    if not path.is_file():
        raise FileNotFoundError(f'the list {path} does not exist.')
    templates = []
    for number, line in tqdm(read_lines(path), desc=name, unit='frame'):
        where = f'{path}, line {number}'
        columns = line.split('\t')
        if len(columns) != 3:
            raise ValueError(f'{where} must have three columns; got {line!r}.')
        rgb, _, depth = (Path(inside(source, column, where)) for column in columns)
        # The number in the name, where there is one, keeps the frame recognisable.
        stem = rgb.stem
        template = TEMPLATE.format(number=int(stem) if stem.isdigit() else number, view=view)
        convert(rgb, depth, scale, out, template)
        templates.append(template)
    if len(set(templates)) != len(templates):
        raise ValueError(f'{path} names a frame twice.')
    (out / f'{Path(name).stem}_domain.txt').write_text('\n'.join(templates) + '\n')


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('source', type=Path, help='folder of the RGB-D data set')
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument(
        '--scale', type=positive_float, default=5000.0, help='stored depth of one metre'
    )
    parser.add_argument('--lists', nargs='+', default=['train.txt', 'val.txt'])
    args = parser.parse_args()
    recipe = (
        f'taskonomy_from_rgbd.py: {args.source.resolve()}, lists {args.lists}, '
        f'scale {args.scale}, v2'
    )
    if is_made(args.out, recipe):
        print(f'{args.out} is there already')
        return
    with made_whole(args.out, recipe) as folder:
        for view, name in enumerate(args.lists):
            convert_list(args.source, name, args.scale, folder, view)
    print(f'wrote {args.out}')


if __name__ == '__main__':
    run_tool(main)
