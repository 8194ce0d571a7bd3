"""``aoai-cost tokens``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import options
from .output import command, print_json, print_rich, read_text, shown_path

if TYPE_CHECKING:
    from ..tokens.encoding import TokenSplit

__all__ = ["tokens"]

_COLOURS = ("on rgb(52,84,140)", "on rgb(140,92,36)", "on rgb(46,104,68)", "on rgb(130,54,74)", "on rgb(88,68,130)")
_PAGE_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 2rem 1.25rem; max-width: 72rem; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.1rem; font-weight: 600; }
"""


@click.command()
@click.argument("file")
@click.option("--model", help="Cut as this model does.")
@click.option("--encoding", help="Cut in this encoding.")
@click.option("--html", type=click.Path(dir_okay=False), callback=options.output_path, help="Write a page instead.")
@command
def tokens(file: str, model: str | None, encoding: str | None, html: str | None, as_json: bool) -> None:
    """Show where the tokens of a UTF-8 FILE, or of stdin (-), begin and end.

    Tokens that share a character are shown as one, with a mark.

    \b
    Example:
      aoai-cost tokens examples/request.json --model gpt-4o --html tokens.html
    """
    from ..tokens import encoding_for_model, get_encoding

    if (model is None) == (encoding is None):
        raise click.UsageError("give either --model or --encoding")
    if html is not None and file != "-" and Path(html).resolve() == Path(file).resolve():
        raise click.UsageError(f"{html} is what would be shown, and would be overwritten")
    chosen = encoding_for_model(model) if model is not None else get_encoding(str(encoding))
    text = read_text(file)
    split = chosen.split_tokens(text)
    title = f"{len(split.tokens):,} tokens of {shown_path(file)} in {chosen.name}"
    if html is not None:
        _write_page(split, title, html)
    elif as_json:
        ids = chosen.encode_ordinary(text)
        found = [
            {"id": number, "offset": offset, "bytes": spelled.hex(), "text": spelled.decode("utf-8", "replace")}
            for number, offset, spelled in zip(ids, split.offsets, split.tokens, strict=True)
        ]
        print_json({"source": file, "encoding": chosen.name, "count": len(ids), "tokens": found})
    else:
        _print_tokens(split)
        click.echo(title, err=True)


def _write_page(split: TokenSplit, title: str, path: str) -> None:
    from .. import markup
    from ..whole_file import write_whole

    body = markup.element("h1", markup.text(title)) + markup.tokens(split.tokens)
    write_whole(path, markup.page(title, _PAGE_STYLE + markup.TOKEN_STYLE, body).encode())
    click.echo(f"wrote {path}", err=True)


def _print_tokens(split: TokenSplit) -> None:
    """Print the text with every token on a ground of its own colour; where there is no colour, with bars between."""
    from rich.console import Console
    from rich.text import Text

    from ..markup import whole_characters
    from ..render.words import plain

    coloured = Console().color_system is not None
    shown = Text()
    first = 0
    for group in whole_characters(split.tokens):
        # Lines stay lines; whatever else could move the cursor is escaped.
        text = "\n".join(map(plain, b"".join(group).decode("utf-8", "replace").split("\n")))
        mark = "" if len(group) == 1 else f"({len(group)})"
        shown.append(text + mark, _COLOURS[first % len(_COLOURS)] if coloured else "")
        if not coloured:
            shown.append("|")
        first += len(group)
    print_rich(shown)
