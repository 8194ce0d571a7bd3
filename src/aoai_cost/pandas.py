"""The accessor ``df.aoai`` of pandas DataFrames; ``import aoai_cost.pandas`` is what registers it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from .catalog import Deployments
from .prices import PriceBook
from .report import CostReport, cost_report
from .tokens.text import choose_encoding

__all__ = ["AoaiAccessor"]


@pd.api.extensions.register_dataframe_accessor("aoai")
class AoaiAccessor:
    """Tokens and costs of the rows of a DataFrame, as ``df.aoai``."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame

    def tokens(
        self, column: str, *, model: str | None = None, encoding: str | None = None, threads: int = 1
    ) -> pd.Series[int]:
        """Count the tokens of each text in a column.

        Parameters
        ----------
        column : str
        model, encoding : str
            One of the two, as `count_tokens` takes them.
        threads : int
            How many threads share the work; the counts do not depend on it.

        Returns
        -------
        Series of Int64
            With the index of the frame; NA where there is no text, which is not the same as a text without tokens.

        Raises
        ------
        KeyError
            If there is no such column.
        TypeError
            If something in it is neither a text nor missing.
        RequestError, UnknownNameError
            As `count_tokens`.

        Examples
        --------
        >>> import aoai_cost.pandas
        >>> frame = pd.DataFrame({"prompt": ["How much is the fish?", None, ""]})
        >>> frame.aoai.tokens("prompt", model="gpt-4o").tolist()
        [6, <NA>, 0]
        """
        chosen = choose_encoding(model, encoding)
        texts = self._frame[column]
        if texts.ndim != 1:
            raise TypeError(f"there are {texts.shape[1]} columns of that name, not one")
        counts = pd.Series(pd.NA, index=texts.index, name=column, dtype="Int64")
        there = texts.notna().to_numpy()
        counts[there] = chosen.count_batch(texts[there], threads=threads)
        return counts

    def cost(
        self,
        *,
        columns: Mapping[str, str],
        deployments: Deployments | str | os.PathLike[str] | None = None,
        prices: PriceBook | None = None,
        by: Sequence[str] = ("deployment",),
        every: Literal["month", "day"] = "month",
        **reading: Any,
    ) -> CostReport:
        """Price the calls that are the rows of the frame; the same as ``cost_report(frame, columns=columns, ...)``.

        Parameters
        ----------
        columns : mapping of str to str
            Which column holds what: ``{"prompt_tokens": "in_tok", "timestamp": "when"}``; see `read_usage`.
        deployments, prices, by, every
            As `cost_report`.
        **reading
            What else tells how to read the frame: deployment, resource, since, until, strict, rejects.

        Raises
        ------
        UsageFormatError, RequestError, DeploymentsError
            As `cost_report`.

        Examples
        --------
        >>> from aoai_cost import Deployment, Deployments
        >>> calls = pd.DataFrame({"when": ["2026-10-14T02:03:59Z"], "in_tok": [1_000_000], "name": ["chat"]})
        >>> columns = {"timestamp": "when", "prompt_tokens": "in_tok", "deployment": "name"}
        >>> chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
        >>> calls.aoai.cost(columns=columns, deployments=Deployments([chat])).total
        Decimal('2.5')
        """
        return cost_report(
            self._frame, columns=columns, deployments=deployments, prices=prices, by=by, every=every, **reading
        )
