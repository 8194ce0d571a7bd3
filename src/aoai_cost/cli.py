"""The commands. Results go to stdout, everything else to stderr.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but the total is a lower bound, since something has no price, no
tokens, or could not be read, 4 over budget.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
import orjson

from .errors import AoaiCostError, BudgetExceeded, DeploymentsError, MissingPriceError
from .version import __version__

if TYPE_CHECKING:
    from rich.console import RenderableType

    from .catalog import Model
    from .estimate import Estimate
    from .prices import PriceBook
    from .prices.rows import PriceRow

__all__ = ["main"]

EXIT_FAILED, EXIT_INCOMPLETE, EXIT_OVER_BUDGET = 1, 3, 4
_PLAIN_WIDTH = 160
_SHOWN_PLACES = 2


def _day(ctx: click.Context, param: click.Parameter, value: str | None) -> date | None:
    try:
        return None if value is None else datetime.strptime(value, "%Y-%m-%d").date()
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a date like 2026-10-31", ctx, param) from None


def _amount(ctx: click.Context, param: click.Parameter, value: str | None) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise click.BadParameter(f"{value!r} is not an amount of at least 0", ctx, param)
    return amount


def _sku(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    from .catalog import SKUS

    return _one_of(SKUS, value, ctx, param)


def _tier(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    from .catalog import TIERS

    return _one_of(TIERS, value, ctx, param)


def _columns(ctx: click.Context, param: click.Parameter, value: str) -> list[str]:
    from .report import BY

    return [str(_one_of(BY, name, ctx, param)) for name in value.split(",")]


def _format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    from .logs import LOG_FORMATS

    return str(_one_of(("auto", *LOG_FORMATS), value, ctx, param))


def _output(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value == "":
        raise click.BadParameter("the path is empty", ctx, param)
    return value


def _one_of(names: Sequence[str], value: str | None, ctx: click.Context, param: click.Parameter) -> str | None:
    from .catalog import listed_name

    found = None if value is None else listed_name(value, names)
    if value is not None and found is None:
        raise click.BadParameter(f"{value!r} is none of {', '.join(names)}", ctx, param)
    return found


def _fail(error: Exception | str, code: int = EXIT_FAILED) -> NoReturn:
    if isinstance(error, OSError) and not isinstance(error, AoaiCostError) and error.filename is not None:
        error = f"{error.filename}: {error.strerror}"
    click.echo(f"error: {error}", err=True)
    sys.exit(code)


def _command(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--json`` and turn the package's errors into one line and exit code 1."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except BudgetExceeded as error:
            _fail(error, EXIT_OVER_BUDGET)
        except BrokenPipeError:
            raise  # the reader has seen enough; click ends quietly
        except (AoaiCostError, OSError) as error:
            _fail(error)

    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(run)


def _print_json(data: Any) -> None:
    # ASCII alone: valid whatever the encoding of the stream, with any name and any whole number in it.
    click.echo(json.dumps(data, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in the output")


def _print(renderable: RenderableType) -> None:
    from rich.console import Console

    wide = None if sys.stdout.isatty() else _PLAIN_WIDTH
    Console(width=wide, highlight=False, emoji=False, markup=False, soft_wrap=False).print(renderable)


def _print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], numeric: Sequence[int] = ()) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from .render.words import plain

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(headings):
        table.add_column(name, justify="right" if i in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else plain(cell)) for cell in row))
    _print(table)


def _shown_path(path: str) -> str:
    return "stdin" if path == "-" else path


def _read_text(path: str) -> str:
    if path == "-" and sys.stdin is None:
        _fail("stdin is closed")
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        _fail(f"{_shown_path(path)} is not UTF-8 text (at byte {error.start})")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but the total is a lower bound, 4 over budget.",
)
@click.version_option(__version__, prog_name="aoai-cost")
def main() -> None:
    """Know the Azure OpenAI bill before the request is sent, and explain it after."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            sys.exit(EXIT_FAILED)  # closed by the caller: nothing can be said, and nothing is pretended
        # A name in a log, or a file's, may hold what the terminal's encoding does not; it is escaped, not a crash.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@main.command()
@click.argument("files", nargs=-1)
@click.option("--text", "texts", multiple=True, help="Count this text; may be given more than once.")
@click.option("--model", help="Count as this model does.")
@click.option("--encoding", help="Count in this encoding.")
@_command
def count(
    files: tuple[str, ...], texts: tuple[str, ...], model: str | None, encoding: str | None, as_json: bool
) -> None:
    """Count the tokens of texts, of UTF-8 FILES, or of stdin (-).

    \b
    Example:
      aoai-cost count --model gpt-4o --text "How much is the fish?"
    """
    from .catalog import get_model
    from .tokens import count_tokens

    if (model is None) == (encoding is None):
        raise click.UsageError("give either --model or --encoding")
    if not files and not texts:
        raise click.UsageError("give FILES, - for stdin, or --text")
    if files.count("-") > 1:
        raise click.UsageError("stdin (-) can be read once")
    found = [(f"text {i}", count_tokens(text, model=model, encoding=encoding)) for i, text in enumerate(texts, 1)]
    found += [(path, count_tokens(_read_text(path), model=model, encoding=encoding)) for path in files]
    total = sum(tokens for _, tokens in found)
    known = None
    if model is not None:
        facts = get_model(model)
        encoding, known = facts.encoding, facts.encoding_known
        if known == "assumed":
            click.echo(f"note: nobody publishes the encoding of {facts.name}; it is assumed to be {encoding}", err=True)
    if as_json:
        counts = [{"source": source, "tokens": tokens} for source, tokens in found]
        _print_json({"model": model, "encoding": encoding, "encoding_known": known, "counts": counts, "total": total})
        return
    if len(found) == 1:
        click.echo(total)
        return
    _print_table(("Source", "Tokens"), [*((s, f"{n:,}") for s, n in found), ("total", f"{total:,}")], numeric=(1,))


@main.command()
@click.argument("request_file")
@click.option("--deployment", "name", help="NAME or RESOURCE/NAME in the deployments file.")
@click.option("--deployments", "path", type=click.Path(), help="The deployments file (TOML or az JSON).")
@click.option("--model", help="The model, where no deployments file is given.")
@click.option("--version", "version", help="The model's version, e.g. 2024-11-20.")
@click.option("--sku", callback=_sku, help="The deployment type (default: GlobalStandard).")
@click.option("--region", help="The region, e.g. swedencentral.")
@click.option("--tier", callback=_tier, help="default, batch, priority or flex.")
@click.option("--on", callback=_day, help="The day whose prices count (default: today, UTC).")
@click.option("--budget", callback=_amount, help="Exit with 4 if the request can cost more than this.")
@_command
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
    budget: Decimal | None,
    as_json: bool,
) -> None:
    """Price the request body in REQUEST_FILE (JSON, or - for stdin) before it is sent.

    \b
    Example:
      aoai-cost estimate examples/request.json --model gpt-4o --version 2024-11-20 --on 2026-10-15
    """
    from .catalog import Deployment, arm_region, read_deployments
    from .estimate import estimate_request

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
        body = orjson.loads(_read_text(request_file).removeprefix("\ufeff"))
    except orjson.JSONDecodeError as error:
        _fail(f"{_shown_path(request_file)} is not JSON: {error}")
    result = estimate_request(body, found, on=day)
    if as_json:
        _print_json(_estimate_data(result))
    else:
        _print_table(("Input", "Tokens"), [(x.label, f"{x.tokens:,}") for x in result.lines], numeric=(1,))
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


def _refuse_overwriting(outputs: Sequence[str], inputs: Sequence[str | None]) -> None:
    """End before anything is read, if a report would be written over what it is made from or over another report."""
    places = [Path(path).resolve() for path in outputs]
    if len(set(places)) < len(places):
        raise click.UsageError(f"--html and --csv both name {outputs[0]}")
    read = {Path(path).resolve() for path in inputs if path}
    for path, place in zip(outputs, places, strict=True):
        if place.is_file() and not read.isdisjoint((place, *place.parents)):
            raise click.UsageError(f"{path} is read for this report and would be overwritten")


@main.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path())
@click.option("--deployments", type=click.Path(), help="What each deployment is: TOML, or the JSON of az.")
@click.option("--prices", "sheets", multiple=True, type=click.Path(), help="A price sheet of your own; it wins.")
@click.option(
    "--format",
    "log_format",
    callback=_format,
    default="auto",
    show_default=True,
    help="auto, azure-monitor, apim-llm-log or openai-response.",
)
@click.option(
    "--by",
    callback=_columns,
    default="deployment",
    show_default=True,
    help="Columns to split by, with commas between: resource, deployment, model, version, sku, region, tier.",
)
@click.option("--every", type=click.Choice(["month", "day"]), default="month", show_default=True, help="The period.")
@click.option("--html", type=click.Path(dir_okay=False), callback=_output, help="Write the report as a page.")
@click.option("--csv", type=click.Path(dir_okay=False), callback=_output, help="Write the report's rows.")
@_command
def report(
    logs: tuple[str, ...],
    deployments: str | None,
    sheets: tuple[str, ...],
    log_format: str,
    by: list[str],
    every: Any,
    html: str | None,
    csv: str | None,
    as_json: bool,
) -> None:
    """Turn usage LOGS (files or folders) into costs per deployment and month.

    \b
    Example:
      aoai-cost report examples/logs --deployments examples/deployments.toml --html report.html
    """
    from .catalog import read_deployments
    from .logs import read_usage
    from .prices import PriceBook
    from .render import report_json, report_table, write_report
    from .report import cost_report

    _refuse_overwriting([path for path in (html, csv) if path is not None], [*logs, deployments, *sheets])
    known = read_deployments(deployments) if deployments is not None else None
    prices = PriceBook.read(*sheets) if sheets else None
    log = read_usage(*logs, format=log_format)
    result = cost_report(log, deployments=known, prices=prices, by=by, every=every)
    if as_json:
        _print_json(report_json(result))
    else:
        _print(report_table(result))
    for form, path in (("html", html), ("csv", csv)):
        if path is not None:
            write_report(result, path, form)
            click.echo(f"wrote {path}", err=True)
    if result.certainty == "lower_bound":
        sys.exit(EXIT_INCOMPLETE)


@main.command()
@click.argument("model")
@click.option("--version", "version", help="Only this version.")
@click.option("--sku", callback=_sku, help="Only this deployment type.")
@click.option("--tier", callback=_tier, help="Only this tier.")
@click.option("--region", help="What this region pays, by the rules that reports use.")
@click.option("--on", callback=_day, help="The day whose prices count (default: today, UTC).")
@click.option("--listed", is_flag=True, help="The rows that are kept and never matched, and why.")
@_command
def prices(
    model: str,
    version: str | None,
    sku: str | None,
    tier: str | None,
    region: str | None,
    on: date | None,
    listed: bool,
    as_json: bool,
) -> None:
    """List the price rows of MODEL that hold on a day, each with its source.

    \b
    Example:
      aoai-cost prices gpt-4o --version 2024-11-20 --sku Standard --region swedencentral --on 2026-10-15
    """
    from .catalog import get_model, split_model_name
    from .prices import PriceBook

    day = on if on is not None else datetime.now(UTC).date()
    book = PriceBook.bundled()
    found = get_model(model, version)
    named = version is not None or split_model_name(model)[1] is not None
    rows = [
        row
        for row in (book.listed(found.name) if listed else book.rows(found.name))
        if (not named or row.version in (found.version, ""))
        and (sku is None or row.sku == sku)
        and (tier is None or row.tier == tier)
        and row.in_force(day)
        and (listed or not row.unmatched)
    ]
    data = list(_answers(book, rows, region, day)) if region is not None else [_row_data(row) for row in rows]
    if as_json:
        _print_json({"model": found.name, "on": day, "region": region, "rows": data, "sources": dict(book.sources)})
        return
    columns = ["version", "sku", "tier", "band", "fine_tuned", "modality", "meter", "variant", "price", "unit", "since"]
    columns += ["where", "source", "why" if listed else "meter_name"]
    shown = _together(data)
    used = [name for name in columns if any(row[name] for row in shown)]
    if shown:
        _print_table([name.replace("_", " ") for name in used], [[row[name] for name in used] for row in shown])
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


@main.command()
@click.argument("name", required=False)
@_command
def models(name: str | None, as_json: bool) -> None:
    """List the models that are known, or say all about one.

    \b
    Example:
      aoai-cost models gpt-4o-2024-11-20
    """
    from .catalog import get_model, list_models

    found = list_models() if name is None else (get_model(name),)
    if as_json:
        _print_json({"models": [_model_data(model) for model in found]})
        return
    if name is None:
        columns = ["name", "version", "kind", "encoding", "context_tokens", "max_output_tokens", "retires"]
        rows = [[_shown(_model_data(model)[column]) for column in columns] for model in found]
        _print_table([column.replace("_", " ") for column in columns], rows, numeric=(4, 5))
        return
    facts = _model_data(found[0])
    _print_table(("fact", "value"), [(key.replace("_", " "), _shown(value)) for key, value in facts.items() if value])


def _model_data(model: Model) -> dict[str, Any]:
    chat, image = model.chat_rule, model.image_rule
    return {
        "name": model.name,
        "version": model.version,
        "kind": model.kind,
        "encoding": model.encoding,
        "encoding_known": model.encoding_known,
        "chat_rule": None if chat is None else f"{chat.name} ({chat.known}: {chat.source})",
        "image_rule": None if image is None else f"{image.name} ({model.image_known}: {image.source})",
        "context_tokens": model.context_tokens,
        "max_input_tokens": model.max_input_tokens,
        "max_output_tokens": model.max_output_tokens,
        "long_context_above": model.long_context_above,
        "input_modalities": model.input_modalities,
        "output_modalities": model.output_modalities,
        "lifecycle": model.lifecycle,
        "retires": None if model.retires is None else model.retires.isoformat(),
        "note": model.note,
        "source": model.source,
        "checked": model.checked,
    }


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


if __name__ == "__main__":
    main()
