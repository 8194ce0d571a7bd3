"""What the service answers beside plain bodies, and what a gateway and OpenAI's own books say of it."""

from __future__ import annotations

import json
from typing import Any

from log_rows import GATEWAY, body_row, changed

CREATED = 1_791_943_440
TIME = "2026-10-14T02:04:00+00:00"
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def usage_of(prompt: int = 100, completion: int = 10, cached: int = 0) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def chunk_row(call: str = "a", usage: Any = None, **changes: Any) -> dict[str, Any]:
    """A chunk of a streamed chat completion; without usage as a rule."""
    row = {
        "id": f"chatcmpl-{call}",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "gpt-4o-2024-11-20",
        "choices": [] if usage else [{"index": 0, "delta": {"content": "secret"}, "finish_reason": None}],
        "usage": usage,
    }
    return changed(row, changes)


NAMELESS = {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []}
"""What Azure sends before the first chunk."""


def event_row(event: str = "completed", call: str = "a", usage: Any = None, **changes: Any) -> dict[str, Any]:
    """An event of a streamed response that carries the response."""
    response = {
        "id": f"resp_{call}",
        "object": "response",
        "created_at": CREATED,
        "model": "gpt-4o-2024-11-20",
        "status": event,
        "output": [{"content": [{"text": "secret"}]}],
        "usage": usage,
    }
    return {"type": f"response.{event}", "sequence_number": 7, "response": changed(response, changes)}


RESPONSE_USAGE = {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 10}
REALTIME_USAGE = {
    "total_tokens": 300,
    "input_tokens": 200,
    "output_tokens": 100,
    "input_token_details": {
        "text_tokens": 80,
        "audio_tokens": 100,
        "image_tokens": 20,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 32, "audio_tokens": 32, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 20, "audio_tokens": 80},
}


def realtime_row(event: str = "response.done", call: str = "a", **changes: Any) -> dict[str, Any]:
    """An event of a realtime session that carries an answer."""
    answer = {"object": "realtime.response", "id": f"resp_{call}", "status": "completed", "usage": REALTIME_USAGE}
    return {"type": event, "event_id": f"event_{call}_{event}", "timestamp": TIME, "response": changed(answer, changes)}


def transcribed_row(item: str = "a", usage: Any = None) -> dict[str, Any]:
    """The transcription of what was said in a realtime session."""
    return {
        "type": TRANSCRIBED,
        "event_id": f"event_{item}",
        "item_id": f"item_{item}",
        "content_index": 0,
        "transcript": "secret",
        "usage": usage,
    }


HEARD = {
    "type": "tokens",
    "input_tokens": 34,
    "input_token_details": {"text_tokens": 4, "audio_tokens": 30},
    "output_tokens": 9,
    "total_tokens": 43,
}


def run_row(run: str = "a", **changes: Any) -> dict[str, Any]:
    """A run of an assistant."""
    row = {
        "id": f"run_{run}",
        "object": "thread.run",
        "created_at": CREATED,
        "model": "chat",
        "status": "completed",
        "instructions": "secret",
        "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
    }
    return changed(row, changes)


def step_row(run: str = "a", step: str = "1") -> dict[str, Any]:
    """A step of a run; its tokens are in those of the run."""
    usage = {"prompt_tokens": 60, "completion_tokens": 6, "total_tokens": 66}
    return {
        "id": f"step_{step}",
        "object": "thread.run.step",
        "created_at": CREATED,
        "run_id": f"run_{run}",
        "usage": usage,
    }


def batch_row(task: str = "task-0", call: str = "a", status: int = 200, body: Any = None) -> dict[str, Any]:
    """A line of the output of a batch."""
    body = body_row(call, service_tier="default") if body is None else body
    return {
        "custom_id": task,
        "response": {"status_code": status, "request_id": f"request-{call}", "body": body},
        "error": None,
    }


def expired_row(task: str = "task-0") -> dict[str, Any]:
    """A line of the errors of a batch: nobody was asked."""
    return {"custom_id": task, "response": None, "error": {"code": "batch_expired", "message": "secret"}}


def asked_row(task: str = "task-0", deployment: str = "cheap") -> dict[str, Any]:
    """A line of the input of a batch."""
    body = {"model": deployment, "messages": [{"role": "user", "content": "secret"}]}
    return {"custom_id": task, "method": "POST", "url": "/chat/completions", "body": body}


def sum_row(**changes: Any) -> dict[str, Any]:
    """A sum of OpenAI's usage API."""
    row = {
        "object": "organization.usage.completions.result",
        "input_tokens": 1000,
        "input_cached_tokens": 800,
        "output_tokens": 500,
        "num_model_requests": 5,
        "project_id": "proj_a",
        "user_id": None,
        "api_key_id": "key_a",
        "model": "gpt-4o-2024-11-20",
        "batch": False,
    }
    return changed(row, changes)


def page_of(*results: Any, has_more: bool = False, start: int = CREATED) -> dict[str, Any]:
    """A page with the results in one bucket."""
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 3600, "results": list(results)}
    return {"object": "page", "data": [bucket], "has_more": has_more, "next_page": "secret" if has_more else None}


HOST = "https://one.openai.azure.com/openai"


def companion_row(call: str = "a", **changes: Any) -> dict[str, Any]:
    """A row of the gateway's table without tokens."""
    row = {
        "ApiId": "llm;rev=1",
        "ApimSubscriptionId": "team-a",
        "BackendResponseCode": "200",
        "BackendUrl": f"{HOST}/deployments/chat/chat/completions?api-version=2024-10-21",
        "CorrelationId": call,
        "Method": "POST",
        "OperationId": "ChatCompletions_Create",
        "ProductId": "shop",
        "ResponseCode": "200",
        "TimeGenerated": "2026-10-14T02:03:59.9460000Z",
        "TotalTime": "900",
        "Url": "https://apim.azure-api.net/deployments/alias/chat/completions?api-version=2024-10-21",
        "_ResourceId": GATEWAY,
    }
    return changed(row, changes)


def logged_row(
    call: str = "a", body: Any = None, own: Any = None, url: str = "/deployments/chat/chat/completions", **changes: Any
) -> dict[str, Any]:
    """The same as an event hub gets it, with bodies."""
    body = body_row(call) if body is None else body
    text = body if isinstance(body, str) else json.dumps(body)
    row = {
        "category": "GatewayLogs",
        "correlationId": call,
        "durationMs": 176,
        "properties": {
            "method": "POST",
            "operationId": "ChatCompletions_Create",
            "url": f"https://apim.azure-api.net{url}?api-version=2024-10-21",
            "backendUrl": f"{HOST}{url}?api-version=2024-10-21",
            "backendResponseCode": 200,
            "responseCode": 200,
            "backendResponseBody": text,
            "responseBody": text if own is None else own,
        },
        "resourceId": GATEWAY.upper(),
        "time": "2026-10-14T02:03:59.9460000Z",
    }
    return changed(row, changes)


def event_hub_row(call: str = "a") -> dict[str, Any]:
    """A row of the gateway's tokens as an event hub gets it."""
    return {
        "category": "GatewayLlmLogs",
        "correlationId": call,
        "operationName": "Microsoft.ApiManagement/GatewayLlmLogs",
        "properties": {
            "requestId": f"chatcmpl-{call}",
            "modelName": "gpt-4o-2024-11-20",
            "promptTokens": 100,
            "promptCachedTokens": 64,
            "completionTokens": 10,
            "requestMessages": "secret",
        },
        "resourceId": GATEWAY.upper(),
        "time": "2026-10-14T02:03:59.9460000Z",
    }


def stream_of(*rows: Any, done: bool = True) -> str:
    """Rows as an event stream."""
    lines = [f"event: message\ndata: {json.dumps(row)}\n\n" for row in rows]
    return ": begins\n\n" + "".join(lines) + ("data: [DONE]\n\n" if done else "")


SAMPLES: dict[str, list[Any]] = {
    "apim-gateway-logs": [companion_row("b"), logged_row(), logged_row("c", stream_of(chunk_row("c")))],
    "openai-stream": [
        chunk_row(),
        chunk_row(usage=usage_of()),
        NAMELESS,
        event_row("created", "b"),
        event_row("completed", "b", RESPONSE_USAGE),
        {"type": "response.output_text.delta", "delta": "secret", "sequence_number": 4},
        {"type": "error", "code": "server_error", "message": "secret", "sequence_number": 5},
    ],
    "openai-realtime": [
        realtime_row("response.created", usage=None),
        realtime_row(),
        {"type": "session.created", "event_id": "event_s", "session": {"model": "gpt-realtime"}},
        {"type": "error", "event_id": "event_e", "error": {"code": "session_expired", "message": "secret"}},
    ],
    "realtime-transcription": [transcribed_row(usage=HEARD), transcribed_row("b", {"type": "duration", "seconds": 3})],
    "openai-audio": [
        {"text": "secret", "usage": HEARD},
        {"text": "secret", "usage": {"type": "duration", "seconds": 3}},
        {"task": "transcribe", "language": "english", "duration": 8.47, "text": "secret"},
        {"type": "transcript.text.delta", "delta": "secret"},
        {"type": "speech.audio.done", "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
    ],
    "openai-assistants": [run_row(), step_row(), {"id": "thread_a", "object": "thread", "created_at": CREATED}],
    "openai-usage-page": [
        sum_row(start_time=CREATED, end_time=CREATED + 3600),
        {"object": "organization.costs.result", "amount": {"value": 0.06, "currency": "usd"}},
    ],
    "azure-batch": [asked_row(), batch_row(), expired_row("task-1"), {"id": "batch_a", "object": "batch"}],
}
