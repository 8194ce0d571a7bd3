"""Provisioned throughput units for calls that were paid by the token, sized from the log's own minutes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..catalog import Deployment
from ..errors import RequestError, UnknownNameError, shorten
from ..logs import Group, GroupKey
from ..prices import DAY_OF_TERM, PTU_SKUS, PTU_TERMS, PriceBook, PtuParameters, Traffic, size_ptu
from ..report import Load, Workload
from ..usage import MeterKey, Usage
from .calls import CallLoad, Calls
from .change import Change, count_of, label_of

__all__ = ["BuyPtu"]

_DAY_HOURS = 24
# What ptu.toml calls long context: units of some models serve no longer prompt.
_LONG_CONTEXT_TOKENS = 128_000


@dataclass(frozen=True)
class BuyPtu(Change):
    """Serve deployments by provisioned throughput units: ``BuyPtu(only="chat")``.

    Of each minute's calls the units serve what has begun before they are full, in the order of the log; the rest spills
    over to the deployment as it was, and is paid by the token there. Without ``only``, deployments of models whose
    weights are not published stay as they are.

    Parameters
    ----------
    units : int, "peak" or "cheapest"
        How many for each deployment: a number that can be deployed, as many as serve the fullest minute, or as many as
        cost least together with what spills over, which may be none.
    sku : str
        One of the provisioned types.
    term : str
        ``hourly``, ``1_month`` or ``1_year``; of any the days of the log are paid on which the deployment lives.
    spillover : bool
        Whether what the units cannot serve is served at all; if not, it is refused and costs nothing.
    """

    units: int | Literal["peak", "cheapest"] = "cheapest"
    sku: str = PTU_SKUS[0]
    term: str = "hourly"
    spillover: bool = True
    needs_calls: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.units not in ("peak", "cheapest") and (type(self.units) is not int or self.units < 1):
            raise RequestError(
                "units", f"must be a whole number from 1 on, peak or cheapest; found {shorten(self.units)}"
            )
        if self.units == "cheapest" and not self.spillover:
            raise RequestError("units", "cheapest needs spillover: what is refused costs nothing, so that none is best")
        for field, names in (("sku", PTU_SKUS), ("term", PTU_TERMS)):
            if getattr(self, field) not in names:
                raise RequestError(field, f"{shorten(getattr(self, field))} is none of {', '.join(names)}")

    @property
    def note(self) -> str:
        """What is changed."""
        over = "spilled over and was paid by the token" if self.spillover else "was refused"
        paid = "by the hour" if self.term == "hourly" else f"under {self.term.replace('_', ' ')} of reservation"
        units = f"provisioned units ({self.sku}, paid {paid} for the days of the log on which the deployment lives)"
        return f"calls were served by {units}; what a minute had beyond them {over}"

    def apply(self, work: Workload) -> Workload:
        """Return the workload with units bought."""
        self.require_names(work)
        period = work.log.period
        loads: dict[tuple[str, str], list[CallLoad]] = {}
        for load in work.loads:
            one = load.served
            if one is None or not self.is_for(one) or not one.sku.endswith("Standard") or one.fine_tuned:
                continue
            if not isinstance(load, CallLoad):
                raise RequestError("log", "BuyPtu looks at single calls: give what read_usage returns")
            if load.weight and load.calls.tokens.any():
                loads.setdefault((one.resource, one.name), []).append(load)
        if not loads or period is None:
            raise self.finds_nothing(work, "calls paid by the token")
        plans, unsold = [], {}
        for of_one in loads.values():
            served = _last_served(of_one)
            try:
                parameters = _parameters_of(of_one, served, self.sku, period)
            except (RequestError, UnknownNameError) as error:
                unsold[f"{label_of(served)} ({served.model})"] = error
                continue
            plans.append((of_one, self._plan(of_one, served, parameters, work.prices, period)))
        if unsold and (self.only or not plans):
            raise next(iter(unsold.values()))
        notes = [self.note]
        moved: dict[int, list[Load]] = {}
        timed, reserved = list(work.timed), list(work.reserved)
        for of_one, plan in plans:
            notes += plan.notes
            if not plan.units:
                continue
            hosted = replace(plan.deployment, ptu_units=plan.units)
            if self.term == "hourly":
                timed.append(hosted)
            else:
                reserved += _reserved(hosted, plan.units, self.term, period)
            for load, spilled in zip(of_one, plan.spilled, strict=True):
                moved[id(load)] = list(self._parts(load, hosted, spilled))
        if unsold:
            notes.append(f"no weights on provisioned units are published, so left as they are: {', '.join(unsold)}")
        sums = sum(load.group.aggregated for of_one, _ in plans for load in of_one)
        if sums:
            notes.append(f"rows that stand for many calls were served as if all were of the row's minute: {sums:,}")
        loads_after = tuple(part for load in work.loads for part in moved.get(id(load), [load]))
        changed = replace(work, loads=loads_after, timed=tuple(timed), reserved=tuple(reserved))
        return changed.assuming(*notes, estimated=bool(sums))

    def _parts(self, load: CallLoad, hosted: Deployment, spilled: npt.NDArray[np.bool_]) -> Iterator[Load]:
        if not spilled.any():
            yield replace(load, served=hosted)
            return
        if not spilled.all():
            yield replace(load, served=hosted).with_calls(load.calls.some(~spilled))
        if self.spillover:
            yield load.with_calls(load.calls.some(spilled))

    def _plan(
        self,
        loads: Sequence[CallLoad],
        served: Deployment,
        parameters: PtuParameters,
        book: PriceBook,
        period: tuple[date, date],
    ) -> _Plan:
        minimum, increment = parameters.size_of(self.sku)
        weighed = _weighed(loads, parameters)
        first, end = _life_of(loads)
        deployment = replace(served, sku=self.sku, tier="default", active_from=first, active_to=end, aliases=())
        peak_units = weighed.peak / parameters.input_tpm_per_ptu
        if isinstance(self.units, int):
            if self.units < minimum or (self.units != minimum and self.units % increment):
                reason = f"{served.model} is deployed in steps of {increment} PTUs, {minimum} at least"
                raise RequestError("units", f"{reason}; found {self.units}")
            units = self.units
        else:
            units = _steps(peak_units, minimum, increment)
            if self.units == "cheapest":
                choices = np.array([minimum, *range(_steps(Fraction(minimum + 1), 0, increment), units + 1, increment)])
                units = self._cheapest(loads, weighed, deployment, book, period, choices)
        spilled = weighed.spilled(units)
        counts = np.concatenate([np.full(len(load.calls), float(load.weight)) for load in loads]) * weighed.told
        document = f"{parameters.source}, {parameters.doc_date}"
        notes = [
            f"{label_of(served)}: {units:,} PTUs of {served.model} ({document}); its fullest minute needs "
            f"{float(peak_units):,.1f}, and {count_of(counts[spilled].sum())} of {count_of(counts.sum())} calls "
            "exceed them"
        ]
        if not units:
            notes = [f"{label_of(served)}: no units of {served.model} cost less than paying by the token"]
        others = sorted({load.served.model for load in loads if load.served is not None} - {served.model})
        if units and others:
            notes.append(f"{label_of(served)}: the units of {served.model} served calls to {', '.join(others)} as well")
        cuts = np.cumsum([len(load.calls) for load in loads])[:-1]
        return _Plan(deployment, units, np.split(spilled, cuts), tuple(notes))

    def _cheapest(
        self,
        loads: Sequence[CallLoad],
        weighed: _Weighed,
        deployment: Deployment,
        book: PriceBook,
        period: tuple[date, date],
        choices: npt.NDArray[np.int64],
    ) -> int:
        """Return which number of units costs least, zero included; of several the smallest."""
        # Floats, to choose; what is chosen is priced exactly.
        amounts = np.concatenate([_amounts(load, book) for load in loads])
        units_cost = choices * _unit_price(deployment, self.term, book, period)
        # What is paid for the calls that spill over, from the one on before which a minute holds so much.
        free = ~weighed.refused[weighed.order]
        before, paid = weighed.before[free], amounts[weighed.order][free]
        by_fill = np.argsort(before, kind="stable")
        rest = np.append(np.cumsum(paid[by_fill][::-1])[::-1], 0.0)
        capacities = np.array([weighed.capacity(int(units)) for units in choices], before.dtype)
        over = rest[np.searchsorted(before[by_fill], capacities, side="left")] + amounts[weighed.refused].sum()
        total = units_cost + over
        best = int(total.argmin())
        return int(choices[best]) if total[best] < amounts.sum() else 0


class _Plan(NamedTuple):
    deployment: Deployment
    units: int
    spilled: list[npt.NDArray[np.bool_]]
    notes: tuple[str, ...]


class _Weighed(NamedTuple):
    """The calls of a deployment, weighed in parts of an input token as its units weigh them."""

    order: npt.NDArray[np.int64]
    """The places of the calls, which stand load by load, in the order of the log."""
    before: npt.NDArray[Any]
    """What their minute held before each of them, in that order: whole numbers, of whatever size."""
    refused: npt.NDArray[np.bool_]
    """Those that units never serve."""
    told: npt.NDArray[np.bool_]
    """Those of which there are tokens to serve."""
    most: int
    """What the fullest minute holds."""
    scale: int
    """So many of these parts are an input token."""
    input_tpm_per_ptu: int

    @property
    def peak(self) -> Fraction:
        """What the fullest minute holds, in input tokens."""
        return Fraction(self.most, self.scale)

    def capacity(self, units: int) -> int:
        """Return what a minute of some units holds."""
        return units * self.input_tpm_per_ptu * self.scale

    def spilled(self, units: int) -> npt.NDArray[np.bool_]:
        """Tell which calls find their minute full, or are never served."""
        found = self.refused.copy()
        found[self.order] |= np.asarray(self.before >= self.capacity(units), np.bool_)
        return found & self.told


def _last_served(loads: Sequence[CallLoad]) -> Deployment:
    """Return what the deployment was on the last of the days."""
    last = max(loads, key=lambda load: load.key.day or date.min)
    assert last.served is not None  # only such loads are chosen
    return last.served


def _life_of(loads: Sequence[CallLoad]) -> tuple[date | None, date | None]:
    """Return from when until when the deployment was paid by the token: one that was upgraded had several lives."""
    lives = {(load.served.active_from, load.served.active_to) for load in loads if load.served is not None}
    firsts, ends = ([day for day in days if day is not None] for days in zip(*lives, strict=True))
    return min(firsts) if len(firsts) == len(lives) else None, max(ends) if len(ends) == len(lives) else None


def _parameters_of(loads: Sequence[CallLoad], served: Deployment, sku: str, period: tuple[date, date]) -> PtuParameters:
    """Return the published parameters of a deployment's model, if they weigh all of its calls."""
    day, probe = period[1] - timedelta(days=1), Traffic(requests_per_minute=1, prompt_tokens=1)
    parameters = size_ptu(probe, model=served.model, version=served.version, sku=sku, on=day).parameters
    weights = dict(parameters.weights)
    for load in loads:
        calls = load.calls.some(~_refused(load.calls, parameters))
        for key, counts in calls.by_meter().items():
            name = _category(key, load.key.band)
            if counts.any() and name not in weights:
                raise RequestError("BuyPtu", f"no weight of {name} is published for {parameters.model}")
    return parameters


def _category(key: MeterKey, band: str) -> str:
    """Return how ptu.toml names the tokens of a meter in a context band."""
    name = key.meter if key.modality == "text" else f"{key.modality} {key.meter}"
    return f"long_{name}" if band == "long" else name


def _refused(calls: Calls, parameters: PtuParameters) -> npt.NDArray[np.bool_]:
    """Tell which calls units never serve, since they are too long."""
    prompts = calls.column("prompt_tokens")
    return prompts > _LONG_CONTEXT_TOKENS if parameters.long_context else np.zeros(len(prompts), np.bool_)


def _weighed(loads: Sequence[CallLoad], parameters: PtuParameters) -> _Weighed:
    """Weigh calls by the published parameters of their model, each as often as it counts."""
    weights = dict(parameters.weights)
    refused = np.concatenate([_refused(load.calls, parameters) for load in loads])
    factors: list[list[tuple[npt.NDArray[np.int64], Fraction]]] = []
    for load in loads:
        named = ((_category(key, load.key.band), counts) for key, counts in load.calls.by_meter().items())
        factors.append([(counts, weights[name] * load.weight) for name, counts in named if weights.get(name)])
    # Whole numbers, so that a minute is full exactly where it is; Python's where those of the machine do not suffice.
    scale = math.lcm(*(factor.denominator for of_load in factors for _, factor in of_load))
    most = sum(int(counts.sum()) * int(factor * scale) for of_load in factors for counts, factor in of_load)
    dtype: Any = np.int64 if max(most, scale << 32) < 1 << 62 else object
    parts = []
    for load, of_load in zip(loads, factors, strict=True):
        weight = np.zeros(len(load.calls), dtype)
        for counts, factor in of_load:
            weight += counts.astype(dtype) * int(factor * scale)
        parts.append(weight)
    weight = np.concatenate(parts)
    weight[refused] = 0
    rows, minutes = (np.concatenate([getattr(load.calls, name) for load in loads]) for name in ("rows", "minutes"))
    order = np.lexsort((rows, minutes))
    in_order, served = minutes[order], weight[order]
    # What had been served before the first call of the minute, and what was up to each call.
    total = np.cumsum(served, dtype=dtype)
    before = total - served
    first = np.searchsorted(in_order, in_order, side="left")
    told = np.concatenate([load.calls.tokens.any(axis=1) for load in loads])
    start = before[first]
    fullest = int((total - start).max())
    return _Weighed(order, before - start, refused, told, fullest, scale, parameters.input_tpm_per_ptu)


def _steps(need: Fraction, minimum: int, increment: int) -> int:
    """Return the least number of units that can be deployed and is enough."""
    return minimum if need <= minimum else int(-(-need // increment) * increment)


def _amounts(load: CallLoad, book: PriceBook) -> npt.NDArray[np.float64]:
    """Return about what each call of a load costs by the token."""
    assert load.served is not None
    assert load.key.day is not None
    cost = book.price(load.group.usage, load.served, on=load.key.day, band=load.key.band)
    if cost.unpriced:
        raise cost.unpriced[0][2]
    rates = {line.key: float(line.rate.amount) / line.rate.per * float(load.weight) for line in cost.lines}
    amounts = np.zeros(len(load.calls))
    for key, counts in load.calls.by_meter().items():
        amounts += counts * rates.get(key, 0.0)
    return amounts


def _term_key(term: str) -> MeterKey:
    return MeterKey("ptu") if term == "hourly" else MeterKey("ptu_reservation", variant=term)


def _unit_price(deployment: Deployment, term: str, book: PriceBook, period: tuple[date, date]) -> float:
    """Return about what one unit costs in the period."""
    usage = Usage({_term_key(term): _DAY_HOURS * 3_600_000 if term == "hourly" else 1})
    total = 0.0
    for day in _days(deployment, period):
        cost = book.price(usage, deployment, on=day)
        if cost.unpriced:
            raise cost.unpriced[0][2]
        total += float(cost.amount) * float(DAY_OF_TERM.get(term, 1))
    return total


def _days(deployment: Deployment, period: tuple[date, date]) -> Iterator[date]:
    """Yield the days of a period on which a deployment lives."""
    days = (date.fromordinal(ordinal) for ordinal in range(period[0].toordinal(), period[1].toordinal()))
    return (day for day in days if deployment.active_on(day))


def _reserved(deployment: Deployment, units: int, term: str, period: tuple[date, date]) -> Iterator[Load]:
    """Yield the units of a reservation, day by day."""
    group = Group(0, 0, 0, 0, 0, 0, 0, 0, Usage({_term_key(term): units}))
    for day in _days(deployment, period):
        key = GroupKey(
            day, deployment.resource, deployment.name, deployment.model, deployment.version,
            deployment.region, deployment.tier, "short", None, None,
        )  # fmt: skip
        yield Load(key, group, deployment, weight=DAY_OF_TERM[term])
