"""Copy a tab-list data set with smaller images, for training at low resolution.

Decoding full-size files dominates such a training. Images are averaged, depth and labels
take the nearest pixel, as the training pipeline would. Only the lists named are copied;
validate on the originals.

Example:
    python tools/prepare/shrink.py ../shared/data/nyuv2 data/nyuv2-96 --short-side 96
"""

import argparse
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from mango_mm.datasets.transforms.loading import read_image


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help='folder of the data set')
    parser.add_argument('target', type=Path, help='folder of the copy')
    parser.add_argument('--short-side', type=int, default=96, help='pixels')
    parser.add_argument('--lists', nargs='+', default=['train.txt'])
    args = parser.parse_args()
    for name in args.lists:
        text = (args.source / name).read_text()
        for line in tqdm(text.split('\n'), desc=name, unit='frame'):
            for column, path in enumerate(filter(None, line.split('\t'))):
                image = read_image(args.source / path, path)
                factor = args.short_side / min(image.size)
                size = (round(image.width * factor), round(image.height * factor))
                how = Image.Resampling.BOX if column == 0 else Image.Resampling.NEAREST
                target = args.target / path
                target.parent.mkdir(parents=True, exist_ok=True)
                image.resize(size, how).save(target, quality=95)
        (args.target / name).write_text(text)
    print(f'wrote {args.target}')


if __name__ == '__main__':
    main()
