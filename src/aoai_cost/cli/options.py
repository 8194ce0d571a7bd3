"""What the values of options mean, and the words for a value that means nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..prices import PriceBook

__all__ = [
    "amount",
    "budget",
    "budget_in",
    "by",
    "column_map",
    "currency",
    "day",
    "log_format",
    "moment",
    "output_path",
    "price_book",
    "priced",
    "sku",
    "tier",
]


_PAIR_ENDS = re.compile(r",(?=[a-z_]+=)")


def day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    """Read a date such as 2026-10-31."""
    try:
        return None if value is None else datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date like 2026-10-31", ctx, param) from None


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Read a date, which is its midnight, or a time such as 2026-10-31T05:00; UTC where it has no offset."""
    if value is None:
        return None
    try:
        # Without the weeks and the basic form that fromisoformat takes too.
        found = datetime.fromisoformat(value) if value[4:5] == value[7:8] == "-" else None
    except ValueError:
        found = None
    if found is None:
        raise click.BadParameter(f"{value!r} is not a date or time like 2026-10-31 or 2026-10-31T05:00", ctx, param)
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def amount(ctx: click.Context, param: click.Parameter, value: str | None) -> Decimal | None:
    """Read an amount of money of at least 0."""
    if value is None:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter(f"{value!r} is not an amount of at least 0", ctx, param)
    return amount


def budget(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[Decimal, str | None] | None:
    """Read an amount, which may be followed by its currency: 1000, or 1000 EUR."""
    if value is None:
        return None
    number, _, code = value.strip().partition(" ")
    found = amount(ctx, param, number)
    assert found is not None
    return found, _currency(ctx, param, code.strip() or None)


def budget_in(currency: str, given: tuple[Decimal, str | None] | None) -> Decimal | None:
    """Return the amount of a budget, which must be in the currency of the prices."""
    if given is None:
        return None
    if given[1] not in (None, currency):
        raise click.UsageError(f"--budget is in {given[1]}, and the prices are in {currency}; --currency changes that")
    return given[0]


def sku(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read a sku, in any case."""
    from ..catalog import SKUS

    return _one_of(SKUS, value, ctx, param)


def tier(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read a service tier, in any case."""
    from ..catalog import TIERS

    return _one_of(TIERS, value, ctx, param)


def by(ctx: click.Context, param: click.Parameter, value: str) -> list[str]:
    """Read the columns to split a report by, with commas between."""
    from ..report import BY

    return [str(_one_of(BY, name, ctx, param)) for name in value.split(",")]


def column_map(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> Mapping[str, str] | None:
    """Read pairs of what a column holds and its name, with commas between; a name may hold commas itself."""
    found: dict[str, str] = {}
    for pair in (pair for text in value for pair in _PAIR_ENDS.split(text)):
        target, equals, column = pair.partition("=")
        if not equals or not column:
            raise click.BadParameter(f"{pair!r} does not name a column, as prompt_tokens=in_tok does", ctx, param)
        if target in found:
            raise click.BadParameter(f"{target} is named twice", ctx, param)
        found[target] = column
    return found or None


def log_format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Read the name of a log format, or auto."""
    from ..catalog import listed_name
    from ..logs import LOG_FORMATS, list_formats

    # Who names a format of ours does not depend on what others have installed.
    own = listed_name(value, ("auto", *LOG_FORMATS))
    return own or str(_one_of(("auto", *list_formats()), value, ctx, param))


def output_path(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuse an empty path."""
    if value == "":
        raise click.BadParameter("the path is empty", ctx, param)
    return value


def _one_of(names: Sequence[str], value: str | None, ctx: click.Context, param: click.Parameter) -> str | None:
    from ..catalog import listed_name

    found = None if value is None else listed_name(value, names)
    if value is not None and found is None:
        raise click.BadParameter(f"{value!r} is none of {', '.join(names)}", ctx, param)
    return found


def _currency(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not (len(value) == 3 and value.isascii() and value.isalpha()):
        raise click.BadParameter(f"{value!r} is not a code of three letters such as EUR", ctx, param)
    return None if value is None else value.upper()


currency = click.option("--currency", callback=_currency, help="The currency of the prices (default: USD).")


def priced(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--prices`` and ``--currency``, for `price_book`."""
    sheets = click.option(
        "--prices", "sheets", multiple=True, type=click.Path(), help="A price sheet of your own; it wins."
    )
    return sheets(currency(function))


def price_book(sheets: Sequence[str], currency: str | None) -> PriceBook:
    """Return the prices that a command's options ask for."""
    from ..prices import PriceBook
    from ..prices.captures import captures

    if currency not in (None, "USD") and not sheets and not captures(str(currency)):
        raise click.UsageError(f"no list in {currency} is here; run `aoai-cost prices refresh --currency {currency}`")
    book = PriceBook.read(*sheets) if sheets else PriceBook.current(currency or "USD")
    if currency not in (None, book.currency):
        raise click.UsageError(f"--currency {currency}: the sheet is in {book.currency}")
    return book
