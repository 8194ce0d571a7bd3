"""Token counts as a column of a Spark DataFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ..errors import MissingExtraError
from ..tokens import get_encoding
from ..tokens.text import choose_encoding

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["count_tokens"]


def count_tokens(column: Column | str, *, model: str | None = None, encoding: str | None = None) -> Column:
    """Return a column with the number of tokens of each text.

    Parameters
    ----------
    column : Column or str
        A column of strings, or its name. Special-token text counts as the ordinary text it is.
    model, encoding : str
        Exactly one of them.

    Returns
    -------
    Column of long
        Null where the text is null. The vocabulary loads once in a Python worker.

    Raises
    ------
    RequestError, UnknownNameError
        At once, before any job: as `aoai_cost.count_tokens` does.
    MissingExtraError
        If PySpark is not installed.
    TypeError
        In the job, wrapped by Spark: if the column holds something else than strings.
    """
    counter = _Counter(choose_encoding(model, encoding).name)
    try:
        from pyspark.sql.functions import pandas_udf
    except ImportError:
        raise MissingExtraError("spark") from None
    counted: Column = pandas_udf(counter.count_tokens, returnType="long")(column)
    return counted


class _Counter:
    """Counts the texts of a column; it is pickled as the name of this class and that of the encoding."""

    def __init__(self, encoding: str) -> None:
        self.encoding = encoding

    # PySpark tells by these annotations what kind of function it is, and names the column after it.
    def count_tokens(self, texts: pd.Series) -> pd.Series:
        told = texts.notna()
        counts = pd.Series(pd.NA, index=texts.index, dtype="Int64")
        counts[told] = get_encoding(self.encoding).count_batch(texts[told])
        return counts
