"""What the name of an operation says: which API it is, and whether a model was asked."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["api_of", "asks_a_model"]

_APIS = (
    (re.compile(r"chat"), "chat"),
    (re.compile(r"response"), "responses"),
    (re.compile(r"embedding"), "embeddings"),
    (re.compile(r"image"), "images"),
    (re.compile(r"realtime"), "realtime"),
    (re.compile(r"audio|speech|transcri|translat"), "audio"),
    (re.compile(r"completion"), "completions"),
)
_KEEPS_BOOKS = re.compile(r"(^|[_-])(list|get|delete|retrieve|cancel|update|modify)([_-]|$)")
_RUNS = re.compile(r"(^|[_-])runs?([_-]|$)")


@lru_cache(1024)
def api_of(operation: str | None) -> str | None:
    """Return ``chat``, ``responses``, ``embeddings``, ...; None for an operation that belongs to none.

    Examples
    --------
    >>> api_of("ChatCompletions_Create")
    'chat'
    """
    name = (operation or "").lower()
    return next((api for pattern, api in _APIS if pattern.search(name)), None)


@lru_cache(1024)
def asks_a_model(operation: str | None) -> bool | None:
    """Tell whether an operation makes a model work; None where its name does not tell.

    Examples
    --------
    >>> asks_a_model("Embeddings_Create"), asks_a_model("get-response"), asks_a_model("Create_Thread")
    (True, False, None)
    """
    name = (operation or "").lower()
    if _KEEPS_BOOKS.search(name):
        return False
    return True if api_of(operation) is not None or _RUNS.search(name) else None
