"""What the benchmarks of this folder share: their arguments, and where results go."""

import argparse
import json
from pathlib import Path

import torch

from mango_mm.apis.command import Parser, device_name, non_negative_float, positive_int
from mango_mm.benchmarking.measuring import describe_machine, keep_freed_memory
from mango_mm.visualization import draw_bars


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The arguments that all of them take."""
    parser = Parser(description)
    parser.add_argument('--out', type=Path, required=True, help='folder for table, JSON and plot')
    parser.add_argument('--device', type=device_name, default='cpu')
    parser.add_argument('--threads', type=positive_int, default=2, help='of the CPU')
    parser.add_argument('--rounds', type=positive_int, default=5, help='turns of each, at least')
    parser.add_argument(
        '--seconds', type=non_negative_float, default=3.0, help='of each comparison, at least'
    )
    parser.add_argument(
        '--system-malloc', action='store_true', help='let glibc return freed memory, as it does'
    )
    return parser


def start(args: argparse.Namespace) -> dict:
    """Set the process up as the arguments say, and describe the machine."""
    torch.set_num_threads(args.threads)
    if not args.system_malloc:
        keep_freed_memory()  # less noise: page faults are not what is compared
    torch.manual_seed(0)
    return describe_machine(args.device)


def save(args: argparse.Namespace, name: str, machine: dict, lines: list[dict], table: str) -> None:
    """Write NAME.json and NAME.md, and print the table."""
    args.out.mkdir(parents=True, exist_ok=True)
    content = {'machine': machine, 'lines': lines}
    (args.out / f'{name}.json').write_text(json.dumps(content, indent=1) + '\n')
    head = (
        f'{machine["device"]}, {machine["threads"]} threads, torch {machine["torch"]}, '
        f'Python {machine["python"]}, {machine["date"]}; '
        f'{machine["matmul_gflops"]:.0f} GFLOP/s in a large float32 product.\n\n'
    )
    (args.out / f'{name}.md').write_text(head + table)
    print(head + table)


def plot_steps(args: argparse.Namespace, name: str, lines: list[dict], reference: str) -> None:
    """NAME.png: each line's step over that of ``reference``, and its peak memory."""
    panels = {
        f'step over {reference}': {line['name']: tuple(line['ratio']) for line in lines},
        'peak MiB': {line['name']: (line['peak_mib'],) * 3 for line in lines},
    }
    draw_bars(panels, args.out / f'{name}.png')
