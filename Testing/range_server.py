"""A real HTTP server on this machine for the tests of downloads: with Range, and with the accidents that happen."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_PIECE_BYTES = 1 << 16
CONTENT = bytes(range(256)) * 4096 * 4  # 4 MiB


class Handler(BaseHTTPRequestHandler):
    """Serves server.content.

    server.knows_ranges: whether it answers Range with 206; server.cut_after: bytes after which it cuts each connection;
    server.pause_s: seconds between pieces; server.status: answers with this error unless 200; server.requests: the
    Range header of each request, in order.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        if server.status != 200:
            self.send_error(server.status)
            return
        first, total = 0, len(server.content)
        asked = self.headers.get("Range") if server.knows_ranges else None
        if asked:
            first = int(asked.removeprefix("bytes=").split("-")[0])
            if first >= total:
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(total - first))
        self.end_headers()
        end = total if server.cut_after is None else min(total, first + server.cut_after)
        with contextlib.suppress(ConnectionError):  # the client may go whenever it likes
            if not server.pause_s:
                self.wfile.write(server.content[first:end])
            for place in range(first, end, SLOW_PIECE_BYTES) if server.pause_s else ():
                self.wfile.write(server.content[place : min(place + SLOW_PIECE_BYTES, end)])
                time.sleep(server.pause_s)
        if end < total:
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True

    def log_message(self, *_arguments):
        pass


@contextlib.contextmanager
def serving(content: bytes) -> Iterator[ThreadingHTTPServer]:
    """The running server, with a free port of this machine in server_port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.content, server.cut_after, server.status, server.pause_s = content, None, 200, 0.0
    server.knows_ranges, server.requests = True, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
