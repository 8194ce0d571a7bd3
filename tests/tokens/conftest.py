"""The real SDK, on a wire that ends here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def sdk() -> Iterator[tuple[Any, list[dict[str, Any]]]]:
    """A client of the real SDK, and the bodies that it puts on a wire that ends here."""
    import openai

    sent: list[dict[str, Any]] = []
    # httpx, or httpx2 from the SDK's version 3 on.
    http: Any = sys.modules[openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]

    def answer(request: Any) -> Any:
        sent.append(json.loads(request.content))
        return http.Response(400, json={})

    transport = http.MockTransport(answer)
    with openai.DefaultHttpxClient(transport=transport) as wire:
        yield openai.OpenAI(api_key="none", base_url="http://localhost/v1", max_retries=0, http_client=wire), sent
