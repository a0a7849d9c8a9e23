r"""Check a download of Taskonomy, and write the lists of a split.

ROOT holds one folder per domain with ``point_P_view_V_domain_{domain}.png`` (one building, as the
sample model of the official release unpacks). Every file of the chosen domains is opened, and
all that is missing or of a wrong type is listed. With ``--train`` and ``--val`` the
lists ``train_domain.txt`` and ``val_domain.txt`` are written: views of one camera point never
part. CEN and TokenFusion have published lists of 1000 and 500 views of the building Cauthron;
to compare with their numbers put those files there instead.

Example:
    python tools/prepare/taskonomy.py data/taskonomy --domains rgb normal depth_euclidean \
        --train 1000 --val 500
"""

import re
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mango_mm.apis.command import Parser, non_negative_int, run_tool
from mango_mm.domains import DOMAINS, get_domain
from mango_mm.files import read_image

NAME = re.compile(r'point_(\d+)_view_(\d+)_domain_(\w+)\.png')
TEMPLATE = '{{domain}}/point_{}_view_{}_domain_{{domain}}.png'
SHOWN = 20  # problems printed


def find_views(root: Path, domain: str) -> set[tuple[int, int]]:
    """Camera point and view of every file of a domain."""
    folder = root / domain
    if not folder.is_dir():
        raise SystemExit(f'{folder} does not exist; unpack the domain {domain} there.')
    found = [NAME.fullmatch(path.name) for path in folder.iterdir()]
    return {(int(m[1]), int(m[2])) for m in found if m and m[3] == domain}


def find_problems(root: Path, domains: list[str], views: list[tuple[int, int]]) -> list[str]:
    """What is wrong with the files of these views, one line each."""
    problems = []
    for point, view in tqdm(views, desc='checking', unit='view'):
        sizes = {}
        for domain in domains:
            path = root / TEMPLATE.format(point, view).format(domain=domain)
            if not path.is_file():
                problems.append(f'{path} is missing')
                continue
            try:
                values, measured = get_domain(domain).decode(
                    np.asarray(read_image(path, domain)), str(path)
                )
            except (ValueError, OSError) as error:
                problems.append(str(error))
                continue
            sizes[domain] = values.shape[:2]
            if not measured.any():
                problems.append(f'{path} has no measured pixel')
        if len(set(sizes.values())) > 1:
            problems.append(f'point {point}, view {view} has domains of several sizes: {sizes}')
    return problems


def split(
    views: list[tuple[int, int]], train: int, val: int, seed: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Disjoint views of disjoint camera points."""
    points = sorted({point for point, _ in views})
    order = np.random.default_rng(seed).permutation(points)
    by_point = {p: [v for v in views if v[0] == p] for p in points}
    shuffled = [view for p in order for view in by_point[int(p)]]
    validation = shuffled[:val]
    held = {point for point, _ in validation}
    training = [v for v in shuffled if v[0] not in held][:train]
    if len(training) < train or len(validation) < val:
        raise SystemExit(
            f'{train} + {val} views of disjoint points were asked for; '
            f'there are {len(training)} + {len(validation)}.'
        )
    return sorted(training), sorted(validation)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('root', type=Path)
    parser.add_argument(
        '--domains', nargs='+', choices=sorted(DOMAINS),
        default=['rgb', 'normal', 'reshading', 'depth_euclidean', 'edge_occlusion', 'edge_texture'],
    )  # fmt: skip
    parser.add_argument('--train', type=non_negative_int, help='views to list for training')
    parser.add_argument('--val', type=non_negative_int, help='views to list for validation')
    parser.add_argument('--seed', type=non_negative_int, default=0, help='of the split')
    args = parser.parse_args()
    if (args.train is None) != (args.val is None):
        raise SystemExit('--train and --val belong together.')
    per_domain = {domain: find_views(args.root, domain) for domain in args.domains}
    views = sorted(set.union(*per_domain.values()))
    if not views:
        raise SystemExit(f'{args.root} holds no point_P_view_V_domain_{{domain}}.png.')
    for domain, found in per_domain.items():
        print(f'{domain}: {len(found)} of {len(views)} views')
    problems = find_problems(args.root, args.domains, views)
    for line in problems[:SHOWN]:
        print(line)
    if problems:
        more = f' ({len(problems) - SHOWN} more)' if len(problems) > SHOWN else ''
        raise SystemExit(f'{len(problems)} problems{more}; nothing was written.')
    print(f'{len(views)} views x {len(args.domains)} domains: all there, all of their type')
    if args.train is not None:
        for name, chosen in zip(('train', 'val'), split(views, args.train, args.val, args.seed)):
            path = args.root / f'{name}_domain.txt'
            path.write_text('\n'.join(TEMPLATE.format(*view) for view in chosen) + '\n')
            print(f'{path}: {len(chosen)} views')


if __name__ == '__main__':
    run_tool(main)
