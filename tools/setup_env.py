"""Build the project's environment: the one command behind `make setup`.

Uses nothing but the standard library. Every stage leaves a stamp that holds the
hash of what it installed, so that a second run takes seconds and an interrupted
run goes on where it stopped (mmcv's compilation included: ninja keeps the
object files).

Two families of hosts: ``openmmlab``, as released (mmcv 2.1.0, mmseg 1.2.2, mmagic 1.2.0), and
``onedl``, the forks kept up since (onedl-mmcv, -mmengine, -mmsegmentation; there is no mmagic
among them, so no translation).

Run:
    python3 tools/setup_env.py --venv .venv --wheels path/to/wheels --hosts openmmlab
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / 'requirements'
# Those that have pins in requirements/; what was tried on each: docs/reliability.md.
PYTHONS = ((3, 10), (3, 11), (3, 12))

OPS_PROBE = (
    'import torch, mmcv, mmcv.ops; '
    'mmcv.ops.nms(torch.tensor([[0., 0, 1, 1]]), torch.tensor([1.]), .5)'
)
HOSTS_PROBE = (
    'import mmengine, mmcv.ops, mmseg.apis, mmseg.models; '
    'print("hosts: mmengine", mmengine.__version__, "mmcv", mmcv.__version__, '
    '"mmseg", mmseg.__version__)'
)
MMAGIC_PROBE = 'import mmagic.apis, mmagic.models; print("mmagic", mmagic.__version__)'
# family -> (its distribution of mmcv, its requirement files)
FAMILIES = {
    'openmmlab': ('mmcv', 'hosts.txt', 'mmcv.txt'),
    'onedl': ('onedl-mmcv', 'hosts-onedl.txt', 'mmcv-onedl.txt'),
}


class Setup:
    """The stages, in order, inside one virtual environment."""

    def __init__(self, venv: Path, wheels: Path | None, hosts: str = 'openmmlab') -> None:
        self.venv, self.wheels, self.hosts = venv, wheels, hosts
        self.mmcv, self.hosts_file, self.mmcv_file = FAMILIES[hosts]
        self.python = venv / 'bin' / 'python'
        self.stamps = venv / '.mango-stamps'
        self.start = time.monotonic()
        self.changed = False

    def say(self, text: str) -> None:
        print(f'[setup {time.monotonic() - self.start:6.0f}s] {text}', flush=True)

    def run(self, *command: object, cwd: Path | None = None, **env: str) -> None:
        subprocess.run([str(c) for c in command], check=True, cwd=cwd, env={**os.environ, **env})

    def pip(self, *args: object, **env: str) -> None:
        env = {'PIP_DISABLE_PIP_VERSION_CHECK': '1', **env}
        self.run(self.python, '-m', 'pip', *args, **env)

    def works(self, code: str) -> bool:
        done = subprocess.run([str(self.python), '-c', code], capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            self.say(f'  not working: {lines[-1] if lines else "no message"}')
        return done.returncode == 0

    def stage(self, name: str, what: bytes, do: object) -> None:
        """Run ``do`` unless its stamp says that exactly ``what`` is installed."""
        stamp = self.stamps / name
        digest = hashlib.sha256(what).hexdigest()
        if stamp.exists() and stamp.read_text() == digest:
            self.say(f'{name}: up to date')
            return
        self.say(f'{name}: installing')
        do()  # type: ignore[operator]
        stamp.write_text(digest)
        self.changed = True

    def create_venv(self) -> None:
        if self.python.exists():
            if not self.works('import pip'):  # interrupted before pip was there
                self.run(self.python, '-m', 'ensurepip', '--default-pip')
            return
        self.say(f'creating {self.venv}')
        if self.venv.exists():
            shutil.rmtree(self.venv)  # interrupted before the interpreter was there
        try:
            self.run(sys.executable, '-m', 'venv', self.venv)
        except subprocess.CalledProcessError as error:
            raise SystemExit(
                'setup needs the venv module of Python; on Debian and Ubuntu: '
                f'apt-get install python3-venv ({error})'
            ) from error

    def install_file(self, name: str, *options: str) -> None:
        path = REQUIREMENTS / name
        self.stage(
            name.removesuffix('.txt'),
            path.read_bytes(),
            lambda: self.pip('install', *options, '-r', path),
        )

    def install_mmcv(self) -> None:
        version = next(
            line.strip().split('==')[1]
            for line in (REQUIREMENTS / self.mmcv_file).read_text().splitlines()
            if line.startswith(f'{self.mmcv}==')
        )
        if self.works(OPS_PROBE):
            return
        tag = f'cp{sys.version_info.major}{sys.version_info.minor}'
        pattern = f'{self.mmcv_stem(version)}-{tag}-{tag}-*.whl'
        for wheel in sorted(self.wheels.glob(pattern)) if self.wheels else []:
            self.say(f'  trying {wheel}')
            self.pip('install', '--no-deps', '--no-index', '--force-reinstall', wheel)
            if self.works(OPS_PROBE):
                return
            self.say('  that wheel does not match this torch; building from source instead')
            self.pip('uninstall', '-y', self.mmcv)
        self.build_mmcv(version)

    def mmcv_stem(self, version: str) -> str:
        """What names of its archives and wheels begin with."""
        return f'{self.mmcv.replace("-", "_")}-{version}'

    def build_mmcv(self, version: str) -> None:
        """Compile mmcv's operators against the torch of this environment.

        Not through ``pip install mmcv``: its isolated build has no torch, and
        silently comes out without operators.
        """
        for tool in ('gcc', 'g++'):
            if shutil.which(tool) is None:
                raise SystemExit(
                    f'mmcv has to be compiled and {tool} was not found; install gcc and g++.'
                )
        build = self.venv / 'build-mmcv'
        source = build / self.mmcv_stem(version)
        if not (source / 'setup.py').exists():
            build.mkdir(exist_ok=True)
            self.pip(
                'download', '--no-deps', '--no-build-isolation', '--no-binary', self.mmcv,
                '-d', build, f'{self.mmcv}=={version}',
                MMCV_WITH_OPS='1',
            )  # fmt: skip
            # Python before 3.11.4 does not know the filter yet.
            safely = {'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}
            with tarfile.open(build / f'{self.mmcv_stem(version)}.tar.gz') as archive:
                archive.extractall(build, **safely)
        jobs = str(os.cpu_count() or 1)
        self.say(f'  compiling 77 files with {jobs} jobs: 12 to 25 minutes on two cores')
        self.compile(
            source,
            build / 'build.log',
            MMCV_WITH_OPS='1',
            MAX_JOBS=jobs,
            # Without debug symbols the library is 1.3 MB instead of 32 MB.
            CFLAGS='-g0',
            CXXFLAGS='-g0',
            PATH=f'{self.venv / "bin"}:{os.environ["PATH"]}',
        )
        wheel = next((source / 'dist').glob('*.whl'))
        self.pip('install', '--no-deps', '--no-index', '--force-reinstall', wheel)
        if not self.works(OPS_PROBE):
            raise SystemExit(
                f'{self.mmcv} {version} was built but its operators do not import; '
                f'see the compiler output above, remove {build} and try again.'
            )
        if self.wheels:
            try:
                shutil.copy(wheel, self.wheels)
            except OSError:
                self.say(f'  {self.wheels} is read-only, the wheel stays in {wheel.parent}')

    def compile(self, source: Path, log: Path, **env: str) -> None:
        """Build a wheel; one short line per compiled file, everything else to a log."""
        command = [str(self.python), 'setup.py', 'bdist_wheel']
        with (
            open(log, 'w') as file,
            subprocess.Popen(
                command,
                cwd=source,
                env={**os.environ, **env},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as process,
        ):
            for line in process.stdout or ():
                file.write(line)
                compiled = re.match(r'\[(\d+/\d+)\].*/(\w+\.\w+)\s+-o ', line)
                if compiled:
                    self.say(f'  {compiled[1]} {compiled[2]}')
        if process.returncode:
            print('\n'.join(log.read_text().splitlines()[-30:]))
            raise SystemExit(f'compiling mmcv failed; the whole output is in {log}')

    def install_package(self) -> None:
        what = (ROOT / 'setup.py').read_bytes() + str(ROOT).encode()
        self.stage(
            'mango_mm',
            what,
            lambda: self.pip('install', '--no-deps', '--no-build-isolation', '-q', '-e', ROOT),
        )

    def check(self) -> None:
        self.say('importing the hosts')
        self.run(self.python, '-W', 'ignore', '-c', HOSTS_PROBE, cwd=ROOT)
        if self.hosts == 'openmmlab':
            self.run(self.python, '-W', 'ignore', '-c', MMAGIC_PROBE, cwd=ROOT)

    def claim(self) -> None:
        """One environment, one family: both would own the same import names."""
        claimed = self.stamps / 'family'
        family = claimed.read_text() if claimed.exists() else 'openmmlab'
        if (self.stamps / 'mmcv').exists() and family != self.hosts:
            raise SystemExit(
                f'{self.venv} holds HOSTS={family}; for HOSTS={self.hosts} give another folder: '
                f'make setup HOSTS={self.hosts} VENV=.venv-{self.hosts}'
            )
        claimed.write_text(self.hosts)

    def all(self, *, package: bool = True) -> None:
        """Every stage; without ``package`` all but the last, for layers of a container."""
        self.create_venv()
        self.stamps.mkdir(exist_ok=True)
        self.claim()
        self.install_file('torch.txt')
        self.install_file('build.txt')
        # The stamp of torch is part of mmcv's: another torch, another binary.
        torch = (REQUIREMENTS / 'torch.txt').read_bytes()
        mmcv = (REQUIREMENTS / self.mmcv_file).read_bytes()
        self.install_file(self.hosts_file, '--no-deps')
        self.stage('mmcv', torch + mmcv, self.install_mmcv)
        self.install_file('dev.txt')
        self.install_file('docs.txt')
        if not package:
            return
        self.install_package()
        if self.changed:
            self.check()
        self.say(f'ready: {self.python}')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--venv', type=Path, default=ROOT / '.venv')
    parser.add_argument(
        '--wheels',
        type=Path,
        default=os.environ.get('MANGO_WHEELS') or None,
        help='folder with an mmcv wheel built for this torch (default: $MANGO_WHEELS)',
    )
    parser.add_argument(
        '--skip-package', action='store_true', help='install what it needs, not mango_mm itself'
    )
    parser.add_argument('--hosts', choices=sorted(FAMILIES), default='openmmlab')
    args = parser.parse_args()
    if sys.version_info[:2] not in PYTHONS:
        known = ', '.join('{}.{}'.format(*version) for version in PYTHONS)
        raise SystemExit(
            f'the pinned sets are for Python {known}; this is {sys.version.split()[0]}. '
            'Call make with PYTHON=python3.11.'
        )
    if args.wheels and not args.wheels.is_dir():
        raise SystemExit(f'MANGO_WHEELS must name a folder; got {args.wheels}.')
    try:
        Setup(args.venv.absolute(), args.wheels, args.hosts).all(package=not args.skip_package)
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f'setup stopped at: {" ".join(map(str, error.cmd))}\nRun it again to go on from there.'
        ) from error


if __name__ == '__main__':
    main()
