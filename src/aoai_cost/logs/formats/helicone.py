"""Requests as Helicone's export and the pages of its API write them, one call each. Of bodies only counts are kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..contents import answer_of, request_of
from ..fields import needed_id, needed_time_us, served_model, to_count, to_duration_ms, to_status, to_text
from ..operations import api_of
from ..schema import NO_TOKENS, Content, Facets, Identity, LogFormat, Part, PartKind, Tokens
from ..tracers import in_pages, is_azure, is_elsewhere, to_object, to_place, without_vendor

__all__ = ["FORMAT"]

_COLUMNS = {"request_id", "request_created_at", "response_status"}
_NOTHING_USED = Tokens(prompt_tokens=0, completion_tokens=0)
_ROUTE = re.compile(r"/(chat/completions|completions|embeddings|responses|images/[a-z]+|audio/[a-z]+)/?(?:\?|$)")
_APP = ("app", "appname", "app_name", "application")


sniff, open_page = in_pages(lambda record: record.keys() >= _COLUMNS)


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one request; None for one that another vendor answered."""
    provider = to_text(record.get("provider"), "provider")
    if is_elsewhere(provider):
        return None
    request_id = needed_id(record.get("request_id"), "request_id")
    timestamp_us = needed_time_us(record.get("request_created_at"), "request_created_at")
    places = [to_place(record.get(name), name) for name in ("target_url", "request_path")]
    resource = next((account for account, _ in places if account is not None), None)
    deployment = next((named for _, named in places if named is not None), None)
    served, requested, override = (
        to_text(record.get(name), name) for name in ("response_model", "request_model", "model_override")
    )
    if resource is not None or is_azure(provider):
        # To Azure, what a request names as its model is the deployment.
        deployment = deployment or requested
        requested = None
    model, version = served_model(without_vendor(served or override or requested))
    route = _ROUTE.search(to_text(record.get("request_path"), "request_path") or "")
    facets = Facets(
        resource=resource,
        deployment=deployment,
        model=model,
        version=version,
        api=api_of(route[1]) if route is not None else None,
        user=to_text(record.get("request_user_id"), "request_user_id"),
        app=_app(record.get("request_properties")),
    )
    is_served_by_cache = bool((to_text(record.get("cache_reference_id"), "cache_reference_id") or "").strip("0-"))
    part = Part(
        PartKind.USAGE,
        "",
        facets,
        timestamp_us,
        _NOTHING_USED if is_served_by_cache else _tokens(record),
        # Its own codes for what was given up are negative: no status of the service.
        to_status(record.get("response_status")),
        to_duration_ms(record.get("delay_ms")),
        request_id,
        quality="not_billed" if is_served_by_cache else "measured",
    )
    return (request_id,), part


def _tokens(record: Mapping[str, Any]) -> Tokens:
    def count(name: str) -> int | None:
        return to_count(record.get(name), name)

    prompt, completion = count("prompt_tokens"), count("completion_tokens")
    if not prompt and not completion:
        return NO_TOKENS
    read, written = count("prompt_cache_read_tokens"), count("prompt_cache_write_tokens")
    cached = (read or 0) + (written or 0)
    total = count("total_tokens")
    told_apart = total is not None and total == (prompt or 0) + cached + (completion or 0)
    if prompt is not None and (told_apart or cached > prompt):
        prompt += cached
    return Tokens(
        prompt_tokens=prompt,
        cached_tokens=read,
        cache_write_tokens=written,
        completion_tokens=completion,
        audio_in=count("prompt_audio_tokens") or None,
        audio_out=count("completion_audio_tokens") or None,
    ).checked()


def _app(properties: Any) -> str | None:
    named = {str(key).lower(): value for key, value in to_object(properties, "request_properties").items()}
    return next((text for name in _APP if (text := to_text(named.get(name), "request_properties")) is not None), None)


def contents(record: Mapping[str, Any]) -> Content:
    """Return both bodies."""
    return Content(request_of(record.get("request_body")), answer_of(record.get("response_body")))


FORMAT = LogFormat(
    "helicone", sniff, read, names_deployment=False, names_resource=False, open=open_page, contents=contents
)
