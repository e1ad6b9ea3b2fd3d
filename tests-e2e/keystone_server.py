"""Serves Keystone on loopback; run by the interpreter of its own environment.

The port is in EMBERKEEP_TEST_PORT: Keystone reads the command line itself.

The server that comes with its web framework is enough here, and needs no compiler to install.
"""

import logging
import os

from werkzeug.serving import WSGIRequestHandler, make_server

from keystone.wsgi.api import application


class Quiet(WSGIRequestHandler):
    """Logs nothing for each request."""

    def log_request(self, *_arguments):
        pass


def main():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # HTTP/1.0: each answer closes its connection, so that a client notices at once when this ends.
    server = make_server("127.0.0.1", int(os.environ["EMBERKEEP_TEST_PORT"]), application, threaded=True, request_handler=Quiet)
    print(f"ready {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
