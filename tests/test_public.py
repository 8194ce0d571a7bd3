"""The package's face: what it offers, and what it does not load."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import date
from decimal import Decimal

import pytest

import aoai_cost
from aoai_cost import errors

HEAVY = {"pandas", "numpy", "PIL", "tiktoken", "rich", "click", "pyarrow", "requests", "regex", "urllib3"}


def loaded_by(code: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after running `code`."""
    program = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_every_public_name_is_there() -> None:
    assert [name for name in aoai_cost.__all__ if not hasattr(aoai_cost, name)] == []
    assert dir(aoai_cost) == sorted(aoai_cost.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = aoai_cost.no_such_name


def test_importing_loads_nothing_heavy() -> None:
    assert not loaded_by("import aoai_cost") & HEAVY


def test_counting_a_text_loads_nothing_heavy() -> None:
    code = "import aoai_cost; assert aoai_cost.count_tokens('Hello world', model='gpt-4o') == 2"
    assert not loaded_by(code) & HEAVY


def test_an_estimate_does_not_load_pandas() -> None:
    code = """
import datetime, aoai_cost
chat = aoai_cost.Deployment("account", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 10}
assert aoai_cost.estimate_request(body, chat, on=datetime.date(2026, 10, 1)).input_tokens == 8
"""
    assert not loaded_by(code) & {"pandas", "tiktoken", "rich", "click"}


def test_watching_a_client_loads_neither_pandas_nor_the_sdk() -> None:
    assert not loaded_by("from aoai_cost import Budget, watch") & {"pandas", "tiktoken", "openai", "httpx", "httpx2"}


EXAMPLES = [
    errors.UnknownNameError("model", "gpt-4oo", ["gpt-4o"]),
    errors.MissingPriceError(
        model="gpt-4o",
        version=None,
        meter="input",
        modality="text",
        sku="Standard",
        region=None,
        tier="default",
        band="short",
        on=date(2026, 1, 1),
        covered="the sheets cover it from 2026-12-01",
    ),
    errors.VocabularyError("o200k_base", "somewhere", "is absent"),
    errors.PriceSheetError("my.toml", "rate 3", "has no price"),
    errors.DeploymentsError("d.toml", "deployment 1", "has no sku"),
    errors.LedgerError("spent.jsonl", "line 3", "is no line of a ledger"),
    errors.BillError("bill.csv", "", "has no column for the cost"),
    errors.UsageFormatError("log.json", "is empty", 3, "time"),
    errors.LogFormatError("their-logs", "theirs = their_logs:FORMAT", "it cannot be loaded"),
    errors.RequestError("messages[0].role", "must be a text"),
    errors.ImageError("photo.png", "is truncated"),
    errors.RefreshError("https://example.invalid", 429, "too many requests"),
    errors.BudgetExceeded(Decimal("0.2"), Decimal("0.1"), "this request"),
    errors.MissingExtraError("report"),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_errors_survive_pickling(error: errors.AoaiCostError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_every_error_has_an_example_here() -> None:
    named = {getattr(errors, name) for name in errors.__all__} - {errors.AoaiCostError}
    assert {type(error) for error in EXAMPLES} == named


@pytest.mark.parametrize(
    ("error", "parent"),
    [
        ("UnknownNameError", LookupError),
        ("UnknownNameError", KeyError),  # as tiktoken for a model
        ("UnknownNameError", ValueError),  # and for an encoding
        ("MissingPriceError", LookupError),
        ("VocabularyError", OSError),
        ("PriceSheetError", ValueError),
        ("DeploymentsError", ValueError),
        ("LedgerError", ValueError),
        ("BillError", ValueError),
        ("UsageFormatError", ValueError),
        ("LogFormatError", ImportError),
        ("RequestError", ValueError),
        ("ImageError", ValueError),
        ("RefreshError", OSError),
        ("BudgetExceeded", RuntimeError),
        ("MissingExtraError", ImportError),
    ],
)
def test_errors_derive_from_the_built_in_a_caller_expects(error: str, parent: type[Exception]) -> None:
    assert issubclass(getattr(errors, error), (errors.AoaiCostError,))
    assert issubclass(getattr(errors, error), parent)


def test_an_error_names_the_argument_that_was_wrong() -> None:
    assert str(errors.RequestError("messages[0].role", "must be a text")) == "messages[0].role: must be a text"
    assert str(errors.RequestError("a\x1b[2J\ud800", "is odd")) == r"'a\x1b[2J\ud800': is odd"


def test_messages_stay_short_whatever_they_quote() -> None:
    megabyte = "secret " * 150_000
    for error in (
        errors.UnknownNameError("model", megabyte, [megabyte[:50]]),
        errors.RequestError(megabyte, "is too long"),
        errors.ImageError(megabyte, "is not an image"),
        errors.UsageFormatError(megabyte, "is not a log"),
    ):
        assert len(str(error)) < 2000
