"""The catalogue: what it says, that it says no more than its sources, and how names are read."""

from __future__ import annotations

import csv
import pickle
from datetime import date
from pathlib import Path
from typing import get_args

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost.catalog import Model, get_model, list_models, split_model_name
from aoai_cost.catalog.compile import MODELS_JSON, MODELS_TOML, compile_models
from aoai_cost.catalog.models import Knowledge
from aoai_cost.errors import UnknownNameError

EVERY_MODEL = pytest.mark.parametrize("model", list_models(), ids=lambda model: f"{model.name}-{model.version}")


def test_the_loaded_file_is_generated_from_the_reviewed_one() -> None:
    assert compile_models(MODELS_TOML.read_text("utf-8")) == MODELS_JSON.read_bytes()


@pytest.mark.parametrize(
    ("written", "name", "version"),
    [
        pytest.param("gpt-4o-2024-11-20", "gpt-4o", "2024-11-20", id="a date splits off"),
        pytest.param("gpt-4o-mini-2024-07-18", "gpt-4o-mini", "2024-07-18", id="the longer name wins"),
        pytest.param("GPT-4o", "gpt-4o", "2024-11-20", id="case does not matter"),
        pytest.param(" gpt-4o\n", "gpt-4o", "2024-11-20", id="blanks around a name do not matter"),
        pytest.param("gpt-3.5-turbo", "gpt-35-turbo", "0125", id="OpenAI writes a point that Azure leaves out"),
        pytest.param("gpt-3.5-turbo-16k-0613", "gpt-35-turbo-16k", "0613", id="16k is part of the name"),
        pytest.param("gpt-3.5-turbo-0301", "gpt-35-turbo", "0301", id="month and day as a version"),
        pytest.param(
            "gpt-3.5-turbo-instruct:20230824-v2", "gpt-35-turbo-instruct", "0914", id="the build that answered"
        ),
        pytest.param("davinci:2023-07-21-v2", "davinci-002", "1", id="a build that goes by another name"),
        pytest.param("text-davinci-003", "text-davinci-003", "", id="a model of before Azure's catalogue"),
        pytest.param("gpt-3.5", "gpt-35-turbo", "0125", id="what tiktoken knows it by"),
        pytest.param("gpt-4-turbo", "gpt-4", "turbo-2024-04-09", id="turbo is a version of gpt-4"),
        pytest.param("gpt-4-turbo-2024-04-09", "gpt-4", "turbo-2024-04-09", id="turbo with its date"),
        pytest.param("gpt-4-turbo-preview", "gpt-4", "0125-preview", id="the preview of turbo"),
        pytest.param("gpt-4-vision-preview", "gpt-4", "vision-preview", id="vision is a version of gpt-4"),
        pytest.param("gpt-4-1106-preview", "gpt-4", "1106-preview", id="a preview by month and day"),
        pytest.param("gpt-4-0613", "gpt-4", "0613", id="gpt-4 by month and day"),
        pytest.param("gpt-4-32k-0314", "gpt-4-32k", "0314", id="32k is part of the name"),
        pytest.param("text-embedding-ada-002", "text-embedding-ada-002", "2", id="a number that is no version"),
        pytest.param("text-embedding-ada-002-1", "text-embedding-ada-002", "1", id="a number and a version"),
        pytest.param("whisper-1", "whisper", "001", id="OpenAI's name of whisper"),
        pytest.param("ft:gpt-4o-mini-2024-07-18:org::id", "gpt-4o-mini", "2024-07-18", id="OpenAI's fine-tuned name"),
        pytest.param("gpt-4o-2024-08-06.ft-0123456789abcdef", "gpt-4o", "2024-08-06", id="Azure's fine-tuned name"),
    ],
)
def test_names_are_read_as_people_write_them(written: str, name: str, version: str) -> None:
    found = get_model(written)
    assert (found.name, found.version) == (name, version)


def test_a_version_may_stand_apart() -> None:
    assert get_model("gpt-4", "turbo-2024-04-09") is get_model("gpt-4-turbo")
    assert get_model("gpt-4o-2024-08-06", "2024-08-06").max_output_tokens == 16384


@pytest.mark.parametrize(
    ("name", "version", "near"),
    [
        pytest.param("gpt-4o:2024-11-20", None, "gpt-4o", id="a known name with a tail"),
        pytest.param("gpt-4o (2024-11-20)", None, "gpt-4o", id="and with another tail"),
        pytest.param("gpt-4oo", None, "gpt-4o", id="a slip of the key"),
        pytest.param("gpt-5.6", None, "gpt-5.6-sol", id="the start of several names"),
        pytest.param("gpt-4o", "2031-01-01", "gpt-4o-2024-11-20", id="a version that nobody knows"),
        pytest.param("gpt-4o-2031-01-01", None, "gpt-4o-2024-11-20", id="a date that nobody knows"),
        pytest.param("gpt-4o-2024-11-20", "2024-08-06", "gpt-4o", id="a name and a version that contradict"),
    ],
)
def test_an_unknown_model_is_an_error_that_names_near_ones(name: str, version: str | None, near: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        get_model(name, version)
    assert caught.value.kind == "model"
    assert near in caught.value.near


KNOWN = {model.name for model in list_models()}


@given(st.text(max_size=40) | st.sampled_from(sorted(KNOWN)).map(str.upper))
def test_any_text_is_a_model_or_an_error(name: str) -> None:
    base, version = split_model_name(name)
    if base in KNOWN:
        assert get_model(name).name == base
        assert version in (None, get_model(name).version)
    else:
        with pytest.raises(UnknownNameError):
            get_model(name)


def test_a_megabyte_of_name_is_refused_in_few_words() -> None:
    with pytest.raises(UnknownNameError) as caught:
        get_model("secret " * 150_000)
    assert len(str(caught.value)) < 500


def test_the_newest_version_answers_for_the_bare_name() -> None:
    by_name: dict[str, list[str]] = {}
    for model in list_models():
        by_name.setdefault(model.name, []).append(model.version)
    for name, versions in by_name.items():
        assert get_model(name).version == versions[0]
        dated = [version for version in versions if version[:2] == "20"]
        assert dated == sorted(dated, reverse=True)


@EVERY_MODEL
def test_every_entry_is_whole(model: Model) -> None:
    assert get_model(model.name, model.version) is model
    assert pickle.loads(pickle.dumps(model)) == model
    assert model.source
    assert model.checked <= date(2026, 11, 23)
    assert (model.encoding is None) == (model.encoding_known is None)
    assert (model.image_rule is None) == (model.image_known is None)
    assert (model.tool_rule is None) == (model.tool_known is None)
    assert model.encoding is not None or model.chat_rule is None
    limits = (model.context_tokens, model.max_input_tokens, model.max_output_tokens, model.long_context_above)
    assert all(limit is None or limit > 0 for limit in limits)
    for known in (model.encoding_known, model.image_known, model.tool_known, model.chat_rule and model.chat_rule.known):
        assert known in (None, *get_args(Knowledge))
    if model.image_rule is not None:
        assert model.image_rule.auto in model.image_rule.levels or model.image_rule.kind == "tile"


@EVERY_MODEL
def test_a_documented_encoding_is_the_one_of_tiktoken(model: Model) -> None:
    if model.encoding_known == "documented":
        assert tiktoken.encoding_name_for_model(model.name) == model.encoding


def test_every_fact_of_the_collected_list_stands_and_blanks_stay_blank(test_data: Path) -> None:
    with (test_data / "facts/prices/models.csv").open(encoding="utf-8", newline="") as file:
        facts = list(csv.DictReader(file))
    for fact in facts:
        model = get_model(fact["model"], fact["version"])
        for column, value in (
            ("context_window", model.context_tokens),
            ("max_input", model.max_input_tokens),
            ("max_output", model.max_output_tokens),
            ("retirement_date", model.retires),
        ):
            assert (str(value) if value is not None else "") == fact[column], (fact["model"], column)
        assert model.lifecycle == fact["lifecycle_2026_09_02"]
        assert ";".join(model.input_modalities) == fact["input_modalities"]
        assert ";".join(model.output_modalities) == fact["output_modalities"]
        if fact["encoding"]:
            assert (model.encoding, model.encoding_known) == (fact["encoding"], "documented")
        else:
            assert model.encoding_known in (None, "recovered", "assumed")
    assert len(facts) == len({(fact["model"], fact["version"]) for fact in facts}) == 105


@pytest.mark.parametrize(
    ("name", "rule", "per_message", "per_request", "per_name", "per_answer"),
    [
        ("gpt-4o", "classic", 3, 3, 1, 0),
        ("gpt-4.1-nano", "classic", 3, 3, 1, 0),
        ("gpt-35-turbo-0613", "classic", 3, 3, 1, 0),
        ("gpt-35-turbo-0301", "gpt-35-turbo-0301", 4, 3, -1, 0),
        ("o3-mini", "o-series", 3, 2, 1, 0),
        ("gpt-5.4", "reasoning", 3, 2, 1, 2),
        ("gpt-6-astra", "reasoning", 3, 2, 1, 2),
    ],
)
def test_chat_rules(name: str, rule: str, per_message: int, per_request: int, per_name: int, per_answer: int) -> None:
    found = get_model(name).chat_rule
    assert found is not None
    assert found.name == rule
    assert (found.message_tokens, found.request_tokens) == (per_message, per_request)
    assert (found.name_tokens, found.assistant_tokens) == (per_name, per_answer)


@pytest.mark.parametrize(
    ("name", "base", "tile", "short_px"),
    [
        ("gpt-4o", 85, 170, 768),
        ("gpt-4-turbo", 85, 170, 768),
        ("gpt-4o-mini", 2833, 5667, 768),
        ("o1", 75, 150, 768),
        ("gpt-5.1", 70, 140, 768),
        ("computer-use-preview", 65, 129, 768),
        ("gpt-image-1.5", 65, 129, 512),
    ],
)
def test_tile_rules(name: str, base: int, tile: int, short_px: int) -> None:
    rule = get_model(name).image_rule
    assert rule is not None
    assert (rule.kind, rule.base_tokens, rule.tile_tokens, rule.short_px) == ("tile", base, tile, short_px)


@pytest.mark.parametrize(
    ("name", "multiplier", "extra", "patches", "auto", "known"),
    [
        ("gpt-4.1-mini", 1.62, 1, 6144, "high", "recovered"),
        ("gpt-4.1-nano", 2.46, 1, 1536, "high", "recovered"),
        ("o4-mini", 1.72, 1, 1536, "high", "recovered"),
        ("gpt-5-mini", 1.2, 1, 1536, "high", "recovered"),
        ("gpt-5-nano", 1.5, 0, 1536, "high", "recovered"),
        ("gpt-5.4", 1.2, 0, 2500, "high", "documented"),
        ("gpt-5.6-terra", 1.2, 0, 2500, "original", "documented"),
        ("gpt-6-astra", 1.2, 0, 2500, "original", "documented"),
    ],
)
def test_patch_rules(name: str, multiplier: float, extra: int, patches: int, auto: str, known: str) -> None:
    rule = get_model(name).image_rule
    assert rule is not None
    assert (rule.kind, rule.multiplier, rule.extra_tokens, rule.known) == ("patch", multiplier, extra, known)
    assert (rule.levels["high"].max_patches, rule.auto) == (patches, auto)


def test_models_without_tokens_of_text_have_no_encoding() -> None:
    for name in ("whisper", "dall-e-3", "tts-hd", "sora-2"):
        assert get_model(name).encoding is None


def test_nobody_shares_a_rule_by_looking_alike() -> None:
    assert get_model("gpt-6-sol").image_rule is None
    assert get_model("gpt-5-codex").image_rule is None
    assert get_model("gpt-chat-latest").encoding is None
    assert get_model("gpt-6-luna").encoding_known == "assumed"


def test_long_contexts_begin_where_the_price_keys_say() -> None:
    assert get_model("gpt-5.6-luna").long_context_above == 272_000
    assert get_model("gpt-5.4-mini").long_context_above is None
    assumed = get_model("gpt-6-sol")
    assert assumed.long_context_above == 272_000
    assert "assumed" in assumed.note


def test_rules_are_read_only() -> None:
    rule = get_model("gpt-5.4").image_rule
    assert rule is not None
    with pytest.raises(TypeError):
        rule.levels["high"] = None  # type: ignore[index]


def test_a_model_is_shown_by_its_name() -> None:
    assert repr(get_model("gpt-4o", "2024-08-06")) == "<Model gpt-4o 2024-08-06>"
