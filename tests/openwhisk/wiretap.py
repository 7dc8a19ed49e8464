"""A proxy that passes requests on and writes down what went through: any client can be held against the API description.

client --> Wiretap(url).url --> emulator          .exchanges
"""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.openwhisk.swagger import Exchange

PREFIX = "/api/v1"


class Wiretap:
    def __init__(self, upstream: str) -> None:
        self.exchanges: list[Exchange] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(urlsplit(upstream).netloc))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Wiretap:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _note(self, method: str, target: str, body: bytes, status: int, answer: bytes) -> None:
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query))
        self.exchanges.append(Exchange(method, parts.path.removeprefix(PREFIX), query, _json(body), status, _json(answer)))

    def _handler(self, upstream: str) -> type[BaseHTTPRequestHandler]:
        tap = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                onward = http.client.HTTPConnection(upstream, timeout=60)
                headers = {key: value for key, value in self.headers.items() if key.lower() not in ("host", "connection")}
                onward.request(self.command, self.path, body, headers)
                response = onward.getresponse()
                answer = response.read()
                onward.close()
                tap._note(self.command, self.path, body, response.status, answer)
                self.send_response_only(response.status)
                for key, value in response.getheaders():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_PUT = do_POST = do_DELETE = _pass_on  # noqa: N815 - the names http.server looks for

            def log_message(self, *args: Any) -> None:
                """Silent."""

        return Handler


def _json(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data
