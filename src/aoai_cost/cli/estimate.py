"""``aoai-cost estimate``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
import orjson

from ..errors import BudgetExceeded, DeploymentsError
from . import options
from .output import command, fail, print_json, print_table, read_text, shown_path

if TYPE_CHECKING:
    from ..estimate import Estimate

__all__ = ["estimate"]


@click.command()
@click.argument("request_file")
@click.option("--deployment", "name", help="NAME or RESOURCE/NAME in the deployments file.")
@click.option("--deployments", "path", type=click.Path(), help="The deployments file (TOML or az JSON).")
@click.option("--model", help="The model, where no deployments file is given.")
@click.option("--version", "version", help="The model's version, e.g. 2024-11-20.")
@click.option("--sku", callback=options.sku, help="The deployment type (default: GlobalStandard).")
@click.option("--region", help="The region, e.g. swedencentral.")
@click.option("--tier", callback=options.tier, help="default, batch, priority or flex.")
@click.option("--on", metavar="DATE", callback=options.day, help="The day whose prices count (default: today, UTC).")
@options.priced
@click.option("--budget", callback=options.amount, help="Exit with 4 if the request can cost more than this.")
@command
def estimate(
    request_file: str,
    name: str | None,
    path: str | None,
    model: str | None,
    version: str | None,
    sku: str | None,
    region: str | None,
    tier: str | None,
    on: date | None,
    sheets: tuple[str, ...],
    currency: str | None,
    budget: Decimal | None,
    as_json: bool,
) -> None:
    """Price the request body in REQUEST_FILE (JSON, or - for stdin) before it is sent.

    \b
    Example:
      aoai-cost estimate examples/request.json --model gpt-4o --version 2024-11-20 --on 2026-10-15
    """
    from ..catalog import Deployment, arm_region, read_deployments
    from ..estimate import estimate_request

    day = on if on is not None else datetime.now(UTC).date()
    if (name is None) != (path is None) or (name is None) == (model is None):
        raise click.UsageError("give either --model, or --deployment with --deployments")
    if name is not None and path is not None:
        if sku or tier:
            raise click.UsageError("--sku and --tier go with --model; the deployments file says them")
        resource, _, short = name.rpartition("/")
        deployments = read_deployments(path)
        found = deployments.find(resource or None, short, day)
        if found is None:
            raise DeploymentsError(path, f"deployment {name!r}", deployments.why(resource or None, short, day))
        region = None if region is None else arm_region(region)
        if region is not None and found.region not in (None, region):
            raise click.UsageError(f"--region {region!r}: the deployments file says {found.region}")
        found = replace(found, version=version or found.version, region=region or found.region)
    else:
        found = Deployment(
            "",
            str(model),
            str(model),
            version=version,
            sku=sku or "GlobalStandard",
            region=region,
            tier=tier or "default",
        )
    try:
        body = orjson.loads(read_text(request_file).removeprefix("\ufeff"))
    except orjson.JSONDecodeError as error:
        fail(f"{shown_path(request_file)} is not JSON: {error}")
    result = estimate_request(body, found, on=day, prices=options.price_book(sheets, currency), must_fit=True)
    if as_json:
        print_json(_estimate_data(result))
    else:
        print_table(("Input", "Tokens"), [(x.label, f"{x.tokens:,}") for x in result.lines], numeric=(1,))
        high = "not bounded" if result.high is None else f"{result.high:f} {result.currency}"
        longest = result.output_tokens[1]
        least, most = result.input_bounds
        tokens = f"{least:,}" if least == most else f"{least:,} to {most:,}" if most else f"at least {least:,}"
        click.echo(f"input   {tokens} tokens ({result.certainty})")
        click.echo(f"output  at most {longest:,} tokens" if longest is not None else "output  not bounded")
        click.echo(f"cost    {result.low:f} {result.currency} (empty answer) to {high} (longest answer)")
        for note in result.notes:
            click.echo(f"note: {note}", err=True)
    if budget is not None and (result.high is None or result.high > budget):
        raise BudgetExceeded(result.high, budget, "this request")


def _estimate_data(result: Estimate) -> dict[str, Any]:
    deployment = result.deployment
    return {
        "model": deployment.model,
        "version": deployment.version,
        "sku": deployment.sku,
        "region": deployment.region,
        "tier": deployment.tier,
        "on": result.on,
        "input_tokens": result.input_tokens,
        "input_bounds": result.input_bounds,
        "output_tokens": result.output_tokens,
        "low": result.low,
        "high": result.high,
        "currency": result.currency,
        "certainty": result.certainty,
        "lines": [{"label": line.label, "tokens": line.tokens} for line in result.lines],
        "notes": result.notes,
    }
