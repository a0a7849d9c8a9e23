r"""One self-contained HTML page about a run: metrics, curves, panels and analyses.

Reads what tools/train.py left in a work dir, and the folders likelihood, robustness and
attribution in it. With --analyse those that are missing are made first, from the config and the
checkpoint in the work dir. The page asks for nothing from a network and can be mailed.

Example:
    python tools/analyse/report.py \
        work_dirs/mango-l2_small_1xb8-600it_mini-rooms-72x96 --analyse
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mango_mm.apis.command import Parser, run_tool
from mango_mm.visualization.report import ANALYSES, render_page, report_of

HERE = Path(__file__).parent


def analyse(work_dir: Path, config: str | None, severities: list[str], options: list[str]) -> None:
    """Run the analyses that are missing; one that does not apply is named and left out."""
    configs = sorted(work_dir.glob('*.py'))
    if config is None and not configs:
        raise SystemExit(f'{work_dir} holds no config; give it by --config.')
    path = config or str(configs[-1])
    for name in ANALYSES:
        out = work_dir / name
        if out.is_dir() and any(out.iterdir()):
            continue
        command = [sys.executable, str(HERE / f'{name}.py'), path, str(work_dir), '--out', str(out)]
        if name == 'robustness':
            command += ['--severities', *severities]
        if options:
            command += ['--cfg-options', *options]
        print(f'{name} ...', flush=True)
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            print(f'{name} does not apply to this run and is left out; see above.', flush=True)


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('work_dir', type=Path, help='of a training')
    parser.add_argument('--out', type=Path, help='page to write; default: WORK_DIR/report.html')
    parser.add_argument('--analyse', action='store_true', help='make missing analyses first')
    parser.add_argument('--config', help='for --analyse; default: the one in the work dir')
    parser.add_argument('--severities', nargs='+', default=['1', '3', '5'], help='of robustness')
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE')
    args = parser.parse_args()
    out = args.out or args.work_dir / 'report.html'
    try:
        report_of(args.work_dir)  # raises before anything long is begun
        if args.analyse:
            analyse(args.work_dir, args.config, args.severities, args.cfg_options)
        page = render_page(*report_of(args.work_dir))
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page, encoding='utf-8')
    print(f'written to {out} ({len(page) / 2**20:.1f} MiB)')


if __name__ == '__main__':
    run_tool(main)
