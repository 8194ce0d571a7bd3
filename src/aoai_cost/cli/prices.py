"""``aoai-cost prices``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from ..errors import MissingPriceError
from . import options
from .output import command, print_json, print_table

if TYPE_CHECKING:
    from ..prices import PriceBook
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
@click.option("--on", callback=options.day, help="The day whose prices count (default: today, UTC).")
@click.option("--listed", is_flag=True, help="The rows that are kept and never matched, and why.")
@command
def list_prices(
    model: str | None,
    version: str | None,
    sku: str | None,
    tier: str | None,
    region: str | None,
    on: date | None,
    listed: bool,
    as_json: bool,
) -> None:
    """List the price rows of MODEL that hold on a day, each with its source.

    Without MODEL: the prices that hang on no model, which are provisioned throughput units and tools.

    \b
    Example:
      aoai-cost prices list gpt-4o --version 2024-11-20 --sku Standard --region swedencentral --on 2026-10-15
    """
    from ..catalog import get_model, split_model_name
    from ..prices import ANY_MODEL, PriceBook

    day = on if on is not None else datetime.now(UTC).date()
    book = PriceBook.bundled()
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
        print_json({"model": name, "on": day, "region": region, "rows": data, "sources": dict(book.sources)})
        return
    columns = ["version", "sku", "tier", "band", "fine_tuned", "modality", "meter", "variant", "price", "unit", "since"]
    columns += ["where", "source", "why" if listed else "meter_name"]
    shown = _together(data)
    used = [name for name in columns if any(row[name] for row in shown)]
    if shown:
        print_table([name.replace("_", " ") for name in used], [[row[name] for name in used] for row in shown])
    for note in dict.fromkeys(note for row in data for note in row["notes"]):
        click.echo(f"note: {note}", err=True)
    click.echo(f"{len(data)} rows in force on {day}, list prices before discounts and tax", err=True)


def _together(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join rows that differ only in where and since when they hold, for a table that people can take in."""
    groups: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in data:
        key = tuple(value for name, value in row.items() if name not in ("where", "since", "notes"))
        groups.setdefault(key, []).append(row)
    joined = []
    for rows in groups.values():
        places = sorted({place for row in rows for place in row["where"].split(", ")})
        more = len(places) - _SHOWN_PLACES
        where = ", ".join(places[:_SHOWN_PLACES]) + (f" and {more} more" if more > 0 else "")
        joined.append({**rows[0], "where": where, "since": min(row["since"] or "" for row in rows)})
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
