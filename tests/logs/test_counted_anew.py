"""Calls counted under other models: exact where the log holds what was sent, and nothing but numbers kept."""

from __future__ import annotations

import base64
import io
import json
import os
import random
import struct
import zlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from answer_rows import chunk_row
from format_rows import SAMPLES
from hypothesis import given, settings
from hypothesis import strategies as st
from log_rows import attempt_row, body_row, calls_of, check_counts, csv_of, gateway_row, lines_of, read_rows, usage_row
from pyarrow import parquet
from tracer_rows import helicone_row, hub_row, langfuse_row, litellm_row, otlp, promptflow_row, span

from aoai_cost import (
    RequestError,
    UnknownNameError,
    UsageFormatError,
    UsageLog,
    count_request,
    count_tokens,
    read_usage,
)
from aoai_cost.logs import LOG_FORMATS, recount
from aoai_cost.logs.contents import answer_of, is_cut

Body = dict[str, Any]
Rows = list[dict[str, Any]]

SERVED = "gpt-4o-2024-11-20"
OTHERS = ("gpt-4o-mini", "gpt-4.1", "gpt-4")
MARKER = "marker-of-a-prompt"
ANSWER = f"Stockholm, says the {MARKER}."
ARGUMENTS = '{"city": "Stockholm"}'
SYSTEM = {"role": "system", "content": "You know capitals."}
USER = {"role": "user", "content": f"What is the capital of Sweden? {MARKER} Ø å 京"}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def png(width: int, height: int) -> str:
    """A data: URL of the header of an image, with no pixels behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return (
        "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + bytes(4)).decode()
    )


def image_part(url: str, **detail: str) -> Body:
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def looks_at(*parts: Body) -> Body:
    return {"role": "user", "content": [{"type": "text", "text": f"Compare. {MARKER}"}, *parts]}


TEXT: Body = {"messages": [SYSTEM, USER]}
TOOLS: Body = {"messages": [SYSTEM, USER], "tools": [TOOL]}
IMAGES: Body = {
    "messages": [
        looks_at(image_part(png(640, 480)), image_part(png(640, 480)), image_part(png(2048, 4096), detail="low"))
    ]
}
BODIES = {"texts": TEXT, "tools": TOOLS, "images": IMAGES}


def answer(call: str, prompt: int, **message: Any) -> Body:
    told = {"role": "assistant", "content": ANSWER, **message}
    return body_row(call, prompt, 40, choices=[{"index": 0, "message": told, "finish_reason": "stop"}])


def batch(body: Body, prompt: int, call: str = "a") -> Rows:
    asked = {"custom_id": call, "method": "POST", "url": "/chat/completions", "body": {"model": "chat", **body}}
    response = {"status_code": 200, "request_id": f"request-{call}", "body": answer(call, prompt)}
    return [asked, {"custom_id": call, "response": response, "error": None}]


def logged_beside(body: Body, prompt: int, call: str = "a") -> Rows:
    return [{**answer(call, prompt), "request": body}]


def gateway_messages(body: Body, prompt: int, call: str = "a") -> Rows:
    answered = [{"role": "assistant", "content": ANSWER}]
    return [
        gateway_row(call, 0, str(prompt), "40"),
        gateway_row(call, 1, RequestMessages=json.dumps(body["messages"])),
        gateway_row(call, 2, RequestMessages=None, ResponseMessages=json.dumps(answered)),
    ]


def gateway_bodies(body: Body, prompt: int, call: str = "a", **more: Any) -> Rows:
    url = "https://one.openai.azure.com/openai/deployments/chat/chat/completions"
    properties = {"backendUrl": url, "method": "POST", "backendRequestBody": json.dumps({"model": "chat", **body})}
    properties |= {"requestBody": json.dumps(TEXT), "backendResponseBody": json.dumps(answer(call, prompt)), **more}
    return [
        {
            "category": "GatewayLogs",
            "correlationId": call,
            "time": "2026-10-14T02:03:59.9460000Z",
            "resourceId": "/subscriptions/0/service/apim",
            "properties": properties,
        }
    ]


def proxy_requests(body: Body, prompt: int, call: str = "a") -> Rows:
    # The proxy keeps fields of its own beside the body's.
    asked = {"model": "public-alias", **body, "metadata": {"headers": {}}, "litellm_call_id": "x", "stream": False}
    return [litellm_row(call, prompt, 40, proxy_server_request=json.dumps(asked), response=answer(call, prompt))]


def proxy_messages(body: Body, prompt: int, call: str = "a") -> Rows:
    return [litellm_row(call, prompt, 40, messages=body["messages"], response=json.dumps(answer(call, prompt)))]


def observations(body: Body, prompt: int, call: str = "a") -> Rows:
    usage = {"input": prompt, "output": 40, "total": prompt + 40}
    asked = body if "tools" in body else body["messages"]
    return [
        langfuse_row(call, usage, input=json.dumps(asked), output=json.dumps({"role": "assistant", "content": ANSWER}))
    ]


def span_of(call: str, prompt: int, told: Body) -> Rows:
    return [otlp(span(call, {"gen_ai.input.messages": ..., "gen_ai.usage.input_tokens": prompt, **told}))]


def parts_of(message: Body) -> list[Body]:
    if isinstance(message["content"], str):
        return [{"type": "text", "content": message["content"]}]
    found = []
    for part in message["content"]:
        if part["type"] == "text":
            found.append({"type": "text", "content": part["text"]})
        else:
            kind, _, data = part["image_url"]["url"].removeprefix("data:").partition(";base64,")
            found.append({"type": "blob", "modality": "image", "mime_type": kind, "content": data})
    return found


def spans(body: Body, prompt: int, call: str = "a") -> Rows:
    """By the conventions: system texts apart, messages in parts, tools by their fields."""
    system = [part for one in body["messages"] if one["role"] == "system" for part in parts_of(one)]
    asked = [{"role": one["role"], "parts": parts_of(one)} for one in body["messages"] if one["role"] != "system"]
    answered = [{"role": "assistant", "parts": [{"type": "text", "content": ANSWER}], "finish_reason": "stop"}]
    told = {"gen_ai.input.messages": json.dumps(asked), "gen_ai.output.messages": json.dumps(answered)}
    if system:
        told["gen_ai.system_instructions"] = json.dumps(system)
    if "tools" in body:
        tools = [{"type": "function", **one["function"]} for one in body["tools"]]
        told["gen_ai.tool.definitions"] = json.dumps(tools)
    return span_of(call, prompt, told)


def spans_of_bodies(body: Body, prompt: int, call: str = "a") -> Rows:
    """As some write them: the service's own messages and tools."""
    told = {"gen_ai.input.messages": json.dumps(body["messages"])}
    told["gen_ai.output.messages"] = json.dumps([{"role": "assistant", "content": ANSWER}])
    return span_of(
        call, prompt, told | ({"gen_ai.tool.definitions": json.dumps(body["tools"])} if "tools" in body else {})
    )


def flat_spans(body: Body, prompt: int, call: str = "a") -> Rows:
    told: Body = {"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": ANSWER}
    told["gen_ai.completion.0.finish_reason"] = "stop"
    for i, one in enumerate(body["messages"]):
        content = one["content"]
        told[f"gen_ai.prompt.{i}.role"] = one["role"]
        told[f"gen_ai.prompt.{i}.content"] = content if isinstance(content, str) else json.dumps(content)
    return span_of(call, prompt, told)


def helicone(body: Body, prompt: int, call: str = "a") -> Rows:
    return [helicone_row(call, prompt, 40, request_body={"model": "x", **body}, response_body=answer(call, prompt))]


def flows(body: Body, prompt: int, call: str = "a") -> Rows:
    events = [
        {"name": "promptflow.function.inputs", "attributes": {"payload": json.dumps({"model": "chat", **body})}},
        {"name": "promptflow.function.output", "attributes": {"payload": json.dumps(answer(call, prompt))}},
        {"name": "promptflow.llm.generated_message", "attributes": {"payload": json.dumps({"content": ANSWER})}},
    ]
    return [promptflow_row(call, "LLM", {"llm.usage.prompt_tokens": prompt}, events=events)]


SOURCES: dict[str, tuple[Callable[..., Rows], tuple[str, ...]]] = {
    "batch": (batch, ("texts", "tools", "images")),
    "answers with requests beside them": (logged_beside, ("texts", "tools", "images")),
    "messages of a gateway": (gateway_messages, ("texts", "images")),
    "bodies of a gateway": (gateway_bodies, ("texts", "tools", "images")),
    "requests of LiteLLM": (proxy_requests, ("texts", "tools", "images")),
    "messages of LiteLLM": (proxy_messages, ("texts", "images")),
    "Langfuse": (observations, ("texts", "tools", "images")),
    "spans": (spans, ("texts", "tools")),
    "spans of bodies": (spans_of_bodies, ("texts", "tools", "images")),
    "flat spans": (flat_spans, ("texts", "images")),
    "Helicone": (helicone, ("texts", "tools", "images")),
    "prompt flow": (flows, ("texts", "tools", "images")),
}
"""How each source writes a call, and the kinds of requests that it keeps whole."""


def served_tokens(body: Body) -> int:
    return count_request(body, model=SERVED).input_tokens


def table(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(None if pd.isna(one) else one for one in row) for row in frame.itertuples(index=False)]


def wanted(body: Body, row: int = 0, certainty: str | None = None, served: int | None = -1) -> list[tuple[Any, ...]]:
    """What `count_request` says of a request that the log holds as it was sent."""
    found = []
    served = served_tokens(body) if served == -1 else served
    for name in OTHERS:
        try:
            count = count_request(body, model=name)
        except RequestError:
            continue  # gpt-4 takes no images
        told = certainty if certainty is not None and count.certainty == "exact" else count.certainty
        found.append((row, name, count.input_tokens, told, count_tokens(ANSWER, model=name), served))
    return found


def everything_in(log: UsageLog) -> str:
    """All texts of all tables."""
    tables = (log.frame, log.quantities, log.recounted, log.images, log.rejected)
    return "\n".join(one.to_csv() for one in tables) + repr(log.sums) + repr(log)


@pytest.mark.parametrize(
    ("source", "kind"),
    [pytest.param(source, kind, id=f"{kind} in {source}") for source, (_, kinds) in SOURCES.items() for kind in kinds],
)
def test_a_call_counts_as_its_body_does(tmp_path: Path, source: str, kind: str) -> None:
    rows, body = SOURCES[source][0], BODIES[kind]
    log = read_rows(tmp_path, rows(body, served_tokens(body)), recount=OTHERS)
    check_counts(log)
    assert table(log.recounted) == wanted(body)
    assert {count for *_, count, _, _ in wanted(body)} <= {"exact", "estimated"}
    sizes = [(0, 640, 480, "auto", 2), (0, 2048, 4096, "low", 1)]
    assert table(log.images) == (sizes if kind == "images" else [])
    assert MARKER not in everything_in(log)
    plain = read_rows(tmp_path, rows(body, served_tokens(body)))
    assert calls_of(plain) == calls_of(log)
    assert (plain.sums.groups, plain.counts) == (log.sums.groups, log.counts)
    assert len(plain.recounted) == len(plain.images) == 0
    assert plain.recounted.dtypes.drop(["model", "input_certainty"]).equals(
        log.recounted.dtypes.drop(["model", "input_certainty"])
    )
    assert plain.images.dtypes.drop("detail").equals(log.images.dtypes.drop("detail"))


def test_most_counts_are_exact() -> None:
    """What the other tests compare with says something."""
    certain = [count_request(body, model=name).certainty for body in (TEXT, TOOLS) for name in OTHERS[:2]]
    assert certain == ["exact"] * 4


@pytest.mark.parametrize(
    "source", ["messages of a gateway", "messages of LiteLLM"], ids=lambda one: f"no tools in {one}"
)
def test_a_request_that_is_not_all_there_is_estimated(tmp_path: Path, source: str) -> None:
    log = read_rows(tmp_path, SOURCES[source][0](TOOLS, served_tokens(TOOLS)), recount=OTHERS)
    assert table(log.recounted) == wanted(TEXT, certainty="estimated")


def test_a_count_is_only_exact_where_the_model_that_served_it_counts_the_same(tmp_path: Path) -> None:
    right = served_tokens(TEXT)
    for rows, certainty, served in [
        (batch(TEXT, right), None, right),
        (batch(TEXT, right + 1), "estimated", right),
        (batch(TEXT, right - 1), "estimated", right),
        # Whose model nobody knows, or names.
        ([{**answer("a", right, role="assistant"), "model": "some-model-1", "request": TEXT}], "estimated", None),
        ([{**answer("a", right), "model": None, "request": TEXT}], "estimated", None),
        # Counted by Langfuse, not by the service.
        ([observations(TEXT, right)[0] | {"provided_usage_details": {}}], "estimated", right),
        # A stream without usage.
        ([{**answer("a", right), "usage": None, "request": TEXT}], "estimated", right),
    ]:
        log = read_rows(tmp_path, rows, recount=OTHERS)
        assert table(log.recounted) == wanted(TEXT, certainty=certainty, served=served)


def test_an_image_elsewhere_has_no_size_and_no_exact_count(tmp_path: Path) -> None:
    body = {"messages": [looks_at(image_part("https://example.com/a.png", detail="high"), image_part(png(30, 40)))]}
    log = read_rows(tmp_path, batch(body, served_tokens(body) - 100), recount=OTHERS)
    assert table(log.recounted) == wanted(body)
    assert set(log.recounted["input_certainty"]) == {"estimated"}
    assert table(log.images) == [(0, 30, 40, "auto", 1)]


def test_the_answer_counts_with_its_calls_and_the_reasoning_that_was_reported(tmp_path: Path) -> None:
    def output(message: Body, details: Body | None = None) -> list[Any]:
        rows = batch(TEXT, served_tokens(TEXT))
        body = rows[1]["response"]["body"]
        body["choices"][0]["message"] = message
        body["usage"]["completion_tokens_details"] = details
        found = read_rows(tmp_path, rows, recount=OTHERS[:2]).recounted["output_tokens"]
        return [None if pd.isna(one) else one for one in found]

    text, arguments = (count_tokens(one, model="gpt-4o") for one in (ANSWER, ARGUMENTS))
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
    assert output({"role": "assistant", "content": ANSWER}) == [text] * 2
    assert output({"role": "assistant", "content": ANSWER}, {"reasoning_tokens": 12}) == [text + 12] * 2
    assert output({"role": "assistant", "content": None, "tool_calls": [call, call]}) == [2 * arguments] * 2
    assert output({"role": "assistant", "content": ANSWER, "tool_calls": [call]}) == [text + arguments] * 2
    for hidden in (
        {"role": "assistant", "content": None},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": "redacted-by-litellm"},
        {"role": "assistant", "content": 7},
        {"role": "assistant", "content": ANSWER, "audio": {"data": "x"}},
        {},
    ):
        assert output(hidden) == [None] * 2


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        pytest.param({"output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "a"}]}]}, ("a",), id="a response"),  # noqa: E501
        pytest.param({"output": [{"type": "function_call", "arguments": "{}"}]}, ("{}",), id="a call of a response"),
        pytest.param({"output": [{"type": "web_search_call"}]}, None, id="a tool of the service"),
        pytest.param({"choices": [{"text": "a"}, {"text": "b"}]}, ("a", "b"), id="completions"),
        pytest.param({"role": "assistant", "content": [{"type": "text", "text": "a"}]}, ("a",), id="parts"),
        pytest.param({"role": "assistant", "content": None, "refusal": "no"}, ("no",), id="a refusal"),
        pytest.param({"role": "user", "content": "a"}, None, id="no answer"),
        pytest.param({"object": "list", "data": [{"embedding": [1]}]}, None, id="embeddings"),
        pytest.param('{"choices": [{"message": {"role": "assistant", "cont', None, id="a text that was cut"),
        pytest.param(["a"], None, id="a list of texts"),
        pytest.param(None, None, id="nothing"),
        pytest.param({"choices": {"message": {}}}, None, id="another shape"),
    ],
)  # fmt: skip
def test_an_answer_is_its_texts(given: Any, texts: tuple[str, ...] | None) -> None:
    assert answer_of(given) == texts
    assert answer_of(json.dumps(given)) == texts


def events(*records: Any) -> str:
    return "".join(f"data: {json.dumps(one)}\n\n" for one in records) + "data: [DONE]\n"


def delta(finish: str | None = None, **told: Any) -> Body:
    return chunk_row(choices=[{"index": 0, "delta": told, "finish_reason": finish}])


def test_a_stream_in_a_body_counts_once_it_came_to_its_end(tmp_path: Path) -> None:
    usage = chunk_row(usage={"prompt_tokens": served_tokens(TEXT), "completion_tokens": 40})
    call = {"index": 0, "id": "c", "function": {"name": "weather", "arguments": ARGUMENTS[:9]}}
    rest = {"index": 0, "function": {"arguments": ARGUMENTS[9:]}}
    pieces = [delta(content=ANSWER[:5]), delta(content=ANSWER[5:]), delta(tool_calls=[call]), delta(tool_calls=[rest])]
    whole = events(*pieces, delta("tool_calls"), usage)
    assert answer_of(whole) == (ANSWER, ARGUMENTS)
    assert answer_of(events(*pieces, usage)) is None
    log = read_rows(tmp_path, gateway_bodies(TEXT, 0, backendResponseBody=whole), recount=OTHERS)
    expected = [sum(count_tokens(one, model=name) for one in (ANSWER, ARGUMENTS)) for name in OTHERS]
    assert log.recounted["output_tokens"].tolist() == expected
    assert log.recounted["input_certainty"].tolist()[:2] == ["exact"] * 2
    response = {"output": [{"type": "message", "content": [{"type": "output_text", "text": ANSWER}]}]}
    assert answer_of(events({"type": "response.created", "response": {}}, {"type": "response.completed", "response": response})) == (ANSWER,)  # noqa: E501  # fmt: skip


LONG = "Some words of a long prompt. " * 200
CUTS = {
    "LiteLLM's mark": f"{LONG[:500]}... (litellm_truncated 5300 chars) {LONG[:500]}",
    "an ellipsis": f"{LONG[:500]}…[truncated]",
    "three points": f"{LONG[:500]}...truncated",
    "a redaction": "redacted-by-litellm",
    "brackets": "[REDACTED]",
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("cut", CUTS.values(), ids=list(CUTS))
def test_what_the_source_cut_is_not_counted(tmp_path: Path, source: str, cut: str) -> None:
    body = {"messages": [{"role": "user", "content": cut}]}
    rows = SOURCES[source][0]
    log = read_rows(tmp_path, rows(body, 1_300), recount=OTHERS)
    assert (len(log.frame), len(log.recounted), len(log.images)) == (1, 0, 0)
    # A prompt may speak of such things; then the service counted it as it stands.
    log = read_rows(tmp_path, rows(body, served_tokens(body)), recount=OTHERS)
    assert table(log.recounted) == wanted(body)


NOTHING = (
    [],
    {},
    "",
    None,
    "[]",
    "{}",
    '[{"role": "user", "content": "Wh',
    7,
    ["a"],
    [[]],
    [{}],
    [{"role": "user"}, 1],
)
EMPTIED = [{"role": "system", "content": ""}, {"role": "user", "content": None}]
REQUESTS = ("request", "RequestMessages", "backendRequestBody", "requestBody", "proxy_server_request", "messages")
REQUESTS = (*REQUESTS, "request_body", "payload", "body")
INPUTS = ("gen_ai.input.messages", "gen_ai.prompt.1.content")


def with_request(value: Any, request: Any) -> Any:
    """Return a row with something else where the request stands."""
    if isinstance(value, list):
        return [with_request(one, request) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("key") in INPUTS:
        return {**value, "value": {"stringValue": request}}
    return {
        key: request if key in REQUESTS or (key == "input" and "trace_id" in value) else with_request(one, request)
        for key, one in value.items()
    }


@pytest.mark.parametrize("source", SOURCES)
def test_what_is_not_there_is_not_counted(tmp_path: Path, source: str) -> None:
    rows = SOURCES[source][0](TEXT, 100)
    for nothing in (*NOTHING, EMPTIED, json.dumps(EMPTIED)):
        if source == "flat spans" and isinstance(nothing, str):
            continue  # there, a text is a message
        if source == "batch":
            nothing = {"messages": nothing}  # anything else is no line of a batch
            changed = [{**rows[0], "body": nothing}, rows[1]]
        else:
            changed = with_request(rows, nothing)
        log = read_rows(tmp_path, changed, recount=OTHERS)
        check_counts(log)
        assert (len(log.recounted), len(log.images), log.counts.total.rejected) == (0, 0, 0), nothing


def test_copies_and_orders_change_nothing(tmp_path: Path) -> None:
    right = served_tokens(TEXT)
    rows = [
        *batch(TEXT, right, "a"),
        *batch(IMAGES, served_tokens(IMAGES), "b"),
        *gateway_messages(TOOLS, served_tokens(TOOLS), "c"),
        *gateway_bodies(TOOLS, served_tokens(TOOLS), "c"),
        *proxy_messages(TEXT, right, "d"),
        *spans(TEXT, right, "e"),
        usage_row("f"),
        attempt_row("g"),
        hub_row("h"),
    ]
    options = {"recount": OTHERS, "resource": "one"}

    def told(*files: Rows) -> Any:
        log = read_rows(tmp_path, *files, **options)
        check_counts(log)
        named = log.frame["request_id"].to_numpy(), log.frame["source_format"].to_numpy()
        recounted, images = (
            sorted((str(named[0][row]), str(named[1][row]), *rest) for row, *rest in table(one))
            for one in (log.recounted, log.images)
        )
        assert len(set(recounted)) == len(recounted)
        return len(log.frame), recounted, images

    once = told(rows)
    assert len(once[1]) > 6
    for seed in range(6):
        chance = random.Random(seed)
        more = [*rows, *chance.sample(rows, 6)]
        chance.shuffle(more)
        cut = chance.randrange(len(more) + 1)
        assert told(more[:cut], more[cut:]) == once


def test_the_row_with_the_whole_request_is_the_one(tmp_path: Path) -> None:
    """Messages without tools in one table, the body in the other: only one agrees with the service."""
    prompt = served_tokens(TOOLS)
    rows = [*gateway_messages(TOOLS, prompt), *gateway_bodies(TOOLS, prompt)]
    for row in rows:
        row |= {"_ResourceId": "apim"} if "_ResourceId" in row else {"resourceId": "apim"}
    log = read_rows(tmp_path, rows, recount=OTHERS)
    assert len(log.frame) == 1
    assert table(log.recounted) == wanted(TOOLS)


def test_pieces_of_a_request_are_not_taken_for_it(tmp_path: Path) -> None:
    pieces = [gateway_row("a", i, RequestMessages=json.dumps([USER])) for i in (1, 2)]
    log = read_rows(tmp_path, [gateway_row("a", 0, "400"), *pieces], recount=OTHERS)
    assert len(log.frame) == 1
    assert len(log.recounted) == 0


def test_a_custom_id_of_several_batches_finds_its_request(tmp_path: Path) -> None:
    one, other = batch(TEXT, served_tokens(TEXT), "a"), batch(TOOLS, served_tokens(TOOLS), "a")
    other[1]["response"]["request_id"] = "request-of-another-batch"
    log = read_rows(tmp_path, [*one, *other], recount=OTHERS)
    found = dict(zip(log.frame["prompt_tokens"], log.frame.index, strict=True))
    assert len(found) == 2
    first, second = found[served_tokens(TEXT)], found[served_tokens(TOOLS)]
    assert table(log.recounted) == sorted(wanted(TEXT, first) + wanted(TOOLS, second), key=lambda row: row[0])
    # Without its own, a call takes no other's request.
    log = read_rows(tmp_path, [*one, other[1]], recount=OTHERS)
    assert log.recounted["row"].nunique() == 1


def test_ids_that_many_batches_share_cost_few_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: Rows = []
    for i in range(30):
        body = {"messages": [{"role": "user", "content": "word " * (i + 1)}]}
        asked, answered = batch(body, served_tokens(body), "a")
        answered["response"]["request_id"] = f"request-{i}"
        rows += [asked, answered]
    counts = []

    def count(*given: Any, **options: Any) -> Any:
        counts.append(1)
        return count_request(*given, **options)

    monkeypatch.setattr(recount, "count_request", count)
    log = read_rows(tmp_path, rows, recount=["gpt-4o-mini"])
    assert log.recounted["input_tokens"].tolist() == log.frame["prompt_tokens"].tolist()
    assert set(log.recounted["input_certainty"]) == {"exact"}
    assert len(counts) == 2 * 30


def test_embeddings_and_completions_are_counted_under_their_like(tmp_path: Path) -> None:
    texts = ["Some text.", f"Another one, {MARKER}."]
    body = {"object": "list", "model": "text-embedding-3-large", "usage": {"prompt_tokens": 99}, "data": []}
    rows: Rows = [{**body, "request": {"input": texts}}]
    names = ["gpt-4o", "text-embedding-ada-002", "gpt-35-turbo-instruct"]
    log = read_rows(tmp_path, rows, recount=names)
    expected = count_request({"input": texts}, model="text-embedding-ada-002").input_tokens
    assert table(log.recounted) == [(0, "text-embedding-ada-002", expected, "estimated", None, expected)]
    rows = [langfuse_row("a", {"input": 99}, type="EMBEDDING", provided_model_name=None, input=json.dumps(texts))]
    log = read_rows(tmp_path, rows, recount=names)
    assert table(log.recounted) == [(0, "text-embedding-ada-002", expected, "estimated", None, None)]
    prompt = {"prompt": f"Once upon a time {MARKER}"}
    completion = {"object": "text_completion", "id": "cmpl-a", "model": "davinci-002", "choices": [{"text": "there"}]}
    rows = [{**completion, "usage": {"prompt_tokens": 5, "completion_tokens": 1}, "request": prompt}]
    log = read_rows(tmp_path, rows, recount=names)
    assert log.recounted["model"].tolist() == ["gpt-35-turbo-instruct"]
    assert log.recounted["output_tokens"].tolist() == [count_tokens("there", encoding="cl100k_base")]


def test_refused_calls_and_those_of_another_time_are_not_counted(tmp_path: Path) -> None:
    row = proxy_requests(TEXT, served_tokens(TEXT))[0]
    for changes in (
        {"cache_hit": "True"},
        {"status": "failure", "metadata": {"error_information": {"error_code": "429"}}},
    ):
        log = read_rows(tmp_path, [{**row, **changes}], recount=OTHERS)
        assert log.frame["usage_quality"].tolist() == ["not_billed"]
        assert len(log.recounted) == 0
    later = {**row, "request_id": "later", "startTime": "2026-10-15T02:04:02.946Z"}
    log = read_rows(tmp_path, [row, later], recount=OTHERS, since=date(2026, 10, 15))
    assert log.frame["request_id"].tolist() == ["later"]
    assert table(log.recounted) == wanted(TEXT)


@pytest.mark.parametrize("source", ["Helicone", "Langfuse", "requests of LiteLLM", "messages of a gateway"])
def test_tables_in_files_hold_contents_too(tmp_path: Path, source: str) -> None:
    rows = SOURCES[source][0](TEXT, served_tokens(TEXT))
    cells = [
        {key: json.dumps(one) if isinstance(one, (dict, list)) else one for key, one in row.items()} for row in rows
    ]
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(cells), file)
    texts = [{key: "" if one is None else one for key, one in row.items()} for row in cells]
    for data in (file.getvalue(), csv_of(texts).encode()):
        (tmp_path / "log").write_bytes(data)
        log = read_usage(tmp_path / "log", recount=OTHERS)
        assert table(log.recounted) == wanted(TEXT)
        assert MARKER not in everything_in(log)


def test_one_document_of_many_records_is_found_again(tmp_path: Path) -> None:
    rows = [{**answer(f"{i}", served_tokens(TEXT), content=ANSWER), "request": TEXT} for i in range(5)]
    for row in rows:
        del row["id"]  # known by its place alone
    for data in (json.dumps(rows, indent=1).encode(), json.dumps({"records": rows}).encode(), lines_of(rows)):
        (tmp_path / "log").write_bytes(data)
        log = read_usage(tmp_path / "log", recount=["gpt-4o-mini"])
        assert log.recounted["row"].tolist() == [0, 1, 2, 3, 4]
        assert set(log.recounted["input_certainty"]) == {"exact"}


def test_only_logs_with_contents_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(recount._ContentReading, "read", refuse)
    assert len(read_rows(tmp_path, [usage_row(), attempt_row()], recount=OTHERS).recounted) == 0
    assert len(read_rows(tmp_path, batch(TEXT, 5)).recounted) == 0
    with pytest.raises(AssertionError):
        read_rows(tmp_path, batch(TEXT, 5), recount=OTHERS)


def test_what_cannot_be_counted_for_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(lines_of(batch(TEXT, 5)))
    with pytest.raises(UnknownNameError, match="gpt-99"):
        read_usage(tmp_path / "log", recount=["gpt-99"])
    with pytest.raises(RequestError, match="list of names"):
        read_usage(tmp_path / "log", recount="gpt-4o")
    with pytest.raises(RequestError, match="encoding"):
        read_usage(tmp_path / "log", recount=["dall-e-3"])
    with pytest.raises(RequestError, match="columns"):
        read_usage(pd.DataFrame({"n": [1]}), columns={"prompt_tokens": "n"}, recount=["gpt-4o"])
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageFormatError, match="twice"):
        read_usage(tmp_path / "pipe", recount=["gpt-4o"])


WORDS = ("role", "content", "type", "text", "image_url", "url", "detail", "tool_calls", "function", "arguments", "name")
WORDS += ("parameters", "properties", "messages", "input", "tools", "output", "parts", "items", "id", "response_format")
VALUES = (
    "user",
    "assistant",
    "system",
    "tool",
    "function",
    "object",
    "array",
    "text",
    "image_url",
    "json_schema",
    MARKER,
)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(-9, 9) | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=settings().max_examples // 6)
@given(st.lists(st.tuples(JUNK, JUNK), min_size=20, max_size=20))
def test_hostile_contents_change_no_row(junk: list[tuple[Any, Any]]) -> None:
    rows: Rows = []
    for i, (request, other) in enumerate(junk):
        for j, (build, _) in enumerate(SOURCES.values()):
            hostile = [request, {"messages": [USER, request], "tools": other}, {"input": request}, {"messages": other}]
            one = with_request(build(TEXT, 100, f"{i}-{j}"), hostile[(i + j) % 4])
            rows += one if build is not batch else [{**one[0], "body": {"messages": request, "tools": other}}, one[1]]
    with TemporaryDirectory() as folder:
        plain, log = read_rows(Path(folder), rows), read_rows(Path(folder), rows, recount=OTHERS)
    assert calls_of(log) == calls_of(plain)
    assert log.counts.total == plain.counts.total
    assert MARKER not in everything_in(log)
    assert set(log.recounted["input_certainty"]) <= {"exact", "estimated", "lower_bound"}


@pytest.mark.parametrize("source", SOURCES)
def test_half_a_surrogate_changes_no_row(tmp_path: Path, source: str) -> None:
    """Only the slow parser takes it, and gives integers of any size beside it."""
    build, kinds = SOURCES[source]
    half = "cut within a letter \ud83d"
    for body in (
        {"messages": [{"role": "user", "content": half}]},
        {"messages": [USER], "tools": [{"type": "function", "function": {"name": half, "parameters": {"a": 2**70}}}]},
    ):
        if "tools" in kinds or "tools" not in body:
            rows = build(body, 100, **({"requestBody": None} if build is gateway_bodies else {}))
            log = read_rows(tmp_path, rows, recount=OTHERS)
            check_counts(log)
            assert (len(log.frame), len(log.recounted), log.counts.total.rejected) == (1, 0, 0)
    parts = [{"type": "tool_call", "name": "f", "arguments": {half: 2**70}}]
    answered = [{"role": "assistant", "parts": parts}]
    told = {"gen_ai.input.messages": json.dumps([USER]), "gen_ai.output.messages": json.dumps(answered)}
    row = span_of("a", 100, told)[0]
    attributes = row["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
    attributes.append({"key": "gen_ai.input.messages", "value": {"stringValue": half}})
    assert len(read_rows(tmp_path, [row], recount=OTHERS).frame) == 1


def test_deep_contents_change_no_row(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(400):
        deep = {"type": "object", "properties": {"a": deep}}
    tool = {"type": "function", "function": {"name": "f", "parameters": deep}}
    log = read_rows(tmp_path, batch({"messages": [USER], "tools": [tool]}, 100), recount=OTHERS)
    assert len(log.frame) == 1
    value: Any = {"stringValue": "x"}
    for _ in range(200):
        value = {"arrayValue": {"values": [value]}}
    row = span("a", {"gen_ai.input.messages": ...})
    row["attributes"].append({"key": "gen_ai.input.messages", "value": value})
    assert len(read_rows(tmp_path, [otlp(row)], recount=OTHERS).frame) == 1


@pytest.mark.parametrize("name", LOG_FORMATS)
def test_the_samples_of_a_format_read_the_same(tmp_path: Path, name: str) -> None:
    plain = read_rows(tmp_path, SAMPLES[name])
    log = read_rows(tmp_path, SAMPLES[name], recount=OTHERS)
    assert calls_of(log) == calls_of(plain)
    assert log.counts == plain.counts
    assert set(log.recounted["input_certainty"]) <= {"estimated"}  # their counts are made up


def test_a_mark_is_told_from_words() -> None:
    assert is_cut({"a": "…(truncated)"})
    assert is_cut(("half a surrogate \ud800",))
    assert is_cut({"a": "... [truncated]"})
    assert not is_cut({"a": "the list (cut, or truncated) was omitted ( masked"})
