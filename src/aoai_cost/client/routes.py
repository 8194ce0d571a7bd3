"""Which route of the service a request of the SDK goes to, and what it carries there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from ..catalog import account_of_host

__all__ = ["Route", "asks_for_audio", "body_of", "carries_audio", "find_route", "has_fees", "polled_response"]

_COUNTED = frozenset(("chat/completions", "responses", "embeddings", "completions"))
# The last one: a gateway may have a folder of that name before it.
_DEPLOYMENT = re.compile(r"^.*/deployments/([^/]+)/(.+)$")
# What AzureOpenAI sends to the deployment that its argument ``model`` names, in the path.
_IN_PATH = frozenset(
    (
        "/completions",
        "/chat/completions",
        "/embeddings",
        "/audio/transcriptions",
        "/audio/translations",
        "/audio/speech",
        "/images/generations",
        "/images/edits",
    )
)
_BELOW = re.compile(r"^.*/openai/(?:v\d+/)?")
# What changes nothing but the books; a stored chat takes new metadata. Creating a thread and running it is billed.
_FREE = re.compile(
    r"(?:files|uploads|conversations|vector_stores|assistants|models)(?:/.*)?"
    r"|threads(?:/(?!runs$)[^/]+(?:/messages(?:/[^/]+)?)?)?|responses/input_tokens|chat/completions/[^/]+|.*/cancel"
)
_POLLED = re.compile(r"/?responses/([^/?]+)(?:\?.*)?")
_ID = re.compile(r"(?<=/)[a-z]+[_-][^/]*\d[^/]*")
_LONGEST_NAME = 256
_CALLERS_TOOLS = ("function", "custom")


class Route(NamedTuple):
    """Where a request goes.

    ``operation`` is the path below the deployment (``chat/completions``), ids left out; ``counted`` tells whether its
    tokens can be counted before. ``resource`` is the first label of the host, where that is one of Azure's.
    """

    operation: str
    counted: bool
    deployment: str | None
    resource: str | None


def find_route(client: Any, options: Any, body: Mapping[str, Any] | None) -> Route | None:
    """Return where the options of a request lead; None where nothing is billed."""
    if options.method.upper() in ("GET", "HEAD", "DELETE"):
        return None
    # The SDK's own answer: a client of one deployment sends some routes to it, and others past it.
    url = client._prepare_url(options.url)
    path = url.path
    found = _DEPLOYMENT.search(path)
    name: Any
    if found is not None:
        name, operation = found.groups()
    else:
        name = _put_in_path(client, options)
        if name is None and body is not None:
            name = body.get("model")
        operation = _BELOW.sub("", path) if _BELOW.match(path) else options.url.partition("?")[0]
    operation = operation.strip("/")
    if _FREE.fullmatch(operation):
        return None
    return Route(
        operation=_ID.sub("{id}", operation)[:_LONGEST_NAME],
        counted=operation in _COUNTED,
        deployment=name if isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME else None,
        resource=account_of_host(url.host),
    )


def _put_in_path(client: Any, options: Any) -> str | None:
    """Return the deployment that AzureOpenAI puts in the path of a request; None where it leaves the path alone.

    It takes the argument ``model``, whatever ``extra_body`` puts in its place in the body.
    """
    sent = options.json_data
    if not hasattr(client, "_azure_deployment") or options.url not in _IN_PATH or not isinstance(sent, Mapping):
        return None
    model = sent.get("model")
    return str(model) if model is not None and "/deployments" not in client.base_url.path else None


def polled_response(options: Any) -> str | None:
    """Return the id of the response that a request asks for; None for a request of another kind."""
    found = _POLLED.fullmatch(options.url) if options.method.upper() == "GET" else None
    return found.group(1) if found is not None else None


def body_of(options: Any) -> Mapping[str, Any] | None:
    """Return the JSON body that the options will send; None where it is no object."""
    body = options.json_data
    if body is None:
        body = getattr(options, "content", None)  # from 2.x on
    if isinstance(body, (bytes, bytearray)):
        try:
            body = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
    extra = options.extra_json
    if not isinstance(body, Mapping):
        return extra if body is None and isinstance(extra, Mapping) else None
    return {**body, **extra} if isinstance(extra, Mapping) else body


def has_fees(body: Mapping[str, Any]) -> bool:
    """Tell whether a request brings tools that the service runs, as searches: these cost more than tokens."""
    kinds = [one.get("type") for one in _objects(body.get("tools"))]
    return body.get("web_search_options") is not None or any(kind not in _CALLERS_TOOLS for kind in kinds)


def asks_for_audio(body: Mapping[str, Any]) -> bool:
    """Tell whether a chat may be answered with audio."""
    modalities = body.get("modalities")
    return bool(body.get("audio")) or (isinstance(modalities, (list, tuple)) and "audio" in modalities)


def carries_audio(body: Mapping[str, Any]) -> bool:
    """Tell whether a chat holds audio, or refers to some that was spoken before."""
    messages = _objects(body.get("messages"))
    parts = [part for message in messages for part in _objects(message.get("content"))]
    return any(part.get("type") == "input_audio" for part in parts) or any(one.get("audio") for one in messages)


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, (list, tuple)) else []
