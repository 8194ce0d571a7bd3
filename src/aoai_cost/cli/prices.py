"""``aoai-cost prices``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from ..errors import MissingPriceError
from . import options
from .output import EXIT_FAILED, command, print_json, print_records

if TYPE_CHECKING:
    from ..prices import PriceBook
    from ..prices.captures import Capture
    from ..prices.rows import PriceRow

__all__ = ["prices"]

_SHOWN_PLACES = 2


@click.group()
def prices() -> None:
    """List, check and refresh the prices."""


@prices.command("list")
@click.argument("model", required=False)
@click.option("--version", "version", help="Only this version.")
@click.option("--sku", callback=options.sku, help="Only this deployment type.")
@click.option("--tier", callback=options.tier, help="Only this tier.")
@click.option("--region", help="What this region pays, by the rules that reports use.")
@click.option("--on", metavar="DATE", callback=options.day, help="The day whose prices count (default: today, UTC).")
@click.option("--listed", is_flag=True, help="The rows that are kept and never matched, and why.")
@options.priced
@command
def list_prices(
    model: str | None,
    version: str | None,
    sku: str | None,
    tier: str | None,
    region: str | None,
    on: date | None,
    listed: bool,
    sheets: tuple[str, ...],
    currency: str | None,
    as_json: bool,
) -> None:
    """List the price rows of MODEL that hold on a day, each with its source.

    Without MODEL: the prices that hang on no model, which are provisioned throughput units and tools.

    \b
    Example:
      aoai-cost prices list gpt-4o --version 2024-11-20 --sku Standard --region swedencentral --on 2026-10-15
    """
    from ..catalog import get_model, split_model_name
    from ..prices import ANY_MODEL

    if listed and region is not None:
        raise click.UsageError("--listed and --region exclude each other: what is listed answers for no region")
    day = on if on is not None else datetime.now(UTC).date()
    book = options.price_book(sheets, currency)
    if model is None:
        if version is not None:
            raise click.UsageError("--version goes with MODEL")
        name, versions = ANY_MODEL, None
    else:
        found = get_model(model, version)
        named = version is not None or split_model_name(model)[1] is not None
        name, versions = found.name, (found.version, "") if named else None
    rows = [
        row
        for row in (book.listed(name) if listed else book.rows(name))
        if (versions is None or row.version in versions)
        and (sku is None or row.sku == sku)
        and (tier is None or row.tier == tier)
        and row.in_force(day)
        and (listed or not row.unmatched)
    ]
    data = list(_answers(book, rows, region, day)) if region is not None else [_row_data(row) for row in rows]
    if as_json:
        facts = {"model": name, "on": day, "region": region, "currency": book.currency}
        print_json({**facts, "rows": data, "sources": dict(book.sources)})
        return
    columns = (
        "version",
        "sku",
        "meter",
        "price",
        "unit",
        "since",
        "where",
        "source",
        "why" if listed else "meter_name",
    )
    print_records(columns, [row | _short(row) for row in _together(data)], wrap=("where", "why", "meter_name"))
    for note in dict.fromkeys(note for row in data for note in row["notes"]):
        click.echo(f"note: {note}", err=True)
    if sheets and region is None:
        click.echo("note: the rows are as the sheets have them; with --region discounts are taken off", err=True)
    click.echo(f"{len(data)} rows in force on {day}, in {book.currency} before tax", err=True)


@prices.command("check")
@click.argument("sheets", nargs=-1, required=True, type=click.Path())
@command
def check(sheets: tuple[str, ...], as_json: bool) -> None:
    """Say everything that keeps price SHEETS of your own from being used, with its line.

    \b
    Example:
      aoai-cost prices check examples/contract.toml
    """
    from ..prices.compile import check_sheets, unknown_names

    table, problems = check_sheets(sheets)
    notes = unknown_names(table)
    if as_json:
        found = [{"path": one.path, "entry": one.entry, "reason": one.reason} for one in problems]
        print_json({"sheets": sheets, "problems": found, "notes": notes})
    elif not problems:
        rates = sum(len(prices) for groups in table["rates"].values() for _, prices in groups)
        click.echo(f"good: {rates} prices and {len(table['discounts'])} discounts in {table['currency']}")
    for note in notes:
        click.echo(f"note: {note}", err=True)
    for problem in problems:
        click.echo(f"error: {problem}", err=True)
    if problems:
        sys.exit(EXIT_FAILED)


@prices.command("refresh")
@options.currency
@click.option("--url", default=None, help="Another address of the price list, such as a mirror in a closed network.")
@command
def refresh(currency: str | None, url: str | None, as_json: bool) -> None:
    """Fetch Azure's price list and use it from now on; reading logs by URL aside, only this goes to the network.

    \b
    Example:
      aoai-cost prices refresh --currency EUR
    """
    from ..prices.refresh import PRICE_LIST, refresh_prices

    result = refresh_prices(currency or "USD", url=url or PRICE_LIST)
    if as_json:
        unmapped = [one._asdict() for one in result.unmapped]
        print_json(
            {**_capture_data(result.capture), "changed": result.changed, "rows": result.rows}
            | {"meters": result.meters, "unmapped": unmapped}
        )
        return
    told = "" if result.changed else ", the same as before"
    click.echo(
        f"{result.rows:,} prices of {result.meters:,} meters in {result.capture.currency}{told}: {result.capture.path}"
    )
    if result.unmapped:
        click.echo(
            f"note: the names of {len(result.unmapped)} meters are not understood; they price nothing:", err=True
        )
    for one in result.unmapped:
        click.echo(f"  {one.product}: {one.meter_name} ({one.reason})", err=True)


def _capture_data(capture: Capture) -> dict[str, Any]:
    return {"currency": capture.currency, "fetched": capture.fetched, "path": str(capture.path)}


@prices.command("diff")
@options.currency
@click.option("--since", metavar="DATE", callback=options.day, help="Compare with what was known on this day.")
@click.option("--on", metavar="DATE", callback=options.day, help="The day whose prices count (default: today, UTC).")
@command
def diff(currency: str | None, since: date | None, on: date | None, as_json: bool) -> None:
    """Show which prices the newest refresh changed.

    It is compared with the prices known before it: an earlier refresh, or those in the package.

    \b
    Example:
      aoai-cost prices diff --since 2026-08-12 --on 2026-10-15
    """
    from ..prices.changes import known_list, price_changes

    day = on if on is not None else datetime.now(UTC).date()
    currency = currency or "USD"
    after, before = known_list(currency), known_list(currency, as_known_on=since) if since else known_list(currency, 1)
    if after is None or before is None:
        raise click.UsageError(
            f"no two price lists in {currency} are known; run `aoai-cost prices refresh`, or give --since"
        )
    changes = price_changes(before, after, on=day)
    if as_json:
        print_json({"currency": currency, "on": day, "changes": [asdict(one) for one in changes]})
        return
    records = [
        asdict(one)
        | _short(asdict(one))
        | {"before": _shown(one.before), "after": _shown(one.after), "where": _places(one.regions) or "every region"}
        for one in changes
    ]
    columns = ("model", "version", "sku", "meter", "before", "after", "unit", "where")
    print_records(columns, records, wrap=("where",))
    click.echo(f"{len(changes)} prices differ on {day}", err=True)


def _shown(price: Decimal | None) -> str:
    return "-" if price is None else f"{price:f}"


def _short(row: Mapping[str, Any]) -> dict[str, str]:
    """Say in two columns what selects a price: ``GlobalStandard priority long`` and ``audio input``."""
    tier = "" if row["tier"] == "default" or row["sku"].endswith("Batch") else row["tier"]
    band = "" if row["band"] == "short" else row["band"]
    modality = "" if row["modality"] == "text" else row["modality"]
    meter = ":".join(filter(None, (row["meter"], row["variant"])))
    return {
        "sku": " ".join(filter(None, (row["sku"], tier, band, row["fine_tuned"]))),
        "meter": " ".join(filter(None, (modality, meter))),
    }


def _places(regions: Sequence[str]) -> str:
    more = len(regions) - _SHOWN_PLACES
    return ", ".join(regions[:_SHOWN_PLACES]) + (f" and {more} more" if more > 0 else "")


def _together(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join rows that differ only in where and since when they hold, for a table that people can take in."""
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in data:
        key = tuple(value for name, value in row.items() if name not in ("where", "since", "notes"))
        groups.setdefault(key, []).append(row)
    joined = []
    for rows in groups.values():
        places = sorted({place for row in rows for place in row["where"].split(", ")})
        joined.append({**rows[0], "where": _places(places), "since": min(row["since"] or "" for row in rows)})
    return joined


def _row_data(row: PriceRow) -> dict[str, Any]:
    where = row.regions_described or row.scope if not row.regions else ", ".join(row.regions)
    return {
        "version": row.version,
        "sku": row.sku,
        "tier": row.tier,
        "band": row.band,
        "fine_tuned": row.fine_tuned,
        "meter": row.meter,
        "modality": row.modality,
        "variant": row.variant,
        "price": row.amount,
        "unit": row.unit,
        "currency": row.currency,
        "since": None if row.effective_from is None else row.effective_from.isoformat(),
        "where": where,
        "source": row.source,
        "meter_name": row.meter_name,
        "why": row.unmatched,
        "notes": [row.note] if row.note else [],
    }


def _answers(book: PriceBook, rows: list[PriceRow], region: str, day: date) -> Iterator[dict[str, Any]]:
    """Ask the book what the region pays, once for each thing that the rows price."""
    seen = set()
    for row in rows:
        question = {
            "version": row.version,
            "sku": row.sku,
            "tier": row.tier,
            "band": row.band or "short",
            "fine_tuned": row.fine_tuned,
            "meter": row.meter,
            "modality": row.modality or "text",
            "variant": row.variant,
        }
        key = tuple(question.values())
        if key in seen:
            continue
        seen.add(key)
        try:
            rate = book.rate(model=row.model, region=region, on=day, **question)
        except MissingPriceError:
            continue  # not sold in this region
        since = None if rate.effective_from is None else rate.effective_from.isoformat()
        yield {
            **_row_data(row),
            "price": f"{rate.amount:f}",
            "unit": rate.unit,
            "since": since,
            "where": region,
            "source": rate.source,
            "meter_name": rate.meter_name,
            "notes": list(rate.notes),
        }
