"""The log formats. A new one is a file beside this one and a line in the registry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...errors import UnknownNameError
from ..schema import LogFormat
from . import (
    apim_gateway_logs,
    apim_llm_log,
    azure_batch,
    azure_monitor,
    client_log,
    openai_assistants,
    openai_audio,
    openai_realtime,
    openai_response,
    openai_stream,
    openai_usage_page,
    realtime_transcription,
)

__all__ = ["LOG_FORMATS", "find_formats"]

_ALL = (
    azure_monitor.FORMAT,
    apim_llm_log.FORMAT,
    apim_gateway_logs.FORMAT,
    openai_response.FORMAT,
    openai_stream.FORMAT,
    openai_realtime.FORMAT,
    realtime_transcription.FORMAT,
    openai_audio.FORMAT,
    openai_assistants.FORMAT,
    openai_usage_page.FORMAT,
    azure_batch.FORMAT,
    client_log.FORMAT,
)

LOG_FORMATS: Mapping[str, LogFormat] = MappingProxyType({one.name: one for one in _ALL})
"""Every format by its name; no two of them take the same record."""


def find_formats(name: str) -> tuple[LogFormat, ...]:
    """Return the format of this name, or all of them for ``auto``.

    Raises
    ------
    UnknownNameError
        For any other name.
    """
    if name == "auto":
        return _ALL
    if name not in LOG_FORMATS:
        from difflib import get_close_matches  # only an error pays for it

        known = ["auto", *LOG_FORMATS]
        raise UnknownNameError(
            "log format", name, get_close_matches(name[:100].lower(), known, n=3, cutoff=0.3) or known
        )
    return tuple(one for one in _ALL if name in (one.name, one.calls_of))
