"""Headings, money and names, said the same way in every face of a report."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from .. import markup
from ..errors import shorten
from ..markup import account, amount, plain
from ..report.finding import percent

if TYPE_CHECKING:
    import pandas as pd

    from ..logs import FileCounts
    from ..report import CostReport

__all__ = [
    "CERTAINTY",
    "COMPARED",
    "GAP_LEGEND",
    "OPTIONAL",
    "account",
    "account_of",
    "amount",
    "columns",
    "comparison",
    "cost",
    "days",
    "finest",
    "heading",
    "meter",
    "meter_name",
    "period",
    "plain",
    "quantity",
    "reading",
    "reason",
    "rows",
    "share",
    "troubled_files",
    "whole",
]

_HEADINGS = {
    "period": "Period",
    "not_billed": "Not billed",
    "spilled": "Spilled over",
    "unmetered": "No tokens logged",
    "cached_input": "Cached input",
    "cache_write": "Cache write",
    "sku": "SKU",
}

_METER_NAMES = {"ptu": "PTU hours", "hosting": "hosting hours"}

_COUNTED = (
    "requests",
    "unmetered",
    "not_billed",
    "failed",
    "throttled",
    "spilled",
    "input",
    "cached_input",
    "cache_write",
    "output",
)
_ALWAYS = ("requests", "input", "output")
OPTIONAL = (
    "spilled",
    "throttled",
    "failed",
    "cache_write",
    "cached_input",
    "not_billed",
    "unmetered",
    "input",
    "output",
    "requests",
)
"""The counts in the order in which a narrow page or terminal gives them up."""

_COUNT_WORDS = {
    "rows": "rows read",
    "requests": "calls",
    "joined": "further rows of a call",
    "duplicates": "duplicates",
    "elsewhere": "calls that another source counts",
    "ignored": "ignored",
    "rejected": "rejected",
}
"""What became of the rows of a log; all but ``rows`` add up to ``rows``."""
_DOUBT_WORDS = {"unmetered": "calls without tokens", "conflicts": "calls whose rows contradict each other"}

COMPARED = ("Resource", "Source", "Counted instead", "Hours", "Calls", "Input tokens", "Output tokens")
"""The headings of the comparison of sources."""

CERTAINTY = {
    "exact": ("", "every call is priced"),
    "estimated": ("estimated", "a price or a count rests on an assumption, see the notes"),
    "lower_bound": ("at least", "some calls or rows have no price or no tokens, see below"),
}
"""What a total is beside its number, and why."""

GAP_LEGEND = "? : something in this row has no price or no tokens, and would add to its cost"


def period(report: CostReport) -> str:
    """Return the days of the report in words."""
    return days(report.period)


def days(bounds: tuple[date, date] | None) -> str:
    """Return a span of days in words."""
    return "no days" if bounds is None else f"{bounds[0]} to {bounds[1]} (UTC, end excluded)"


def cost(row: Any) -> str:
    """Return the cost of a row of the report, with a mark where something is missing from it, or all."""
    return markup.cost(row.cost, row.complete)


def heading(column: str) -> str:
    """Return a column's heading."""
    return _HEADINGS.get(column, column.replace("_", " ").capitalize())


def whole(value: int) -> str:
    """Return a whole number with thousands separated."""
    return f"{value:,}"


def quantity(value: int, unit: str) -> str:
    """Return a quantity with its unit; time, which is counted in milliseconds, in hours."""
    if unit.endswith("millisecond"):
        hours = Decimal(value) / 3_600_000
        return f"{hours:,.2f} {unit.removesuffix('millisecond')}hours".replace(".00 ", " ")
    return f"{value:,} {unit}s"


def reading(report: CostReport) -> list[tuple[str, int]]:
    """Return what became of the rows of the log, as (words, how many)."""
    return [(words, getattr(report.counts.total, name)) for name, words in _COUNT_WORDS.items()]


def account_of(counts: FileCounts) -> list[tuple[str, int]]:
    """Return what became of the rows of one file, and what is in doubt among its calls, as (words, how many)."""
    return [(words, getattr(counts, name)) for name, words in (_COUNT_WORDS | _DOUBT_WORDS).items()]


def troubled_files(report: CostReport) -> list[FileCounts]:
    """Return the files with rejected rows, with calls whose rows contradict each other, or not read to their end."""
    return [one for one in report.counts.files if one.rejected or one.conflicts or not one.complete]


def columns(report: CostReport) -> tuple[list[str], list[str]]:
    """Return the columns that name a row, and the counts to show: those that are zero throughout tell nothing."""
    frame = report.frame
    names = [name for name in frame.columns if name not in (*_COUNTED, "cost", "complete")]
    return names, [name for name in _COUNTED if name in _ALWAYS or frame[name].any()]


def comparison(report: CostReport) -> list[tuple[str, ...]]:
    """Return the rows of the comparison of sources: each count as what was seen of what the primary source saw."""
    return [
        (
            account(row.resource),
            plain(row.source),
            plain(row.primary),
            whole(row.hours),
            f"{whole(row.calls)} of {whole(row.primary_calls)}",
            f"{whole(row.prompt_tokens)} of {whole(row.primary_prompt_tokens)}",
            f"{whole(row.completion_tokens)} of {whole(row.primary_completion_tokens)}",
        )
        for row in rows(report.comparison)
    ]


def finest(report: CostReport) -> pd.DataFrame:
    """Return the lines by day, user and app; by period where a report, made by hand, has no others."""
    return report.days if len(report.days) or not len(report.lines) else report.lines


def rows(frame: pd.DataFrame) -> Iterator[Any]:
    """Yield the rows of a frame, columns as attributes."""
    yield from frame.itertuples(index=False)


def meter(row: Any) -> str:
    """Return what a row of lines or of unpriced quantities counts: ``audio input``, ``image hd_low_res``."""
    return plain(" ".join(filter(None, ("" if row.modality == "text" else row.modality, row.meter, row.variant))))


def reason(row: Any) -> str:
    """Return why a quantity has no price without the words that name its meter, which stands beside it."""
    modality = "" if row.modality == "text" else f" ({shorten(row.modality)})"
    return str(row.reason).replace(f", meter {shorten(row.meter)}{modality},", ",", 1)


def meter_name(meter: str, modality: str, variant: str = "") -> str:
    """Return a meter as a name in a chart: ``Cached input``, ``Audio output``, ``PTU hours``."""
    named = _METER_NAMES.get(meter, meter.replace("_", " "))
    shown = " ".join(filter(None, ("" if modality == "text" else modality, named, variant)))
    return plain(shown[:1].upper() + shown[1:])


def share(value: Fraction | None) -> str:
    """Return a share in percent, as findings have it."""
    return "none" if value is None else percent(value)
