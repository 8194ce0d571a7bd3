"""What every change has: which deployments it is for, what it makes of a workload, and what it assumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar

from ..catalog import Deployment, same_resource
from ..errors import RequestError, shorten
from ..prices import PriceBook
from ..prices.ptu import Number, exact
from ..report import Load, Workload
from ..report.batch import keeps_prices
from ..usage import MeterKey

__all__ = ["Change", "count_of", "has_prices", "label_of", "percent_of", "share_of", "split"]


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that could have been otherwise.

    Changes are values: they compare, print and pickle, and `what_if` applies them from left to right. ``only`` names
    the deployments that a change is for, as ``"chat"``, ``"account/chat"`` or an ARM id, one or several; without it, it
    is for all.

    Raises
    ------
    RequestError
        If a value has no meaning; from `apply`, if nothing in the workload is what the change is for.
    """

    only: str | Sequence[str] = ()

    needs_calls: ClassVar[bool] = False
    """Whether it looks at single calls, which `read_usage` keeps and `sum_usage` does not."""

    def __post_init__(self) -> None:
        given = self.only if isinstance(self.only, Iterable) else (self.only,)
        names = (given,) if isinstance(given, str) else tuple(given)
        if any(not isinstance(name, str) or not name.rpartition("/")[2] for name in names):
            raise RequestError("only", f"must name deployments, as chat or account/chat; found {shorten(names)}")
        object.__setattr__(self, "only", names)

    @property
    def note(self) -> str:
        """What is changed, and what that takes for granted."""
        raise NotImplementedError

    def apply(self, work: Workload) -> Workload:
        """Return the workload as it would have been.

        Parameters
        ----------
        work : Workload
            What a report prices; it is left as it is.
        """
        raise NotImplementedError

    def is_for(self, deployment: Deployment) -> bool:
        """Tell whether a deployment is among those that the change is for."""
        return not self.only or any(_names(name, deployment) for name in self.only)

    def require_names(self, work: Workload) -> None:
        """Refuse names in ``only`` that no deployment of the workload has."""
        if not self.only:
            return
        there = {load.served for load in (*work.loads, *work.reserved) if load.served is not None} | {*work.timed}
        unknown = [name for name in self.only if not any(_names(name, one) for one in there)]
        if unknown:
            known = sorted({one.name for one in there})
            has = f"; it has those of {shorten(', '.join(known))}" if known else ""
            raise RequestError("only", f"the log has no calls of {shorten(', '.join(unknown))}{has}")

    def finds_nothing(self, work: Workload, calls: str = "calls") -> RequestError:
        """Return the error for a log without calls that the change is for."""
        if not work.loads:
            return RequestError(type(self).__name__, "the log has no calls")
        if not work.timed and all(load.served is None for load in work.loads):
            reason = "no call of the log is of a deployment in a deployments file, which says what each of them is"
            return RequestError(type(self).__name__, reason)
        where = ", ".join(self.only) or "any deployment in the deployments file"
        return RequestError(type(self).__name__, f"the log has no {calls} of {where} that could change")

    def each(
        self,
        work: Workload,
        change: Callable[[Load, Deployment], Iterable[Load]],
        *,
        timed: Callable[[Deployment], Deployment] = lambda one: one,
        found: Callable[[Deployment], bool] = lambda one: True,
        calls: str = "calls",
    ) -> Workload:
        """Return a workload with other loads, and other deployments that cost by the hour, where it is for them.

        `change` makes of a load, and of what serves it, any number of loads, and `timed` another deployment of one that
        costs by the hour; without units and tuning it costs nothing more. `found` tells more closely what the change is
        for, and `calls` says it.
        """
        self.require_names(work)
        loads: list[Load] = []
        hit = False
        for load in work.loads:
            if load.served is not None and self.is_for(load.served) and found(load.served):
                hit = True
                loads += change(load, load.served)
            else:
                loads.append(load)
        kept: list[Deployment] = []
        for one in work.timed:
            if self.is_for(one) and found(one):
                hit = True
                other = timed(one)
                kept += [other] if other.ptu_units or other.fine_tuned else []
            else:
                kept.append(one)
        reserved: list[Load] = []
        for load in work.reserved:
            if load.served is not None and self.is_for(load.served) and found(load.served):
                other = timed(load.served)
                reserved += [replace(load, served=other)] if other.ptu_units else []
            else:
                reserved.append(load)
        if not hit:
            raise self.finds_nothing(work, calls)
        changed = replace(work, loads=tuple(loads), timed=tuple(kept), reserved=tuple(reserved))
        return changed.assuming(self.note)


def split(load: Load, share: Fraction, other: Load) -> list[Load]:
    """Return a load of which a share of each call is like another one."""
    parts = [(load, 1 - share), (other, share)]
    return [replace(part, weight=load.weight * of) for part, of in parts if of]


def has_prices(book: PriceBook, load: Load, other: Load) -> bool:
    """Tell whether another load has a price for everything, but for what has none in this one."""
    return keeps_prices(_without_price(book, load), _without_price(book, other))


def _without_price(book: PriceBook, load: Load) -> set[MeterKey]:
    usage, day = load.group.usage, load.key.day
    if load.served is None or day is None:
        return set(usage)
    return {key for key, *_ in book.price(usage, load.served, on=day, band=load.key.band).unpriced}


def share_of(field: str, value: Number, most: int = 1) -> Fraction:
    """Read a share as it is written: the float 0.3 is three tenths."""
    return exact(field, value, most)


def percent_of(share: Fraction) -> str:
    """Write a share in percent."""
    return f"{float(share * 100):.6g} %"


def label_of(deployment: Deployment) -> str:
    """Write which deployment it is, as ``only`` takes it: ``account/chat``."""
    account = deployment.resource.rstrip("/").rpartition("/")[2]
    return f"{account}/{deployment.name}" if account else deployment.name


def count_of(calls: int | float | Fraction) -> str:
    """Write how many calls those are; of one that was split, each part counts as a part."""
    return f"{round(calls):,}" if calls >= 10 or calls == round(calls) else f"{float(calls):.3g}"


def _names(name: str, deployment: Deployment) -> bool:
    if name.lower() == deployment.name.lower():
        return True
    resource, _, own = name.rpartition("/")
    resource = resource.removesuffix("/deployments")  # as in the ARM id of a deployment
    return bool(resource) and own.lower() == deployment.name.lower() and same_resource(resource, deployment.resource)
