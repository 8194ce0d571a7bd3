"""The log formats. A new one is a file beside this one and a line in the registry, or an entry point of a package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from ...errors import LogFormatError, UnknownNameError, shorten
from ..schema import LogFormat
from . import (
    ai_hub_gateway,
    apim_gateway_logs,
    apim_llm_log,
    app_insights,
    azure_batch,
    azure_metrics,
    azure_monitor,
    client_log,
    helicone,
    langfuse,
    litellm,
    openai_assistants,
    openai_audio,
    openai_realtime,
    openai_response,
    openai_stream,
    openai_usage_page,
    otel_genai,
    promptflow,
    realtime_transcription,
)

__all__ = ["GROUP", "LOG_FORMATS", "find_formats", "formats_version", "list_formats"]

_ALL = (
    azure_monitor.FORMAT,
    azure_metrics.FORMAT,
    apim_llm_log.FORMAT,
    app_insights.FORMAT,
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
    ai_hub_gateway.FORMAT,
    litellm.FORMAT,
    langfuse.FORMAT,
    otel_genai.FORMAT,
    helicone.FORMAT,
    promptflow.FORMAT,
)

LOG_FORMATS: Mapping[str, LogFormat] = MappingProxyType({one.name: one for one in _ALL})
"""Every format of this package by its name; no two of them take the same record."""

GROUP = "aoai_cost.log_formats"
"""The entry points by which other packages add formats: each is a `LogFormat`."""

# Of no format: these say how a format is chosen.
_TAKEN = ("auto", "columns")


def find_formats(name: str) -> tuple[LogFormat, ...]:
    """Return the format of this name and those that share its calls, or for ``auto`` all, those of other packages last.

    Raises
    ------
    UnknownNameError
        For any other name.
    LogFormatError
        If a package that adds a format cannot be loaded, or its name is taken.
    """
    if name in LOG_FORMATS:
        return tuple(one for one in _ALL if name in (one.name, one.calls_of))
    added = _added_formats()
    if name == "auto":
        return (*_ALL, *added.values())
    if name not in added:
        from difflib import get_close_matches  # only an error pays for it

        known = ["auto", *LOG_FORMATS, *added]
        raise UnknownNameError(
            "log format", name, get_close_matches(name[:100].lower(), known, n=3, cutoff=0.3) or known
        )
    return (added[name],)


def formats_version(name: str) -> tuple[str, ...]:
    """Return what changes when rows may be read otherwise: the formats that `name` chooses, and whose they are."""
    packages = {f"{one.dist.name} {one.dist.version}" for one in entry_points(group=GROUP) if one.dist is not None}
    return (*(one.name for one in find_formats(name)), *sorted(packages))


def list_formats() -> tuple[str, ...]:
    """Return the names of all formats, those of other packages last."""
    return (*LOG_FORMATS, *_added_formats())


def _added_formats() -> dict[str, LogFormat]:
    """Load the formats of other packages, in the order of their names, whatever the order of installation."""
    found: dict[str, LogFormat] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        package = entry.dist.name if entry.dist is not None else "(unknown)"
        try:
            made = entry.load()
        except Exception as error:  # importing what others wrote can raise anything
            raise LogFormatError(package, entry.name, f"it cannot be loaded ({type(error).__name__})") from error
        if not isinstance(made, LogFormat):
            raise LogFormatError(package, entry.name, "it is not a LogFormat of this version of aoai_cost")
        if made.name in (*_TAKEN, *LOG_FORMATS, *found):
            raise LogFormatError(package, entry.name, f"the name {shorten(made.name)} is taken by another format")
        found[made.name] = made
    return found
