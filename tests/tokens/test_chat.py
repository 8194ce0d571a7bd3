"""What a request is in tokens: the message rules, images in messages, and honesty about the rest."""

from __future__ import annotations

import base64
import io
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from aoai_cost import ImageError, RequestError, UnknownNameError, count_request, count_tokens


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def data_url(width: int, height: int) -> str:
    out = io.BytesIO()
    Image.new("1", (width, height)).save(out, "PNG")
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def image(url: str, detail: str | None = None) -> dict[str, Any]:
    inner = {"url": url} if detail is None else {"url": url, "detail": detail}
    return {"type": "image_url", "image_url": inner}


def input_image() -> dict[str, Any]:
    return {"type": "input_image", "image_url": data_url(1, 1)}


CALL = {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "1"}
TOOL = {"type": "function", "name": "add", "parameters": {"type": "object", "properties": {}}}


# "Hello" and each role are one token in cl100k_base and o200k_base.
@pytest.mark.parametrize(
    ("model", "messages", "tokens"),
    [
        pytest.param("gpt-4o", [user("Hello")], 4 + 1 + 3, id="a classic message costs 4 and the request 3"),
        pytest.param("gpt-4", [user("Hello")], 4 + 1 + 3, id="gpt-4 too"),
        pytest.param("o1", [user("Hello")], 4 + 1 + 2, id="a reasoning request costs 2"),
        pytest.param(
            "gpt-5",
            [user("Hello"), {"role": "assistant", "content": "Hello"}, user("Hello")],
            5 + 7 + 5 + 2,
            id="an assistant turn costs 2 more on gpt-5",
        ),
        pytest.param("gpt-4o", [{**user("Hello"), "name": "Bob"}], 5 + 2 + 3, id="a name costs its tokens and 1"),
        pytest.param("gpt-4o", [{**user("Hello"), "name": "user"}], 5 + 1 + 3, id="a name equal to the role costs 1"),
        pytest.param("gpt-4o", [{"role": "assistant", "content": None}], 4 + 3, id="no content is no text"),
    ],
)
def test_message_overheads(model: str, messages: list[dict[str, Any]], tokens: int) -> None:
    count = count_request({"messages": messages}, model=model)
    assert count.input_tokens == tokens
    assert count.bounds == (tokens, tokens)
    assert sum(line.tokens for line in count.lines) == tokens


@pytest.mark.parametrize(
    ("day", "model", "more", "least", "most"),
    [
        pytest.param(None, "gpt-4o-2024-08-06", {}, 0, 0, id="no day"),
        pytest.param(date(2025, 3, 10), "gpt-4o-2024-08-06", {}, 0, 0, id="the day before"),
        pytest.param(date(2025, 3, 12), "gpt-4o-2024-08-06", {}, 0, 18, id="a day on which it was not seen"),
        pytest.param(date(2025, 3, 20), "gpt-4o-2024-08-06", {}, 18, 18, id="a day on which it was"),
        pytest.param(date(2025, 4, 6), "gpt-4o-2024-08-06", {}, 0, 18, id="the last day on which it may have been"),
        pytest.param(date(2025, 4, 7), "gpt-4o-2024-08-06", {}, 0, 0, id="the day after"),
        pytest.param(date(2025, 3, 20), "gpt-4o-2024-11-20", {}, 0, 0, id="another version"),
        pytest.param(date(2025, 3, 20), "gpt-4o-2024-08-06", {"tools": [TOOL]}, 216, 216, id="with tools"),
        pytest.param(
            date(2025, 3, 20), "gpt-4o-2024-08-06", {"input": [user([input_image()])]}, 230, 230, id="with images"
        ),
    ],
)
def test_text_of_the_services_own_hangs_on_the_day(
    day: date | None, model: str, more: dict[str, Any], least: int, most: int
) -> None:
    body = {"input": "Hello", **more}
    plain, found = count_request(body, model=model), count_request(body, model=model, on=day)
    assert found.bounds == (plain.bounds[0] + least, plain.bounds[0] + most)
    assert any("text of its own" in note for note in found.notes) == (most > 0)
    chat = {"messages": [user("Hello")]}
    assert count_request(chat, model=model, on=day) == count_request(chat, model=model)


def test_what_one_recording_shows_has_bounds() -> None:
    answered = {"messages": [user("Hello"), {"role": "assistant", "content": "Hello"}, user("Hello")]}
    count = count_request(answered, model="o3-mini")
    assert (count.input_tokens, count.bounds, count.certainty) == (17, (17, 19), "estimated")
    count = count_request({"messages": [user("Hello")]}, model="o1-mini")
    assert (count.input_tokens, count.bounds, count.certainty) == (8, (8, 15), "estimated")


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_text_parts_cost_what_their_concatenation_costs(texts: list[str]) -> None:
    parts = [{"type": "text", "text": text} for text in texts]
    joined = count_request({"messages": [user("".join(texts))]}, model="gpt-4o")
    assert count_request({"messages": [user(parts)]}, model="gpt-4o").input_tokens == joined.input_tokens
    assert joined.input_tokens == count_tokens("".join(texts), model="gpt-4o") + 7


class Unusual(dict[str, Any]):
    """A dict that is none of the plain ones, so that it is read step by step."""


@given(
    st.lists(st.tuples(st.sampled_from(["system", "developer", "user", "assistant"]), st.text()), min_size=1),
    st.sampled_from(["gpt-4o", "gpt-5", "gpt-35-turbo"]),
    st.booleans(),
    st.booleans(),
)
def test_a_plain_message_is_read_in_one_step_with_the_same_count(
    said: list[tuple[str, str]], model: str, tools: bool, parts: bool
) -> None:
    more = {"tools": [{"type": "function", "function": {"name": "f"}}]} if tools else {}
    plain = [{"role": role, "content": [{"type": "text", "text": text}] if parts else text} for role, text in said]
    found = count_request({"messages": plain, **more}, model=model)
    assert found == count_request({"messages": [Unusual(one) for one in plain], **more}, model=model)
    assert found == count_request({"messages": [{**one, "name": None} for one in plain], **more}, model=model)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param({"role": ["user"], "content": "Hello"}, id="a list as role"),
        pytest.param({"role": "user", "content": [{"type": ["text"], "text": "Hello"}]}, id="a list as type of a part"),
        pytest.param({"role": "user", "content": [{"type": "text", "text": 1}]}, id="a number as text"),
    ],
)
def test_what_is_nearly_a_plain_message_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=r"messages\[0\].*must be a text"):
        count_request({"messages": [message]}, model="gpt-4o")


@given(st.text(), st.text())
def test_responses_cost_what_the_same_chat_costs(instructions: str, text: str) -> None:
    messages = [{"role": "system", "content": instructions}] if instructions else []
    chat = count_request({"messages": [*messages, user(text)]}, model="gpt-4.1")
    responses = count_request({"input": text, "instructions": instructions}, model="gpt-4.1")
    assert responses.input_tokens == chat.input_tokens
    assert (chat.api, responses.api) == ("chat", "responses")


def test_special_token_text_in_a_message_is_ordinary_text() -> None:
    plain = count_request({"messages": [user("<|endoftext|>")]}, model="gpt-4o")
    assert plain.input_tokens == count_tokens("<|endoftext|>", model="gpt-4o") + 7 > 8


@pytest.mark.parametrize(
    ("model", "width", "height", "detail", "tokens"),
    [
        pytest.param("gpt-4o", 2048, 4096, "high", 1105, id="gpt-4o tall image in high detail"),
        pytest.param("gpt-4o", 4096, 8192, "low", 85, id="gpt-4o low detail"),
        pytest.param("gpt-4o-mini", 2048, 4096, "high", 36835, id="gpt-4o-mini tall image in high detail"),
        pytest.param("gpt-4o-mini", 4096, 8192, "low", 2833, id="gpt-4o-mini low detail"),
        pytest.param("gpt-4o-mini", 640, 480, None, 14167, id="a small image is not enlarged, no detail means high"),
        pytest.param("gpt-5", 640, 480, "auto", 350, id="gpt-5 auto"),
    ],
)
def test_an_inline_image_costs_by_its_size(
    model: str, width: int, height: int, detail: str | None, tokens: int
) -> None:
    without = count_request({"messages": [user([{"type": "text", "text": "Hello"}])]}, model=model)
    parts = [{"type": "text", "text": "Hello"}, image(data_url(width, height), detail)]
    count = count_request({"messages": [user(parts)]}, model=model)
    assert count.input_tokens - without.input_tokens == tokens
    assert count.certainty == "exact"


def test_an_image_in_a_responses_item_costs_the_same() -> None:
    part = {"type": "input_image", "image_url": data_url(640, 480), "detail": "high"}
    responses = count_request({"input": [user([{"type": "input_text", "text": "Hello"}, part])]}, model="gpt-4o")
    parts = [{"type": "text", "text": "Hello"}, image(data_url(640, 480), "high")]
    assert responses.input_tokens == count_request({"messages": [user(parts)]}, model="gpt-4o").input_tokens


def test_a_remote_image_is_a_range_and_is_never_fetched() -> None:
    count = count_request({"messages": [user([image("https://example.invalid/a.png")])]}, model="gpt-4o")
    # One tile at least; 768 x 2048 covers 2 x 4 tiles at most.
    assert count.bounds == (7 + 85 + 170, 7 + 85 + 8 * 170)
    assert count.input_tokens == count.bounds[1]
    assert count.certainty == "estimated"
    assert any("remote image" in note for note in count.notes)


def test_a_remote_image_in_low_detail_is_exact() -> None:
    count = count_request({"messages": [user([image("https://example.invalid/a.png", "low")])]}, model="gpt-4o")
    assert (count.input_tokens, count.certainty) == (7 + 85, "exact")


def test_a_damaged_image_is_an_error_that_names_its_part_and_not_its_bytes() -> None:
    url = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\nsecret").decode()
    with pytest.raises(ImageError, match=r"messages\[0\]\.content\[0\]") as caught:
        count_request({"messages": [user([image(url)])]}, model="gpt-4o")
    assert "base64" not in str(caught.value)


def test_a_model_without_an_image_rule_refuses_images() -> None:
    with pytest.raises(RequestError, match="no known rule for images"):
        count_request({"messages": [user([image(data_url(1, 1))])]}, model="o3-mini")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param({"tools": [{"type": "web_search"}]}, "tools", id="a tool of the service's own"),
        pytest.param({"response_format": {"type": "grammar"}}, "response_format", id="a format of another type"),
        pytest.param({"previous_response_id": "resp_1"}, "previous_response_id", id="server state"),
    ],
)
def test_what_is_not_counted_is_named_and_makes_a_lower_bound(body: dict[str, Any], named: str) -> None:
    count = count_request({"messages": [user("Hello")], **body}, model="gpt-4o")
    assert count.certainty == "lower_bound"
    assert count.bounds == (8, None)
    assert any(named in note for note in count.notes)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(user([{"type": "input_audio", "input_audio": {}}]), id="audio"),
        pytest.param({"type": "reasoning", "encrypted_content": "x"}, id="items that are no messages"),
    ],
)
def test_uncounted_parts_of_messages_make_a_lower_bound(message: dict[str, Any]) -> None:
    api = "input" if "type" in message else "messages"
    assert count_request({api: [message]}, model="gpt-4o").certainty == "lower_bound"


def test_settings_cost_nothing() -> None:
    body = {"messages": [user("Hello")], "temperature": 0, "stream": True, "response_format": {"type": "json_object"}}
    count = count_request(body, model="gpt-4o")
    assert (count.input_tokens, count.certainty) == (8, "exact")


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        pytest.param("hello world", 2, id="one text"),
        pytest.param(["hello world", "hello"], 3, id="several texts"),
        pytest.param([1, 2, 3], 3, id="token ids"),
        pytest.param([[1, 2], [3]], 3, id="lists of token ids"),
    ],
)
def test_embeddings_are_the_sum_of_their_inputs(value: Any, tokens: int) -> None:
    count = count_request({"input": value, "dimensions": 256}, model="text-embedding-3-large")
    assert (count.api, count.input_tokens, count.certainty) == ("embeddings", tokens, "exact")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "body", id="an empty body"),
        pytest.param([], "body", id="a list"),
        pytest.param({"messages": "Hello"}, "messages", id="messages as a text"),
        pytest.param({"messages": ["Hello"]}, "messages[0]", id="a message as a text"),
        pytest.param({"messages": [{"content": "Hello"}]}, "messages[0].role", id="no role"),
        pytest.param({"messages": [user(7)]}, "messages[0].content", id="content as a number"),
        pytest.param({"messages": [user([7])]}, "messages[0].content[0]", id="a part as a number"),
        pytest.param({"messages": [user([{"type": "text"}])]}, "messages[0].content[0].text", id="a part without text"),
        pytest.param({"messages": [{**user("x"), "name": 7}]}, "messages[0].name", id="a name as a number"),
    ],
)
def test_a_body_that_cannot_be_counted_names_its_field(body: Any, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        count_request(body, model="gpt-4o")
    assert caught.value.field == field


def test_an_unknown_model_is_refused_with_near_names() -> None:
    with pytest.raises(UnknownNameError) as caught:
        count_request({"messages": [user("Hello")]}, model="gpt-4oo")
    assert "gpt-4o" in caught.value.near


def test_a_chat_of_no_messages_is_refused() -> None:
    with pytest.raises(RequestError, match="is empty"):
        count_request({"messages": []}, model="gpt-4o")
    # The Responses API takes instructions alone.
    assert count_request({"input": [], "instructions": "Hello"}, model="gpt-4o").input_tokens == 4 + 1 + 3


@pytest.mark.parametrize(
    ("value", "field"),
    [("", "input"), ([], "input"), (["Hello", ""], "input[1]"), ([[1], []], "input[1]")],
)
def test_the_embedding_of_nothing_is_refused(value: Any, field: str) -> None:
    with pytest.raises(RequestError, match="is empty") as caught:
        count_request({"input": value}, model="text-embedding-3-small")
    assert caught.value.field == field
    # A completion goes on from nothing.
    assert count_request({"prompt": ""}, model="gpt-3.5-turbo-instruct").input_tokens == 0


@pytest.mark.parametrize("url", ["", "ftp://x", "C:/image.png", "iVBORw0KGgo="])
def test_an_image_is_a_web_or_a_data_url(url: str) -> None:
    with pytest.raises(RequestError, match="http") as caught:
        count_request({"messages": [user([image(url)])]}, model="gpt-4o")
    assert caught.value.field == "messages[0].content[0].image_url"


def test_a_detail_that_the_model_does_not_know_says_where_it_stands() -> None:
    with pytest.raises(RequestError, match="auto, low, high") as caught:
        count_request({"messages": [user([image(data_url(1, 1), "best")])]}, model="gpt-4o")
    assert caught.value.field == "messages[0].content[0].detail"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"messages": [user("Hello")], "input": "Hello"}, id="the input of another API"),
        pytest.param({"messages": [user("Hello")], "web_search_options": {}}, id="a tool that is on by being there"),
    ],
)
def test_what_is_not_counted_makes_a_lower_bound(body: dict[str, Any]) -> None:
    count = count_request(body, model="gpt-4o")
    assert count.certainty == "lower_bound"
    assert count.bounds[1] is None
    assert len(count.notes) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": [user([{"type": ["a"]}])]}, "messages[0].content[0].type"),
        ({"messages": [user([{}])]}, "messages[0].content[0].type"),
        ({"input": []}, "input"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": [[True]]}, "prompt[0]"),
    ],
)
def test_what_is_no_request_names_its_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(RequestError) as caught:
        count_request(body, model="text-embedding-3-large" if "input" in body else "gpt-4o")
    assert caught.value.field == field


def test_who_serves_a_request_is_one_of_two() -> None:
    body = {"messages": [user("Hello")]}
    assert count_request(body, model="gpt-4o", provider="openai") == count_request(body, model="gpt-4o")
    with pytest.raises(RequestError, match="azure or openai"):
        count_request(body, model="gpt-4o", provider="aws")  # type: ignore[arg-type]


def test_without_a_model_the_body_says_it() -> None:
    assert count_request({"model": "gpt-4o", "messages": [user("Hello")]}).input_tokens == 8
    with pytest.raises(RequestError, match="no model given"):
        count_request({"messages": [user("Hello")]})


def test_a_field_that_no_message_has_is_assumed_to_add_nothing() -> None:
    found = count_request({"messages": [{**user("Hello"), "reasoning_content": "x " * 50}]}, model="gpt-4o")
    assert (found.input_tokens, found.certainty) == (8, "estimated")
    assert any("reasoning_content" in note for note in found.notes)


def test_a_refusal_in_a_message_is_read_as_its_text() -> None:
    turns = [user("Hello"), {"role": "assistant", "content": None, "refusal": "I cannot."}, user("Why?")]
    said = [turns[0], {"role": "assistant", "content": "I cannot."}, turns[2]]
    refused, answered = (count_request({"messages": one}, model="gpt-4o") for one in (turns, said))
    assert (refused.input_tokens, refused.certainty) == (answered.input_tokens, "estimated")


@pytest.mark.parametrize(
    "body", [{"prompt": {"id": "pmpt_1"}}, {"previous_response_id": "resp_1", "instructions": "Go on."}]
)
def test_what_goes_on_with_stored_state_needs_no_input(body: dict[str, Any]) -> None:
    for api in ("auto", "responses"):
        found = count_request(body, model="gpt-4o", api=api)
        assert (found.api, found.certainty) == ("responses", "lower_bound")
        assert found.input_tokens > 0


def test_the_suffix_of_a_completion_is_said_not_to_be_counted() -> None:
    found = count_request({"prompt": "a", "suffix": "b"}, model="gpt-35-turbo-instruct")
    assert found.certainty == "lower_bound"


def test_a_model_without_an_encoding_is_refused() -> None:
    with pytest.raises(RequestError, match="no known text encoding"):
        count_request({"input": "Hello"}, model="whisper")


def test_a_version_that_is_not_listed_is_counted_as_its_model_and_says_so() -> None:
    body = {"messages": [{"role": "user", "content": "Hello"}]}
    listed, other = (count_request(body, model=name) for name in ("gpt-4o", "gpt-4o-2031-01-01"))
    assert (other.input_tokens, other.certainty) == (listed.input_tokens, "estimated")
    assert other.notes == ("version 2031-01-01 of gpt-4o is not in the catalogue; counted as version 2024-11-20",)
    with pytest.raises(UnknownNameError):
        count_request(body, model="gpt-nine-2031-01-01")


ASKED = [user("Hello")]


@pytest.mark.parametrize(
    ("more", "certainty"),
    [
        pytest.param({"defer_loading": True}, "lower_bound", id="a function that is loaded when asked for"),
        pytest.param({"output_schema": {"type": "object"}}, "lower_bound", id="what a function gives"),
        pytest.param({"allowed_callers": ["programmatic"]}, "estimated", id="who may call"),
        pytest.param({"nobody_knows": "x"}, "estimated", id="a field that nobody knows"),
        pytest.param({"nobody_knows": None}, "exact", id="a field that is not set"),
    ],
)
def test_fields_of_a_function_are_read_or_named(more: dict[str, Any], certainty: str) -> None:
    found = count_request({"input": ASKED, "tools": [{**TOOL, **more}]}, model="gpt-5.4")
    assert found.certainty == certainty
    assert any(f"tools[0].{next(iter(more))!r}" in note for note in found.notes) == (certainty != "exact")


def test_one_call_at_a_time_is_assumed_to_cost_nothing_where_nobody_saw_it() -> None:
    body = {"input": ASKED, "tools": [TOOL], "parallel_tool_calls": False}
    assert count_request(body, model="gpt-5.4").certainty == "estimated"
    assert count_request(body, model="gpt-4.1").certainty == "exact"
    assert count_request({**body, "parallel_tool_calls": True}, model="gpt-5.4").certainty == "exact"


def test_a_deferred_function_is_no_part_of_the_least() -> None:
    plain = count_request({"input": ASKED}, model="gpt-5.4")
    deferred = count_request({"input": ASKED, "tools": [{**TOOL, "defer_loading": True}]}, model="gpt-5.4")
    assert deferred.bounds == (plain.input_tokens, None)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"messages": [user([{"type": "text", "text": "Hi", "odd": "x"}])]}, id="a part"),
        pytest.param({"input": [*ASKED, {**CALL, "odd": "x"}, RESULT]}, id="a call"),
        pytest.param({"input": [*ASKED, CALL, {**RESULT, "odd": "x"}]}, id="a result"),
        pytest.param({"messages": [{"role": "critic", "content": "Hi"}]}, id="a role that nobody knows"),
        pytest.param({"messages": [user([{"type": "refusal", "refusal": "No"}])]}, id="a refusal as a part"),
    ],
)
def test_what_is_not_read_of_an_item_is_named(body: dict[str, Any]) -> None:
    found = count_request(body, model="gpt-5.4")
    assert found.certainty == "estimated"
    assert len(found.notes) == 1


def test_a_reference_needs_no_type() -> None:
    found = count_request({"input": [{"id": "msg_1"}, *ASKED]}, model="gpt-5")
    assert found.certainty == "lower_bound"
    assert any("item_reference" in note for note in found.notes)


@pytest.mark.parametrize(
    "more",
    [
        {"max_tool_calls": 3},
        {"reasoning": {"effort": "low", "generate_summary": "auto"}},
        {"background_options": {"a": 1}},
        {"prompt_cache_options": {"mode": "implicit"}},
        {"user_security_context": {"a": 1}},
        {"text": {"verbosity": "low"}},
    ],
    ids=lambda more: next(iter(more)),
)
def test_what_adds_no_input_leaves_a_count_whole(more: dict[str, Any]) -> None:
    assert count_request({"input": ASKED, **more}, model="gpt-5") == count_request({"input": ASKED}, model="gpt-5")


@pytest.mark.parametrize("text", [{"format": "json_schema"}, {"odd": 1}, {"format": {"type": "text"}, "odd": 1}])
def test_what_is_odd_in_text_is_named(text: Any) -> None:
    assert count_request({"input": ASKED, "text": text}, model="gpt-5").certainty == "lower_bound"


def test_what_is_not_counted_of_a_prediction_is_named() -> None:
    odd = {"type": "content", "content": [{"type": "odd"}]}
    assert any("odd" in note for note in count_request({"messages": ASKED, "prediction": odd}, model="gpt-4o").notes)
