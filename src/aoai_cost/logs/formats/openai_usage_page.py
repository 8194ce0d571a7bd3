"""Pages of OpenAI's usage API for organizations: sums of an hour or a day, by whatever was grouped by.

A page is opened down to its results, each with the times of its bucket. A period that was fetched in two groupings or
two widths of buckets would count twice. Costs are the same usage once more, as money: known and ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...catalog import image_variant
from ..fields import needed_time_us, served_model, to_count, to_flag, to_text, to_timestamp_us
from ..schema import ContinuedError, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens

__all__ = ["FORMAT"]

_PREFIX, _SUFFIX = "organization.usage.", ".result"
_APIS = {
    "completions": None,  # Chat Completions and Responses
    "embeddings": "embeddings",
    "images": "images",
    "audio_speeches": "audio",
    "audio_transcriptions": "audio",
}
_NAMES = ("model", "project_id", "user_id", "api_key_id", "service_tier", "size", "source")
# What is not counted in tokens: field, meter, and how many of the meter's units one is.
_COUNTED = {
    "images": ("images", "image", 1),
    "audio_speeches": ("characters", "character", 1),
    "audio_transcriptions": ("seconds", "audio", 1000),
}


def sniff(record: Mapping[str, Any]) -> bool:
    """Tell a result of usage or of costs, or what a page says of itself."""
    kind = record.get("object")
    return kind in ("page", "bucket") or (isinstance(kind, str) and kind.startswith("organization."))


def open_page(record: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the results in a page or bucket, and the page without them where it says that others follow."""
    if record["object"] not in ("page", "bucket"):
        yield record
        return
    found = record.get("data") if record["object"] == "page" else [record]
    buckets = found if isinstance(found, list) else []
    kind = None
    for bucket in buckets:
        results = bucket.get("results") if isinstance(bucket, dict) else None
        if not isinstance(results, list):
            raise RowError("a bucket of the page has no results")
        times = {name: bucket.get(name) for name in ("start_time", "end_time")}
        for result in results:
            yield {**result, **times} if isinstance(result, dict) else result
            kind = result.get("object") if isinstance(result, dict) else kind
    if record.get("has_more"):
        ends = {"start_time": buckets[0].get("start_time"), "end_time": buckets[-1].get("end_time")} if buckets else {}
        yield {"object": "page", "of": kind, **ends}


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one sum; None for costs and for what is not of a model, such as storage."""
    if record.get("object") == "page":
        if record.get("of") is not None and _name(record["of"]) not in _APIS:
            return None  # more of what is not read
        raise _continued(record)
    name = _name(record.get("object"))
    if name not in _APIS:
        return None
    start = needed_time_us(record.get("start_time"), "start_time")
    end = to_timestamp_us(record.get("end_time"), "end_time")
    names = {one: to_text(record.get(one), one) for one in _NAMES}
    model, version = served_model(names["model"])
    batch, tier = to_flag(record.get("batch")), names["service_tier"]
    facets = Facets(
        model=model,
        version=version,
        api=_APIS[name],
        service_tier="batch" if batch else tier.lower() if tier is not None else None,
        user=names["user_id"] or names["api_key_id"],
        app=names["project_id"],
    )
    quantities: tuple[tuple[str, str, str, int], ...] = ()
    if name in _COUNTED:
        field, meter, units = _COUNTED[name]
        counted = to_count(record.get(field), field)
        variant = image_variant(model, None, names["size"]) if name == "images" else ""
        quantities = ((meter, "text", variant, counted * units),) if counted else ()
    part = Part(
        PartKind.USAGE,
        "",
        facets,
        start,
        _tokens(record),
        quantities=quantities,
        quality="aggregated",
        requests=to_count(record.get("num_model_requests"), "num_model_requests"),
    )
    # The same bucket fetched again, while it was filling, is the same sum.
    return (name, str(start), str(end), str(batch), *(str(one) for one in names.values())), part


def _name(kind: Any) -> str | None:
    return kind.removeprefix(_PREFIX).removesuffix(_SUFFIX) if isinstance(kind, str) else None


def _continued(page: Mapping[str, Any]) -> ContinuedError:
    """Return that more pages follow, the next of them where this one ends and about as long."""
    start, end = (to_timestamp_us(page.get(one), one) or 0 for one in ("start_time", "end_time"))
    reason = "the page says that more follow (has_more), and no sum of the next one is here"
    return ContinuedError(reason, _APIS.get(_name(page.get("of")) or ""), end, 2 * end - start)


def _tokens(record: Mapping[str, Any]) -> Tokens:
    def of(name: str) -> int | None:
        return to_count(record.get(name), name)

    # Totals hold text, audio and images. Where the cached part of a modality is told, its own count leaves it out.
    cached_audio, cached_image = of("input_cached_audio_tokens"), of("input_cached_image_tokens")
    audio, image = of("input_audio_tokens"), of("input_image_tokens")
    return Tokens(
        prompt_tokens=of("input_tokens"),
        cached_tokens=of("input_cached_tokens"),
        cache_write_tokens=of("input_cache_write_tokens"),
        completion_tokens=of("output_tokens"),
        audio_in=audio if audio is None else audio + (cached_audio or 0),
        audio_out=of("output_audio_tokens"),
        image_in=image if image is None else image + (cached_image or 0),
        image_out=of("output_image_tokens"),
        cached_audio=cached_audio,
        cached_image=cached_image,
    ).checked()


FORMAT = LogFormat("openai-usage-page", sniff, read, names_deployment=False, names_resource=False, open=open_page)
