"""Usage: disjoint, whole, and the same in any order."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.errors import RequestError
from aoai_cost.usage import METER_UNITS, MeterKey, Usage, split_totals

keys = st.builds(
    MeterKey,
    st.sampled_from(sorted(METER_UNITS)),
    st.sampled_from(["text", "audio", "image"]),
    st.sampled_from(["", "hd"]),
)
usages = st.dictionaries(keys, st.integers(0, 10**18)).map(Usage)


@given(st.lists(usages))
def test_sum_is_the_same_in_any_order(parts: list[Usage]) -> None:
    assert Usage.sum(parts) == Usage.sum(reversed(parts))
    assert sum(Usage.sum(parts).values()) == sum(sum(part.values()) for part in parts)


@given(usages)
def test_usage_survives_pickling_and_hashes_by_value(usage: Usage) -> None:
    again = pickle.loads(pickle.dumps(usage))
    assert again == usage
    assert hash(again) == hash(usage)


def test_zero_is_left_out() -> None:
    assert Usage({"input": 0}) == Usage()


@pytest.mark.parametrize("quantity", [True, 1.0, "3", None, float("nan")])
def test_a_quantity_must_be_a_whole_number(quantity: object) -> None:
    with pytest.raises(RequestError, match="whole number"):
        Usage({"input": quantity})  # type: ignore[dict-item]


def test_a_quantity_must_not_be_negative() -> None:
    with pytest.raises(RequestError, match="negative"):
        Usage({"input": -1})


def test_an_unknown_meter_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match="prompt_tokens"):
        Usage({"prompt_tokens": 1})


def test_numpy_integers_are_whole_numbers() -> None:
    assert Usage({"input": np.int64(7)})["input"] == 7  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            {"prompt_tokens": 2006, "completion_tokens": 300, "prompt_tokens_details": {"cached_tokens": 1920}},
            {"input": 86, "cached_input": 1920, "output": 300},
            id="chat with cached tokens inside the prompt",
        ),
        pytest.param(
            {
                "input_tokens": 2600,
                "input_tokens_details": {"cached_tokens": 2000, "cache_write_tokens": 400},
                "output_tokens": 620,
                "output_tokens_details": {"reasoning_tokens": 512},
            },
            {"input": 200, "cached_input": 2000, "cache_write": 400, "output": 620},
            id="responses with cache writes; reasoning is output",
        ),
        pytest.param(
            {
                "prompt_tokens": 140,
                "completion_tokens": 260,
                "prompt_tokens_details": {"audio_tokens": 90, "cached_tokens": 0},
                "completion_tokens_details": {"audio_tokens": 220},
            },
            {"input": 50, ("input", "audio"): 90, "output": 40, ("output", "audio"): 220},
            id="audio is inside both totals",
        ),
        pytest.param(
            {
                "input_tokens": 323,
                "input_tokens_details": {"text_tokens": 129, "image_tokens": 194},
                "output_tokens": 4160,
                "output_tokens_details": {"image_tokens": 4160},
            },
            {"input": 129, ("input", "image"): 194, ("output", "image"): 4160},
            id="images have tokens of their own",
        ),
        pytest.param(
            {
                "input_tokens": 1000,
                "input_token_details": {
                    "text_tokens": 200,
                    "audio_tokens": 800,
                    "cached_tokens": 900,
                    "cached_tokens_details": {"text_tokens": 150, "audio_tokens": 750},
                },
                "output_tokens": 10,
                "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
            },
            {
                "input": 50,
                ("input", "audio"): 50,
                "cached_input": 150,
                ("cached_input", "audio"): 750,
                "output": 4,
                ("output", "audio"): 6,
            },
            id="a realtime session tells which cached tokens are audio",
        ),
        pytest.param({"prompt_tokens": 12, "total_tokens": 12}, {"input": 12}, id="embeddings have no completion"),
        pytest.param(
            {"prompt_tokens": 14, "completion_tokens": 8, "prompt_tokens_details": None},
            {"input": 14, "output": 8},
            id="details absent on old api-versions",
        ),
    ],
)
def test_from_api(body: dict[str, object], expected: dict[object, int]) -> None:
    assert Usage.from_api(body) == Usage(expected)


def test_from_api_reads_attributes_too() -> None:
    class Details:
        cached_tokens = 128

    class Body:
        prompt_tokens = 1024
        completion_tokens = 1
        prompt_tokens_details = Details()

    assert Usage.from_api(Body()) == Usage({"input": 896, "cached_input": 128, "output": 1})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="empty"),
        pytest.param({"prompt_tokens": "12"}, id="text"),
        pytest.param({"prompt_tokens": -1}, id="negative"),
        pytest.param({"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}, id="cached above the total"),
    ],
)
def test_from_api_refuses_what_cannot_be_true(body: dict[str, object]) -> None:
    with pytest.raises(RequestError):
        Usage.from_api(body)


def test_split_totals_adds_up_on_arrays() -> None:
    prompt, completion, cached = np.array([10, 2**53 + 1]), np.array([1, 2]), np.array([4, 2**53])
    parts = split_totals(prompt, completion, cached=cached)
    assert sum(parts.values()).tolist() == (prompt + completion).tolist()
    assert parts[MeterKey("input")].tolist() == [6, 1]
