"""Usage logs in, one canonical row per call out."""

from __future__ import annotations

from .formats import LOG_FORMATS
from .reader import read_usage, sum_usage
from .schema import Counts, FileCounts, UsageLog
from .sums import Group, GroupKey, UsageSums

__all__ = [
    "LOG_FORMATS",
    "Counts",
    "FileCounts",
    "Group",
    "GroupKey",
    "UsageLog",
    "UsageSums",
    "read_usage",
    "sum_usage",
]
