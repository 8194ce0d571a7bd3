"""``%%tokens``: what a text is in tokens. IPython is loaded by whoever runs a notebook, never by importing this."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from .. import markup
from ..catalog import get_model
from ..errors import AoaiCostError, MissingPriceError
from ..prices import PriceBook, Rate
from ..tokens import encoding_for_model
from ..tokens.encoding import TokenSplit

__all__ = ["TextTokens", "load_ipython_extension", "text_tokens"]

_MODEL = "gpt-4o"
_SKU = "GlobalStandard"
_SHOWN_TOKENS = 2_000
_OPTION = re.compile(r"\s*(?:(?:-m|--model)(?:\s+|=)(\S+)\s*)?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TextTokens:
    """The tokens of a text for one model, and what input costs there; ``rate`` is None where no price is known."""

    model: str
    encoding: str
    split: TokenSplit
    rate: Rate | None

    @property
    def count(self) -> int:
        """How many tokens the text has."""
        return len(self.split.tokens)

    @property
    def cost(self) -> Decimal | None:
        """What they cost as input."""
        return None if self.rate is None else self.rate.cost(self.count)

    def __str__(self) -> str:
        counted = f"{self.count:,} token{'s' if self.count != 1 else ''} for {self.model} ({self.encoding})"
        if self.rate is None:
            return f"{counted}; no input price is known"
        price = f"{self.rate.amount:f} {self.rate.currency} per {self.rate.unit}"
        return f"{counted}; input at {price} ({_SKU}): {markup.amount(self.rate.cost(self.count))} {self.rate.currency}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = self.split.tokens[:_SHOWN_TOKENS]
        style = markup.element("style", markup.TOKEN_STYLE)
        cut = f"the first {_SHOWN_TOKENS:,} tokens" if self.count > _SHOWN_TOKENS else ""
        return markup.result(str(self), style, markup.tokens(shown), markup.element("p", cut) if cut else "")


def text_tokens(text: str, model: str = _MODEL, *, on: date | None = None) -> TextTokens:
    """Cut a text into the tokens of a model, and find the price of its input.

    Parameters
    ----------
    text : str
    model : str
    on : date, optional
        The day whose price counts; by default today in UTC.

    Raises
    ------
    UnknownNameError, RequestError
        As `encoding_for_model`.

    Examples
    --------
    >>> text_tokens("How much is the fish?", on=date(2026, 10, 15))
    6 tokens for gpt-4o (o200k_base); input at 2.5 USD per 1M tokens (GlobalStandard): 0.000015 USD
    """
    encoding, found = encoding_for_model(model), get_model(model)
    day = on if on is not None else datetime.now(UTC).date()
    rate = None
    try:
        book = PriceBook.current()
        rate = book.rate(model=found.name, version=found.version, sku=_SKU, meter="input", on=day)
    except MissingPriceError:
        pass  # said by the result
    return TextTokens(found.name, encoding.name, encoding.split_tokens(text), rate)


def load_ipython_extension(shell: Any) -> None:
    """Give a notebook the magics ``%tokens [-m MODEL] text`` and ``%%tokens [-m MODEL]`` (``%load_ext aoai_cost``)."""
    shell.register_magic_function(_tokens, "line_cell", "tokens")


def _tokens(line: str, cell: str | None = None) -> TextTokens:
    """Show the tokens of a text in colours, how many they are, and what input costs.

    %tokens [-m MODEL] text of this line
    %%tokens [-m MODEL]
    all lines below, without the last line end

    MODEL is gpt-4o where none is given.
    """
    from IPython.core.error import UsageError

    model, text = _OPTION.findall(line)[0]
    if cell is not None:
        if text:
            raise UsageError("%%tokens takes -m MODEL and nothing else on its line; the text stands below it")
        text = cell.removesuffix("\n")
    elif not model and text.split(maxsplit=1)[:1] in (["-m"], ["--model"]):
        raise UsageError("-m needs the name of a model: %tokens -m gpt-4o and then the text")
    try:
        return text_tokens(text, model or _MODEL)
    except AoaiCostError as error:
        raise UsageError(str(error)) from None
