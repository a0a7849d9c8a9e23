"""Copy a tab-list data set with smaller images, for training at low resolution.

Decoding full-size files dominates such a training. Images are averaged, which the pipelines'
bilinear resize does not do: its images are sharper and noisier, and a model that trains on the
copy and validates on the originals sees two kinds. Depth and labels take the nearest pixel. Only
the lists named are copied. An interrupted copy is gone on with; TARGET is there when it is whole.

Example:
    python tools/prepare/shrink.py ../shared/data/nyuv2 data/nyuv2-96 --short-side 96
"""

from pathlib import Path

from PIL import Image
from tqdm import tqdm

from mango_mm.apis.command import Parser, positive_int, run_tool
from mango_mm.files import inside, is_made, made_whole, read_image, read_lines


def shrink(source: str, target: Path, short_side: int, *, average: bool) -> None:
    """A smaller copy of one image, unless an interrupted run has made it."""
    if target.is_file():
        return
    image = read_image(source, 'listed')
    factor = short_side / min(image.size)
    size = (round(image.width * factor), round(image.height * factor))
    how = Image.Resampling.BOX if average else Image.Resampling.NEAREST
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f'partial.{target.name}')
    image.resize(size, how).save(partial, quality=95)
    partial.replace(target)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('source', type=Path, help='folder of the data set')
    parser.add_argument('target', type=Path, help='folder of the copy')
    parser.add_argument('--short-side', type=positive_int, default=96, help='pixels')
    parser.add_argument('--lists', nargs='+', default=['train.txt'])
    args = parser.parse_args()
    source, target = args.source.resolve(), args.target.resolve()
    if target == source or source.is_relative_to(target):
        raise ValueError(f'the copy {args.target} would replace its source {args.source}.')
    lists = {}
    for name in args.lists:
        path = Path(inside(args.source, name, '--lists'))
        if not path.is_file():
            raise FileNotFoundError(f'the list {path} does not exist.')
        lists[name] = [(number, line.split('\t')) for number, line in read_lines(path)]
    recipe = f'shrink.py: {source}, lists {args.lists}, short side {args.short_side}, v2'
    if is_made(args.target, recipe):
        print(f'{args.target} is there already')
        return
    with made_whole(args.target, recipe) as folder:
        for name, lines in lists.items():
            for number, columns in tqdm(lines, desc=name, unit='frame'):
                where = f'{args.source / name}, line {number}'
                for column, path in enumerate(columns):
                    shrink(
                        inside(args.source, path, where), Path(inside(folder, path, where)),
                        args.short_side, average=column == 0,
                    )  # fmt: skip
            (folder / name).write_text('\n'.join('\t'.join(columns) for _, columns in lines))
    print(f'wrote {args.target}')


if __name__ == '__main__':
    run_tool(main)
