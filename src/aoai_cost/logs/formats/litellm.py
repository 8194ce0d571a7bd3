"""Rows of LiteLLM's table ``LiteLLM_SpendLogs``, as its proxy's API or an export of the database gives them.

``spend`` is what the proxy thinks that a call costs; it is never read. Messages and responses are only
counted, where that is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson

from ...catalog import get_model
from ...errors import UnknownNameError
from ..contents import answer_of, messages_body, prompt_of
from ..fields import (
    needed_id,
    needed_time_us,
    served_model,
    to_count,
    to_duration_ms,
    to_text,
    to_timestamp_us,
    to_tokens,
)
from ..operations import api_of
from ..schema import NO_TOKENS, Content, Facets, Identity, LogFormat, Part, PartKind, RowError, Tokens
from ..tracers import in_pages, is_elsewhere, status_of_error, to_object, to_place, without_vendor

__all__ = ["FORMAT"]

_COLUMNS = {"request_id", "call_type", "spend", "startTime"}
_ASYNC = re.compile(r"^_?a(?!nthropic|udio|dd_)")
# What the proxy writes where nobody said who asks.
_NOBODY = "default_user_id"
_NOTHING_USED = Tokens(prompt_tokens=0, completion_tokens=0)


sniff, open_page = in_pages(lambda record: record.keys() >= _COLUMNS)


def read(record: Mapping[str, Any]) -> tuple[Identity, Part] | None:
    """Read one call; None for one that another vendor answered."""
    provider = to_text(record.get("custom_llm_provider"), "custom_llm_provider")
    if is_elsewhere(provider):
        return None
    request_id = needed_id(record.get("request_id"), "request_id")
    timestamp_us = needed_time_us(record.get("startTime"), "startTime")
    metadata = to_object(record.get("metadata"), "metadata")
    operation = _operation(record)
    resource, deployment = to_place(record.get("api_base"), "api_base")
    known = to_object(metadata.get("model_map_information"), "metadata.model_map_information")
    name = without_vendor(to_text(record.get("model"), "model"))
    base = without_vendor(to_text(known.get("model_map_key"), "metadata.model_map_information.model_map_key"))
    if deployment is None and provider in ("azure", "azure_text") and not _is_model(name):
        # Behind "azure/" stands a deployment, which is often named as its model; any other name can be nothing else.
        deployment, name = name, None
    model, version = served_model(base if base is not None and _is_model(base) else name)
    facets = Facets(
        resource=resource,
        deployment=deployment,
        model=model,
        version=version,
        api="chat" if operation == "completion" else api_of(operation),
        operation=operation,
        user=_user(record, metadata),
        app=_app(record, metadata),
    )
    is_served_by_cache = str(record.get("cache_hit")).lower() == "true"
    tokens = _NOTHING_USED if is_served_by_cache else _tokens(record, metadata)
    part = Part(
        PartKind.USAGE,
        "",
        facets,
        timestamp_us,
        tokens,
        _status(record, metadata),
        _duration_ms(record, timestamp_us),
        request_id,
        quality="not_billed" if is_served_by_cache else "measured",
    )
    return (request_id,), part


def _operation(record: Mapping[str, Any]) -> str | None:
    call_type = to_text(record.get("call_type"), "call_type")
    return None if call_type is None else _ASYNC.sub("", call_type)


@lru_cache(1024)
def _is_model(name: str | None) -> bool:
    # Cached: for a name that is none, `get_model` looks for those that are near it.
    if name is None:
        return True
    try:
        get_model(name)
    except UnknownNameError:
        return False
    return True


def _tokens(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> Tokens:
    usage = to_object(metadata.get("usage_object"), "metadata.usage_object")
    tokens = to_tokens(usage)
    if not tokens.prompt_tokens:
        # Rows without the object have no cached tokens, whatever was cached.
        tokens = Tokens(
            prompt_tokens=to_count(record.get("prompt_tokens"), "prompt_tokens"),
            completion_tokens=to_count(record.get("completion_tokens"), "completion_tokens"),
        )
    # The columns are 0 where the proxy saw no usage: failures, and streams that broke off.
    return tokens if tokens.prompt_tokens or tokens.completion_tokens else NO_TOKENS


def _status(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> int | None:
    if record.get("status") != "failure" and metadata.get("status") != "failure":
        return None
    error = to_object(metadata.get("error_information"), "metadata.error_information")
    return status_of_error(error.get("error_code")) or status_of_error(error.get("error_class"))


def _duration_ms(record: Mapping[str, Any], started_us: int) -> float | None:
    told = to_duration_ms(record.get("request_duration_ms"))
    if told is not None:
        return told
    ended_us = to_timestamp_us(record.get("endTime"), "endTime")
    return None if ended_us is None else (ended_us - started_us) / 1_000


def _user(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    team = to_text(metadata.get("user_api_key_team_alias"), "metadata.user_api_key_team_alias")
    names = [team, *(to_text(record.get(name), name) for name in ("team_id", "user", "end_user"))]
    return next((name for name in names if name is not None and name != _NOBODY), None)


def _app(record: Mapping[str, Any], metadata: Mapping[str, Any]) -> str | None:
    alias = to_text(metadata.get("user_api_key_alias"), "metadata.user_api_key_alias")
    if alias is not None:
        return alias
    tags = record.get("request_tags")
    if isinstance(tags, str) and tags:
        try:
            tags = orjson.loads(tags)
        except orjson.JSONDecodeError:
            raise RowError("request_tags is a text that is not JSON") from None
    if not isinstance(tags, list):
        return None
    # The proxy adds tags of its own about the client's software.
    own = [tag for tag in tags if isinstance(tag, str) and tag and not tag.startswith("User-Agent:")]
    return to_text(", ".join(sorted(own)), "request_tags")


def contents(record: Mapping[str, Any]) -> Content:
    """Return the request as the proxy took it, or its messages alone, and the answer."""
    request = prompt_of(record.get("proxy_server_request")) or messages_body(record.get("messages"))
    return Content(request, answer_of(record.get("response")))


FORMAT = LogFormat(
    "litellm", sniff, read, names_deployment=False, names_resource=False, open=open_page, contents=contents
)
