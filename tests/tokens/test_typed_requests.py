"""Requests of other things than dicts: typed objects, pydantic models, dataclasses, iterators, what was not given."""

from __future__ import annotations

import dataclasses
import enum
import subprocess
import sys
from collections import UserDict
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, Literal
from unittest.mock import MagicMock

import openai
import openai.types.responses as responses
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ParsedChatCompletionMessage
from openai.types.shared import ResponseFormatJSONSchema
from recorded_requests import recorded, with_blobs

from aoai_cost import AoaiCostError, Count, Deployment, RequestError, count_request, estimate_request, image_size
from aoai_cost.tokens.body import as_json

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "Where?", "enum": ["a", "b"]},
        "near": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Place"}}, {"type": "null"}], "default": None},
    },
    "required": ["city"],
    "$defs": {"Place": {"type": "object", "properties": {"name": {"type": "string"}}}},
}
FUNCTION = {"name": "weather", "description": "Look outside.", "parameters": PARAMETERS}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "a"}'}}
TEXT = {"type": "text", "text": "Hi"}
ITEM = {"call_id": "1", "name": "weather", "arguments": "{}"}
CHAT: dict[str, Any] = {
    "model": "gpt-4o-2024-08-06",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [TEXT, {"type": "image_url", "image_url": {"url": PIXEL}}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ],
    "tools": [{"type": "function", "function": FUNCTION}],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "response_format": {"type": "json_schema", "json_schema": {"name": "place", "schema": PARAMETERS}},
    "max_tokens": 10,
}  # fmt: skip
RESPONSES = {
    "model": "gpt-5.4",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{**TEXT, "type": "input_text"}, {"type": "input_image", "image_url": PIXEL}]},
        {"type": "function_call", "id": "fc_1", **ITEM},
        {"type": "function_call_output", "call_id": "1", "output": "rain"},
    ],
    "tools": [{"type": "function", **FUNCTION}],
    "tool_choice": {"type": "function", "name": "weather"},
    "text": {"format": {"type": "json_schema", "name": "place", "schema": PARAMETERS}},
    "reasoning": {"effort": "low"},
}  # fmt: skip
BODIES = {
    "chat": CHAT,
    "responses": RESPONSES,
    "embeddings": {"model": "text-embedding-3-large", "input": [[1, 2], [3]]},
    "completions": {"model": "gpt-3.5-turbo-instruct", "prompt": ["one", "two"]},
    "old functions": {
        "model": "gpt-3.5-turbo-0613",
        "messages": [
            {"role": "assistant", "function_call": {"name": "weather", "arguments": "{}"}},
            {"role": "function", "name": "weather", "content": "rain"},
        ],
        "functions": [FUNCTION],
        "function_call": {"name": "weather"},
    },
    "nothing that counts": {"messages": [{"role": "user", "content": "x"}], "text": {"format": {"type": "grammar"}}},
}


class Attributes:
    def __init__(self, fields: dict[str, Any]) -> None:
        self.__dict__.update(fields)
        self._private = object()

    def method(self) -> None:
        raise AssertionError("methods are no fields")


class Dumped:
    """What pydantic's models have in common, as far as it is asked for."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def model_dump(self, **options: Any) -> dict[str, Any]:
        assert options["by_alias"]
        return self.fields

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self.fields.items())


class DumpedV1:
    __fields_set__: frozenset[str] = frozenset()

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields

    def dict(self, **options: Any) -> dict[str, Any]:
        assert options["by_alias"]
        return self.fields


def as_dataclass(fields: dict[str, Any]) -> Any:
    # A name that is no identifier, as "$ref", cannot be a field.
    if not all(map(str.isidentifier, fields)):
        return fields
    made: Any = dataclasses.make_dataclass("Part", [(name, Any) for name in fields], slots=True)
    return made(**fields)


class Omit:
    def __bool__(self) -> Literal[False]:
        return False


class NotGiven(Omit):
    pass


MAKERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "SimpleNamespace": lambda fields: SimpleNamespace(**fields),
    "attributes beside methods": Attributes,
    "dataclass": as_dataclass,
    "model_dump": Dumped,
    "dict of pydantic v1": DumpedV1,
    "UserDict": UserDict,
    "MappingProxyType": MappingProxyType,
    "with what was not given": lambda fields: {**fields, "metadata": NotGiven(), "name_": Omit()},
}


def wrapped(value: Any, make: Callable[[dict[str, Any]], Any], make_list: Callable[[list[Any]], Any] = list) -> Any:
    if isinstance(value, dict):
        return make({key: wrapped(item, make, make_list) for key, item in value.items()})
    return make_list([wrapped(one, make, make_list) for one in value]) if isinstance(value, list) else value


def counted(body: Any, model: str = "gpt-4o", **more: Any) -> Count | str:
    try:
        return count_request(body, model=model, **more)
    except AoaiCostError as error:
        return type(error).__name__


def typed(body: Any, make: Callable[[dict[str, Any]], Any], **more: Any) -> Count | str:
    return counted(wrapped(body, make, **more), body.get("model", "gpt-4o"))


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_request_costs_the_same_whatever_its_parts_are(body: dict[str, Any], make: Any) -> None:
    plain = count_request(body, model=body.get("model", "gpt-4o"))
    assert typed(body, make) == plain
    if make is not MAKERS["with what was not given"] and "model" in body:
        assert count_request(wrapped(body, make)) == plain  # the model is read from the body


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(
    "make_list", [tuple, iter, lambda one: (x for x in one), UserDict], ids=["tuple", "iter", "a generator", "UserDict"]
)
def test_a_list_may_be_anything_that_is_iterated(body: dict[str, Any], make_list: Any) -> None:
    if make_list is UserDict:  # the values of a mapping
        make_list = lambda one: dict(enumerate(one)).values()  # noqa: E731
    assert typed(body, dict, make_list=make_list) == counted(body, body.get("model", "gpt-4o"))


@pytest.mark.parametrize(
    ("category", "least"),
    [
        *(("plain", 300), ("multi_turn", 50), ("name", 5), ("tools", 180), ("tool_history", 150), ("json_schema", 60)),
        *(("json_schema+tools", 5), ("json_mode", 3), ("image_inline", 20), ("file", 1), ("audio", 1)),
        *(("embeddings", 60), ("completions", 10)),
    ],
)
def test_recorded_requests_cost_the_same_as_objects(test_data: Path, category: str, least: int) -> None:
    vectors = recorded(test_data, category)
    right = 0
    for vector in vectors:
        body = with_blobs(vector["request_body"], test_data)
        plain = counted(body, vector["response_model"], api=vector["api"])
        made = wrapped(body, MAKERS["SimpleNamespace"], tuple)
        assert counted(made, vector["response_model"], api=vector["api"]) == plain, vector["id"]
        right += isinstance(plain, Count)
    assert right >= least


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
keys = st.sampled_from(["type", "role", "content", "text", "name", "tool_calls", "function", "input", "messages"])
parts = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))


@given(parts, st.sampled_from(list(MAKERS.values())))
def test_any_json_is_the_same_as_objects(value: Any, make: Any) -> None:
    assert counted(wrapped({"messages": [value, value]}, make)) == counted({"messages": [value, value]})


def test_fields_by_attribute() -> None:
    class Message:
        role = "user"

        @property
        def content(self) -> str:
            return "Hello"

    assert as_json(Message()) == {"content": "Hello", "role": "user"}
    assert count_request({"messages": [Message()]}, model="gpt-4o").input_tokens == 8


def test_an_enum_is_its_value() -> None:
    class Role(enum.Enum):
        USER = "user"

    class Word(str, enum.Enum):  # noqa: UP042  (as most code still has it)
        USER = "user"

    plain = count_request({"messages": [{"role": "user", "content": "Hello"}]}, model="gpt-4o")
    for role in (Role.USER, Word.USER):
        assert count_request({"messages": [{"role": role, "content": "Hello"}]}, model="gpt-4o") == plain


def test_none_by_default_is_not_given_in_a_dataclass() -> None:
    @dataclasses.dataclass
    class Schema:
        type: str
        default: Any = None
        description: str | None = None

    assert as_json(Schema("string")) == {"type": "string"}
    assert as_json(Schema("string", 7)) == {"type": "string", "default": 7}


@pytest.mark.parametrize(
    "absent",
    [NotGiven(), Omit(), openai.NOT_GIVEN, openai.omit, None],
    ids=["NotGiven", "Omit", "NOT_GIVEN", "omit", "None"],
)
def test_what_is_not_given_costs_and_says_nothing(absent: Any) -> None:
    messages = [{"role": "user", "content": "Hello", "name": absent}]
    names = ("tools", "tool_choice", "response_format", "text_format", "input", "prompt", "previous_response_id")
    body = {"messages": messages, **dict.fromkeys(names, absent)}
    assert count_request(body, model="gpt-4o") == count_request({"messages": [{"role": "user", "content": "Hello"}]},
                                                                model="gpt-4o")  # fmt: skip
    assert count_request({"input": "Hello", "messages": absent}, model="gpt-4o").api == "responses"


@pytest.mark.parametrize(
    ("body", "field", "named"),
    [
        pytest.param([{}], "body", "list", id="a list as the body"),
        pytest.param(iter([]), "body", "list_iterator", id="an iterator as the body"),
        pytest.param(MagicMock(), "body", "MagicMock", id="a mock as the body"),
        pytest.param(date(2026, 1, 1), "body", "date", id="a date as the body"),
        pytest.param(openai.NOT_GIVEN, "body", "NotGiven", id="nothing as the body"),
        pytest.param({"messages": {"a", "b"}}, "messages", "set", id="a set, which has no order"),
        pytest.param({"messages": [MagicMock()]}, "messages[0]", "MagicMock", id="a mock as a message"),
        pytest.param({"messages": [ChatCompletion]}, "messages[0]", "ModelMetaclass", id="a class as a message"),
        pytest.param(
            {"messages": [{"role": "user", "content": b"x"}]}, "messages[0].content", "bytes", id="bytes as a content"
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": date(2026, 1, 1)}]},
            "messages[0].content",
            "date",
            id="a date as a content",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": "x"}], "tools": [ChatCompletion]},
            "tools[0]",
            "ModelMetaclass",
            id="a class as a tool",
        ),
    ],
)
def test_what_is_no_part_of_a_request_is_named_by_its_own_type(body: Any, field: str, named: str) -> None:
    with pytest.raises(RequestError, match=named) as caught:
        count_request(body, model="gpt-4o")
    assert caught.value.field == field


def test_an_object_that_holds_itself_ends() -> None:
    itself = SimpleNamespace(role="user")
    itself.content = itself.tools = itself.messages = itself
    schema = SimpleNamespace(type="object")
    schema.properties = SimpleNamespace(a=schema)
    tool = SimpleNamespace(type="function", function=SimpleNamespace(name="f", parameters=schema))
    form = SimpleNamespace(type="json_schema", json_schema=SimpleNamespace(name="x", schema=schema))
    user = {"role": "user", "content": "Hello"}
    for body in (itself, {"messages": [itself]}, {"messages": [user], "response_format": form}):
        with pytest.raises(RequestError):
            count_request(body, model="gpt-4o")
    assert count_request({"messages": [user], "tools": [tool]}, model="gpt-4o").certainty == "estimated"


def test_a_model_that_cannot_be_written_is_an_error() -> None:
    class Message(pydantic.BaseModel):
        role: str = "user"
        content: Any

    with pytest.raises(RequestError, match="Message in it cannot be written as JSON"):
        count_request({"messages": [Message(content=object())]}, model="gpt-4o")


def test_an_estimate_takes_the_same_and_reads_an_iterator_once() -> None:
    chat = Deployment("contoso", "chat", "gpt-4o", version="2024-11-20", sku="GlobalStandard")
    plain = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 7, "service_tier": "default"}
    expected = estimate_request(plain, chat, on=date(2026, 8, 10))
    messages = (SimpleNamespace(role="user", content=iter([{"type": "text", "text": "Hello"}])) for _ in range(1))
    body = SimpleNamespace(messages=messages, max_tokens=7, service_tier="default", tools=None)
    assert estimate_request(body, chat, on=date(2026, 8, 10)) == expected
    assert list(messages) == []
    with pytest.raises(RequestError, match="body"):
        estimate_request([plain], chat)


def test_a_content_part_has_a_size_as_an_object_too() -> None:
    part = SimpleNamespace(type="image_url", image_url=SimpleNamespace(url=PIXEL, detail="low"))
    assert image_size(part) == image_size({"type": "input_image", "image_url": PIXEL}) == (1, 1)  # type: ignore[arg-type]


def test_neither_openai_nor_pydantic_is_loaded_by_a_count() -> None:
    code = (
        "import sys, types, aoai_cost\n"
        "message = types.SimpleNamespace(role='user', content='Hello')\n"
        "aoai_cost.count_request({'messages': [message]}, model='gpt-4o')\n"
        "assert not {'openai', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# From here on with the real SDK.


def assistant_answer() -> Any:
    """The message of an answer, as the SDK reads it from the service."""
    message = {"role": "assistant", "content": None, "refusal": None, "annotations": [], "audio": None,
               "function_call": None, "tool_calls": [CALL]}  # fmt: skip
    choice = {"index": 0, "finish_reason": "tool_calls", "logprobs": None, "message": message}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice]}
    return ChatCompletion.model_validate(body).choices[0].message


def response_items() -> list[Any]:
    text = {"type": "output_text", "text": "Wait.", "annotations": [], "logprobs": []}
    return [
        responses.ResponseOutputMessage.model_validate(
            {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
        ),
        responses.ResponseFunctionToolCall.model_validate(
            {"type": "function_call", "id": "fc_1", **ITEM}
        ),
        {"type": "function_call_output", "call_id": "1", "output": "rain"},
        responses.EasyInputMessage(role="user", content="And now?"),
    ]  # fmt: skip


class Place(pydantic.BaseModel):
    """Where it is."""

    name: str
    kind: Literal["city", "river"] = "city"


def chat_bodies() -> list[dict[str, Any]]:
    user = {"role": "user", "content": "Hello"}
    history = [user, assistant_answer(), {"role": "tool", "tool_call_id": "call_1", "content": "rain"}]
    tool = openai.pydantic_function_tool(Place, name="plan")
    return [
        {"messages": history, "tools": iter([CHAT["tools"][0], tool])},
        {"messages": (one for one in history), "tools": openai.NOT_GIVEN, "temperature": openai.omit},
        {"messages": [{"role": "user", "content": iter([{"type": "text", "text": "Hello"}])}], "stop": ["x"]},
        {"messages": [openai.types.chat.ChatCompletionMessage(role="assistant", content="Hello")]},
    ]


@pytest.mark.parametrize("case", range(len(chat_bodies())))
def test_a_chat_costs_what_the_sdk_puts_on_the_wire(sdk: Any, case: int) -> None:
    client, sent = sdk
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.create(model="gpt-4o", **chat_bodies()[case])
    assert count_request({"model": "gpt-4o", **chat_bodies()[case]}) == count_request(sent[0])


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.4"])
def test_responses_cost_what_the_sdk_puts_on_the_wire(sdk: Any, model: str) -> None:
    client, sent = sdk
    tool = responses.FunctionTool.model_validate({"type": "function", **FUNCTION, "strict": True})
    body = {"input": response_items(), "tools": [tool], "instructions": "Be brief.", "previous_response_id": None}
    with pytest.raises(openai.APIStatusError):
        client.responses.create(model=model, **body)
    assert count_request(body, model=model) == count_request(sent[0])


def test_a_typed_format_is_sent_under_its_own_name() -> None:
    form = ResponseFormatJSONSchema.model_validate(CHAT["response_format"])
    assert form.json_schema.schema_ == PARAMETERS
    assert count_request({**CHAT, "response_format": form}) == count_request(CHAT)


def test_reasoning_after_the_last_user_message_stays_a_lower_bound() -> None:
    item = responses.ResponseReasoningItem.model_validate({"id": "rs_1", "type": "reasoning", "summary": []})
    question = SimpleNamespace(role="user", content=iter([{"type": "input_text", "text": "Hello"}]))
    found = count_request({"input": iter([question, item])}, model="gpt-5.4")
    assert found.certainty == "lower_bound"
    assert found.input_tokens == count_request({"input": "Hello"}, model="gpt-5.4").input_tokens
    assert any("input[1]" in note and "reasoning" in note for note in found.notes)


def test_a_pydantic_model_as_the_whole_body() -> None:
    class Message(pydantic.BaseModel):
        role: Literal["user", "system"] = "user"
        content: str
        name: str | None = None

    class Body(pydantic.BaseModel):
        messages: list[Message]
        max_output: int = pydantic.Field(9, serialization_alias="max_tokens")
        tools: list[Any] | None = None

    body = Body(messages=[Message(content="Hello")])
    assert as_json(body) == {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9}
    assert count_request(body, model="gpt-4o").input_tokens == 8


def test_models_of_pydantic_1() -> None:
    from pydantic import v1

    class Message(v1.BaseModel):
        role: str = "user"
        content: str
        tool_calls: list[Any] | None = None

    assert as_json(Message(content="Hello")) == {"role": "user", "content": "Hello"}


def test_what_the_sdk_parsed_is_not_sent_back() -> None:
    call = responses.ParsedResponseFunctionToolCall.model_validate({"type": "function_call", **ITEM})
    call.parsed_arguments = object()
    assert as_json(call) == {"type": "function_call", **ITEM}


def test_a_parsed_answer_costs_what_its_text_does() -> None:
    message = {"role": "assistant", "content": '{"name": "Rome"}'}
    answer = ParsedChatCompletionMessage[Place].model_validate({**message, "parsed": Place(name="Rome")})
    assert count_request({"messages": [answer]}, model="gpt-4o") == count_request(
        {"messages": [message]}, model="gpt-4o"
    )
