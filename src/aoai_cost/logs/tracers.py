"""What the records of proxies and tracers share: names with a vendor before them, addresses, errors by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from ..catalog import account_of_host
from .fields import to_status, to_text
from .schema import RowError

__all__ = ["in_pages", "is_azure", "is_elsewhere", "status_of_error", "to_object", "to_place", "without_vendor"]

_ELSEWHERE = re.compile(
    r"anthropic|amazon|bedrock|\baws|vertex|gemini|\bgcp|google|cohere|mistral|groq|deepseek|perplexity|\bx_?ai\b|watsonx|ollama"
    r"|hugging|together|fireworks|openrouter"
)
_VENDOR = re.compile(r"^(?:azure|azure_ai|azure_text|openai|text-completion-openai)/", re.IGNORECASE)
_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*://)?(?:[^/@?#]*@)?([^/:?#]+)", re.IGNORECASE)
_DEPLOYMENT = re.compile(r"/deployments/([^/?#]+)")
# The SDK's exceptions, with or without the name of their module.
_STATUSES = {
    "BadRequestError": 400,
    "ContentPolicyViolationError": 400,
    "ContextWindowExceededError": 400,
    "AuthenticationError": 401,
    "PermissionDeniedError": 403,
    "NotFoundError": 404,
    "RateLimitError": 429,
    "InternalServerError": 500,
    "ServiceUnavailableError": 503,
}


def in_pages(
    is_row: Callable[[Mapping[str, Any]], bool],
) -> tuple[Callable[[Mapping[str, Any]], bool], Callable[[Mapping[str, Any]], Iterator[Any]]]:
    """Return the ``sniff`` and the ``open`` of rows that may also come as the pages of an API, in ``data``."""

    def sniff(record: Mapping[str, Any]) -> bool:
        """Tell a row, or a page of them."""
        if is_row(record):
            return True
        page = record.get("data")
        return isinstance(page, list) and bool(page) and isinstance(page[0], dict) and is_row(page[0])

    def open_page(record: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the rows of a page."""
        return iter((record,)) if is_row(record) else iter(record["data"])

    return sniff, open_page


def is_elsewhere(vendor: str | None) -> bool:
    """Tell a vendor whose calls no account of Azure OpenAI answers, as LiteLLM, OpenTelemetry or Helicone name it.

    Examples
    --------
    >>> is_elsewhere("azure_ai"), is_elsewhere("aws.bedrock"), is_elsewhere("openai"), is_elsewhere(None)
    (False, True, False, False)
    """
    return not is_azure(vendor) and _ELSEWHERE.search((vendor or "").lower()) is not None


def is_azure(vendor: str | None) -> bool:
    """Tell a vendor that is Azure by its name; many clients of Azure say ``openai``.

    Examples
    --------
    >>> is_azure("az.ai.openai"), is_azure("AZURE"), is_azure("openai")
    (True, True, False)
    """
    name = (vendor or "").lower()
    return "azure" in name or name.startswith("az.")


def without_vendor(name: str | None) -> str | None:
    """Return the name of a model without the route of a proxy before it.

    Examples
    --------
    >>> without_vendor("azure/gpt-4o"), without_vendor("gpt-4o")
    ('gpt-4o', 'gpt-4o')
    """
    return None if name is None else _VENDOR.sub("", name) or None


def to_place(value: Any, name: str) -> tuple[str | None, str | None]:
    """Return the account and the deployment that an address names, each None where it does not.

    Examples
    --------
    >>> to_place("https://contoso.openai.azure.com/openai/deployments/chat/chat/completions?api-version=1", "url")
    ('contoso', 'chat')
    """
    address = to_text(value, name)
    if address is None:
        return None, None
    host, deployment = _HOST.match(address), _DEPLOYMENT.search(address)
    return account_of_host(host[1]) if host else None, deployment[1] if deployment else None


def status_of_error(value: Any) -> int | None:
    """Return the HTTP status that an error stands for: its code, or the exception that the SDK raises for it.

    Examples
    --------
    >>> status_of_error("429"), status_of_error("openai.RateLimitError"), status_of_error("timeout")
    (429, 429, None)
    """
    status = to_status(value)
    if status is None and isinstance(value, str):
        status = _STATUSES.get(value[-80:].rpartition(".")[2])
    return status


def to_object(value: Any, name: str) -> Mapping[str, Any]:
    """Return an object given as such or as its JSON text; an empty one where there is none."""
    if isinstance(value, str) and value:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise RowError(f"{name} is a text that is not JSON") from None
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise RowError(f"{name} must be an object or its JSON text")
    return value
