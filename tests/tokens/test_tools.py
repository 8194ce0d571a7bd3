"""How tools, their calls and their results are written into a prompt, and what that costs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_requests import recorded, with_blobs

from aoai_cost import Count, RequestError, count_request, count_tokens, list_models
from aoai_cost.catalog import ToolForm
from aoai_cost.tokens import tools as tools_module
from aoai_cost.tokens.tools import Function, declared_functions, tool_block

USER = {"role": "user", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be brief."}


def schema(required: str = "", **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required.split()}


def tool(name: str = "f", parameters: Any = None, description: str | None = None) -> dict[str, Any]:
    function = {"name": name, "parameters": parameters or {"type": "object", "properties": {}}}
    return {
        "type": "function",
        "function": function if description is None else {**function, "description": description},
    }


def flat(one: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function", **one["function"]}


def written(parameters: Any, types: Any = "2024", description: str = "") -> str:
    form = ToolForm(header="", types=types)
    return tool_block(form, [Function("tools[0]", "f", description, parameters)])[0]


def count(model: str = "gpt-4o-2024-08-06", **body: Any) -> Count:
    return count_request({"messages": [USER], **body} if "input" not in body else body, model=model)


STRING = {"type": "string"}


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        pytest.param(None, "type f = () => any;", id="no parameters"),
        pytest.param({"type": "object", "properties": {}}, "type f = () => any;", id="no properties"),
        pytest.param(schema("a", a=STRING, b={"type": "integer"}), "type f = (_: { a: string, b?: integer }) => any;",
                     id="without a comment all stands in one line"),
        pytest.param(
            schema("a", a={"type": "string", "title": "A", "description": "The first."}, b=STRING),
            "type f = (_: {\n// A\n//\n// The first.\na: string,\nb?: string,\n}) => any;",
            id="one comment breaks every line; a title is parted from what follows",
        ),
        pytest.param(
            schema("a", a={"type": "string", "description": "Line one.\n    Line two.\n\n"}),
            "type f = (_: {\n// Line one.\n// Line two.\na: string,\n}) => any;",
            id="indentation and blank ends of a description go",
        ),
        pytest.param(
            {**schema("a", a=STRING), "title": "Args", "description": "All of them."},
            "type f = (_: // Args\n//\n// All of them.\n{ a: string }) => any;",
            id="a title of the parameters stands behind the bracket",
        ),
        pytest.param(
            schema(a={"type": "string", "default": "x"}, b={"type": "array", "items": STRING, "default": None}),
            'type f = (_: {\na?: string, // default: "x"\nb?: string[], // default: null\n}) => any;',
            id="defaults stand behind, null too",
        ),
        pytest.param(schema("a", a={"type": "string", "enum": ["x", "y"]}), 'type f = (_: { a: "x" | "y" }) => any;',
                     id="an enum"),
        pytest.param(
            schema("a", a={**schema("b", b=STRING), "description": "Inner."}),
            "type f = (_: {\n// Inner.\na: { b: string },\n}) => any;",
            id="a nested object in one line",
        ),
        pytest.param(
            schema("a", a=schema("b", b={"type": "string", "description": "Deep."})),
            "type f = (_: {\na: {\n// Deep.\nb: string,\n},\n}) => any;",
            id="a nested object with a comment is not indented",
        ),
        pytest.param(schema("a", a={"type": "array", "items": schema("b", b=STRING)}),
                     "type f = (_: { a: { b: string }[] }) => any;", id="an array of plain objects"),
        pytest.param(
            schema("a", a={"type": "array", "items": {**schema("b", b=STRING), "title": "Row"}}),
            "type f = (_: {\na: Array<\n// Row\n{ b: string }\n>,\n}) => any;",
            id="an array of objects with comments",
        ),
        pytest.param(
            schema("a", a={"type": ["string", "null"], "description": "Maybe."}),
            "type f = (_: {\n// Maybe.\na:\n// Maybe.\n | string\n// Maybe.\n | null\n,\n}) => any;",
            id="a list of types repeats the description for each",
        ),
        pytest.param(
            schema(a={"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Maybe.", "default": None}),
            "type f = (_: {\n// Maybe.\na?: string | null, // default: null\n}) => any;",
            id="plain alternatives in one line",
        ),
        pytest.param(
            schema(a={"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "default": None}),
            "type f = (_: {\n// default: null\na?:\n | integer // minimum: 0\n | null\n,\n}) => any;",
            id="alternatives with remarks in lines, the default above them",
        ),
        pytest.param(
            {**schema("a", a={"$ref": "#/$defs/Row"}), "$defs": {"Row": schema("b", b=STRING)}},
            "type f = (_: { a: { b: string } }) => any;",
            id="a reference is what it refers to",
        ),
        pytest.param(
            schema("n", n={"type": "number", "minimum": 1, "maximum": 2.5}, s={"type": "string", "pattern": "^a$"}),
            "type f = (_: {\nn: number, // minimum: 1.0, maximum: 2.5\ns?: string, // pattern: /^a$/\n}) => any;",
            id="limits stand behind",
        ),
        pytest.param(
            schema(a={"type": "object", "additionalProperties": {"type": "string"}}),
            "type f = (_: { a?: { [key: string]: string } }) => any;",
            id="other properties",
        ),
        pytest.param(
            schema(a={"type": "array", "prefixItems": [STRING, {"type": "integer"}], "items": {"type": "number"}}),
            "type f = (_: { a?: [item0?: string, item1?: integer, ...items: number[]] }) => any;",
            id="a tuple",
        ),
        pytest.param(
            schema(a={"oneOf": [{"type": "string", "default": "x"}, {"type": "number", "description": "N."}]}),
            'type f = (_: {\na?:\n | string // default: "x"\n// N.\n | number\n,\n}) => any;',
            id="a default of an alternative",
        ),
        pytest.param(
            {**schema(root={"$ref": "#/$defs/node"}), "$defs": {"node": schema(child={"$ref": "#/$defs/node"})}},
            'type f = (_: {\nroot?: {\nchild?: any, // $ref: "#/$defs/node"\n},\n}) => any;',
            id="a reference to what it stands in",
        ),
    ],
)  # fmt: skip
def test_parameters_are_written_as_types(parameters: Any, text: str) -> None:
    assert written(parameters) == text


def test_functions_stand_in_one_namespace() -> None:
    form = ToolForm(header="namespace functions {\n\n", footer="} // namespace functions")
    functions = [Function("tools[0]", "one", "First.\n", None), Function("tools[1]", "two", "", None)]
    text = (
        "namespace functions {\n\n// First.\ntype one = () => any;\n\ntype two = () => any;\n\n} // namespace functions"
    )
    assert tool_block(form, functions) == (text, 0, [])


def test_the_first_models_with_functions_saw_indented_objects_without_comments() -> None:
    inner = schema("b", b={"type": "string", "description": "Deep.", "title": "B"})
    parameters = schema("a", a={**inner, "description": "Outer.", "default": None})
    assert written(parameters, "2023") == "type f = (_: {\n// Outer.\na: {\n  b: string,\n},\n}) => any;"


def text_tokens(text: str) -> int:
    return count_tokens(text, encoding="o200k_base")


ONE_LINE = "type f = (_: { a: string }) => any;\n\n} // namespace functions"
CLASSIC = f"# Tools\n\n## functions\n\nnamespace functions {{\n\n{ONE_LINE}"
RESPONSES = f"## functions\n\nnamespace functions {{\n\n{ONE_LINE}"
HARMONY = (
    "## Namespace: functions\n\n### Target channel: commentary\n\n### Tool definitions\n"
    "type f = (_: { a: string }) => any;"
)


@pytest.mark.parametrize(
    ("model", "api", "system", "tokens"),
    [
        pytest.param("gpt-4o-2024-08-06", "chat", True, text_tokens(f"Be brief.\n\n{CLASSIC}") - 3 - 1,
                     id="classic chat: one text with the system message"),
        pytest.param("gpt-4o-2024-08-06", "chat", False, 4 + text_tokens(CLASSIC) - 1,
                     id="classic chat: a message of its own"),
        pytest.param("gpt-4o-2024-08-06", "responses", True, text_tokens(RESPONSES),
                     id="classic Responses: apart, without the first heading"),
        pytest.param("gpt-5.4", "responses", True, text_tokens(HARMONY), id="gpt-5.4 Responses"),
        pytest.param("gpt-5-mini", "chat", False, text_tokens(HARMONY) + 82, id="gpt-5 chat: a hidden paragraph"),
        pytest.param("gpt-5-mini", "chat", True, text_tokens(HARMONY) + 82 - 1,
                     id="gpt-5 chat: a closing stop is one token with the blank line"),
    ],
)  # fmt: skip
def test_a_block_of_tools_costs_its_text_and_a_constant(model: str, api: str, system: bool, tokens: int) -> None:
    items = [SYSTEM, USER] if system else [USER]
    one = tool(parameters=schema("a", a=STRING))
    field, tools = ("messages", [one]) if api == "chat" else ("input", [flat(one)])
    plain = count_request({field: items}, model=model)
    found = count_request({field: items, "tools": tools}, model=model)
    assert found.input_tokens - plain.input_tokens == tokens
    assert found.certainty == "exact"
    assert sum(line.tokens for line in found.lines) == found.input_tokens


def call(name: str, arguments: str, identity: str = "call_1") -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def answer(text: Any, identity: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identity, "content": text, **more}


def asked(*calls: dict[str, Any], content: Any = None) -> dict[str, Any]:
    return {"role": "assistant", "content": content, "tool_calls": list(calls)}


# "add" and ".add" are one token each in o200k_base.
PAIR = 12 + 1 + 2 + text_tokens('{"a":1}') + text_tokens("two")


def test_a_call_and_its_result_cost_their_name_twice() -> None:
    extra = count(messages=[USER, asked(call("add", '{"a":1}')), answer("two")]).input_tokens - count().input_tokens
    assert extra == PAIR


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([asked(call("add", '{ "a" : 1 }')), answer("two")], id="blanks of the arguments"),
        pytest.param([asked(call("add", '{"a":1}')), answer("two", name="add")], id="a name of the result"),
        pytest.param([asked(call("add", '{"a":1}'), content=""), answer("two")], id="an empty text"),
        pytest.param([asked(call("add", '{"a":1}', "x" * 40)), answer("two", "x" * 40)], id="the id"),
        pytest.param([asked(call("add", '{"a":1}')), answer([{"type": "text", "text": "two"}])], id="text as parts"),
    ],
)
def test_these_cost_nothing(messages: list[dict[str, Any]]) -> None:
    found = count(messages=[USER, *messages])
    assert found.input_tokens - count().input_tokens == PAIR
    assert found.certainty == "exact"


def test_arguments_that_are_no_json_count_as_they_are() -> None:
    broken = count(messages=[USER, asked(call("add", '{ "a" : ')), answer("two")])
    assert broken.input_tokens - count().input_tokens == PAIR - text_tokens('{"a":1}') + text_tokens('{ "a" : ')


def test_text_beside_a_call_is_a_message_of_its_own() -> None:
    messages = [USER, asked(call("add", '{"a":1}'), content="Wait."), answer("two")]
    assert count(messages=messages).input_tokens - count().input_tokens == PAIR + 4 + text_tokens("Wait.")


def test_parallel_calls_are_one_call_and_one_list() -> None:
    calls = [call("add", '{"a": 1}', "1"), call("sub", "{}", "2")]
    uses = (
        '{"tool_uses":[{"recipient_name":"functions.add","parameters":{"a":1}},'
        '{"recipient_name":"functions.sub","parameters":{}}]}'
    )
    messages = [USER, asked(*calls), answer("two’s", "1"), answer('{"x":[1]}', "2")]
    exact = text_tokens(uses) + text_tokens('["two’s", {"x": [1]}]') + 20
    assert count(messages=messages).input_tokens - count().input_tokens == exact
    escaped = text_tokens(uses) + text_tokens('["two\\u2019s", {"x": [1]}]') + 20
    mini = "gpt-4o-mini"
    assert count(mini, messages=messages).input_tokens - count(mini).input_tokens == escaped


def item(name: str, arguments: str, identity: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": identity, "name": name, "arguments": arguments, **more}


def output(text: Any, identity: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": identity, "output": text}


@pytest.mark.parametrize(
    ("model", "more", "tokens", "below", "above"),
    [
        pytest.param("gpt-5.4", {}, 16 + 3 + 3, 0, 0, id="gpt-5.4"),
        pytest.param("gpt-5.4", {"id": "fc_1"}, 16 + 3 + 3, 0, 0, id="gpt-5.4 with an id"),
        pytest.param("gpt-4.1", {}, 7 + 3 + 3, 0, 0, id="gpt-4.1"),
        pytest.param("gpt-4.1", {"id": "fc_1"}, 10 + 3 + 3, 3, 3, id="gpt-4.1 with an id: three more"),
        pytest.param("gpt-5.2", {}, 13 + 3 + 3, 0, 3, id="gpt-5.2 without an id: it may be three more"),
        pytest.param("gpt-5.2", {"id": "fc_1"}, 16 + 3 + 3, 3, 3, id="gpt-5.2 with an id: three more"),
    ],
)
def test_items_of_calls_and_results(model: str, more: dict[str, Any], tokens: int, below: int, above: int) -> None:
    # The names: " to", "=", "functions", ".add" and "functions", ".add"
    plain = count(model, input=[USER])
    found = count(model, input=[USER, item("add", '{"a": 1}', **more), output("two")])
    assert found.input_tokens - plain.input_tokens == tokens + text_tokens('{"a": 1}') + text_tokens("two")
    assert found.bounds == (found.input_tokens - below, found.input_tokens + above)
    assert found.certainty == ("estimated" if above else "exact")


def test_results_find_their_calls_by_id() -> None:
    one, two = item("add", "{}", "1"), item("transfer_everything", "{}", "2")
    plain = count("gpt-4.1", input=[USER, one, output("x", "1"), two, output("y", "2")])
    mixed = count("gpt-4.1", input=[USER, one, two, output("y", "2"), output("x", "1")])
    assert mixed.input_tokens == plain.input_tokens


@pytest.mark.parametrize(
    ("model", "api", "choice", "tokens", "unsure"),
    [
        pytest.param("gpt-4o-2024-08-06", "chat", "auto", 0, 0, id="auto"),
        pytest.param("gpt-4o-2024-08-06", "chat", "required", 0, 0, id="required in chat"),
        pytest.param("gpt-4o-2024-08-06", "chat", {"type": "function", "function": {"name": "f"}}, 4 + 4, 4,
                     id="a function in chat"),
        pytest.param("gpt-4.1", "responses", "required", 9, 4, id="required in Responses"),
        pytest.param("gpt-5.4", "responses", {"type": "function", "name": "f"}, 0, 0, id="a function on gpt-5.4"),
        pytest.param("gpt-5-mini", "responses", {"type": "allowed_tools", "mode": "required", "tools": []}, 0, 0,
                     id="allowed tools on gpt-5"),
    ],
)  # fmt: skip
def test_tool_choices(model: str, api: str, choice: Any, tokens: int, unsure: int) -> None:
    field, one = ("messages", tool()) if api == "chat" else ("input", flat(tool()))
    body = {field: [USER], "tools": [one]}
    free = count_request(body, model=model).input_tokens
    found = count_request({**body, "tool_choice": choice}, model=model)
    assert found.input_tokens - free == tokens
    assert found.bounds == (found.input_tokens - unsure, found.input_tokens + unsure)
    assert found.certainty == ("estimated" if unsure else "exact")


def test_a_choice_that_no_recording_shows_is_a_range() -> None:
    found = count(tools=[tool()], tool_choice="none")
    assert found.certainty == "estimated"
    assert found.bounds == (found.input_tokens, found.input_tokens + 14)


def test_a_choice_without_tools_costs_nothing() -> None:
    assert count(tool_choice="none").bounds == (count().input_tokens,) * 2


def test_old_style_functions_and_calls() -> None:
    model = "gpt-3.5-turbo-0613"
    function = tool("do_it")["function"]
    assert count(model, functions=[function]).input_tokens == count(model, tools=[tool("do_it")]).input_tokens
    forced = count(model, functions=[function], function_call={"name": "do_it"})
    name = count_tokens(" to=functions.do_it", encoding="cl100k_base")
    assert forced.input_tokens - count(model, functions=[function]).input_tokens == 1 + name
    called = {"role": "assistant", "content": None, "function_call": {"name": "do_it", "arguments": "{}"}}
    result = {"role": "function", "name": "do_it", "content": "done"}
    extra = count(model, messages=[USER, called, result]).input_tokens - count(model).input_tokens
    # Per pair 7 and 3; the name twice, the arguments and the result.
    assert extra == 10 + 2 * count_tokens("do_it", encoding="cl100k_base") + 1 + 1


def test_an_old_style_call_on_a_newer_model_is_a_range() -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    found = count(messages=[USER, called, {"role": "function", "name": "f", "content": "x"}])
    assert found.certainty == "estimated"
    assert found.bounds == (found.input_tokens - 4, found.input_tokens + 4)


@pytest.mark.parametrize("kind", ["web_search", "file_search", "code_interpreter", "mcp", "image_generation", "custom"])
def test_a_tool_of_the_service_leaves_the_count_a_lower_bound(kind: str) -> None:
    found = count("gpt-5.4", input=[USER], tools=[{"type": kind}, flat(tool())])
    assert found.certainty == "lower_bound"
    assert found.bounds == (count("gpt-5.4", input=[USER], tools=[flat(tool())]).input_tokens, None)
    assert any(kind in note and "tools[0]" in note for note in found.notes)


def test_a_keyword_that_no_recording_shows_makes_a_range_and_says_so() -> None:
    parameters = schema("a", a={"type": "string", "format": "date"})
    found = count(tools=[tool(parameters=parameters)])
    assert found.certainty == "estimated"
    least, most = found.bounds
    assert most is not None
    assert least < found.input_tokens < most
    assert any("tools[0]" in note for note in found.notes)


def test_properties_that_were_sorted_make_a_range() -> None:
    """Recorders sort keys; the borders of properties then merge otherwise than in what was sent."""
    sent = count(tools=[tool(parameters=schema("b a", b={"type": "array", "items": STRING}, a=STRING))])
    kept = count(tools=[tool(parameters=schema("b a", a=STRING, b={"type": "array", "items": STRING}))])
    assert (sent.certainty, kept.certainty) == ("exact", "estimated")
    assert kept.bounds[0] <= sent.input_tokens <= (kept.bounds[1] or 0)


@pytest.mark.parametrize(("model", "field"), [("gpt-5.5", "input"), ("gpt-5.4", "messages"), ("o3-mini", "messages")])
def test_what_is_assumed_is_estimated(model: str, field: str) -> None:
    found = count_request({field: [USER], "tools": [tool() if field == "messages" else flat(tool())]}, model=model)
    assert found.certainty == "estimated"
    assert any("assumed" in note for note in found.notes)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"tools": "f"}, "tools"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "description": 7}}]}, "tools[0].description"),
        ({"messages": [{"role": "assistant", "tool_calls": "f"}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].name"),
        ({"messages": [asked(call("f", {"a": 1}))]}, "messages[0].tool_calls[0].arguments"),  # type: ignore[arg-type]
        ({"messages": [answer(7)]}, "messages[0].content"),
        ({"tools": [tool(parameters="x" * 200)]}, "tools[0].parameters"),
        ({"tools": [tool()], "tool_choice": "banana"}, "tool_choice"),
        ({"tools": [tool()], "tool_choice": {"name": [10**5_000]}}, "tool_choice.name"),
        ({"messages": [{"role": 10**5_000, "content": "Hello"}]}, "messages[0].role"),
    ],
)
def test_what_is_no_tool_names_its_field(body: dict[str, Any], where: str) -> None:
    with pytest.raises(RequestError) as caught:
        count(**body)
    assert caught.value.field == where


def test_hostile_schemas_end() -> None:
    loop = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    itself = {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}
    lost = {"type": "object", "properties": {"a": {"$ref": "#/$defs/nowhere"}, "b": True, "c": {"type": 7}}}
    deep: dict[str, Any] = STRING
    for _ in range(5_000):
        deep = {"type": "array", "items": deep}
    doubling = {f"d{i}": schema(a={"$ref": f"#/$defs/d{i + 1}"}, b={"$ref": f"#/$defs/d{i + 1}"}) for i in range(60)}
    wide = {**schema(a={"$ref": "#/$defs/d0"}), "$defs": doubling}
    both = {"type": "object", "properties": {"l": {"$ref": "#"}, "r": {"$ref": "#"}}}
    rows = {"type": "object", "properties": {"a": {"type": "array", "items": {"$ref": "#/properties/a"}}}}
    either = {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/properties/a"}, STRING]}}}
    huge = schema("a", a={"type": "number", "minimum": 10**400, "maximum": 10**5_000, "pattern": deep})
    odd = {"type": "object", "required": [{}, 1], "properties": {1: {}, "a": STRING, None: STRING}}
    for model in ("gpt-4o", "gpt-4"):
        for parameters in (
            loop,
            itself,
            lost,
            wide,
            schema("a", a=deep),
            {"properties": []},
            both,
            rows,
            either,
            huge,
            odd,
        ):
            found = count(model, tools=[tool(parameters=parameters)])
            assert found.certainty in ("exact", "estimated")
            assert 0 <= found.bounds[0] <= found.input_tokens <= (found.bounds[1] or 0)
    messages = [USER, asked(call("f", "[" * 100_000)), answer("[" * 100_000)]
    assert count(messages=messages).input_tokens > 0


def test_many_keywords_that_no_recording_shows_leave_no_less_than_nothing() -> None:
    unseen = {f"p{i}": {"type": "string", "format": "date", "pattern": "a", "x-kind": 1} for i in range(40)}
    found = count(tools=[tool(parameters=schema("", **unseen))])
    without = count()
    assert found.bounds[0] >= without.input_tokens
    assert found.input_tokens > without.input_tokens + 400


@pytest.mark.parametrize(
    "parameters",
    [
        {"$ref": "#/$defs/place", "$defs": {"place": schema("city", city=STRING)}},
        {"type": "object", "anyOf": [schema("city", city=STRING), schema("lat", lat={"type": "number"})]},
        {"type": "object", "description": "Where to look.", "additionalProperties": STRING},
    ],
)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
def test_parameters_without_properties_of_their_own_are_not_nothing(model: str, parameters: Any) -> None:
    found = count(model, tools=[tool(parameters=parameters)])
    assert found.certainty == "estimated"
    assert found.input_tokens > count(model, tools=[tool(parameters={"type": "object", "properties": {}})]).input_tokens


@pytest.mark.parametrize(
    ("more", "certainty"),
    [
        ({"refusal": "I cannot help with that."}, "estimated"),
        ({"audio": {"id": "audio_1"}}, "lower_bound"),
        ({"name": "helper"}, "lower_bound"),
    ],
)
def test_what_stands_beside_calls_without_content_is_not_nothing(more: Any, certainty: str) -> None:
    plain = asked(call("f", "{}"))
    found, without = (count(messages=[USER, message]) for message in ({**plain, **more}, plain))
    assert (without.certainty, found.certainty) == ("exact", certainty)
    assert found.input_tokens > without.input_tokens or found.certainty == "lower_bound"


def test_calls_of_custom_tools_are_said_not_to_be_counted() -> None:
    custom = {"id": "c", "type": "custom", "custom": {"name": "code", "input": "print(1)"}}
    found = count(messages=[USER, {"role": "assistant", "content": None, "tool_calls": [custom]}])
    assert found.certainty == "lower_bound"
    assert any("messages[1].tool_calls[0]" in note for note in found.notes)


def test_an_iterator_in_a_mapping_is_read_once() -> None:
    listed, lazy = (
        count(tools=[tool(parameters=schema("a", a=MappingProxyType({"type": "string", "enum": values})))])
        for values in (["x", "yy"], iter(["x", "yy"]))
    )
    assert lazy == listed


@pytest.fixture
def written_blocks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blocks of tools that are really written, with none kept from before."""
    blocks: list[str] = []

    def write(form: ToolForm, functions: Any) -> Any:
        found = tool_block(form, functions)
        blocks.append(found[0])
        return found

    monkeypatch.setattr(tools_module, "tool_block", write)
    monkeypatch.setattr(tools_module, "_kept", {})
    return blocks


def test_the_same_tools_are_written_once(written_blocks: list[str]) -> None:
    declared = [tool("f", schema("a", a=STRING), "Does it."), {"type": "web_search"}]
    found = [count(tools=one) for one in (declared, declared, copy.deepcopy(declared))]
    assert found[0] == found[1] == found[2]
    assert found[0].certainty == "lower_bound"
    assert len(written_blocks) == 1
    # Another API has another form.
    count(input="Hello", tools=[flat(declared[0])])
    count("gpt-35-turbo-0613", tools=declared)
    assert len(written_blocks) == 3


def change_description(one: dict[str, Any]) -> None:
    one["function"]["description"] = "Does something else, and says so at length."


def change_order(one: dict[str, Any]) -> None:
    properties = one["function"]["parameters"]["properties"]
    properties["a"] = properties.pop("a")


def change_type_of_default(one: dict[str, Any]) -> None:
    one["function"]["parameters"]["properties"]["a"]["default"] = True


def add_to_enum(one: dict[str, Any]) -> None:
    one["function"]["parameters"]["properties"]["b"]["enum"].append("zz")


@pytest.mark.parametrize("change", [change_description, change_order, change_type_of_default, add_to_enum])
def test_tools_that_were_changed_are_written_anew(written_blocks: list[str], change: Callable[..., None]) -> None:
    one = tool("f", schema("a", a={"type": "integer", "default": 1}, b={"type": "string", "enum": ["x"]}))
    count(tools=[one])
    change(one)
    after = count(tools=[one])
    assert len(written_blocks) == 2
    assert written_blocks[0] != written_blocks[1]
    # What is no plain dict is written each time.
    assert after == count(tools=[MappingProxyType(one)])


@pytest.mark.parametrize(
    "declare",
    [
        pytest.param(lambda: [SimpleNamespace(type="function", name="f")], id="typed objects"),
        pytest.param(lambda: [tool(parameters=schema("a", a={"enum": iter(["x", "yy"])}))], id="an iterator"),
        pytest.param(lambda: [tool(parameters=schema("a", a={"enum": np.array(["x", "yy"])}))], id="an array"),
    ],
)
def test_tools_of_more_than_json_are_not_kept(written_blocks: list[str], declare: Callable[[], Any]) -> None:
    assert count(tools=declare()) == count(tools=declare())
    assert len(written_blocks) == 2
    assert not tools_module._kept


def test_few_tools_are_kept_and_none_that_are_large(written_blocks: list[str]) -> None:
    for i in range(tools_module._MOST_KEPT + 10):
        count(tools=[tool(f"f{i}")])
    assert 0 < len(tools_module._kept) <= tools_module._MOST_KEPT
    tools_module._kept.clear()
    count(tools=[tool(description="word " * 20_000)])
    assert not tools_module._kept


def test_tools_that_are_changed_while_they_are_written_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = [tool()]

    def write(form: ToolForm, functions: Any) -> Any:
        found = tool_block(form, functions)
        declared[0]["function"]["name"] = "another_thread"
        return found

    monkeypatch.setattr(tools_module, "_kept", {})
    monkeypatch.setattr(tools_module, "tool_block", write)
    count(tools=declared)
    assert not tools_module._kept


def test_threads_share_the_tools_that_are_kept() -> None:
    declared = [[tool(f"f{i}", schema("a", a={"type": "string", "description": "word " * i}))] for i in range(100)]
    expected = [count(tools=one) for one in declared]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda one: count(tools=one), declared * 5)) == expected * 5


def test_schemas_that_share_parts_without_end_are_still_counted() -> None:
    shared: dict[str, Any] = {"type": "string"}
    for _ in range(60):
        shared = {"type": "object", "properties": {"a": shared, "b": shared}}
    assert count(tools=[tool(parameters=shared)]).certainty == "estimated"


names = st.from_regex(r"[a-z_]{1,12}", fullmatch=True)
leaves = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "integer", "number", "boolean"])},
    optional={"description": st.text(min_size=1, max_size=30), "title": st.text(min_size=1, max_size=10)},
)
schemas: Callable[..., Any] = lambda inner: st.builds(  # noqa: E731
    lambda properties, title: {"type": "object", "properties": properties, "required": list(properties)} | title,
    st.dictionaries(names, inner, max_size=4),
    st.fixed_dictionaries({}, optional={"title": st.text(min_size=1, max_size=10)}),
)
parameters_of_functions = schemas(
    st.recursive(leaves, lambda inner: schemas(inner) | st.builds(lambda x: {"type": "array", "items": x}, inner))
)
functions = st.builds(tool, names, parameters_of_functions, st.none() | st.text(max_size=40))
MODELS = st.sampled_from(["gpt-4o-2024-08-06", "gpt-4o-mini", "gpt-3.5-turbo-0613", "gpt-5-mini", "gpt-5.4"])


@given(st.lists(functions, max_size=3), functions, MODELS)
def test_another_tool_never_costs_less_and_bounds_hold_the_count(tools: list[Any], more: Any, model: str) -> None:
    fewer, found = count(model, tools=tools), count(model, tools=[*tools, more])
    assert found.input_tokens > fewer.input_tokens
    assert found.bounds[0] <= found.input_tokens <= (found.bounds[1] or 0)
    assert found.certainty in ("exact", "estimated")


@given(st.lists(functions, min_size=1, max_size=3), MODELS)
def test_the_order_of_keywords_changes_nothing(tools: list[Any], model: str) -> None:
    def turned(value: Any) -> Any:
        if isinstance(value, dict):
            # Properties keep their order: it is the order in the prompt.
            keep = {"properties"} & set(value)
            inner = {key: turned(item) for key, item in reversed(value.items()) if key not in keep}
            return inner | {key: {name: turned(one) for name, one in value[key].items()} for key in keep}
        return [turned(one) for one in value] if isinstance(value, list) else value

    assert count(model, tools=turned(tools)) == count(model, tools=tools)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_parameters_are_written_or_refused(parameters: Any) -> None:
    body = {"messages": [USER], "tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]}
    if parameters is None or isinstance(parameters, dict):
        assert count_request(body, model="gpt-4o").input_tokens > 8
    else:
        with pytest.raises(RequestError, match="JSON schema"):
            count_request(body, model="gpt-4o")


def test_both_shapes_declare_the_same_functions() -> None:
    one = tool("f", schema("a", a=STRING), "Does it.")
    chat, responses = (list(declared_functions({"tools": [shape]})) for shape in (one, flat(one)))
    assert chat == responses == [Function("tools[0]", "f", "Does it.", one["function"]["parameters"])]


def test_every_chat_model_counts_tools_or_says_that_it_cannot() -> None:
    for model in list_models():
        if model.chat_rule is None or model.encoding is None:
            continue
        found = count_request({"messages": [USER], "tools": [tool()]}, model=model)
        assert (found.certainty == "lower_bound") == (model.tool_rule is None), model.name


@pytest.mark.parametrize(("category", "share"), [("tools", 0.955), ("tool_history", 0.87)])
def test_recorded_requests_with_tools(test_data: Path, category: str, share: float) -> None:
    """What is missed had hidden prompts of early 2025, a schema, reasoning items, or keys sorted afterwards."""
    vectors = recorded(test_data, category)
    right = exact = exact_and_right = 0
    for vector in vectors:
        body = with_blobs(vector["request_body"], test_data)
        found = count_request(body, model=vector["response_model"], api=vector["api"])
        hit = found.input_tokens in {vector["prompt_tokens"], *(vector.get("alt_prompt_tokens") or ())}
        right += hit
        exact += found.certainty == "exact"
        exact_and_right += hit and found.certainty == "exact"
    assert len(vectors) >= 20
    assert right / len(vectors) >= share, f"{right} of {len(vectors)}"
    assert exact_and_right / exact >= 0.975, f"{exact_and_right} of {exact}"
