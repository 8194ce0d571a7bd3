"""What stands out in a report: shares, savings, loads of PTUs, errors, retirements, and findings in words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from ..catalog import Deployment, find_model
from ..errors import RequestError, UnknownNameError
from ..logs.sums import sortable
from ..prices import Traffic, exact_sum, size_ptu
from .alternatives import on_models, on_units
from .breakdown import Breakdown, break_down
from .finding import Called, Finding, money, percent
from .pricing import COUNTED, rows_of

if TYPE_CHECKING:
    from .cost import CostReport

__all__ = ["Finding", "PtuLoad", "ReportFacts", "Retirement", "Split", "report_facts"]

_MOST_NAMED = 20
_SOON = timedelta(days=365)
_MINUTES_PER_DAY = 24 * 60
_WORTH_SAYING = Fraction(1, 100)
_LOW_LOAD, _HIGH_LOAD = Fraction(1, 2), Fraction(9, 10)


class Split(NamedTuple):
    """What the calls of one model, user or app come to; ``name`` is empty for all beyond the first twenty."""

    name: tuple[str | None, ...]
    members: int
    requests: int
    tokens: int
    cost: Decimal | None
    """None where nothing of it has a price."""
    complete: bool


class PtuLoad(NamedTuple):
    """How much of a provisioned deployment's throughput its calls took, on average over its days in the report.

    An average hides the peaks that a deployment is sized for. ``share`` is None where no document has the weights of
    the model's tokens, or the log tells no tokens; it is too low where the log tells those of some calls alone.
    ``reason`` says so.
    """

    resource: str | None
    deployment: str
    model: str
    units: int
    days: int
    share: Fraction | None
    reason: str
    source: str
    """The document that the weights and the tokens per minute and unit are from."""


class Retirement(NamedTuple):
    """A model of the report that retires within a year of its end, or has retired before it.

    ``deployments`` have the account beside the name where other accounts have deployments of that name.
    """

    model: str
    version: str
    retires: date
    deployments: tuple[str, ...]
    requests: int


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """What stands out in a report.

    Attributes
    ----------
    cached_share : Fraction or None
        Of the prompt tokens, those that were read from the cache; None without prompt tokens.
    cache_savings, cache_write_extra : Fraction
        What cached tokens would have cost as input, less what they cost; what writing to the cache cost beyond input.
    batch_share, priority_share : Fraction or None
        Of the total, what was spent on batch skus and in the priority tier; None where the total is zero.
    requests, unmetered, not_billed, failed, throttled, spilled : int
        Calls, and those of them without tokens, not billed, with an HTTP status of 400 or more, with 429, and served by
        another deployment than the provisioned one asked.
    by_model, by_user, by_app : tuple of Split
        By falling cost; users and apps are empty where the log tells none.
    ptu : tuple of PtuLoad
    retirements : tuple of Retirement
        Before or within a year of the report's last day, the soonest first.
    provisional_days : tuple of date
        The last day of the report: its calls may not all be written yet.
    priced_before : tuple of date
        Days of which a price was read before the day itself.
    findings : tuple of Finding
    breakdown : Breakdown
        What the sums are made of.
    """

    cached_share: Fraction | None
    cache_savings: Fraction
    cache_write_extra: Fraction
    batch_share: Fraction | None
    priority_share: Fraction | None
    requests: int
    unmetered: int
    not_billed: int
    failed: int
    throttled: int
    spilled: int
    by_model: tuple[Split, ...]
    by_user: tuple[Split, ...]
    by_app: tuple[Split, ...]
    ptu: tuple[PtuLoad, ...]
    retirements: tuple[Retirement, ...]
    provisional_days: tuple[date, ...]
    priced_before: tuple[date, ...]
    findings: tuple[Finding, ...]
    breakdown: Breakdown


def report_facts(report: CostReport) -> ReportFacts:
    """Work out what stands out in a report of `cost_report`."""
    breakdown, calls = break_down(report), report.calls
    counts = {name: int(calls[name].sum()) for name in COUNTED}
    cached = int(calls["cached_input"].sum())
    prompt = cached + int(calls["input"].sum()) + int(calls["cache_write"].sum())
    savings, extra = _cheaper(breakdown, "cached_input"), -_cheaper(breakdown, "cache_write")
    end = None if report.period is None else report.period[1]
    called = Called(report)
    ptu, retirements = _ptu_loads(report), () if end is None else _retirements(report, end, called)
    rows = list(rows_of(report.days))
    batch = [row.amount for row in rows if str(row.sku).endswith("Batch")]
    priority = [row.amount for row in rows if row.tier == "priority"]
    by_user, by_app = (_splits(report, (name,)) for name in ("user", "app"))
    cached_share = Fraction(cached, prompt) if prompt else None
    return ReportFacts(
        cached_share=cached_share,
        cache_savings=savings,
        cache_write_extra=extra,
        batch_share=_share(exact_sum(batch), report.total),
        priority_share=_share(exact_sum(priority), report.total),
        **counts,
        by_model=_splits(report, ("model", "version")),
        by_user=by_user if any(one.name != (None,) for one in by_user) else (),
        by_app=by_app if any(one.name != (None,) for one in by_app) else (),
        ptu=ptu,
        retirements=retirements,
        provisional_days=() if end is None else (end - timedelta(days=1),),
        priced_before=breakdown.priced_before,
        findings=(
            *_on_deployments(report, breakdown, called),
            *_on_caching(report, cached, prompt, savings, extra),
            *_on_batch(report, breakdown),
            *on_models(report, called),
            *_on_ptu(ptu, called),
            *on_units(report, called),
            *_on_hosting(report, called),
            *_on_errors(counts),
            *_on_spillover(counts),
            *_on_retirements(retirements, end),
        ),
        breakdown=breakdown,
    )


def _cheaper(breakdown: Breakdown, meter: str) -> Fraction:
    """Return how much more the tokens of a meter would have cost as input."""
    return sum(
        (
            (one.prices.as_input - one.prices.now) * one.quantity
            for one in breakdown.series
            if one.meter.meter == meter and one.prices.as_input is not None
        ),
        Fraction(),
    )


def _share(part: Decimal, whole: Decimal) -> Fraction | None:
    return Fraction(part) / Fraction(whole) if whole else None


def _splits(report: CostReport, columns: tuple[str, ...]) -> tuple[Split, ...]:
    found: dict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [0, 0, [], True])
    for row in rows_of(report.calls):
        entry = found[tuple(getattr(row, column) for column in columns)]
        entry[0] += row.requests
        entry[1] += row.input + row.cached_input + row.cache_write + row.output
        if row.cost is not None:
            entry[2].append(row.cost)
        entry[3] &= row.complete
    entries = [
        (name, Split(name, 1, requests, tokens, exact_sum(costs) if costs else None, bool(complete)))
        for name, (requests, tokens, costs, complete) in found.items()
    ]
    entries.sort(key=lambda entry: (-(entry[1].cost or Decimal(0)), sortable(entry[0])))
    own, rest = [one for _, one in entries[:_MOST_NAMED]], [one for _, one in entries[_MOST_NAMED:]]
    if len(rest) > 1:
        costs = [one.cost for one in rest if one.cost is not None]
        rest = [
            Split(
                name=(),
                members=len(rest),
                requests=sum(one.requests for one in rest),
                tokens=sum(one.tokens for one in rest),
                cost=exact_sum(costs) if costs else None,
                complete=all(one.complete for one in rest),
            )
        ]
    return (*own, *rest)


def _ptu_loads(report: CostReport) -> tuple[PtuLoad, ...]:
    if report.period is None:
        return ()
    calls: dict[tuple[str | None, str | None], list[Any]] = defaultdict(list)
    for row in rows_of(report.calls):
        if row.day is not None and str(row.sku).endswith("ProvisionedManaged"):
            calls[row.resource, row.deployment].append(row)
    found = []
    for one in report.timed:
        start, end = one.life_in(report.period)
        if one.ptu_units and start < end:
            own = [row for row in calls[one.resource, one.name] if start <= row.day < end]
            found.append(_ptu_load(one, (end - start).days, own))
    return tuple(found)


def _ptu_load(deployment: Deployment, days: int, calls: list[Any]) -> PtuLoad:
    requests = sum(row.requests for row in calls)
    cached, written = (sum(getattr(row, name) for row in calls) for name in ("cached_input", "cache_write"))
    prompt = cached + written + sum(row.input for row in calls)
    per_call = max(requests, 1)
    share, reason, source = None, "", ""
    try:
        traffic = Traffic(
            requests_per_minute=1,
            prompt_tokens=Fraction(prompt, per_call),
            response_tokens=Fraction(sum(row.output for row in calls), per_call),
            cached_share=Fraction(cached, max(prompt, 1)),
            cache_write_share=Fraction(written, max(prompt, 1)),
        )
        size = size_ptu(traffic, model=deployment.model, version=deployment.version, sku=deployment.sku)
    except (RequestError, UnknownNameError) as error:
        reason = str(error)
    else:
        capacity = size.parameters.input_tpm_per_ptu * (deployment.ptu_units or 0) * days * _MINUTES_PER_DAY
        share = size.normalized_tokens * requests / capacity
        source = f"{size.parameters.title}, {size.parameters.doc_date}"
        if any(name.startswith("long_") for name, _ in size.parameters.weights):
            source += "; a report does not tell long prompts from others, and they are weighed alike"
        unmetered = sum(row.unmetered for row in calls)
        if unmetered:
            share = share or None
            reason = f"the log does not tell the tokens of {unmetered:,} of its {requests:,} calls; they are left out"
    return PtuLoad(
        deployment.resource,
        deployment.name,
        deployment.model,
        deployment.ptu_units or 0,
        days,
        share,
        reason,
        source,
    )


def _retirements(report: CostReport, end: date, called: Called) -> tuple[Retirement, ...]:
    used: dict[tuple[str, str | None], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows_of(report.calls):
        if row.model is not None:
            used[row.model, row.version][called(row.resource, row.deployment)] += row.requests
    found: dict[tuple[str, str], Retirement] = {}
    for (name, version), deployments in used.items():
        model = find_model(name, version)
        if model is None or model.retires is None or model.retires > end + _SOON:
            continue
        key = (model.name, model.version)
        before = found.get(key)
        found[key] = Retirement(
            *key,
            model.retires,
            tuple(sorted({*deployments, *(before.deployments if before else ())})),
            sum(deployments.values()) + (before.requests if before else 0),
        )
    return tuple(sorted(found.values(), key=lambda one: (one.retires, one.model, one.version)))


def _on_deployments(report: CostReport, breakdown: Breakdown, called: Called) -> Iterable[Finding]:
    if len(breakdown.deployments) < 2 or not report.total:
        return
    name = breakdown.deployments[0].name
    cost = sum((one.cost for one in breakdown.series if one.deployment == 0), Fraction())
    if not name or cost * 100 < Fraction(report.total) * 20:
        return
    yield Finding(
        f"{called(name[0], name[1])} costs most of all deployments: {money(cost, report.currency)}, "
        f"{percent(cost / Fraction(report.total))} of the total.",
        "its cost / total",
    )


def _on_caching(report: CostReport, cached: int, prompt: int, savings: Fraction, extra: Fraction) -> Iterable[Finding]:
    if not prompt:
        return
    said = f"{percent(Fraction(cached, prompt))} of the prompt tokens were read from the cache"
    formula = "cached input tokens / (input + cached input + cache write tokens)"
    if savings >= _WORTH_SAYING:
        said += f", which saved {money(savings, report.currency)}"
        formula += "; cached tokens x (input price - cached input price)"
    if extra >= _WORTH_SAYING:
        said += f"; writing to the cache cost {money(extra, report.currency)} more than plain input"
        formula += "; cache write tokens x (cache write price - input price)"
    yield Finding(f"{said}.", formula)


def _on_batch(report: CostReport, breakdown: Breakdown) -> Iterable[Finding]:
    movable = [one for one in breakdown.series if one.prices.batch != one.prices.now]
    now = sum((one.cost for one in movable), Fraction())
    saved = now - sum((one.prices.batch * one.quantity for one in movable), Fraction())
    if saved >= _WORTH_SAYING:
        yield Finding(
            f"Tokens that cost {money(now, report.currency)} would cost {money(saved, report.currency)} less in batch, "
            "if all of their calls could wait a day.",
            "tokens x (price - batch price), over the calls to Global and Data Zone Standard that batch has prices for",
        )


def _on_ptu(loads: Iterable[PtuLoad], called: Called) -> Iterable[Finding]:
    for one in loads:
        # With a reason beside it the share is too low to say that it is low.
        is_low = not one.reason and one.share is not None and one.share < _LOW_LOAD
        if one.share is not None and (is_low or one.share > _HIGH_LOAD):
            yield Finding(
                f"{called(one.resource, one.deployment)} used {percent(one.share)} of what its {one.units:,} PTUs "
                f"serve, on average over {one.days:,} days; the peaks may be higher.",
                "tokens weighed as input tokens / (input tokens per minute and PTU x PTUs x minutes)",
            )


def _on_hosting(report: CostReport, called: Called) -> Iterable[Finding]:
    hosting: dict[tuple[str | None, str | None], list[Decimal]] = defaultdict(list)
    other: dict[tuple[str | None, str | None], list[Decimal]] = defaultdict(list)
    for row in rows_of(report.days):
        (hosting if row.meter == "hosting" else other)[row.resource, row.deployment].append(row.amount)
    for name, amounts in hosting.items():
        cost, calls = exact_sum(amounts), exact_sum(other.get(name, ()))
        if cost > calls and Fraction(cost) >= _WORTH_SAYING:
            yield Finding(
                f"Hosting the fine-tuned model of {called(*name)} cost {money(Fraction(cost), report.currency)}, "
                f"and its calls {money(Fraction(calls), report.currency)}.",
                "hours x hosting price; tokens x token prices",
            )


def _on_errors(counts: dict[str, int]) -> Iterable[Finding]:
    requests, failed, throttled = (counts[name] for name in ("requests", "failed", "throttled"))
    if failed and requests:
        yield Finding(
            f"{failed:,} of {requests:,} calls failed ({percent(Fraction(failed, requests))}), {throttled:,} of them "
            "because they were throttled.",
            "calls with an HTTP status of 400 or more / calls; throttled is status 429",
        )


def _on_spillover(counts: dict[str, int]) -> Iterable[Finding]:
    if counts["spilled"]:
        yield Finding(
            f"{counts['spilled']:,} calls spilled over from a provisioned deployment and were paid by the token.",
            "calls that the log says were served by another deployment than the one asked",
        )


def _on_retirements(retirements: tuple[Retirement, ...], end: date | None) -> Iterable[Finding]:
    if not retirements or end is None:
        return
    first = retirements[0]
    some = ", ".join(first.deployments[:3]) + (", ..." if len(first.deployments) > 3 else "")
    when = "retired" if first.retires < end else "retires"
    said = f"{first.model} {first.version}, to which {some} sent {first.requests:,} calls, {when} on {first.retires}"
    others = [one.retires < end for one in retirements[1:]]
    if others:
        also = " before it or" if any(others) else ""
        said += f", and {len(others):,} more of the models{also} within a year of the report's end"
    yield Finding(f"{said}.", "retirement dates of the model list")
