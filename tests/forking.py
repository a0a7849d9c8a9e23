"""Scripts run in children of one process that has imported torch and the toolbox already.

Importing them takes 7 seconds of CPU, and the tests start some hundred tools. A child has the
arguments, the folder, the environment and the output files of a process of its own and ends as
one; what a fresh interpreter does differently is tested where processes are started in earnest
(``-m torch.distributed.run``, the packaged tools of the hosts, tests/reliability).
"""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


class Forker:
    """The process that forks; started when it is first asked, ended with this one."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def _started(self) -> subprocess.Popen[str]:
        if self.process is None or self.process.poll() is not None:
            path = os.pathsep.join([str(FOLDER.parent), os.environ.get('PYTHONPATH', '')])
            self.process = subprocess.Popen(
                [sys.executable, '-W', 'ignore', str(FOLDER / 'forking.py')],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': path.rstrip(os.pathsep)},
            )  # fmt: skip
            atexit.register(self.process.kill)
        return self.process

    def run(self, script: str, *arguments: str, cwd: str, env: dict[str, str]):
        """As ``subprocess.run`` with captured text."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / 'out', Path(folder) / 'err'
            words = [script, *arguments]
            request = {'argv': words, 'cwd': cwd, 'env': env, 'out': str(out), 'err': str(err)}
            process = self._started()
            process.stdin.write(json.dumps(request) + '\n')
            process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                raise RuntimeError('the process that forks has ended')
            texts = [p.read_bytes().decode(errors='replace') for p in (out, err)]
            return subprocess.CompletedProcess(words, int(answer), *texts)


def serve() -> None:
    """Import once; fork a child per line of stdin, print how it ended."""
    import mmseg.models
    import torch

    import mango_mm.apis.run
    import mango_mm.models  # noqa: F401

    assert mmseg.models
    assert torch.get_num_threads() == 1
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            become(request)
            return
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def become(request) -> None:
    """Be the process that was asked for; ends as the script does."""
    import random
    import runpy

    import numpy as np

    os.setsid()
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for number, name in ((1, 'out'), (2, 'err')):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    random.seed()
    np.random.seed()
    sys.argv = request['argv']
    script = os.path.abspath(sys.argv[0])
    sys.path[0] = os.path.dirname(script)
    sys.path[1:1] = [p for p in request['env'].get('PYTHONPATH', '').split(os.pathsep) if p]
    runpy.run_path(script, run_name='__main__')


if __name__ == '__main__':
    serve()
