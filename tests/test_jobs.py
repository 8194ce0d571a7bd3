"""Whole jobs priced before they start: by hand, by the vendor's own examples, and by what must hold."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import aoai_cost.jobs.job
import aoai_cost.jobs.training
from aoai_cost import (
    Deployment,
    MissingPriceError,
    PriceBook,
    RequestError,
    TrainingEstimate,
    estimate_embeddings,
    estimate_image_generation,
    estimate_reinforcement,
    estimate_speech,
    estimate_training,
    estimate_transcription,
)
from aoai_cost.cli import main

ROOT = Path(__file__).resolve().parent.parent
DAY = date(2026, 9, 1)
TUNE = Deployment("contoso", "tune", "gpt-4.1", version="2025-04-14", sku="GlobalStandard")
EMBED = Deployment("contoso", "embed", "text-embedding-3-large", version="1", sku="GlobalStandard")
SECRET = "the quick brown secret"


def line(*messages: dict[str, Any], **more: Any) -> str:
    return json.dumps({"messages": list(messages), **more})


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


# 4 tokens and one of text for each message, and 3 that ask for an answer.
PAIR = line(said("user", "Hello"), said("assistant", "Hello"))
PAIR_TOKENS = 13


def train(source: Any, deployment: Deployment = TUNE, **more: Any) -> TrainingEstimate:
    return estimate_training(source, deployment, on=DAY, **more)


def test_a_training_job_is_tokens_times_epochs_times_price() -> None:
    job = train([PAIR] * 10, epochs=3)
    assert (job.lines, job.examples, job.rejected_lines, job.problems) == (10, 10, 0, ())
    assert (job.tokens, job.token_bounds, job.epochs) == (130, (100, 130), 3)
    assert dict(job.usage) == {("training", "text", ""): 390}
    assert job.amount == job.high == 390 * Decimal("0.000025")
    assert job.low == 300 * Decimal("0.000025")
    assert (job.currency, job.certainty, job.accepted) == ("USD", "estimated", True)


def test_the_worked_example_of_microsofts_page(tmp_path: Path) -> None:
    """500 pairs of a million tokens, 2 epochs, 2 dollars a million: 4 dollars; the validation file costs nothing."""
    sheet = tmp_path / "page.toml"
    sheet.write_text(
        'currency = "USD"\n[source.page]\ntitle = "fine-tuning-cost-management.md"\n[[rate]]\nmodel = "gpt-4.1"\n'
        'version = "2025-04-14"\nsku = "GlobalStandard"\nfine_tuned = "ft"\n'
        'from = 2026-01-01\nsource = "page"\nprice.training = "2.00"\n',
        "utf-8",
    )
    # 4 + 1,000 and 4 + 989 tokens, and 3 that ask.
    pair = line(said("user", "hello" + " hello" * 999), said("assistant", "hello" + " hello" * 988))
    job = train([pair] * 500, epochs=2, prices=PriceBook.read(sheet))
    assert (job.tokens, job.amount) == (1_000_000, 4)


def test_the_example_of_the_cookbook() -> None:
    """Its five conversations: 26 to 8,032 tokens, the longest cut at 4,096, 4,306 in all, 20 epochs, 86,120 trained."""
    happy = said("system", "You are a happy assistant that puts a positive spin on everything.")
    old = Deployment("contoso", "tune", "gpt-35-turbo", version="0613", sku="Standard", region="northcentralus")
    bike = [happy, said("user", "I fell off my bike today.")]
    bike.append(said("assistant", "It's great that you're getting exercise outdoors!"))
    golf = [happy, said("user", "I lost my tennis match today."), said("assistant", "It's ok, it happens to everyone.")]
    golf += [said("user", "But I trained so hard!"), said("assistant", "It will pay off next time.")]
    golf += [said("user", "I'm going to switch to golf."), said("assistant", "Golf is fun too!")]
    golf += [said("user", "I don't even know how to play golf."), said("assistant", "It's easy to learn!")]
    book = [said("user", "I lost my book today.")]
    book.append(said("assistant", "You can read everything on ebooks these days!"))
    great = [happy, said("assistant", "You're great!")]
    banana = [happy, said("user", "I'm hungry."), said("assistant", "Eat a banana!" * 2000)]
    job = train([line(*one) for one in (bike, golf, book, great, banana)], old)
    assert (job.tokens, job.epochs, job.usage["training"], job.cut_examples) == (4_306, 20, 86_120, 1)
    assert job.problems == ("has 5 examples; the service trains on at least 10",)
    assert train([line(*book)], old).tokens == 26


@pytest.mark.parametrize(
    ("examples", "epochs"), [(10, 10), (12, 8), (33, 3), (34, 3), (8_333, 3), (8_334, 2), (12_501, 1), (30_000, 1)]
)
def test_epochs_that_are_not_given_are_those_of_the_cookbook(examples: int, epochs: int) -> None:
    job = train([PAIR] * examples)
    assert job.epochs == epochs
    assert any("cookbook derives" in note for note in job.notes)
    assert not any("cookbook derives" in note for note in train([PAIR], epochs=1).notes)


def test_tools_and_weights_are_part_of_an_example() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "stock", "arguments": "{}"}}
    told = [said("user", "Cod?"), said("assistant", None, tool_calls=[call])]
    told += [said("tool", "3", tool_call_id="1"), said("assistant", "Three.")]
    tool = {"type": "function", "function": {"name": "stock", "parameters": {"type": "object", "properties": {}}}}
    bare, tools = train([line(*told)]), train([line(*told, tools=[tool], parallel_tool_calls=False)])
    assert (bare.rejected, tools.rejected) == ((), ())
    assert tools.tokens > bare.tokens
    heavy = [said("user", "Hello"), said("assistant", "Hello", weight=1)]
    light = [said("user", "Hello"), said("assistant", "Hello", weight=0)]
    assert train([line(*heavy)]).tokens == train([line(*light)]).tokens == PAIR_TOKENS


def test_an_image_by_address_leaves_a_range() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.invalid/a.png"}}
    job = train([line(said("user", [image]), said("assistant", "A cat."))])
    assert job.rejected == ()
    least, most = job.token_bounds
    assert most is not None
    assert most - least == 1445 - 255 + 3


U, A = said("user", "Hello"), said("assistant", "Hello")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param("{", "is not JSON (at character 2)", id="half an object"),
        pytest.param(SECRET, "is not JSON (at character", id="plain text"),
        pytest.param(b"\xff\xfe{\x00", "is not UTF-8 text", id="another encoding"),
        pytest.param("\ufeff" + PAIR, "is not JSON", id="a byte-order mark within the file"),
        pytest.param("[]", "is no JSON object", id="a list"),
        pytest.param("{}", "messages is missing", id="no messages"),
        pytest.param(line(), "messages is missing", id="no message"),
        pytest.param(json.dumps({"messages": SECRET}), "messages is missing", id="messages that are a text"),
        pytest.param(
            json.dumps({"messages": [SECRET]}), "messages[0] is no JSON object", id="a message that is a text"
        ),
        pytest.param(line(U, A, extra=1), "has a key 'extra'", id="an unknown key"),
        pytest.param(line(U, A, **{SECRET: 1}), "has a key, which", id="a key that is a text"),
        pytest.param(json.dumps({"prompt": "a", "completion": "b"}), "has a key 'prompt'", id="the old format"),
        pytest.param(
            json.dumps({"input": {}, "preferred_output": [], "non_preferred_output": []}), "(DPO)", id="preferences"
        ),
        pytest.param(line(said(SECRET, "Hello"), A), "messages[0] has no role", id="an unknown role"),
        pytest.param(line({"content": "Hello"}, A), "messages[0] has no role", id="no role"),
        pytest.param(line({"role": [], "content": "x"}, A), "messages[0] has no role", id="a role that is a list"),
        pytest.param(line(U, {"role": "assistant"}), "messages[1] has no content", id="no content"),
        pytest.param(line(said("user", ""), A), "messages[0] has no content", id="empty content"),
        pytest.param(line(said("user", 5), A), "neither a text nor a list", id="content that is a number"),
        pytest.param(line(said("user", [SECRET]), A), "content[0], of none", id="a part that is a text"),
        pytest.param(
            line(said("user", [{"type": "text", "text": [SECRET]}]), A), "content[0].text cannot", id="text in a list"
        ),
        pytest.param(line(said("user", "x", mood="y"), A), "a key 'mood'", id="an unknown key of a message"),
        pytest.param(line(said("user", "x", weight=1), A), "has a weight, which only", id="a weight of the user"),
        pytest.param(line(U, said("assistant", "x", weight=0.5)), "neither 0 nor 1", id="half a weight"),
        pytest.param(line(U, said("assistant", "x", weight=True)), "neither 0 nor 1", id="a true weight"),
        pytest.param(line(U), "has no message of the assistant", id="nobody answers"),
        pytest.param(line(U, said("tool", "x"), A), "has no tool_call_id", id="a result of no call"),
        pytest.param(line(said("user", "x", tool_calls=[1]), A), "only the assistant", id="a call of the user"),
        pytest.param(
            line(U, said("assistant", None, tool_calls=[{"function": {"name": "f", "arguments": {"a": SECRET}}}])),
            "arguments cannot be counted",
            id="arguments that are no text",
        ),
        pytest.param(line(U, A, tools=[]), "tools is no list, or empty", id="no tools"),
        pytest.param(line(U, A, tools=[{"type": "web_search"}]), "tools[0] is no function", id="a hosted tool"),
        pytest.param(
            line(said("user", [{"type": "image_url", "image_url": {"url": SECRET}}]), A),
            "image_url cannot be counted",
            id="an image from nowhere",
        ),
        pytest.param(
            line(said("user", [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]), A),
            "cannot be counted",
            id="an image that is none",
        ),
        pytest.param("  ", "is blank", id="blank"),
        pytest.param("[" * 100_000, "is not JSON", id="a deep nest"),
    ],
)
def test_a_bad_line_is_listed_with_its_number_and_without_its_text(bad: str | bytes, reason: str) -> None:
    job = train([PAIR, bad, PAIR])
    (rejected,) = job.rejected
    assert (rejected.position, job.examples, job.lines, job.tokens) == (2, 2, 3, 26)
    assert reason in rejected.reason
    assert SECRET not in rejected.reason
    assert len(rejected.reason) < 200
    assert (job.certainty, job.high, job.accepted) == ("lower_bound", None, False)
    with pytest.raises(RequestError) as raised:
        train([PAIR, bad, PAIR], strict=True)
    assert SECRET not in str(raised.value)
    assert raised.value.field == "line 2"


def test_marks_ends_of_lines_and_blank_lines_at_the_end_do_not_matter(tmp_path: Path) -> None:
    plain, dressed = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    plain.write_text(f"{PAIR}\n" * 10, "utf-8")
    dressed.write_bytes(b"\xef\xbb\xbf" + f"{PAIR}\r\n".encode() * 10 + b"\n  \r\n\n")
    one, two = train(plain), train(str(dressed))
    assert (one.lines, one.tokens, one.rejected) == (two.lines, two.tokens, two.rejected) == (10, 130, ())
    assert train(io.BytesIO(dressed.read_bytes())).tokens == 130
    assert train(["\ufeff" + PAIR]).rejected == ()


def test_blank_lines_before_an_example_are_rejected_each() -> None:
    job = train([PAIR, "", " \n", PAIR, ""])
    assert [one.position for one in job.rejected] == [2, 3]
    assert (job.lines, job.examples, job.rejected_lines) == (4, 2, 2)


@pytest.mark.parametrize("lines", [[], [""], ["\n"] * 5], ids=["nothing", "one blank", "blank"])
def test_an_empty_file_costs_nothing_and_is_not_accepted(lines: list[str]) -> None:
    job = train(lines)
    assert (job.lines, job.examples, job.amount) == (0, 0, 0)
    assert job.problems == ("has 0 examples; the service trains on at least 10",)
    with pytest.raises(RequestError, match="at least 10"):
        train(lines, strict=True)


def test_only_the_first_of_very_many_bad_lines_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aoai_cost.jobs.job, "_MOST_REJECTED", 4)
    job = train(["{", "", "", "", "", PAIR, "["])
    assert [one.position for one in job.rejected] == [1, 2, 3, 4]
    assert (job.lines, job.examples, job.rejected_lines) == (7, 1, 6)
    assert any("only the first 4" in note for note in job.notes)


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aoai_cost.jobs.training, "_LINE_BYTES", 150)
    file = tmp_path / "a.jsonl"
    file.write_text(f"{PAIR}\n{'x' * 1000}\n{PAIR}\n{'y' * 151}\n{'z' * 302}", "utf-8")
    for source in (file, file.read_bytes().splitlines(keepends=True)):
        job = train(source)
        assert [one.position for one in job.rejected] == [2, 4, 5]
        assert (job.lines, job.examples) == (5, 2)
        assert "not read" in job.rejected[0].reason


def test_a_file_that_is_too_large_is_counted_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aoai_cost.jobs.training, "_FILE_BYTES", 100)
    assert any("below 512 MB" in problem for problem in train([PAIR] * 10).problems)
    assert not any("trains" in problem for problem in train([PAIR] * 10, epochs=10**7).problems)
    assert train([PAIR] * 10, epochs=3 * 10**7).problems[-1].startswith("trains 3,000,000,000 tokens")


def test_long_examples_are_cut_at_the_documented_length() -> None:
    long = line(U, said("assistant", "hello" + " hello" * 70_000))
    job = train([long, PAIR])
    assert (job.tokens, job.cut_examples) == (65_536 + PAIR_TOKENS, 1)
    nano = train([long], replace(TUNE, model="gpt-4.1-nano"))
    assert (nano.tokens, nano.token_bounds) == (32_768, (32_768, 32_768))


def test_the_training_type_selects_the_price() -> None:
    developer = train([PAIR] * 10, replace(TUNE, sku="DeveloperTier"), epochs=1)
    assert (developer.deployment.fine_tuned, developer.amount) == ("dev_ft", 130 * Decimal("0.0000125"))
    regional = train([PAIR] * 10, replace(TUNE, sku="Standard", region="swedencentral"), epochs=1)
    assert regional.amount == 130 * Decimal("0.00003025")


def test_a_training_price_that_is_missing_is_an_error_before_the_file_is_read() -> None:
    def lines() -> Iterator[str]:
        raise AssertionError("read")
        yield

    with pytest.raises(MissingPriceError, match="training"):
        train(lines(), Deployment("contoso", "tune", "gpt-5", version="2025-08-07", sku="GlobalStandard"))


@pytest.mark.parametrize(
    ("source", "deployment", "more", "field"),
    [
        pytest.param([PAIR], TUNE, {"epochs": 0}, "epochs", id="no epochs"),
        pytest.param([PAIR], TUNE, {"epochs": True}, "epochs", id="true epochs"),
        pytest.param([PAIR], TUNE, {"epochs": 1.5}, "epochs", id="half epochs"),
        pytest.param(b"x", TUNE, {}, "source", id="bytes"),
        pytest.param(5, TUNE, {}, "source", id="a number"),
        pytest.param([5], TUNE, {}, "line 1", id="a line that is a number"),
        pytest.param([PAIR], EMBED, {}, "model", id="a model that is not trained"),
        pytest.param([PAIR], replace(TUNE, fine_tuned="rft"), {}, "deployment", id="reinforcement"),
    ],
)
def test_what_is_no_training_job_is_refused(source: Any, deployment: Deployment, more: Any, field: str) -> None:
    with pytest.raises(RequestError) as raised:
        train(source, deployment, **more)
    assert raised.value.field == field


EXAMPLES = st.lists(
    st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=3).map(
        lambda texts: line(*(said("user", text) for text in texts), A)
    ),
    max_size=6,
)


@given(lines=EXAMPLES, order=st.randoms(use_true_random=False))
def test_twice_the_file_is_twice_the_tokens_and_order_is_free(lines: list[str], order: Any) -> None:
    mixed = [*lines, "{", ""] if lines else []
    once, twice = train(mixed, epochs=2), train(mixed + mixed, epochs=2)
    order.shuffle(mixed)
    shuffled = train(mixed, epochs=2)
    assert twice.tokens == 2 * once.tokens
    assert twice.amount == 2 * once.amount
    assert (shuffled.tokens, shuffled.amount, shuffled.examples) == (once.tokens, once.amount, once.examples)
    for job in (once, twice, shuffled):
        assert job.examples + job.rejected_lines == job.lines
    for more in (train([*lines, PAIR], epochs=2), train(lines, epochs=3)):
        assert more.amount >= train(lines, epochs=2).amount


LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.floats(0, 1) | st.text(max_size=5)
KEYS = st.sampled_from(
    ["role", "content", "type", "text", "image_url", "url", "tool_calls", "function", "name", "arguments", "weight"]
) | st.text(max_size=3)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))


@given(messages=st.lists(TREES, max_size=3), tools=st.none() | st.lists(TREES, max_size=2))
def test_whatever_stands_in_a_line_it_is_counted_or_rejected(messages: list[Any], tools: Any) -> None:
    example = {"messages": [*messages, A]} | ({} if tools is None else {"tools": tools})
    job = train([json.dumps(example), json.dumps(messages)])
    assert job.examples + job.rejected_lines == job.lines == 2


def test_reinforcement_is_billed_by_the_hundredth_of_an_hour() -> None:
    """Four hours at 100 dollars: 400 dollars, as Microsoft's page has it."""
    tune = Deployment("contoso", "tune", "o4-mini", version="2025-04-16", sku="GlobalStandard")
    assert estimate_reinforcement(4 * 3600, tune, on=DAY).amount == 400
    assert estimate_reinforcement(4500, tune, on=DAY).amount == 125
    assert estimate_reinforcement(4517, tune, on=DAY).amount == 125
    assert estimate_reinforcement(4518, tune, on=DAY).amount == 126
    job = estimate_reinforcement(51 * 3600, tune, on=DAY)
    assert (job.amount, job.certainty) == (5100, "exact")
    assert any("5,000" in note for note in job.notes)
    with pytest.raises(RequestError, match="estimate_training"):
        estimate_reinforcement(60, replace(tune, fine_tuned="ft"), on=DAY)
    with pytest.raises(MissingPriceError):
        estimate_reinforcement(60, TUNE, on=DAY)


def test_embeddings_are_the_sum_of_the_texts() -> None:
    job = estimate_embeddings(["hello world", "hello"], EMBED, on=DAY)
    assert (job.texts, job.tokens, job.rejected, job.certainty) == (2, 3, (), "exact")
    assert job.amount == job.low == job.high == 3 * Decimal("0.00000013")


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(("a", "b c"), id="tuple"),
        pytest.param(iter(["a", "b c"]), id="iterator"),
        pytest.param(pd.Series(["a", "b c"], index=[7, 9]), id="Series"),
        pytest.param(pd.DataFrame({"text": ["a", "b c"]})["text"], id="column"),
        pytest.param(np.array(["a", "b c"], dtype=object), id="array"),
        pytest.param({"a": 1, "b c": 2}.keys(), id="keys"),
    ],
)
def test_texts_come_from_anything_that_yields_them(texts: Any) -> None:
    assert estimate_embeddings(texts, EMBED, on=DAY).tokens == 3


def test_an_arrow_array_is_read_as_a_list() -> None:
    class Array:
        """Gives what is no str one by one, as Arrow does."""

        def __iter__(self) -> Iterator[object]:
            return iter([object()])

        def to_pylist(self) -> list[str | None]:
            return ["a", "b c", None]

    job = estimate_embeddings(Array(), EMBED, on=DAY)  # type: ignore[arg-type]
    assert (job.tokens, job.rejected) == (3, ((2, "is no text, but NoneType"),))


def test_texts_that_the_service_refuses_are_listed_by_their_place() -> None:
    texts = ["a", "", " hello" * 8_193, None, float("nan"), b"a", ["a"], " hello" * 8_192]
    job = estimate_embeddings(texts, EMBED, on=DAY)  # type: ignore[arg-type]
    assert [one.position for one in job.rejected] == [1, 2, 3, 4, 5, 6]
    assert (job.texts, job.tokens, job.rejected_texts) == (2, 1 + 8_192, 6)
    assert {one.position: one.reason for one in job.rejected}[2] == "has 8,193 tokens; the model accepts at most 8,192"
    assert (job.certainty, job.high) == ("lower_bound", None)


def test_a_file_has_a_text_on_each_line(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_bytes(b"\xef\xbb\xbfhello world\r\n\r\nhello\n\xff\n  \nhello")
    job = estimate_embeddings(file, EMBED, on=DAY)
    assert (job.texts, job.tokens) == (3, 4)
    assert job.rejected == ((4, "is not UTF-8 text"),)


@pytest.mark.parametrize(
    "texts",
    ["a text", b"bytes", {"a": 1}, pd.DataFrame({"text": ["a"]}), 5, None],
    ids=["text", "bytes", "dict", "frame", "number", "None"],
)
def test_what_is_no_texts_is_refused(texts: Any) -> None:
    with pytest.raises(RequestError, match="texts"):
        estimate_embeddings(texts, EMBED, on=DAY)


def test_embeddings_of_a_model_that_makes_none_are_refused() -> None:
    with pytest.raises(RequestError, match="makes no embeddings"):
        estimate_embeddings(["a"], TUNE, on=DAY)
    with pytest.raises(MissingPriceError):
        estimate_embeddings([], replace(EMBED, sku="GlobalBatch"), on=DAY)


@given(texts=st.lists(st.text(max_size=30), max_size=5), threads=st.sampled_from([1, 3]))
def test_twice_the_texts_are_twice_the_tokens(texts: list[str], threads: int) -> None:
    once = estimate_embeddings(texts * 500, EMBED, on=DAY)
    twice = estimate_embeddings(iter(texts * 1000), EMBED, on=DAY, threads=threads)
    assert (twice.tokens, twice.amount) == (2 * once.tokens, 2 * once.amount)
    assert once.texts + once.rejected_texts == 500 * len(texts)


@pytest.mark.parametrize(
    ("size", "quality", "each"),
    [
        ("1024x1024", "standard", "0.044"),
        ("1024x1792", "standard", "0.088"),
        ("1792x1024", "standard", "0.088"),
        ("1024x1024", "hd", "0.088"),
        ("1024x1792", "hd", "0.132"),
        ("1792x1024", "hd", "0.132"),
    ],
)
def test_dall_e_3_is_priced_by_size_and_quality(size: str, quality: str, each: str) -> None:
    draw = Deployment("contoso", "draw", "dall-e-3", version="3.0", sku="Standard", region="eastus")
    job = estimate_image_generation(draw, size=size, quality=quality, n=7, on=DAY)
    assert job.amount == job.low == job.high == 7 * Decimal(each)
    assert job.certainty == "exact"


def test_dall_e_2_has_one_price() -> None:
    draw = Deployment("contoso", "draw", "dall-e-2", version="2.0", sku="Standard", region="eastus")
    for size in ("256x256", "512x512", "1024x1024"):
        assert estimate_image_generation(draw, size=size, quality="standard", on=DAY).amount == Decimal("0.02")


@pytest.mark.parametrize(
    ("quality", "square", "tall", "wide"),
    [("low", 272, 408, 400), ("medium", 1056, 1584, 1568), ("high", 4160, 6240, 6208)],
)
@pytest.mark.parametrize(("model", "million"), [("gpt-image-1", 40), ("gpt-image-1-mini", 8), ("gpt-image-1.5", 32)])
def test_gpt_images_are_priced_by_the_table(
    model: str, million: int, quality: str, square: int, tall: int, wide: int
) -> None:
    draw = Deployment("contoso", "draw", model, sku="GlobalStandard")
    for size, tokens in (("1024x1024", square), ("1024x1536", tall), ("1536x1024", wide)):
        job = estimate_image_generation(draw, size=size, quality=quality, n=2, on=DAY)
        assert dict(job.usage) == {("output", "image", ""): 2 * tokens}
        assert job.amount == job.low == 2 * tokens * Decimal(million) / 1_000_000
        # The prompt comes on top.
        assert (job.certainty, job.high) == ("lower_bound", None)
        assert any("prompt" in note for note in job.notes)


def test_auto_is_a_range() -> None:
    draw = Deployment("contoso", "draw", "gpt-image-1", sku="GlobalStandard")
    job = estimate_image_generation(draw, size="1024x1024", quality="auto", on=DAY)
    assert (job.low, job.amount) == (272 * Decimal("0.00004"), 4160 * Decimal("0.00004"))
    every = estimate_image_generation(draw, size="auto", quality="auto", on=DAY)
    assert (every.low, every.amount) == (job.low, 6240 * Decimal("0.00004"))


@pytest.mark.parametrize(
    ("model", "more", "field"),
    [
        pytest.param("gpt-image-2", {}, "model", id="no public formula"),
        pytest.param("gpt-4o", {}, "model", id="no image model"),
        pytest.param("gpt-image-1", {"quality": "hd"}, "quality", id="the quality of another model"),
        pytest.param("gpt-image-1", {"size": "512x512"}, "size", id="the size of another model"),
        pytest.param("dall-e-3", {"quality": "standard", "size": "auto"}, "size", id="a size that is not priced"),
        pytest.param("gpt-image-1", {"n": 0}, "n", id="no image"),
        pytest.param("gpt-image-1", {"n": True}, "n", id="true images"),
    ],
)
def test_what_is_no_image_job_is_refused(model: str, more: Any, field: str) -> None:
    draw = Deployment("contoso", "draw", model, sku="GlobalStandard")
    with pytest.raises(RequestError) as raised:
        estimate_image_generation(draw, **({"size": "1024x1024", "quality": "high", "on": DAY} | more))
    assert raised.value.field == field
    if model == "gpt-image-2":
        assert "no formula is public" in raised.value.reason


VOICE = Deployment("contoso", "voice", "tts", version="001", sku="GlobalStandard", region="swedencentral")
EARS = Deployment("contoso", "ears", "whisper", version="001", sku="GlobalStandard", region="swedencentral")


def test_speech_is_priced_by_the_character() -> None:
    job = estimate_speech("How much\nis the 🐟?", VOICE, on=DAY)
    assert dict(job.usage) == {("character", "text", ""): 18}
    assert job.amount == job.high == 18 * Decimal("0.000015")
    assert job.certainty == "exact"
    high_definition = estimate_speech("a" * 5_000, replace(VOICE, model="tts-hd"), on=DAY)
    assert high_definition.amount == 5_000 * Decimal("0.00003")
    assert any("4,096" in note for note in high_definition.notes)


def test_chinese_characters_may_count_twice() -> None:
    job = estimate_speech("你好 hello 𠀀", VOICE, on=DAY)
    assert (job.amount, job.high) == (10 * Decimal("0.000015"), 13 * Decimal("0.000015"))
    assert job.certainty == "estimated"


@pytest.mark.parametrize("model", ["gpt-4o-mini-tts", "gpt-4o"])
def test_speech_that_is_not_billed_by_characters_is_refused(model: str) -> None:
    with pytest.raises(RequestError, match="not billed by the characters"):
        estimate_speech("Hello", Deployment("contoso", "voice", model, sku="GlobalStandard"), on=DAY)


@pytest.mark.parametrize(
    ("duration_s", "least", "expected", "most"),
    [
        (0, 0, 0, 0),
        (60, 60, 60, 60),
        (0.25, 0, 1, 60),
        (90.5, 91, 91, 120),
        (Decimal("90.4"), 90, 91, 120),
        (Fraction(181, 3), 60, 61, 120),
        (np.float64(59.9), 60, 60, 60),
    ],
)
def test_whisper_is_priced_by_time_whose_rounding_is_unknown(
    duration_s: Any, least: int, expected: int, most: int
) -> None:
    job = estimate_transcription(duration_s, EARS, on=DAY)
    second = Decimal("0.0001")
    assert (job.low, job.amount, job.high) == (least * second, expected * second, most * second)
    assert job.certainty == ("exact" if least == most else "estimated")


def test_transcribing_models_bill_ten_tokens_a_second_and_what_they_write() -> None:
    ears = Deployment("contoso", "ears", "gpt-4o-transcribe", version="2025-03-20", sku="GlobalStandard")
    job = estimate_transcription(Decimal("3.7"), ears, on=DAY)
    assert dict(job.usage) == {("input", "audio", ""): 37}
    assert job.amount == 37 * Decimal("0.000006")
    assert estimate_transcription(3.7, ears, on=DAY).amount == job.amount
    assert (job.certainty, job.high) == ("lower_bound", None)


@pytest.mark.parametrize("duration_s", [-1, float("nan"), float("inf"), True, "60", None], ids=repr)
def test_what_is_no_duration_is_refused(duration_s: Any) -> None:
    with pytest.raises(RequestError, match="duration_s"):
        estimate_transcription(duration_s, EARS, on=DAY)


def test_a_model_that_does_not_listen_is_refused() -> None:
    with pytest.raises(RequestError, match="not known"):
        estimate_transcription(60, VOICE, on=DAY)


def run(*words: str, stdin: str | None = None) -> Any:
    result = CliRunner().invoke(main, ["jobs", *words], input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


WHERE = ("--model", "gpt-4.1", "--version", "2025-04-14", "--on", "2026-09-01")


def test_the_command_prices_the_example_file() -> None:
    result = run("training", str(ROOT / "examples" / "training.jsonl"), *WHERE, "--epochs", "2", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["examples"], found["rejected"], found["problems"]) == (0, 12, [], [])
    assert Decimal(found["cost"]) == 2 * found["tokens"] * Decimal("0.000025")
    assert found["usage"][0]["quantity"] == 2 * found["tokens"]


def test_the_command_lists_bad_lines_and_exits_with_3() -> None:
    lines = f"{PAIR}\n" * 10 + f"{{{SECRET}\n" * 25
    result = run("training", "-", *WHERE, stdin=lines)
    assert result.exit_code == 3
    assert "35: 10 examples, 25 rejected" in result.stdout
    assert "line 11: is not JSON" in result.stderr
    assert "and 5 more" in result.stderr
    assert SECRET not in result.stdout + result.stderr
    found = json.loads(run("training", "-", *WHERE, "--json", stdin=lines).stdout)
    assert (len(found["rejected"]), found["rejected"][-1]["line"], found["high"]) == (25, 35, None)
    short = run("training", "-", *WHERE, stdin=PAIR)
    assert (short.exit_code, "the file has 1 examples" in short.stderr) == (3, True)


def test_the_other_commands(tmp_path: Path) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("hello world\n\nhello\n", "utf-8")
    embed = ("--model", "text-embedding-3-large", "--on", "2026-09-01", "--json")
    for result in (run("embeddings", str(file), *embed), run("embeddings", "-", *embed, stdin=file.read_text())):
        found = json.loads(result.stdout)
        assert (found["texts"], found["tokens"], Decimal(found["cost"])) == (2, 3, Decimal("0.00000039"))
    sweden = ("--region", "swedencentral", "--on", "2026-09-01")
    assert "19 characters" in run("speech", str(file), "--model", "tts", *sweden).stdout
    assert (
        "0.0091 USD (0.0091 to 0.012; estimated)" in run("transcription", "90.5", "--model", "whisper", *sweden).stdout
    )
    drawn = run("images", "--model", "gpt-image-1", "--size", "1024x1024", "--quality", "low", "-n", "10", *sweden)
    assert "0.1088 USD (0.1088 to no upper end; lower_bound)" in drawn.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(["training", "/no/such/file", *WHERE], 1, id="no file"),
        pytest.param(["training", "-"], 2, id="no model"),
        pytest.param(["training", "-", *WHERE, "--epochs", "0"], 2, id="no epochs"),
        pytest.param(["transcription", "soon", "--model", "whisper"], 2, id="no number"),
        pytest.param(["transcription", "nan", "--model", "whisper"], 1, id="not a number"),
        pytest.param(["embeddings", "/no/such/file", "--model", "text-embedding-3-large"], 1, id="no texts"),
        pytest.param(["images", "--model", "gpt-image-2", "--size", "1x1", "--quality", "low"], 1, id="no formula"),
    ],
)
def test_wrong_usage_is_one_line_and_a_code(words: list[str], code: int) -> None:
    result = run(*words, stdin="")
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
