"""Many requests: what each deployment cost, by month or day."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal, Unpack, cast

import pandas as pd

from .. import markup
from ..catalog import Deployment, Deployments, read_deployments, same_resource, split_model_name
from ..errors import RequestError, shorten
from ..logs import Comparison, Counts, Group, GroupKey, ReadOptions, UsageLog, UsageSums, sum_usage
from ..logs.sums import sortable
from ..prices import Cost, PriceBook, exact_sum
from ..sources.tables import ArrowTable, is_arrow
from ..usage import METER_UNITS, MeterKey, Usage

__all__ = ["CostReport", "cost_report"]

BY = ("resource", "deployment", "model", "version", "sku", "region", "tier")
"""What a report can be split by. ``deployment`` is always together with its ``resource``."""

TOKEN_METERS = ("input", "cached_input", "cache_write", "output")
DAY_MS = 24 * 3600 * 1000

_Source = str | os.PathLike[str] | pd.DataFrame | ArrowTable


@dataclass(frozen=True, slots=True)
class CostReport:
    """What a usage log cost.

    Attributes
    ----------
    frame : DataFrame
        One row per period and `by`: requests, unmetered and not-billed requests, disjoint token meters (int64),
        ``cost`` (Decimal; None where nothing in the row has a price) and ``complete`` (False where something in the row
        has no price or no tokens, and would add to its cost).
    lines : DataFrame
        The same money by meter and price row: quantity, unit, price, amount, and the row's name, source and date.
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

    @property
    def requests(self) -> int:
        """All calls in the log, billed or not."""
        return int(self.frame["requests"].sum())

    @property
    def unmetered(self) -> int:
        """Calls that were served and whose tokens the log does not tell; their cost is unknown."""
        return int(self.frame["unmetered"].sum())

    def _repr_html_(self) -> str:
        head = markup.element("p", markup.text(f"{self.total} {self.currency} ({self.certainty})"))
        columns = list(self.frame.columns)
        body = markup.table(columns, self.frame.itertuples(index=False, name=None))
        return head + body + markup.element("ul", "".join(markup.element("li", markup.text(n)) for n in self.notes))


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
        Any of resource, deployment, model, version, sku, region, tier.
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
    every: str,
) -> CostReport:
    """Price what `read` returns, as `cost_report` does; what is wrong with the rest is told before it is called."""
    columns = _columns(by)
    if every not in ("month", "day"):
        raise RequestError("every", f"must be month or day, found {shorten(every)}")
    if deployments is None:
        deployments = Deployments(())
    elif not isinstance(deployments, Deployments):
        deployments = read_deployments(deployments)
    book = prices if prices is not None else PriceBook.current()
    sums = read()
    pricing = _Pricing(book, deployments, columns, every)
    pricing.learn_resources(key for key, _ in sums.groups)
    for key, group in sums.groups:
        pricing.add_group(key, group)
    if sums.period is not None:
        pricing.add_time(sums.period)
    return pricing.report(sums)


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


class _Row:
    """One row of the report while it is summed."""

    __slots__ = ("amounts", "complete", "counted", "tokens")

    def __init__(self) -> None:
        self.counted = [0, 0, 0]
        self.tokens: dict[str, int] = defaultdict(int)
        self.amounts: list[Decimal] = []
        self.complete = True

    def cost(self) -> Decimal | None:
        """Return the sum of what is priced; None, not zero, where that is nothing of what there is."""
        return exact_sum(self.amounts) if self.amounts or self.complete else None


class _Pricing:
    """Prices groups and time, and collects rows, lines and what has no price."""

    def __init__(self, book: PriceBook, deployments: Deployments, columns: tuple[str, ...], every: str) -> None:
        self.book, self.deployments, self.columns, self.every = book, deployments, columns, every
        self.rows: dict[tuple[Any, ...], _Row] = defaultdict(_Row)
        self.lines: dict[tuple[Any, ...], list[Any]] = {}
        self.unpriced: dict[tuple[Any, ...], list[Any]] = {}
        self.logged: dict[str, str] = {}
        """How the log names the resources of the deployments file; the report says it in the log's words."""
        self.notes: dict[str, dict[str, None]] = {}
        """The deployments that each note speaks of, in the order in which it came up."""
        self.assumed = False

    def learn_resources(self, keys: Iterable[GroupKey]) -> None:
        """See how the log names resources, before any row is named; under an alias it may name another one."""
        for key in keys:
            found = None if key.day is None else self.deployments.find(key.resource, key.deployment, key.day)
            if found is not None and key.resource is not None and same_resource(found.resource, key.resource):
                self.logged.setdefault(found.resource, key.resource)

    def add_group(self, key: GroupKey, group: Group) -> None:
        usage = group.usage
        found = None if key.day is None else self.deployments.find(key.resource, key.deployment, key.day)
        if key.day is None or found is None:
            names = {
                "resource": key.resource,
                "deployment": key.deployment,
                "model": key.model,
                "version": key.version,
                "sku": None,
                "region": key.region,
                "tier": key.tier,
            }
            row = self._row(key.day, names)
            self._count(row, group)
            if key.day is None:
                reason = "the log does not say when the call was made, so no dated price can be chosen"
            else:
                reason = self.deployments.why(key.resource, key.deployment, key.day)
            for meter, quantity in usage.items():
                self._leave_unpriced(row, key.day, names, meter, quantity, reason, reason)
            return
        # What was served is what is billed: it wins over what the file says was deployed.
        if key.model is not None and split_model_name(key.model)[0] != split_model_name(found.model)[0]:
            self._note(found.name, f"the log says {key.model} was served, the deployments file says {found.model}")
        served = replace(
            found,
            model=key.model if key.model is not None else found.model,
            version=key.version if key.model is not None else found.version,
            region=found.region if found.region is not None else key.region,
            tier=key.tier if key.tier is not None else found.tier,
        )
        names = self._names(served)
        row = self._row(key.day, names)
        self._count(row, group)
        if usage:
            self._add_cost(row, key.day, names, key.band, self.book.price(usage, served, on=key.day, band=key.band))

    def add_time(self, period: tuple[date, date]) -> None:
        """Add PTU and fine-tuned hosting hours of every deployment in the period, day by day."""
        for deployment in self.deployments:
            milliseconds: dict[str, int] = {}
            if deployment.ptu_units:
                milliseconds["ptu"] = deployment.ptu_units * DAY_MS
            if deployment.fine_tuned:
                milliseconds["hosting"] = DAY_MS
            if not milliseconds:
                continue
            usage = Usage(milliseconds)
            day = max(period[0], deployment.active_from or period[0])
            end = min(period[1], deployment.active_to or period[1])
            names = self._names(deployment)
            while day < end:
                cost = self.book.price(usage, deployment, on=day)
                self._add_cost(self._row(day, names), day, names, "short", cost)
                day += timedelta(days=1)

    def _names(self, deployment: Deployment) -> dict[str, str | None]:
        return {
            "resource": self.logged.get(deployment.resource, deployment.resource),
            "deployment": deployment.name,
            "model": deployment.model,
            "version": deployment.version,
            "sku": deployment.sku,
            "region": deployment.region,
            "tier": deployment.tier,
        }

    def _period_of(self, day: date | None) -> str:
        if day is None:
            return "undated"
        return day.isoformat() if self.every == "day" else day.isoformat()[:7]

    def _row(self, day: date | None, names: dict[str, str | None]) -> _Row:
        return self.rows[(self._period_of(day), *(names[column] for column in self.columns))]

    def _count(self, row: _Row, group: Group) -> None:
        counted = (group.requests, group.unmetered, group.not_billed)
        row.counted = [a + b for a, b in zip(row.counted, counted, strict=True)]
        row.complete &= group.unmetered == 0
        for meter, quantity in group.usage.items():
            if meter.meter in TOKEN_METERS:
                row.tokens[meter.meter] += quantity

    def _add_cost(self, row: _Row, day: date, names: dict[str, str | None], band: str, cost: Cost) -> None:
        if cost.lines or cost.complete:
            row.amounts.append(cost.amount)
        self.assumed |= cost.certainty != "exact"
        for note in cost.notes:
            self._note(str(names["deployment"]), note)
        for line in cost.lines:
            key = (self._period_of(day), *names.values(), band, *line.key, line.rate)
            entry = self.lines.setdefault(key, [0, []])
            entry[0] += line.quantity
            entry[1].append(line.amount)
        for meter, quantity, missing in cost.unpriced:
            self._leave_unpriced(row, day, names, meter, quantity, missing.covered, str(missing))

    def _leave_unpriced(
        self,
        row: _Row,
        day: date | None,
        names: dict[str, str | None],
        meter: MeterKey,
        quantity: int,
        cause: str,
        reason: str,
    ) -> None:
        """List a quantity; days with one cause are one entry, with the reason of the first day."""
        row.complete = False
        entry = self.unpriced.setdefault((self._period_of(day), *names.values(), *meter, cause), [0, reason])
        entry[0] += quantity

    def _note(self, deployment: str, note: str) -> None:
        self.notes.setdefault(note, {})[deployment] = None

    def report(self, log: UsageSums) -> CostReport:
        frame = self._frame()
        unmetered = int(frame["unmetered"].sum())
        rejected = log.counts.total.rejected
        notes = [f"{_some(deployments)}: {note}" for note, deployments in self.notes.items()]
        if unmetered:
            notes.append(
                f"calls served whose tokens the log does not tell: {unmetered:,}; their cost is not in the total"
            )
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
        if self.unpriced:
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
                f"{_some(sorted({one.source for one in more}))} saw more tokens than the source that counts in the "
                "same hours; calls may be missing from the total, see the comparison"
            )
        alone = sorted({f"{name} ({one.source})" for one in log.comparisons for name in one.only_deployments})
        if alone:
            notes.append(
                f"{_some(alone)}: deployments that the source which counts in the same hours does not name; their "
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
        short = bool(unmetered or self.unpriced or rejected or not log.complete)
        assumed = bool(self.assumed or estimated or aggregated or more or alone or log.unmatched)
        certainty: Literal["exact", "estimated", "lower_bound"]
        certainty = "lower_bound" if short else "estimated" if assumed else "exact"
        return CostReport(
            frame=frame,
            lines=self._lines_frame(),
            total=exact_sum(amount for row in self.rows.values() for amount in row.amounts),
            currency=self.book.currency,
            certainty=certainty,
            unpriced=self._unpriced_frame(),
            rejected=log.rejected,
            counts=log.counts,
            files_complete=log.complete,
            period=log.period,
            notes=tuple(notes),
            comparison=_comparison_frame(log.comparisons),
        )

    def _frame(self) -> pd.DataFrame:
        records = [
            (*key, *row.counted, *(row.tokens[meter] for meter in TOKEN_METERS), row.cost(), row.complete)
            for key, row in sorted(self.rows.items(), key=lambda item: sortable(item[0]))
        ]
        whole = ("requests", "unmetered", "not_billed", *TOKEN_METERS)
        frame = _object_frame(records, ["period", *self.columns, *whole, "cost", "complete"])
        return frame.astype(dict.fromkeys(whole, "int64") | {"complete": "bool"})

    def _lines_frame(self) -> pd.DataFrame:
        records = []
        for (*key, rate), (quantity, amounts) in sorted(self.lines.items(), key=lambda item: sortable(item[0][:-1])):
            unit = METER_UNITS[key[-3]]
            records.append(
                (
                    *key,
                    quantity,
                    unit,
                    rate.amount,
                    rate.unit,
                    exact_sum(amounts),
                    rate.meter_name,
                    rate.source,
                    rate.effective_from,
                )
            )
        columns = ["period", *BY, "band", "meter", "modality", "variant", "quantity", "unit", "price", "price_unit"]
        return _object_frame(records, [*columns, "amount", "meter_name", "source", "effective_from"])

    def _unpriced_frame(self) -> pd.DataFrame:
        records = []
        for (*key, _), (quantity, reason) in sorted(self.unpriced.items(), key=lambda item: sortable(item[0])):
            records.append((*key, quantity, METER_UNITS[key[-3]], reason))
        return _object_frame(records, ["period", *BY, "meter", "modality", "variant", "quantity", "unit", "reason"])


def _saw_more(one: Comparison) -> bool:
    """Tell whether a source that gave way saw more than what calls at the ends of hours may account for."""
    pairs = (one.prompt_tokens, one.primary_prompt_tokens), (one.completion_tokens, one.primary_completion_tokens)
    return any(seen * 100 > primary * 101 for seen, primary in pairs)


def _comparison_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    records = [(*one[:-1], ", ".join(one.only_deployments)) for one in comparisons]
    frame = _object_frame(records, list(Comparison._fields))
    return frame.astype(dict.fromkeys(Comparison._fields[3:-1], "int64"))


def _object_frame(records: list[tuple[Any, ...]], columns: list[str]) -> pd.DataFrame:
    """Make a frame that holds what it is given: None stays None, and any text fits, lone surrogates too."""
    return pd.DataFrame(records, columns=columns, dtype=object)


def _some(names: Iterable[str], most: int = 3) -> str:
    found = list(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")
