"""One request priced before it is sent: both ends of the range, and the assumptions in words."""

from __future__ import annotations

import base64
import io
import wave
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aoai_cost import (
    Deployment,
    Estimate,
    MissingPriceError,
    PriceBook,
    RequestError,
    Usage,
    estimate_request,
    list_models,
    read_usage,
)

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DAY = date(2026, 8, 10)
CHAT = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
EMBED = Deployment("contoso", "embed", "text-embedding-3-large", version="1", sku="GlobalStandard")
# List prices of CHAT per token.
INPUT, OUTPUT = Decimal("0.0000025"), Decimal("0.00001")


def hello(**more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "Hello"}], **more}


def estimate(body: dict[str, Any], deployment: Deployment = CHAT, **more: Any) -> Estimate:
    return estimate_request(body, deployment, on=DAY, **more)


def test_the_low_end_is_an_empty_answer_and_the_high_end_the_longest() -> None:
    found = estimate(hello(max_tokens=100))
    assert (found.input_tokens, found.input_bounds, found.output_tokens) == (8, (8, 8), (0, 100))
    assert (found.low, found.high) == (8 * INPUT, 8 * INPUT + 100 * OUTPUT)
    assert (found.currency, found.certainty, found.notes) == ("USD", "exact", ())
    assert sum(line.tokens for line in found.lines) == 8
    assert found.low_cost.lines[0].rate.meter_name == "gpt 4o 1120 Inp glbl Tokens"


@pytest.mark.parametrize(
    ("body", "most"),
    [
        pytest.param(hello(max_tokens=7), 7, id="max_tokens"),
        pytest.param(hello(max_completion_tokens=7), 7, id="max_completion_tokens"),
        pytest.param({"input": "Hello", "max_output_tokens": 7}, 7, id="max_output_tokens"),
        pytest.param(hello(max_tokens=9, max_completion_tokens=7), 9, id="two limits, the larger"),
        pytest.param(hello(max_output_tokens=7), 16_384, id="the limit of another API"),
        pytest.param({"input": "Hello", "max_completion_tokens": 7}, 16_384, id="the limit of chat on Responses"),
        pytest.param(hello(max_tokens=7, best_of=5), 7, id="best_of is of Completions"),
    ],
)
def test_the_limit_of_the_answer_is_the_apis_own(body: dict[str, Any], most: int) -> None:
    assert estimate(body).output_tokens == (0, most)


@pytest.mark.parametrize(
    ("more", "most"),
    [({}, 16), ({"max_tokens": 0, "echo": True, "logprobs": 1}, 0), ({"max_tokens": 5, "n": 2, "best_of": 3}, 15)],
)
def test_completions_write_sixteen_tokens_unless_told_otherwise(more: dict[str, Any], most: int) -> None:
    instruct = Deployment("contoso", "old", "gpt-35-turbo-instruct", sku="Standard", region="eastus")
    assert estimate({"prompt": "Hi", **more}, instruct).output_tokens == (0, most)


def test_audio_is_priced_as_audio() -> None:
    speaking = Deployment("contoso", "audio", "gpt-4o-audio-preview", version="2024-12-17", sku="GlobalStandard")
    file = io.BytesIO()
    with wave.open(file, "wb") as minute:
        minute.setparams((1, 2, 16_000, 0, "NONE", ""))
        minute.writeframes(bytes(2 * 16_000 * 60))
    data = base64.b64encode(file.getvalue()).decode()
    body = {
        "messages": [
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]}
        ],
        "max_completion_tokens": 1_000,
    }

    def bill(**quantities: int) -> Decimal:
        keys = {"heard": ("input", "audio", ""), "read": ("input", "text", ""), "spoken": ("output", "audio", "")}
        keys["written"] = ("output", "text", "")
        return (
            PriceBook.current()
            .price(Usage({keys[name]: tokens for name, tokens in quantities.items()}), speaking, on=DAY)
            .amount
        )

    written = estimate(body, speaking)
    least, most = written.input_bounds
    assert most is not None
    assert (written.low, written.high) == (
        bill(heard=600, read=least - 600),
        bill(heard=600, read=most - 600, written=1_000),
    )
    spoken = estimate({**body, "modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, speaking)
    assert spoken.low == written.low
    assert spoken.high == bill(heard=600, read=most - 600, spoken=1_000)


@pytest.mark.parametrize(
    ("model", "writes"), [("gpt-5.6-luna", True), ("gpt-6-astra", True), ("gpt-5.4", False)], ids=str
)
def test_writing_to_the_prompt_cache_is_within_the_high_end(model: str, writes: bool) -> None:
    deployment = Deployment("contoso", "chat", model, sku="GlobalStandard")
    body = {"messages": [{"role": "user", "content": "word " * 20_000}], "max_completion_tokens": 10}
    found = estimate_request(body, deployment, on=date(2026, 10, 1))
    meter = "cache_write" if writes else "input"
    bill = Usage({(meter, "text", ""): found.input_tokens, ("output", "text", ""): 10})
    assert found.high == PriceBook.current().price(bill, deployment, on=date(2026, 10, 1)).amount
    few = estimate_request(hello(max_completion_tokens=10), deployment, on=date(2026, 10, 1))
    assert few.high_cost is not None
    assert {line.key.meter for line in few.high_cost.lines} == {"input", "output"}


def test_without_a_limit_the_models_own_is_taken_and_said() -> None:
    found = estimate(hello())
    assert found.output_tokens == (0, 16_384)
    assert any("16,384" in note for note in found.notes)
    assert estimate(hello(max_tokens=10**9)).output_tokens == (0, 16_384)


def test_each_of_several_answers_may_be_the_longest() -> None:
    assert estimate(hello(max_tokens=100, n=3)).output_tokens == (0, 300)
    assert estimate({"prompt": "Hello", "max_tokens": 100, "n": 1, "best_of": 4}).output_tokens == (0, 400)


def test_an_embedding_has_no_output() -> None:
    found = estimate({"input": ["hello world", "hello"]}, EMBED)
    assert (found.input_tokens, found.output_tokens) == (3, (0, 0))
    assert found.low == found.high == 3 * Decimal("0.00000013")


def test_each_text_of_a_list_is_held_to_the_limit_by_itself() -> None:
    texts = [" hello" * 3_000] * 4
    assert estimate({"input": texts}, EMBED).input_tokens == 12_000
    found = estimate({"input": ["a", " hello" * 9_000]}, EMBED)
    (refusal,) = found.refusals
    assert (found.fits, refusal.field) == (False, "input[1]")
    assert "accepts at most 8,192" in refusal.reason


def test_each_prompt_of_a_list_has_its_own_answer() -> None:
    assert estimate({"prompt": ["a", "b", "c"], "max_tokens": 100}).output_tokens == (0, 300)
    assert estimate({"prompt": [1, 2, 3], "max_tokens": 100}).output_tokens == (0, 100)


def test_the_tier_in_the_body_wins() -> None:
    chat = Deployment("contoso", "fast", "gpt-5-mini", version="2025-08-07", sku="GlobalStandard")
    priority = Deployment("contoso", "fast", "gpt-5-mini", version="2025-08-07", sku="GlobalStandard", tier="priority")
    plain, asked = estimate(hello(max_tokens=5), chat), estimate(hello(max_tokens=5, service_tier="priority"), chat)
    assert asked.high == estimate(hello(max_tokens=5), priority).high
    assert asked.deployment.tier == "priority"
    assert plain.high is not None
    assert asked.high is not None
    assert asked.high > plain.high
    assert estimate(hello(max_tokens=5, service_tier="auto"), priority).high == asked.high
    with pytest.raises(RequestError, match="service_tier"):
        estimate(hello(service_tier="fastest"), chat)


def test_a_remote_image_widens_the_range_and_is_not_fetched() -> None:
    url = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    found = estimate({"messages": [{"role": "user", "content": [url]}], "max_tokens": 1})
    assert found.input_bounds == (7 + 255, 7 + 1445)
    assert (found.low, found.high) == (262 * INPUT, 1452 * INPUT + OUTPUT)
    assert found.certainty == "estimated"


def test_what_cannot_be_counted_leaves_the_high_end_open() -> None:
    found = estimate(hello(tools=[{"type": "web_search"}]))
    assert (found.certainty, found.high, found.high_cost, found.input_bounds[1]) == ("lower_bound", None, None, None)
    assert any("tools" in note for note in found.notes)
    assert found.low == 8 * INPUT


def test_a_long_request_is_priced_in_the_long_band() -> None:
    chat = Deployment("contoso", "long", "gpt-5.4", version="2026-03-05", sku="GlobalStandard")
    found = estimate({"messages": [{"role": "user", "content": " hello" * 300_000}], "max_tokens": 1}, chat)
    assert found.input_tokens > 272_000
    assert (
        found.low == PriceBook.bundled().price(Usage({"input": found.input_tokens}), chat, on=DAY, band="long").amount
    )


def test_a_request_that_could_be_cached_says_that_it_is_not_assumed() -> None:
    assert any("caching" in note for note in estimate({"messages": [{"role": "user", "content": " a" * 2_000}]}).notes)
    assert not any("caching" in note for note in estimate(hello()).notes)


LONG = {"messages": [{"role": "user", "content": " a" * 130_000}]}
OLD = Deployment("contoso", "old", "gpt-4", version="0613", sku="GlobalStandard")


@pytest.mark.parametrize(
    ("body", "deployment", "field", "reason"),
    [
        pytest.param(
            LONG, CHAT, "messages", "130,007 input tokens; gpt-4o accepts at most 128,000", id="too much to read"
        ),
        pytest.param(
            hello(max_tokens=20_000), CHAT, "max_tokens", "gpt-4o gives at most 16,384", id="too much to write"
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": " a" * 5_000}], "max_tokens": 4_000},
            OLD,
            "max_tokens",
            "over the context window of gpt-4, 8,192",
            id="too much together",
        ),
    ],
)
def test_a_request_that_does_not_fit_says_why(
    body: dict[str, Any], deployment: Deployment, field: str, reason: str
) -> None:
    found = estimate(body, deployment)
    assert not found.fits
    assert [one.field for one in found.refusals] == [field]
    assert reason in found.refusals[0].reason
    assert any(note.startswith("would be refused: ") for note in found.notes)
    with pytest.raises(RequestError, match=reason):
        estimate(body, deployment, must_fit=True)


def test_a_request_within_its_limits_fits() -> None:
    assert estimate(hello(max_tokens=16_384), must_fit=True).fits
    assert estimate({"messages": [{"role": "user", "content": " a" * 4_000}], "max_tokens": 4_000}, OLD).fits
    assert estimate({"input": ["hello"], "max_tokens": 10**9}, EMBED).fits


def test_earlier_answers_tell_what_to_expect() -> None:
    found = estimate(hello(max_tokens=100), earlier_output_tokens=np.array([10, 20, 21]))
    assert found.expected == 8 * INPUT + 17 * OUTPUT
    assert found.high is not None
    assert found.low < found.expected < found.high
    assert any("17 tokens" in note for note in found.notes)
    assert estimate(hello()).expected is None


def test_a_usage_log_says_how_long_answers_are() -> None:
    frame = read_usage(EXAMPLES / "logs").frame
    column = frame.loc[frame["model"] == "gpt-4o", "completion_tokens"].dropna()
    answers = [int(one) for one in column]
    assert len(set(answers)) > 1
    mean = (2 * sum(answers) + len(answers)) // (2 * len(answers))
    assert estimate(hello(), earlier_output_tokens=column).expected == 8 * INPUT + mean * OUTPUT


def test_what_the_service_may_shorten_has_an_open_lower_end() -> None:
    body = {"input": "word " * 200_000, "max_output_tokens": 10}
    assert not estimate(body).fits
    cut = estimate({**body, "truncation": "auto"})
    assert (cut.fits, cut.certainty, cut.low) == (True, "estimated", 0)
    assert cut.input_bounds == (0, estimate(body).input_tokens)
    assert any("drops" in note for note in cut.notes)
    assert estimate(hello(truncation="auto")).low > 0
    assert estimate({"input": "Hello", "truncation": "auto"}).certainty == "exact"


@pytest.mark.parametrize("earlier", [[], [-1], [1.5], [True], ["2"]], ids=repr)
def test_earlier_answers_that_are_no_counts_are_refused(earlier: list[Any]) -> None:
    with pytest.raises(RequestError, match="earlier_output_tokens"):
        estimate(hello(), earlier_output_tokens=earlier)


def test_a_model_that_reasons_says_so() -> None:
    reasoner = Deployment("contoso", "o", "o3-mini", version="2025-01-31", sku="GlobalStandard")
    assert any("reasons before it answers" in note for note in estimate(hello(), reasoner).notes)
    assert not any("reasons" in note for note in estimate(hello()).notes)


def test_an_unknown_price_is_an_error_and_never_zero() -> None:
    with pytest.raises(MissingPriceError, match="versions differ"):
        estimate(hello(), Deployment("contoso", "chat", "gpt-4o", sku="GlobalStandard"))


@pytest.mark.parametrize("field", ["n", "max_tokens"])
@pytest.mark.parametrize("value", [0, -1, True, "2", 1.5, [], 1 << 63], ids=repr)
def test_a_number_that_is_none_is_refused(field: str, value: Any) -> None:
    with pytest.raises(RequestError, match="whole number"):
        estimate(hello(**{field: value}))


def test_more_answers_than_the_service_gives_are_refused() -> None:
    assert estimate(hello(max_tokens=1, n=128)).output_tokens == (0, 128)
    with pytest.raises(RequestError, match="from 1 to 128"):
        estimate(hello(n=129))


@pytest.mark.parametrize("body", [None, [], "text", 1, {}], ids=repr)
def test_what_is_no_request_is_refused(body: Any) -> None:
    with pytest.raises(RequestError):
        estimate(body)


@given(text=st.text(max_size=200), more=st.text(max_size=200), tokens=st.integers(1, 10_000))
def test_more_text_and_a_longer_answer_never_cost_less(text: str, more: str, tokens: int) -> None:
    def of(content: list[str], limit: int) -> Estimate:
        messages = [{"role": "user", "content": part} for part in content]
        return estimate({"messages": messages, "max_tokens": limit})

    one, two = of([text], tokens), of([text, more], tokens + 1)
    assert one.low <= two.low
    assert one.high is not None
    assert two.high is not None
    assert one.low < one.high < two.high


def test_every_chat_model_of_the_catalogue_can_be_counted_and_priced_or_says_why() -> None:
    """No model of the catalogue ends in anything but an estimate or a missing price."""
    priced = missing = 0
    for model in list_models():
        if model.chat_rule is None or model.encoding is None:
            continue
        deployment = Deployment("contoso", "any", model.name, version=model.version or None, sku="GlobalStandard")
        try:
            found = estimate(hello(max_tokens=1), deployment)
        except MissingPriceError:
            missing += 1
            continue
        assert found.high is not None
        assert 0 < found.low < found.high
        priced += 1
    assert priced > 30
    assert missing < priced


def test_the_notebook_face_escapes_and_says_the_range() -> None:
    page = estimate(hello(max_tokens=100), Deployment("c", "<b>", "gpt-4o", version="2024-11-20", sku="GlobalStandard"))
    shown = page._repr_html_()
    assert "&lt;b&gt;" in shown
    assert "<b>" not in shown
    assert "0.00002 to 0.00102 USD" in shown


def pictures(number: int, url: str) -> dict[str, Any]:
    part = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    return {"messages": [{"role": "user", "content": [part] * number}], "max_tokens": 10}


def drawn(padding_bytes: int = 0) -> str:
    """Write a small PNG as a data: URL; what follows the last chunk of a PNG is never read."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue() + bytes(padding_bytes)).decode()


@pytest.mark.parametrize("url", ["https://contoso.example/a.png", drawn()])
def test_more_images_than_a_request_may_hold_are_refused(url: str) -> None:
    assert estimate(pictures(50, url)).fits
    (refusal,) = estimate(pictures(51, url)).refusals
    assert refusal.field == "messages[0].content[50]"
    with pytest.raises(RequestError, match="50 of a request"):
        estimate(pictures(51, url), must_fit=True)


def test_where_the_documentation_disagrees_on_images_both_numbers_are_said() -> None:
    assert not any("documentation" in note for note in estimate(pictures(10, drawn())).notes)
    assert any("allows 10 a request, another 50" in note for note in estimate(pictures(11, drawn())).notes)


def test_an_image_over_the_limit_is_refused_by_its_size() -> None:
    most = 20 << 20
    small = len(base64.b64decode(drawn().partition(",")[2]))
    assert estimate(pictures(1, drawn(most - small - 2))).fits
    (refusal,) = estimate(pictures(2, drawn(most - small + 2))).refusals[1:]
    assert (refusal.field, "20 MB" in refusal.reason) == ("messages[0].content[1]", True)


@pytest.mark.parametrize("content", ["one two three", [{"type": "text", "text": "one two three"}]])
def test_a_predicted_output_adds_to_the_most_that_is_written(content: Any) -> None:
    body = hello(max_completion_tokens=100, prediction={"type": "content", "content": content}, n=2)
    found = estimate(body)
    assert (found.input_bounds, found.output_tokens) == ((8, 8), (0, 206))
    assert found.certainty == "estimated"
    assert any("rejects" in note for note in found.notes)


def test_a_prediction_that_is_none_is_refused() -> None:
    with pytest.raises(RequestError, match="prediction"):
        estimate(hello(prediction="one two three"))


def test_the_day_chooses_the_rules_too() -> None:
    responses = Deployment("contoso", "chat", "gpt-4o", version="2024-08-06", sku="GlobalStandard")
    # On a day of the first weeks of Responses the service added 18 tokens of its own.
    counted = [estimate_request({"input": "Hello"}, responses, on=day).input_tokens for day in (date(2025, 3, 20), DAY)]
    assert counted == [8 + 18, 8]
