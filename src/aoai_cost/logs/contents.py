"""What rows of logs hold of requests and answers, in the forms in which the service takes and gives them.

A format that logs contents hands them over as `Content` (`LogFormat.contents`), made with these. What is not whole, or
of another shape, is nothing: it is never repaired, and a call without it is not counted anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from ..sources.files import open_text

__all__ = ["answer_of", "is_cut", "messages_body", "parsed", "prompt_of", "request_of"]

_PROMPTS = ("messages", "input", "prompt")
# What of a request can reach the model; what a proxy or a wrapper adds of its own never does.
_FIELDS = frozenset(
    (
        *_PROMPTS,
        *("instructions", "tools", "functions", "tool_choice", "function_call", "parallel_tool_calls"),
        *("response_format", "text", "prediction", "reasoning", "previous_response_id", "conversation"),
    )
)
# What loggers leave where they cut a text or took it away: LiteLLM, Langfuse, and what many write.
_CUT = re.compile(
    rb"litellm_truncated|redacted-by-litellm|@@@langfuseMedia"
    rb"|(?:[\[(<]|(?:\.\.\.|\xe2\x80\xa6)[\[(< ]{0,2})(?:truncated|redacted|omitted|masked)",
    re.IGNORECASE,
)
_TEXT_PARTS = ("text", "output_text")
_ENDED = ("response.completed", "response.incomplete")


class _NoTextError(Exception):
    """An answer that is not texts alone, or not whole."""


def parsed(value: Any) -> Any:
    """Return a value that a source may write as the text of its JSON; a text that is none stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def request_of(body: Any) -> Mapping[str, Any] | None:
    """Return the body of a request, given as such or as its text; None where it has nothing to ask.

    Examples
    --------
    >>> request_of('{"input": "Hello"}'), request_of("{}"), request_of('{"messages": [{"role": "us')
    ({'input': 'Hello'}, None, None)
    """
    found = parsed(body)
    return found if isinstance(found, dict) and any(found.get(name) for name in _PROMPTS) else None


def prompt_of(body: Any) -> Mapping[str, Any] | None:
    """Return the same, of a body to which others added fields of their own."""
    found = request_of(body)
    return None if found is None else {name: value for name, value in found.items() if name in _FIELDS}


def messages_body(messages: Any) -> Mapping[str, Any] | None:
    """Return the request that messages are, where nothing else of it is told."""
    found = parsed(messages)
    are_messages = isinstance(found, list) and bool(found) and all(isinstance(one, dict) for one in found)
    return {"messages": found} if are_messages else None


def is_cut(body: Mapping[str, Any] | tuple[str, ...]) -> bool:
    """Tell whether a mark of a logger says that something was cut or taken away, or a message is empty."""
    if isinstance(body, Mapping):
        items = body.get("messages") or body.get("input")
        if isinstance(items, list) and not all(map(_says_something, items)):
            return True
    try:
        return _CUT.search(orjson.dumps(body)) is not None
    except TypeError:  # half a surrogate, which a cut leaves, or a number that no request has
        return True


def _says_something(item: Any) -> bool:
    # Nobody asks with an empty message, but what the others hold may be elsewhere in them.
    if isinstance(item, dict):
        return item.get("role") not in ("user", "system", "developer") or bool(item.get("content"))
    return bool(item)


def answer_of(answer: Any) -> tuple[str, ...] | None:
    """Return the texts of an answer: a body, a message or a list of them, the JSON or the event stream of either.

    They are what the model wrote to be seen, and the arguments of the calls of tools. None for an answer that has none,
    is not whole, or holds what is no text (audio, calls of the service's own tools).

    Examples
    --------
    >>> answer_of({"choices": [{"message": {"role": "assistant", "content": "Hello"}}]})
    ('Hello',)
    >>> answer_of('[{"role": "assistant", "content": "Hel')
    """
    whole = parsed(answer)
    found = _streamed(open_text(whole)) if isinstance(whole, str) else _texts(whole)
    try:
        texts = tuple(text for text in found if text)
    except _NoTextError:
        return None
    return texts if texts and not is_cut(texts) else None


def _texts(answer: Any) -> Iterator[str]:
    if isinstance(answer, list):
        for message in _objects(answer):
            yield from _of_message(message)
    elif not isinstance(answer, dict):
        raise _NoTextError
    elif "choices" in answer:
        for choice in _objects(answer["choices"]):
            if "message" in choice:
                yield from _of_message(_object(choice["message"]))
            else:
                yield _text(choice.get("text"))
    elif "output" in answer:
        for item in _objects(answer["output"]):
            yield from _of_item(item)
    else:
        yield from _of_message(answer)


def _of_message(message: Mapping[str, Any]) -> Iterator[str]:
    if message.get("role") not in ("assistant", None) or message.get("audio"):
        raise _NoTextError
    if not message.keys() & {"content", "refusal", "tool_calls", "function_call"}:
        raise _NoTextError
    yield from _of_content(message.get("content"))
    yield _text(message.get("refusal"))
    for call in _objects(message.get("tool_calls")):
        yield from _of_call(call)
    if message.get("function_call"):
        yield _text(_object(message["function_call"]).get("arguments"))


def _of_call(call: Mapping[str, Any]) -> Iterator[str]:
    if "custom" in call:
        yield _text(_object(call["custom"]).get("input"))
    else:
        yield _text(_object(call.get("function")).get("arguments"))


def _of_item(item: Mapping[str, Any]) -> Iterator[str]:
    kind = item.get("type")
    if kind == "message":
        yield from _of_content(item.get("content"))
    elif kind == "function_call":
        yield _text(item.get("arguments"))
    elif kind == "custom_tool_call":
        yield _text(item.get("input"))
    elif kind != "reasoning":
        raise _NoTextError


def _of_content(content: Any) -> Iterator[str]:
    if not isinstance(content, list):
        yield _text(content)
        return
    for part in _objects(content):
        kind = part.get("type")
        if kind in _TEXT_PARTS:
            yield _text(part.get("text"))
        elif kind == "refusal":
            yield _text(part.get("refusal"))
        else:
            raise _NoTextError


def _streamed(records: Iterable[Any]) -> Iterator[str]:
    """Yield the texts that the pieces of a stream make, if it came to its end."""
    choices: dict[Any, dict[Any, list[str]]] = {}
    open_choices: set[Any] = set()
    for record in records:
        event, answer = _object(record).get("type"), record.get("response")
        if event in _ENDED and isinstance(answer, dict):
            yield from _texts({"output": answer.get("output")})
            return
        for choice in _objects(record.get("choices")):
            number, delta = choice.get("index"), _object(choice.get("delta") or {})
            if not isinstance(number, int):
                raise _NoTextError
            if choice.get("finish_reason") is None:
                open_choices.add(number)
            else:
                open_choices.discard(number)
            if delta.get("audio"):
                raise _NoTextError
            pieces = choices.setdefault(number, {})
            for name in ("content", "refusal"):
                pieces.setdefault(name, []).append(_text(delta.get(name)))
            pieces.setdefault("text", []).append(_text(choice.get("text")))
            if delta.get("function_call"):
                pieces.setdefault("call", []).append(_text(_object(delta["function_call"]).get("arguments")))
            for call in _objects(delta.get("tool_calls")):
                if not isinstance(call.get("index"), int):
                    raise _NoTextError
                pieces.setdefault(call["index"], []).extend(_of_call(call))
    if open_choices or not choices:
        raise _NoTextError
    for pieces in choices.values():
        yield from map("".join, pieces.values())


def _objects(value: Any) -> list[Mapping[str, Any]]:
    found = [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _NoTextError
    return found


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _NoTextError
    return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _NoTextError
    return value
