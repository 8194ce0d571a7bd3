"""Know the Azure OpenAI bill before the request is sent, and explain it after."""

from __future__ import annotations

from .version import __version__

__all__ = ["__version__"]
