"""Messages in the attributes of a span: what OpenTelemetry's conventions keep of requests and answers.

``gen_ai.input.messages``, ``gen_ai.system_instructions``, ``gen_ai.tool.definitions`` and ``gen_ai.output.messages``
come in the conventions' own shape (a message has parts) or in that of the service, which some write there; the older
``gen_ai.prompt.0.content`` and so on count where they are texts alone. How arguments were written and how closely an
image was looked at is not kept: where it matters, the count does not agree with the service's, and is no exact one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from ..contents import answer_of, parsed, request_of
from ..schema import Content

__all__ = ["contents"]

_INPUT, _OUTPUT = "gen_ai.input.messages", "gen_ai.output.messages"
_SYSTEM, _TOOLS = "gen_ai.system_instructions", "gen_ai.tool.definitions"
_WHOLE = (_INPUT, _OUTPUT, _SYSTEM, _TOOLS)
_FLAT = re.compile(r"(?:gen_ai\.(prompt|completion)\.([0-9]{1,5})|llm\.request\.functions)\.(.+)")
_FLAT_FREE = ("finish_reason",)
_DEEPEST = 32


class _UnknownShapeError(Exception):
    """Contents of a shape that is not known, or that only a part of is told."""


def contents(record: Mapping[str, Any]) -> Content:
    """Return what the attributes of a span hold."""
    span = record.get("span")
    try:
        told = dict(_attributes(span.get("attributes") if isinstance(span, dict) else None))
        if _INPUT not in told:
            return _flat(told)
        return Content(_request(told), _answer(told.get(_OUTPUT)))
    except _UnknownShapeError:
        return Content()


def _attributes(attributes: Any) -> Iterator[tuple[str, Any]]:
    for one in attributes if isinstance(attributes, list) else ():
        key = one.get("key") if isinstance(one, dict) else None
        if isinstance(key, str) and (key in _WHOLE or _FLAT.fullmatch(key)):
            value = _plain(one.get("value"))
            yield key, parsed(value) if key in _WHOLE else value


def _plain(typed: Any, depth: int = 0) -> Any:
    """Return a value without the names of its types."""
    if not isinstance(typed, dict) or len(typed) != 1 or depth > _DEEPEST:
        raise _UnknownShapeError
    kind, value = next(iter(typed.items()))
    if kind == "arrayValue":
        return [_plain(one, depth + 1) for one in _objects(_object(value).get("values"))]
    if kind == "kvlistValue":
        return {
            str(one.get("key")): _plain(one.get("value"), depth + 1) for one in _objects(_object(value).get("values"))
        }
    return value


def _request(told: Mapping[str, Any]) -> Mapping[str, Any] | None:
    asked = [one for message in _objects(told[_INPUT]) for one in _messages(message)]
    if not asked:
        return None
    system = [{"role": "system", "content": _parts(told[_SYSTEM])}] if _SYSTEM in told else []
    tools = [_tool(one) for one in _objects(told.get(_TOOLS))]
    return request_of({"messages": [*system, *asked], **({"tools": tools} if tools else {})})


def _messages(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of Chat Completions that a message stands for: each result of a tool is one of its own."""
    if "parts" not in message:
        return [dict(message)]
    others, calls, results = [], [], []
    for part in _objects(message["parts"]):
        kind = part.get("type")
        if kind == "tool_call":
            function = {"name": part.get("name"), "arguments": _as_text(part.get("arguments"))}
            calls.append({"type": "function", "id": part.get("id"), "function": function})
        elif kind == "tool_call_response":
            answer = part.get("response", part.get("result"))
            results.append({"role": "tool", "tool_call_id": part.get("id"), "content": _as_text(answer)})
        else:
            others.append(part)
    found: list[dict[str, Any]] = list(results)
    if others or calls or not results:
        one: dict[str, Any] = {"role": message.get("role"), "content": _parts(others)}
        if message.get("name"):
            one["name"] = message["name"]
        found.append({**one, "tool_calls": calls} if calls else one)
    return found


def _parts(parts: Any) -> Any:
    found: list[dict[str, Any]] = []
    for part in _objects(parts):
        kind = part.get("type")
        if kind == "text" and isinstance(part.get("content"), str):
            found.append({"type": "text", "text": part["content"]})
        elif kind == "blob" and part.get("modality") == "image":
            url = f"data:{part.get('mime_type')};base64,{part.get('content')}"
            found.append({"type": "image_url", "image_url": {"url": url}})
        elif kind == "uri" and part.get("modality") == "image":
            found.append({"type": "image_url", "image_url": {"url": part.get("uri")}})
        else:
            raise _UnknownShapeError
    return found


def _tool(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    if tool.get("type") != "function":
        raise _UnknownShapeError
    if "function" in tool:
        return tool
    return {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}


def _answer(value: Any) -> tuple[str, ...] | None:
    """Return the texts of the answers, of which none holds the reasoning before it."""
    messages = []
    for message in _objects(value):
        parts = message.get("parts")
        if isinstance(parts, list):
            message = {**message, "parts": [one for one in _objects(parts) if one.get("type") != "reasoning"]}
        messages += _messages(message)
    return answer_of(messages)


def _flat(told: Mapping[str, Any]) -> Content:
    found: dict[str, dict[int, dict[str, Any]]] = {"prompt": {}, "completion": {}}
    for key, value in told.items():
        match = _FLAT.fullmatch(key)
        if match is None or match[1] is None or match[3] not in ("role", "content", *_FLAT_FREE):
            raise _UnknownShapeError  # tools, of which nobody knows how much is told
        if not isinstance(value, str):
            raise _UnknownShapeError
        if match[3] not in _FLAT_FREE:
            found[match[1]].setdefault(int(match[2]), {})[match[3]] = value
    asked, answered = ([messages[i] for i in sorted(messages)] for messages in found.values())
    for message in asked:
        if message.keys() != {"role", "content"}:
            raise _UnknownShapeError
        parts = parsed(message["content"])
        # Parts stand there as the text of their JSON.
        if isinstance(parts, list) and parts and all(isinstance(one, dict) and "type" in one for one in parts):
            message["content"] = parts
    return Content(request_of({"messages": asked}), answer_of(answered))


def _as_text(value: Any) -> str:
    try:
        return value if isinstance(value, str) else orjson.dumps(value).decode()
    except TypeError:  # half a surrogate
        raise _UnknownShapeError from None


def _objects(value: Any) -> list[dict[str, Any]]:
    found = [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _UnknownShapeError
    return found


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _UnknownShapeError
    return value
