"""moto's S3 server with one bucket, in this process: it can be told to fail, or to refuse what tests choose."""

from __future__ import annotations

import logging
import threading
import urllib.request
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLE"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "bucket"


class FlakyServer:
    """A WSGI application that counts what it is asked: ``PUT /bucket/key?partNumber=1``."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application
        self.address = ""
        self.failures_left = 0
        self.forbids: Callable[[str, str], bool] = allow_all  # (request, who signed it)
        self.requests: list[str] = []
        self._lock = threading.Lock()

    def url(self, prefix: str) -> str:
        """The place of ``prefix`` in the bucket, with the server's address in it."""
        return f"s3://{BUCKET}/{prefix}?scheme=http&endpoint_override={self.address}"

    def calm(self) -> None:
        """Neither fail nor refuse any more."""
        self.failures_left, self.forbids = 0, allow_all

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{environ['QUERY_STRING']}"
        with self._lock:
            self.requests.append(request)
            self.failures_left -= 1
            fails = self.failures_left >= 0
        if fails:
            # "A conflicting operation is in progress, try again": one that Arrow does not retry by itself.
            return _refuse(start_response, "409 Conflict", "OperationAborted")
        if self.forbids(request, environ.get("HTTP_AUTHORIZATION", "")):
            return _refuse(start_response, "403 Forbidden", "AccessDenied")
        return self.application(environ, start_response)


def allow_all(request: str, signature: str) -> bool:
    return False


def _refuse(start_response: Callable[..., Any], status: str, code: str) -> list[bytes]:
    start_response(status, [("Content-Type", "application/xml")])
    return [f"<Error><Code>{code}</Code><Message>refused by the test</Message></Error>".encode()]


@contextmanager
def serving() -> Iterator[FlakyServer]:
    """The server, as long as it is needed, and its address and credentials in the environment."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # moto's own imports
        moto = pytest.importorskip("moto.server", reason="needs moto[server]")
        from werkzeug.serving import make_server
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    flaky = FlakyServer(moto.DomainDispatcherApplication(moto.create_backend_app))
    http = make_server("127.0.0.1", 0, flaky, threaded=True)
    flaky.address = f"127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    try:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": f"http://{flaky.address}"}.items():
                environment.setenv(name, value)
            urllib.request.urlopen(urllib.request.Request(f"http://{flaky.address}/{BUCKET}", method="PUT")).close()
            yield flaky
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
