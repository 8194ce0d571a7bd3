"""``aoai-cost count``."""

from __future__ import annotations

import click

from .output import command, print_json, print_table, read_text

__all__ = ["count"]


@click.command()
@click.argument("files", nargs=-1)
@click.option("--text", "texts", multiple=True, help="Count this text; may be given more than once.")
@click.option("--model", help="Count as this model does.")
@click.option("--encoding", help="Count in this encoding.")
@command
def count(
    files: tuple[str, ...], texts: tuple[str, ...], model: str | None, encoding: str | None, as_json: bool
) -> None:
    """Count the tokens of texts, of UTF-8 FILES, or of stdin (-).

    \b
    Example:
      aoai-cost count --model gpt-4o --text "How much is the fish?"
    """
    from ..catalog import get_model
    from ..tokens import count_tokens

    if (model is None) == (encoding is None):
        raise click.UsageError("give either --model or --encoding")
    if not files and not texts:
        raise click.UsageError("give FILES, - for stdin, or --text")
    if files.count("-") > 1:
        raise click.UsageError("stdin (-) can be read once")
    found = [(f"text {i}", count_tokens(text, model=model, encoding=encoding)) for i, text in enumerate(texts, 1)]
    found += [(path, count_tokens(read_text(path), model=model, encoding=encoding)) for path in files]
    total = sum(tokens for _, tokens in found)
    known = None
    if model is not None:
        facts = get_model(model)
        encoding, known = facts.encoding, facts.encoding_known
        if known == "assumed":
            click.echo(f"note: nobody publishes the encoding of {facts.name}; it is assumed to be {encoding}", err=True)
    if as_json:
        counts = [{"source": source, "tokens": tokens} for source, tokens in found]
        print_json({"model": model, "encoding": encoding, "encoding_known": known, "counts": counts, "total": total})
        return
    if len(found) == 1:
        click.echo(total)
        return
    print_table(("Source", "Tokens"), [*((s, f"{n:,}") for s, n in found), ("total", f"{total:,}")], numeric=(1,))
