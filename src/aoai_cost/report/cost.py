"""Many requests: what each deployment cost, by month or day."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal, Unpack, cast

import pandas as pd

from .. import markup
from ..catalog import Deployment, Deployments, read_deployments
from ..errors import RequestError, shorten
from ..logs import Comparison, Counts, ReadOptions, UsageLog, UsageSums, sum_usage
from ..prices import PriceBook
from ..sources.tables import ArrowTable, is_arrow
from .finding import some_of
from .loads import Workload
from .pricing import BY, Every, Pricing, object_frame

__all__ = ["CostReport", "cost_report"]

_Source = str | os.PathLike[str] | pd.DataFrame | ArrowTable


@dataclass(frozen=True, slots=True)
class CostReport:
    """What a usage log cost.

    Attributes
    ----------
    frame : DataFrame
        One row per period and `by`: requests, of them unmetered and not billed ones, those that failed (HTTP status of
        400 or more) and of these the throttled ones (429), those that spilled over from provisioned units, disjoint
        token meters (int64),
        ``cost`` (Decimal; None where nothing in the row has a price) and ``complete`` (False where something in the row
        has no price or no tokens, and would add to its cost).
    lines : DataFrame
        The same money by meter and price row: quantity, unit, price, the price before discounts, amount,
        and the row's name, source and date.
    total : Decimal
        The sum of all lines, in `currency`.
    certainty : str
        ``exact``, ``estimated`` (a price or a count rests on an assumption, see notes) or ``lower_bound``.
    unpriced : DataFrame
        Quantities without a price, each with the reason; they are in no total.
    rejected, counts, files_complete
        From reading the log, as in `UsageLog`: rows that could not be read, what became of each row, and whether every
        file was whole.
    period : (date, date) or None
        First day, and the day after the last one, UTC.
    comparison : DataFrame
        One row for each resource and source of calls that another source, the ``primary``, saw as well: how many hours
        both saw, and the calls and tokens of each in these hours. Only those of the primary are in the report.
    days : DataFrame
        ``lines`` at its finest: by ``day`` (date), and by user and app.
    calls : DataFrame
        ``frame`` at its finest: by ``day`` (date; None where the log does not tell it) and everything in `BY`.
    deployments, prices
        What the report was made with.
    timed : tuple of Deployment
        Those of which hours are priced, on the days on which they live.
    """

    frame: pd.DataFrame
    lines: pd.DataFrame
    total: Decimal
    currency: str
    certainty: Literal["exact", "estimated", "lower_bound"]
    unpriced: pd.DataFrame
    rejected: pd.DataFrame
    counts: Counts
    files_complete: bool
    period: tuple[date, date] | None
    notes: tuple[str, ...]
    comparison: pd.DataFrame = field(default_factory=lambda: _comparison_frame(()))
    days: pd.DataFrame = field(default_factory=lambda: Pricing(PriceBook.bundled()).days_frame())
    calls: pd.DataFrame = field(default_factory=lambda: Pricing(PriceBook.bundled()).calls_frame())
    deployments: Deployments = field(default_factory=lambda: Deployments(()), repr=False)
    prices: PriceBook | None = field(default=None, repr=False)
    timed: tuple[Deployment, ...] = field(default=(), repr=False)

    @property
    def requests(self) -> int:
        """All calls in the log, billed or not."""
        return int(self.frame["requests"].sum())

    @property
    def unmetered(self) -> int:
        """Calls that were served and whose tokens the log does not tell; their cost is unknown."""
        return int(self.frame["unmetered"].sum())

    def __repr__(self) -> str:
        days = "no days" if self.period is None else f"{self.period[0]} to {self.period[1]} (end excluded)"
        return f"CostReport({self._head()}; {self.requests:,} calls, {days})"

    def _head(self) -> str:
        bound = {"exact": "", "estimated": ", estimated", "lower_bound": ", at least"}[self.certainty]
        return f"{markup.amount(self.total)} {self.currency}{bound}"

    def _repr_html_(self) -> str:
        frame = self.frame.drop(columns=["cost", "complete"])
        counts = set(frame.select_dtypes("int64"))
        # A count that is zero throughout tells nothing.
        shown = [str(name) for name in frame if name not in counts or name == "requests" or frame[name].any()]
        columns = [frame[name].map(_in_words(name, name in counts)) for name in shown]
        costs = zip(self.frame["cost"], self.frame["complete"], strict=True)
        rows = zip(*columns, (markup.cost(*one) for one in costs), strict=True)
        headings = [*(name.replace("_", " ") for name in shown), f"cost {self.currency}"]
        numeric = [i for i, name in enumerate(shown) if name in counts] + [len(shown)]
        listed = markup.first_rows(headings, rows, len(frame), all_in=".frame", numeric=numeric)
        return markup.result(self._head(), listed, notes=self.notes)


def _in_words(column: str, is_count: bool) -> Callable[[Any], str]:
    return "{:,}".format if is_count else markup.account if column == "resource" else markup.plain


def cost_report(
    log: UsageLog | UsageSums | _Source | Iterable[_Source],
    *,
    deployments: Deployments | str | os.PathLike[str] | None = None,
    prices: PriceBook | None = None,
    by: Sequence[str] = ("deployment",),
    every: Literal["month", "day"] = "month",
    **reading: Unpack[ReadOptions],
) -> CostReport:
    """Price a usage log, per deployment and month or day.

    Parameters
    ----------
    log : UsageLog, UsageSums, path, DataFrame or Arrow table, or several of the last three
        What `read_usage` or `sum_usage` made, or what to read: files, folders, URLs of a storage account.
    deployments : Deployments or path, optional
        What each deployment is; without it no row has a sku, and every row is listed as unpriced. PTU and fine-tuned
        deployments add their hours in the report's period (the first to the last day in the log).
    prices : PriceBook, optional
        By default `PriceBook.current`. Each row is priced by the day of its call.
    by : sequence of str
        Any of resource, deployment, model, version, sku, region, tier, user, app.
    every : str
        ``month`` or ``day``, in UTC.
    **reading
        How to read what is no log yet: what `sum_usage` takes beside its paths (format, columns, deployment, resource,
        since, until, storage_options, strict, rejects, processes, work, progress).

    Raises
    ------
    RequestError
        For an unknown `by` or `every`, or `reading` for a log that was read already.
    DeploymentsError
        For a deployments file that cannot be used.
    UsageFormatError, MissingExtraError, LogFormatError, UnknownNameError, RequestError, OSError
        From reading a log, as `sum_usage`.
    """
    return report_of(lambda: _sums_of(log, reading), deployments=deployments, prices=prices, by=by, every=every)


def report_of(
    read: Callable[[], UsageSums],
    *,
    deployments: Deployments | str | os.PathLike[str] | None,
    prices: PriceBook | None,
    by: Sequence[str],
    every: Every,
) -> CostReport:
    """Price what `read` returns, as `cost_report` does; what is wrong with the rest is told before it is called."""
    _columns(by)
    _require_period(every)
    known = deployments_of(deployments)
    book = prices if prices is not None else PriceBook.current()
    return report_on(Workload.of(read(), known, book), by, every)


def deployments_of(given: Deployments | str | os.PathLike[str] | None) -> Deployments:
    """Return deployments, read from a file if that is what is given."""
    if given is None:
        return Deployments(())
    return given if isinstance(given, Deployments) else read_deployments(given)


def _sums_of(log: UsageLog | UsageSums | _Source | Iterable[_Source], reading: ReadOptions) -> UsageSums:
    if isinstance(log, (UsageLog, UsageSums)):
        if reading:
            raise RequestError(min(reading), "says how to read a log, and this one was read already")
        return log.sums if isinstance(log, UsageLog) else log
    if isinstance(log, (str, os.PathLike)) or is_arrow(log):
        return sum_usage(log, **reading)
    return sum_usage(*cast("Iterable[_Source]", log), **reading)


def _columns(by: Sequence[str]) -> tuple[str, ...]:
    if isinstance(by, str) or not by or any(name not in BY for name in by):
        raise RequestError("by", f"must be some of {', '.join(BY)}; found {shorten(by)}")
    wanted = {*by, *(("resource",) if "deployment" in by else ())}
    return tuple(name for name in BY if name in wanted)


def _require_period(every: str) -> None:
    if every not in ("month", "day"):
        raise RequestError("every", f"must be month or day, found {shorten(every)}")


def report_on(work: Workload, by: Sequence[str] = ("deployment",), every: Every = "month") -> CostReport:
    """Price a workload."""
    return report_from(Pricing.of(work), work, by, every)


def report_from(pricing: Pricing, work: Workload, by: Sequence[str], every: Every) -> CostReport:
    """Make the report of a workload that was priced."""
    _require_period(every)
    log = work.log
    frame = pricing.frame(_columns(by), every)
    unmetered = int(frame["unmetered"].sum())
    rejected = log.counts.total.rejected
    notes = [f"{some_of(deployments)}: {note}" for note, deployments in pricing.notes.items()]
    if unmetered:
        notes.append(f"calls served whose tokens the log does not tell: {unmetered:,}; their cost is not in the total")
    estimated, aggregated = (
        sum(getattr(group, name) for _, group in log.groups) for name in ("estimated", "aggregated")
    )
    if estimated:
        notes.append(f"calls whose tokens were counted by the log's writer, not by the service: {estimated:,}")
    if aggregated:
        notes.append(
            f"rows that stand for many calls: {aggregated:,}; long prompts among them are priced as short ones, "
            "and cached tokens as input where the source does not tell them"
        )
    if pricing.unpriced:
        notes.append("some quantities have no price; they are listed as unpriced and not in the total")
    if rejected:
        notes.append(f"rows that could not be read: {rejected:,}; they are listed as rejected and not in the total")
    if rejected > len(log.rejected):
        notes.append(
            f"the list of rejected rows is cut: {len(log.rejected):,} of {rejected:,}, the first of each file; "
            "rejects= writes all of them to a file (--rejects of the command)"
        )
    if log.comparisons:
        notes.append(
            f"calls of an hour and resource that another source counts: {log.counts.total.elsewhere:,}; one source "
            "counts for each hour of a resource, and the comparison shows what the others saw"
        )
    more = [one for one in log.comparisons if _saw_more(one)]
    if more:
        notes.append(
            f"{some_of(sorted({one.source for one in more}))} saw more tokens than the source that counts in the "
            "same hours; calls may be missing from the total, see the comparison"
        )
    alone = sorted({f"{name} ({one.source})" for one in log.comparisons for name in one.only_deployments})
    if alone:
        notes.append(
            f"{some_of(alone)}: deployments that the source which counts in the same hours does not name; their "
            "calls are not in the total, unless it knows them by other names: choose one kind of log with format="
        )
    if log.unmatched:
        notes.append(
            f"{', '.join(log.unmatched)} may have seen the same calls, which are then counted more than once: some "
            "of their rows lack the resource or the time that would tell; name the resource with resource=, or "
            "choose one kind of log with format="
        )
    if log.counts.total.conflicts:
        notes.append(
            f"calls whose rows contradict each other: {log.counts.total.conflicts:,}; "
            "the row with the most usage counts"
        )
    if not log.complete:
        notes.append("at least one file could not be read to its end")
    short = bool(unmetered or pricing.unpriced or rejected or not log.complete)
    notes += work.assumptions
    assumed = bool(pricing.assumed or work.estimated or estimated or aggregated or more or alone or log.unmatched)
    certainty: Literal["exact", "estimated", "lower_bound"]
    certainty = "lower_bound" if short else "estimated" if assumed else "exact"
    return CostReport(
        frame=frame,
        lines=pricing.lines_frame(every),
        total=pricing.total(),
        currency=work.prices.currency,
        certainty=certainty,
        unpriced=pricing.unpriced_frame(every),
        rejected=log.rejected,
        counts=log.counts,
        files_complete=log.complete,
        period=log.period,
        notes=tuple(notes),
        comparison=_comparison_frame(log.comparisons),
        days=pricing.days_frame(),
        calls=pricing.calls_frame(),
        deployments=work.deployments,
        prices=work.prices,
        timed=work.timed,
    )


def _saw_more(one: Comparison) -> bool:
    """Tell whether a source that gave way saw more than what calls at the ends of hours may account for."""
    pairs = (one.prompt_tokens, one.primary_prompt_tokens), (one.completion_tokens, one.primary_completion_tokens)
    return any(seen * 100 > primary * 101 for seen, primary in pairs)


def _comparison_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    records = [(*one[:-1], ", ".join(one.only_deployments)) for one in comparisons]
    frame = object_frame(records, list(Comparison._fields))
    return frame.astype(dict.fromkeys(Comparison._fields[3:-1], "int64"))
