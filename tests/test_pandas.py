"""The accessor of DataFrames: what it counts and prices is what the functions do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_public import loaded_by

import aoai_cost.pandas
from aoai_cost import Deployment, Deployments, RequestError, UsageFormatError, cost_report, count_tokens

TEXTS = ["How much is the fish?", None, "", "\u6f22\u5b57", "How much is the fish?"]


@pytest.mark.parametrize("dtype", [object, "str", "string", "category", pd.ArrowDtype(pa.large_string())], ids=str)
def test_tokens_of_a_column(dtype: Any) -> None:
    frame = pd.DataFrame({"prompt": pd.Series(TEXTS, dtype=dtype)}).set_axis([7, 7, "a", None, 9.5])
    counts = frame.aoai.tokens("prompt", model="gpt-4o", threads=2)
    assert counts.index.equals(frame.index)
    assert (counts.name, str(counts.dtype)) == ("prompt", "Int64")
    expected = [pd.NA if text is None else count_tokens(text, model="gpt-4o") for text in TEXTS]
    assert counts.tolist() == expected
    assert counts.sum() == sum(count_tokens(text, encoding="o200k_base") for text in TEXTS if text)


def test_nothing_and_no_rows_are_counted_too() -> None:
    empty = pd.DataFrame({"prompt": pd.Series([], dtype=object)})
    assert empty.aoai.tokens("prompt", encoding="cl100k_base").dtype == "Int64"
    missing = pd.DataFrame({"prompt": [np.nan, pd.NA, None, pd.NaT]})
    assert missing.aoai.tokens("prompt", encoding="cl100k_base").isna().all()


def test_what_cannot_be_counted_is_an_error() -> None:
    frame = pd.DataFrame({"prompt": ["a", 3]})
    with pytest.raises(TypeError, match="text 1 is int, not str"):
        frame.aoai.tokens("prompt", model="gpt-4o")
    with pytest.raises(KeyError, match="nowhere"):
        frame.aoai.tokens("nowhere", model="gpt-4o")
    with pytest.raises(RequestError, match="either a model or an encoding"):
        frame.aoai.tokens("prompt")
    with pytest.raises(TypeError, match="2 columns of that name"):
        pd.DataFrame([["a", "b"]], columns=["p", "p"]).aoai.tokens("p", model="gpt-4o")


def test_the_cost_is_that_of_a_report() -> None:
    calls = pd.DataFrame(
        {
            "when": pd.to_datetime(["2026-10-14 02:03:59", "2026-11-01 00:00:00", None], utc=True),
            "in_tok": pd.array([1_000_000, 7, 1], dtype="Int64"),
            "name": ["chat", "chat", "other"],
        }
    )
    columns = {"timestamp": "when", "prompt_tokens": "in_tok", "deployment": "name"}
    known = Deployments([Deployment("c", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")])
    report = calls.aoai.cost(columns=columns, deployments=known, by=["model"], every="day", resource="c")
    same = cost_report(calls, columns=columns, deployments=known, by=["model"], every="day", resource="c")
    pd.testing.assert_frame_equal(report.frame, same.frame)
    assert report.total == same.total > 2
    assert (report.requests, len(report.unpriced)) == (3, 1)
    with pytest.raises(UsageFormatError, match="column 'nowhere'"):
        calls.aoai.cost(columns={"prompt_tokens": "nowhere"})


def test_only_the_accessor_loads_pandas() -> None:
    assert "pandas" not in loaded_by("import aoai_cost")
    assert "aoai_cost.pandas" not in loaded_by("import pandas, aoai_cost; aoai_cost.cost_report")
    assert aoai_cost.pandas.AoaiAccessor is type(pd.DataFrame().aoai)
