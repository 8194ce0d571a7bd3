"""An OpenAI SDK client with a budget before each request and a usage log after it.

The SDK is never imported: `watch` works on the client that it is given, of any major version from 1.66 on.
"""

from __future__ import annotations

from .budget import Budget
from .sdk import watch

__all__ = ["Budget", "watch"]
