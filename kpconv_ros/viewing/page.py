# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The page of the live view: Rerun's viewer, a legend beside it whose classes can be hidden, and nobody else asked.

Rerun's own page asks other machines for fonts, news and statistics of use. Here its files come through this server, and
what would go elsewhere is answered in the browser; so it works on a robot without a network, and tells nobody of it.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import threading
import urllib.request
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kpconv_ros.viewing.error import ViewError
from kpconv_ros.viewing.scene import ClassEntry

PAGE = Path(__file__).with_name("page.html")
VIEWER = "/viewer/"
FOREIGN_LINK = re.compile(rb"<link[^>]*https?://[^>]*>")
STAY_HERE = b"""<script>
      const fetchAnywhere = window.fetch;
      window.fetch = (resource, options) => {
        const url = new URL(resource.url ?? resource, location.href);
        if (url.hostname === location.hostname) return fetchAnywhere(resource, options);
        return Promise.resolve(new Response("", { status: 404 }));
      };
    </script>"""
MOST_BYTES = 1000  # of what a browser sends


class PageServer:
    """Serves the page from a thread of its own."""

    def __init__(
        self,
        address: str,
        port: int,
        classes: Callable[[], Sequence[ClassEntry]],
        set_hidden: Callable[[int, bool], None],
        on_opened: Callable[[], object],
    ) -> None:
        """Begin to serve.

        Args:
            address: Address to listen on.
            port: Of the page; the data come from the next, Rerun's files from the one after.
            classes: Gives the legend.
            set_hidden: Hides the class of a label, or shows it.
            on_opened: Called when a browser opens the viewer.

        Raises:
            ViewError: If the page cannot be served there.
        """
        import rerun

        self._classes, self._set_hidden, self._on_opened = classes, set_hidden, on_opened
        self._page = PAGE.read_text(encoding="utf-8").replace("DATA_PORT", str(port + 1)).encode()
        self._files = f"http://127.0.0.1:{port + 2}"
        try:
            self._server = ThreadingHTTPServer((address, port), self._make_handler())
        except OSError as error:
            raise ViewError(f"got address {address}, port {port}, expected one to serve a page on: {error}") from error
        self._server.daemon_threads = True
        rerun.serve_web_viewer(web_port=port + 2, open_browser=False)
        threading.Thread(target=self._server.serve_forever, name="page", daemon=True).start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()

    def legend(self) -> list[dict[str, Any]]:
        """The classes as the page reads them."""
        return [entry._asdict() for entry in self._classes()]

    def hide(self, body: bytes) -> None:
        """Do what a click on the legend says, ``{"label": 3, "hidden": true}``.

        Raises:
            ValueError: If it says something else.
        """
        said = json.loads(body)
        if not isinstance(said, dict) or type(said.get("label")) is not int or type(said.get("hidden")) is not bool:
            raise ValueError(f"got {said!r}, expected a label and whether it is hidden")
        self._set_hidden(said["label"], said["hidden"])

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/":
                    answer(self, server._page, "text/html; charset=utf-8")
                elif self.path == "/classes":
                    answer(self, json.dumps(server.legend()).encode(), "application/json")
                elif self.path.startswith(VIEWER):
                    server._pass_on(self)
                else:
                    self.send_error(404)

            def do_POST(self) -> None:
                size = min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)
                try:
                    server.hide(self.rfile.read(size))
                except ValueError as error:
                    self.send_error(400, str(error)[:200])
                    return
                answer(self, b"{}", "application/json")

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        return Handler

    def _pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        """A file of Rerun's viewer; its page without what lies elsewhere."""
        name = handler.path[len(VIEWER) :].partition("?")[0]
        try:
            source = urllib.request.urlopen(f"{self._files}/{name}")
        except OSError:
            handler.send_error(404)
            return
        with source:
            kind = source.headers.get("Content-Type", "application/octet-stream")
            if not name:
                self._on_opened()
                answer(handler, keep_here(source.read()), kind)
                return
            handler.send_response(200)
            handler.send_header("Content-Type", kind)
            size = source.headers.get("rerun-final-length")
            if size:
                handler.send_header("Content-Length", size)
            handler.end_headers()
            shutil.copyfileobj(source, handler.wfile)


def keep_here(page: bytes) -> bytes:
    """Rerun's page, such that it asks no other machine for anything."""
    return FOREIGN_LINK.sub(b"", page).replace(b"<head>", b"<head>" + STAY_HERE, 1)


def answer(handler: BaseHTTPRequestHandler, body: bytes, kind: str) -> None:
    """Send a whole answer."""
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.send_header("Cache-Control", "no-store")
    handler.end_headers()
    handler.wfile.write(body)


def check_ports(address: str, ports: Sequence[int]) -> None:
    """See whether ports are free: Rerun only logs that one is not.

    Raises:
        ViewError: If one is taken, or the address is none of this machine's.
    """
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise ViewError(f"got address {address}, port {port}, expected a free one: {error.strerror}") from error
