"""A pydantic class as the format of an answer: it costs what the schema costs that the SDK sends for it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any, Literal, Optional

import openai
import pydantic
import pytest
from pydantic import v1

from aoai_cost import RequestError, count_request
from aoai_cost.tokens.strict import with_written_format


class Place(pydantic.BaseModel):
    """Where it is."""

    name: str
    kind: Literal["city", "river"] = "city"


class Trip(pydantic.BaseModel):
    start: Place = pydantic.Field(description="Where from?")
    stops: list[Place] = pydantic.Field(default_factory=list, max_length=3)
    end: Optional[Place] = None  # noqa: UP045
    by: Place | str = pydantic.Field("train", description="How?")


class Tree(pydantic.BaseModel):
    label: str = pydantic.Field(alias="Label")
    children: list[Tree]
    extra: dict[str, int] | None = None


def intersected(schema: dict[str, Any]) -> None:
    one = {"type": "object", "properties": {"a": {"type": "string", "default": None}}}
    schema["properties"] = {"one": {"allOf": [one], "title": "One"}, "two": {"allOf": [one, {"title": "T"}]}}


class AllOf(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(json_schema_extra=intersected)


@pydantic.dataclasses.dataclass
class Point:
    x: int
    y: int | None = None


FORMATS = [Place, Trip, Tree, AllOf, Point]


@pytest.mark.parametrize("form", FORMATS)
def test_a_class_is_the_format_that_the_sdk_makes_of_it(sdk: Any, form: Any) -> None:
    client, sent = sdk
    chat: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}], "response_format": form}
    text: dict[str, Any] = {"input": "Hello", "text_format": form, "text": {"verbosity": "low"}}
    # Before the SDK has them: its version 2.0 writes into the caller's `text`.
    made, counts = (
        list(map(with_written_format, (chat, text))),
        [count_request(x, model="gpt-4o") for x in (chat, text)],
    )
    with pytest.raises(openai.APIStatusError):
        client.chat.completions.parse(model="gpt-4o", **chat)
    with pytest.raises(openai.APIStatusError):
        client.responses.parse(model="gpt-4o", **text)
    # As text, so that the order of the keys counts too: it is the order in the prompt.
    assert [json.dumps(_schema(one)) for one in made] == [json.dumps(_schema(one)) for one in sent]
    assert made[1]["text"]["verbosity"] == "low"
    assert counts == list(map(count_request, sent))


def _schema(body: Any) -> Any:
    return body["response_format"]["json_schema"]["schema"] if "messages" in body else body["text"]["format"]["schema"]


class Loop(pydantic.BaseModel):
    """A reference with a description beside it is written out, here without end."""

    me: Loop = pydantic.Field(description="Again.")


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        pytest.param(dict, "class dict has no JSON schema", id="a class that is no model"),
        pytest.param(
            dataclasses.make_dataclass("Plain", ["x"]), "class Plain has no", id="a dataclass of Python's own"
        ),
        pytest.param(Loop, "refers to itself", id="a model that is infinite once it is strict"),
        pytest.param(
            type("Odd", (), {"model_json_schema": lambda: {"$ref": "#/$defs/A", "title": "x"}}),
            "Odd cannot be made strict",
            id="a reference to nowhere",
        ),
        pytest.param(
            pydantic.create_model("Any_", x=(Callable[[], int], ...)), "cannot be made strict", id="no schema at all"
        ),
    ],
)
@pytest.mark.parametrize("field", ["response_format", "text_format"])
def test_a_class_that_is_no_format_says_why(form: Any, reason: str, field: str) -> None:
    body = {"messages" if field == "response_format" else "input": [{"role": "user", "content": "x"}], field: form}
    with pytest.raises(RequestError, match=reason) as caught:
        count_request(body, model="gpt-4o")
    assert caught.value.field == field


def test_a_class_beside_a_format_is_refused_as_the_sdk_does() -> None:
    with pytest.raises(RequestError, match="only one of the two"):
        count_request({"input": "x", "text": {"format": {"type": "text"}}, "text_format": Place}, model="gpt-4o")


def test_a_model_of_pydantic_1_keeps_its_own_schema() -> None:
    class Message(v1.BaseModel):
        content: str

    text = {"format": {"type": "json_schema", "name": "Message", "schema": Message.schema(), "strict": True}}
    plain = count_request({"input": "Hello", "text": text}, model="gpt-4o")
    assert count_request({"input": "Hello", "text_format": Message}, model="gpt-4o") == plain
    assert "additionalProperties" not in Message.schema()  # the class's own schema stays as it was
