"""The server of one page, which is read and never written: for this machine alone, or for whoever has its token.

A page of another site that a browser has open can send requests here, too. It cannot read the answers, unless the
name of its site is made to lead to this address (DNS rebinding). So the name that a request gives in ``Host`` must be
an address or a name of this machine.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tune_kd.errors import InputError, StoreError

LOCAL = "localhost"
HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # the address has the token
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PageServer(ThreadingHTTPServer):
    """Serves what ``page`` gives at ``/``, in the background from :meth:`start` to :meth:`stop`.

    Raises InputError for a host that is none of this machine, or a port that is taken.
    """

    daemon_threads = True

    def __init__(self, page: Callable[[], str], host: str, port: int) -> None:
        self.page, self.host = page, host
        self._serving: threading.Thread | None = None
        family, address = _resolved(host, port)
        self.address_family = family
        try:
            super().__init__(address, _Handler)
        except OSError as error:
            raise InputError(
                f"port {port} of {host} cannot be had: {error.strerror}; give another --port, or 0 for any that is free"
            ) from None
        self.token = None if ipaddress.ip_address(address[0]).is_loopback else secrets.token_urlsafe(16)

    def start(self) -> None:
        """Serve from now on, on a thread."""
        self._serving = threading.Thread(target=self.serve_forever, name="tune-kd watch", daemon=True)
        self._serving.start()

    def wait(self) -> None:
        """Return when it is stopped."""
        if self._serving is not None:
            self._serving.join()

    def stop(self) -> None:
        """Serve no longer, and give the port back."""
        if self._serving is not None:
            self.shutdown()
        self.server_close()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"PageServer({self.url})"

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's asks a name server for the name of this machine, which may take long
        self.server_name, self.server_port = self.host, self.server_address[1]

    @property
    def url(self) -> str:
        """Where the page is, with its token."""
        unspecified = ipaddress.ip_address(str(self.server_address[0])).is_unspecified
        name = socket.gethostname() if unspecified else self.host
        shown = f"[{name}]" if ":" in name else name
        query = f"?token={self.token}" if self.token else ""
        return f"http://{shown}:{self.server_port}/{query}"

    def knows(self, host: str) -> bool:
        """Is ``host``, as a request gives it, an address or a name of this machine?"""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return _is_address(name) or name in {LOCAL, self.host.lower(), socket.gethostname().lower()}

    def lets_in(self, query: str) -> bool:
        """Does the query of a request have the token, where one is asked for?"""
        given = parse_qs(query).get("token", [""])[0]
        return self.token is None or hmac.compare_digest(given.encode(), self.token.encode())


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = 10  # seconds that a request may take to arrive
    server_version, sys_version = "tune-kd", ""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not self.server.knows(self.headers.get("Host", "")):
            self._answer(403, "this page is not served under that name")
        elif not self.server.lets_in(url.query):
            self._answer(403, "the token is missing or wrong; tune-kd watch has printed the address that has it")
        elif url.path != "/":
            self._answer(404, "there is nothing but /")
        else:
            self._page()

    def do_HEAD(self) -> None:
        self.do_GET()

    def _page(self) -> None:
        try:
            page = self.server.page()
        except StoreError as error:
            self._answer(503, str(error))
            return
        version = f'"{hashlib.sha256(page.encode()).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == version:
            self._answer(304, "", ETag=version)
        else:
            self._answer(200, page, kind="text/html", ETag=version)

    def _answer(self, code: int, text: str, kind: str = "text/plain", **more: str) -> None:
        content = text.encode()
        self.send_response(code)
        length = {} if code == 304 else {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(content))}
        for name, value in {**HEADERS, **length, **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and code != 304:
            self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal is the user's."""


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    try:
        [(family, *_, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, OverflowError) as error:
        raise InputError(f"host {host!r} is no name or address of this machine: {error}") from None
    return family, address


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
