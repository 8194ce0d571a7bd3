"""The magics of a notebook, run by IPython itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from test_public import loaded_by

from aoai_cost import PriceBook, count_tokens
from aoai_cost.notebook.magic import TextTokens, text_tokens

DAY = datetime(2026, 10, 15, tzinfo=UTC).date()


@pytest.fixture
def shell(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path_factory.mktemp("ipython")))
    made = InteractiveShell()
    made.run_line_magic("load_ext", "aoai_cost")
    yield made
    made.history_manager.end_session()


def test_a_cell_is_counted_without_its_last_line_end(shell: InteractiveShell) -> None:
    shown = shell.run_cell_magic("tokens", "-m gpt-4", "How much\nis the fish?\n")
    assert isinstance(shown, TextTokens)
    assert b"".join(shown.split.tokens) == b"How much\nis the fish?"
    assert (shown.model, shown.encoding) == ("gpt-4", "cl100k_base")
    assert shown.count == count_tokens("How much\nis the fish?", model="gpt-4")


@pytest.mark.parametrize(
    ("line", "model", "text"),
    [
        ("How much is the fish?", "gpt-4o", "How much is the fish?"),
        ("-m gpt-4 How much?", "gpt-4", "How much?"),
        ("--model=gpt-4 -m is text here", "gpt-4", "-m is text here"),
        ("text -m gpt-4", "gpt-4o", "text -m gpt-4"),
        ("", "gpt-4o", ""),
    ],
)
def test_a_line_is_counted(shell: InteractiveShell, line: str, model: str, text: str) -> None:
    shown = shell.run_line_magic("tokens", line)
    assert (shown.model, b"".join(shown.split.tokens).decode()) == (model, text)


@pytest.mark.parametrize(
    ("line", "cell", "reason"),
    [
        ("-m gpt-4oo", "text", "unknown model 'gpt-4oo'; did you mean"),
        ("-m dall-e-3", "text", "no text encoding"),
        ("-v", "text", "takes -m MODEL and nothing else"),
        ("-m", "text", "takes -m MODEL and nothing else"),
        ("-m", None, "-m needs the name of a model"),
    ],
)
def test_what_cannot_be_meant_is_said(shell: InteractiveShell, line: str, cell: str | None, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        shell.run_line_magic("tokens", line) if cell is None else shell.run_cell_magic("tokens", line, cell)


def test_the_price_is_that_of_the_book() -> None:
    shown = text_tokens("hello " * 1000, on=DAY)
    rate = PriceBook.bundled().rate(model="gpt-4o", version="2024-11-20", sku="GlobalStandard", meter="input", on=DAY)
    assert shown.rate == rate
    assert shown.cost == shown.count * rate.amount / Decimal(1_000_000)
    assert f"{shown.count:,} tokens for gpt-4o (o200k_base); input at 2.5 USD per 1M tokens" in str(shown)
    unknown = text_tokens("hello", "text-davinci-003", on=DAY)
    assert (unknown.rate, unknown.cost) == (None, None)
    assert str(unknown) == "1 token for text-davinci-003 (p50k_base); no input price is known"


def test_the_tokens_are_shown_in_colours_and_escaped() -> None:
    shown = text_tokens("<script>alert(1)</script> \u6f22\n" + "a b " * 5_000, on=DAY)
    html = shown._repr_html_()
    assert "<script" not in html
    assert "the first 2,000 tokens" in html
    spans = re.findall(r'<span class="t\d', html)
    assert 1_900 < len(spans) <= 2_000
    words = re.sub(r"<style>.*?</style>|<[^>]*>", "", html, flags=re.DOTALL)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; \u6f22" in words


def test_the_library_loads_ipython_only_when_asked() -> None:
    loaded = loaded_by("import aoai_cost, aoai_cost.notebook; aoai_cost.load_ipython_extension")
    assert not loaded & {"IPython", "ipywidgets", "pandas", "altair"}
