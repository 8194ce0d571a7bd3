"""A small HTTP server on this machine that speaks Azure OpenAI's routes and counts what it is asked."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Stands in every prompt and answer, so that a file that holds it holds what it must not.
MARK = "xyzzy-marked-content"
ANSWER = f"{MARK} and then some."
CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
RESPONSES_USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 120,
}
MODEL = "gpt-4o-2024-11-20"
Reply = tuple[int, Mapping[str, str], Iterable[bytes]]


class AzureServer(ThreadingHTTPServer):
    """Answers every request as `script` says, in order, and as the service would once that is empty."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.paths: list[str] = []
        self.bodies: list[Any] = []
        self.script: list[Callable[[Any], Reply]] = []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def stop(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away early is part of the tests."""


def error(status: int, code: str, **headers: str) -> Callable[[Any], Reply]:
    body = json.dumps({"error": {"code": code, "message": f"no {MARK}"}}).encode()
    return lambda _: (status, {"content-type": "application/json", **headers}, [body])


def broken_stream(body: Any) -> Reply:
    """Promise more than comes."""
    chunks = list(chat_events(body))[:2]
    return 200, {"content-type": "text/event-stream", "content-length": "100000", "connection": "close"}, chunks


def held_stream(release: threading.Event) -> Callable[[Any], Reply]:
    """Send the first word of a chat, and the rest only when it is released."""

    def pieces(body: Any) -> Iterable[bytes]:
        for i, piece in enumerate(chat_events(body)):
            if i == 3:
                release.wait()
            yield piece

    return lambda body: (200, {"content-type": "text/event-stream", "connection": "close"}, pieces(body))


def silence(release: threading.Event) -> Callable[[Any], Reply]:
    """Answer nothing until it is released."""

    def wait(body: Any) -> Reply:
        release.wait()
        raise ConnectionAbortedError

    return wait


def hang_up(body: Any) -> Reply:
    raise ConnectionAbortedError


def chat_body() -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_791_943_440,
        "model": MODEL,
        "service_tier": "default",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": CHAT_USAGE,
    }


def chat_events(body: Mapping[str, Any]) -> Iterable[bytes]:
    shared = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_791_943_440, "model": MODEL}

    def chunk(delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        return {**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], "usage": None}

    yield event({**shared, "model": "", "choices": [], "prompt_filter_results": []})
    yield event(chunk({"role": "assistant", "content": ""}))
    for word in ANSWER.split(" "):
        yield event(chunk({"content": word if word == MARK else f" {word}"}))
    if body.get("tools"):
        function = {"name": "look", "arguments": f'{{"a":"{MARK}"}}'}
        yield event(chunk({"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]}))
    yield event(chunk({}, "stop"))
    if (body.get("stream_options") or {}).get("include_usage"):
        yield event({**shared, "choices": [], "usage": CHAT_USAGE})
    yield b"data: [DONE]\n\n"


def response_body(**changes: Any) -> dict[str, Any]:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_791_943_440,
        "model": MODEL,
        "status": "completed",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES_USAGE,
        **changes,
    }


def response_events() -> Iterable[bytes]:
    begun = response_body(status="in_progress", output=[], usage=None)
    part = {"type": "output_text", "text": "", "annotations": []}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": message},
        {"type": "response.content_part.added", **where, "part": part},
        {"type": "response.output_text.delta", **where, "delta": ANSWER, "logprobs": []},
        {"type": "response.completed", "response": response_body()},
    ]
    for i, one in enumerate(events):
        yield f"event: {one['type']}\n".encode() + event({**one, "sequence_number": i})


def event(record: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(record).encode() + b"\n\n"


def served(path: str, body: Any) -> Reply:
    """Answer as the service does."""
    plain = {"content-type": "application/json"}
    events = {"content-type": "text/event-stream; charset=utf-8"}
    operation = re.sub(r"^/openai/(v1/)?(deployments/[^/]+/)?", "", path)
    if operation == "chat/completions":
        if body.get("stream"):
            return 200, events, chat_events(body)
        return 200, plain, [json.dumps(chat_body()).encode()]
    if operation == "responses":
        if body.get("stream"):
            return 200, events, response_events()
        return 200, plain, [json.dumps(response_body()).encode()]
    if operation == "embeddings":
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]
        usage = {"prompt_tokens": 7, "total_tokens": 7}
        answer = {"object": "list", "model": "text-embedding-3-small", "data": data, "usage": usage}
        return 200, plain, [json.dumps(answer).encode()]
    if operation == "completions":
        usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
        choices = [{"index": 0, "text": MARK, "finish_reason": "stop", "logprobs": None}]
        answer = {"id": "cmpl-1", "object": "text_completion", "created": 1_791_943_440, "choices": choices}
        return 200, plain, [json.dumps({**answer, "model": "gpt-35-turbo-instruct", "usage": usage}).encode()]
    if operation == "images/generations":
        return 200, plain, [json.dumps({"created": 1_791_943_440, "data": [{"url": "https://x.invalid/"}]}).encode()]
    if operation == "models":
        return 200, plain, [json.dumps({"object": "list", "data": []}).encode()]
    return 404, plain, [b'{"error": {"code": "404", "message": "Resource not found"}}']


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AzureServer

    def do_GET(self) -> None:
        self.answer(None)

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["content-length"] or 0)) or b"null"))

    def answer(self, body: Any) -> None:
        path = self.path.partition("?")[0]
        self.server.paths.append(path)
        self.server.bodies.append(body)
        script = self.server.script
        status, headers, pieces = script.pop(0)(body) if script else served(path, body)
        self.send_response(status)
        sent = {"x-request-id": "req-1", "apim-request-id": "apim-1", "x-ms-region": "East US 2", **headers}
        if "gzip" in sent.get("content-encoding", ""):
            pieces = [gzip.compress(b"".join(pieces))]
        if not {"connection", "content-length"} & sent.keys():
            pieces = list(pieces)
            sent["content-length"] = str(sum(map(len, pieces)))
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


def squeezed(body: Any) -> Reply:
    """The stream of a chat, gzipped."""
    return 200, {"content-type": "text/event-stream", "content-encoding": "gzip"}, chat_events(body)
