"""Answers about audio: transcriptions, and the events that end streams of transcriptions and of speech.

A transcription is metered in tokens, or in seconds (whisper). Plain speech answers with bytes alone, so that its
characters are known only where a logger writes them, as ``usage.characters``. Texts are never read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..fields import served_model, to_count, to_text, to_tokens
from ..schema import NO_TOKENS, Facets, LogFormat, Part, PartKind, RowError, Tokens
from . import openai_response

__all__ = ["FORMAT", "heard"]

_LONGEST_S = 10**7
_SPOKEN = "speech.audio.done"
_FOREIGN = {"object", "choices", "id", "item_id", "event_id"}
_ENDS = (_SPOKEN, "transcript.text.done")


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a transcription, or an event of a stream of one or of speech."""
    event = record.get("type")
    if not record.keys().isdisjoint(_FOREIGN):
        return False
    if isinstance(event, str) and event.startswith(("transcript.text.", "speech.audio.")):
        return True
    usage = record.get("usage")
    if isinstance(usage, dict):
        return openai_response.is_of_audio(usage)
    return usage is None and record.get("task") in ("transcribe", "translate") and "duration" in record


def read(record: Mapping[str, Any]) -> tuple[None, Part] | None:
    """Read one answer; None for a piece of a stream."""
    event, usage = record.get("type"), record.get("usage")
    if isinstance(event, str) and event.startswith(("transcript.", "speech.")) and event not in _ENDS:
        return None
    if usage is None and "duration" in record:
        usage = {"type": "duration", "seconds": record["duration"]}
    tokens, quantities = heard(usage)
    if event == _SPOKEN and tokens.completion_tokens is not None and tokens.audio_out is None:
        # The output of speech is nothing but audio.
        tokens = tokens._replace(audio_out=tokens.completion_tokens)
    # Not fields of the service; a logger that writes them beside the answer's own knows the request.
    model, version = served_model(to_text(record.get("model"), "model"))
    deployment = to_text(record.get("deployment"), "deployment")
    facets = Facets(deployment=deployment, model=model, version=version, api="audio", stream=event in _ENDS or None)
    return None, Part(PartKind.USAGE, "", facets, openai_response.time_of(record), tokens, quantities=quantities)


def heard(usage: Any) -> tuple[Tokens, tuple[tuple[str, str, str, int], ...]]:
    """Return the tokens of audio, or what else it is metered by: milliseconds, or the characters that were spoken."""
    if usage is None:
        return NO_TOKENS, ()
    if not isinstance(usage, dict):
        raise RowError("usage must be an object")
    if usage.get("type") == "duration":
        milliseconds = _milliseconds(usage.get("seconds"))
        return NO_TOKENS, (("audio", "text", "", milliseconds),) if milliseconds else ()
    if "characters" in usage:
        characters = to_count(usage["characters"], "characters")
        return NO_TOKENS, (("character", "text", "", characters),) if characters else ()
    return to_tokens(usage), ()


def _milliseconds(seconds: Any) -> int:
    try:
        found = float(seconds) if isinstance(seconds, (int, float, str)) and not isinstance(seconds, bool) else math.nan
    except (ValueError, OverflowError):
        found = math.nan
    if not 0 <= found <= _LONGEST_S:
        raise RowError("seconds is not a length of audio")
    return round(found * 1000)


FORMAT = LogFormat(
    "openai-audio", sniff, read, names_deployment=False, names_resource=False, calls_of=openai_response.FORMAT.name
)
