"""A page to play with: choose a room, break a sensor, see whom the model believes.

Runs offline on the checkpoints that come with the package. On loopback unless told otherwise:
it has no accounts and no limit of requests, so do not put it on the open network.

Example:
    python tools/web.py --port 8000
"""

from mango_mm.apis.command import Parser, positive_int, run_tool
from mango_mm.hosts import require_host
from mango_mm.web.app import MOST_BYTES, create_app

LOOPBACK = ('127.0.0.1', 'localhost', '::1')


def main() -> None:
    parser = Parser(__doc__)
    parser.add_argument('--host', default='127.0.0.1', help='address to listen on')
    parser.add_argument('--port', type=positive_int, default=8000)
    args = parser.parse_args()
    require_host('waitress', 'tools/web.py')
    import waitress

    hosts = None if args.host in LOOPBACK else [args.host]
    if hosts:
        print(f'{args.host} is not loopback: whoever reaches it can use this machine to predict.')
    app = create_app(hosts=hosts)
    print(f'http://{args.host}:{args.port} (Ctrl-C ends it)', flush=True)
    try:
        waitress.serve(
            app, host=args.host, port=args.port, threads=4, max_request_body_size=MOST_BYTES
        )
    except OSError as error:
        raise SystemExit(f'{args.host}:{args.port} cannot be listened on: {error}') from error


if __name__ == '__main__':
    run_tool(main)
