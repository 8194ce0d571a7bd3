"""Bodies of answers as the service returns them, one JSON object each.

Chat Completions, Responses, Embeddings, Completions and Images, and the bodies of errors. A body names the model that
served it, never the deployment: that was in the URL. Contents are only counted, where that is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...catalog import image_variant
from ..contents import answer_of, request_of
from ..fields import served_model, to_status, to_text, to_timestamp_us, to_tokens
from ..schema import NO_TOKENS, Content, Facets, Identity, LogFormat, Part, PartKind, RowError

__all__ = ["FORMAT", "is_of_audio", "read", "read_answer", "sniff", "time_of"]

_API_OF = {
    "chat.completion": "chat",
    "chat.completion.chunk": "chat",
    "text_completion": "completions",
    "response": "responses",
    "list": "embeddings",
}
_TOKEN_FIELDS = {"prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"}
# Bodies of errors carry a code; not all carry a status.
_STATUS_OF = {
    "content_filter": 400,
    "context_length_exceeded": 400,
    "invalid_api_key": 401,
    "invalid_request_error": 400,
    "deploymentnotfound": 404,
    "model_not_found": 404,
    "rate_limit_exceeded": 429,
    "ratelimitreached": 429,
    "too_many_requests": 429,
    "insufficient_quota": 429,
    "requesttimeout": 408,
    "internalservererror": 500,
    "server_error": 500,
}
# Another vendor's count of input tokens, which leaves the cached ones out.
_NOT_OURS = "cache_read_input_tokens"
# These mark records of other kinds that repeat parts of a body: wrappers, spans, rows of a proxy.
_FOREIGN = {
    "category",
    "custom_id",
    "call_type",
    "usage_details",
    "usageDetails",
    "traceId",
    "span_type",
    "properties",
    "CorrelationId",
    "aoai_cost_log",
    "event_id",
}
# What the events of streams are called: whole ones of images, and those of the formats beside this one.
_EVENTS = ("response.", "transcript.", "speech.", "image_generation.", "image_edit.")
_DRAWN = ("image_generation.completed", "image_edit.completed")


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell the body of an answer or of an error."""
    if not _FOREIGN.isdisjoint(record.keys()):
        return False
    kind, event = record.get("object"), record.get("type")
    if isinstance(event, str) and event.startswith(_EVENTS):
        return event.startswith("image_")
    if kind in ("chat.completion", "text_completion", "response"):
        return True
    if kind is None or kind == "list":
        usage = record.get("usage")
        if isinstance(usage, dict) and (_NOT_OURS in usage or is_of_audio(usage)):
            return False
        if isinstance(usage, dict) and not _TOKEN_FIELDS.isdisjoint(usage.keys()):
            return True
        if kind is None and "usage" in record and "model" in record:
            return not isinstance(usage, dict)
    return kind is None and (_is_error(record) or _images(record) is not None)


def is_of_audio(usage: Mapping[str, Any]) -> bool:
    """Tell the usage of a transcription, which says in what it is counted, or of speech (`openai_audio`)."""
    return usage.get("type") in ("tokens", "duration") or "characters" in usage


def read(record: Mapping[str, Any]) -> tuple[Identity | None, Part] | None:
    """Read one body, or the event that ends the stream of an image; None for its other events."""
    event = record.get("type")
    drawn = event in _DRAWN
    if isinstance(event, str) and event.startswith("image_") and not drawn:
        return None
    return read_answer(record, images=1 if drawn else _images(record))


def read_answer(record: Mapping[str, Any], images: int | None = None) -> tuple[Identity | None, Part]:
    """Read the fields that all answers share, chunks of a stream as well."""
    if _is_error(record):
        return None, _error(record)
    usage = record.get("usage")
    if usage is not None and not isinstance(usage, dict):
        raise RowError("usage must be an object")
    tokens = to_tokens(usage) if usage else NO_TOKENS
    if images is not None and tokens.image_out is None and tokens.completion_tokens is not None:
        # Without details of the output: it is nothing but the image.
        tokens = tokens._replace(image_out=tokens.completion_tokens)
    served = to_text(record.get("model"), "model")
    model, version = served_model(served)
    kind = record.get("object")
    tier = to_text(record.get("service_tier"), "service_tier")
    facets = Facets(
        # Not a field of the service; a logger that writes it beside the body's own knows the URL.
        deployment=to_text(record.get("deployment"), "deployment"),
        model=model,
        version=version,
        api="images" if images is not None else _API_OF.get(kind) if isinstance(kind, str) else None,
        service_tier=tier.lower() if tier is not None else None,
    )
    response_id = to_text(record.get("id"), "id")
    counted: tuple[tuple[str, str, str, int], ...] = ()
    if images and tokens.prompt_tokens is None:
        # Size and quality choose the price; the body does not tell them, a logger may.
        quality, size = (to_text(record.get(name), name) for name in ("quality", "size"))
        counted = (("image", "text", image_variant(model, quality, size), images),)
    # A chunk of a stream of Completions looks like a body, but for its usage.
    piece = kind == "text_completion" and tokens == NO_TOKENS
    part = Part(
        PartKind.REST if piece else PartKind.USAGE,
        "",
        facets,
        time_of(record),
        tokens,
        request_id=response_id,
        quantities=counted,
    )
    return (response_id,) if response_id is not None else None, part


def time_of(record: Mapping[str, Any]) -> int | None:
    """Return when the service made an answer or, where it does not say, when a logger wrote it."""
    created = "created" if record.get("created") is not None else "created_at"
    stamp = record.get(created)
    # Chunks that carry only the results of a filter are stamped 0.
    if stamp is not None and not (type(stamp) is int and stamp == 0):
        return to_timestamp_us(stamp, created)
    for name in ("timestamp", "time"):
        try:
            found = to_timestamp_us(record.get(name), name)
        except RowError:
            continue  # not a field of the service, and not one that was asked for
        if found is not None:
            return found
    return None


def _is_error(record: Mapping[str, Any]) -> bool:
    error = record.get("error")
    return isinstance(error, dict) and bool(error) and not {"usage", "object", "response"} & record.keys()


def _error(record: Mapping[str, Any]) -> Part:
    error = record["error"]
    code = error.get("code")
    status = to_status(error.get("status")) or to_status(code)
    if status is None and isinstance(code, str):
        status = _STATUS_OF.get(code.lower())
    facets = Facets(deployment=to_text(record.get("deployment"), "deployment"))
    return Part(PartKind.USAGE, "", facets, None, status=status)


def _images(record: Mapping[str, Any]) -> int | None:
    """Count the images of an Images body; None for any other body."""
    data = record.get("data")
    if not isinstance(data, list) or "created" not in record or "object" in record:
        return None
    made = [one for one in data if isinstance(one, dict) and ("url" in one or "b64_json" in one)]
    return len(made) if made and len(made) == len(data) else None


def contents(record: Mapping[str, Any]) -> Content:
    """Return the answer and, where a logger wrote it beside the body's own fields, its ``request``."""
    return Content(request_of(record.get("request")), answer_of(record))


FORMAT = LogFormat("openai-response", sniff, read, names_deployment=False, names_resource=False, contents=contents)
