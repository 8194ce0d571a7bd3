"""`what_if`: what a log would have cost."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from itertools import product
from typing import Literal

import pandas as pd

from .. import markup
from ..catalog import Deployments
from ..errors import RequestError, shorten
from ..logs import UsageLog, UsageSums
from ..prices import PriceBook, exact_sum
from ..report import BY, CostReport, Pricing, Workload, deployments_of, report_from
from ..report.finding import some_of
from .calls import with_calls
from .change import Change

__all__ = ["Comparison", "compare", "what_if"]

_Changes = Change | Sequence[Change] | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a log cost, and what it would have cost.

    Attributes
    ----------
    before, after : CostReport
        Amounts of the second are exact for what is assumed; counts in its frames are rounded to whole ones where only a
        share of a call is meant.
    difference : Decimal or None
        ``after.total - before.total``; None where something that had a price would have none, or the other way round.
    changes : tuple of Change
    notes : tuple of str
        What is changed and assumed, in words.
    """

    before: CostReport
    after: CostReport
    difference: Decimal | None
    changes: tuple[Change, ...]
    notes: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per row of either report: ``before``, ``after`` (Decimal or None) and their ``difference``.

        Where the difference of the sums is not known, neither are those of rows in which something has no price or no
        tokens.
        """
        names = [name for name in self.before.frame.columns if name in ("period", *BY)]
        costs: dict[tuple[object, ...], list[Decimal | None]] = {}
        short: set[tuple[object, ...]] = set()
        for place, report in enumerate((self.before, self.after)):
            for *key, cost, complete in report.frame[[*names, "cost", "complete"]].itertuples(index=False, name=None):
                costs.setdefault(tuple(key), [Decimal(0), Decimal(0)])[place] = cost
                if not complete:
                    short.add(tuple(key))
        unknown = short if self.difference is None else set()
        rows = [
            (*key, *pair, None if None in pair or key in unknown else _less(pair[1], pair[0]))
            for key, pair in costs.items()
        ]
        return pd.DataFrame(rows, columns=[*names, "before", "after", "difference"], dtype=object)

    def __repr__(self) -> str:
        return f"Comparison({self._head()})"

    def _head(self) -> str:
        before, after, currency = self.before.total, self.after.total, self.after.currency
        change = "the difference is not known" if self.difference is None else markup.difference(self.difference)
        return f"{markup.amount(before)} {currency} would be {markup.amount(after)} {currency}: {change}"

    def _repr_html_(self) -> str:
        frame = self.frame
        shown: dict[str, Callable[..., str]] = {
            "resource": markup.account,
            "before": markup.cost,
            "after": markup.cost,
            "difference": markup.difference,
        }
        rows = zip(*(map(shown.get(str(name), markup.plain), frame[name]) for name in frame), strict=True)
        n_columns = len(frame.columns)
        numeric = range(n_columns - 3, n_columns)
        listed = markup.first_rows(list(frame.columns), rows, len(frame), all_in=".frame", numeric=numeric)
        return markup.result(self._head(), listed, notes=self.notes)


def what_if(
    log: UsageLog | UsageSums,
    *changes: Change,
    deployments: Deployments | str | os.PathLike[str] | None = None,
    prices: PriceBook | None = None,
    by: Sequence[str] = ("deployment",),
    every: Literal["month", "day"] = "month",
) -> Comparison:
    """Tell what a log would have cost, had things been otherwise.

    Parameters
    ----------
    log : UsageLog or UsageSums
        What `read_usage` or `sum_usage` made. `CapOutput`, `DownscaleImages` and `BuyPtu` look at single calls and take
        the first alone.
    *changes : Change
        Applied from left to right; without any, nothing changes.
    deployments, prices, by, every
        As `cost_report`.

    Raises
    ------
    RequestError
        As `cost_report`; also for a change that nothing in the log is for, or that the log does not tell enough for.
    UnknownNameError, MissingPriceError
        From a change to what nobody here knows.
    DeploymentsError
        For a deployments file that cannot be used.

    Examples
    --------
    >>> log = read_usage("examples/logs")
    >>> found = what_if(log, UseBatch("0.3", only="fast"), deployments="examples/deployments.toml")
    >>> found.difference < 0
    True
    """
    return _Tried(_work_of(log, deployments, prices), by, every).with_changes(changes)


def compare(
    log: UsageLog | UsageSums,
    axes: Mapping[str, Mapping[str, _Changes]],
    *,
    deployments: Deployments | str | os.PathLike[str] | None = None,
    prices: PriceBook | None = None,
) -> pd.DataFrame:
    """Try every combination of some changes.

    Parameters
    ----------
    log, deployments, prices
        As `what_if`.
    axes : mapping of str to mapping of str to changes
        For each axis its choices by name: a change, several, or None for leaving things as they are. In a combination
        the changes of the first axis come first.

    Returns
    -------
    DataFrame
        One row per combination: a column for each axis with the name of its choice, then ``cost`` (Decimal),
        ``difference`` to the log as it is (Decimal or None), ``currency``, ``certainty`` and ``notes``.

    Raises
    ------
    RequestError
        For an axis without a choice or with the name of another column, and as `what_if`.

    Examples
    --------
    >>> log = read_usage("examples/logs")
    >>> batch = {"none": None, "half": UseBatch("0.5"), "all": UseBatch()}
    >>> found = compare(log, {"batch": batch}, deployments="examples/deployments.toml")
    >>> found["batch"].tolist()
    ['none', 'half', 'all']
    """
    results = ("cost", "difference", "currency", "certainty", "notes")
    if not isinstance(axes, Mapping):
        raise RequestError("axes", f"must map names to choices; found {type(axes).__name__}")
    for name, choices in axes.items():
        if not isinstance(choices, Mapping):
            raise RequestError("axes", f"{shorten(name)} must map names to changes; found {type(choices).__name__}")
        if not choices or name in results:
            raise RequestError("axes", f"{shorten(name)} has no choice, or is named as one of {', '.join(results)}")
    tried = _Tried(_work_of(log, deployments, prices), ("deployment",), "month")
    rows = []
    for labels in product(*axes.values()):
        changes: list[Change] = []
        for axis, label in zip(axes, labels, strict=True):
            choice: object = axes[axis][label]
            if isinstance(choice, Change):
                changes.append(choice)
            elif isinstance(choice, Sequence) and not isinstance(choice, str):
                changes += choice
            elif choice is not None:
                wanted = f"{shorten(label)} of {shorten(axis)} must be a change, several or None"
                raise RequestError("axes", f"{wanted}; found {type(choice).__name__}")
        found = tried.with_changes(changes)
        after = found.after
        rows.append((*labels, after.total, found.difference, after.currency, after.certainty, found.notes))
    return pd.DataFrame(rows, columns=[*axes, *results], dtype=object)


def _work_of(
    log: UsageLog | UsageSums, deployments: Deployments | str | os.PathLike[str] | None, prices: PriceBook | None
) -> Workload:
    if not isinstance(log, (UsageLog, UsageSums)):
        raise RequestError("log", f"must be what read_usage or sum_usage returns; found {type(log).__name__}")
    book = prices if prices is not None else PriceBook.current()
    sums = log.sums if isinstance(log, UsageLog) else log
    work = Workload.of(sums, deployments_of(deployments), book)
    return with_calls(work, log) if isinstance(log, UsageLog) else work


class _Tried:
    """A workload as it is, priced, beside which changes are tried."""

    def __init__(self, work: Workload, by: Sequence[str], every: Literal["month", "day"]) -> None:
        self._work, self._by, self._every = work, by, every
        self._priced = Pricing.of(work)
        self._report = report_from(self._priced, work, by, every)

    def with_changes(self, changes: Sequence[Change]) -> Comparison:
        """Apply changes from left to right, and compare."""
        for one in changes:
            if not isinstance(one, Change):
                raise RequestError("changes", f"must be changes such as UseBatch; found {type(one).__name__}")
        work = reduce(lambda so_far, change: change.apply(so_far), changes, self._work)
        priced = Pricing.of(work)
        after = report_from(priced, work, self._by, self._every)
        # What has no price before and after is in neither sum. All else would be in one of them alone.
        lost, gained = _newly_missing(priced, self._priced), _newly_missing(self._priced, priced)
        notes = list(work.assumptions)
        if lost:
            notes.append(f"no price is known for {some_of(sorted(lost), 6)}; the difference is not known")
        if gained:
            notes.append(f"no price was known for {some_of(sorted(gained), 6)} as it was; the difference is not known")
        difference = None if lost or gained else _less(after.total, self._report.total)
        return Comparison(self._report, after, difference, tuple(changes), tuple(notes))


def _newly_missing(after: Pricing, before: Pricing) -> set[str]:
    """Return the meters of deployments that have no price, and had one; and those of which less has one."""
    missing = after.missing - before.missing
    missing |= {one for one in after.missing & before.missing if one in before.priced and one not in after.priced}
    return {f"{told.deployment} ({meter.meter})" for told, meter in missing}


def _less(amount: Decimal | None, other: Decimal | None) -> Decimal:
    assert amount is not None
    assert other is not None
    return exact_sum((amount, -other))
