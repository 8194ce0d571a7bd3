"""Chunks and events of streamed answers, as JSON lines or as the event stream itself.

A call is as many rows as its stream has chunks. Its usage is in the last one, and only where it was asked for
(``stream_options.include_usage``); some services count up in every chunk. Responses sends whole answers in some of its
events. Contents are never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..schema import NO_TOKENS, Identity, LogFormat, Part, PartKind
from . import openai_response
from .openai_realtime import is_realtime

__all__ = ["FORMAT"]

_CHUNK = "chat.completion.chunk"


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a chunk of Chat Completions or an event of Responses."""
    event = record.get("type")
    if isinstance(event, str) and event.startswith("response."):
        return not is_realtime(record)
    if event == "error":
        return "code" in record and "error" not in record and "event_id" not in record
    return record.get("object") == _CHUNK or _is_nameless(record)


def _is_nameless(record: Mapping[str, Any]) -> bool:
    # What Azure sends first, or between chunks: what its filter found, of no id and no model.
    return record.get("object") == "" and not record.get("id") and "choices" in record


def read(record: Mapping[str, Any]) -> tuple[Identity | None, Part] | None:
    """Read one chunk or event; None for one that names no call."""
    answer = record
    if isinstance(record.get("type"), str):
        answer = record.get("response", {})
        if not isinstance(answer, dict) or not answer.get("id"):
            return None
    identity, part = openai_response.read_answer(answer)
    if part.tokens != NO_TOKENS:
        kind = PartKind.SO_FAR
    elif identity is None:
        return None
    else:
        kind = PartKind.REST
    return identity, part._replace(kind=kind, facets=part.facets._replace(stream=True))


FORMAT = LogFormat(
    "openai-stream", sniff, read, names_deployment=False, names_resource=False, calls_of=openai_response.FORMAT.name
)
