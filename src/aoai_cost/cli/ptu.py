"""``aoai-cost ptu``."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from . import options
from .output import EXIT_INCOMPLETE, command, print_json, print_table

if TYPE_CHECKING:
    from ..prices import PtuCost, Spillover

__all__ = ["ptu"]

_EXACT = Context(prec=200)
_MOST_HOURS = 10**12
# Shares and twelfths need not end in decimals; in JSON they are rounded here, as prices by the hour are.
_LAST_PLACE = Decimal(1).scaleb(-40)


def _load(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> dict[Decimal, Decimal]:
    """Read RPM:HOURS pairs as minutes by requests per minute."""
    found: dict[Decimal, Decimal] = {}
    for pair in value:
        if pair.count(":") != 1:
            raise click.BadParameter(f"{pair!r} is not RPM:HOURS", ctx, param)
        rate, hours = (options.amount(ctx, param, one) or Decimal(0) for one in pair.split(":"))
        if hours > _MOST_HOURS:
            raise click.BadParameter(f"{pair!r} is more than {_MOST_HOURS:,} hours", ctx, param)
        found[rate] = found.get(rate, Decimal(0)) + hours * 60
    return found


@click.command()
@click.option("--model", required=True, help="The model, e.g. gpt-4o.")
@click.option("--version", help="The model's version (default: the newest).")
@click.option("--rpm", callback=options.amount, required=True, help="Requests per minute at the peak.")
@click.option("--prompt", callback=options.amount, required=True, help="Prompt tokens of an average request.")
@click.option("--response", callback=options.amount, default="0", help="Response tokens of an average request.")
@click.option("--cache", callback=options.amount, default="0", help="The share of prompt tokens read from the cache.")
@click.option("--cache-write", callback=options.amount, default="0", help="The share of them written to the cache.")
@click.option("--long", callback=options.amount, default="0", help="The share of tokens in long context requests.")
@click.option("--image-input", callback=options.amount, default="0", help="Image tokens read (image models).")
@click.option("--image-output", callback=options.amount, default="0", help="Image tokens made (image models).")
@click.option("--sku", callback=options.sku, default="GlobalProvisionedManaged", show_default=True, help="The scope.")
@click.option("--region", help="The region, e.g. swedencentral; a global deployment needs none.")
@click.option("--units", type=int, help="Price this number of PTUs (default: what is needed).")
@click.option("--load", multiple=True, callback=_load, metavar="RPM:HOURS", help="Price a load; may be repeated.")
@click.option(
    "--on", metavar="DATE", callback=options.day, help="The day whose documents and prices count (default: today, UTC)."
)
@options.priced
@command
def ptu(
    model: str,
    version: str | None,
    rpm: Decimal,
    prompt: Decimal,
    response: Decimal,
    cache: Decimal,
    cache_write: Decimal,
    long: Decimal,
    image_input: Decimal,
    image_output: Decimal,
    sku: str,
    region: str | None,
    units: int | None,
    load: dict[Decimal, Decimal],
    on: date | None,
    sheets: tuple[str, ...],
    currency: str | None,
    as_json: bool,
) -> None:
    """Say how many provisioned throughput units (PTUs) a workload needs, what they cost, and when they pay.

    They pay where they are used more than the break-even share of their capacity, on average over a month. With --load
    also what spills over to a standard deployment, and the number of PTUs at which the load costs least.

    \b
    Example:
      aoai-cost ptu --model gpt-4o --rpm 300 --prompt 1500 --response 300 --cache 0.4
      aoai-cost ptu --model gpt-5.2 --rpm 900 --prompt 800 --response 90 --load 900:100 --load 150:630 --on 2026-10-15
    """
    from ..prices import Traffic, price_ptu, size_ptu

    day = on if on is not None else datetime.now(UTC).date()
    traffic = Traffic(
        requests_per_minute=rpm,
        prompt_tokens=prompt,
        response_tokens=response,
        cached_share=cache,
        cache_write_share=cache_write,
        long_share=long,
        image_input_tokens=image_input,
        image_output_tokens=image_output,
    )
    size = size_ptu(traffic, model=model, version=version, sku=sku, on=day)
    cost = price_ptu(size, on=day, units=units, region=region, prices=options.price_book(sheets, currency))
    loads: list[Spillover] = []
    if load and cost.request_amount is not None:
        loads = [cost.spillover(load, term=term.name) for term in cost.terms]
        loads += [cost.cheapest(load, term=term.name) for term in cost.terms]
    notes = [*size.notes, *cost.notes, *map(str, cost.unpriced)]
    if as_json:
        print_json({**_size_data(cost), "on": day, "region": region, **_cost_data(cost, loads), "notes": notes})
    else:
        _print_size(cost)
        _print_terms(cost)
        if loads:
            _print_loads(cost, loads)
        for note in notes:
            click.echo(f"note: {note}", err=True)
    if cost.unpriced:
        sys.exit(EXIT_INCOMPLETE)


def _print_size(cost: PtuCost) -> None:
    size = cost.size
    said = size.parameters
    minimum, increment = said.size_of(size.sku)
    rows = [
        ("model", f"{size.model} {size.version}".strip()),
        ("sku", size.sku),
        ("traffic", f"{_number(size.normalized_tpm)} normalized tokens a minute"),
        ("capacity of a PTU", f"{said.input_tpm_per_ptu:,} normalized tokens a minute"),
        ("PTUs needed", _number(size.raw_units)),
        ("PTUs to deploy", f"{size.units:,} (at least {minimum}, in steps of {increment})"),
        *([("PTUs priced", f"{cost.units:,}")] if cost.units != size.units else []),
        ("document", f"{said.source} of {said.doc_date}: {said.title}"),
    ]
    print_table(("size", ""), rows)


def _print_terms(cost: PtuCost) -> None:
    rows: list[tuple[str | None, ...]] = []
    for term in cost.terms:
        saving, share = cost.saving(term.name), cost.break_even(term.name)
        rows.append(
            (
                term.name.replace("_", " "),
                f"{term.rate.amount:f} per {term.rate.unit.removeprefix('1 ')}",
                _number(cost.month(term.name)),
                _percent(saving) if saving else None,
                None if share is None else _percent(share) if share <= 1 else f"never ({_percent(share)})",
            )
        )
    month = cost.pay_as_you_go_month()
    if month is not None:
        rows.append(("pay as you go, at the peak all month", None, _number(month), None, None))
    if rows:
        print_table(("payment", "price", f"{cost.currency} a month", "saves", "break-even"), rows, numeric=(1, 2, 3, 4))


def _print_loads(cost: PtuCost, loads: list[Spillover]) -> None:
    rows = [
        (
            f"{one.term.replace('_', ' ')}{', cheapest' if i >= len(cost.terms) else ''}",
            f"{one.units:,}",
            _percent(one.spilled_share),
            _number(one.ptu_amount),
            _number(one.spilled_amount),
            _number(one.amount),
        )
        for i, one in enumerate(loads)
    ]
    headings = ("load", "PTUs", "spills over", f"{cost.currency} of PTUs", "of spillover", "together")
    print_table(headings, rows, numeric=(1, 2, 3, 4, 5))


def _size_data(cost: PtuCost) -> dict[str, Any]:
    size = cost.size
    said = size.parameters
    minimum, increment = said.size_of(size.sku)
    return {
        "model": size.model,
        "version": size.version,
        "sku": size.sku,
        "document": {"id": said.source, "date": said.doc_date, "title": said.title},
        "input_tpm_per_ptu": said.input_tpm_per_ptu,
        "weights": {name: _decimal(weight) for name, weight in said.weights},
        "minimum": minimum,
        "increment": increment,
        "tokens_per_request": {name: _decimal(amount) for name, amount in size.traffic.tokens().items()},
        "normalized_tokens": _decimal(size.normalized_tokens),
        "normalized_tpm": _decimal(size.normalized_tpm),
        "raw_units": _decimal(size.raw_units),
        "needed_units": size.units,
    }


def _cost_data(cost: PtuCost, loads: list[Spillover]) -> dict[str, Any]:
    return {
        "units": cost.units,
        "currency": cost.currency,
        "terms": [
            {
                "term": term.name,
                "price": term.rate.amount,
                "unit": term.rate.unit,
                "month": _decimal(cost.month(term.name)),
                "saving": _decimal(cost.saving(term.name)),
                "break_even": _decimal(cost.break_even(term.name)),
                "source": term.rate.source,
            }
            for term in cost.terms
        ],
        "request": _decimal(cost.request_amount),
        "pay_as_you_go_month": _decimal(cost.pay_as_you_go_month()),
        "loads": [
            {
                "term": one.term,
                "units": one.units,
                "cheapest": i >= len(cost.terms),
                "spilled_share": _decimal(one.spilled_share),
                "ptu_amount": _decimal(one.ptu_amount),
                "spilled_amount": _decimal(one.spilled_amount),
                "amount": _decimal(one.amount),
            }
            for i, one in enumerate(loads)
        ],
    }


def _decimal(value: Fraction | None) -> Decimal | None:
    """Write a fraction in decimals: exactly where they end by the 40th place, else rounded there."""
    if value is None:
        return None
    amount = _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    exponent = amount.as_tuple().exponent
    return _EXACT.quantize(amount, _LAST_PLACE) if isinstance(exponent, int) and exponent < -40 else amount


def _number(value: Fraction) -> str:
    """Show two decimals, or none of a whole number."""
    return f"{value.numerator:,}" if value.denominator == 1 else f"{_decimal(value):,.2f}"


def _percent(value: Fraction) -> str:
    return f"{_decimal(value * 100):,.1f} %"
