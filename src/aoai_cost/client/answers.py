"""What an answer says of its usage, read while its bytes pass by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson

__all__ = ["Answer", "BodyReader", "EventReader"]

_LINE_END = re.compile(rb"[\r\n]")
# Summaries of reasoning and audio are left out: what is billed is not what is shown.
_TEXT_EVENTS = (
    "response.output_text.delta",
    "response.refusal.delta",
    "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta",
)
_LAST_EVENTS = ("response.completed", "response.incomplete", "response.failed")
_DEEPEST_USAGE = 4


class Answer:
    """The facts of one answer.

    ``texts`` are the pieces that a stream wrote so far, by the choice or item that they belong to: what there is to
    count where it never tells its usage. ``ended`` tells whether it said that nothing follows, ``finished`` which of
    its choices did; ``spoke`` whether there was audio in it.
    """

    __slots__ = ("ended", "finished", "id", "model", "service_tier", "spoke", "streamed", "texts", "usage")

    def __init__(self, *, streamed: bool = False) -> None:
        self.id: str | None = None
        self.model: str | None = None
        self.service_tier: str | None = None
        self.usage: dict[str, Any] | None = None
        self.streamed = streamed
        self.texts: dict[Any, list[str]] = {}
        self.ended = self.spoke = False
        self.finished: set[str] = set()

    def take(self, record: Any) -> None:
        """Take in a body, a chunk of a stream or an event of one."""
        if not isinstance(record, dict):
            return
        # Events of Responses carry the whole response, those of images and audio the fields themselves.
        whole = record.get("response")
        body = whole if isinstance(whole, dict) else record
        self.id = _name(body.get("id")) or self.id
        self.model = _name(body.get("model")) or self.model
        self.service_tier = _name(body.get("service_tier")) or self.service_tier
        usage = body.get("usage")
        if isinstance(usage, dict) and usage:
            self.usage = _numbers(usage)
            self.texts.clear()
        if self.streamed:
            self._follow(record)

    def _follow(self, record: Mapping[str, Any]) -> None:
        event = record.get("type")
        if isinstance(event, str):
            self.ended = self.ended or event in _LAST_EVENTS
            self.spoke = self.spoke or event.startswith(("response.audio.", "response.output_audio."))
        for choice in _objects(record.get("choices")):
            if choice.get("finish_reason"):
                self.finished.add(str(choice.get("index")))
            delta = choice.get("delta")
            self.spoke = self.spoke or (isinstance(delta, dict) and bool(delta.get("audio")))
        if self.usage is None:
            for place, text in _texts(record):
                self.texts.setdefault(place, []).append(text)


class EventReader:
    """Reads a stream of server-sent events in any cut; keeps the unfinished line alone."""

    def __init__(self) -> None:
        self.answer = Answer(streamed=True)
        self._rest: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Read the next bytes."""
        if _LINE_END.search(piece) is None:
            self._rest.append(piece)
            return
        *lines, rest = _LINE_END.split(b"".join((*self._rest, piece)))
        self._rest = [rest]
        for line in lines:
            self._take(line)

    def end(self) -> Answer:
        """Return what was read."""
        self._take(b"".join(self._rest))
        self._rest = []
        return self.answer

    def _take(self, line: bytes) -> None:
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self.answer.ended = True
            return
        # What is no JSON, the SDK will complain about.
        with suppress(orjson.JSONDecodeError):
            self.answer.take(orjson.loads(data))


class BodyReader:
    """Reads one JSON body."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, piece: bytes) -> None:
        """Keep the next bytes."""
        self._pieces.append(piece)

    def end(self) -> Answer:
        """Return what was read; an answer without usage where it is no JSON, or not all of it came."""
        answer = Answer()
        with suppress(orjson.JSONDecodeError):
            answer.take(orjson.loads(b"".join(self._pieces)))
        return answer


def _texts(record: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """Yield the pieces of text in a chunk or an event, each with the place that it continues."""
    if record.get("type") in _TEXT_EVENTS:
        yield from _strings(record, "delta", place=str(record.get("item_id")))
    for choice in _objects(record.get("choices")):
        index = str(choice.get("index"))
        yield from _strings(choice, "text", place=index)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            continue
        yield from _strings(delta, "content", "refusal", place=index)
        for called in (delta, *_objects(delta.get("tool_calls"))):
            for kind in ("function", "function_call", "custom"):
                call = called.get(kind)
                if isinstance(call, dict):
                    yield from _strings(call, "name", "arguments", "input", place=(index, str(called.get("index"))))


def _strings(record: Mapping[str, Any], *names: str, place: Any) -> Iterator[tuple[Any, str]]:
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value:
            yield place, value


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= 256 else None


def _numbers(usage: Mapping[str, Any], depth: int = 1) -> dict[str, Any]:
    """Keep the numbers of a usage object: no text of a stranger's enters the log."""
    kept: dict[str, Any] = {}
    for name, value in usage.items():
        if value is None or isinstance(value, (int, float)):
            kept[name] = value
        elif isinstance(value, dict) and depth < _DEEPEST_USAGE:
            kept[name] = _numbers(value, depth + 1)
    return kept
