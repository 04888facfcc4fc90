"""A Messages API on loopback for the real Claude Code to talk to; the prompt says what it answers.

A context manager, `FakeApi`, and a program: ``python tests/fake_api.py`` prints its address and serves until it is
interrupted. `fake_script` tells how a prompt says it; words of a prompt that does not may choose a script, too
(`FakeApi.scripts`). Which step is due is read from the conversation in each request, by counting the model's answers
since the last prompt with a script: so sessions do not disturb each other, and one that is resumed without a new
script goes on in its old one. Only how often an answer was asked for is kept here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import select
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from types import TracebackType
from typing import Any, Self

from fake_request import Place, Request, key_hash
from fake_script import MARK, Fault, Json, Step, events_of, read_script

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class FakeApi:
    """The server; it serves inside ``with``.

    Args:
        port: of 127.0.0.1; 0 is any that is free.
        default: the script of conversations that have none.

    Attributes:
        scripts: those of prompts that are ordinary text, by words that they have in them.
        url: for ANTHROPIC_BASE_URL.
        requests: those for an answer, in the order in which they came.
        fault: while it is set, what becomes of every request.
    """

    def __init__(self, port: int = 0, default: str = f"{MARK} text ok") -> None:
        self.requests: list[Request] = []
        self.scripts: dict[str, str] = {}
        self.fault: Fault | None = None
        self.closing = threading.Event()
        self._default = default
        self._attempts: Counter[tuple[str, Place]] = Counter()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.api = self
        # The handlers' threads end with their clients; none is waited for.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def told(self, words: str) -> list[Request]:
        """Give the requests whose conversation has these words in it."""
        return [request for request in self.requests if words in request.text]

    def of_session(self, session_id: str) -> list[Request]:
        """Give the requests of one session."""
        return [request for request in self.requests if request.session_id == session_id]

    def due(self, request: Request) -> tuple[Step, Fault | None]:
        """Give the step that answers a request, and what becomes of it instead."""
        place = request.place(self.scripts) or Place(self._default, 0, 0)
        try:
            steps = read_script(request.filled(place.line))
        except ValueError as error:
            return Step([{"type": "text", "text": f"this script is not understood: {error}"}]), self.fault
        step = steps[min(place.turn, len(steps) - 1)]
        with self._lock:
            attempt = self._attempts[request.session_id, place]
            self._attempts[request.session_id, place] += 1
        return step, self.fault or step.fault(attempt)


class _Server(ThreadingHTTPServer):
    api: FakeApi
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that was killed is nothing to report.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_HEAD(self) -> None:
        self._json(200, {})

    def do_GET(self) -> None:
        self._json(200, {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        match self.path.partition("?")[0]:
            case "/v1/messages":
                request = Request(self._headers(), json.loads(raw), time.monotonic())
                self.server.api.requests.append(request)
                request.outcome = self._answer(request, *self.server.api.due(request))
            case "/v1/messages/count_tokens":
                self._json(200, {"input_tokens": max(1, len(raw) // 4)})
            case _:
                self._json(200, {})

    def _headers(self) -> dict[str, str]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        for name in {"x-api-key", "authorization"} & headers.keys():
            headers[name] = key_hash(headers[name].removeprefix("Bearer "))
        return headers

    def _answer(self, request: Request, step: Step, fault: Fault | None) -> str:
        """Carry out a step, or what becomes of it instead; give how it ended."""
        if fault and fault.status:
            extra = {"retry-after": fault.retry_after_s} if fault.retry_after_s else {}
            if fault.resets_in_s is not None:
                extra |= quota_headers(time.time() + fault.resets_in_s)
            kind = ERROR_TYPES.get(fault.status, "api_error")
            error = {"type": kind, "message": f"the script says {fault.status}"}
            self._json(fault.status, {"type": "error", "error": error}, extra)
            return f"error {fault.status}"
        hangs = fault is not None and not fault.cut
        if not self._wait(None if hangs else step.delay_s):
            self.close_connection = True
            return "hung" if self.server.api.closing.is_set() else "left"
        message = step.message(request.model)
        self.close_connection = cut = fault is not None
        try:
            if request.body.get("stream"):
                self._stream(list(events_of(message)), step.pace_s, cut=cut)
            elif not cut:
                self._json(200, message)
        except OSError:
            self.close_connection = True
            return "left"
        return "cut" if cut else "answered"

    def _json(self, status: int, body: Json, extra: Mapping[str, str] | None = None) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(extra or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def _stream(self, events: list[Json], pace_s: float, *, cut: bool) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        # Half of them: the answer has begun, and is not complete.
        for event in islice(events, len(events) // 2 if cut else None):
            raw = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(raw), raw))
            if pace_s and event["type"] == "content_block_delta" and not self._wait(pace_s):
                raise ConnectionAbortedError
        if not cut:
            self.wfile.write(b"0\r\n\r\n")

    def _wait(self, seconds: float | None) -> bool:
        """Wait; for ever, if `seconds` is None. False: the client has left, or the server closes."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self.server.api.closing.is_set():
            left_s = 1.0 if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                return True
            readable, _, _ = select.select([self.connection], [], [], min(left_s, 0.1))
            with contextlib.suppress(ConnectionError):
                if not readable or self.connection.recv(1, socket.MSG_PEEK):
                    continue
            return False
        return False


def main() -> None:
    """Serve until SIGINT or SIGTERM; the address is the first line of the output."""
    parser = argparse.ArgumentParser(
        description="A Messages API on loopback; the prompt says what it answers."
    )
    parser.add_argument("--port", type=int, default=0, help="of 127.0.0.1; any that is free, if not given")
    parser.add_argument("--default", default=f"{MARK} text ok", help="the script of a prompt without one")
    parser.add_argument(
        "--script",
        nargs=2,
        action="append",
        default=[],
        metavar=("WORDS", "SCRIPT"),
        help="of a prompt with these words",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), FakeApi(options.port, options.default) as api:
        api.scripts = dict(options.script)
        print(api.url, flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()


def quota_headers(resets_at: float) -> dict[str, str]:
    """Give the headers that the API sends with a 429 to a login whose five hours are used up."""
    return {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": str(round(resets_at)),
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
        "retry-after": str(max(60, round(resets_at - time.time()))),
    }
