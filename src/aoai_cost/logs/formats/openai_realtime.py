"""Events of Realtime sessions: ``response.done`` has the usage of one answer.

The input that the session also has transcribed is another model's work, and metered beside it
(`realtime_transcription`). The events name no model and no time; a logger that writes ``timestamp`` beside them does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fields import needed_id, served_model, to_text, to_tokens
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError
from . import openai_response

__all__ = ["FORMAT", "TRANSCRIBED", "is_realtime"]

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
_DONE = "response.done"
_EVENTS = (
    "response.",
    "conversation.",
    "session.",
    "transcription_session.",
    "input_audio_buffer.",
    "output_audio_buffer.",
    "rate_limits.",
    "error",
)


def is_realtime(record: Mapping[str, Any]) -> bool:
    """Tell an event of Realtime from one of Responses, which has no ``event_id``."""
    event, answer = record.get("type"), record.get("response")
    if not isinstance(event, str) or not event.startswith(_EVENTS):
        return False
    return (
        "event_id" in record
        or event in (_DONE, TRANSCRIBED)
        or (isinstance(answer, dict) and answer.get("object") == "realtime.response")
    )


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell an event of a session, but for a transcription of its input."""
    return is_realtime(record) and record["type"] != TRANSCRIBED


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read the end of an answer, or its beginning, which may be all that a broken session left."""
    answer = record.get("response")
    if record["type"] not in (_DONE, "response.created") or not isinstance(answer, dict):
        return None
    answer_id = needed_id(answer.get("id"), "id of the answer")
    usage = answer.get("usage")
    if usage is not None and not isinstance(usage, dict):
        raise RowError("usage must be an object")
    tokens = to_tokens(usage) if usage else NO_TOKENS
    model, version = served_model(to_text(answer.get("model"), "model"))
    deployment = to_text(record.get("deployment"), "deployment")
    facets = Facets(deployment=deployment, model=model, version=version, api="realtime", stream=True)
    kind = PartKind.REST if tokens == NO_TOKENS else PartKind.USAGE
    return (answer_id,), Part(kind, "", facets, openai_response.time_of(record), tokens, request_id=answer_id)


FORMAT = LogFormat(
    "openai-realtime", sniff, read, names_deployment=False, names_resource=False, calls_of=openai_response.FORMAT.name
)
