"""Serve HTTP on this machine alone, for the demo and the tests."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve on 127.0.0.1 as long as the block lasts, and give the address.

    Args:
        handler: answers each request, as `http.server` makes it.
    """
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *arguments: Any) -> None:  # noqa: ANN401 # as its base takes them
        """Report an error, unless the client has gone, as one does that a test interrupts."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(*arguments)
