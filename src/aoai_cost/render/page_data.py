"""What the script of a report page reckons with, as compact JSON texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from .words import account, meter_name, plain, whole

if TYPE_CHECKING:
    from fractions import Fraction

    from ..report import CostReport
    from ..report.breakdown import Breakdown, Member, UnitPrices
    from ..report.facts import Split

__all__ = ["model_name", "page_data"]

_LONGEST_NAME = 120
_TRUE_TO = 2**53
"""JavaScript reads whole numbers of JSON below this one exactly."""


def page_data(report: CostReport, breakdown: Breakdown) -> str:
    """Return the breakdown of a report as JSON.

    A series points into lists of names and of prices, and its quantities follow the places of their days. Prices and
    quantities are whole numbers; ``scale`` is what a price times a quantity is too large by.
    """
    scale, parts = breakdown.scale, breakdown.parts
    prices: dict[UnitPrices, int] = {}
    kinds: dict[str, int] = {}
    series = []
    for one in breakdown.series:
        kind = kinds.setdefault(meter_name(*one.meter), len(kinds))
        which = prices.setdefault(one.prices, len(prices))
        series.append([one.deployment, one.model, kind, one.user, one.app, int(one.timed), which])
    found: dict[str, Any] = {
        "currency": report.currency,
        "scale": str(scale * parts),
        "days": [day.isoformat() for day in breakdown.days],
        "deployments": [
            [name, member.requests]
            for name, member in zip(_own(_deployment_names(breakdown.deployments)), breakdown.deployments, strict=True)
        ],
        "names": {
            "model": _own(map(model_name, breakdown.models)),
            "kind": list(kinds),
            "user": _own(map(model_name, breakdown.users)),
            "app": _own(map(model_name, breakdown.apps)),
        },
        "rest": {
            "deployment": _place_of_rest(breakdown.deployments),
            "model": _place_of_rest(breakdown.models),
            "user": _place_of_rest(breakdown.users),
            "app": _place_of_rest(breakdown.apps),
        },
        "prices": [[_whole(price, scale) for price in some[:6]] for some in prices],
        "series": series,
        "rows": [
            list(chain.from_iterable((day, _whole(quantity, parts)) for day, quantity in one.quantities))
            for one in breakdown.series
        ],
    }
    return orjson.dumps(found).decode()


def _whole(value: int | Fraction, scale: int) -> int | str:
    """Return a number times what makes it a whole one, as a text where JavaScript would not read it exactly."""
    found = value.numerator * (scale // value.denominator)
    return found if abs(found) < _TRUE_TO else str(found)


def _place_of_rest(members: Sequence[Member]) -> int | None:
    """Return the place of the member that stands for all small ones; it is the last."""
    return len(members) - 1 if members and not members[-1].name else None


def _deployment_names(members: Iterable[Member]) -> Iterator[str]:
    """Yield what each deployment is called, its own name first: a chart may have no room for all of it."""
    members = list(members)
    names = Counter(plain(member.name[1]) for member in members if member.name)
    for member in members:
        if not member.name:
            yield f"{whole(member.members)} others"
            continue
        resource, name = account(member.name[0]), plain(member.name[1])
        yield f"{name} ({resource})" if names[name] > 1 else name


def model_name(member: Member | Split) -> str:
    """Return what a model, a user or an app is called, or all that are shown as one."""
    if not member.name:
        return f"{whole(member.members)} others"
    return " ".join(plain(part) for part in member.name if part) or plain(None)


def _own(names: Iterable[str]) -> list[str]:
    """Return a name of its own for each; what is shown of two may be the same."""
    found: dict[str, None] = {}
    for whole_name in names:
        name = whole_name if len(whole_name) <= _LONGEST_NAME else f"{whole_name[:_LONGEST_NAME]}…"
        own, number = name, 2
        while own in found:
            own, number = f"{name} ({number})", number + 1
        found[own] = None
    return list(found)
