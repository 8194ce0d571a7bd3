"""``aoai-cost whatif``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any, Unpack

import click

from ..errors import AoaiCostError, RequestError
from . import options, reading
from .output import EXIT_INCOMPLETE, command, print_json, print_rich

if TYPE_CHECKING:
    from ..logs import UsageLog, UsageSums
    from ..whatif import Change

__all__ = ["whatif"]

_MADE = "aoai_cost.changes"


def _change(*names: str, help: str, metavar: str | None = None, is_flag: bool = False) -> Callable[..., Any]:
    """Return an option that makes a change of its value; the order of the options is that of the changes."""

    def make(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> None:
        for value in values:
            ctx.meta.setdefault(_MADE, []).append((names[0], value))

    return click.option(
        *names, f"_{names[0].strip('-').replace('-', '_')}", help=help, metavar=metavar, multiple=True, callback=make,
        expose_value=False,
    )  # fmt: skip


def _changes(made: list[tuple[str, str]], only: tuple[str, ...]) -> list[Change]:
    from .. import whatif

    whole = sorted({option for option, _ in made if option in _OF_EVERYTHING})
    if only and whole:
        raise click.UsageError(f"{whole[0]} is for all deployments, and --only names some")
    found: list[Change] = []
    for option, value in made:
        try:
            found.append(_MAKERS[option](whatif, value, only))
        except RequestError as error:
            raise click.BadParameter(error.reason, param_hint=option) from None
        except AoaiCostError as error:
            raise click.BadParameter(str(error), param_hint=option) from None
    return found


def _swap(whatif: Any, value: str, only: tuple[str, ...]) -> Change:
    model, equals, to = value.partition("=")
    if not equals or not model or not to:
        raise click.BadParameter(f"{value!r} does not name two models, as gpt-4o=gpt-4o-mini does", param_hint="--swap")
    swap: Change = whatif.SwapModel(model, to, only=only)
    return swap


def _priced_on(whatif: Any, value: str, only: tuple[str, ...]) -> Change:
    try:
        on = date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date like 2026-10-31", param_hint="--priced-on") from None
    change: Change = whatif.PriceAsOf(on)
    return change


def _units(value: str) -> int | str:
    return int(value) if value.isascii() and value.isdigit() else value


_MAKERS: dict[str, Callable[[Any, str, tuple[str, ...]], Change]] = {
    "--swap": _swap,
    "--sku": lambda whatif, value, only: whatif.MoveSku(value, only=only),
    "--region": lambda whatif, value, only: whatif.MoveRegion(value, only=only),
    "--tier": lambda whatif, value, only: whatif.ServiceTier(value, only=only),
    "--batch": lambda whatif, value, only: whatif.UseBatch(value, only=only),
    "--cached": lambda whatif, value, only: whatif.CacheShare(value, only=only),
    "--volume": lambda whatif, value, only: whatif.ScaleVolume(value, only=only),
    "--cap-output": lambda whatif, value, only: whatif.CapOutput(_units(value), only=only),
    "--ptu": lambda whatif, value, only: whatif.BuyPtu(_units(value), only=only),
    "--discount": lambda whatif, value, only: whatif.ContractDiscount(value),
    "--priced-on": _priced_on,
}
_OF_EVERYTHING = ("--discount", "--priced-on")


@click.command()
@reading.logs
@_change("--swap", metavar="MODEL=OTHER", help="Ask another model: gpt-4o=gpt-4o-mini.")
@_change("--sku", metavar="SKU", help="Deploy as another type: DataZoneStandard.")
@_change("--region", metavar="REGION", help="Deploy in another region.")
@_change("--tier", metavar="TIER", help="Ask for another service tier: priority.")
@_change("--batch", metavar="SHARE", help="Send this share of the calls as batches: 0.3.")
@_change("--cached", metavar="SHARE", help="Read this share of the text input from the prompt cache: 0.5.")
@_change("--volume", metavar="FACTOR", help="Make so many times the calls: 1.2.")
@_change("--cap-output", metavar="TOKENS", help="Cut answers off after so many tokens.")
@_change("--ptu", metavar="UNITS", help="Buy provisioned units: a number, peak (for the fullest minute) or cheapest.")
@_change("--discount", metavar="SHARE", help="Take a share off all prices: 0.12.")
@_change("--priced-on", metavar="DATE", help="Price all days at the prices of one day.")
@click.option("--recount", is_flag=True, help="Count requests that are in the logs anew for the models of --swap.")
@click.option(
    "--only", multiple=True, metavar="DEPLOYMENT", help="What changes: chat or account/chat; may be repeated."
)
@click.option("--by", callback=options.by, default="deployment", show_default=True, help="As for a report.")
@reading.since
@reading.until
@reading.working
@command
@click.pass_context
def whatif(
    ctx: click.Context,
    recount: bool,
    only: tuple[str, ...],
    by: list[str],
    as_json: bool,
    **asked: Unpack[reading.ReadingOptions],
) -> None:
    """Tell what usage LOGS would have cost, had things been otherwise; changes apply in the order in which they stand.

    \b
    Examples:
      aoai-cost whatif examples/logs --deployments examples/deployments.toml --swap gpt-4o=gpt-4.1 --batch 0.3
      aoai-cost whatif examples/logs --deployments examples/deployments.toml --only agent --cached 0.8 --json
    """
    from ..logs import read_usage, sum_usage
    from ..render import comparison_json, comparison_table
    from ..whatif import SwapModel, what_if

    changes = _changes(ctx.meta.get(_MADE, []), only)
    if not changes:
        raise click.UsageError("nothing is changed; name a change, such as --batch 0.3")
    models = [change.to for change in changes if isinstance(change, SwapModel)] if recount else []
    one_by_one = bool(models) or any(change.needs_calls for change in changes)
    if one_by_one and asked["work"] is not None:
        raise click.UsageError("--work keeps sums, and these changes look at single calls")
    with reading.given(asked) as log:
        if one_by_one:
            of_sums = ("processes", "work", "progress")
            alone: dict[str, Any] = {name: value for name, value in log.options.items() if name not in of_sums}
            usage: UsageLog | UsageSums = read_usage(*log.logs, recount=models, **alone)
        else:
            usage = sum_usage(*log.logs, **log.options)
        found = what_if(usage, *changes, deployments=log.deployments, prices=log.prices, by=by)
    if as_json:
        print_json(comparison_json(found))
    else:
        print_rich(comparison_table(found))
    if found.after.certainty == "lower_bound":
        sys.exit(EXIT_INCOMPLETE)
