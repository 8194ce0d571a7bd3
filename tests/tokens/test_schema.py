"""Structured outputs: what the model reads of a schema, where it stands, and what is promised about its cost."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aoai_cost import Count, RequestError, count_request, count_tokens
from aoai_cost.tokens.schema import read_format, render_format

PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 2}, "size": {"type": "integer", "default": 3}},
    "required": ["city", "size"],
    "additionalProperties": False,
}
PLACE_SHOWN = '{"type":"object","properties":{"city":{"type":"string"},"size":{"type":"integer"}}}'
PLACE_TEXT = f"# Response Formats\n\n## place\n\n{PLACE_SHOWN}"


def chat(schema: Any, *before: tuple[str, str], name: str = "place", **more: Any) -> dict[str, Any]:
    messages = [{"role": role, "content": text} for role, text in (*before, ("user", "Hello"))]
    return {
        "messages": messages,
        "response_format": {"type": "json_schema", "json_schema": {"name": name, "schema": schema, **more}},
    }


def responses(schema: Any, instructions: str | None = None, name: str = "place") -> dict[str, Any]:
    text = {"format": {"type": "json_schema", "name": name, "schema": schema, "strict": True}}
    return {"input": "Hello", "instructions": instructions, "text": text}


def cost_of_format(body: dict[str, Any], model: str) -> int:
    without = {key: value for key, value in body.items() if key not in ("response_format", "text")}
    return count_request(body, model=model).input_tokens - count_request(without, model=model).input_tokens


@pytest.mark.parametrize(
    ("form", "text"),
    [
        pytest.param({"name": "place", "schema": PLACE, "strict": True}, PLACE_TEXT, id="checks are not shown"),
        pytest.param(
            {"name": "a", "description": "What it is.", "schema": {"type": "object"}},
            '# Response Formats\n\n## a\n\n// What it is.\n{"type":"object"}',
            id="the description is a comment",
        ),
        pytest.param(
            {"name": "a", "description": "", "schema": {"description": "", "type": "object"}},
            '# Response Formats\n\n## a\n\n{"description":"","type":"object"}',
            id="an empty description counts inside the schema only",
        ),
        pytest.param(
            {"name": "a", "schema": {"title": "A", "properties": {"required": {"title": "R", "enum": [1, "x"]}}}},
            '# Response Formats\n\n## a\n\n{"title":"A","properties":{"required":{"title":"R","enum":[1,"x"]}}}',
            id="a property may be called as a hidden key is",
        ),
        pytest.param(
            {
                "name": "a",
                "schema": {
                    "$defs": {"B": {"type": "string", "required": [], "format": "date"}},
                    "anyOf": [{"$ref": "#/$defs/B"}, {"type": "null", "default": None}],
                    "items": {"const": {"default": 1}, "maximum": 4.5},
                },
            },
            '# Response Formats\n\n## a\n\n{"$defs":{"B":{"type":"string"}},'
            '"anyOf":[{"$ref":"#/$defs/B"},{"type":"null"}],"items":{"const":{"default":1}}}',
            id="at every depth, but not inside a value",
        ),
        pytest.param(
            {"name": "a", "schema": {"description": "1 — 2"}},
            '# Response Formats\n\n## a\n\n{"description":"1 \\u2014 2"}',
            id="letters beyond ASCII are escaped",
        ),
    ],
)
def test_what_the_model_reads_of_a_format(form: dict[str, Any], text: str) -> None:
    assert render_format(form, "text.format").text == text


# "Hello", "system", "place" and each role are one token; the system text "Be brief." ends in a token that takes the
# blank line with it.
@pytest.mark.parametrize(
    ("body", "model", "beside"),
    [
        pytest.param(chat(PLACE), "gpt-4o", 4 + 3, id="classic chat: a message of its own, and the answer's header"),
        pytest.param(chat(PLACE, ("system", "Be brief.")), "gpt-4o", 0 + 3, id="classic chat: in the system message"),
        pytest.param(chat(PLACE, ("system", "Be brief")), "gpt-4o", 1 + 3, id="a blank line that merges with nothing"),
        pytest.param(chat(PLACE, ("developer", "Be brief")), "gpt-4.1-mini", 1 + 3, id="in the developer message"),
        pytest.param(chat(PLACE), "gpt-5", 4, id="reasoning chat: a message of its own"),
        pytest.param(chat(PLACE, ("system", "Be brief.")), "gpt-5-nano", 3, id="reasoning chat: a heading, 3 tokens"),
        pytest.param(responses(PLACE), "gpt-4o", 1, id="classic responses"),
        pytest.param(responses(PLACE, "Be brief."), "gpt-4.1-nano", 1, id="classic responses with instructions"),
        pytest.param(responses(PLACE), "gpt-5.4", 0, id="reasoning responses"),
        pytest.param(responses(PLACE, "Be brief."), "gpt-5.4-nano", 0, id="reasoning responses with instructions"),
    ],
)
def test_where_the_block_goes(body: dict[str, Any], model: str, beside: int) -> None:
    assert cost_of_format(body, model) == count_tokens(PLACE_TEXT, model=model) + beside
    count = count_request(body, model=model)
    assert count.certainty == "exact"
    assert count.bounds == (count.input_tokens, count.input_tokens)
    assert sum(line.tokens for line in count.lines) == count.input_tokens


def test_the_description_is_two_tokens_and_its_own() -> None:
    extra = cost_of_format(chat(PLACE, description="Where it is"), "gpt-5") - cost_of_format(chat(PLACE), "gpt-5")
    assert extra == count_tokens("// Where it is\n", model="gpt-5") == 5


@given(st.sets(st.sampled_from(["required", "default", "minimum", "maximum", "minLength", "maxItems", "format"])))
def test_what_is_hidden_costs_nothing(keys: set[str]) -> None:
    plain = {"type": "object", "properties": {"a": {"type": "string"}}}
    checked = {**plain, "properties": {"a": {"type": "string", **dict.fromkeys(keys, 7)}}}
    assert count_request(chat(checked), model="gpt-4o") == count_request(chat(plain), model="gpt-4o")


@given(st.text(max_size=30), st.sampled_from(["gpt-4o", "gpt-5"]))
def test_bounds_hold_the_count(text: str, model: str) -> None:
    schema = {"type": "object", "description": text, "patternProperties": {"a": {}}, "oneOf": [{"type": "string"}]}
    for body in (chat(schema, ("assistant", "x"), description=text), responses(schema)):
        count = count_request(body, model=model)
        assert count.certainty == "estimated"
        assert count.bounds[1] is not None
        assert count.bounds[0] <= count.input_tokens <= count.bounds[1]
        assert count.bounds[0] < count.bounds[1]


@pytest.mark.parametrize(
    ("body", "model", "named"),
    [
        pytest.param(chat({"pattern": "a+"}), "gpt-4o", "pattern", id="a key that was not recorded"),
        pytest.param(chat({"type": ["string", "null"]}), "gpt-4o", "type", id="a list of types"),
        pytest.param(chat({"additionalProperties": {"type": "string"}}), "gpt-4o", "additional", id="free properties"),
        pytest.param(chat(PLACE, description="a\nb"), "gpt-4o", "several lines", id="a description of two lines"),
        pytest.param(chat(PLACE, ("assistant", "x")), "gpt-4o", "earlier answers", id="an answer in the history"),
        pytest.param(chat({"title": "é"}), "gpt-5", "ASCII", id="letters beyond ASCII on another family"),
        pytest.param(chat(PLACE), "o3-mini", "assumed", id="a model without a recording"),
        pytest.param(chat(None), "gpt-4o", "without a schema", id="no schema"),
    ],
)
def test_what_no_recording_shows_is_estimated_and_said(body: dict[str, Any], model: str, named: str) -> None:
    count = count_request(body, model=model)
    assert count.certainty == "estimated"
    assert any(named in note for note in count.notes)


def test_letters_beyond_ascii_are_exact_where_they_were_recorded() -> None:
    assert count_request(chat({"title": "é"}), model="gpt-4o").certainty == "exact"


def test_beside_tools_the_answer_may_be_a_call_so_no_header_names_the_format() -> None:
    tools = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    block = count_tokens(PLACE_TEXT, model="gpt-4o")
    assert cost_of_format({**chat(PLACE, ("system", "Hi")), **tools}, "gpt-4o") == 1 + block
    assert cost_of_format({**chat(PLACE, ("system", "Hi")), **tools}, "gpt-5") == block


@pytest.mark.parametrize(
    ("form", "field"),
    [
        pytest.param(None, "response_format.json_schema.name", id="nothing"),
        pytest.param({"schema": {}}, "response_format.json_schema.name", id="no name"),
        pytest.param({"name": "a", "schema": "{}"}, "response_format.json_schema.schema", id="a schema as text"),
        pytest.param({"name": "a", "schema": {"enum": [{1}]}}, "response_format.json_schema.schema", id="no JSON"),
        pytest.param(
            {"name": "a", "schema": {}, "description": 7}, "response_format.json_schema.description", id="a number"
        ),
    ],
)
def test_a_format_that_cannot_be_read_names_its_field(form: Any, field: str) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_schema"}}
    with pytest.raises(RequestError) as caught:
        count_request({**body, "response_format": {"type": "json_schema", "json_schema": form}}, model="gpt-4o")
    assert caught.value.field == field


def test_a_schema_nested_without_end_is_an_error() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(RequestError, match="nested too deeply"):
        count_request(chat(schema), model="gpt-4o")
    while schema:  # so that Python takes it down one level at a time
        schema = schema.pop("items")


def test_a_format_is_read_by_attribute_as_well() -> None:
    form = SimpleNamespace(type="json_schema", name="place", description=None, schema_=PLACE)
    found = read_format(SimpleNamespace(text=SimpleNamespace(format=form)), "responses")
    assert found is not None
    assert render_format(found[1], found[0]).text == PLACE_TEXT


def test_the_format_of_the_other_api_is_not_counted() -> None:
    body = {**chat(PLACE), "text": responses(PLACE)["text"]}
    del body["response_format"]
    assert count_request(body, model="gpt-4o").certainty == "lower_bound"


def test_recorded_formats_cost_what_the_service_reported(test_data: Path) -> None:
    """All 67 are right; of those marked exact, and there must be most, none may ever be wrong."""
    exact, estimated = [], []
    for path in sorted((test_data / "ground_truth").glob("*.jsonl")):
        for line in path.read_text("utf-8").splitlines():
            vector = json.loads(line)
            if vector["category"] != "json_schema" or not vector["self_contained"] or vector.get("suspect"):
                continue
            count: Count = count_request(vector["request_body"], model=vector["response_model"], api=vector["api"])
            truth = vector["prompt_tokens"]
            assert count.bounds[0] <= truth <= (count.bounds[1] or 0), vector["id"]
            (exact if count.certainty == "exact" else estimated).append(count.input_tokens == truth)
    assert len(exact) >= 60
    assert all(exact)
    assert all(estimated)
