"""Whole requests before they are sent, beside their bare text, the recipe of the cookbook and litellm.

Answers are compared first. Then all are timed in turn, in one run and in CPU time of the thread: the medians. Run it
alone with ``python benchmarks/bench_requests.py``; ``docs/benchmarks.md`` says what the numbers mean.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import cycle, islice
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from reference_tokens import tiktoken_encoding

from aoai_cost import Deployment, PriceBook, count_request, estimate_request, get_encoding

CORPORA = Path(os.environ.get("AOAI_COST_TEST_DATA", ROOT.parent / "shared")) / "corpora"
MODEL = "gpt-4o"
CHAT = Deployment("contoso", "chat", MODEL, version="2024-11-20", sku="GlobalStandard")
DAY = date(2026, 10, 1)
BOOK = PriceBook.bundled()
N_MESSAGES, N_CHARACTERS = 20, 2_000
OURS = ("bare text", "count", "estimate", "estimate, prices of today")
ROUNDS = 15
# A round asks for so many answers of each kind.
CALLS = 100

Body = dict[str, Any]
Ask = Callable[[Body], Any]
ENCODE = tiktoken_encoding("o200k_base").encode_ordinary
COUNT = get_encoding("o200k_base").count


class Case(NamedTuple):
    """Requests of one shape, each asked about in turn."""

    name: str
    bodies: Sequence[Body]
    texts: Callable[[Body], list[str]]


def cookbook(body: Body) -> int:
    """Count as the recipe that OpenAI's cookbook publishes for gpt-4o: How_to_count_tokens_with_tiktoken.ipynb."""
    tokens = 3
    for message in body["messages"]:
        tokens += 3 + sum(len(ENCODE(value)) + (key == "name") for key, value in message.items())
    for tool in body.get("tools", ()):
        function = tool["function"]
        tokens += 7 + len(ENCODE(f"{function['name']}:{function['description'].rstrip('.')}"))
        properties = function["parameters"]["properties"]
        tokens += 3 * bool(properties)
        for name, value in properties.items():
            tokens += 3 + len(ENCODE(f"{name}:{value['type']}:{value['description'].rstrip('.')}"))
            if "enum" in value:
                tokens += sum(3 + len(ENCODE(one)) for one in value["enum"]) - 3
    return tokens + 12 * bool(body.get("tools"))


def chat(texts: Iterable[str], **more: Any) -> Body:
    roles = cycle(("user", "assistant"))
    messages = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]
    return {"messages": messages, "max_tokens": 100, **more}


def responses(body: Body) -> Body:
    """Write a chat for the Responses API, its texts as parts."""
    kinds = {"user": "input_text", "assistant": "output_text"}
    items = [
        {"role": one["role"], "content": [{"type": kinds[one["role"]], "text": one["content"]}]}
        for one in body["messages"]
    ]
    return {"input": items, "max_output_tokens": 100}


def tool(number: int) -> Body:
    properties = {
        "city": {"type": "string", "description": "The city, with its country where that is not clear"},
        "unit": {"type": "string", "description": "The unit of the answer", "enum": ["celsius", "fahrenheit"]},
    }
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    function = {"name": f"get_weather_{number}", "description": "Get the weather of a city", "parameters": parameters}
    return {"type": "function", "function": function}


def windows() -> list[str]:
    path = CORPORA / "prose_en.txt"
    text = path.read_text("utf-8") if path.exists() else "".join(f"{n} bottles of beer, " for n in range(120_000))
    return [text[at : at + N_CHARACTERS] for at in range(0, len(text) - N_CHARACTERS, N_CHARACTERS)]


def contents(body: Body) -> list[str]:
    return [message["content"] for message in body["messages"]]


def again(body: Body) -> list[Body]:
    """Declare a request anew each time: equal objects, of which none is the same."""
    return [json.loads(json.dumps(body)) for _ in range(10)]


def cases() -> list[Case]:
    question = ["What is the weather in Paris?"]
    long = chat(windows()[:N_MESSAGES])
    tools = [chat(question, tools=[tool(20 * i + k) for k in range(20)]) for i in range(CALLS)]
    return [
        Case("one message, one tool", again(chat(question, tools=[tool(0)])), contents),
        Case("20 messages of 2 kB, met before", [long], contents),
        Case(
            "the same for Responses, in parts", [responses(long)], lambda body: [x["content"][0]["text"] for x in body["input"]]
        ),
        Case("one message, 20 tools, met before", again(tools[0]), contents),
        Case("one message, 20 tools, new each time", tools, contents),
    ]


def asks(case: Case) -> dict[str, Ask]:
    """Return what is timed, by name; what does not know such a request is left out."""
    found: dict[str, Ask] = {
        "bare text": lambda body: [COUNT(text) for text in case.texts(body)],
        "count": lambda body: count_request(body, model=MODEL),
        "estimate": lambda body: estimate_request(body, CHAT, prices=BOOK, on=DAY),
        "estimate, prices of today": lambda body: estimate_request(body, CHAT),
    }
    if "messages" in case.bodies[0]:
        found["cookbook"] = cookbook
        if importlib.util.find_spec("litellm"):
            # Or it asks the network for its prices.
            os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
            from litellm import token_counter

            found["litellm"] = lambda body: token_counter(
                model=MODEL, messages=body["messages"], tools=body.get("tools")
            )
    return found


def check(case: Case) -> dict[str, int]:
    """Return the answers of all about the first request, after holding ours against the recipe and themselves."""
    answers = {name: ask(case.bodies[0]) for name, ask in asks(case).items()}
    count = answers["count"].input_tokens
    assert answers["bare text"] == [len(ENCODE(text)) for text in case.texts(case.bodies[0])]
    assert count == answers["estimate"].input_tokens == answers["estimate, prices of today"].input_tokens
    for body in case.bodies:
        fresh = json.loads(json.dumps(body))
        assert count_request(body, model=MODEL) == count_request(fresh, model=MODEL)
    texts = case.texts(case.bodies[0])
    if not case.bodies[0].get("tools"):
        assert count == cookbook(chat(texts)), case.name
    peers = {name: answers[name] for name in ("cookbook", "litellm") if name in answers}
    return {"aoai-cost": count, **peers}


def timed(asks: dict[str, Ask], bodies: Sequence[Body], rounds: int = ROUNDS) -> dict[str, float]:
    """Return the microseconds of a call, each way of asking in turn in every round."""
    spent: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(rounds):
        for name, ask in asks.items():
            asked = list(islice(cycle(bodies), CALLS))
            start = thread_time_ns()
            for body in asked:
                ask(body)
            spent[name].append((thread_time_ns() - start) / 1e3 / CALLS)
    return {name: median(one) for name, one in spent.items()}


def fresh_times(first: int) -> dict[str, list[float]]:
    """Time each way of asking on texts that this process has not met, though others of their kind: see ``fresh``."""
    texts = windows()
    half = len(texts) // 2
    bodies = [chat(texts[at : at + N_MESSAGES]) for at in range(0, len(texts) - N_MESSAGES + 1, N_MESSAGES)]
    met, new = bodies[: half // N_MESSAGES], bodies[half // N_MESSAGES :]
    found = asks(Case("", bodies, contents))
    ways = [found.pop(name) for name in OURS]
    spent: dict[str, list[float]] = {name: [] for name in (*OURS, *found)}
    for body in met:
        for ask in ways:
            ask(body)
    for i, body in enumerate(new):
        turn = (i + first) % len(ways)
        spent[OURS[turn]].append(once(ways[turn], body))
    # These remember nothing, and may see every text.
    for name, ask in found.items():
        spent[name] += [once(ask, body) for body in new]
    return spent


def once(ask: Ask, body: Body) -> float:
    start = thread_time_ns()
    ask(body)
    return (thread_time_ns() - start) / 1e3


def fresh() -> dict[str, float]:
    """Time texts that were not met before: processes in which each way of asking takes every text once in all."""
    spent: dict[str, list[float]] = {}
    for first in range(len(OURS)):
        command = [sys.executable, __file__, "--fresh", str(first)]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for name, one in json.loads(answer.splitlines()[-1]).items():
            spent.setdefault(name, []).extend(one)
    return {name: median(one) for name, one in spent.items()}


def table(times: dict[str, dict[str, float]]) -> str:
    """Write the ratios as Markdown: how many times the estimate each way takes, and that in microseconds."""
    ways = list(max(times.values(), key=len))
    others = [way for way in ways if way != "estimate"]
    lines = [f"| times an estimate | estimate | {' | '.join(others)} |", "| --- |" + " ---: |" * len(ways)]
    for name, row in times.items():
        cells = [f"{row[way] / row['estimate']:.2f}" if way in row else "-" for way in others]
        lines.append(f"| {name} | {row['estimate']:.0f} µs | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    found = cases()
    for case in found:
        print(f"{case.name}: {', '.join(f'{name} {tokens:,}' for name, tokens in check(case).items())} tokens")
    if not importlib.util.find_spec("litellm"):
        print("litellm is not installed, so it is left out")
    times = {case.name: timed(asks(case), case.bodies) for case in found}
    times["20 messages of 2 kB, fresh"] = fresh()
    print()
    print(table(times))
    for name in ("20 messages of 2 kB, fresh", "20 messages of 2 kB, met before"):
        print(f"\n{name}: an estimate takes {times[name]['estimate'] / times[name]['bare text']:.2f} times its bare text")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--fresh"]:
        print(json.dumps(fresh_times(int(sys.argv[2]))))
    else:
        main()
