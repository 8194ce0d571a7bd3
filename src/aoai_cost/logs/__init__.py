"""Usage logs in, one canonical row per call out."""

from __future__ import annotations

from .formats import LOG_FORMATS
from .reader import read_usage
from .schema import Counts, FileCounts, UsageLog

__all__ = ["LOG_FORMATS", "Counts", "FileCounts", "UsageLog", "read_usage"]
