"""Runs of Assistants, as the service or its event stream gives them.

A run adds up its steps, so that tokens of steps are never read. On Azure the model of a run is the deployment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fields import needed_id, to_text, to_tokens
from ..schema import NO_TOKENS, Facets, Identity, LogFormat, Part, PartKind, RowError
from . import openai_response

__all__ = ["FORMAT"]

_RUN, _STEP = "thread.run", "thread.run.step"


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a run, or anything else of a thread."""
    kind = record.get("object")
    return isinstance(kind, str) and (kind == "thread" or kind.startswith("thread."))


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read a run, or a step as a piece of it; None for messages and pieces of them."""
    kind = record["object"]
    if kind not in (_RUN, _STEP):
        return None
    run = needed_id(record.get("id" if kind == _RUN else "run_id"), "id of the run")
    if kind == _STEP:
        facets = Facets(api="assistants", operation="Create_Run")
        return (run,), Part(PartKind.REST, "", facets, openai_response.time_of(record), request_id=run)
    usage = record.get("usage")
    if usage is not None and not isinstance(usage, dict):
        raise RowError("usage must be an object")
    tokens = to_tokens(usage) if usage else NO_TOKENS
    facets = Facets(deployment=to_text(record.get("model"), "model"), api="assistants", operation="Create_Run")
    kind_of_part = PartKind.REST if tokens == NO_TOKENS else PartKind.USAGE
    return (run,), Part(kind_of_part, "", facets, openai_response.time_of(record), tokens, request_id=run)


FORMAT = LogFormat("openai-assistants", sniff, read, names_resource=False, calls_of=openai_response.FORMAT.name)
