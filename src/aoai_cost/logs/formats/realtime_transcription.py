"""Transcriptions of the input of Realtime sessions, metered beside the answers.

The model that transcribes is chosen in the session and is not the one that answers. Its events name neither, so what
the user gives as the deployment, which is the session's, must not price them: a format of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fields import needed_id, served_model, to_count, to_text
from ..schema import Facets, Identity, LogFormat, Part, PartKind
from . import openai_response
from .openai_audio import heard
from .openai_realtime import TRANSCRIBED

__all__ = ["FORMAT"]


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell the end of a transcription."""
    return record.get("type") == TRANSCRIBED


def read(record: Mapping[str, Any]) -> tuple[Identity, Part]:
    """Read what one transcription heard; an older service does not say it."""
    item = needed_id(record.get("item_id"), "item_id")
    content = to_count(record.get("content_index"), "content_index")
    tokens, quantities = heard(record.get("usage"))
    # Not fields of the service; a logger that writes them beside the event's own knows the session.
    model, version = served_model(to_text(record.get("model"), "model"))
    deployment = to_text(record.get("deployment"), "deployment")
    facets = Facets(deployment=deployment, model=model, version=version, api="audio", operation="transcription")
    part = Part(
        PartKind.USAGE, "", facets, openai_response.time_of(record), tokens, request_id=item, quantities=quantities
    )
    return (item, str(content)), part


FORMAT = LogFormat("realtime-transcription", sniff, read, names_resource=False, calls_of=openai_response.FORMAT.name)
