"""Serve the page on this machine alone."""

import re
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from histossl.errors import UserError
from histossl.viewer.tiles import SlideTiles

HOST = "127.0.0.1"
TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "png": "image/png",
    "jpeg": "image/jpeg",
}
TILE = re.compile(r"/tiles/(\d{1,2})/(\d{1,6})_(\d{1,6})\.jpeg")
EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {EMPTY_STYLE}; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's own, so that it asks nobody else for anything, and no other page may frame it."""


class SlideServer(ThreadingHTTPServer):
    """Answers requests for the page's files, which it holds, and for tiles: no path of a request reaches the disk."""

    daemon_threads = True

    def __init__(self, port: int, files: Mapping[str, bytes], tiles: SlideTiles) -> None:
        """Listen at `port` of 127.0.0.1; 0 takes a free one.

        Raises:
            UserError: the port is taken, or not for this user.
        """
        self.files = {f"/{name}": content for name, content in files.items()}
        self.tiles = tiles
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UserError(f"port {port}: cannot be listened at ({error}); give another with --port") from error

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: SlideServer
    server_version, sys_version = "histossl", ""
    timeout = 60

    def do_GET(self) -> None:
        # Another name means that a page from elsewhere has its name point here, to read what only this user may see.
        if self.headers.get("Host", "").rpartition(":")[0] not in (HOST, "localhost"):
            self._send(HTTPStatus.FORBIDDEN, "html", b"not a name of this server\n")
            return
        path = self.path.partition("?")[0]
        path = "/index.html" if path == "/" else path
        if path in self.server.files:
            self._send(HTTPStatus.OK, path.rpartition(".")[2], self.server.files[path])
        elif tile := TILE.fullmatch(path):
            self._send_tile(*map(int, tile.groups()))
        else:
            self._send(HTTPStatus.NOT_FOUND, "html", b"no such file\n")

    do_HEAD = do_GET

    def _send_tile(self, level: int, column: int, row: int) -> None:
        try:
            self._send(HTTPStatus.OK, "jpeg", self.server.tiles.read(level, column, row))
        except LookupError:
            self._send(HTTPStatus.NOT_FOUND, "html", b"no such tile\n")
        except UserError as error:
            self.log_error("%s", error)
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, "html", b"this tile cannot be decoded\n")

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", TYPES[kind]),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", POLICY),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(BrokenPipeError, ConnectionResetError):  # the browser has moved on
                self.wfile.write(content)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Nothing: hundreds of tiles a minute."""
