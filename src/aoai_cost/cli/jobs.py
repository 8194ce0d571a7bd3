"""``aoai-cost jobs``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .output import EXIT_INCOMPLETE, command, fail, print_json, read_text

if TYPE_CHECKING:
    from ..catalog import Deployment
    from ..jobs import JobEstimate, Rejected
    from ..prices import PriceBook

__all__ = ["jobs"]

_MOST_SHOWN = 20


@click.group()
def jobs() -> None:
    """Price a whole job before it is started: fine-tuning, embeddings, images, speech."""


def _placed(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where its job would run, for `_place`."""
    for option in (
        options.priced,
        click.option(
            "--on", metavar="DATE", callback=options.day, help="The day whose prices count (default: today, UTC)."
        ),
        click.option("--region", help="The region, e.g. swedencentral."),
        click.option("--sku", callback=options.sku, help="The deployment or training type (default: GlobalStandard)."),
        click.option("--version", "version", help="The model's version, e.g. 2025-04-14."),
        click.option("--model", required=True, help="The model."),
    ):
        function = option(function)
    return function


def _place(
    model: str, version: str | None, sku: str | None, region: str | None, sheets: Sequence[str], currency: str | None
) -> tuple[Deployment, PriceBook]:
    from ..catalog import Deployment

    found = Deployment("", model, model, version=version, sku=sku or "GlobalStandard", region=region)
    return found, options.price_book(sheets, currency)


@jobs.command()
@click.argument("file")
@click.option("--epochs", type=click.IntRange(1), help="Epochs (default: what OpenAI's cookbook derives).")
@_placed
@command
def training(file: str, epochs: int | None, on: date | None, as_json: bool, **where: Any) -> None:
    """Check the training examples in FILE (JSON lines, or - for stdin) and price the fine-tuning job.

    What the service would refuse is listed on stderr, with its line, and the exit code is then 3.

    \b
    Example:
      aoai-cost jobs training examples/training.jsonl --model gpt-4.1 --version 2025-04-14 --epochs 2 --on 2026-09-01
    """
    from ..jobs import estimate_training

    deployment, book = _place(**where)
    source: Any = _stdin() if file == "-" else file
    found = estimate_training(source, deployment, epochs=epochs, on=on, prices=book)
    least, most = found.token_bounds
    facts = {
        "lines": found.lines,
        "examples": found.examples,
        "rejected_lines": found.rejected_lines,
        "tokens": found.tokens,
        "token_bounds": found.token_bounds,
        "epochs": found.epochs,
        "cut_examples": found.cut_examples,
    }
    _show(
        found,
        [
            f"lines     {found.lines:,}: {found.examples:,} examples, {found.rejected_lines:,} rejected",
            f"tokens    {found.tokens:,} ({_range(least, most)}), trained {found.epochs} times",
        ],
        facts,
        as_json,
        problems=found.problems,
        rejected=found.rejected,
        place="line",
    )


@jobs.command()
@click.argument("file")
@_placed
@command
def embeddings(file: str, on: date | None, as_json: bool, **where: Any) -> None:
    """Price embeddings of the texts in FILE, one on each line (UTF-8, or - for stdin).

    Texts that the service would refuse are listed on stderr, with their line, and the exit code is then 3.

    \b
    Example:
      aoai-cost jobs embeddings examples/texts.txt --model text-embedding-3-small --version 1 --on 2026-09-01
    """
    from ..jobs import estimate_embeddings

    deployment, book = _place(**where)
    texts: Any = (line for line in read_text("-").split("\n") if line.strip()) if file == "-" else Path(file)
    found = estimate_embeddings(texts, deployment, on=on, prices=book)
    facts = {"texts": found.texts, "rejected_texts": found.rejected_texts, "tokens": found.tokens}
    said = [f"texts     {found.texts:,}, {found.rejected_texts:,} rejected", f"tokens    {found.tokens:,}"]
    place = "text" if file == "-" else "line"
    _show(found, said, facts, as_json, rejected=found.rejected, place=place)


@jobs.command()
@click.option("--size", required=True, help="As in the request, e.g. 1024x1024.")
@click.option("--quality", required=True, help="As in the request: standard, hd, low, medium, high or auto.")
@click.option("-n", "n", type=click.IntRange(1), default=1, show_default=True, help="How many images.")
@_placed
@command
def images(size: str, quality: str, n: int, on: date | None, as_json: bool, **where: Any) -> None:
    """Price images that are to be generated.

    \b
    Example:
      aoai-cost jobs images --model gpt-image-1 --size 1024x1536 --quality high -n 50 --on 2026-09-01
    """
    from ..jobs import estimate_image_generation

    deployment, book = _place(**where)
    found = estimate_image_generation(deployment, size=size, quality=quality, n=n, on=on, prices=book)
    _show(found, [f"images    {n:,}"], {"images": n, "size": size, "quality": quality}, as_json)


@jobs.command()
@click.argument("file")
@_placed
@command
def speech(file: str, on: date | None, as_json: bool, **where: Any) -> None:
    """Price the text in FILE (UTF-8, or - for stdin) as speech.

    \b
    Example:
      aoai-cost jobs speech examples/texts.txt --model tts --region swedencentral --on 2026-09-01
    """
    from ..jobs import estimate_speech

    deployment, book = _place(**where)
    found = estimate_speech(read_text(file).removeprefix("\ufeff"), deployment, on=on, prices=book)
    characters = sum(found.usage.values())
    _show(found, [f"text      {characters:,} characters"], {"characters": characters}, as_json)


@jobs.command()
@click.argument("duration_s")
@_placed
@command
def transcription(duration_s: str, on: date | None, as_json: bool, **where: Any) -> None:
    """Price the transcription of one audio file of DURATION_S seconds.

    \b
    Example:
      aoai-cost jobs transcription 90.5 --model whisper --region swedencentral --on 2026-09-01
    """
    from ..jobs import estimate_transcription

    try:
        duration = Decimal(duration_s)
    except InvalidOperation:
        raise click.UsageError(f"{duration_s!r} is not a number of seconds") from None
    deployment, book = _place(**where)
    found = estimate_transcription(duration, deployment, on=on, prices=book)
    _show(found, [f"audio     {duration:f} seconds"], {"duration_s": duration}, as_json)


def _stdin() -> Iterable[bytes]:
    if sys.stdin is None:
        fail("stdin is closed")
    return sys.stdin.buffer


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"at least {least:,}"
    return f"{least:,} to {most:,}" if least != most else "no more and no less"


def _show(
    found: JobEstimate,
    said: Sequence[str],
    facts: dict[str, Any],
    as_json: bool,
    *,
    problems: Sequence[str] = (),
    rejected: Sequence[Rejected] = (),
    place: str = "",
) -> None:
    """Print an estimate, what is wrong with the input on stderr, and exit with 3 if anything is."""
    if as_json:
        print_json(_data(found) | facts | _wrong(problems, rejected, place))
    else:
        high = "no upper end" if found.high is None else f"{found.high:f}"
        for line in said:
            click.echo(line)
        click.echo(f"cost      {found.amount:f} {found.currency} ({found.low:f} to {high}; {found.certainty})")
        for note in found.notes:
            click.echo(f"note: {note}", err=True)
        for problem in problems:
            click.echo(f"the file {problem}", err=True)
        for position, reason in rejected[:_MOST_SHOWN]:
            click.echo(f"{place} {position}: {reason}", err=True)
        if len(rejected) > _MOST_SHOWN:
            click.echo(f"and {len(rejected) - _MOST_SHOWN:,} more; --json lists them", err=True)
    if problems or rejected:
        sys.exit(EXIT_INCOMPLETE)


def _wrong(problems: Sequence[str], rejected: Sequence[Rejected], place: str) -> dict[str, Any]:
    listed = [{place: position, "reason": reason} for position, reason in rejected]
    return {"problems": problems, "rejected": listed} if place else {}


def _data(found: JobEstimate) -> dict[str, Any]:
    deployment = found.deployment
    return {
        "model": deployment.model,
        "version": deployment.version,
        "sku": deployment.sku,
        "region": deployment.region,
        "on": found.on,
        "usage": [
            {"meter": meter, "modality": modality, "variant": variant, "quantity": quantity}
            for (meter, modality, variant), quantity in found.usage.items()
        ],
        "cost": found.amount,
        "low": found.low,
        "high": found.high,
        "currency": found.currency,
        "certainty": found.certainty,
        "price_certainty": found.cost.certainty,
        "notes": found.notes,
    }
