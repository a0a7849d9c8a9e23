"""The web application: one page, one question. Needs ``pip install 'mango_mm[web]'``.

Nothing is kept: uploads are decoded in memory, by the opener that reads every picture of the
package, and forgotten with the answer. Names of files are never looked at.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from mango_mm.hosts import require_host
from mango_mm.web.bench import Bench
from mango_mm.web.movies import MovieBench
from mango_mm.web.rooms import RoomBench

__all__ = ['create_app']

MOST_BYTES = 16 << 20  # of a request, both files together
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_app(
    benches: Mapping[str, Bench[Any, Any]] | None = None, hosts: list[str] | None = None
) -> Any:
    """The Flask application.

    Args:
        benches: By task, the models; None: those of the zoo for rooms and movies.
        hosts: Names under which it may be asked, against DNS rebinding; None: of this machine's
            own loopback interface.
    """
    require_host('flask', 'the page to play with')
    from flask import Flask, Request, Response, jsonify, request
    from werkzeug.exceptions import HTTPException

    class InMemory(Request):
        """Bounded by ``MAX_CONTENT_LENGTH``; werkzeug would write large parts to a file."""

        def _get_file_stream(self, *args: Any, **kwargs: Any) -> Any:
            return io.BytesIO()

    known = dict(benches or {'rooms': RoomBench(), 'movies': MovieBench()})
    app = Flask('mango_mm.web', static_folder=None)
    app.request_class = InMemory
    app.json.sort_keys = False
    app.config['MAX_CONTENT_LENGTH'] = MOST_BYTES
    app.config['TRUSTED_HOSTS'] = hosts or ['127.0.0.1', 'localhost', '[::1]']
    page = files('mango_mm.web') / 'page'

    def static(name: str, kind: str) -> Response:
        return Response((page / name).read_text(encoding='utf-8'), mimetype=kind)

    @app.get('/')
    def index() -> Response:
        return static('index.html', 'text/html')

    @app.get('/page.css')
    def style() -> Response:
        return static('page.css', 'text/css')

    @app.get('/page.js')
    def script() -> Response:
        return static('page.js', 'text/javascript')

    @app.get('/choices')
    def choices() -> Response:
        return jsonify(
            {
                task: {'kinds': bench.kinds, 'examples': [bench.shown(x) for x in bench.examples]}
                for task, bench in known.items()
            }
        )

    @app.post('/predict')
    def predict() -> Response:
        task = request.form.get('task', next(iter(known)))
        if task not in known:
            raise ValueError(f'task must be one of {list(known)}; got {task[:40]!r}.')
        bench = known[task]
        kind, severity = request.form.get('kind', ''), _whole('severity', '3')
        files = {name: file.read() for name, file in request.files.items()}
        sample, truth = bench.uploaded(request.form, files), None
        if sample is None:
            number = _whole('example', '0')
            if number not in range(len(bench.examples)):
                raise ValueError(f'example must be 0 to {len(bench.examples) - 1}; got {number}.')
            sample, truth = bench.examples[number], bench.truths[number]
        return jsonify(bench.predict(sample, kind, severity, truth))

    def _whole(name: str, default: str) -> int:
        given = request.form.get(name, default)
        try:
            return int(given)
        except ValueError:
            raise ValueError(f'{name} must be a whole number; got {given[:40]!r}.') from None

    @app.errorhandler(ValueError)
    def refuse(error: ValueError) -> tuple[Response, int]:
        return jsonify(error=str(error)), 400

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[Response, int]:
        said = f'at most {MOST_BYTES >> 20} MiB' if error.code == 413 else str(error.description)
        return jsonify(error=said), error.code or 500

    @app.after_request
    def guard(response: Response) -> Response:
        response.headers['Content-Security-Policy'] = POLICY
        response.headers['X-Content-Type-Options'] = 'nosniff'
        response.headers['Referrer-Policy'] = 'no-referrer'
        response.headers['Cache-Control'] = 'no-store'
        return response

    return app
