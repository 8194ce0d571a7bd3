"""Usage logs in, one canonical row per call out."""

from __future__ import annotations

from .formats import LOG_FORMATS, list_formats
from .primary import Comparison
from .reader import ReadOptions, read_usage, sum_usage
from .rejects import Reject
from .schema import Content, Counts, Facets, FileCounts, LogFormat, Part, PartKind, RowError, Tokens, UsageLog
from .sums import Group, GroupKey, UsageSums

__all__ = [
    "LOG_FORMATS",
    "Comparison",
    "Content",
    "Counts",
    "Facets",
    "FileCounts",
    "Group",
    "GroupKey",
    "LogFormat",
    "Part",
    "PartKind",
    "ReadOptions",
    "Reject",
    "RowError",
    "Tokens",
    "UsageLog",
    "UsageSums",
    "list_formats",
    "read_usage",
    "sum_usage",
]
